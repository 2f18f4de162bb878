/** Pages of a list that is read whole: by a key, which is the cursor, in the order of the keys. */
import { PAGE_OPTIONS } from '../options.js'
import type { Page, PageOptions } from '../producer/operator-types.js'

/** The page of those behind the cursor. */
export function pageOf<T>(
  all: readonly T[],
  { limit = PAGE_OPTIONS.limit.default, cursor = '' }: PageOptions,
  keyOf: (item: T) => string,
): Page<T> {
  const left = all.filter((item) => keyOf(item) > cursor).sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
  const items = left.slice(0, limit)
  const last = items.at(-1)
  return left.length > limit && last !== undefined ? { items, cursor: keyOf(last) } : { items }
}
