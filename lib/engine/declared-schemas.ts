/**
 * The schemas of a declaration. The handler is elsewhere, and may run under a schema of its own task; so the process that has the declaration checks
 * what it hands over and what it gets back. Hides where that is: at the start of a run, at each step, and around a group.
 *
 * Inputs are only checked: the task's own schema, where there is one, still makes of them what the handler gets. An output is what the
 * declared schema makes of it.
 */
import { tasksOf } from '../flow/collect.js'
import type { EachExpression, Expression, GroupExpression, TaskExpression } from '../flow/expression.js'
import type { EachNode, GroupNode } from '../graph/graph.js'
import { unpacked } from '../values/packed-arrays.js'
import { runPathOf, type Frame, type GraphInUse } from './execution.js'
import { taskError } from './failure.js'
import type { GroupOutcomes } from './group-outcomes.js'
import type { GroupPlan } from './group-plan.js'
import { isChecking } from './registry.js'
import { validate } from './schemas.js'

/** @throws GraflowError INVALID_INPUT */
async function checkInput({ name, input: schema }: TaskExpression, input: unknown, at: () => string): Promise<void> {
  if (schema !== undefined) await validate(schema, input, 'INVALID_INPUT', name, at, 'input')
}

/** @throws GraflowError INVALID_OUTPUT */
const outputOf = ({ name, output: schema }: TaskExpression, output: unknown, at: () => string): Promise<unknown> =>
  schema === undefined ? Promise.resolve(output) : validate(schema, output, 'INVALID_OUTPUT', name, at, 'output')

/** A declared task as a step. `work` does it. @throws GraflowError INVALID_INPUT, INVALID_OUTPUT */
export async function checkedStep(
  declared: TaskExpression,
  { execution, use }: Frame,
  path: string,
  input: unknown,
  work: () => Promise<unknown>,
): Promise<unknown> {
  const at = (): string => runPathOf(use, path)
  // What is finished took its input already, and a schema may look at a world that has changed since.
  if (declared.input !== undefined && execution.savedOutput(at()) === undefined)
    await checkInput(declared, unpacked(input), at)
  const output = await work()
  return declared.output === undefined ? output : outputOf(declared, unpacked(output), at)
}

/** The declarations among the branches of a group, each branch one task; undefined where there is none. */
export interface DeclaredBranches {
  of(index: number): TaskExpression | undefined
}

export function declaredBranches({ code }: GraphInUse, node: GroupNode | EachNode): DeclaredBranches | undefined {
  if (!code.hasDeclarations) return undefined
  if (node.kind === 'each') {
    const declared = node.body.kind === 'task' ? code.declaration(node.body.name) : undefined
    return declared && { of: () => declared }
  }
  const all = node.branches.map((branch) => (branch.kind === 'task' ? code.declaration(branch.name) : undefined))
  return all.every((one) => one === undefined) ? undefined : { of: (index) => all[index] }
}

/** Before a group is dispatched: an input that does not fit is its caller's fault, and nothing is sent. @throws GraflowError INVALID_INPUT */
export async function checkGroupInputs(
  declared: DeclaredBranches,
  node: GroupNode | EachNode,
  { spec, pathOf }: GroupPlan,
  given: unknown,
): Promise<void> {
  const input = unpacked(given)
  for (let index = 0; index < spec.size; index += 1) {
    const task = declared.of(index)
    const own = node.kind === 'each' ? (input as readonly unknown[])[index] : input // a plan was made of it
    if (task?.input !== undefined) await checkInput(task, own, () => pathOf(index))
  }
}

/** After it was released: a branch whose output does not fit has failed. */
export async function checkGroupOutputs(
  declared: DeclaredBranches,
  { pathOf }: GroupPlan,
  outcomes: GroupOutcomes,
): Promise<void> {
  await outcomes.check(async (value, index) => {
    const task = declared.of(index)
    if (task?.output === undefined) return value
    const path = pathOf(index)
    try {
      return await outputOf(task, value, () => path)
    } catch (error) {
      throw taskError(error, false, { task: task.name, path, errors: 1 })
    }
  })
}

/** A task that gets the input of the run, or an item of it. */
interface Entry {
  readonly task: TaskExpression
  readonly path: string
  /** It gets each item of the input. */
  readonly isEach: boolean
}

const entriesOf = new WeakMap<Expression, readonly Entry[]>()

/**
 * Checks the input of a run by the declared tasks that get it first, before anything is sent. Undefined where there is none, as nearly always.
 */
export function checkRunInput(expression: Expression, input: unknown): Promise<void> | undefined {
  let entries = entriesOf.get(expression)
  if (entries === undefined) entriesOf.set(expression, (entries = entriesIn(expression)))
  return entries.length === 0 ? undefined : checkEntries(entries, input)
}

async function checkEntries(entries: readonly Entry[], input: unknown): Promise<void> {
  for (const { task, path, isEach } of entries) {
    if (!isEach) await checkInput(task, input, () => path)
    else if (Array.isArray(input))
      for (const [i, item] of input.entries()) await checkInput(task, item, () => `${path}/${i}`)
  }
}

function entriesIn(expression: Expression): readonly Entry[] {
  const found: Entry[] = []
  // One that also stands in the flow with its handler is that task.
  const tasks = tasksOf(expression)
  const hasInput = ({ name }: TaskExpression): boolean => {
    const task = tasks.get(name)
    return task?.input !== undefined && isChecking(task)
  }
  const visit = (at: Expression, path: string): void => {
    switch (at.kind) {
      case 'task':
        if (hasInput(at)) found.push({ task: at, path, isEach: false })
        return
      case 'sequence':
        if (at.steps[0] !== undefined) visit(at.steps[0], `${path}/0`)
        return
      case 'group':
        for (const [i, branch] of at.branches.entries()) visit(branch, `${path}/${segmentOf(at, i)}`)
        return
      case 'each':
        visitItem(at, path)
        return
      case 'choose':
        visit(at.decide, `${path}/?`)
        return
      case 'loop':
        visit(at.body, `${path}/1`)
        return
      case 'workflow':
      case 'later':
        visit(at.body, `${path}/w`)
        return
      case 'wait':
        return
      default:
        at satisfies never
    }
  }
  /** Deeper ones are checked where they are dispatched. */
  const visitItem = ({ body }: EachExpression, path: string): void => {
    if (body.kind === 'task' && hasInput(body)) found.push({ task: body, path, isEach: true })
  }
  // The root is read as a sequence.
  if (expression.kind === 'sequence' && expression.steps[0] !== undefined) visit(expression.steps[0], '0')
  else visit(expression, '0')
  return found
}

const segmentOf = ({ keys }: GroupExpression, index: number): string => keys?.[index] ?? String(index)
