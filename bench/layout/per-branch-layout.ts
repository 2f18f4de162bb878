/**
 * The layout that queues usually have: for each branch an entry of a list, a field of a hash for its input, one for its state and
 * token, one for its outcome, and a member of a sorted set while it is leased. Every command takes as many branches as there are.
 */
import type { Redis } from 'ioredis'
import {
  asText,
  type Call,
  DIGEST,
  flush,
  type Grant,
  type Group,
  type Layout,
  MOST_BYTES,
  QUEUE,
  Script,
  SPEC,
  SUCCEEDED,
  TAG,
} from './layout.js'

const step = new Script('per-branch/step.lua', '')
const acquire = new Script('per-branch/acquire.lua', 'allow-oom')
const settle = new Script('per-branch/settle.lua', 'allow-oom')
const sweep = new Script('per-branch/sweep.lua', 'allow-oom')

const PER_GRANT = 5
const LEASE_MICROS = 30_000_000
/** Branches in one read of outcomes. */
const PAGE = 4_096

export const perBranchLayout: Layout = {
  name: 'per-branch',
  scripts: [step, acquire, settle, sweep],

  openRun: (run, token) => [['HSET', `${TAG}:b:${run}:t`, 0, `L${token}`]],

  step(group, inputs, from, to) {
    const items: Buffer[] = []
    let start = from === 0 ? 0 : (inputs.ends[from - 1] ?? 0)
    for (let i = from; i < to; i++) {
      const end = inputs.ends[i] ?? 0
      items.push(Buffer.from(inputs.bytes.buffer, inputs.bytes.byteOffset + start, end - start))
      start = end
    }
    const { run, token, gid, size, inbox } = group
    return step.call(run, token, gid, DIGEST, size, QUEUE, inbox, from === 0 ? SPEC : '', from, ...items)
  },

  acquire: (session, lane, nonce, max) => acquire.call(session, lane, nonce, max, MOST_BYTES, QUEUE, LEASE_MICROS),

  grants(reply) {
    const parts = reply as readonly unknown[]
    if (asText(parts[0]) !== 'OK') throw new Error(`acquire answered ${asText(parts[0])}`)
    const grants: Grant[] = []
    for (let at = 1; at < parts.length; at += PER_GRANT) {
      const indexes = parts[at + 3] as readonly Buffer[]
      const inputs = parts[at + 4] as readonly Buffer[]
      grants.push({
        gid: asText(parts[at]),
        token: asText(parts[at + 2]),
        count: indexes.length,
        from: undefined,
        indexes: indexes.map((index) => Number(index.toString('latin1'))),
        input: (position) => inputs[position] as Buffer, // as many inputs as indexes
      })
    }
    return grants
  },

  settle: (session, settled) =>
    settle.call(
      session,
      ...settled.flatMap(({ grant, results }) => [
        grant.gid,
        grant.token,
        grant.count,
        ...(grant.indexes ?? []),
        ...results.map(withKind),
      ]),
    ),

  async readOutcomes(redis: Redis, { gid, size }: Group, visit) {
    const pages: Call[] = []
    for (let from = 0; from < size; from += PAGE) {
      const fields = Array.from({ length: Math.min(PAGE, size - from) }, (_, i) => from + i)
      pages.push(['HMGET', `${TAG}:b:${gid}:o`, ...fields])
    }
    let index = 0
    // two pages a flush: the next is on its way while one is read
    let next = flush(redis, pages.slice(0, 2))
    for (let at = 2; at < pages.length + 2; at += 2) {
      const replies = await next
      next = at < pages.length ? flush(redis, pages.slice(at, at + 2)) : Promise.resolve([])
      for (const page of replies as readonly (readonly (Buffer | null)[])[]) {
        for (const outcome of page) {
          if (outcome === null) throw new Error(`branch ${index} has no outcome`)
          visit(index++, outcome[0] ?? 0, outcome.subarray(1))
        }
      }
    }
    return index
  },

  sweep: (session) => sweep.call(session, QUEUE),
}

function withKind(result: Uint8Array): Buffer {
  const outcome = Buffer.allocUnsafe(result.length + 1)
  outcome[0] = SUCCEEDED
  outcome.set(result, 1)
  return outcome
}
