/** Values to Packed and back: many small values as one run of bytes. */
import type { Packed } from '../backend/backend.js'
import { decode } from './codec.js'

/** Collects byte strings, then hands them out end to end. */
export class PackedWriter {
  #parts: Uint8Array[] = []
  #bytes = 0

  get length(): number {
    return this.#parts.length
  }

  /** Bytes collected so far. */
  get byteLength(): number {
    return this.#bytes
  }

  push(part: Uint8Array): void {
    this.#parts.push(part)
    this.#bytes += part.length
  }

  /** What was collected; the writer is empty afterwards. */
  take(): Packed {
    const bytes = new Uint8Array(this.#bytes)
    const ends = new Uint32Array(this.#parts.length)
    let at = 0
    for (let i = 0; i < this.#parts.length; i += 1) {
      const part = this.#parts[i] as Uint8Array // i is in range
      if (part.length < 32)
        for (let k = 0; k < part.length; k += 1) bytes[at + k] = part[k] as number // `set` costs more than this for few bytes
      else bytes.set(part, at)
      at += part.length
      ends[i] = at
    }
    this.#parts = []
    this.#bytes = 0
    return { bytes, ends }
  }
}

export const NO_BYTES = new Uint8Array(0)

/** One item. */
export const packedOne = (bytes: Uint8Array): Packed => ({ bytes, ends: Uint32Array.of(bytes.length) })

/** The value of item i. */
export function decodeItem(packed: Packed, i: number): unknown {
  return decode(packed.bytes, i === 0 ? 0 : packed.ends[i - 1], packed.ends[i])
}

/** A view of item i's bytes. */
export function itemBytes(packed: Packed, i: number): Uint8Array {
  return packed.bytes.subarray(i === 0 ? 0 : packed.ends[i - 1], packed.ends[i])
}
