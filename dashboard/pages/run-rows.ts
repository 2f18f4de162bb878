/** Rows of the list of runs, and what is known of them now. Pure. */
import type { Run, RunStatus } from '../wire.js'

const OVER: ReadonlySet<string> = new Set(['completed', 'failed', 'cancelled'])
export const isOver = ({ state }: Pick<Run, 'state'>): boolean => OVER.has(state)

const same = (a: Run, b: Run): boolean => JSON.stringify(a) === JSON.stringify(b)

/** Rows with what is known of them now; those that have not changed stay the very same. */
export function withNews(rows: readonly Run[], news: readonly Run[]): readonly Run[] {
  const byId = new Map(news.map((run) => [run.id, run]))
  const next = rows.map((row) => {
    const now = byId.get(row.id)
    return now === undefined || same(row, now) ? row : now
  })
  return next.some((row, i) => row !== rows[i]) ? next : rows
}

/** How many of the first page are newer than what is shown. */
export function freshOf(rows: readonly Run[], page: readonly Run[]): number {
  const newest = rows[0]
  if (newest === undefined) return page.length
  const known = new Set(rows.map(({ id }) => id))
  return page.filter(({ id, createdAt }) => !known.has(id) && createdAt >= newest.createdAt).length
}

/**
 * The ids of rows that were on a page, and would be on it still if they matched. Behind the last of the page may be others: `isMore`. Pages are newest
 * first, and those of one moment in any order.
 */
export function leftOf(rows: readonly Run[], page: readonly Run[], isMore: boolean): readonly string[] {
  const known = new Set(page.map(({ id }) => id))
  const last = page.at(-1)
  if (isMore && last === undefined) return []
  return rows
    .filter(({ id, createdAt }) => !known.has(id) && (!isMore || createdAt > (last?.createdAt ?? '')))
    .map(({ id }) => id)
}

const failedOf = ({ groups }: RunStatus): number => groups.reduce((sum, { failed, dead }) => sum + failed + dead, 0)

/** A row of what is known of one run by itself; what only lists say is kept. */
export function rowOf(status: RunStatus, rows: readonly Run[]): Run {
  const { id, workflow, state, tags, createdAt, startedAt, endedAt, driver, retries, error, done, total } = status
  const { build, priority, queue } = rows.find((row) => row.id === id) ?? {}
  const known = { workflow, startedAt, endedAt, driver, build, priority, queue, error }
  const given = Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined))
  return {
    id,
    state,
    tags,
    createdAt,
    retries,
    ...(given as Partial<Run>),
    ...(!isOver({ state }) && { done, failed: failedOf(status), total }),
  }
}
