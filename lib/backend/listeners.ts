/** Who listens to what, by name. If a listener throws, the others are called all the same; its error becomes an uncaught exception. */
export class Listeners<T> {
  readonly #byName = new Map<string, Set<(message: T) => void>>()

  has(name: string): boolean {
    return this.#byName.has(name)
  }

  /** Every name that has a listener. */
  get names(): readonly string[] {
    return [...this.#byName.keys()]
  }

  /** Adds a listener and returns what removes it; removing it twice does nothing. */
  add(name: string, listener: (message: T) => void): () => void {
    const own = (message: T): void => listener(message)
    const known = this.#byName.get(name) ?? new Set()
    this.#byName.set(name, known.add(own))
    return () => {
      const listeners = this.#byName.get(name)
      listeners?.delete(own)
      if (listeners?.size === 0) this.#byName.delete(name)
    }
  }

  notify(name: string, message: T): void {
    for (const listener of [...(this.#byName.get(name) ?? [])]) {
      try {
        listener(message)
      } catch (error) {
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }

  clear(): void {
    this.#byName.clear()
  }
}
