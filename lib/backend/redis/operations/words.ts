/** What passes between the operations and their scripts: names in the form that scripts take, and packed lists as bytes. */
import { GraflowError } from '../../../errors.js'
import type { PackedItems } from '../../../values/packed-items.js'
import type { GroupSpec } from '../../backend.js'
import type { Reply } from '../shard.js'

/** The first word of an answer. */
export function wordOf(reply: Reply): string {
  const first = Array.isArray(reply) ? (reply as readonly Reply[])[0] : reply
  if (Buffer.isBuffer(first)) return first.toString('latin1')
  throw new GraflowError('INTEGRITY', `expected a word from a script, got ${typeof first}`)
}

/** An answer that the script cannot give. */
export const unexpectedAnswer = (script: string, word: string): GraflowError =>
  new GraflowError('INTERNAL', `expected one of the answers of ${script}, got ${word}`)

/** Names with a space between, in order, whatever order they came in: equal demands are one lane. */
export const spaced = (names: readonly string[]): string =>
  names.length < 2 ? (names[0] ?? '') : [...names].sort().join(' ')

/** What another driver of a run must know, behind a `|`; '' where nothing is said of it. */
export const needArgument = (names: readonly string[] | undefined): string =>
  names === undefined ? '' : `|${spaced(names)}`

/** Throws INTERNAL for a text that would break the record in which scripts keep it. */
export function checkLine({ gid, digest }: Pick<GroupSpec, 'gid' | 'digest'>): void {
  const bad = /[\u0000-\u001f]/
  if (!bad.test(gid) && !bad.test(digest)) return
  throw new GraflowError(
    'INTERNAL',
    `expected no control characters in the name or digest of group ${JSON.stringify(gid)}`,
  )
}

/** The same bytes as a Buffer. */
export const view = (array: Uint8Array | Uint32Array): Buffer =>
  Buffer.from(array.buffer, array.byteOffset, array.byteLength)

/** Little-endian u32 of a reply; a copy, because a reply may lie anywhere. */
export function numbersOf(bytes: Buffer, from = 0, to = bytes.length): Uint32Array {
  return new Uint32Array(bytes.buffer.slice(bytes.byteOffset + from, bytes.byteOffset + to) as ArrayBuffer)
}

/** Ends counted from `base` bytes before the first item. */
export function endsFrom(base: number, { ends }: PackedItems): Buffer {
  return view(base === 0 ? ends : ends.map((end) => end + base))
}

/** The bytes that the items take, which may be fewer than the array has. */
export const itemsOf = ({ bytes, ends }: PackedItems): Uint8Array => bytes.subarray(0, ends[ends.length - 1] ?? 0)
