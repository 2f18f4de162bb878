/** Below a list: how much of it is here. */
import type { JSX } from 'preact'
import { plural } from '../format.js'
import type { Pages } from '../use-pages.js'
import { Button } from './buttons.js'

export function MoreFoot({
  pages,
  one,
  many,
}: {
  readonly pages: Pages<unknown>
  readonly one: string
  readonly many?: string
}): JSX.Element {
  const { items, isMore, isLoadingMore, moreError, loadMore } = pages
  if (moreError !== undefined)
    return (
      <div class="table-foot" role="alert">
        <span class="wrong">The next ones could not be loaded: {moreError.message}</span>
        <Button look="quiet" onClick={loadMore}>
          Try again
        </Button>
      </div>
    )
  return (
    <div class="table-foot">
      {isLoadingMore
        ? 'Loading more …'
        : isMore
          ? `${plural(items.length, one, many)} so far; more come as you scroll`
          : plural(items.length, one, many)}
    </div>
  )
}
