/** settle: what became of branches, many grants in one call. */
import type { OutcomeKind, SettleAnswer, SettleKind, SettleRange, SettleRequest } from '../../backend.js'
import { EMPTY_BYTES, item } from '../../../values/packed-items.js'
import { checkSettle } from '../../request-checks.js'
import { listOf } from '../replies.js'
import type { Argument } from '../shard.js'
import type { Store } from '../store.js'
import { uploadFor } from './uploads.js'
import { parkArgument } from './waits.js'
import { itemsOf, unexpectedAnswer, view, wordOf } from './words.js'

/** Bytes of kinds; the first are those of the branch table. */
const KIND_BYTES: Readonly<Record<SettleKind, number>> = {
  succeeded: 3,
  failed: 4,
  dead: 5,
  retry: 6,
  released: 7,
  parked: 8,
}
export const OUTCOME_OF_BYTE: ReadonlyMap<number, OutcomeKind> = new Map([
  [3, 'succeeded'],
  [4, 'failed'],
  [5, 'dead'],
])
/** In place of a first index: indexes follow. */
export const SCATTERED = 0xffffffff
/** Count and first index. */
export const CHUNK_HEAD = 8

const ANSWERS: ReadonlyMap<string, SettleAnswer> = new Map([
  ['OK', 'ok'],
  ['DUP', 'dup'],
  ['FENCED', 'fenced'],
  ['WITHDRAWN', 'withdrawn'],
  ['GONE', 'gone'],
])

/** Settles; one answer a range. A repeated range is `dup` and changes nothing. */
export async function settle(store: Store, request: SettleRequest): Promise<readonly SettleAnswer[]> {
  checkSettle(request, store.limits)
  if (request.ranges.length === 0) return []
  const words = await wordsFor(store, request.ranges, false)
  const missing = request.ranges.filter((_, i) => words[i] === 'MISSING')
  const again: string[] = missing.length === 0 ? [] : await wordsFor(store, missing, true)
  return words.map((word) => {
    const known = ANSWERS.get(word === 'MISSING' ? (again.shift() ?? word) : word)
    if (known === undefined) throw unexpectedAnswer('settle', word)
    return known
  })
}

/** What the script says to each range. `inline`: nothing is uploaded. */
async function wordsFor(store: Store, ranges: readonly SettleRange[], inline: boolean): Promise<string[]> {
  const args: Argument[] = []
  for (const range of ranges) addRange(args, range, modeOf(range), inline ? undefined : store)
  return listOf(await store.shard.call('settle', args)).map(wordOf)
}

function addRange(args: Argument[], range: SettleRange, mode: Mode, uploadTo: Store | undefined): void {
  const { save, delaysMs } = range
  const values = itemsOf(range.values)
  // The script looks into what has failed or is to be done again.
  const upload =
    mode === 's' && uploadTo !== undefined
      ? uploadFor(uploadTo, values, range.gid.includes('/') ? range.times : EMPTY_BYTES)
      : ''
  args.push(
    range.gid,
    range.token,
    mode,
    upload === '' ? chunkOf(range, values, range.times) : chunkOf(range, EMPTY_BYTES),
  )
  const delays = delaysMs === undefined ? EMPTY_BYTES : view(Uint32Array.from(delaysMs))
  args.push(mode === 'p' ? withParks(delays, range.parks) : delays, upload)
  args.push(save?.paths.length ?? 0)
  if (save !== undefined) for (const [i, path] of save.paths.entries()) args.push(path, item(save.values, i))
}

/** All succeeded, all final, or others among them; or some that are parked. */
type Mode = 's' | 'f' | 'm' | 'p'

function modeOf({ kinds, parks }: SettleRange): Mode {
  if (parks !== undefined && parks.length > 0) return 'p'
  let mode: 's' | 'f' = 's'
  for (const kind of kinds) {
    if (kind === 'retry' || kind === 'released' || kind === 'parked') return 'm'
    if (kind !== 'succeeded') mode = 'f'
  }
  return mode
}

/** Length of the delays, delays and parks. */
function withParks(delays: Uint8Array, parks: SettleRange['parks'] = []): Buffer {
  const length = Buffer.allocUnsafe(4)
  length.writeUInt32LE(delays.length)
  return Buffer.concat([length, delays, ...parks.map(parkArgument)])
}

/**
 * As it is stored: u32 count, u32 first index (or SCATTERED and the indexes), a byte of kind each, u32 ends, the values unless they are apart, and
 * the times.
 */
function chunkOf({ indexes, kinds, values: { ends } }: SettleRange, bytes: Uint8Array, times = EMPTY_BYTES): Buffer {
  const count = indexes.length
  const first = indexes[0] ?? 0
  let isRange = count > 0
  for (let i = 1; i < count && isRange; i += 1) isRange = indexes[i] === first + i
  const kindsAt = CHUNK_HEAD + (isRange ? 0 : count * 4)
  const chunk = Buffer.allocUnsafe(kindsAt + count * 5 + bytes.length + times.length)
  chunk.writeUInt32LE(count, 0)
  chunk.writeUInt32LE(isRange ? first : SCATTERED, 4)
  if (!isRange) for (let i = 0; i < count; i += 1) chunk.writeUInt32LE(indexes[i] ?? 0, CHUNK_HEAD + i * 4)
  for (let i = 0; i < count; i += 1) chunk[kindsAt + i] = KIND_BYTES[kinds[i] ?? 'failed']
  chunk.set(view(ends), kindsAt + count)
  chunk.set(bytes, kindsAt + count * 5)
  chunk.set(times, kindsAt + count * 5 + bytes.length)
  return chunk
}
