/**
 * Events that are on their way through several runs, as the store keeps them until they are through: whoever finds one whose process is gone carries it
 * on. The ids of its runs follow from its own, so doing a part of it twice starts nothing twice. Each call that carries an event has a document of its own,
 * whose name says which session that is: no call touches that of another, and a look at the names finds those that nobody carries.
 */
import { createHash } from 'node:crypto'
import type { Backend } from '../../backend/backend.js'
import { GraflowError } from '../../errors.js'
import type { NewId } from '../../time.js'
import type { StartedRun } from './journey.js'
import { decode, encode } from '../../values/codec.js'

/** An event on its way. */
export interface StoredInjection {
  readonly id: string
  readonly groupId: string
  readonly eventType: string
  readonly fields: unknown
  /** Names who carries it among all who carry the same event; it stays where another process carries it on. */
  readonly carrier: string
}

/** An event that was taken over, and the name of its document. */
export interface TakenInjection {
  readonly name: string
  readonly injection: StoredInjection
}

const COLLECTION = 'injections'
/** Each event in one of so many, since each change of one by anybody makes a try fail. */
const COLLECTIONS = 16
/** What was started of an event, by the id of the event: all who carry it know that a run which is not there was deleted. */
const startedOf = (id: string): string =>
  `injections-started-${Number.parseInt(createHash('sha256').update(id).digest('hex').slice(0, 4), 16) % COLLECTIONS}`
const VERSION = 1

/** What was started of an event, and who carries it. */
interface StartedList {
  readonly started: readonly StartedRun[]
  readonly carriers: readonly string[]
}

export interface StartedLog {
  /** Adds what one who begins to carry it knows; resolves when it is kept. @throws GraflowError what the store throws */
  readonly join: (known: readonly StartedRun[]) => Promise<void>
  /** Adds to it, before long. */
  readonly keep: (started: readonly StartedRun[]) => void
  /** It is through for this one. */
  readonly end: () => Promise<void>
}

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

  /** An event that does not go on. */
  async forget(name: string, id: string): Promise<void> {
    await this.#changeStarted(id, () => undefined)
    await this.remove(name)
  }

  /** What was started of an event that is not through. */
  async started(id: string): Promise<readonly StartedRun[]> {
    return (await this.#readStarted(id)).list.started
  }

  /**
   * What was started of an event, for one of those who carry it: it is theirs together, and forgotten with the last of them. Written one write at a time:
   * of several lists that come meanwhile the last one counts.
   */
  startedLog({ id, carrier }: Pick<StoredInjection, 'id' | 'carrier'>): StartedLog {
    let next: readonly StartedRun[] | undefined
    let writing: Promise<void> | undefined
    const add = (started: readonly StartedRun[]): Promise<void> =>
      this.#changeStarted(id, (list) => ({
        started: [...new Map([...list.started, ...started].map((one) => [one.way, one])).values()],
        carriers: [...new Set([...list.carriers, carrier])],
      }))
    const write = async (): Promise<void> => {
      for (let list = next; list !== undefined; list = next) {
        next = undefined
        // a full store, or one that is away: it is known as long as this process lives
        await add(list).catch(() => undefined)
      }
      writing = undefined
    }
    return {
      join: add,
      keep: (started) => {
        next = started
        writing ??= write()
      },
      end: async () => {
        await writing
        await this.#changeStarted(id, ({ started, carriers }) => {
          const others = carriers.filter((one) => one !== carrier)
          return others.length === 0 ? undefined : { started, carriers: others }
        })
      },
    }
  }

  async #readStarted(id: string): Promise<{ readonly revision: number; readonly list: StartedList }> {
    const { revision, documents } = await this.#backend.inspect.documents(startedOf(id), [id])
    return { revision, list: startedIn(documents[0]) }
  }

  /** Changes what was started of an event as it is now; `change` gives undefined where it is to be forgotten. */
  async #changeStarted(id: string, change: (list: StartedList) => StartedList | undefined): Promise<void> {
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      const { revision, list } = await this.#readStarted(id)
      const next = change(list)
      const put = next && [{ name: id, bytes: encode({ v: VERSION, ...next }, 'what was started') }]
      const answer = await this.#backend.writeDocuments({
        ...{ collection: startedOf(id), nonce: this.#newId(), ifRevision: revision },
        ...{ put: put ?? [], remove: put === undefined ? [id] : [] },
        ...(next !== undefined && next.carriers.length < list.carriers.length && { isFreeing: true }),
      })
      if (answer.status !== 'conflict') return
    }
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
   * it is.
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
      // in place of as many bytes: also an event whose group was torn down must go from a full store
      const answer = await this.#backend.writeDocuments({ ...change, isFreeing: true })
      if (answer.status === 'ok') return found
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
    // those of an earlier build say no carrier
    return isInjection(value) ? [{ carrier: '', ...value }] : []
  } catch {
    return [] // damaged, or of a newer release
  }
}

const isInjection = (value: unknown): value is Omit<StoredInjection, 'carrier'> & Partial<StoredInjection> =>
  typeof value === 'object' &&
  value !== null &&
  (value as { readonly v?: unknown }).v === VERSION &&
  ['id', 'groupId', 'eventType'].every((key) => typeof (value as Record<string, unknown>)[key] === 'string')

function startedIn(bytes: Uint8Array | undefined): StartedList {
  const none: StartedList = { started: [], carriers: [] }
  try {
    const value = bytes === undefined ? undefined : (decode(bytes) as Partial<StartedList> & { readonly v: unknown }) // as it was written above
    if (value?.v !== VERSION || !Array.isArray(value.started)) return none
    return { started: value.started, carriers: value.carriers ?? [] }
  } catch {
    return none // damaged, or of a newer release
  }
}
