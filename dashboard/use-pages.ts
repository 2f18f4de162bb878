/**
 * A list by cursor that is kept up to date: its first page as any query, and the later ones that one has scrolled to behind it. Both are taken together, so
 * a row that comes or goes meanwhile is on none of them twice, and none is left out.
 */
import { useEffect, useRef, useState } from 'preact/hooks'
import { type ApiError, type CallOptions, get } from './api.js'
import { asApiError, type Query, type QueryOptions, useQuery } from './use-query.js'
import type { PageOf } from './wire.js'

const PAGE = 100
const NEXT_PAGE = 200
const MOST_A_PAGE = 200
/** Between two looks at the later pages. */
const LATER_MS = 5_000

export interface Pages<T> extends Query<PageOf<T>> {
  readonly items: readonly T[]
  readonly isMore: boolean
  readonly isLoadingMore: boolean
  readonly moreError: ApiError | undefined
  readonly loadMore: () => void
}

/** Pages behind a first one. */
interface Later<T> {
  readonly asked: string
  /** The first page that they stand behind. */
  readonly first: PageOf<T>
  readonly items: readonly T[]
  readonly cursor: string | undefined
}

export function usePages<T>(path: string, query: CallOptions['query'], options: QueryOptions): Pages<T> {
  const first = useQuery<PageOf<T>>(path, { ...options, query: { limit: PAGE, ...query } })
  const asked = JSON.stringify([path, query])
  const [held, setLater] = useState<Later<T> | undefined>(undefined)
  const later = held?.asked === asked ? held : undefined
  const [isLoadingMore, setLoading] = useState(false)
  const [moreError, setError] = useState<ApiError | undefined>(undefined)
  const current = useRef({ asked, later })
  current.current = { asked, later }
  const lookedAt = useRef(0)
  const page = first.state.is === 'ready' ? first.state.value : undefined
  const ask = (cursor: string, limit: number): Promise<PageOf<T>> => get<PageOf<T>>(path, { ...query, limit, cursor })

  const loadMore = async (): Promise<void> => {
    const before = later ?? (page === undefined ? undefined : { asked, first: page, items: [], cursor: page.cursor })
    if (before?.cursor === undefined || isLoadingMore) return
    setLoading(true)
    setError(undefined)
    try {
      const { items, cursor } = await ask(before.cursor, NEXT_PAGE)
      if (current.current.asked === asked) setLater({ ...before, items: [...before.items, ...items], cursor })
    } catch (error) {
      setError(asApiError(error))
    }
    lookedAt.current = performance.now()
    setLoading(false)
  }

  // the first page is a new one: so are those behind it
  useEffect(() => {
    if (page === undefined || later === undefined || later.first === page || isLoadingMore) return
    if (performance.now() - lookedAt.current < LATER_MS) return
    lookedAt.current = performance.now()
    const items: T[] = []
    const look = async (): Promise<void> => {
      let { cursor } = page
      while (cursor !== undefined && items.length < later.items.length) {
        const next: PageOf<T> = await ask(cursor, Math.min(MOST_A_PAGE, later.items.length - items.length))
        items.push(...next.items)
        cursor = next.cursor
      }
      if (current.current.later === later) setLater({ asked, first: page, items, cursor })
    }
    look().catch(() => undefined) // what was known stays until the next look
  }, [page])

  return {
    ...first,
    items: later === undefined ? (page?.items ?? []) : [...later.first.items, ...later.items],
    isMore: (later === undefined ? page : later)?.cursor !== undefined,
    isLoadingMore,
    moreError,
    loadMore: () => void loadMore(),
  }
}
