/**
 * A store with faults: the memory backend behind a wire that can be cut. While it is cut every call fails as a client of a distant store
 * sees it; notices can be lost; an answer can be swallowed after the call was executed. Time is a manual clock's.
 */
import { manualClock, type ManualClock } from '../../lib/time.js'
import { openMemoryBackend } from '../../lib/backend/kernel/memory-backend.js'
import type { Backend } from '../../lib/backend/backend.js'
import { GraflowError } from '../../lib/errors.js'
import { turn } from './waits.js'
import { wired, type Wire } from './wired-backend.js'

export interface Faulty {
  readonly clock: ManualClock
  /** Without faults. */
  readonly near: Backend
  readonly backend: Backend
  /** Calls by name, those that failed included. */
  readonly calls: Map<string, number>
  /** Cuts the wire, or mends it; who asked for that hears of the mending. */
  cut(): void
  mend(): void
  /** Notices that arrive from now on are lost, or not. */
  loseNotices(isLost: boolean): void
  /** The next call of this name is executed, and its answer lost. */
  swallow(name: string): void
  /** Lets time pass, in steps, with what is to be done in each. */
  pass(ms: number): Promise<void>
}

const unavailable = (): GraflowError =>
  new GraflowError('REDIS_UNAVAILABLE', 'expected the store to answer, got a cut wire')

export function openFaulty(): Faulty {
  const clock = manualClock(1_000_000)
  const near = openMemoryBackend({ clock })
  const calls = new Map<string, number>()
  const reconnected = new Set<() => void>()
  const swallowed = new Set<string>()
  let isCut = false
  let isLost = false
  const isNowCut = (): boolean => isCut
  const wire: Wire = {
    async call(name, send) {
      calls.set(name, (calls.get(name) ?? 0) + 1)
      await turn()
      if (isNowCut()) throw unavailable()
      const answer = await send()
      if (isNowCut() || swallowed.delete(name)) throw unavailable()
      return answer
    },
    news(deliver) {
      if (!isLost && !isCut) deliver()
    },
  }
  const keepAlive: Backend['keepAlive'] = (session, { ttlMs, onLost }) => {
    let cancel: (() => void) | undefined
    const renew = async (): Promise<void> => {
      const answer = isCut ? undefined : await near.session({ kind: 'renew', session, ttlMs })
      if (answer?.status === 'nosession') onLost('session')
      else cancel = clock.after(ttlMs / 3, () => void renew())
    }
    void renew()
    return {
      ready: Promise.resolve(),
      stop: async () => cancel?.(),
      lastRenewedAt: Number.POSITIVE_INFINITY, // only the store says here that a session is lost: it goes by the test's clock
    }
  }
  const backend = wired(near, wire, {
    keepAlive,
    onReconnected: (listener) => {
      reconnected.add(listener)
      return () => reconnected.delete(listener)
    },
  })
  return {
    ...{ clock, near, backend, calls },
    cut: () => {
      isCut = true
    },
    mend: () => {
      isCut = false
      for (const listener of reconnected) listener()
    },
    loseNotices: (isNowLost) => {
      isLost = isNowLost
    },
    swallow: (name) => {
      swallowed.add(name)
    },
    async pass(ms) {
      const until = clock.now() + ms
      for (;;) {
        for (let i = 0; i < 12; i += 1) await turn()
        const nextInMs = clock.nextDueMs() ?? Number.POSITIVE_INFINITY
        if (clock.now() + nextInMs > until) break
        clock.advance(nextInMs)
      }
      clock.advance(until - clock.now())
      for (let i = 0; i < 12; i += 1) await turn()
    },
  }
}
