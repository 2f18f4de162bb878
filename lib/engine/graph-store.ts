/**
 * Graphs as this process knows them: by hash, with the code that a run uses. A graph is uploaded only when its first group starts, once;
 * it is fetched by hash when a branch of an unknown graph arrives, and checked against it. A store may lose a graph that is in use: who
 * waits for a group uploads it again, and who needs it meanwhile waits a little.
 */
import { LRUCache } from 'lru-cache'
import type { Backend } from '../backend/backend.js'
import { GraflowError } from '../errors.js'
import { graphHash } from '../graph/canonical.js'
import type { Graph } from '../graph/graph.js'
import { GRAPH_LIMITS, type GraphLimits } from '../graph/limits.js'
import { compressGraph, decompressGraph } from '../graph/compressed-graph.js'
import { elapsedMs, type Clock, type Random } from '../time.js'

/** Hashes of which it is known that the store has had the graph. */
const MOST_UPLOADED = 10_000

/** How long an upload is trusted: far less than a store keeps an unused graph. */
const TRUSTED_MS = 3_600_000

/** How long work waits for a graph that the store has lost, and how often it asks. */
const LOST_WAIT_MS = 10_000
const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 500

export interface GraphStoreOptions {
  readonly backend: Pick<Backend, 'putGraph' | 'getGraph' | 'hasGraph'>
  readonly clock: Clock
  readonly random: Random
  /** The largest compressed graph that is uploaded from here, or loaded. */
  readonly graphBytes: number
  /** Graphs kept in memory; the one that was not used for longest goes first. */
  readonly graphs: number
}

/** One a process. */
export class GraphStore {
  readonly #parts: GraphStoreOptions
  readonly #known: LRUCache<string, Graph>
  /** When the store was last known to have them. Bounded by size, since a bound by number takes the room of all at once: 1 ms a client. */
  readonly #uploaded = new LRUCache<string, number>({ maxSize: MOST_UPLOADED, sizeCalculation: () => 1 })
  readonly #coming = new Map<string, Promise<Graph>>()
  readonly #putting = new Map<string, Promise<void>>()
  #hits = 0

  constructor(parts: GraphStoreOptions) {
    this.#parts = parts
    this.#known = new LRUCache({ max: parts.graphs })
  }

  /** Graphs that work needed and that were here, since the process started. */
  get hits(): number {
    return this.#hits
  }

  /** Keeps a graph and gives its hash. */
  keep(graph: Graph): string {
    const hash = graphHash(graph)
    this.#known.set(hash, graph)
    return hash
  }

  /** @throws GraflowError NO_GRAPH when the store does not have it, INTEGRITY when what it has is something else */
  async load(hash: string): Promise<Graph> {
    const graph = this.#known.get(hash) ?? (await this.#fetch(hash))
    if (graph === undefined) throw noGraph(hash)
    return graph
  }

  /**
   * As `load`, for work that was granted: where the store has lost the graph, the driver that awaits the work is about to upload it again, so it
   * is asked for up to 10 s. The grant stays held meanwhile, and no attempt is spent.
   * @throws GraflowError NO_GRAPH, INTEGRITY
   */
  loadForWork(hash: string): Promise<Graph> {
    const known = this.#known.get(hash)
    if (known !== undefined) return Promise.resolve(known)
    const coming = this.#coming.get(hash) ?? this.#await(hash).finally(() => this.#coming.delete(hash))
    this.#coming.set(hash, coming)
    return coming
  }

  /** The graph if it is here already: the path that costs nothing. */
  peek(hash: string): Graph | undefined {
    const graph = this.#known.get(hash)
    if (graph !== undefined) this.#hits += 1
    return graph
  }

  /** Whether the store is known to have the graph: then there is nothing to wait for. */
  isUploaded(hash: string): boolean {
    const uploadedAt = this.#uploaded.get(hash)
    return uploadedAt !== undefined && elapsedMs(this.#parts.clock) - uploadedAt < TRUSTED_MS
  }

  /**
   * Sees to it that workers can load the graph. Repeating it is safe and free.
   * @throws GraflowError BACKPRESSURE, LIMIT_EXCEEDED
   */
  async upload(hash: string, graph: Graph, isLost = false): Promise<void> {
    if (!isLost) {
      if (this.isUploaded(hash)) return
      if (this.#uploaded.has(hash) && (await this.#isKept(hash))) return
    }
    await this.#put(hash, graph)
  }

  /**
   * Asks whether the store still has a graph that work in flight needs, and uploads it if not; asking keeps it there for another while.
   * True when it was gone.
   * @throws GraflowError BACKPRESSURE
   */
  async restore(hash: string, graph: Graph): Promise<boolean> {
    if (await this.#isKept(hash)) return false
    await this.#put(hash, graph)
    return true
  }

  async #isKept(hash: string): Promise<boolean> {
    const isKept = await this.#parts.backend.hasGraph(hash)
    if (isKept) this.#uploaded.set(hash, elapsedMs(this.#parts.clock))
    return isKept
  }

  /** Runs that begin at once upload their graph once. */
  #put(hash: string, graph: Graph): Promise<void> {
    const putting = this.#putting.get(hash) ?? this.#send(hash, graph).finally(() => this.#putting.delete(hash))
    this.#putting.set(hash, putting)
    return putting
  }

  async #send(hash: string, graph: Graph): Promise<void> {
    const { backend, clock } = this.#parts
    const packed = compressGraph(graph, this.#limits)
    const answer = await backend.putGraph(hash, packed.bytes)
    if (answer === 'backpressure') throw fullStore('the graph')
    this.#uploaded.set(hash, elapsedMs(clock))
  }

  get #limits(): GraphLimits {
    return { ...GRAPH_LIMITS, compressedBytes: this.#parts.graphBytes }
  }

  async #fetch(hash: string): Promise<Graph | undefined> {
    const bytes = await this.#parts.backend.getGraph(hash)
    if (bytes === undefined) return undefined
    const graph = decompressGraph(bytes, hash, this.#limits)
    this.#known.set(hash, graph)
    return graph
  }

  async #await(hash: string): Promise<Graph> {
    const { clock, random } = this.#parts
    const until = elapsedMs(clock) + LOST_WAIT_MS
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)) {
      const graph = await this.#fetch(hash)
      if (graph !== undefined) return graph
      if (elapsedMs(clock) >= until) throw noGraph(hash)
      await new Promise<void>((resolve) => clock.after(pauseMs * (1 + random() / 2), resolve))
    }
  }
}

const noGraph = (hash: string): GraflowError =>
  new GraflowError('NO_GRAPH', `the store does not have graph ${hash}: its producer must upload it again`, {
    details: { graph: hash },
  })

/** The error for work that the store cannot take now. */
export const fullStore = (what: string): GraflowError =>
  new GraflowError(
    'BACKPRESSURE',
    `the store is full and did not take ${what}: wait until runs have finished, or give it more memory`,
  )
