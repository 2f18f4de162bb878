/**
 * Time as the rest of the code sees it: injected, so that a test can stop it. Only this file reads the system's clock.
 */

import { randomUUID } from 'node:crypto'

export interface Clock {
  /** Integer milliseconds since the epoch: what people are shown. It steps when the machine's clock is set. */
  now(): number
  /**
   * Integer milliseconds since some moment: what durations are measured by, since it never steps. A clock without it is one whose `now`
   * never steps, such as a manual clock. Ask `elapsedMs`.
   */
  elapsed?(): number
  /**
   * Calls `fn` once after `delayMs`; returns what cancels it. A cancelled or fired timer may be cancelled again. One in the background
   * does not keep the process alive.
   */
  after(delayMs: number, fn: () => void, isBackground?: boolean): () => void
}

/** Node refuses timers above this and fires them at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** What time it is for measuring: take the difference of two readings of one clock, and nothing else. */
export const elapsedMs = (clock: Clock): number => (clock.elapsed === undefined ? clock.now() : clock.elapsed())

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => Math.floor(performance.now()),
  after(delayMs, fn, isBackground = false) {
    let timer: NodeJS.Timeout | undefined
    const arm = (leftMs: number): void => {
      const sliceMs = Math.min(leftMs, LONGEST_TIMER_MS)
      timer = setTimeout(() => (leftMs > sliceMs ? arm(leftMs - sliceMs) : fn()), sliceMs)
      if (isBackground) timer.unref()
    }
    arm(Math.max(0, Math.ceil(delayMs)))
    return () => {
      clearTimeout(timer)
    }
  },
}

/** Milliseconds that never go back and that all threads of the process share; for measuring, since they say nothing of the date. */
export const monotonicClock: Clock = {
  now: () => Number(process.hrtime.bigint() / 1_000_000n),
  after: (delayMs, fn, isBackground) => systemClock.after(delayMs, fn, isBackground),
}

/**
 * What `promise` gives; or what `onLate` gives, or throws, when that takes longer than `ms`. What was begun goes on: its late failure is
 * ignored.
 * @param isBackground as in `Clock.after`
 */
export async function withDeadline<T, L>(
  clock: Clock,
  ms: number,
  promise: Promise<T>,
  onLate: () => L,
  isBackground = false,
): Promise<T | L> {
  let disarm: (() => void) | undefined
  const late = new Promise<'late'>((resolve) => {
    disarm = clock.after(ms, () => resolve('late'), isBackground)
  })
  try {
    const first = await Promise.race([promise.then((value) => ({ value })), late])
    return first === 'late' ? onLate() : first.value
  } finally {
    disarm?.()
  }
}

/** A clock that moves only when told to. */
export interface ManualClock extends Clock {
  /** Moves time on and calls what is due, in order of due time. @throws RangeError for less than nothing: time does not go back */
  advance(ms: number): void
  /** Milliseconds until the next timer is due, or undefined when none waits. */
  nextDueMs(): number | undefined
  /** The same of the timers that somebody waits for, without those in the background, such as the end of a retention. */
  nextAwaitedMs(): number | undefined
}

/** Makes a clock that stands at `startMs` until it is advanced. */
export function manualClock(startMs = 0): ManualClock {
  interface Timer {
    readonly due: number
    readonly fn: () => void
    readonly isBackground: boolean
  }
  let nowMs = startMs
  let timers: readonly Timer[] = []
  const untilMs = (timer: Timer | undefined): number | undefined => timer && Math.max(0, timer.due - nowMs)
  return {
    now: () => nowMs,
    after(delayMs, fn, isBackground = false) {
      const timer: Timer = { due: nowMs + Math.max(0, Math.ceil(delayMs)), fn, isBackground }
      timers = [...timers, timer].sort((a, b) => a.due - b.due)
      return () => {
        timers = timers.filter((other) => other !== timer)
      }
    },
    advance(ms) {
      if (!(ms >= 0)) throw new RangeError(`a clock is advanced by 0 ms or more, got ${ms}`)
      const until = nowMs + ms
      for (let next = timers[0]; next !== undefined && next.due <= until; next = timers[0]) {
        timers = timers.slice(1)
        nowMs = Math.max(nowMs, next.due)
        next.fn()
      }
      nowMs = until
    },
    nextDueMs: () => untilMs(timers[0]),
    nextAwaitedMs: () => untilMs(timers.find(({ isBackground }) => !isBackground)),
  }
}

/** Randomness as the rest of the code sees it: a number in [0, 1). */
export type Random = () => number

/** The machine's own randomness. */
export const systemRandom: Random = () => Math.random()

/** A repeatable sequence (mulberry32) for tests. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** New identifiers for runs, sessions and nonces: text of `[0-9a-f-]`, never the same twice. */
export type NewId = () => string

/** The machine's own identifiers (RFC 9562, version 4). */
export const systemId: NewId = () => {
  const id = randomUUID()
  // Node builds it from 20 pieces, which V8 keeps until the text is read: many ids are kept and never read.
  return id.charCodeAt(0) > 0 ? id : ''
}
