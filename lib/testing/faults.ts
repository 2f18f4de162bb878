/** What a test lets happen to the tasks of a run: stand-ins for their handlers, and faults of their starts. Checked here, played by `Cast`. */
import { describe } from '../describe.js'
import { GraflowError } from '../errors.js'
import type { TaskContext } from '../flow/context.js'
import type { TaskExpression } from '../flow/expression.js'
import { expressionOf } from '../flow/node.js'
import type { Control, In, Out, Task } from '../flow/types.js'

/** A handler that a test puts in the place of a task's own. Made by `standIn`. */
export interface StandIn {
  /** The name of the task. */
  readonly task: string
  readonly '~handler': (input: never, ctx: TaskContext) => unknown
}

/** What befalls one start of a task. Made by `failAttempt`, `hang` and `loseWorker`. */
export interface Fault {
  readonly kind: 'fail' | 'hang' | 'lose'
  /** The name of the task. */
  readonly task: string
  /** Which start of the task, from 1, as `ctx.attempt` counts. */
  readonly attempt: number
  /** The path of that task in the run; absent for the task at any. */
  readonly path?: string
  /** What a failing start throws. */
  readonly error?: unknown
  /** The worker is lost when the handler has ended, not before it is called. */
  readonly after?: boolean
}

/** Where a fault happens, for a task that stands at several places or runs once for each item. */
export interface FaultPlace {
  /** The path in the run, such as `1/0`. Default: the task at any path. */
  readonly path?: string
}

/** Any task, whatever it takes and gives. */
type AnyTask = Task<never, unknown>

/**
 * A handler for a test, in the place of the task's own: wherever the task runs, also in a flow that a handler brings. It gets what callers give
 * (an input schema checks that, and its transformation is left out) and gives what the task gives (an output schema does not check it). A declared
 * task gets a handler in this way.
 *
 * @throws GraflowError INVALID_NODE, INVALID_OPTION
 */
export function standIn<const T extends AnyTask>(
  task: T,
  handler: (input: In<T>, ctx: TaskContext<In<T>>) => Out<T> | Control | Promise<Out<T> | Control>,
): StandIn {
  const { name } = taskOf(task, 'standIn')
  if (typeof handler !== 'function')
    throw invalid(`standIn: "${name}": the handler must be a function, got ${describe(handler)}`)
  return Object.freeze({ task: name, '~handler': handler as StandIn['~handler'] })
}

/**
 * The n-th start of the task throws `error`, in place of calling the handler. It spends an attempt, as any error of a handler does.
 * @param attempt from 1, as `ctx.attempt` counts
 * @param error Default: an Error that names the task and the attempt
 * @throws GraflowError INVALID_NODE, INVALID_OPTION
 */
export function failAttempt(task: AnyTask, attempt: number, error?: unknown, place?: FaultPlace): Fault {
  const { name } = taskOf(task, 'failAttempt')
  const thrown = error ?? new Error(`attempt ${attempt} of task "${name}" fails in this test`)
  return Object.freeze({ kind: 'fail', ...checked('failAttempt', name, attempt, place), error: thrown })
}

/**
 * The n-th start of the task never ends by itself: until its `timeoutMs` has passed, or the run is cancelled.
 * @param attempt from 1, as `ctx.attempt` counts. Default: 1
 * @throws GraflowError INVALID_NODE, INVALID_OPTION
 */
export function hang(task: AnyTask, attempt = 1, place?: FaultPlace): Fault {
  const { name } = taskOf(task, 'hang')
  return Object.freeze({ kind: 'hang', ...checked('hang', name, attempt, place) })
}

/**
 * The worker is lost, as by `kill -9`, in the n-th start of the task: before the handler is called, or with `after` when it has ended and nobody has
 * heard of it. All that the worker held goes to another one. It spends no attempt, but counts for `maxLosses`.
 * @param attempt from 1, as `ctx.attempt` counts. Default: 1
 * @throws GraflowError INVALID_NODE, INVALID_OPTION
 */
export function loseWorker(task: AnyTask, attempt = 1, place?: FaultPlace & { readonly after?: boolean }): Fault {
  const { name } = taskOf(task, 'loseWorker')
  const { after = false, ...at } = place ?? {}
  return Object.freeze({ kind: 'lose', ...checked('loseWorker', name, attempt, at), after })
}

function checked(what: string, task: string, attempt: number, place: FaultPlace = {}): Omit<Fault, 'kind'> {
  const { path, ...others } = place
  if (!Number.isSafeInteger(attempt) || attempt < 1)
    throw invalid(`${what}: "${task}": attempts are counted from 1, got ${describe(attempt)}`)
  if (path !== undefined && typeof path !== 'string')
    throw invalid(`${what}: "${task}": path is a text such as '1/0', got ${describe(path)}`)
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) throw invalid(`${what}: "${task}": there is no option ${unknown}; write { path: '1/0' }`)
  return { task, attempt, ...(path !== undefined && { path }) }
}

/** @throws GraflowError INVALID_NODE for what is no flow, INVALID_OPTION for what is no task */
function taskOf(task: unknown, what: string): TaskExpression {
  const expression = expressionOf(task, what)
  if (expression.kind === 'task') return expression
  throw invalid(`${what} takes a task, got a ${expression.kind}: name the tasks in it one by one`)
}

const invalid = (message: string): GraflowError => new GraflowError('INVALID_OPTION', message)
