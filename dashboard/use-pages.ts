/** A list by cursor whose first page is kept up to date; later pages are added as one scrolls, and stay as they came until the first changes its length. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { type ApiError, type CallOptions, get } from './api.js'
import { asApiError, type Query, type QueryOptions, useQuery } from './use-query.js'
import type { PageOf } from './wire.js'

const PAGE = 100

export interface Pages<T> extends Query<PageOf<T>> {
  readonly items: readonly T[]
  readonly isMore: boolean
  readonly isLoadingMore: boolean
  readonly moreError: ApiError | undefined
  readonly loadMore: () => void
}

export function usePages<T>(path: string, query: CallOptions['query'], options: QueryOptions): Pages<T> {
  const first = useQuery<PageOf<T>>(path, { ...options, query: { limit: PAGE, ...query } })
  const asked = JSON.stringify([path, query])
  const [later, setLater] = useState<{
    readonly items: readonly T[]
    readonly cursor: string | undefined
    readonly isBegun: boolean
  }>({ items: [], cursor: undefined, isBegun: false })
  const [isLoadingMore, setLoading] = useState(false)
  const [moreError, setError] = useState<ApiError | undefined>(undefined)
  const current = useRef(asked)
  current.current = asked
  useEffect(() => setLater({ items: [], cursor: undefined, isBegun: false }), [asked])
  const page = first.state.is === 'ready' ? first.state.value : undefined
  const cursor = later.isBegun ? later.cursor : page?.cursor
  const loadMore = async (): Promise<void> => {
    if (cursor === undefined || isLoadingMore) return
    setLoading(true)
    setError(undefined)
    try {
      const next = await get<PageOf<T>>(path, { limit: 200, ...query, cursor })
      if (current.current === asked)
        setLater((before) => ({ items: [...before.items, ...next.items], cursor: next.cursor, isBegun: true }))
    } catch (error) {
      setError(asApiError(error))
    }
    setLoading(false)
  }
  const items = useMemo(() => [...(page?.items ?? []), ...later.items], [page, later.items])
  return { ...first, items, isMore: cursor !== undefined, isLoadingMore, moreError, loadMore: () => void loadMore() }
}
