/** The registry of workers, as it lies in Redis, and what is published of it. */
import type { ClusterEvent, NodeStatus } from '../../backend.js'
import { listOf, type Reply, textOf } from '../replies.js'
import type { Store } from '../store.js'
import { decodeInfo } from './info-codec.js'

/** The name of no run: what happens among the processes is published where the run of this name would be watched. */
export const CLUSTER = '#'

const MARKS: readonly NodeStatus['mark'][] = ['live', 'stale', 'dead']
/** Asked for at once. */
const PAGE = 256

/** What the registry has, without what cannot be read. */
export async function nodes({ shard, keys }: Store): Promise<readonly NodeStatus[]> {
  const flat = listOf(await shard.command('HGETALL', keys.nodes))
  const records = Array.from(
    { length: flat.length / 2 },
    (_, i) => [textOf(flat[2 * i]), textOf(flat[2 * i + 1])] as const,
  )
  const found: NodeStatus[] = []
  for (let from = 0; from < records.length; from += PAGE) {
    const page = records.slice(from, from + PAGE)
    const about = listOf(await shard.command('HMGET', keys.about, ...page.map(([base]) => base)))
    found.push(...page.flatMap(([, record], i) => nodeIn(record, about[i])))
  }
  return found
}

function nodeIn(record: string, about: Reply | undefined): readonly NodeStatus[] {
  const [, session = '', registeredAt, seenAt, given, state = ''] =
    /^(\S+) (\d+) (\d+) ([a-z]+) (.*)$/.exec(record) ?? []
  const mark = MARKS.find((known) => known === given)
  if (mark === undefined || !Buffer.isBuffer(about)) return []
  try {
    const times = { registeredAt: Number(registeredAt), seenAt: Number(seenAt) }
    return [{ ...decodeInfo(about), session, mark, ...times, state }]
  } catch {
    return [] // of another release, or damaged: its session, if it has one, is listed all the same
  }
}

/** What a message says that a script has published; undefined where it is of another release. */
export function clusterEventIn(bytes: Uint8Array): ClusterEvent | undefined {
  const [kind, session = '', ...facts] = Buffer.from(bytes).toString().split('\n')
  const [first = '', ...others] = facts
  const rest = others.join('\n')
  switch (kind) {
    case 'worker:registered':
      try {
        return { kind, session, info: decodeInfo(Buffer.from(rest)), isReturned: first === '1' }
      } catch {
        return undefined
      }
    case 'worker:deregistered':
      return { kind, session, workerId: first, reason: rest }
    case 'worker:stale':
      return { kind, session, workerId: first, silentMs: Number(rest) }
    case 'leader:changed':
      return { kind, session, leaderId: first, term: Number(rest) }
    default:
      return undefined
  }
}
