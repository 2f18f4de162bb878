/** Work of a branch that is given up after so long, such as a workflow. Hides that a handler which keeps the event loop keeps the timer, too. */
import { elapsedMs, type Clock } from '../time.js'
import { Cancellation } from './cancellation.js'
import type { Frame } from './execution.js'

/**
 * Does the work in a frame that is aborted after `timeoutMs`. The clock is read at the end, too: the timer may have had no turn.
 * @param late makes the error with which the frame is aborted
 */
export async function inTime<T>(
  clock: Clock,
  frame: Frame,
  timeoutMs: number,
  late: () => Error,
  work: (inner: Frame) => Promise<T>,
): Promise<T> {
  const startedAt = elapsedMs(clock)
  const cancel = new Cancellation(frame.cancel)
  const disarm = clock.after(Math.max(0, timeoutMs), () => cancel.abort(late()))
  try {
    const value = await work({ ...frame, cancel })
    if (elapsedMs(clock) - startedAt > timeoutMs) cancel.abort(late())
    cancel.throwIfAborted()
    return value
  } finally {
    disarm()
    cancel.leave()
  }
}
