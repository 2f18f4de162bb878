/**
 * A store that may be away, seen as one that is only slow: calls that fail with an error that may pass (such as REDIS_UNAVAILABLE) are repeated, with
 * growing, jittered pauses, until they are answered. That is allowed because every operation may be repeated (backend.ts), and needed because work in hand must not fail for
 * a store that comes back.
 */
import { GraflowError } from '../errors.js'
import type { Clock, Random } from '../time.js'
import type { Backend, Inspector } from './backend.js'

/** Between two tries: doubled each time, within these. */
const FIRST_PAUSE_MS = 25
const LONGEST_PAUSE_MS = 1_000

export interface RetryingOptions {
  readonly clock: Clock
  readonly random: Random
}

export interface RetryingBackend extends Backend {
  /** From now on nothing is repeated: calls that wait to be repeated reject with what they last met. */
  stopRetrying(): void
}

/** `near` with patience. `close` gives up first. */
export function retrying(near: Backend, { clock, random }: RetryingOptions): RetryingBackend {
  const waiting = new Set<() => void>()
  let isGivenUp = false

  const hasGivenUp = (): boolean => isGivenUp
  const pause = (tries: number): Promise<void> =>
    new Promise((resolve) => {
      const most = Math.min(FIRST_PAUSE_MS * 2 ** Math.min(tries, 10), LONGEST_PAUSE_MS)
      const wake = (): void => {
        cancel()
        waiting.delete(wake)
        resolve()
      }
      const cancel = clock.after(most * (0.5 + random() / 2), wake)
      waiting.add(wake)
    })

  const persist = async <T>(call: () => Promise<T>): Promise<T> => {
    for (let tries = 0; ; tries += 1) {
      try {
        return await call()
      } catch (error) {
        if (!mayPass(error)) throw error
        if (!isGivenUp) await pause(tries)
        if (hasGivenUp()) throw error
      }
    }
  }

  const stopRetrying = (): void => {
    isGivenUp = true
    for (const wake of [...waiting]) wake()
  }
  const { inspect } = near
  const looks: Inspector = {
    run: (runId) => persist(() => inspect.run(runId)),
    runs: (request) => persist(() => inspect.runs(request)),
    groups: (runId) => persist(() => inspect.groups(runId)),
    outcomes: (gid, after) => persist(() => inspect.outcomes(gid, after)),
    output: (runId, path) => persist(() => inspect.output(runId, path)),
    saved: (runId, prefix) => persist(() => inspect.saved(runId, prefix)),
    queues: () => persist(() => inspect.queues()),
    sessions: () => persist(() => inspect.sessions()),
    deadLetters: (limit) => persist(() => inspect.deadLetters(limit)),
  }
  return {
    get limits() {
      return near.limits
    },
    inspect: looks,
    putGraph: (hash, bytes) => persist(() => near.putGraph(hash, bytes)),
    getGraph: (hash) => persist(() => near.getGraph(hash)),
    hasGraph: (hash) => persist(() => near.hasGraph(hash)),
    open: (request) => persist(() => near.open(request)),
    step: (request) => persist(() => near.step(request)),
    acquire: (request) => persist(() => near.acquire(request)),
    settle: (request) => persist(() => near.settle(request)),
    session: (request) => persist(() => near.session(request)),
    sweep: (session) => near.sweep(session), // comes again by itself
    control: (request) => persist(() => near.control(request)),
    channel: (runId, holder, request) => persist(() => near.channel(runId, holder, request)),
    listen: (session, listener) => near.listen(session, listener),
    watch: (runId, listener) => near.watch(runId, listener),
    caughtUp: (runId) => near.caughtUp(runId),
    announce: (runId, events) => near.announce(runId, events), // a hint
    ...('onReconnected' in near && {
      onReconnected: (listener) => near.onReconnected?.(listener) ?? ((): void => undefined),
    }),
    keepAlive: (session, options) => near.keepAlive(session, options),
    ping: () => near.ping(), // wants to know how it is now
    stopRetrying: stopRetrying,
    close: () => {
      stopRetrying()
      return near.close()
    },
  }
}

const mayPass = (error: unknown): error is GraflowError => error instanceof GraflowError && error.retryable
