/** Who waits for which barrier. A notice may come before, after, twice or for nobody: only the first for each wait counts. */

/** One wait. `forget` it when done. */
export interface Arrival {
  /** Resolves when the group is released or withdrawn. */
  readonly promise: Promise<void>
  forget(): void
}

/** One a process; fed by the notices of its session. */
export class Arrivals {
  readonly #waiting = new Map<string, Set<() => void>>()

  /** Call before the group is dispatched, so that no notice falls between. */
  expect(gid: string): Arrival {
    const { promise, resolve } = withResolvers()
    const waiting = this.#waiting.get(gid) ?? new Set()
    this.#waiting.set(gid, waiting.add(resolve))
    return {
      promise,
      forget: () => {
        waiting.delete(resolve)
        if (waiting.size === 0 && this.#waiting.get(gid) === waiting) this.#waiting.delete(gid)
      },
    }
  }

  /** A group's barrier was released. */
  announce(gid: string): void {
    for (const resolve of this.#waiting.get(gid) ?? []) resolve()
  }
}

function withResolvers(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let settle: () => void = () => undefined
  const promise = new Promise<void>((resolve) => {
    settle = resolve
  })
  return { promise, resolve: settle }
}
