import { par, task } from 'graflow'
import { GraphStore } from '../../lib/engine/graph-store.js'
import { graphOf } from '../../lib/graph/graph-of.js'
import type { Graph } from '../../lib/graph/graph.js'
import { expressionOf } from '../../lib/flow/node.js'
import { failureOf } from '../behaviours/support.js'

const graph = (...names: string[]): Graph =>
  graphOf(expressionOf((par as (...nodes: unknown[]) => never)(...names.map((name) => task(name, () => 1)))))

/** A store of graphs that counts what it is asked. */
function backend() {
  const graphs = new Map<string, Uint8Array>()
  const calls: string[] = []
  return {
    graphs,
    calls,
    putGraph: async (hash: string, bytes: Uint8Array) => {
      calls.push('put')
      graphs.set(hash, bytes)
      return 'ok' as const
    },
    getGraph: async (hash: string) => {
      calls.push('get')
      return graphs.get(hash)
    },
  }
}
const stores = (count: number, most?: number) => {
  const shared = backend()
  return { ...shared, all: Array.from({ length: count }, () => new GraphStore(shared as never, 10_000, most)) }
}

describe('the graph store', () => {
  it('X12: uploads a graph once, however often it is used', async () => {
    const { all, calls } = stores(1)
    const [store] = all as [GraphStore]
    for (let i = 0; i < 100; i += 1) await store.upload(store.keep(graph('a', 'b')), graph('a', 'b'))
    expect(calls).toEqual(['put'])
  })

  it('uploads it again when the store has lost it', async () => {
    const { all, calls } = stores(1)
    const [store] = all as [GraphStore]
    const hash = store.keep(graph('a'))
    await store.upload(hash, graph('a'))
    await store.upload(hash, graph('a'), true)
    expect(calls).toEqual(['put', 'put'])
  })

  it('loads what another process uploaded, once, and equal', async () => {
    const { all, calls } = stores(2)
    const [producer, worker] = all as [GraphStore, GraphStore]
    const hash = producer.keep(graph('a', 'b'))
    await producer.upload(hash, graph('a', 'b'))
    expect(worker.peek(hash)).toBeUndefined()
    expect(await worker.load(hash)).toEqual(graph('a', 'b'))
    expect(worker.peek(hash)).toEqual(graph('a', 'b'))
    await worker.load(hash)
    expect(calls).toEqual(['put', 'get'])
  })

  it('X14: holds no more than it may, and still loads all', async () => {
    const { all } = stores(1, 3)
    const [store] = all as [GraphStore]
    const graphs = ['a', 'b', 'c', 'd', 'e'].map((name) => graph(name))
    const hashes = graphs.map((one) => store.keep(one))
    for (const [i, hash] of hashes.entries()) await store.upload(hash, graphs[i] as Graph)
    expect(hashes.filter((hash) => store.peek(hash) !== undefined)).toEqual(hashes.slice(2))
    for (const [i, hash] of hashes.entries()) expect(await store.load(hash)).toEqual(graphs[i])
    expect(hashes.filter((hash) => store.peek(hash) !== undefined)).toHaveLength(3)
  })

  it('says NO_GRAPH for one that the store does not have, INTEGRITY for another graph’s bytes', async () => {
    const { all, graphs } = stores(2)
    const [producer, worker] = all as [GraphStore, GraphStore]
    const hash = producer.keep(graph('a'))
    expect(await failureOf(worker.load(hash))).toMatchObject({ code: 'NO_GRAPH', details: { graph: hash } })
    const other = producer.keep(graph('b'))
    await producer.upload(other, graph('b'))
    graphs.set(hash, graphs.get(other) as Uint8Array)
    expect((await failureOf(worker.load(hash))).code).toBe('INTEGRITY')
    graphs.set(hash, Uint8Array.of(1, 2, 3))
    expect((await failureOf(worker.load(hash))).code).toBe('INTEGRITY')
  })

  it('says BACKPRESSURE when the store is full, and tries again the next time', async () => {
    const { all, calls, ...rest } = stores(0)
    expect(all).toEqual([])
    let isFull = true
    const store = new GraphStore(
      { ...rest, putGraph: async () => (calls.push('put'), isFull ? 'backpressure' : 'ok') } as never,
      10_000,
    )
    const hash = store.keep(graph('a'))
    expect((await failureOf(store.upload(hash, graph('a')))).code).toBe('BACKPRESSURE')
    isFull = false
    await store.upload(hash, graph('a'))
    await store.upload(hash, graph('a'))
    expect(calls).toEqual(['put', 'put'])
  })
})
