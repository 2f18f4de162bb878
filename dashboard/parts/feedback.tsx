/** What stands where a list or a page would: while it loads, when there is nothing, when it failed, when it is gone. */
import type { ComponentChildren, JSX } from 'preact'
import type { ApiError } from '../api.js'
import { clockTime } from '../format.js'
import type { Loaded, Query } from '../use-query.js'
import { Button } from './buttons.js'
import { Icon } from './icons.js'

/** Grey lines in the shape of what comes. */
export function Skeleton({ rows = 8, height = 36 }: { readonly rows?: number; readonly height?: number }): JSX.Element {
  return (
    <div class="skeleton" role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, i) => (
        <div key={i} class="skeleton-row" style={{ height: `${height}px` }}>
          <i style={{ width: `${18 + ((i * 37) % 22)}%` }} />
          <i style={{ width: `${10 + ((i * 53) % 14)}%` }} />
          <i style={{ width: `${6 + ((i * 29) % 8)}%` }} />
        </div>
      ))}
    </div>
  )
}

/** Nothing is there, any more or yet: says why that is, and what would change it. */
export function Empty({
  title,
  children,
}: {
  readonly title: string
  readonly children?: ComponentChildren
}): JSX.Element {
  return (
    <div class="notice">
      <p class="notice-title">{title}</p>
      {children !== undefined && <div class="notice-text">{children}</div>}
    </div>
  )
}

/** Something failed: what, and how to try again. */
export function Failed({
  what,
  error,
  onRetry,
}: {
  readonly what: string
  readonly error: ApiError
  readonly onRetry?: () => void
}): JSX.Element {
  return (
    <div class="notice is-failed" role="alert">
      <p class="notice-title">
        <Icon name="warning" /> {what} could not be loaded
      </p>
      <div class="notice-text">
        <p>{error.message}</p>
        <p>
          <code>{error.code}</code>
        </p>
      </div>
      {onRetry !== undefined && (
        <Button icon="retry" onClick={onRetry}>
          Try again
        </Button>
      )}
    </div>
  )
}

/** What is shown is older than it should be. */
export function Stale({
  state,
  onRetry,
}: {
  readonly state: Loaded<unknown>
  readonly onRetry: () => void
}): JSX.Element | null {
  if (state.is !== 'ready' || state.error === undefined) return null
  return (
    <div class="stale" role="status">
      <Icon name="warning" />
      <span>
        As of <b class="num">{clockTime(state.at)}</b>: {state.error.message} <code>{state.error.code}</code>
      </span>
      <Button look="quiet" onClick={onRetry}>
        Try again
      </Button>
    </div>
  )
}

/** The states of a query around what it gives. */
export function Show<T>({
  what,
  query,
  children,
  skeleton,
  gone,
}: {
  readonly what: string
  readonly query: Query<T>
  readonly children: (value: T) => ComponentChildren
  readonly skeleton?: JSX.Element
  readonly gone?: JSX.Element
}): JSX.Element {
  const { state, refresh } = query
  switch (state.is) {
    case 'loading':
      return skeleton ?? <Skeleton />
    case 'failed':
      return <Failed what={what} error={state.error} onRetry={() => void refresh()} />
    case 'gone':
      return gone ?? <Empty title={`${what}: not there`}>{state.error.message}</Empty>
    case 'ready':
      return (
        <>
          <Stale state={state} onRetry={() => void refresh()} />
          {children(state.value)}
        </>
      )
  }
}
