/** Turns calls into an async iterator: what is pushed waits until it is read. */

/** One source, one reader. */
export class Channelled<T> {
  #items: T[] = []
  #isEnded = false
  #failure: { readonly error: unknown } | undefined
  #wake: () => void = () => undefined

  push(item: T): void {
    if (this.#isEnded) return
    this.#items.push(item)
    this.#wake()
  }

  /** No more items; what was pushed is still read. */
  end(): void {
    this.#isEnded = true
    this.#wake()
  }

  fail(error: unknown): void {
    this.#failure ??= { error }
    this.end()
  }

  /** @param close called once when the reader is done or leaves */
  async *iterate(close: () => void): AsyncGenerator<T, void, undefined> {
    try {
      for (;;) {
        const items = this.#items
        this.#items = []
        yield* items
        if (this.#items.length > 0) continue
        if (this.#isEnded) break
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
      if (this.#failure !== undefined) throw this.#failure.error
    } finally {
      close()
    }
  }
}
