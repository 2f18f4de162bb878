/** settle: what became of branches, many grants in one call. */
import type { OutcomeKind, SettleAnswer, SettleKind, SettleRange, SettleRequest } from '../../backend.js'
import { item } from '../../../values/packed-items.js'
import { checkSettle } from '../../request-checks.js'
import { listOf } from '../replies.js'
import type { Argument } from '../shard.js'
import type { Store } from '../store.js'
import { itemsOf, unexpectedAnswer, view, wordOf } from './words.js'

/** Bytes of kinds; the first are those of the branch table. */
const KIND_BYTES: Readonly<Record<SettleKind | 'dead', number>> = {
  succeeded: 3,
  failed: 4,
  dead: 5,
  retry: 6,
  released: 7,
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
  const args: Argument[] = []
  for (const range of request.ranges) addRange(args, range)
  const answers = listOf(await store.shard.call('settle', args))
  return answers.map((answer) => {
    const word = wordOf(answer)
    const known = ANSWERS.get(word)
    if (known === undefined) throw unexpectedAnswer('settle', word)
    return known
  })
}

function addRange(args: Argument[], range: SettleRange): void {
  const { save, delaysMs } = range
  args.push(range.gid, range.token, modeOf(range.kinds), chunkOf(range))
  args.push(delaysMs === undefined ? '' : view(Uint32Array.from(delaysMs)))
  args.push(save?.paths.length ?? 0)
  if (save !== undefined) for (const [i, path] of save.paths.entries()) args.push(path, item(save.values, i))
}

/** All succeeded, all final, or others among them. */
function modeOf(kinds: readonly SettleKind[]): 's' | 'f' | 'm' {
  let mode: 's' | 'f' = 's'
  for (const kind of kinds) {
    if (kind === 'retry' || kind === 'released') return 'm'
    if (kind === 'failed') mode = 'f'
  }
  return mode
}

/** As it is stored: u32 count, u32 first index (or SCATTERED and the indexes), a byte of kind each, u32 ends, the values. */
function chunkOf({ indexes, kinds, values }: SettleRange): Buffer {
  const count = indexes.length
  const first = indexes[0] ?? 0
  let isRange = count > 0
  for (let i = 1; i < count && isRange; i += 1) isRange = indexes[i] === first + i
  const bytes = itemsOf(values)
  const kindsAt = CHUNK_HEAD + (isRange ? 0 : count * 4)
  const chunk = Buffer.allocUnsafe(kindsAt + count * 5 + bytes.length)
  chunk.writeUInt32LE(count, 0)
  chunk.writeUInt32LE(isRange ? first : SCATTERED, 4)
  if (!isRange) for (let i = 0; i < count; i += 1) chunk.writeUInt32LE(indexes[i] ?? 0, CHUNK_HEAD + i * 4)
  for (let i = 0; i < count; i += 1) chunk[kindsAt + i] = KIND_BYTES[kinds[i] ?? 'failed']
  chunk.set(view(values.ends), kindsAt + count)
  chunk.set(bytes, kindsAt + count * 5)
  return chunk
}
