/**
 * The rows of the list of runs: pages by cursor, one after the other. What is shown changes in place and never moves; runs that come meanwhile wait until
 * one asks for them. The first page and those in view are looked at anew when something happens, one page at a time.
 */
import { useEffect, useRef, useState } from 'preact/hooks'
import { type ApiError, get } from '../api.js'
import { isOfRuns } from '../changes.js'
import { apiKey } from '../keys.js'
import { useStore } from '../store.js'
import { asApiError, useLive } from '../use-query.js'
import type { PageOf, Run } from '../wire.js'

const FIRST_PAGE = 50
/** Who scrolls on wants many. */
const NEXT_PAGE = 200
const LEAST_GAP_MS = 1_000
/** Runs that are at work go on without an event. */
const PROGRESS_MS = 3_000
const QUIET_MS = 10_000

export type RunQuery = Readonly<Record<string, string | undefined>>

interface LoadedPage {
  /** What it was asked with; undefined: the first. */
  readonly cursor: string | undefined
  readonly limit: number
  readonly count: number
}

interface Held {
  readonly is: 'loading' | 'ready' | 'failed'
  readonly rows: readonly Run[]
  readonly pages: readonly LoadedPage[]
  /** Where the next page begins. */
  readonly next: string | undefined
  readonly error?: ApiError
  readonly at?: Date
  readonly isLoadingMore: boolean
  /** Runs that are newer than the first row. */
  readonly fresh: number
  readonly isFreshMore: boolean
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
}
const same = (a: Run, b: Run): boolean => JSON.stringify(a) === JSON.stringify(b)

/** Rows with what is known of them now; those that have not changed stay the very same. */
function withNews(rows: readonly Run[], news: readonly Run[]): readonly Run[] {
  const byId = new Map(news.map((run) => [run.id, run]))
  const next = rows.map((row) => {
    const now = byId.get(row.id)
    return now === undefined || same(row, now) ? row : now
  })
  return next.some((row, i) => row !== rows[i]) ? next : rows
}

/** How many of the first page are newer than what is shown. */
function freshOf(rows: readonly Run[], page: readonly Run[]): number {
  const newest = rows[0]
  if (newest === undefined) return page.length
  const known = new Set(rows.map(({ id }) => id))
  return page.filter(({ id, createdAt }) => !known.has(id) && createdAt >= newest.createdAt).length
}

export function useRunFeed(query: RunQuery): RunFeed {
  const live = useLive()
  const key = useStore(apiKey)
  const asked = JSON.stringify(query)
  const [held, setHeld] = useState<Held>(NOTHING)
  const now = useRef(held)
  now.current = held
  const view = useRef<readonly [number, number]>([0, FIRST_PAGE])
  const control = useRef<{ loadMore(): void; reload(): void }>({ loadMore: () => undefined, reload: () => undefined })

  useEffect(() => {
    const controller = new AbortController()
    const { signal } = controller
    let timer: ReturnType<typeof setTimeout> | undefined
    let isBusy = false
    let isEvent = false
    let turn = 0
    const set = (change: Partial<Held>): void => {
      now.current = { ...now.current, ...change }
      setHeld(now.current)
    }
    const page = (cursor: string | undefined, limit: number): Promise<PageOf<Run>> =>
      get<PageOf<Run>>('/runs', { ...query, limit, cursor }, signal)

    async function first(): Promise<void> {
      try {
        const { items, cursor } = await page(undefined, FIRST_PAGE)
        set({
          ...NOTHING,
          is: 'ready',
          rows: items,
          pages: [{ cursor: undefined, limit: FIRST_PAGE, count: items.length }],
          next: cursor,
          at: new Date(),
        })
      } catch (error) {
        if (!signal.aborted) set({ is: now.current.rows.length === 0 ? 'failed' : 'ready', error: asApiError(error) })
      }
      again()
    }

    async function more(): Promise<void> {
      const { next, isLoadingMore } = now.current
      if (next === undefined || isLoadingMore) return
      set({ isLoadingMore: true })
      try {
        const { items, cursor } = await page(next, NEXT_PAGE)
        const known = new Set(now.current.rows.map(({ id }) => id))
        const added = items.filter(({ id }) => !known.has(id))
        const { rows, pages } = now.current
        set({
          rows: [...rows, ...added],
          pages: [...pages, { cursor: next, limit: NEXT_PAGE, count: added.length }],
          next: cursor,
          isLoadingMore: false,
        })
      } catch (error) {
        if (!signal.aborted) set({ isLoadingMore: false, error: asApiError(error) })
      }
    }

    /** Pages that have rows in view; the first is always looked at. */
    function pagesInView(): readonly LoadedPage[] {
      const [from, to] = view.current
      let at = 0
      return now.current.pages.slice(1).filter(({ count }) => {
        at += count
        const start = at - count + (now.current.pages[0]?.count ?? 0)
        return start < to && start + count > from
      })
    }

    async function look(): Promise<void> {
      if (isBusy || now.current.is !== 'ready') return
      isBusy = true
      isEvent = false
      turn += 1
      try {
        const { items, cursor } = await page(undefined, FIRST_PAGE)
        const others = pagesInView()
        const other = others[turn % Math.max(1, others.length)]
        const rest = other === undefined ? [] : (await page(other.cursor, other.limit)).items
        const { rows } = now.current
        const { error: _, ...known } = now.current
        if (rows.length === 0 && items.length > 0) {
          now.current = known
          set({
            rows: items,
            pages: [{ cursor: undefined, limit: FIRST_PAGE, count: items.length }],
            next: cursor,
            at: new Date(),
          })
        } else {
          const fresh = freshOf(rows, items)
          now.current = known
          set({
            rows: withNews(rows, [...items, ...rest]),
            fresh,
            isFreshMore: fresh === items.length && fresh > 0,
            at: new Date(),
          })
        }
      } catch (error) {
        if (!signal.aborted) set({ error: asApiError(error) })
      }
      isBusy = false
      again()
    }

    function again(): void {
      clearTimeout(timer)
      if (signal.aborted) return
      const [from, to] = view.current
      const isAtWork = now.current.rows.slice(from, to).some(({ state }) => state === 'running' || state === 'pending')
      const wait = isEvent ? LEAST_GAP_MS : isAtWork ? PROGRESS_MS : QUIET_MS
      timer = setTimeout(() => (document.hidden ? again() : void look()), wait)
    }

    control.current = { loadMore: () => void more(), reload: () => void first() }
    now.current = NOTHING
    setHeld(NOTHING)
    void first()
    const stops = [
      live?.onEvents((events) => {
        if (isEvent || !events.some(isOfRuns)) return
        isEvent = true
        if (!isBusy) again()
      }),
      live?.onGap(() => void look()),
    ]
    return () => {
      controller.abort()
      clearTimeout(timer)
      for (const stop of stops) stop?.()
    }
  }, [asked, live, key])

  return {
    ...held,
    loadMore: () => control.current.loadMore(),
    reload: () => control.current.reload(),
    inView: (from, to) => {
      view.current = [from, to]
    },
  }
}
