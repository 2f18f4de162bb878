/**
 * Lists of opaque items laid end to end: one array of bytes and one of ends, whatever number of items. Pure functions; what they
 * return may share memory with what they were given, so neither side may change its arrays afterwards.
 */

/** Items end to end: item i is `bytes[ends[i - 1] ?? 0 .. ends[i]]`. A receiver changes neither array. */
export interface PackedItems {
  readonly bytes: Uint8Array
  readonly ends: Uint32Array
}

/** No bytes. */
export const EMPTY_BYTES: Uint8Array = new Uint8Array(0)

/** No items. */
export const EMPTY_PACKED: PackedItems = Object.freeze({ bytes: EMPTY_BYTES, ends: new Uint32Array(0) })

/** One item. */
export const packOne = (bytes: Uint8Array): PackedItems => ({ bytes, ends: Uint32Array.of(bytes.length) })

/** Lays items end to end. One item is not copied. */
export function pack(items: readonly Uint8Array[]): PackedItems {
  const first = items[0]
  if (first === undefined) return EMPTY_PACKED
  if (items.length === 1) return { bytes: first, ends: Uint32Array.of(first.length) }
  const ends = new Uint32Array(items.length)
  let length = 0
  for (let i = 0; i < items.length; i++) {
    length += (items[i] as Uint8Array).length // i is below items.length
    ends[i] = length
  }
  const bytes = new Uint8Array(length)
  let at = 0
  for (const item of items) {
    bytes.set(item, at)
    at += item.length
  }
  return { bytes, ends }
}

/** How many items there are. */
export function itemCount(packed: PackedItems): number {
  return packed.ends.length
}

/** Bytes of items `from` (with) to `to` (without). */
export function byteLength(packed: PackedItems, from = 0, to = packed.ends.length): number {
  return to <= from ? 0 : endOf(packed, to - 1) - startOf(packed, from)
}

/** Item i, as a view. Asking for an item that is not there is a RangeError. */
export function item(packed: PackedItems, i: number): Uint8Array {
  return packed.bytes.subarray(startOf(packed, i), endOf(packed, i))
}

/** Items `from` (with) to `to` (without); the bytes are a view. */
export function slice(packed: PackedItems, from: number, to: number): PackedItems {
  if (from === 0 && to === packed.ends.length) return packed
  if (to <= from) return EMPTY_PACKED
  const start = startOf(packed, from)
  const bytes = packed.bytes.subarray(start, endOf(packed, to - 1))
  if (start === 0) return { bytes, ends: packed.ends.subarray(from, to) }
  const ends = new Uint32Array(to - from)
  for (let i = 0; i < ends.length; i++) ends[i] = (packed.ends[from + i] as number) - start // endOf(to - 1) has checked the range
  return { bytes, ends }
}

/** The lists one after the other. A single one is returned as it is. */
export function concat(lists: readonly PackedItems[]): PackedItems {
  const first = lists[0]
  if (first === undefined) return EMPTY_PACKED
  if (lists.length === 1) return first
  let count = 0
  let length = 0
  for (const list of lists) {
    count += list.ends.length
    length += byteLength(list)
  }
  const ends = new Uint32Array(count)
  const bytes = new Uint8Array(length)
  let i = 0
  let at = 0
  for (const list of lists) {
    const listBytes = byteLength(list)
    bytes.set(list.bytes.subarray(0, listBytes), at)
    for (const end of list.ends) ends[i++] = at + end
    at += listBytes
  }
  return { bytes, ends }
}

/** The items at these positions, copied, in this order. */
export function gather(packed: PackedItems, positions: ArrayLike<number>): PackedItems {
  const items: Uint8Array[] = []
  for (let i = 0; i < positions.length; i++) items.push(item(packed, positions[i] as number)) // i is below positions.length
  return pack(items)
}

function startOf(packed: PackedItems, i: number): number {
  return i === 0 ? 0 : endOf(packed, i - 1)
}

function endOf(packed: PackedItems, i: number): number {
  const end = packed.ends[i]
  if (end === undefined) throw new RangeError(`expected an item index below ${packed.ends.length}, got ${i}`)
  return end
}
