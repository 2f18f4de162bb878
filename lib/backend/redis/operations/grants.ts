/** Grants as scripts answer them: 12 parts each (part-granting.lua). */
import { GraflowError } from '../../../errors.js'
import type { PackedItems } from '../../../values/packed-items.js'
import type { Grant } from '../../backend.js'
import { numberOf, textOf } from '../replies.js'
import type { Reply } from '../shard.js'
import type { Store } from '../store.js'
import { decodeSpec } from './spec-codec.js'
import { rangeInParts } from './parts.js'
import { numbersOf } from './words.js'

const PARTS = 12
const CELL_BYTES = 8
/** In the state of a group, as part-group.lua packs it. */
const STATE_AT = 8
const OPEN = 'o'.charCodeAt(0)
/** Among the flags of a cell: an earlier holder reported the branch's task. */
const HAS_TASK = 4
/** An earlier holder opened a group, reported a task or saved outputs. */
const HAS_STEPPED = 2 | HAS_TASK | 8
/** How ends and bytes of the inputs come. */
const SPLIT = 0
const WHOLE = 1
const SHARED = 2
/** They are to be read where `bytes` says: first and last byte, and key. */
const APART = 4

/**
 * `count` grants (or all that there are) from position `from` on. One that cannot be read, such as of a newer version, must not take the
 * others along: its group is marked as broken, which its driver finds out. One whose inputs are gone since its group is over is none.
 */
export async function grantsFrom(
  store: Store,
  reply: readonly Reply[],
  from: number,
  count = (reply.length - from) / PARTS,
): Promise<Grant[]> {
  const places = Array.from({ length: count }, (_, i) => from + i * PARTS)
  const apart = await Promise.all(places.map((at) => inputsApart(store, reply, at)))
  const grants: Grant[] = []
  for (const [i, at] of places.entries()) {
    try {
      grants.push(grantAt(reply, at, apart[i]))
    } catch (error) {
      if (apart[i] === undefined || (await isOpen(store, reply, at))) await setAside(store, bufferOf(reply[at]), error)
    }
  }
  return grants
}

/** The inputs of a grant that stand apart from it: null when they are gone, undefined for one that has them itself. */
async function inputsApart(store: Store, reply: readonly Reply[], at: number): Promise<Reply | undefined> {
  if (numberOf(reply[at + 7]) !== APART) return undefined
  const [, first = '', last = '', key = ''] = /^(\d+) (\d+) (.+)$/su.exec(textOf(reply[at + 9])) ?? []
  try {
    const bytes = await rangeInParts(store, key, Number(first), Number(last))
    return bytes.length === Number(last) - Number(first) + 1 ? bytes : null
  } catch (error) {
    if (error instanceof GraflowError && error.code === 'INTEGRITY') return null
    throw error
  }
}

/** Whether the group of a grant still waits for its branches; where that cannot be read, it is taken to do so. */
async function isOpen({ shard, keys }: Store, reply: readonly Reply[], at: number): Promise<boolean> {
  try {
    const { gid } = decodeSpec(bufferOf(reply[at]))
    const state = await shard.command('HGET', keys.group(gid), 's')
    return Buffer.isBuffer(state) && state[STATE_AT] === OPEN
  } catch (error) {
    if (error instanceof GraflowError && error.code === 'REDIS_UNAVAILABLE') throw error
    return true
  }
}

/** A grant that a notice brought. One that cannot be read is set aside as above, and undefined is the answer. */
export function grantIn(store: Store, parts: readonly Reply[]): Grant | undefined {
  try {
    return grantAt(parts, 0)
  } catch (error) {
    setAside(store, bufferOf(parts[0]), error).catch(() => undefined) // nothing more can be done for it
    return undefined
  }
}

/** Of the spec only the group's name is asked; where even that cannot be read, no driver can be notified. */
async function setAside({ shard, keys }: Store, spec: Buffer, error: unknown): Promise<void> {
  const gid = /"gid":"([^"\\]+)"/.exec(spec.toString())?.[1]
  const why = error instanceof Error ? error.message : String(error)
  const mark = async (): Promise<unknown> => gid !== undefined && shard.command('HSET', keys.broken, gid, why)
  // what marks may be of another type itself, which a sweep puts right
  await mark().catch(() => shard.call('sweep', ['repair']).then(mark))
  const what = gid ?? 'a group without a name'
  await shard.command('XADD', keys.quarantine, 'MAXLEN', '~', 1_000, '*', 'what', what, 'why', why)
}

/** The position behind so many grants. */
export const behindGrants = (from: number, count: number): number => from + count * PARTS

function grantAt(reply: readonly Reply[], at: number, apart?: Reply): Grant {
  const first = numberOf(reply[at + 3])
  const count = numberOf(reply[at + 4])
  const cells = bufferOf(reply[at + 6])
  const errors = new Uint8Array(count)
  const losses = new Uint8Array(count)
  const spec = decodeSpec(bufferOf(reply[at]))
  let isAgain = cells.length > 0 && spec.depth === 0
  if (cells.length > 0) {
    for (let i = 0; i < count; i += 1) {
      errors[i] = cells[i * CELL_BYTES + 1] ?? 0
      losses[i] = cells[i * CELL_BYTES + 2] ?? 0
      const hasStepped = ((cells[i * CELL_BYTES + 3] ?? 0) & HAS_STEPPED) !== 0
      isAgain ||= hasStepped || errors[i] !== 0 || losses[i] !== 0
    }
  }
  const indexes = first < 0 ? numbersOf(bufferOf(reply[at + 5])) : new Uint32Array(count)
  if (first >= 0) for (let i = 0; i < count; i += 1) indexes[i] = first + i
  const withTasks =
    cells.length === 0 ? [] : Array.from(indexes).filter((_, i) => ((cells[i * CELL_BYTES + 3] ?? 0) & HAS_TASK) !== 0)
  return {
    ...(withTasks.length > 0 && { withTasks }),
    ...(isAgain && { isAgain }),
    spec,
    token: textOf(reply[at + 1]),
    fence: numberOf(reply[at + 2]),
    indexes,
    errors,
    losses,
    inputs: inputsOf(
      apart === undefined ? numberOf(reply[at + 7]) : spec.shared ? SHARED : SPLIT,
      bufferOf(reply[at + 8]),
      bufferOf(apart === undefined ? reply[at + 9] : apart),
      first,
      count,
    ),
    isWatched: numberOf(reply[at + 10]) > 0,
    ...waitedIn(reply[at + 11]),
  }
}

/** Pushed branches, whose grant says nothing of it, were ready in the same moment. */
function waitedIn(reply: Reply | undefined): Pick<Grant, 'waitedMs'> {
  const waitedMs = Buffer.isBuffer(reply) && reply.length === 0 ? 0 : numberOf(reply)
  return waitedMs < 0 ? {} : { waitedMs }
}

function inputsOf(layout: number, ends: Buffer, bytes: Buffer, first: number, count: number): PackedItems {
  if (layout === SHARED) return { bytes: plain(bytes), ends: Uint32Array.of(bytes.length) }
  if (layout === WHOLE) return { bytes: plain(ends.subarray(count * 4)), ends: numbersOf(ends, 0, count * 4) }
  if (layout !== SPLIT || first <= 0) return { bytes: plain(bytes), ends: numbersOf(ends) }
  const base = ends.readUInt32LE(0)
  return { bytes: plain(bytes), ends: numbersOf(ends, 4).map((end) => end - base) }
}

/** The same bytes, no Buffer: code that compares or passes them on must not care where they came from. */
const plain = (bytes: Buffer): Uint8Array => new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)

function bufferOf(reply: Reply | undefined): Buffer {
  if (Buffer.isBuffer(reply)) return reply
  throw new GraflowError('INTEGRITY', `expected bytes in a grant, got ${typeof reply}`)
}
