/** The graph store: packed graphs under their hashes, kept for a while after they were last asked for. */
import { GraflowError } from '../../../errors.js'
import { GRAPH_RETENTION_MS } from '../../kept.js'
import type { Reply } from '../shard.js'
import type { Store } from '../store.js'

const RETENTION_S = GRAPH_RETENTION_MS / 1_000
const HASH = /^[A-Za-z0-9_-]{1,128}$/

/** Stores a packed graph, or keeps the one that is there for another while. Repeating it is safe. */
export async function putGraph(store: Store, hash: string, bytes: Uint8Array): Promise<'ok' | 'backpressure'> {
  if (await hasGraph(store, hash)) return 'ok'
  try {
    await store.shard.command('SET', graphKey(store, hash), bytes, 'EX', RETENTION_S)
    return 'ok'
  } catch (error) {
    if (error instanceof GraflowError && error.code === 'BACKPRESSURE') return 'backpressure'
    throw error
  }
}

/** Whether the graph is there; asking keeps it for another while, and never shortens how long parked branches keep it. */
export async function hasGraph(store: Store, hash: string): Promise<boolean> {
  const key = graphKey(store, hash)
  const [count] = await Promise.all([store.shard.command('EXISTS', key), keep(store, key)])
  return count === 1
}

/** The packed graph; asking keeps it for another while. Undefined when it is not there. */
export async function getGraph(store: Store, hash: string): Promise<Uint8Array | undefined> {
  const key = graphKey(store, hash)
  const [found]: Reply[] = await Promise.all([store.shard.command('GETEX', key), keep(store, key)])
  return Buffer.isBuffer(found) ? new Uint8Array(found) : undefined
}

const keep = (store: Store, key: string): Promise<Reply> => store.shard.command('EXPIRE', key, RETENTION_S, 'GT')

/** A name from a record in Redis or from a caller becomes part of a key: nothing but a plain one may. */
function graphKey(store: Store, hash: string): string {
  if (HASH.test(hash)) return store.keys.graph(hash)
  throw new GraflowError('INTEGRITY', `expected the hash of a graph, got ${JSON.stringify(hash.slice(0, 80))}`)
}
