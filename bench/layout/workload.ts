/** Inputs of a given size, what is done with each, and the sum that all outcomes of a group must have. */
import type { Packed } from '../../lib/values/packed-items.js'

/** `count` inputs of `bytes` each, every one different. */
export function makeInputs(count: number, bytes: number): Packed {
  const all = new Uint8Array(count * bytes)
  const view = new DataView(all.buffer)
  const ends = new Uint32Array(count)
  for (let i = 0; i < count; i++) {
    for (let at = 0; at < bytes; at++) all[i * bytes + at] = (i + at) & 0xff
    view.setUint32(i * bytes, Math.imul(i + 1, 0x9e3779b1) >>> 0, true)
    ends[i] = (i + 1) * bytes
  }
  return { bytes: all, ends }
}

const first = (item: Uint8Array): number =>
  ((item[0] ?? 0) | ((item[1] ?? 0) << 8) | ((item[2] ?? 0) << 16) | ((item[3] ?? 0) << 24)) >>> 0

/** What the handler makes of a number. */
const changed = (value: number): number => Math.imul(value ^ (value >>> 15), 0x2c1b3c6d) >>> 0

/** The handler: as many bytes as it got, the first four changed. */
export function handle(input: Uint8Array): Uint8Array {
  const result = new Uint8Array(input)
  const value = changed(first(input))
  result[0] = value
  result[1] = value >>> 8
  result[2] = value >>> 16
  result[3] = value >>> 24
  return result
}

/** Depends on which result stands at which index, not on their order. */
export class Checksum {
  #sum = 0

  add(index: number, result: Uint8Array): void {
    this.#sum = (this.#sum + Math.imul(index + 1, first(result)) + result.length) >>> 0
  }

  get sum(): number {
    return this.#sum
  }
}

/** What a group of these inputs must come to. */
export function expectedSum({ bytes, ends }: Packed): number {
  const checksum = new Checksum()
  let start = 0
  ends.forEach((end, i) => {
    checksum.add(i, handle(bytes.subarray(start, end)))
    start = end
  })
  return checksum.sum
}
