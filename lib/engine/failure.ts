/** What an error means: whether the task is started again and when, and how it is reported once it is not. */
import { GraflowError } from '../errors.js'
import type { RetryOptions } from '../flow/node-options.js'
import { LONGEST_MS, RETRY_DEFAULTS } from '../options.js'
import type { Random } from '../time.js'
import { overCause } from '../values/error-classes.js'
import { errorFromRecord, errorToRecord, isError, isFinalByItself, messageOf } from '../values/error-record.js'

/** Which start of which task failed. */
interface StartThatFailed {
  readonly task: string
  readonly path: string
  /** Of its branch, where the each around it labels these. */
  readonly label?: string | undefined
  /** Starts so far that ended in an error, this one included. */
  readonly errors: number
}

/** Codes of the engine itself after which another start may go better. */
const WORTH_ANOTHER_START: ReadonlySet<string> = new Set(['TIMEOUT', 'GROUP_TIMEOUT', 'THREAD_LOST'])

/**
 * A handler's own error says so by `retryable: false`, and so does an error of graflow's that it throws on. Of the engine's errors about a
 * start, only a timeout and the end of a thread can go better the next time: a value that cannot be carried will not be carried then either.
 */
export function isRetryable(error: unknown, isFromHandler: boolean): boolean {
  if (isFromHandler) {
    return error instanceof GraflowError ? error.retryable : !isFinalByItself(error)
  }
  return error instanceof GraflowError && WORTH_ANOTHER_START.has(error.code)
}

/**
 * Milliseconds to wait before the start that follows error number `errors` (from 1): delayMs × factor^(errors − 1), at most maxDelayMs (without
 * it a year), of which the share `jitter` is left to chance.
 */
export function retryDelayMs(retry: RetryOptions, errors: number, random: Random): number {
  const { delayMs = RETRY_DEFAULTS.delayMs } = retry
  if (delayMs === 0) return 0 // also where the power is too large for a number
  const full = Math.min(
    delayMs * (retry.factor ?? RETRY_DEFAULTS.factor) ** (errors - 1),
    retry.maxDelayMs ?? LONGEST_MS,
  )
  return Math.round(full * (1 - (retry.jitter ?? RETRY_DEFAULTS.jitter) * random()))
}

/**
 * The error that a failed task is reported with: TASK_FAILED around what its handler threw (message and stack are the original's, which is
 * the cause), or the engine's own error (TIMEOUT, NOT_SERIALISABLE, …) as it is.
 */
export function taskError(thrown: unknown, isFromHandler: boolean, start: StartThatFailed): GraflowError {
  if (!isFromHandler && thrown instanceof GraflowError) return thrown
  const attempts = start.errors === 1 ? '' : ` after ${start.errors} attempts`
  const { task, path, label } = start
  const place = label === undefined ? path : `${path}, ${label}`
  const message = `task "${task}" (at ${place}) failed${attempts}: ${messageOf(thrown)}`
  const cause = asError(thrown)
  const details = { task, path, attempts: start.errors, ...(label !== undefined && { label }) }
  const make = (): GraflowError => new GraflowError('TASK_FAILED', message, { cause, details })
  return isError(thrown) ? overCause(cause, make) : make()
}

/**
 * How a branch ends with an error after which it is not started again: `dead` where the engine itself found that what ran in its place, such as
 * the task that it was forwarded to or a step that was dispatched, had lost its workers too often.
 */
export const endOfBranch = (error: unknown, isFromHandler: boolean): 'failed' | 'dead' =>
  !isFromHandler && error instanceof GraflowError && error.code === 'BRANCH_DEAD' ? 'dead' : 'failed'

/**
 * What becomes of a start of a branch that is one task, by the error that ended it: another start after a delay, as long as the task's `retry` allows
 * one and the error does not forbid it; else the end of the branch.
 * @param isFinal whatever the error is, it ends the branch
 */
export function endOfStart(
  thrown: unknown,
  isFromHandler: boolean,
  start: StartThatFailed,
  { retry = {} }: { readonly retry?: RetryOptions },
  random: Random,
  isFinal = false,
): { readonly kind: 'retry' | 'failed' | 'dead'; readonly delayMs: number; readonly error: GraflowError } {
  const error = taskError(thrown, isFromHandler, start)
  const isSpent = start.errors >= (retry.attempts ?? RETRY_DEFAULTS.attempts)
  if (isSpent || isFinal || !isRetryable(thrown, isFromHandler))
    return { kind: endOfBranch(thrown, isFromHandler), delayMs: 0, error }
  return { kind: 'retry', delayMs: retryDelayMs(retry, start.errors, random), error }
}

/** What was thrown, if it is an Error, else an Error that describes it. */
export const asError = (thrown: unknown): Error => (isError(thrown) ? thrown : errorFromRecord(errorToRecord(thrown)))

/** The error of a loop or task that would go round more often than it may. */
export const cycleLimit = (task: string, path: string, count: number, limit: number): GraflowError =>
  new GraflowError(
    'CYCLE_LIMIT',
    `"${task}" (at ${path}) went round ${count} times, its limit: end it sooner, or raise maxCycles`,
    { details: { task, path, count, limit } },
  )
