/**
 * Graphs as this process knows them: by hash, with the code that a run uses. A graph is uploaded only when its first group starts, once;
 * it is fetched by hash when a branch of an unknown graph arrives, and checked against it.
 */
import type { Backend } from '../backend/backend.js'
import { GraflowError } from '../errors.js'
import { graphHash } from '../graph/canonical.js'
import type { Graph } from '../graph/graph.js'
import { GRAPH_LIMITS } from '../graph/limits.js'
import { packGraph, unpackGraph } from '../graph/pack.js'

/** One a process. */
export class GraphStore {
  readonly #backend: Backend
  readonly #graphBytes: number
  readonly #known = new Map<string, Graph>()
  readonly #uploaded = new Set<string>()
  /** Graphs kept in memory; the oldest goes first. */
  readonly #most: number

  constructor(backend: Backend, graphBytes: number, most = 1_000) {
    this.#backend = backend
    this.#graphBytes = graphBytes
    this.#most = most
  }

  /** Keeps a graph and gives its hash. */
  keep(graph: Graph): string {
    const hash = graphHash(graph)
    this.#remember(hash, graph)
    return hash
  }

  /** @throws GraflowError NO_GRAPH when the store does not have it, INTEGRITY when what it has is something else */
  async load(hash: string): Promise<Graph> {
    const known = this.#known.get(hash)
    if (known !== undefined) return known
    const bytes = await this.#backend.getGraph(hash)
    if (bytes === undefined) {
      throw new GraflowError('NO_GRAPH', `the store does not have graph ${hash}: its producer must upload it again`, {
        details: { graph: hash },
      })
    }
    const graph = unpackGraph(bytes, hash)
    this.#remember(hash, graph)
    return graph
  }

  /** The graph if it is here already: the path that costs nothing. */
  peek(hash: string): Graph | undefined {
    return this.#known.get(hash)
  }

  /**
   * Sees to it that workers can load the graph. Repeating it is safe and free.
   * @throws GraflowError BACKPRESSURE, LIMIT_EXCEEDED
   */
  async upload(hash: string, graph: Graph, isLost = false): Promise<void> {
    if (this.#uploaded.has(hash) && !isLost) return
    const packed = packGraph(graph, { ...GRAPH_LIMITS, compressedBytes: this.#graphBytes })
    const answer = await this.#backend.putGraph(hash, packed.bytes)
    if (answer === 'backpressure') throw fullStore('the graph')
    this.#uploaded.add(hash)
  }

  #remember(hash: string, graph: Graph): void {
    this.#known.delete(hash)
    this.#known.set(hash, graph)
    const oldest = this.#known.keys().next().value
    if (this.#known.size > this.#most && oldest !== undefined) this.#known.delete(oldest)
  }
}

/** The error for work that the store cannot take now. */
export const fullStore = (what: string): GraflowError =>
  new GraflowError(
    'BACKPRESSURE',
    `the store is full and did not take ${what}: wait until runs have finished, or give it more memory`,
  )
