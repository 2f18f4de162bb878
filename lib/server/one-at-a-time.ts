/** Calls of one name after each other, in this process: the later one finds what the earlier one has left. */
export class OneAtATime {
  readonly #underWay = new Map<string, Promise<unknown>>()

  async run<T>(name: string, act: () => Promise<T>): Promise<T> {
    while (this.#underWay.has(name)) await this.#underWay.get(name)
    const done = act()
    this.#underWay.set(
      name,
      done.catch(() => undefined),
    )
    try {
      return await done
    } finally {
      this.#underWay.delete(name)
    }
  }
}
