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
apiKey.subscribe(() => kept.clear())

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
  const { query, everyMs = 10_000 } = options
  const address = path === undefined ? '' : apiPath(path, query)
  const live = useLive()
  const key = useStore(apiKey)
  const [held, setHeld] = useState<{ readonly address: string; readonly state: Loaded<T> }>(() => ({
    address,
    state: initial<T>(address),
  }))
  // what is shown is never of another address, not even for one frame
  const state = held.address === address ? held.state : initial<T>(address)
  const refresh = useRef<() => Promise<void>>(() => Promise.resolve())
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

    const load = async (): Promise<void> => {
      clearTimeout(timer)
      lastAt = performance.now()
      try {
        const value = await get<T>(path, query, controller.signal)
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
    const turn = (): Promise<void> => {
      running ??= load().finally(() => {
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
    void turn()
    const stops = [
      live?.onEvents((events) => {
        if (on.current !== undefined && events.some(on.current)) soon()
      }),
      live?.onGap(soon),
    ]
    const visible = (): void => {
      if (!document.hidden) soon()
    }
    document.addEventListener('visibilitychange', visible)
    return () => {
      controller.abort()
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', visible)
      for (const stop of stops) stop?.()
    }
  }, [address, live, key, everyMs])

  return { state, refresh: () => refresh.current() }
}
