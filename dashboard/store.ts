/** A value that components read and anybody sets: what the frame shares (route, key, theme, live state) lives in a few of these. */
import { useEffect, useState } from 'preact/hooks'

export interface Store<T> {
  get(): T
  /** Tells its readers, unless nothing changed. */
  set(next: T): void
  /** Called after each change; returns how to stop that. */
  subscribe(listener: () => void): () => void
}

export function store<T>(initial: T): Store<T> {
  let value = initial
  const listeners = new Set<() => void>()
  return {
    get: () => value,
    set: (next) => {
      if (Object.is(next, value)) return
      value = next
      for (const listener of [...listeners]) listener()
    },
    subscribe: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

/** The value of a store; the component is drawn again when it changes. */
export function useStore<T>(of: Store<T>): T {
  const [, redraw] = useState(0)
  const value = of.get()
  useEffect(() => {
    // it may have changed between the drawing and now
    if (!Object.is(of.get(), value)) redraw((n) => n + 1)
    return of.subscribe(() => redraw((n) => n + 1))
  }, [of])
  return value
}
