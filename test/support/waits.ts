/** How tests wait: for a condition or a promise, never longer than a deadline, and with a message that says what did not come. */

/** How often a condition is asked again: the longer it has been, the less it matters, and asking takes processor time from what is awaited. */
export const pollMs = (waitedMs: number): number => Math.min(4 + waitedMs / 25, 24)

const USUAL_MS = 10_000

/** What is awaited, in words; a function is asked when it did not come, and may say how far it got. */
type What = string | (() => string)

/**
 * Resolves as soon as the condition holds. It is asked again every few milliseconds: use it where nothing tells, and `nextEvent`,
 * `Child.said` or `Fault.whenFired` where something does.
 * @throws Error that says what was expected when it does not come about in time
 */
export async function until(isSo: () => unknown, what: What, withinMs = USUAL_MS): Promise<void> {
  const from = performance.now()
  while (!(await isSo())) {
    const waitedMs = performance.now() - from
    if (waitedMs > withinMs) throw late(what, withinMs)
    await elapse(pollMs(waitedMs))
  }
}

/**
 * What the promise settles to.
 * @throws Error that says what was expected when it does not settle in time
 */
export async function within<T>(withinMs: number, promise: Promise<T>, what: What): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(late(what, withinMs))
    }, withinMs)
  })
  try {
    return await Promise.race([promise, tooLate])
  } finally {
    clearTimeout(timer)
  }
}

const late = (what: What, withinMs: number): Error =>
  new Error(`expected within ${withinMs} ms: ${typeof what === 'string' ? what : what()}`)

/** One turn of the event loop: what is ready now comes first. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Lets real time go by. Only for tests where the length of the time is the point; wait for anything else with `until`. */
export const elapse = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Keeps this thread, so that no event is handled, as a long computation does; other threads and processes have the processor meanwhile. */
export function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}
