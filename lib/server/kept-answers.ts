/**
 * What commands answered that came with an Idempotency-Key: a repeat with the same key gets that answer, at any server of the store, and nothing is done
 * again. Answers are documents, kept for a day, at most some thousand of them. An answer that was lost before it could be kept is given anew: a command
 * of which the store could not know that it was done already passes `nonceOf` on to the store, which knows it by that.
 */
import { createHash } from 'node:crypto'
import type { Backend } from '../backend/backend.js'
import { GraflowError } from '../errors.js'
import { jsonDocument, jsonIn } from './json-documents.js'
import { OneAtATime } from './one-at-a-time.js'
import type { ServerServices } from './services.js'

/** Answers are in several collections, so that commands rarely get in each other's way. */
const COLLECTIONS = 16
const KEPT_MS = 24 * 3_600_000
/** Of a collection. The oldest go first. */
const MOST_KEPT = 500
/** Larger ones are not kept; none of a command is. */
const MOST_BYTES = 64 * 1024
const MOST_TRIES = 20
/** The document that names the others of its collection, oldest first. */
const ORDER = 'order'

/** A request, by what makes it the same as another. */
export interface KeyedRequest {
  readonly key: string
  readonly method: string
  readonly path: string
  /** What it asks for beside that: query and body. */
  readonly asked: string
}

/** What was answered. */
export interface KeptAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

interface Stored extends KeptAnswer {
  /** When, in milliseconds since the epoch. */
  readonly at: number
  readonly digest: string
}

type Order = readonly (readonly [name: string, at: number])[]

const hashOf = (...texts: readonly string[]): string =>
  createHash('sha256').update(texts.join('\n')).digest('hex').slice(0, 32)
/** Names its key, at its method and path. */
export const nameOf = ({ method, path, key }: KeyedRequest): string => hashOf(method, path, key)
/** Names what it asks for. */
export const digestOf = ({ asked }: KeyedRequest): string => hashOf(asked)
const collectionOf = (name: string): string => `answers-${Number.parseInt(name.slice(0, 8), 16) % COLLECTIONS}`

/** Names the command to the store: the same for a repeat, another for every other. */
export const nonceOf = (request: KeyedRequest): string => `${nameOf(request)}${digestOf(request)}`

/** One a server. */
export class KeptAnswers {
  readonly #services: Pick<ServerServices, 'session' | 'clock' | 'newId' | 'log'>
  readonly #turns = new OneAtATime()

  constructor(services: Pick<ServerServices, 'session' | 'clock' | 'newId' | 'log'>) {
    this.#services = services
  }

  /**
   * The kept answer, or what `act` answers, which is kept from then on; undefined where it is nothing to be kept.
   * @throws GraflowError KEY_REUSED where the key came with another request before
   */
  async once(request: KeyedRequest, act: () => Promise<KeptAnswer | undefined>): Promise<KeptAnswer | undefined> {
    return this.#turns.run(nameOf(request), () => this.#answer(request, act))
  }

  async #answer(request: KeyedRequest, act: () => Promise<KeptAnswer | undefined>): Promise<KeptAnswer | undefined> {
    const name = nameOf(request)
    const [found] = (await this.#store.inspect.documents(collectionOf(name), [name])).documents
    const kept = this.#fresh(found)
    if (kept !== undefined) return sameAs(kept, request)
    const answer = await act()
    if (answer === undefined || Buffer.byteLength(answer.body) > MOST_BYTES) return answer
    try {
      return await this.#keep(name, { ...answer, at: this.#services.clock.now(), digest: digestOf(request) })
    } catch (error) {
      // it was done, and its caller is to know that
      this.#services.log('debug', 'an answer to a command with an Idempotency-Key was not kept', { error })
      return answer
    }
  }

  /** Keeps an answer; where another server has kept one meanwhile, that one counts. */
  async #keep(name: string, answer: Stored): Promise<KeptAnswer> {
    const collection = collectionOf(name)
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      const { revision, documents } = await this.#store.inspect.documents(collection, [ORDER, name])
      const other = this.#fresh(documents[1])
      if (other !== undefined) return other
      const order = [
        ...(jsonIn<Order>(documents[0]) ?? []).filter(([known]) => known !== name),
        [name, answer.at] as const,
      ]
      const old = (at: number, i: number): boolean => at + KEPT_MS < answer.at || i < order.length - MOST_KEPT
      const left = order.filter(([, at], i) => !old(at, i))
      const written = await this.#store.writeDocuments({
        ...{ collection, nonce: this.#services.newId(), ifRevision: revision },
        put: [jsonDocument(ORDER, left), jsonDocument(name, answer)],
        remove: order.filter(([, at], i) => old(at, i)).map(([gone]) => gone),
      })
      if (written.status !== 'conflict') return answer // a store that is full keeps none
    }
    return answer
  }

  #fresh(bytes: Uint8Array | undefined): Stored | undefined {
    const stored = jsonIn<Stored>(bytes)
    return stored !== undefined && stored.at + KEPT_MS >= this.#services.clock.now() ? stored : undefined
  }

  get #store(): Backend {
    return this.#services.session.store
  }
}

function sameAs(kept: Stored, request: KeyedRequest): KeptAnswer {
  if (kept.digest === digestOf(request)) return kept
  throw keyReused(request.key)
}

/** What is thrown where a key comes with something else than before. */
export const keyReused = (key: string): GraflowError =>
  new GraflowError(
    'KEY_REUSED',
    `idempotency-key: expected the request that "${key}" came with before, got another one: take a new key for a new command`,
    { details: { idempotencyKey: key } },
  )

/**
 * What a start with a key met, where the store knows the key of another start: the answer to that one is kept no more.
 * @param id of the run, where it was given: another run with that id is no matter of the key
 */
export const asReused = (error: unknown, key: string | undefined, id?: string): unknown =>
  key !== undefined && error instanceof GraflowError && error.code === 'RUN_EXISTS' && error.details['runId'] !== id
    ? keyReused(key)
    : error
