/**
 * One start of a task's handler: input and output schemas, the deadline, the context. Keeps errors that the handler throws apart from errors
 * that the engine finds, since only the first are the task's own failure.
 */
import { GraflowError } from '../errors.js'
import type { TaskExpression } from '../flow/expression.js'
import { isThenable } from '../describe.js'
import type { Limits } from '../options.js'
import { elapsedMs, type Clock } from '../time.js'
import { withoutStack } from '../values/error-classes.js'
import { askable } from '../values/error-record.js'
import { callHandler } from './calling-handler.js'
import { Cancellation } from './cancellation.js'
import { DetourFailed, isControl, type Directives } from './directives.js'
import { HandlerContext, type HandlerContextOptions, type Pausable, type StartFacts } from './context.js'
import { runPathOf, type Frame } from './execution.js'
import { awaited } from './pending-handlers.js'
import { validate } from './schemas.js'
import type { ThreadRunner } from './thread-runner.js'

/** Around what a handler threw, which is unchanged unless it cannot be asked for its class. */
export class HandlerThrew extends Error {
  override readonly name = 'HandlerThrew'

  constructor(readonly thrown: unknown) {
    super('a handler threw')
  }
}

/** What a start needs to know of the process. */
export interface StartOptions extends HandlerContextOptions {
  readonly clock: Clock
  /** A handler went on after its deadline or cancellation (+1), or ended at last (-1). */
  countOrphan(change: 1 | -1): void
  /** Reports to the store what is left of the deadline of a start; 0: it stands still. */
  reportLeft(frame: Frame, facts: StartFacts, leftMs: number): Promise<unknown>
  /** For tasks with `isolation: 'thread'`; absent where the process has none. */
  readonly threads?: ThreadRunner
  readonly limits: Pick<Limits, 'sharedInputBytes'>
}

/** A started handler: its context, which keeps its directives, and its output. */
export interface Started {
  readonly context: HandlerContext
  /** A promise only if the handler, a schema or a deadline makes it one. */
  readonly output: unknown
  /** True: what the output rejects with, the handler threw. Else it rejects with HandlerThrew or a GraflowError. */
  readonly isHandlersOwn: boolean
}

/** Calls the handler. The plain case, without schema and deadline, makes nothing but the context. Throws as `output` rejects. */
export function start(
  options: StartOptions,
  frame: Frame,
  definition: TaskExpression,
  facts: StartFacts,
  input: unknown,
  timeoutMs: number | undefined,
): Started {
  if (timeoutMs !== undefined || definition.input !== undefined || definition.output !== undefined) {
    return startGuarded(options, frame, definition, facts, input, timeoutMs)
  }
  const context = new HandlerContext(options, frame, facts, frame.cancel)
  const output = call(definition, input, context, frame.execution.facts.workerId)
  return { context, output: isThenable(output) ? awaited(output, context) : output, isHandlersOwn: true }
}

/** Whether the output must be waited for. */
export const isPending = (output: unknown): output is Promise<unknown> => isThenable(output)

/** The output; it rejects with HandlerThrew for the handler's own error, else with a GraflowError. */
export const outputOf = ({ output, isHandlersOwn }: Started): Promise<unknown> =>
  isHandlersOwn ? Promise.resolve(output).catch(rethrow) : Promise.resolve(output)

/** What a handler threw, as its own; doing it twice changes nothing. */
export function threwByHandler(thrown: unknown): HandlerThrew {
  const error = askable(thrown)
  return error instanceof HandlerThrew ? error : withoutStack(() => new HandlerThrew(error))
}

/** Whether a handler threw it, or the engine found it; `isFinal`: the task is not started again. */
export function originOf(thrown: unknown): {
  readonly error: unknown
  readonly isFromHandler: boolean
  readonly isFinal: boolean
} {
  if (thrown instanceof HandlerThrew) return { error: thrown.thrown, isFromHandler: true, isFinal: false }
  if (thrown instanceof DetourFailed) return { ...originOf(thrown.thrown), isFinal: true }
  return { error: thrown, isFromHandler: false, isFinal: false }
}

const rethrow = (thrown: unknown): never => {
  throw threwByHandler(thrown)
}

function call(definition: TaskExpression, input: unknown, context: HandlerContext, workerId: string): unknown {
  if (definition.handler === undefined) {
    throw noHandler(definition.name, context.path, [workerId])
  }
  try {
    return callHandler(definition.handler, input, context)
  } catch (thrown) {
    return rethrow(thrown)
  }
}

/**
 * The error for a task that no worker knows.
 * @param who the workers that were asked, with their tasks; their names without it
 * @param todo how to fix it
 */
export const noHandler = (
  task: string,
  path: string,
  asked: readonly string[],
  who = asked.join(', '),
  todo = 'Start a worker with its module, or pass the task with its handler',
): GraflowError =>
  new GraflowError('NO_HANDLER', `no worker knows task "${task}" (at ${path}); asked: ${who}. ${todo}`, {
    details: { task, path, asked },
  })

function startGuarded(
  options: StartOptions,
  frame: Frame,
  definition: TaskExpression,
  facts: StartFacts,
  input: unknown,
  timeoutMs: number | undefined,
): Started {
  // Worked out only for an error, so that a start does not pay for it.
  const at = (): string => runPathOf(frame.use, facts.path)
  const cancel = new Cancellation(frame.cancel)
  const timer = deadlineOf(options, frame, facts, cancel, timeoutMs)
  const context = new HandlerContext(options, frame, facts, cancel, timer)
  const guard: Guard = { definition, context, cancel, timer, at, workerId: frame.execution.facts.workerId }
  const output = raced(options, cancel, checkedCall(guard, input)).finally(() => {
    timer?.end()
    cancel.leave()
  })
  return { context, output, isHandlersOwn: false }
}

/** Aborts the start with TIMEOUT when its time is over; runs from now on. Undefined where there is no limit. */
export function deadlineOf(
  options: StartOptions,
  frame: Frame,
  facts: StartFacts,
  cancel: Cancellation,
  timeoutMs: number | undefined,
): Deadline | undefined {
  if (timeoutMs === undefined) return undefined
  const late = (): void => cancel.abort(timeout(facts.task, runPathOf(frame.use, facts.path), timeoutMs))
  return new Deadline(options.clock, timeoutMs, late, async (leftMs) => {
    if (cancel.reason === undefined) await options.reportLeft(frame, facts, leftMs)
  })
}

/** What holds for one guarded start. */
interface Guard {
  readonly definition: TaskExpression
  readonly context: HandlerContext
  readonly cancel: Cancellation
  readonly timer: Deadline | undefined
  readonly at: () => string
  readonly workerId: string
}

/** The handler's call between its two schemas. */
async function checkedCall(
  { definition, context, cancel, timer, at, workerId }: Guard,
  input: unknown,
): Promise<unknown> {
  const parsed =
    definition.input === undefined
      ? input
      : await validate(definition.input, input, 'INVALID_INPUT', definition.name, at, 'input')
  cancel.throwIfAborted() // its time may have gone into parsing
  const returned = call(definition, parsed, context, workerId)
  const output = isThenable(returned) ? await awaited(returned, context).catch(rethrow) : returned
  // A handler that blocked the event loop also kept the timer from firing.
  timer?.fireIfPast()
  if (definition.output === undefined || !isOutput(output, HandlerContext.directives(context))) return output
  return await validate(definition.output, output, 'INVALID_OUTPUT', definition.name, at, 'output')
}

/** Whether what a handler returned is its task's output: with `next` it is, unless the handler returned the Control. */
function isOutput(returned: unknown, directives: Directives | undefined): boolean {
  if (directives === undefined) return true
  const { again, goto, finish, cancel } = directives
  return !isControl(returned) && (again ?? goto ?? finish ?? cancel) === undefined
}

/**
 * The work, or why it was given up: past its deadline the handler is on its own. Its slot is free, its late result is dropped, and it
 * counts as an orphan until it ends.
 */
export function raced(options: StartOptions, cancel: Cancellation, work: Promise<unknown>): Promise<unknown> {
  let isSettled = false
  let isOrphan = false
  const settled = (): void => {
    isSettled = true
    if (isOrphan) options.countOrphan(-1)
  }
  void work.then(settled, settled)
  return cancel.race(work).catch((error: unknown) => {
    if (!isSettled) {
      isOrphan = true
      options.countOrphan(1)
    }
    throw error
  })
}

/** The error of a start that took too long. */
export const timeout = (task: string, path: string, timeoutMs: number): GraflowError =>
  new GraflowError(
    'TIMEOUT',
    `task "${task}" (at ${path}) ran longer than its timeoutMs of ${timeoutMs}: make it shorter, or raise timeoutMs`,
    { details: { task, path, timeoutMs } },
  )

/** A timer that stands still while the handler waits for its forks, here and in the store: it reports 0 when that begins. */
export class Deadline implements Pausable {
  readonly #clock: Clock
  readonly #fire: () => void
  #leftMs: number
  #startedAt = 0
  #pauses = 0
  #disarm: (() => void) | undefined
  readonly #reportLeft: (leftMs: number) => Promise<void>

  constructor(clock: Clock, leftMs: number, fire: () => void, reportLeft: (leftMs: number) => Promise<void>) {
    this.#reportLeft = reportLeft
    this.#clock = clock
    this.#leftMs = leftMs
    this.#fire = fire
    this.#arm()
  }

  async pause(): Promise<void> {
    this.#pauses += 1
    if (this.#pauses > 1) return
    this.#disarm?.()
    this.#leftMs -= elapsedMs(this.#clock) - this.#startedAt
    await this.#reportLeft(0)
  }

  async unpause(): Promise<void> {
    this.#pauses -= 1
    if (this.#pauses !== 0) return
    this.#arm()
    await this.#reportLeft(Math.max(1, Math.ceil(this.#leftMs)))
  }

  fireIfPast(): void {
    if (this.#pauses === 0 && elapsedMs(this.#clock) - this.#startedAt > this.#leftMs) this.#fire()
  }

  end(): void {
    this.#pauses = Number.POSITIVE_INFINITY
    this.#disarm?.()
  }

  #arm(): void {
    this.#startedAt = elapsedMs(this.#clock)
    this.#disarm = this.#clock.after(Math.max(0, this.#leftMs), this.#fire)
  }
}
