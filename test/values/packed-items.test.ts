/** Lists of opaque items laid end to end. */
import fc from 'fast-check'
import {
  byteLength,
  concat,
  EMPTY_PACKED,
  gather,
  item,
  itemCount,
  pack,
  slice,
} from '../../lib/values/packed-items.js'

const lists = fc.array(fc.uint8Array({ maxLength: 5 }), { maxLength: 8 })
const plain = (packed: Parameters<typeof item>[0]): number[][] =>
  Array.from({ length: itemCount(packed) }, (_, i) => [...item(packed, i)])

describe('packed lists', () => {
  it('hold what was packed', () => {
    fc.assert(
      fc.property(lists, (items) => {
        const packed = pack(items)
        expect(plain(packed)).toEqual(items.map((bytes) => [...bytes]))
        expect(byteLength(packed)).toBe(items.reduce((sum, bytes) => sum + bytes.length, 0))
      }),
    )
  })

  it('are sliced like arrays, and a slice of a slice too', () => {
    fc.assert(
      fc.property(lists, fc.nat(8), fc.nat(8), fc.nat(8), (items, a, b, c) => {
        const [from, to] = [Math.min(a, b, items.length), Math.min(Math.max(a, b), items.length)]
        const part = slice(pack(items), from, to)
        const rest = Math.min(c, to - from)
        expect(plain(part)).toEqual(items.slice(from, to).map((bytes) => [...bytes]))
        expect(plain(slice(part, rest, to - from))).toEqual(items.slice(from + rest, to).map((bytes) => [...bytes]))
        expect(byteLength(pack(items), from, to)).toBe(byteLength(part))
      }),
    )
  })

  it('are joined in order, slices included', () => {
    fc.assert(
      fc.property(fc.array(lists, { maxLength: 4 }), (parts) => {
        const sliced = parts.map((items) => slice(pack([Uint8Array.of(1), ...items]), 1, items.length + 1))
        expect(plain(concat(sliced))).toEqual(parts.flat().map((bytes) => [...bytes]))
      }),
    )
  })

  it('give the items at some places, in the order asked', () => {
    const packed = pack([Uint8Array.of(1), Uint8Array.of(2, 2), Uint8Array.of(3)])
    expect(plain(gather(packed, [2, 0, 2]))).toEqual([[3], [1], [3]])
    expect(plain(gather(packed, []))).toEqual([])
  })

  it('do not copy the bytes of a slice', () => {
    const packed = pack([Uint8Array.of(1), Uint8Array.of(2), Uint8Array.of(3)])
    expect(slice(packed, 1, 3).bytes.buffer).toBe(packed.bytes.buffer)
    expect(slice(packed, 0, 3)).toBe(packed)
  })

  it('refuse an item that is not there', () => {
    expect(() => item(EMPTY_PACKED, 0)).toThrow(RangeError)
    expect(() => item(pack([Uint8Array.of(1)]), 1)).toThrow('expected an item index below 1, got 1')
    expect(() => slice(pack([Uint8Array.of(1)]), 0, 2)).toThrow(RangeError)
  })
})
