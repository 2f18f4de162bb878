/** Something that callers wait for. Code that may have made it true calls `check`. */
export class Condition {
  readonly #isMet: () => boolean
  #waiting: (() => void)[] = []

  constructor(isMet: () => boolean) {
    this.#isMet = isMet
  }

  get isAwaited(): boolean {
    return this.#waiting.length > 0
  }

  /** Resolves at the first `check` that finds it met. */
  met(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
    })
  }

  check(): void {
    if (this.#waiting.length === 0 || !this.#isMet()) return
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
