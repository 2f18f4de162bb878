/**
 * Outcomes that came along with the notice of a release: a small group's only chunk, so that its holder need not ask for it.
 * A hint like all notices: each is given out once, and a holder that finds none asks the store.
 */

export interface ReleasedChunk {
  readonly chunk: Buffer
  /** In milliseconds since the epoch, by the store's clock. */
  readonly releasedAt: number
  /** The run has ended with the barrier. */
  readonly hasEndedRun: boolean
}

/** Chunks kept for holders that have not asked yet; more are forgotten, oldest first. */
const MOST_CHUNKS = 256

export class ReleasedChunks {
  readonly #chunks = new Map<string, ReleasedChunk>()

  /** The group is released, and this is all that arrived at its barrier. */
  put(gid: string, released: ReleasedChunk): void {
    this.#chunks.delete(gid)
    this.#chunks.set(gid, released)
    if (this.#chunks.size <= MOST_CHUNKS) return
    for (const oldest of this.#chunks.keys()) {
      this.#chunks.delete(oldest)
      return
    }
  }

  /** The chunk, which is forgotten; undefined when none came. */
  take(gid: string): ReleasedChunk | undefined {
    const chunk = this.#chunks.get(gid)
    if (chunk !== undefined) this.#chunks.delete(gid)
    return chunk
  }
}
