/** Values to Packed and back: many small values as one run of bytes, without an array of bytes for each. */
import { EMPTY_BYTES, item, type PackedItems } from './packed-items.js'
import { decode, decodeFrom, encodeFailureTo, encodeTo, type ByteSink } from './codec.js'

/** Below this many bytes a loop is faster than `set`, which needs a view. */
const FEW_BYTES = 32
const FIRST_BYTES = 64
/** A buffer that grew larger than this is not kept for the next list. */
const MOST_KEPT_BYTES = 64 * 1024
/** A large list is taken to be as large as the one before, whosever that was, up to here: a buffer that grows is copied. */
const MOST_EXPECTED_BYTES = 1024 * 1024
let expectedBytes = MOST_KEPT_BYTES

/** Collects values and byte strings, then hands them out end to end. */
export class ValueWriter implements ByteSink {
  #bytes: Uint8Array = EMPTY_BYTES
  #byteLength = 0
  #ends: number[] = []

  get length(): number {
    return this.#ends.length
  }

  /** Bytes collected so far. */
  get byteLength(): number {
    return this.#byteLength
  }

  /** Adds an item: `source[start .. end]`, copied. */
  push(source: Uint8Array, start = 0, end = source.length): void {
    const from = this.#byteLength
    const to = from + end - start
    if (to > this.#bytes.length) this.#grow(to)
    if (end - start < FEW_BYTES) {
      const bytes = this.#bytes
      for (let at = from, next = start; next < end; at += 1, next += 1) bytes[at] = source[next] as number // in range
    } else this.#bytes.set(source.subarray(start, end), from)
    this.#byteLength = to
    this.#ends.push(to)
  }

  /**
   * Adds a value, and says how many bytes it has; one of more than `maxBytes` is not added.
   * @throws GraflowError NOT_SERIALISABLE, with nothing added
   */
  encode(value: unknown, maxBytes?: number): number {
    return encodeTo(this, value, maxBytes)
  }

  /** Adds what reports a failure: errors in it are records of bounded size. Never refuses any. */
  encodeFailure(error: unknown): number {
    return encodeFailureTo(this, error)
  }

  /** Takes the last item away. */
  drop(): void {
    this.#ends.pop()
    this.#byteLength = this.#ends.at(-1) ?? 0
  }

  /** What was collected, in arrays of about its size; the writer is empty afterwards. */
  take(): PackedItems {
    const isLarge = this.#bytes.length > MOST_KEPT_BYTES
    // A large buffer is given away: it is not copied for the little that it is too long.
    const isGiven = isLarge && this.#byteLength * 1.25 > this.#bytes.length
    const packed = {
      bytes: isGiven ? this.#bytes.subarray(0, this.#byteLength) : this.#bytes.slice(0, this.#byteLength),
      ends: new Uint32Array(this.#ends),
    }
    if (isLarge) {
      expectedBytes = Math.max(MOST_KEPT_BYTES, Math.min(this.#byteLength, MOST_EXPECTED_BYTES))
      this.#bytes = EMPTY_BYTES
    }
    this.#byteLength = 0
    this.#ends = []
    return packed
  }

  #grow(needed: number): void {
    // By leaps while it is small: making an array costs more than its bytes.
    const factor = this.#bytes.length < MOST_KEPT_BYTES ? 4 : 2
    const expected = needed > MOST_KEPT_BYTES ? expectedBytes : FIRST_BYTES
    const larger = roomFor(Math.max(expected, needed, this.#bytes.length * factor))
    larger.set(this.#bytes.subarray(0, this.#byteLength))
    this.#bytes = larger
  }
}

/** Bytes of no certain content: to clear many would take as long as to write them. */
export function roomFor(byteLength: number): Uint8Array {
  if (byteLength <= MOST_KEPT_BYTES) return new Uint8Array(byteLength)
  return new Uint8Array(Buffer.allocUnsafeSlow(byteLength).buffer)
}

/** Reads values one by one, through a view: what the decoder notes on it goes with the reader, not with bytes that are kept. */
export class ValueReader {
  readonly #bytes: Uint8Array
  readonly #ends: Uint32Array

  constructor({ bytes, ends }: PackedItems) {
    this.#bytes = bytes.subarray()
    this.#ends = ends
  }

  /** The value of item i, a new one at every call. @throws GraflowError INTEGRITY */
  value(i: number): unknown {
    return decodeFrom(this.#bytes, i === 0 ? 0 : (this.#ends[i - 1] ?? 0), this.#ends[i] ?? 0)
  }

  /** Item i as it is, a view. */
  packed(i: number): Uint8Array {
    return this.#bytes.subarray(i === 0 ? 0 : (this.#ends[i - 1] ?? 0), this.#ends[i] ?? 0)
  }
}

/** All values. @throws GraflowError INTEGRITY */
export function valuesOf(packed: PackedItems): unknown[] {
  const reader = new ValueReader(packed)
  return Array.from(packed.ends, (_, i) => reader.value(i))
}

/** The value of item i. */
export function decodeItem(packed: PackedItems, i: number): unknown {
  return decode(item(packed, i))
}
