/**
 * The outcomes of a group as one packed list, put together from the bytes in which they came: neither values nor errors are unpacked and packed
 * again on their way into the result. An error with its stack costs more to make than all else of a branch that fails.
 */
import { ERROR_CODES } from '../errors.js'
import { ROOT_HEAD, STAND_IN_HEAD } from './codec.js'
import { arrayHead, endOf, type PlacedItems, PackedValue } from './packed-arrays.js'
import { roomFor } from './value-lists.js'

/** Outcomes of branches, where each of them belongs. */
export interface PlacedOutcomes extends PlacedItems {
  readonly kinds: readonly string[]
}

/** Where one is found. */
interface Place {
  readonly bytes: Uint8Array
  readonly head: Uint8Array
  readonly start: number
  readonly end: number
}

/**
 * A list of so many `Outcome`s, each there once; undefined where one is not to be had so: it was withdrawn, says nothing, or is no error of this
 * product. @throws GraflowError INTEGRITY
 */
export function outcomesOf(size: number, parts: readonly PlacedOutcomes[]): PackedValue | undefined {
  const places = new Array<Place | undefined>(size)
  let length = 0
  let isAnyStandIn = false
  for (const { indexes, kinds, values } of parts) {
    const { bytes, ends } = values
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    for (let i = 0; i < indexes.length; i += 1) {
      const from = i === 0 ? 0 : (ends[i - 1] ?? 0)
      const end = ends[i] ?? 0
      const head = HEADS.get(kinds[i] ?? '')
      if (head === undefined || end === from) return undefined
      const isRoot = begins(bytes, from, ROOT_HEAD)
      const start = isRoot ? from + ROOT_HEAD.length : from
      if (head === SUCCEEDED ? endOf(view, start, end) !== end : !isRoot || !isFailure(bytes, view, start, end))
        return undefined
      isAnyStandIn ||= isRoot
      places[indexes[i] ?? 0] = { bytes, head, start, end }
      length += head.length + end - start
    }
  }
  return laid(places, length, isAnyStandIn)
}

function laid(places: readonly (Place | undefined)[], length: number, isAnyStandIn: boolean): PackedValue | undefined {
  const list = arrayHead(places.length)
  const heads = isAnyStandIn ? [ROOT_HEAD, list] : [list]
  const all = roomFor(length + heads.reduce((sum, head) => sum + head.length, 0))
  let at = 0
  const put = (bytes: Uint8Array): void => {
    all.set(bytes, at)
    at += bytes.length
  }
  for (const head of heads) put(head)
  for (const place of places) {
    if (place === undefined) return undefined
    put(place.head)
    put(place.bytes.subarray(place.start, place.end))
  }
  return new PackedValue(all)
}

// ------------------------------------------------------------------------------------------------------------- MessagePack

/** A text of up to 31 bytes. */
const short = (text: string): Uint8Array => Uint8Array.of(0xa0 | text.length, ...Buffer.from(text))

/** What stands before the value or error of an outcome: a map of two, its status, and the key of what follows. */
const headOf = (status: string, key: string): Uint8Array =>
  Uint8Array.of(0x82, ...short('status'), ...short(status), ...short(key))

const SUCCEEDED = headOf('succeeded', 'value')
const HEADS: ReadonlyMap<string, Uint8Array> = new Map([
  ['succeeded', SUCCEEDED],
  ['failed', headOf('failed', 'error')],
  ['dead', headOf('dead', 'error')],
])

const ERROR_HEAD = Uint8Array.of(...STAND_IN_HEAD, ...short('error'))
const CODE = short('code')
const IS_GRAFLOW = short('isGraflow')
const TRUE = 0xc3

function begins(bytes: Uint8Array, at: number, head: Uint8Array): boolean {
  for (let i = 0; i < head.length; i += 1) if (bytes[at + i] !== head[i]) return false
  return true
}

const textAt = ({ buffer, byteOffset }: Uint8Array, start: number, end: number): string =>
  Buffer.from(buffer, byteOffset + start, end - start).toString('latin1')

/** Whether it is the record of an error of this product that arrives as one, and stands for what it says: a skip by hand is another outcome. */
function isFailure(bytes: Uint8Array, view: DataView, start: number, end: number): boolean {
  if (!begins(bytes, start, ERROR_HEAD)) return false
  let at = start + ERROR_HEAD.length
  const type = bytes[at] ?? 0
  if (type < 0x80 || type > 0x8f) return false
  let isGraflow = false
  let code = ''
  at += 1
  for (let left = type & 0x0f; left > 0; left -= 1) {
    const key = at
    const value = endOf(view, key, end)
    at = endOf(view, value, end)
    if (begins(bytes, key, IS_GRAFLOW)) isGraflow = bytes[value] === TRUE
    else if (begins(bytes, key, CODE)) code = textAt(bytes, value + 1, at)
  }
  return at === end && isGraflow && code !== 'SKIPPED' && Object.hasOwn(ERROR_CODES, code)
}
