/**
 * The input schemas of declarations. The handler is elsewhere, and may run under a schema of its own task; so whoever hands a value to a declared
 * task looks first whether it fits. Hides where that is: at a step, around a group, at the start of a run.
 *
 * Values are only checked, and travel as they are: what the handler gets, the schema of its own task makes of them, once. Outputs are not looked
 * at: what comes back was made by the schema of the task itself, and nothing says so.
 */
import type { GraflowError } from '../errors.js'
import { tasksOf } from '../flow/collect.js'
import type { Expression, TaskExpression } from '../flow/expression.js'
import type { EachNode, Graph, GraphNode, GroupNode } from '../graph/graph.js'
import { stepsOf } from '../graph/locate.js'
import { copiesOf } from '../values/codec.js'
import { PackedValue, unpacked } from '../values/packed-arrays.js'
import { runPathOf, type Frame } from './execution.js'
import { taskError } from './failure.js'
import type { GroupPlan, Refused } from './group-plan.js'
import { labelOf } from './prepared-grant.js'
import { declarationIn, type Code } from './registry.js'
import { validate } from './schemas.js'

/** Items that are looked at at once: an async schema may ask something far away. */
const AT_ONCE = 100

/** A declared task, and where it stands. */
interface Entry {
  readonly task: TaskExpression
  readonly path: string
}

/** Of a packed value each reader gets its own; so it is for others, as a schema may change what it looks at. */
const readersOf = (input: unknown): (() => unknown) =>
  input instanceof PackedValue ? () => unpacked(input) : copiesOf(input)

/** Why the value does not fit; undefined where it does. */
async function refusalOf(
  { task: { name, input: schema }, path }: Entry,
  value: unknown,
): Promise<GraflowError | undefined> {
  if (schema === undefined) return undefined
  try {
    await validate(schema, value, 'INVALID_INPUT', name, () => path, 'input')
    return undefined
  } catch (error) {
    return taskError(error, false, { task: name, path, errors: 1 })
  }
}

/**
 * Before a node gets its input, as a step or as a branch by itself. Undefined where no declaration is asked, as nearly always.
 * @throws GraflowError INVALID_INPUT; TASK_FAILED around what a schema threw
 */
export function checkHandedTo(frame: Frame, node: GraphNode, path: string, input: unknown): Promise<void> | undefined {
  const entry = entryOf(frame.use.code, node, path)
  if (entry === undefined) return undefined
  const { task } = entry
  const at = runPathOf(frame.use, entry.path)
  return frame.cancel.race(refusalOf({ task, path: at }, readersOf(input)())).then((error) => {
    if (error === undefined) return
    frame.execution.steps?.decided(at, task.name, 'failed', error)
    throw error
  })
}

/** The plan of a group with the branches that are not to start. Undefined where no declaration is asked, as nearly always. */
export function refusingPlan(
  frame: Frame,
  node: GroupNode | EachNode,
  plan: GroupPlan,
  input: unknown,
): Promise<GroupPlan> | undefined {
  const { size } = plan.spec
  if (size === 0) return undefined
  const bodies = node.kind === 'each' ? [node.body] : node.branches
  const entries = bodies.map((body) => entryOf(frame.use.code, body, ''))
  if (entries.every((entry) => entry === undefined)) return undefined
  const read = readersOf(input)
  const items = node.kind === 'each' ? (read() as readonly unknown[]) : undefined // a plan was made of it
  const look = async (index: number): Promise<Refused | undefined> => {
    const kind = node.kind === 'each' ? 0 : index
    const entry = entries[kind]
    if (entry === undefined) return undefined
    const at = { task: entry.task, path: `${plan.pathOf(index)}${entry.path}` }
    const error = await refusalOf(at, items === undefined ? read() : items[index])
    return error && { index, label: labelOf(bodies[kind], frame.use.graph), error }
  }
  return frame.cancel.race(lookAtAll(size, look)).then((refused) => {
    if (refused.length === 0) return plan
    // such a group ends with the first failure, before any of its branches starts
    return { ...plan, refused: plan.spec.rule === 'first-failure' ? refused.slice(0, 1) : refused }
  })
}

async function lookAtAll(size: number, look: (index: number) => Promise<Refused | undefined>): Promise<Refused[]> {
  const refused: Refused[] = []
  for (let from = 0; from < size; from += AT_ONCE) {
    const some = Array.from({ length: Math.min(AT_ONCE, size - from) }, (_, i) => look(from + i))
    for (const one of await Promise.all(some)) if (one !== undefined) refused.push(one)
  }
  return refused
}

/** The declared task that gets what the node gets. */
function entryOf(code: Pick<Code, 'declaration'>, node: GraphNode, path: string): Entry | undefined {
  switch (node.kind) {
    case 'task': {
      const task = code.declaration(node.name)
      return task && { task, path }
    }
    case 'sequence': {
      const [first] = node.steps
      return first && entryOf(code, first, `${path}/0`)
    }
    case 'workflow':
    case 'later':
      return entryOf(code, node.body, `${path}/w`)
    case 'loop':
      return entryOf(code, node.body, `${path}/1`)
    case 'choose':
      return entryOf(code, node.decide, `${path}/?`)
    // they look at what their branches get when they are dispatched
    case 'group':
    case 'each':
    case 'wait':
      return undefined
    default:
      return node satisfies never
  }
}

/**
 * Why a run of this flow would fail at once: the input does not fit the declared task that gets it. Undefined where no declaration is asked.
 * @returns INVALID_INPUT; TASK_FAILED around what a schema threw
 */
export function refusalOfInput(
  graph: Graph,
  expression: Expression,
  input: PackedValue,
): Promise<GraflowError | undefined> | undefined {
  const [first] = stepsOf(graph)
  const entry = first && entryOf({ declaration: (name) => declarationIn(tasksOf(expression), name) }, first, '0')
  return entry && refusalOf(entry, unpacked(input))
}
