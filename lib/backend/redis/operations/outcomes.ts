/** Outcomes of a group as settle laid them out, read as the interface has them. */
import { GraflowError } from '../../../errors.js'
import type { GroupState, OutcomeChunk, OutcomeKind, OutcomesPage } from '../../backend.js'
import { gather } from '../../../values/packed-items.js'
import { listOf, numberOf, textOf } from '../replies.js'
import type { Reply } from '../shard.js'
import type { Store } from '../store.js'
import { pageBytes, paged, stringInParts } from './parts.js'
import { CHUNK_HEAD, OUTCOME_OF_BYTE, SCATTERED } from './settle.js'
import { numbersOf } from './words.js'

const STATES: Readonly<Record<string, GroupState>> = { o: 'open', r: 'released', w: 'withdrawn' }
const CELL_BYTES = 8
const GRANTED = 1
const FIRST_FINAL = 3
/** Among the flags of a cell: the branch is parked, so that it was started. */
const IS_PARKED = 16

const NOTHING_WITHDRAWN: OutcomesPage['withdrawn'] = Object.freeze({ indexes: new Uint32Array(0), kinds: [] })

/**
 * A page of outcomes from settle `after` on. Undefined when there is no such group.
 * @throws GraflowError INTEGRITY when the group cannot be read, or could not be read before
 */
export async function outcomes(store: Store, gid: string, after: number): Promise<OutcomesPage | undefined> {
  const brought = after === 0 ? store.released.take(gid) : undefined
  if (brought !== undefined) {
    const chunk = await readChunk(brought.chunk, () => Promise.reject(unreadable()))
    const { releasedAt, hasEndedRun } = brought
    const size = chunk.indexes.length
    return { state: 'released', size, releasedAt, hasEndedRun, chunks: [chunk], next: 1, withdrawn: NOTHING_WITHDRAWN }
  }
  const reply = listOf(await paged(store, () => store.shard.call('outcomes', [gid, after, pageBytes(store)])))
  const [word, state, size, next, isLast, table, closed, redone, undone, ...chunks] = reply
  if (textOf(word) === 'BAD') {
    const fault = `the group ${gid} cannot be read from the store: ${textOf(state)}`
    throw new GraflowError('INTEGRITY', fault, { details: { group: gid } })
  }
  if (textOf(word) !== 'OK') return undefined
  const read = await Promise.all(
    chunks.map(async (chunk, i) => readChunk(bufferOf(chunk), () => valuesApart(store, gid, after + i + 1))),
  )
  const settlesBefore = numberOf(redone)
  const chunksThatCount =
    settlesBefore === 0 && bufferOf(undone).length === 0
      ? read
      : read.flatMap((chunk, i) => kept(chunk, after + i + 1, settlesBefore, bufferOf(undone)))
  return {
    state: groupStateOf(state),
    size: numberOf(size),
    ...(numberOf(closed) > 0 && { releasedAt: numberOf(closed) }),
    chunks: chunksThatCount,
    next: numberOf(next),
    withdrawn: numberOf(isLast) === 1 ? readWithdrawn(bufferOf(table), numberOf(size)) : undefined,
  }
}

/** The state of a group by its letter. */
export function groupStateOf(reply: Reply | undefined): GroupState {
  const state = STATES[textOf(reply)]
  if (state === undefined) throw new GraflowError('INTEGRITY', `expected the state of a group, got ${textOf(reply)}`)
  return state
}

/**
 * What counts of a settle, without what was undone (`undone`: u32 of index and of the settle up to which): of those before the group was opened again,
 * only the outcomes of branches that succeeded.
 */
function kept(chunk: OutcomeChunk, settle: number, settlesBefore: number, undone: Buffer): readonly OutcomeChunk[] {
  const gone = new Set<number>()
  const marks = numbersOf(undone)
  for (let i = 0; i + 1 < marks.length; i += 2) if (settle <= (marks[i + 1] ?? 0)) gone.add(marks[i] ?? 0)
  const places = Array.from(chunk.indexes.keys()).filter(
    (i) => (settle > settlesBefore || chunk.kinds[i] === 'succeeded') && !gone.has(chunk.indexes[i] ?? 0),
  )
  if (places.length === chunk.indexes.length) return [chunk]
  if (places.length === 0) return []
  return [
    {
      ...chunk,
      indexes: Uint32Array.from(places, (i) => chunk.indexes[i] ?? 0),
      kinds: places.map((i) => chunk.kinds[i] ?? 'succeeded'),
      values: gather(chunk.values, places),
    },
  ]
}

/** The values of a settle that stand apart from its outcomes. They are never deleted before these. That of a root is its run's. */
async function valuesApart(store: Store, gid: string, settle: number): Promise<Buffer> {
  const { keys } = store
  return bufferOf(await stringInParts(store, gid.includes('/') ? keys.values(gid, settle) : keys.result(gid)))
}

/**
 * u32 count, u32 first index or the mark that indexes follow, a byte of kind each, u32 ends, values and times; lower bytes first. Values may be apart,
 * and the times then, too: releases without times read both places, and pass over what is behind the values.
 */
async function readChunk(chunk: Buffer, apart: () => Promise<Buffer>): Promise<OutcomeChunk> {
  const count = chunk.length < CHUNK_HEAD ? 0 : chunk.readUInt32LE(0)
  const first = chunk.length < CHUNK_HEAD ? 0 : chunk.readUInt32LE(4)
  const kindsAt = CHUNK_HEAD + (first === SCATTERED ? count * 4 : 0)
  const endsAt = kindsAt + count
  const valuesAt = endsAt + count * 4
  if (count === 0 || chunk.length < valuesAt) throw unreadable()
  const indexes = first === SCATTERED ? numbersOf(chunk, CHUNK_HEAD, kindsAt) : new Uint32Array(count)
  if (first !== SCATTERED) for (let i = 0; i < count; i += 1) indexes[i] = first + i
  const kinds: OutcomeKind[] = []
  for (let at = kindsAt; at < endsAt; at += 1) {
    const word = OUTCOME_OF_BYTE.get(chunk[at] ?? 0)
    if (word === undefined) throw unreadable()
    kinds.push(word)
  }
  const ends = numbersOf(chunk, endsAt, valuesAt)
  const length = ends.at(-1) ?? 0
  const all = length > 0 && chunk.length === valuesAt ? await apart() : chunk.subarray(valuesAt)
  if (length > all.length) throw unreadable()
  const values = all.subarray(0, length)
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.length)
  const times = plain(all.subarray(length))
  return { indexes, kinds, values: { bytes, ends }, ...(times.length > 0 && { times: [{ bytes: times, indexes }] }) }
}

/**
 * Branches without a final state: cancelled where a start had begun or one was counted before, skipped where none was. No table: every
 * branch had its outcome.
 */
function readWithdrawn(table: Buffer, size: number): NonNullable<OutcomesPage['withdrawn']> {
  if (table.length === 0) return { indexes: new Uint32Array(0), kinds: [] }
  const indexes: number[] = []
  const kinds: ('cancelled' | 'skipped')[] = []
  for (let i = 0; i < size; i++) {
    const at = i * CELL_BYTES
    const state = table[at] ?? 0 // what is behind the end was never granted
    if (state >= FIRST_FINAL) continue
    indexes.push(i)
    const isCounted = (table[at + 1] ?? 0) > 0 || (table[at + 2] ?? 0) > 0
    const wasStarted = state === GRANTED || isCounted || ((table[at + 3] ?? 0) & IS_PARKED) !== 0
    kinds.push(wasStarted ? 'cancelled' : 'skipped')
  }
  return { indexes: Uint32Array.from(indexes), kinds }
}

/** The same bytes, no Buffer. */
const plain = (bytes: Buffer): Uint8Array => new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)

function bufferOf(reply: Reply | undefined): Buffer {
  if (Buffer.isBuffer(reply)) return reply
  throw unreadable()
}

const unreadable = (): GraflowError =>
  new GraflowError('INTEGRITY', 'expected outcomes as a settle stores them, got other bytes')
