/** What a list of runs asks the server: its first page, the next one, those in view again, and single runs that are on none of them any more. */
import { ApiError, at, get } from '../api.js'
import { asApiError } from '../use-query.js'
import type { PageOf, Run, RunStatus } from '../wire.js'
import { freshOf, isOver, leftOf, rowOf, withNews } from './run-rows.js'

export const FIRST_PAGE = 50
/** Who scrolls on wants many. */
const NEXT_PAGE = 200
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

/** What is shown. */
export interface Held {
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

export const NOTHING: Held = {
  is: 'loading',
  rows: [],
  pages: [],
  next: undefined,
  isLoadingMore: false,
  fresh: 0,
  isFreshMore: false,
  gone: new Set(),
}

/** One list, while it is in view. */
export interface RunList {
  readonly query: RunQuery
  /** Aborted when one leaves it. */
  readonly signal: AbortSignal
  readonly held: () => Held
  readonly set: (change: Partial<Held>) => void
  /** Which rows are in view. */
  readonly view: () => readonly [from: number, to: number]
  /** When runs that no page has may be asked for again, by id. */
  readonly aloneAt: Map<string, number>
}

const pageOf = ({ query, signal }: RunList, cursor: string | undefined, limit: number): Promise<PageOf<Run>> =>
  get<PageOf<Run>>('/runs', { ...query, limit, cursor }, signal)

/** Begins anew with a first page. */
const show = ({ set }: RunList, { items, cursor }: PageOf<Run>): void =>
  set({
    ...NOTHING,
    is: 'ready',
    rows: items,
    pages: [{ cursor: undefined, limit: FIRST_PAGE, count: items.length, from: 0 }],
    next: cursor,
    at: new Date(),
    error: undefined,
  })

export async function loadFirst(list: RunList): Promise<void> {
  try {
    show(list, await pageOf(list, undefined, FIRST_PAGE))
  } catch (error) {
    if (list.signal.aborted) return
    list.set({ is: list.held().rows.length === 0 ? 'failed' : 'ready', error: asApiError(error) })
  }
}

export async function loadNext(list: RunList): Promise<void> {
  const { next, isLoadingMore } = list.held()
  if (next === undefined || isLoadingMore) return
  list.set({ isLoadingMore: true })
  try {
    const { items, cursor } = await pageOf(list, next, NEXT_PAGE)
    const { rows, pages } = list.held()
    const known = new Set(rows.map(({ id }) => id))
    const added = items.filter(({ id }) => !known.has(id))
    list.set({
      rows: [...rows, ...added],
      pages: [...pages, { cursor: next, limit: NEXT_PAGE, count: added.length, from: rows.length }],
      next: cursor,
      isLoadingMore: false,
    })
  } catch (error) {
    if (!list.signal.aborted) list.set({ isLoadingMore: false, error: asApiError(error) })
  }
}

/** The first page again, and one of those in view, each in its turn. */
export async function lookAgain(list: RunList, turn: number): Promise<void> {
  try {
    const first = await pageOf(list, undefined, FIRST_PAGE)
    const others = pagesInView(list)
    const other = others[turn % Math.max(1, others.length)]
    const rest = other === undefined ? undefined : await pageOf(list, other.cursor, other.limit)
    const { gone } = list.held()
    const missing = [...missingIn(list, list.held().pages[0], first), ...missingIn(list, other, rest)]
    const single = await askAlone(
      list,
      missing.filter((id) => !gone.has(id)),
    )
    if (list.held().rows.length === 0 && first.items.length > 0) show(list, first)
    else take(list, first.items, [...(rest?.items ?? []), ...single])
  } catch (error) {
    if (!list.signal.aborted) list.set({ error: asApiError(error) })
  }
}

/** Pages that have rows in view; the first is always looked at. */
function pagesInView({ held, view }: RunList): readonly LoadedPage[] {
  const [first, end] = view()
  return held()
    .pages.slice(1)
    .filter(({ from, count }) => from < end && from + count > first)
}

/** Rows that a page had, and has no more. */
const missingIn = ({ held }: RunList, page: LoadedPage | undefined, now: PageOf<Run> | undefined): readonly string[] =>
  page === undefined || now === undefined
    ? []
    : leftOf(held().rows.slice(page.from, page.from + page.count), now.items, now.cursor !== undefined)

/** What has become of rows that no page has any more. */
async function askAlone({ held, set, signal, aloneAt }: RunList, ids: readonly string[]): Promise<readonly Run[]> {
  const now = performance.now()
  const wanted = ids.filter((id) => now > (aloneAt.get(id) ?? Number.NEGATIVE_INFINITY)).slice(0, MOST_ALONE)
  const gone = new Set(held().gone)
  const found = await Promise.all(
    wanted.map(async (id) => {
      try {
        const run = rowOf(await get<RunStatus>(at`/runs/${id}`, undefined, signal), held().rows)
        aloneAt.set(id, isOver(run) ? now + OVER_MS : 0)
        return [run]
      } catch (error) {
        if (!(error instanceof ApiError && error.status === 404)) throw error
        gone.add(id)
        return []
      }
    }),
  )
  if (gone.size > held().gone.size) set({ gone })
  return found.flat()
}

/** Rows change in place; what is newer than the first is counted. */
function take({ held, set }: RunList, first: readonly Run[], others: readonly Run[]): void {
  const { rows } = held()
  const fresh = freshOf(rows, first)
  set({
    rows: withNews(rows, [...first, ...others]),
    fresh,
    isFreshMore: fresh === first.length && fresh > 0,
    at: new Date(),
    error: undefined,
  })
}
