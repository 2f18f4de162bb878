/**
 * A group is a hash and a few strings, whatever number of branches it has. `packed` is the layout of protocol.md, `compact` the same
 * in fewer keys: table, ends and (up to one call's) inputs are one string, more of them are in segments; leases are fields of the group's hash, found by token; the depth of a queue
 * is a field of `T:m`. What travels is the same.
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

const SCATTERED = 0xffffffff
/** The cell of a branch held under lease 1. */
const HELD = [1, 0, 0, 0, 1, 0, 0, 0]
/** count, first index */
const HEAD = 8
const PER_GRANT = 9
/** Branches in one read of outcomes. */
const PAGE = 4_096

export const packedLayout: Layout = layoutOf('packed', (run, token) => [
  ['SET', `${TAG}:b:${run}:s`, Buffer.from(HELD)],
  ['HSET', `${TAG}:b:${run}:l`, 1, `${token} producer 0 0 1`],
])

export const compactLayout: Layout = layoutOf('compact', (run, token) => [
  ['SET', `${TAG}:b:${run}:d`, Buffer.from(HELD)],
  ['HSET', `${TAG}:b:${run}`, `t:${token}`, '1 0 1 0 producer'],
])

function layoutOf(name: 'packed' | 'compact', openRun: Layout['openRun']): Layout {
  const step = new Script(`${name}/step.lua`, '')
  const acquire = new Script(`${name}/acquire.lua`, 'allow-oom')
  const settle = new Script(`${name}/settle.lua`, 'allow-oom')
  const sweep = new Script(`${name}/sweep.lua`, 'allow-oom')
  return {
    name,
    scripts: [step, acquire, settle, sweep],

    openRun,

    step(group, inputs, from, to) {
      const base = from === 0 ? 0 : (inputs.ends[from - 1] ?? 0)
      const bytes = view(inputs.bytes.subarray(base, inputs.ends[to - 1]))
      const ends = view(inputs.ends.subarray(from, to))
      const { run, token, gid, size, inbox } = group
      return step.call(
        run,
        token,
        gid,
        DIGEST,
        size,
        QUEUE,
        inbox,
        from === 0 ? SPEC : '',
        from,
        to - from,
        base,
        ends,
        bytes,
      )
    },

    acquire: (session, lane, nonce, max) => acquire.call(session, lane, nonce, max, MOST_BYTES, QUEUE),

    grants(reply) {
      const parts = reply as readonly (Buffer | number)[]
      if (asText(parts[0]) !== 'OK') throw new Error(`acquire answered ${asText(parts[0])}`)
      const grants: Grant[] = []
      for (let at = 1; at < parts.length; at += PER_GRANT) grants.push(new PackedGrant(parts, at))
      return grants
    },

    settle: (session, settled) =>
      settle.call(
        session,
        ...settled.flatMap(({ grant, results }) => [grant.gid, grant.token, packOutcomes(grant, results)]),
      ),

    async readOutcomes(redis: Redis, { gid }: Group, visit) {
      const key = `${TAG}:b:${gid}`
      const [settlesText, sizeText] = await redis.hmget(key, 'settles', 'size')
      const settles = Number(settlesText)
      const perPage = Math.max(1, Math.floor((PAGE * settles) / Number(sizeText)))
      const pages: Call[] = []
      for (let from = 1; from <= settles; from += perPage) {
        const fields = Array.from({ length: Math.min(perPage, settles + 1 - from) }, (_, i) => from + i)
        pages.push(['HMGET', `${key}:o`, ...fields])
      }
      let count = 0
      // two pages a flush: the next is on its way while one is read
      let next = flush(redis, pages.slice(0, 2))
      for (let at = 2; at < pages.length + 2; at += 2) {
        const replies = await next
        next = at < pages.length ? flush(redis, pages.slice(at, at + 2)) : Promise.resolve([])
        for (const page of replies as readonly (readonly Buffer[])[])
          for (const chunk of page) count += visitChunk(chunk, visit)
      }
      return count
    },

    sweep: (session) => sweep.call(session, QUEUE),
  }
}

/** The same bytes as a Buffer. */
const view = (array: Uint8Array | Uint32Array): Buffer => Buffer.from(array.buffer, array.byteOffset, array.byteLength)

class PackedGrant implements Grant {
  readonly gid: string
  readonly token: string
  readonly count: number
  readonly from: number | undefined
  readonly indexes: readonly number[] | undefined
  readonly #ends: Buffer
  readonly #bytes: Buffer
  /** Where the ends of this grant's items begin, and what they count from. */
  readonly #skip: number
  readonly #base: number

  constructor(parts: readonly (Buffer | number)[], at: number) {
    const from = parts[at + 3] as number
    const indexes = parts[at + 5] as Buffer
    this.gid = asText(parts[at])
    this.token = asText(parts[at + 2])
    this.count = parts[at + 4] as number
    const ends = parts[at + 7] as Buffer
    const bytes = parts[at + 8] as Buffer
    const isWhole = from === 0 && ends.length > this.count * 4
    this.#ends = ends
    this.#bytes = isWhole ? ends.subarray(this.count * 4) : bytes
    this.from = from < 0 ? undefined : from
    this.indexes = from < 0 ? Array.from({ length: this.count }, (_, i) => indexes.readUInt32LE(i * 4)) : undefined
    this.#skip = from > 0 ? 4 : 0
    this.#base = from > 0 ? this.#ends.readUInt32LE(0) : 0
  }

  input(position: number): Uint8Array {
    const at = this.#skip + position * 4
    const start = at === 0 ? 0 : this.#ends.readUInt32LE(at - 4) - this.#base
    return this.#bytes.subarray(start, this.#ends.readUInt32LE(at) - this.#base)
  }
}

function packOutcomes({ from, indexes, count }: Grant, results: readonly Uint8Array[]): Buffer {
  let length = 0
  for (const result of results) length += result.length
  const indexBytes = from === undefined ? count * 4 : 0
  const packed = Buffer.allocUnsafe(HEAD + indexBytes + count * 5 + length)
  packed.writeUInt32LE(count, 0)
  packed.writeUInt32LE(from ?? SCATTERED, 4)
  let at = HEAD
  for (const index of indexes ?? []) at = packed.writeUInt32LE(index, at)
  packed.fill(SUCCEEDED, at, at + count)
  at += count
  let end = 0
  let to = at + count * 4
  for (const result of results) {
    end += result.length
    at = packed.writeUInt32LE(end, at)
    packed.set(result, to)
    to += result.length
  }
  return packed
}

function visitChunk(chunk: Buffer, visit: (index: number, kind: number, value: Uint8Array) => void): number {
  const count = chunk.readUInt32LE(0)
  const from = chunk.readUInt32LE(4)
  const kinds = HEAD + (from === SCATTERED ? count * 4 : 0)
  const ends = kinds + count
  const values = ends + count * 4
  let start = values
  for (let i = 0; i < count; i++) {
    const end = values + chunk.readUInt32LE(ends + i * 4)
    const index = from === SCATTERED ? chunk.readUInt32LE(HEAD + i * 4) : from + i
    visit(index, chunk[kinds + i] ?? 0, chunk.subarray(start, end))
    start = end
  }
  return count
}
