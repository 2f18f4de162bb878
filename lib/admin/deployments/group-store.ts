/**
 * Groups of pipelines as the store keeps them: a document for what was deployed, which never changes, one for the places, and one that keeps the name. Who
 * decides by what it has read writes only if nobody has written since, so any number of processes may deploy and place at once.
 */
import { createHash } from 'node:crypto'
import type { Backend, DocumentsFound, DocumentsRequest } from '../../backend/backend.js'
import { GraflowError } from '../../errors.js'
import type { PipelineSpec } from '../../producer/deployment-types.js'
import type { NewId } from '../../time.js'
import type { CheckedGroup } from './specs.js'

/** What was deployed. */
export interface StoredGroup extends Omit<CheckedGroup, 'pipelines'> {
  readonly id: string
  readonly createdAt: number
  readonly pipelines: readonly StoredPipeline[]
}
export interface StoredPipeline extends PipelineSpec {
  /** Its source is the name of a workflow. */
  readonly isWorkflow: boolean
  /** What it needs handlers for; of a workflow what it needed when it was deployed. */
  readonly tasks: readonly string[]
}

/** The worker of each pipeline that has one. */
export type Places = ReadonlyMap<string, string>

/** A group, and the places of its pipelines as they were decided last. */
export interface GroupFound {
  readonly group: StoredGroup
  readonly places: Places
}

/** What a decision is made by, at one moment. */
export interface Seen {
  /** Of the group that has the name, if one does. */
  readonly named: GroupFound | undefined
  /** Of the groups that were asked for those that are there and can be read, by id. */
  readonly found: ReadonlyMap<string, GroupFound>
  /** The worker that was taken last in turn. */
  readonly cursor: string
  /** How many pipelines each worker has, where that was asked. */
  readonly placed: ReadonlyMap<string, number>
  readonly groups: number
}

/** What is decided; undefined: nothing is to be written. */
export interface Change {
  readonly group?: StoredGroup
  readonly places?: readonly { readonly id: string; readonly places: Places }[]
  readonly cursor?: string
}

/** What decisions are about: the group of a name, or groups by their ids; and whether they need to know what each worker has. */
interface About {
  readonly name?: string
  readonly ids?: readonly string[]
  readonly withLoads: boolean
}

const COLLECTION = 'pipeline-groups'
const CURSOR = 'cursor'
const specName = (id: string): string => `spec:${id}`
const placesName = (id: string): string => `places:${id}`
const nameName = (name: string): string => `name:${name}`
/** Others that change the collection at the same time may come first so often. */
const MOST_TRIES = 100
/** Documents asked for at once. */
const PAGE = 100

const VERSION = 1
const bytesOf = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value))

export class GroupStore {
  readonly #backend: Pick<Backend, 'inspect' | 'writeDocuments'>
  readonly #newId: NewId

  constructor(backend: Pick<Backend, 'inspect' | 'writeDocuments'>, newId: NewId) {
    this.#backend = backend
    this.#newId = newId
  }

  /** @throws GraflowError INTEGRITY for one that cannot be read */
  async get(id: string): Promise<GroupFound | undefined> {
    const { documents } = await this.#read([specName(id), placesName(id)])
    return foundIn(id, documents[0], documents[1])
  }

  async has(id: string): Promise<boolean> {
    const { documents } = await this.#read([specName(id)])
    return documents[0] !== undefined
  }

  /** Of what is stored of a group, also of one that cannot be read; empty where there is none. */
  async digest(id: string): Promise<string> {
    const [spec] = (await this.#read([specName(id)])).documents
    return spec === undefined ? '' : createHash('sha256').update(spec).digest('hex')
  }

  /** Ids of all groups, sorted. */
  async ids(): Promise<readonly string[]> {
    const names = await this.#backend.inspect.documentNames(COLLECTION)
    return names.flatMap((name) => (name.startsWith('spec:') ? [name.slice('spec:'.length)] : [])).sort()
  }

  /** Those of them that are there and can be read. */
  async some(ids: readonly string[]): Promise<readonly GroupFound[]> {
    const found: GroupFound[] = []
    for (let from = 0; from < ids.length; from += PAGE) {
      const page = ids.slice(from, from + PAGE)
      const { documents } = await this.#read(page.flatMap((id) => [specName(id), placesName(id)]))
      found.push(...page.flatMap((id, i) => readable(id, documents[2 * i], documents[2 * i + 1])))
    }
    return found
  }

  /**
   * Decides by what the store has, and writes it; decides again where another has written meanwhile.
   * @throws GraflowError BACKPRESSURE, and what `decide` throws
   */
  change(about: About, decide: (seen: Seen) => Change | undefined): Promise<void> {
    return this.#write(async () => {
      const { revision, ...seen } = await this.#look(about)
      const change = decide(seen)
      return change && { ifRevision: revision, put: documentsOf(change), remove: [] }
    })
  }

  /** Takes a group away, also one that cannot be read. False where there is none. */
  async remove(id: string): Promise<boolean> {
    let isThere = false
    await this.#write(async () => {
      const names = (await this.#backend.inspect.documentNames(COLLECTION)).filter((name) => name.startsWith('name:'))
      const { revision, documents } = await this.#read([specName(id), ...names])
      const [spec, ...owners] = documents
      isThere ||= spec !== undefined
      if (spec === undefined) return undefined
      const own = names.filter((_, i) => owners[i] !== undefined && textOf(owners[i]) === id)
      return { ifRevision: revision, put: [], remove: [specName(id), placesName(id), ...own] }
    })
    return isThere
  }

  async #write(
    decide: () => Promise<Pick<DocumentsRequest, 'ifRevision' | 'put' | 'remove'> | undefined>,
  ): Promise<void> {
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      const change = await decide()
      if (change === undefined) return
      const answer = await this.#backend.writeDocuments({ collection: COLLECTION, nonce: this.#newId(), ...change })
      if (answer.status === 'ok') return
      if (answer.status === 'backpressure')
        throw new GraflowError(
          'BACKPRESSURE',
          'the store is full, so nothing can be deployed or placed: try again later',
        )
    }
    throw new GraflowError('INTERNAL', `expected to change ${COLLECTION} within ${MOST_TRIES} tries`)
  }

  async #look({ name, ids: asked = [], withLoads }: About): Promise<Seen & { readonly revision: number }> {
    const ids = await this.ids()
    const placed = withLoads ? await this.#loads(ids) : new Map<string, number>()
    const own = asked.flatMap((id) => [specName(id), placesName(id)])
    const { revision, documents } = await this.#read([...own, CURSOR, ...(name === undefined ? [] : [nameName(name)])])
    const [cursor, named] = documents.slice(own.length)
    const found = asked.flatMap((id, i) => readable(id, documents[2 * i], documents[2 * i + 1]))
    return {
      revision,
      found: new Map(found.map((one) => [one.group.id, one])),
      named: named === undefined ? undefined : await this.get(textOf(named)),
      cursor: cursor === undefined ? '' : textOf(cursor),
      placed,
      groups: ids.length,
    }
  }

  /** A hint: places may change while it is read. */
  async #loads(ids: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const loads = new Map<string, number>()
    for (const { places } of await this.some(ids))
      for (const worker of places.values()) loads.set(worker, (loads.get(worker) ?? 0) + 1)
    return loads
  }

  #read(names: readonly string[]): Promise<DocumentsFound> {
    return this.#backend.inspect.documents(COLLECTION, names)
  }
}

const documentsOf = ({ group, places = [], cursor }: Change): DocumentsRequest['put'] => [
  ...(group === undefined
    ? []
    : [
        { name: specName(group.id), bytes: bytesOf({ v: VERSION, ...group }) },
        { name: nameName(group.name), bytes: new TextEncoder().encode(group.id) },
      ]),
  ...places.map(({ id, places: of }) => ({ name: placesName(id), bytes: bytesOf(Object.fromEntries(of)) })),
  ...(cursor === undefined ? [] : [{ name: CURSOR, bytes: new TextEncoder().encode(cursor) }]),
]

const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

function foundIn(id: string, spec: Uint8Array | undefined, places: Uint8Array | undefined): GroupFound | undefined {
  if (spec === undefined) return undefined
  const group = parsed(spec)
  if (!isGroup(group, id))
    throw new GraflowError('INTEGRITY', `pipeline group ${id} cannot be read: tear it down, and deploy it anew`, {
      details: { group: id },
    })
  return { group, places: placesIn(places) }
}

function readable(id: string, spec: Uint8Array | undefined, places: Uint8Array | undefined): readonly GroupFound[] {
  try {
    const found = foundIn(id, spec, places)
    return found === undefined ? [] : [found]
  } catch {
    return [] // damaged, or of a newer release
  }
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(textOf(bytes))
  } catch {
    return undefined
  }
}

/** What this code has written. */
const isGroup = (value: unknown, id: string): value is StoredGroup =>
  typeof value === 'object' &&
  value !== null &&
  (value as { readonly v?: unknown }).v === VERSION &&
  (value as { readonly id?: unknown }).id === id &&
  Array.isArray((value as { readonly pipelines?: unknown }).pipelines) &&
  Array.isArray((value as { readonly routes?: unknown }).routes)

/** Places that cannot be read are none: they are decided anew. */
function placesIn(bytes: Uint8Array | undefined): Places {
  const value = bytes === undefined ? undefined : parsed(bytes)
  if (typeof value !== 'object' || value === null) return new Map()
  return new Map(Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'))
}
