/**
 * Events that are on their way through several runs, as the store keeps them until they are through: whoever finds one whose process is gone carries it
 * on. The ids of its runs follow from its own, so doing a part of it twice starts nothing twice. Each call that carries an event has a document of its own,
 * whose name says which session that is: no call touches that of another, and a look at the names finds those that nobody carries.
 */
import type { Backend } from '../../backend/backend.js'
import { GraflowError } from '../../errors.js'
import type { NewId } from '../../time.js'
import { decode, encode } from '../../values/codec.js'

/** An event on its way. */
export interface StoredInjection {
  readonly id: string
  readonly groupId: string
  readonly eventType: string
  readonly fields: unknown
}

/** An event that was taken over, and the name of its document. */
export interface TakenInjection {
  readonly name: string
  readonly injection: StoredInjection
}

const COLLECTION = 'injections'
const VERSION = 1
/** Of them that are taken over together. */
const PAGE = 50
/** Others that change the collection at the same time may come first so often. */
const MOST_TRIES = 100

export class InjectionStore {
  readonly #backend: Pick<Backend, 'inspect' | 'writeDocuments'>
  readonly #newId: NewId

  constructor(backend: Pick<Backend, 'inspect' | 'writeDocuments'>, newId: NewId) {
    this.#backend = backend
    this.#newId = newId
  }

  /** A name for one more document of a session. */
  nameFor(session: string): string {
    return `${session}/${this.#newId()}`
  }

  /** @throws GraflowError BACKPRESSURE, NOT_SERIALISABLE */
  async put(name: string, injection: StoredInjection): Promise<void> {
    const put = [{ name, bytes: encode({ v: VERSION, ...injection }, 'the event') }]
    const answer = await this.#backend.writeDocuments({ ...this.#change(), put, remove: [] })
    if (answer.status === 'backpressure') throw full()
  }

  async remove(name: string): Promise<void> {
    await this.#backend.writeDocuments({ ...this.#change(), put: [], remove: [name] })
  }

  /** Names of those that no live session carries; of those of this session, whatever it does not carry (any more). */
  async orphans(session: string, isCarried: (name: string) => boolean): Promise<readonly string[]> {
    const { inspect } = this.#backend
    const names = await inspect.documentNames(COLLECTION)
    if (names.length === 0) return []
    // after the names: an owner that has come since is among them
    const live = new Set((await inspect.sessions()).map((one) => one.session))
    return names.filter((name) => {
      const owner = ownerOf(name)
      return owner === session ? !isCarried(name) : !live.has(owner)
    })
  }

  /**
   * Makes them the session's own, page by page; those that others have taken meanwhile, or that were over, are left out. What cannot be read is left as
   * it is. @throws GraflowError BACKPRESSURE
   */
  async *takeOver(session: string, orphans: readonly string[]): AsyncGenerator<readonly TakenInjection[]> {
    for (let from = 0; from < orphans.length; from += PAGE)
      yield await this.#takePage(session, orphans.slice(from, from + PAGE))
  }

  /** One write for all of them: each change of the collection by anybody makes a try fail, so tries are to be few. */
  async #takePage(session: string, orphans: readonly string[]): Promise<readonly TakenInjection[]> {
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      const { revision, documents } = await this.#backend.inspect.documents(COLLECTION, orphans)
      const found = orphans.flatMap((before, i) => {
        const bytes = documents[i]
        return bytes === undefined
          ? []
          : injectionIn(bytes).map((injection) => ({ before, bytes, name: this.nameFor(session), injection }))
      })
      if (found.length === 0) return []
      const change = { ...this.#change(), put: found, remove: found.map(({ before }) => before), ifRevision: revision }
      const answer = await this.#backend.writeDocuments(change)
      if (answer.status === 'ok') return found
      if (answer.status === 'backpressure') throw full()
    }
    return [] // they are there at the next look
  }

  #change(): { readonly collection: string; readonly nonce: string } {
    return { collection: COLLECTION, nonce: this.#newId() }
  }
}

const ownerOf = (name: string): string => name.slice(0, Math.max(0, name.lastIndexOf('/')))

const full = (): GraflowError =>
  new GraflowError('BACKPRESSURE', 'the store is full, so the event was not taken: try again later')

function injectionIn(bytes: Uint8Array): readonly StoredInjection[] {
  try {
    const value = decode(bytes)
    return isInjection(value) ? [value] : []
  } catch {
    return [] // damaged, or of a newer release
  }
}

const isInjection = (value: unknown): value is StoredInjection =>
  typeof value === 'object' &&
  value !== null &&
  (value as { readonly v?: unknown }).v === VERSION &&
  ['id', 'groupId', 'eventType'].every((key) => typeof (value as Record<string, unknown>)[key] === 'string')
