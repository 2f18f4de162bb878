/**
 * Values that pass through a process as the bytes that they came as: an array is cut into its items, or put together from items, without
 * unpacking any. That is what a group does with its input and its outcomes, and with large values it is most of a driver's work.
 */
import { GraflowError } from '../errors.js'
import type { Limits } from '../options.js'
import { decode, encode, hasStandIns, tooLarge } from './codec.js'
import type { PackedItems } from './packed-items.js'
import { roomFor } from './value-lists.js'

/** A value, packed. Each reader unpacks it, and gets a value of its own. */
export class PackedValue {
  readonly bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }
}

/** The value itself; a new one where it was packed. @throws GraflowError INTEGRITY */
export const unpacked = (value: unknown): unknown => (value instanceof PackedValue ? decode(value.bytes) : value)

/** As `encode`, also of what is packed already. */
export function packedOf(value: unknown, what: string, maxBytes: number, option: keyof Limits): Uint8Array {
  if (!(value instanceof PackedValue)) return encode(value, what, maxBytes, option)
  if (value.bytes.length > maxBytes) throw tooLarge(what, value.bytes.length, maxBytes, option)
  return value.bytes
}

/** The items of a packed array, as a view; undefined where it is none, or has what cannot stand alone. @throws GraflowError INTEGRITY */
export function itemsIn({ bytes }: PackedValue): PackedItems | undefined {
  if (hasStandIns(bytes, 0)) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const head = headOf(view)
  if (head === undefined) return undefined
  const ends = new Uint32Array(head.count)
  let at = head.length
  for (let i = 0; i < head.count; i += 1) {
    at = endOf(view, at, bytes.length)
    ends[i] = at - head.length
  }
  if (at !== bytes.length) throw unreadable()
  return { bytes: bytes.subarray(head.length), ends }
}

/** Items, where each of them belongs. */
export interface PlacedItems {
  readonly indexes: ArrayLike<number>
  readonly values: PackedItems
}

/**
 * An array of so many items, each there once; undefined where one cannot stand in it as it is, or where the whole would be taken for a stand-in: three
 * items, the first of them the text that stand-ins begin with. @throws GraflowError INTEGRITY
 */
export function arrayOf(size: number, parts: readonly PlacedItems[]): PackedValue | undefined {
  const ends = new Float64Array(size)
  for (const { indexes, values } of parts) {
    const view = new DataView(values.bytes.buffer, values.bytes.byteOffset, values.bytes.length)
    for (let i = 0, start = 0; i < indexes.length; i += 1) {
      const end = values.ends[i] ?? 0
      if (hasStandIns(values.bytes, start)) return undefined
      if (endOf(view, start, end) !== end) throw unreadable()
      ends[indexes[i] ?? 0] = end - start
      start = end
    }
  }
  const head = arrayHead(size)
  let length = head.length
  for (let i = 0; i < size; i += 1) ends[i] = length += ends[i] ?? 0
  const bytes = roomFor(length)
  bytes.set(head)
  for (const part of parts) putItems(bytes, head.length, ends, part)
  return hasStandIns(bytes, 0) ? undefined : new PackedValue(bytes)
}

/** Neighbours in order are one copy. */
function putItems(bytes: Uint8Array, from: number, ends: Float64Array, { indexes, values }: PlacedItems): void {
  for (let i = 0; i < indexes.length; ) {
    const first = indexes[i] ?? 0
    const start = i === 0 ? 0 : (values.ends[i - 1] ?? 0)
    let behind = i + 1
    while (behind < indexes.length && indexes[behind] === first + behind - i) behind += 1
    bytes.set(values.bytes.subarray(start, values.ends[behind - 1]), first === 0 ? from : (ends[first - 1] ?? 0))
    i = behind
  }
}

// ------------------------------------------------------------------------------------------------------------- MessagePack

const ARRAY_16 = 0xdc
const ARRAY_32 = 0xdd

function headOf(view: DataView): { readonly count: number; readonly length: number } | undefined {
  const type = view.byteLength === 0 ? 0 : view.getUint8(0)
  if (type >= 0x90 && type <= 0x9f) return { count: type & 0x0f, length: 1 }
  if (type === ARRAY_16 && view.byteLength >= 3) return { count: view.getUint16(1), length: 3 }
  if (type === ARRAY_32 && view.byteLength >= 5 && view.getUint32(1) < view.byteLength)
    return { count: view.getUint32(1), length: 5 }
  return undefined
}

export function arrayHead(count: number): Uint8Array {
  if (count < 16) return Uint8Array.of(0x90 | count)
  if (count < 0x10000) return Uint8Array.of(ARRAY_16, count >> 8, count & 0xff)
  const head = new DataView(new ArrayBuffer(5))
  head.setUint8(0, ARRAY_32)
  head.setUint32(1, count)
  return new Uint8Array(head.buffer)
}

/** From 0xc0 on: bytes behind the type, of which the first so many are a length in bytes. */
const FIXED = [0, 0, 0, 0, 1, 2, 4, 2, 3, 5, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 2, 3, 5, 9, 17, 1, 2, 4] as const
const LENGTHS = [0, 0, 0, 0, 1, 2, 4, 1, 2, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4] as const
const MAP_16 = 0xde

/** Where the value that begins at `at` ends, before `most` or there. @throws GraflowError INTEGRITY */
export function endOf(view: DataView, at: number, most: number): number {
  for (let left = 1; left > 0; left -= 1) {
    if (at >= most) throw unreadable()
    const type = view.getUint8(at)
    at += 1
    if (type <= 0x7f || type >= 0xe0) continue
    if (type <= 0x8f) left += (type & 0x0f) * 2
    else if (type <= 0x9f) left += type & 0x0f
    else if (type <= 0xbf) at += type & 0x1f
    else if (type >= ARRAY_16) {
      const bytes = (type & 1) === 0 ? 2 : 4
      left += numberAt(view, at, bytes, most) * (type >= MAP_16 ? 2 : 1)
      at += bytes
    } else {
      const bytes = LENGTHS[type - 0xc0] ?? 0
      at += (FIXED[type - 0xc0] ?? 0) + (bytes === 0 ? 0 : numberAt(view, at, bytes, most))
    }
  }
  if (at > most) throw unreadable()
  return at
}

function numberAt(view: DataView, at: number, bytes: number, most: number): number {
  if (at + bytes > most) throw unreadable()
  return bytes === 1 ? view.getUint8(at) : bytes === 2 ? view.getUint16(at) : view.getUint32(at)
}

const unreadable = (): GraflowError =>
  new GraflowError('INTEGRITY', 'expected a packed value, got bytes that end before it does, or behind it')
