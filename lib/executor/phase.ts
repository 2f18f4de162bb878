/** How far an executor is in its life: the parts that start something new ask here. It only goes on, never back. */
export class Phase {
  #current: 'taking' | 'quiet' | 'stopped' = 'taking'

  /** `taking`: acquires and starts; `quiet`: finishes what it has started; `stopped`: only sends what is unsettled. */
  get current(): 'taking' | 'quiet' | 'stopped' {
    return this.#current
  }

  /** False when it was quiet already. */
  quiet(): boolean {
    if (this.#current !== 'taking') return false
    this.#current = 'quiet'
    return true
  }

  stop(): void {
    this.#current = 'stopped'
  }
}
