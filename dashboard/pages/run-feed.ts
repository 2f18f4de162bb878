/**
 * The rows of the list of runs: pages by cursor, one after the other. What is shown changes in place and never moves; runs that come meanwhile wait until
 * one asks for them. The first page and those in view are looked at anew when something happens, one page at a time. A run that is on none of them any
 * more, since it was deleted or is in another state now, is asked for by itself. Who comes back to an entry of the history finds its rows again.
 */
import { useEffect, useRef, useState } from 'preact/hooks'
import { ApiError, at, get } from '../api.js'
import { isOfRuns } from '../changes.js'
import { apiKey } from '../keys.js'
import { entryKey } from '../router.js'
import { useStore } from '../store.js'
import { asApiError, useLive } from '../use-query.js'
import type { PageOf, Run, RunStatus } from '../wire.js'
import { freshOf, isOver, leftOf, rowOf, withNews } from './run-rows.js'

const FIRST_PAGE = 50
/** Who scrolls on wants many. */
const NEXT_PAGE = 200
const LEAST_GAP_MS = 1_000
/** Runs that are at work go on without an event. */
const PROGRESS_MS = 3_000
const QUIET_MS = 10_000
/** Runs of no page that one look asks for; those that are over, now and then only. */
const MOST_ALONE = 12
const OVER_MS = 15_000

export type RunQuery = Readonly<Record<string, string | undefined>>

interface LoadedPage {
  /** What it was asked with; undefined: the first. */
  readonly cursor: string | undefined
  readonly limit: number
  /** Which rows it gave. */
  readonly from: number
  readonly count: number
}

interface Held {
  readonly is: 'loading' | 'ready' | 'failed'
  readonly rows: readonly Run[]
  readonly pages: readonly LoadedPage[]
  /** Where the next page begins. */
  readonly next: string | undefined
  readonly error?: ApiError | undefined
  readonly at?: Date
  readonly isLoadingMore: boolean
  /** Runs that are newer than the first row. */
  readonly fresh: number
  readonly isFreshMore: boolean
  /** Rows whose runs are not kept any more, by id. */
  readonly gone: ReadonlySet<string>
}

export interface RunFeed extends Held {
  readonly loadMore: () => void
  /** Begins anew, with the new ones. */
  readonly reload: () => void
  /** Says which rows are in view. */
  readonly inView: (from: number, to: number) => void
}

const NOTHING: Held = {
  is: 'loading',
  rows: [],
  pages: [],
  next: undefined,
  isLoadingMore: false,
  fresh: 0,
  isFreshMore: false,
  gone: new Set(),
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
  loadMore(): void
  reload(): void
  /** Something has happened. */
  changed(): void
  look(): void
}
const nothing = (): void => undefined
const IDLE: Control = { loadMore: nothing, reload: nothing, changed: nothing, look: nothing }

export function useRunFeed(query: RunQuery): RunFeed {
  const live = useLive()
  const key = useStore(apiKey)
  const asked = JSON.stringify(query)
  const [held, setHeld] = useState<Held>(() => left.get(`${entryKey()} ${asked}`) ?? NOTHING)
  const now = useRef(held)
  now.current = held
  const view = useRef<readonly [number, number]>([0, FIRST_PAGE])
  const control = useRef<Control>(IDLE)

  useEffect(() => {
    const controller = new AbortController()
    const { signal } = controller
    let timer: ReturnType<typeof setTimeout> | undefined
    let isBusy = false
    let isEvent = false
    let turn = 0
    let tookMs = 0
    const askedAloneAt = new Map<string, number>()
    const name = `${entryKey()} ${asked}`
    const current = (): Held => now.current
    const set = (change: Partial<Held>): void => {
      now.current = { ...now.current, ...change }
      setHeld(now.current)
    }
    const show = (rows: readonly Run[], next: string | undefined): void =>
      set({
        ...NOTHING,
        is: 'ready',
        rows,
        pages: [{ cursor: undefined, limit: FIRST_PAGE, count: rows.length, from: 0 }],
        next,
        at: new Date(),
        error: undefined,
      })
    const page = (cursor: string | undefined, limit: number): Promise<PageOf<Run>> =>
      get<PageOf<Run>>('/runs', { ...query, limit, cursor }, signal)

    async function first(): Promise<void> {
      try {
        const { items, cursor } = await page(undefined, FIRST_PAGE)
        show(items, cursor)
      } catch (error) {
        if (!signal.aborted) set({ is: current().rows.length === 0 ? 'failed' : 'ready', error: asApiError(error) })
      }
      again()
    }

    async function more(): Promise<void> {
      const { next, isLoadingMore } = current()
      if (next === undefined || isLoadingMore) return
      set({ isLoadingMore: true })
      try {
        const { items, cursor } = await page(next, NEXT_PAGE)
        const known = new Set(current().rows.map(({ id }) => id))
        const added = items.filter(({ id }) => !known.has(id))
        const { rows, pages } = current()
        set({
          rows: [...rows, ...added],
          pages: [...pages, { cursor: next, limit: NEXT_PAGE, count: added.length, from: rows.length }],
          next: cursor,
          isLoadingMore: false,
        })
      } catch (error) {
        if (!signal.aborted) set({ isLoadingMore: false, error: asApiError(error) })
      }
    }

    /** Pages that have rows in view; the first is always looked at. */
    function pagesInView(): readonly LoadedPage[] {
      const [first, end] = view.current
      return current()
        .pages.slice(1)
        .filter(({ from, count }) => from < end && from + count > first)
    }

    /** What has become of rows that no page has any more. */
    async function alone(ids: readonly string[]): Promise<readonly Run[]> {
      const now = performance.now()
      const wanted = ids
        .filter((id) => now - (askedAloneAt.get(id) ?? Number.NEGATIVE_INFINITY) > 0)
        .slice(0, MOST_ALONE)
      const gone = new Set(current().gone)
      const found = await Promise.all(
        wanted.map(async (id) => {
          try {
            const run = rowOf(await get<RunStatus>(at`/runs/${id}`, undefined, signal), current().rows)
            askedAloneAt.set(id, isOver(run) ? now + OVER_MS : 0)
            return [run]
          } catch (error) {
            if (!(error instanceof ApiError && error.status === 404)) throw error
            gone.add(id)
            return []
          }
        }),
      )
      if (gone.size > current().gone.size) set({ gone })
      return found.flat()
    }

    async function look(): Promise<void> {
      if (isBusy || current().is !== 'ready') return
      isBusy = true
      isEvent = false
      turn += 1
      const began = performance.now()
      try {
        const { items, cursor } = await page(undefined, FIRST_PAGE)
        const others = pagesInView()
        const other = others[turn % Math.max(1, others.length)]
        const rest = other === undefined ? undefined : await page(other.cursor, other.limit)
        const { rows, gone } = current()
        const missing = [
          ...leftOf(rows.slice(0, current().pages[0]?.count), items, cursor !== undefined),
          ...(other === undefined || rest === undefined
            ? []
            : leftOf(rows.slice(other.from, other.from + other.count), rest.items, rest.cursor !== undefined)),
        ]
        const single = await alone(missing.filter((id) => !gone.has(id)))
        if (rows.length === 0 && items.length > 0) show(items, cursor)
        else {
          const fresh = freshOf(current().rows, items)
          set({
            rows: withNews(current().rows, [...items, ...(rest?.items ?? []), ...single]),
            fresh,
            isFreshMore: fresh === items.length && fresh > 0,
            at: new Date(),
            error: undefined,
          })
        }
      } catch (error) {
        if (!signal.aborted) set({ error: asApiError(error) })
      }
      tookMs = performance.now() - began
      isBusy = false
      again()
    }

    function again(): void {
      clearTimeout(timer)
      if (signal.aborted) return
      const [from, to] = view.current
      const isAtWork = current()
        .rows.slice(from, to)
        .some(({ state }) => state === 'running' || state === 'pending')
      const wait = isEvent ? LEAST_GAP_MS : isAtWork ? PROGRESS_MS : QUIET_MS
      timer = setTimeout(() => (document.hidden ? again() : void look()), Math.max(wait, tookMs * 4))
    }

    control.current = {
      loadMore: () => void more(),
      reload: () => void first(),
      changed: () => {
        if (isEvent) return
        isEvent = true
        if (!isBusy) again()
      },
      look: () => void look(),
    }
    const before = left.get(name)
    now.current = before ?? NOTHING
    setHeld(now.current)
    if (before === undefined) void first()
    else void look()
    return () => {
      controller.abort()
      clearTimeout(timer)
      control.current = IDLE
      leave(name, now.current)
    }
  }, [asked, key])

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

  return {
    ...held,
    loadMore: () => control.current.loadMore(),
    reload: () => control.current.reload(),
    inView: (from, to) => {
      view.current = [from, to]
    },
  }
}
