/**
 * Events that are on their way through several runs, as the store keeps them until they are through: whoever finds one whose process is gone carries it
 * on. The ids of its runs follow from its own, so doing a part of it twice starts nothing twice.
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
  /** The session that carries it. */
  readonly owner: string
}

const COLLECTION = 'injections'
const VERSION = 1
/** Of them that are looked at together. */
const PAGE = 100

export class InjectionStore {
  readonly #backend: Pick<Backend, 'inspect' | 'writeDocuments'>
  readonly #newId: NewId

  constructor(backend: Pick<Backend, 'inspect' | 'writeDocuments'>, newId: NewId) {
    this.#backend = backend
    this.#newId = newId
  }

  /** False where it has another revision. @throws GraflowError BACKPRESSURE, NOT_SERIALISABLE */
  async put(injection: StoredInjection, ifRevision?: number): Promise<boolean> {
    const bytes = encode({ v: VERSION, ...injection }, 'the event')
    const answer = await this.#backend.writeDocuments({
      ...{ collection: COLLECTION, nonce: this.#newId(), remove: [], put: [{ name: injection.id, bytes }] },
      ...(ifRevision !== undefined && { ifRevision }),
    })
    if (answer.status === 'backpressure')
      throw new GraflowError('BACKPRESSURE', 'the store is full, so the event was not taken: try again later')
    return answer.status === 'ok'
  }

  async remove(id: string): Promise<void> {
    await this.#backend.writeDocuments({ collection: COLLECTION, nonce: this.#newId(), put: [], remove: [id] })
  }

  /** Those whose owner does not live, each with the revision at which it was read. What cannot be read is left. */
  async orphans(): Promise<readonly (readonly [injection: StoredInjection, revision: number])[]> {
    const { inspect } = this.#backend
    const names = await inspect.documentNames(COLLECTION)
    const orphans: (readonly [StoredInjection, number])[] = []
    for (let from = 0; from < names.length; from += PAGE) {
      const { revision, documents } = await inspect.documents(COLLECTION, names.slice(from, from + PAGE))
      // after the documents: an owner that has come since is among them
      const live = new Set((await inspect.sessions()).map(({ session }) => session))
      const found = documents.flatMap((bytes) => (bytes === undefined ? [] : injectionIn(bytes)))
      orphans.push(...found.filter(({ owner }) => !live.has(owner)).map((one) => [one, revision] as const))
    }
    return orphans
  }
}

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
  ['id', 'groupId', 'eventType', 'owner'].every((key) => typeof (value as Record<string, unknown>)[key] === 'string')
