/** Turns calls into an async iterator: what is pushed waits until it is read, up to a number; what is left out then is counted and told. */

export interface ChannelledOptions<T> {
  /** Items that wait; a reader who is behind by that many gets no more of them. */
  readonly most: number
  /** What the reader gets in the place of so many items that were left out. */
  readonly omitted: (count: number) => T
}

/** One source, one reader. */
export class Channelled<T> {
  readonly #options: ChannelledOptions<T>
  #items: T[] = []
  #omitted = 0
  #isEnded = false
  #failure: { readonly error: unknown } | undefined
  #wake: () => void = () => undefined

  constructor(options: ChannelledOptions<T>) {
    this.#options = options
  }

  /** @param isKept it is never left out; for what comes a few times at most */
  push(item: T, isKept = false): void {
    if (this.#isEnded) return
    if (this.#omitted > 0 || this.#items.length >= this.#options.most) {
      if (!isKept) {
        this.#omitted += 1
        return
      }
      this.#pushOmitted()
    }
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

  /**
   * A reader that leaves while it waits for the next item waits no more.
   * @param close called once when the reader is done or leaves
   */
  iterate(close: () => void): AsyncGenerator<T, void, undefined> {
    let isClosed = false
    const closeOnce = (): void => {
      if (!isClosed) close()
      isClosed = true
    }
    const items = this.#read(closeOnce)
    const leave = items.return.bind(items)
    const leaveNow: typeof leave = (value) => {
      this.end()
      closeOnce() // what was never read has no finally
      return leave(value)
    }
    return Object.assign(items, { return: leaveNow })
  }

  async *#read(close: () => void): AsyncGenerator<T, void, undefined> {
    try {
      for (;;) {
        this.#pushOmitted()
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

  #pushOmitted(): void {
    if (this.#omitted === 0) return
    this.#items.push(this.#options.omitted(this.#omitted))
    this.#omitted = 0
  }
}
