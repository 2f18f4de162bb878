/** Holds handlers that run in the test's own process. For those in other processes see ledger.ts. */

/** A gate that handlers wait at, and how many wait. */
export class Gate {
  waiting = 0
  most = 0
  #open: () => void = () => undefined
  readonly #opened = new Promise<void>((resolve) => {
    this.#open = resolve
  })
  readonly #onPass = new Set<() => void>()

  async pass(signal?: AbortSignal): Promise<void> {
    this.waiting += 1
    this.most = Math.max(this.most, this.waiting)
    for (const look of this.#onPass) look()
    try {
      await new Promise<void>((resolve, reject) => {
        void this.#opened.then(resolve)
        signal?.addEventListener('abort', () => reject(signal.reason as Error))
      })
    } finally {
      this.waiting -= 1
    }
  }

  open(): void {
    this.#open()
  }

  /** Resolves when so many wait. */
  reached(count: number): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (this.waiting < count) return
        this.#onPass.delete(look)
        resolve()
      }
      this.#onPass.add(look)
      look()
    })
  }
}
