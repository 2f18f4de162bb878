/**
 * The rows of the list of runs: pages by cursor, one after the other. What is shown changes in place and never moves; runs that come meanwhile wait until
 * one asks for them. The first page and those in view are looked at anew when something happens, one page at a time. A run that is on none of them any
 * more, since it was deleted or is in another state now, is asked for by itself. Who comes back to an entry of the history finds its rows again.
 */
import { useEffect, useRef, useState } from 'preact/hooks'
import { isOfRuns } from '../changes.js'
import { apiKey } from '../keys.js'
import { entryKey } from '../router.js'
import { useStore } from '../store.js'
import { useLive } from '../use-query.js'
import {
  FIRST_PAGE,
  type Held,
  loadFirst,
  loadNext,
  lookAgain,
  NOTHING,
  type RunList,
  type RunQuery,
} from './run-feed-asks.js'

export type { RunQuery }

const LEAST_GAP_MS = 1_000
/** Runs that are at work go on without an event. */
const PROGRESS_MS = 3_000
const QUIET_MS = 10_000

export interface RunFeed extends Held {
  readonly loadMore: () => void
  /** Begins anew, with the new ones. */
  readonly reload: () => void
  /** Says which rows are in view. */
  readonly inView: (from: number, to: number) => void
}

/** Lists that were left, by entry of the history and what they were asked with. */
const left = new Map<string, Held>()
const MOST_LEFT = 8
apiKey.subscribe(() => left.clear())

function leave(name: string, held: Held): void {
  left.delete(name)
  if (held.is === 'ready') left.set(name, { ...held, isLoadingMore: false })
  for (const oldest of left.keys()) {
    if (left.size <= MOST_LEFT) break
    left.delete(oldest)
  }
}

interface Control {
  readonly loadMore: () => void
  readonly reload: () => void
  /** Something has happened. */
  readonly changed: () => void
  readonly look: () => void
}
const nothing = (): void => undefined
const IDLE: Control = { loadMore: nothing, reload: nothing, changed: nothing, look: nothing }

/** Keeps a list up to date until it is left: one look at a time, sooner where something happened, later where looks take long. */
function controlOf(list: RunList): Control {
  let timer: ReturnType<typeof setTimeout> | undefined
  let isBusy = false
  let isEvent = false
  let turn = 0
  let tookMs = 0
  list.signal.addEventListener('abort', () => clearTimeout(timer))

  async function look(): Promise<void> {
    if (isBusy || list.held().is !== 'ready') return
    isBusy = true
    isEvent = false
    turn += 1
    const began = performance.now()
    await lookAgain(list, turn)
    tookMs = performance.now() - began
    isBusy = false
    again()
  }
  function again(): void {
    clearTimeout(timer)
    if (list.signal.aborted) return
    const wait = isEvent ? LEAST_GAP_MS : isAtWork(list) ? PROGRESS_MS : QUIET_MS
    timer = setTimeout(() => (document.hidden ? again() : void look()), Math.max(wait, tookMs * 4))
  }
  return {
    loadMore: () => void loadNext(list),
    reload: () => void loadFirst(list).then(again),
    changed: () => {
      if (isEvent) return
      isEvent = true
      if (!isBusy) again()
    },
    look: () => void look(),
  }
}

const isAtWork = ({ held, view }: RunList): boolean =>
  held()
    .rows.slice(...view())
    .some(({ state }) => state === 'running' || state === 'pending')

export function useRunFeed(query: RunQuery): RunFeed {
  const key = useStore(apiKey)
  const asked = JSON.stringify(query)
  const [held, setHeld] = useState<Held>(() => left.get(`${entryKey()} ${asked}`) ?? NOTHING)
  const now = useRef(held)
  now.current = held
  const view = useRef<readonly [number, number]>([0, FIRST_PAGE])
  const control = useRef<Control>(IDLE)

  useEffect(() => {
    const controller = new AbortController()
    const name = `${entryKey()} ${asked}`
    const set = (change: Partial<Held>): void => {
      now.current = { ...now.current, ...change }
      setHeld(now.current)
    }
    const { signal } = controller
    control.current = controlOf({
      ...{ query, signal, set, held: () => now.current, view: () => view.current, aloneAt: new Map() },
    })
    const before = left.get(name)
    now.current = before ?? NOTHING
    setHeld(now.current)
    if (before === undefined) control.current.reload()
    else control.current.look()
    return () => {
      controller.abort()
      control.current = IDLE
      leave(name, now.current)
    }
  }, [asked, key])
  useNews(control)

  return {
    ...held,
    loadMore: () => control.current.loadMore(),
    reload: () => control.current.reload(),
    inView: (from, to) => {
      view.current = [from, to]
    },
  }
}

/** Has the list looked at anew as events come, and at once where some may be missing. */
function useNews(control: { readonly current: Control }): void {
  const live = useLive()
  useEffect(() => {
    const stops = [
      live?.onEvents((events) => {
        if (events.some(isOfRuns)) control.current.changed()
      }),
      live?.onGap(() => control.current.look()),
    ]
    return () => {
      for (const stop of stops) stop?.()
    }
  }, [live])
}
