/**
 * What a page shows of the server: loaded once at least, kept for when one comes back to the page, and looked at anew when something happened, or
 * after a while where nothing tells. A failure keeps what was known, and says so. Hidden tabs ask nothing.
 */
import { useContext, useEffect, useRef, useState } from 'preact/hooks'
import { createContext } from 'preact'
import { ApiError, type CallOptions, apiPath, get } from './api.js'
import { apiKey } from './keys.js'
import type { Live, LiveEvent } from './live.js'
import { useStore } from './store.js'

/** The stream of the page in view. */
export const LiveContext = createContext<Live | undefined>(undefined)
export const useLive = (): Live | undefined => useContext(LiveContext)

export type Loaded<T> =
  | { readonly is: 'loading' }
  /** `error`: what it is shown in spite of; `at`: when it was loaded. */
  | { readonly is: 'ready'; readonly value: T; readonly at: Date; readonly error?: ApiError }
  | { readonly is: 'failed'; readonly error: ApiError }
  /** It is not there, or not there any more. */
  | { readonly is: 'gone'; readonly error: ApiError }

export interface Query<T> {
  readonly state: Loaded<T>
  /** Looks anew at once; resolves when it has. */
  readonly refresh: () => Promise<void>
}

export interface QueryOptions {
  readonly query?: CallOptions['query']
  /** Another one is another value, and is asked for anew. Default: none. */
  readonly version?: string
  /** Which events make it look anew. Default: none. */
  readonly on?: (event: LiveEvent) => boolean
  /** How often it looks anew without an event. Default: 10 s. 0: never. */
  readonly everyMs?: number
}

const KEPT = 60
const LEAST_GAP_MS = 500
const kept = new Map<string, { readonly value: unknown; readonly at: Date }>()

function keep(address: string, value: unknown): void {
  kept.delete(address)
  kept.set(address, { value, at: new Date() })
  for (const oldest of kept.keys()) {
    if (kept.size <= KEPT) break
    kept.delete(oldest)
  }
}

/** Another key sees other things. */
apiKey.subscribe(() => {
  kept.clear()
  underWay.clear()
})

interface UnderWay {
  readonly answer: Promise<unknown>
  readonly controller: AbortController
  askers: number
}
const underWay = new Map<string, UnderWay>()

/** Several parts of a page that ask the same at once ask once: the rail and the overview, for one. It is given up when the last of them goes. */
async function shared<T>(address: string, ask: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
  const one = underWay.get(address) ?? begin(address, ask)
  one.askers += 1
  const leave = (): void => {
    one.askers -= 1
    if (one.askers > 0) return
    if (underWay.get(address) === one) underWay.delete(address)
    one.controller.abort()
  }
  signal.addEventListener('abort', leave)
  try {
    return (await one.answer) as T // what is asked at one address has one type
  } finally {
    signal.removeEventListener('abort', leave)
  }
}

function begin(address: string, ask: (signal: AbortSignal) => Promise<unknown>): UnderWay {
  const controller = new AbortController()
  const one: UnderWay = { answer: ask(controller.signal), controller, askers: 0 }
  underWay.set(address, one)
  const over = (): void => {
    if (underWay.get(address) === one) underWay.delete(address)
  }
  one.answer.then(over, over)
  return one
}

export const asApiError = (error: unknown): ApiError =>
  error instanceof ApiError
    ? error
    : new ApiError(error instanceof Error ? error.message : String(error), 0, 'INTERNAL')

function initial<T>(address: string): Loaded<T> {
  const known = kept.get(address)
  return known === undefined ? { is: 'loading' } : { is: 'ready', value: known.value as T, at: known.at }
}

/** @param path of the API; undefined loads nothing yet */
export function useQuery<T>(path: string | undefined, options: QueryOptions = {}): Query<T> {
  const { query, version, everyMs = 10_000 } = options
  const address = path === undefined ? '' : `${apiPath(path, query)}${version === undefined ? '' : `#${version}`}`
  const live = useLive()
  const key = useStore(apiKey)
  const [held, setHeld] = useState<{ readonly address: string; readonly state: Loaded<T> }>(() => ({
    address,
    state: initial<T>(address),
  }))
  // what is shown is never of another address, not even for one frame
  const state = held.address === address ? held.state : initial<T>(address)
  const refresh = useRef<() => Promise<void>>(() => Promise.resolve())
  const lookSoon = useRef<() => void>(() => undefined)
  const on = useRef(options.on)
  on.current = options.on

  useEffect(() => {
    if (path === undefined) return
    const controller = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    let running: Promise<void> | undefined
    let isWanted = false
    let lastAt = 0
    let tookMs = 0
    const show = (change: (before: Loaded<T>) => Loaded<T>): void =>
      setHeld((before) => ({ address, state: change(before.address === address ? before.state : initial<T>(address)) }))

    const ask = (signal: AbortSignal): Promise<T> => get<T>(path, query, signal)
    /** What others have asked already may be older than what this one has to see: only a first look takes that. */
    const load = async (isFirst: boolean): Promise<void> => {
      clearTimeout(timer)
      lastAt = performance.now()
      try {
        const { signal } = controller
        const value = await (isFirst ? shared(address, ask, signal) : ask(signal))
        if (signal.aborted) return
        keep(address, value)
        show(() => ({ is: 'ready', value, at: new Date() }))
      } catch (error) {
        if (controller.signal.aborted) return
        const failure = asApiError(error)
        show((before) =>
          failure.status === 404 || failure.status === 410
            ? { is: 'gone', error: failure }
            : before.is === 'ready'
              ? { ...before, error: failure }
              : { is: 'failed', error: failure },
        )
      }
      tookMs = performance.now() - lastAt
    }
    const turn = (isFirst = false): Promise<void> => {
      running ??= load(isFirst).finally(() => {
        running = undefined
        if (controller.signal.aborted) return
        if (isWanted) soon()
        else if (everyMs > 0) timer = setTimeout(wake, Math.max(everyMs, tookMs * 4))
      })
      return running
    }
    const wake = (): void => {
      if (!document.hidden) void turn()
    }
    /** At most one look at a time, with a pause between; what comes meanwhile is seen by the next one. */
    const soon = (): void => {
      isWanted = true
      if (running !== undefined || document.hidden) return
      clearTimeout(timer)
      timer = setTimeout(
        () => {
          isWanted = false
          wake()
        },
        Math.max(0, lastAt + Math.max(LEAST_GAP_MS, tookMs * 4) - performance.now()),
      )
    }
    refresh.current = async () => {
      await running
      await turn()
    }
    lookSoon.current = soon
    void turn(true)
    const visible = (): void => {
      if (!document.hidden) soon()
    }
    document.addEventListener('visibilitychange', visible)
    return () => {
      controller.abort()
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', visible)
      lookSoon.current = () => undefined
    }
  }, [address, key, everyMs])

  useEffect(() => {
    const stops = [
      live?.onEvents((events) => {
        if (on.current !== undefined && events.some(on.current)) lookSoon.current()
      }),
      live?.onGap(() => lookSoon.current()),
    ]
    return () => {
      for (const stop of stops) stop?.()
    }
  }, [live])

  return { state, refresh: () => refresh.current() }
}
