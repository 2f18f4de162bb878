import { par, task } from 'graflow'
import { manualClock, seededRandom } from 'graflow/testing'
import { GraphStore } from '../../lib/engine/graph-store.js'
import { graphOf } from '../../lib/graph/graph-of.js'
import type { Graph } from '../../lib/graph/graph.js'
import { expressionOf } from '../../lib/flow/node.js'
import { systemClock, type Clock } from '../../lib/time.js'
import { failureOf } from '../support/captured-errors.js'
import { turn } from '../support/waits.js'

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
    hasGraph: async (hash: string) => {
      calls.push('has')
      return graphs.has(hash)
    },
  }
}
type Shared = ConstructorParameters<typeof GraphStore>[0]['backend']
const storeOn = (shared: Shared, graphs = 100, clock: Clock = systemClock, graphBytes = 10_000): GraphStore =>
  new GraphStore({ backend: shared, clock, random: seededRandom(1), graphBytes, graphs })
const stores = (count: number, most?: number, clock?: Clock) => {
  const shared = backend()
  return { ...shared, all: Array.from({ length: count }, () => storeOn(shared, most, clock)) }
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

  it.each([
    [1_000, 2_000, 'compressed size'],
    [16 * 1024 * 1024, 9 * 1024 * 1024, 'zlib'],
  ])('with a limit of %d bytes, judges %d bytes of another process by it', async (limit, size, reason) => {
    const shared = backend()
    const hash = 'a'.repeat(64)
    shared.graphs.set(hash, new Uint8Array(size))
    const error = await failureOf(storeOn(shared, 1, systemClock, limit).load(hash))
    expect(error).toMatchObject({ code: 'INTEGRITY', details: { reason } })
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

  it('X14: keeps the one that was used last, and counts what was here', async () => {
    const { all } = stores(1, 2)
    const [store] = all as [GraphStore]
    const [a, b, c] = ['a', 'b', 'c'].map((name) => store.keep(graph(name))) as [string, string, string]
    expect(store.peek(a)).toBeUndefined()
    store.peek(b)
    store.keep(graph('d'))
    expect([store.peek(b), store.peek(c)]).toEqual([graph('b'), undefined])
    expect(store.hits).toBe(2)
  })

  it('X13: waits a little for a graph that is gone, and asks once for all who need it', async () => {
    const clock = manualClock()
    const { all, graphs, calls } = stores(2, undefined, clock)
    const [producer, worker] = all as [GraphStore, GraphStore]
    const hash = producer.keep(graph('a'))
    const both = Promise.all([worker.loadForWork(hash), worker.loadForWork(hash)])
    await turn()
    expect(calls).toEqual(['get'])
    expect(await producer.restore(hash, graph('a'))).toBe(true)
    expect(await producer.restore(hash, graph('a'))).toBe(false)
    clock.advance(100)
    expect(await both).toEqual([graph('a'), graph('a')])
    expect(worker.hits).toBe(0)
    expect(graphs.size).toBe(1)
  })

  it('X13: says NO_GRAPH when nobody uploads it within 10 s', async () => {
    const clock = manualClock()
    const { all, calls } = stores(1, undefined, clock)
    const [worker] = all as [GraphStore]
    let failure: unknown
    void worker.loadForWork('f'.repeat(64)).catch((error: unknown) => {
      failure = error
    })
    for (let i = 0; failure === undefined && i < 100; i += 1) {
      await turn()
      clock.advance(clock.nextDueMs() ?? 0)
    }
    expect(failure).toMatchObject({ code: 'NO_GRAPH' })
    expect(clock.now()).toBeGreaterThanOrEqual(10_000)
    expect(clock.now()).toBeLessThan(11_000)
    expect(calls.length).toBeLessThan(40)
  })

  it('trusts an upload for an hour, then asks', async () => {
    const clock = manualClock()
    const { all, graphs, calls } = stores(1, undefined, clock)
    const [store] = all as [GraphStore]
    const hash = store.keep(graph('a'))
    await store.upload(hash, graph('a'))
    clock.advance(3_600_000)
    await store.upload(hash, graph('a'))
    clock.advance(3_599_999)
    await store.upload(hash, graph('a'))
    expect(calls).toEqual(['put', 'has'])
    graphs.clear()
    clock.advance(1)
    await store.upload(hash, graph('a'))
    expect(calls).toEqual(['put', 'has', 'has', 'put'])
  })

  it('says BACKPRESSURE when the store is full, and tries again the next time', async () => {
    const { all, calls, ...rest } = stores(0)
    expect(all).toEqual([])
    let isFull = true
    const store = storeOn({ ...rest, putGraph: async () => (calls.push('put'), isFull ? 'backpressure' : 'ok') })
    const hash = store.keep(graph('a'))
    expect((await failureOf(store.upload(hash, graph('a')))).code).toBe('BACKPRESSURE')
    isFull = false
    await store.upload(hash, graph('a'))
    await store.upload(hash, graph('a'))
    expect(calls).toEqual(['put', 'put'])
  })
})
