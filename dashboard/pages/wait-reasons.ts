/** How many things wait for each reason, for pages that show it at a glance. */
import { useMemo } from 'preact/hooks'
import { type Query, useQuery } from '../use-query.js'
import type { PageOf, Wait } from '../wire.js'

/** Waits of which the reasons are counted: the server looks at each of their runs. */
const COUNTED = 200
const LOOK_MS = 10_000

export interface WaitReasons {
  /** Undefined before the server has said. */
  readonly counts: readonly (readonly [why: string, many: number])[] | undefined
  /** There are more than were counted. */
  readonly isMore: boolean
  readonly query: Query<PageOf<Wait>>
}

/** Of the newest runs. @param why one that is listed, be there any or not; '' for none */
export function useWaitReasons(why = ''): WaitReasons {
  const query = useQuery<PageOf<Wait>>('/waits', { query: { limit: COUNTED }, everyMs: LOOK_MS })
  const { state } = query
  const page = state.is === 'ready' ? state.value : undefined
  const counts = useMemo(() => {
    if (page === undefined) return undefined
    const found = new Map<string, number>()
    for (const wait of page.items) found.set(wait.why, (found.get(wait.why) ?? 0) + wait.count)
    if (why !== '' && !found.has(why)) found.set(why, 0)
    return [...found].sort(([a], [b]) => (a < b ? -1 : 1))
  }, [page, why])
  return { counts, isMore: page?.cursor !== undefined, query }
}
