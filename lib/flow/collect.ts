/**
 * What a flow contains: its tasks, policies and waits by name, how many nodes, and how deep it is nested. Found once for an expression, from what is already
 * known of its parts, and kept as long as the expression lives. Here one name comes to mean one thing in a whole flow.
 */
import { GraflowError } from '../errors.js'
import type { Expression, Join, TaskExpression, WaitExpression, WorkflowExpression } from './expression.js'
import { FLOW_LIMITS } from './limits.js'
import { DUE } from './names.js'
import { areSameOptions } from './options.js'

export type PolicyJoin = Extract<Join, { kind: 'policy' }>

interface Contents {
  readonly tasks: ReadonlyMap<string, TaskExpression>
  readonly policies: ReadonlyMap<string, PolicyJoin>
  readonly waits: ReadonlyMap<string, WaitExpression>
  readonly workflows: ReadonlyMap<string, WorkflowExpression>
  /** Of a task 0, of a group one more than of its deepest branch; a sequence adds none. */
  readonly nesting: number
  /** Each counted as often as it stands in the flow, this one included. */
  readonly nodes: number
}

const known = new WeakMap<Expression, Contents>()
/** Of most flows: not to be changed. */
const NO_WORKFLOWS: ReadonlyMap<string, WorkflowExpression> = new Map()

/** Every task of the flow by its name, in the order of the text. Where one is declared here and made there, the one with the handler. */
export function tasksOf(expression: Expression): ReadonlyMap<string, TaskExpression> {
  return contentsOf(expression).tasks
}

/** Every join policy of the flow by its name. */
export function policiesOf(expression: Expression): ReadonlyMap<string, PolicyJoin> {
  return contentsOf(expression).policies
}

/** Every wait for a signal by its name; of several with one name, which have one schema, the first. */
export function waitsOf(expression: Expression): ReadonlyMap<string, WaitExpression> {
  return contentsOf(expression).waits
}

/** Every workflow of the flow by its name, itself and those inside; of one name the outer one. */
export function workflowsOf(expression: Expression): ReadonlyMap<string, WorkflowExpression> {
  return contentsOf(expression).workflows
}

/**
 * Does nothing for an expression whose names are each one thing and that is neither nested too deep nor too large. Called for each as it is made.
 * @throws GraflowError DUPLICATE_TASK, LIMIT_EXCEEDED
 */
export function checkContents(expression: Expression): void {
  contentsOf(expression)
}

function contentsOf(expression: Expression): Contents {
  const found = known.get(expression)
  if (found !== undefined) return found
  const contents = collect(expression)
  known.set(expression, contents)
  return contents
}

const NOTHING: Contents = Object.freeze({
  tasks: new Map<string, TaskExpression>(),
  policies: new Map<string, PolicyJoin>(),
  waits: new Map<string, WaitExpression>(),
  workflows: NO_WORKFLOWS,
  nesting: 0,
  nodes: 1,
})

function collect(expression: Expression): Contents {
  switch (expression.kind) {
    case 'task':
      return { ...NOTHING, tasks: new Map([[expression.name, expression]]) }
    case 'wait':
      return { ...NOTHING, waits: new Map([[expression.name, expression]]) }
    case 'sequence':
      return merge(expression.steps, 0)
    case 'group':
      return withJoin(merge(expression.branches, 1), expression.join)
    case 'each':
      return withJoin(merge([expression.body], 1), expression.join)
    case 'choose':
      return merge([expression.decide, ...expression.cases.map(([, node]) => node)], 1)
    case 'loop':
      return merge([expression.body], 1)
    case 'workflow': {
      const contents = merge([expression.body], 1)
      return { ...contents, workflows: new Map([...contents.workflows, [expression.name, expression]]) }
    }
    case 'later':
      return merge(typeof expression.when === 'number' ? [expression.body] : [expression.when, expression.body], 1)
    default:
      return expression satisfies never
  }
}

function merge(parts: readonly Expression[], deeper: 0 | 1): Contents {
  const tasks = new Map<string, TaskExpression>()
  const policies = new Map<string, PolicyJoin>()
  const waits = new Map<string, WaitExpression>()
  let workflows = NO_WORKFLOWS
  let nesting = 0
  let nodes = 1
  for (const part of parts) {
    // A task is the commonest part: it needs no map of its own.
    if (part.kind === 'task') {
      addTask(tasks, part)
      nodes += 1
      continue
    }
    const contents = contentsOf(part)
    for (const task of contents.tasks.values()) addTask(tasks, task)
    for (const policy of contents.policies.values()) addPolicy(policies, policy)
    for (const wait of contents.waits.values()) addWait(waits, wait)
    if (contents.workflows.size > 0) workflows = new Map([...contents.workflows, ...workflows])
    nesting = Math.max(nesting, contents.nesting)
    nodes += contents.nodes
  }
  nesting += deeper
  if (nesting > FLOW_LIMITS.nesting) {
    throw new GraflowError(
      'LIMIT_EXCEEDED',
      `groups, loops, choices, workflows and later nodes may be nested ${FLOW_LIMITS.nesting} deep, this is ${nesting}; make the inner part a task that calls ctx.run`,
      { details: { nesting, limit: FLOW_LIMITS.nesting } },
    )
  }
  if (nodes > FLOW_LIMITS.nodes) {
    throw new GraflowError(
      'LIMIT_EXCEEDED',
      `a flow may have ${FLOW_LIMITS.nodes} nodes, a shared one counted wherever it stands, this has ${nodes}; for the same work on many items take each(node)`,
      { details: { nodes, limit: FLOW_LIMITS.nodes } },
    )
  }
  return { tasks, policies, waits, workflows, nesting, nodes }
}

function withJoin(contents: Contents, join: Join): Contents {
  if (join.kind !== 'policy') return contents
  const policies = new Map(contents.policies)
  addPolicy(policies, join)
  return { ...contents, policies }
}

function addTask(tasks: Map<string, TaskExpression>, task: TaskExpression): void {
  const other = tasks.get(task.name)
  if (other === task) return
  if (other === undefined) {
    tasks.set(task.name, task)
    return
  }
  const difference = differenceOf(other, task)
  if (difference !== undefined) {
    throw new GraflowError(
      'DUPLICATE_TASK',
      `two different tasks in one flow are called "${task.name}" (${difference}); rename one, or use the same task twice` +
        (task.name.endsWith(DUE)
          ? ". It is a function given to later: name its node, as in later(workflow('again', node), when)"
          : ''),
      { details: { task: task.name, difference } },
    )
  }
  if (other.handler === undefined && task.handler !== undefined) tasks.set(task.name, task)
}

/** A task that is only declared is the same as one with a handler, if they ask the same of the workers. */
function differenceOf(a: TaskExpression, b: TaskExpression): string | undefined {
  if (!areSameOptions(a.options, b.options)) {
    return `their options are ${JSON.stringify(a.options)} and ${JSON.stringify(b.options)}`
  }
  if (a.handler === undefined || b.handler === undefined) return undefined
  if (a.handler !== b.handler) return 'their handlers are two functions'
  if (a.input !== b.input || a.output !== b.output) return 'their schemas differ'
  return undefined
}

function addPolicy(policies: Map<string, PolicyJoin>, policy: PolicyJoin): void {
  const other = policies.get(policy.name)
  if (other !== undefined && other.decide !== policy.decide) {
    throw new GraflowError(
      'DUPLICATE_TASK',
      `two different join policies in one flow are called "${policy.name}"; rename one, or use the same policy twice`,
      { details: { policy: policy.name } },
    )
  }
  policies.set(policy.name, policy)
}

function addWait(waits: Map<string, WaitExpression>, wait: WaitExpression): void {
  const other = waits.get(wait.name)
  if (other === undefined) waits.set(wait.name, wait)
  else if (other.schema !== wait.schema) {
    throw new GraflowError(
      'DUPLICATE_TASK',
      `two waits for the signal "${wait.name}" in one flow have different schemas; rename one, or give both the same schema`,
      { details: { signal: wait.name } },
    )
  }
}
