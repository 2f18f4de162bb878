/**
 * What was begun by requests with an Idempotency-Key, such as runs: a repeat finds it again, at any server of the store. The store itself knows the run of
 * a key, as long as there is one: this only says that a request is a repeat, also once the run was deleted, and spares a repeat all that a start looks at.
 * So it may be forgotten. It is some thousand short lines, apart from answers to other commands, however many runs are started a second: a key
 * has its place in one of some small lists, where the newest push out the oldest.
 */
import type { Backend } from '../backend/backend.js'
import { jsonDocument, jsonIn } from './json-documents.js'
import { digestOf, type KeyedRequest, keyReused, nameOf } from './kept-answers.js'
import { OneAtATime } from './one-at-a-time.js'
import type { ServerServices } from './services.js'

/** Lists are in many collections, so that starts rarely get in each other's way. */
const COLLECTIONS = 64
const LISTS = 16
const MOST_IN_LIST = 8
const KEPT_MS = 24 * 3_600_000
/** What takes more is not kept. */
const MOST_BYTES = 16 * 1024
const MOST_TRIES = 20

/** What a request has begun. */
interface Known {
  readonly name: string
  readonly at: number
  readonly digest: string
  /** What finds it again. */
  readonly begun: string
}

/** What was begun by a key that comes with something else. */
export interface BegunByKey {
  readonly begun: string
  /** @throws GraflowError KEY_REUSED */
  readonly refuse: () => never
}

/** One a server. */
export class BegunCommands {
  readonly #services: Pick<ServerServices, 'session' | 'clock' | 'newId' | 'log'>
  readonly #turns = new OneAtATime()

  constructor(services: Pick<ServerServices, 'session' | 'clock' | 'newId' | 'log'>) {
    this.#services = services
  }

  /**
   * What was begun by the key, or what `begin` answers.
   * @param begin gets what the key has begun where it came with something else
   */
  async once(
    request: KeyedRequest,
    begin: (other: BegunByKey | undefined) => Promise<string>,
  ): Promise<{ readonly begun: string; readonly isRepeat: boolean }> {
    const name = nameOf(request)
    return this.#turns.run(name, async () => {
      const place = placeOf(name)
      const { revision, known } = await this.#read(place)
      const earlier = known.find((one) => one.name === name)
      if (earlier?.digest === digestOf(request)) return { begun: earlier.begun, isRepeat: true }
      if (earlier !== undefined) {
        const refuse = (): never => {
          throw keyReused(request.key)
        }
        return { begun: await begin({ begun: earlier.begun, refuse }), isRepeat: true }
      }
      const begun = await begin(undefined)
      const own = { name, at: this.#services.clock.now(), digest: digestOf(request), begun }
      await this.#keep(place, own, revision, known).catch((error: unknown) => {
        // it was begun, and its caller is to know that
        this.#services.log('debug', 'what a request with an Idempotency-Key has begun was not kept', { error })
      })
      return { begun, isRepeat: false }
    })
  }

  async #keep({ collection, list }: Place, own: Known, revision: number, known: readonly Known[]): Promise<void> {
    if (Buffer.byteLength(own.begun) > MOST_BYTES) return
    let seen = { revision, known }
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      if (seen.known.some(({ name }) => name === own.name)) return // by another server, which has begun the same
      const left = [...seen.known.slice(1 - MOST_IN_LIST), own]
      const written = await this.#store.writeDocuments({
        ...{ collection, nonce: this.#services.newId(), ifRevision: seen.revision },
        put: [jsonDocument(list, left)],
        remove: [],
      })
      if (written.status !== 'conflict') return // a store that is full keeps none
      seen = await this.#read({ collection, list })
    }
  }

  /** Those that are not too old. */
  async #read({ collection, list }: Place): Promise<{ readonly revision: number; readonly known: readonly Known[] }> {
    const { revision, documents } = await this.#store.inspect.documents(collection, [list])
    const since = this.#services.clock.now() - KEPT_MS
    const known = jsonIn<unknown>(documents[0])
    return { revision, known: Array.isArray(known) ? known.filter(isKnown).filter(({ at }) => at >= since) : [] }
  }

  get #store(): Backend {
    return this.#services.session.store
  }
}

/** Anything else is damaged, or of a newer release. */
function isKnown(one: unknown): one is Known {
  if (typeof one !== 'object' || one === null) return false
  const { at, name, digest, begun } = one as Readonly<Partial<Record<keyof Known, unknown>>>
  return typeof at === 'number' && [name, digest, begun].every((text) => typeof text === 'string')
}

interface Place {
  readonly collection: string
  readonly list: string
}

function placeOf(name: string): Place {
  const number = Number.parseInt(name.slice(0, 8), 16)
  return {
    collection: `begun-${number % COLLECTIONS}`,
    list: `${Math.floor(number / COLLECTIONS) % LISTS}`,
  }
}
