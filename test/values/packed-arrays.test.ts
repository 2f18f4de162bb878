/** Arrays that are cut and put together as bytes are those that packing and unpacking gives. */
import fc from 'fast-check'
import { GraflowError } from '../../lib/errors.js'
import { decode, encode } from '../../lib/values/codec.js'
import { arrayOf, itemsIn, packedOf, PackedValue, unpacked } from '../../lib/values/packed-arrays.js'
import { pack } from '../../lib/values/packed-items.js'
import { valuesOf } from '../../lib/values/value-lists.js'

/** Without anything that needs a stand-in. */
const plain = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.integer(),
    fc.double({ noNaN: true }).map((number) => (Object.is(number, -0) ? 0 : number)),
    fc.boolean(),
    fc.constantFrom(null, undefined, 2 ** 32, -(2 ** 31), 2n ** 63n - 1n, -5n, 70_000, 1.5),
    fc.string({ unit: 'grapheme', maxLength: 300 }).filter((text) => text.isWellFormed()),
    fc.uint8Array({ maxLength: 300 }),
    fc.array(tie('value'), { maxLength: 20 }),
    fc.dictionary(
      fc.string({ maxLength: 40 }).filter((key) => key !== '__proto__' && key.isWellFormed()),
      tie('value'),
      {
        maxKeys: 20,
        noNullPrototype: true,
      },
    ),
  ),
})).value

const bytesOf = (value: unknown): PackedValue => new PackedValue(encode(value))
const codeOf = (work: () => unknown): unknown => {
  try {
    work()
    return 'none'
  } catch (error) {
    return error instanceof GraflowError ? error.code : error
  }
}

describe('a packed array', () => {
  it('is cut into the items that it was made of', () => {
    fc.assert(
      fc.property(fc.array(plain, { maxLength: 40 }), (items) => {
        const cut = itemsIn(bytesOf(items))
        expect(cut).toBeDefined()
        expect(cut && valuesOf(cut)).toEqual(decode(encode(items)))
      }),
    )
  })

  it('is put together from items in any order and in any parts', () => {
    fc.assert(
      fc.property(fc.array(plain, { minLength: 1, maxLength: 40 }), fc.infiniteStream(fc.nat(40)), (items, chance) => {
        const order = items.map((_, i) => i)
        for (let i = order.length - 1; i > 0; i -= 1) {
          const other = (chance.next().value ?? 0) % (i + 1)
          ;[order[i], order[other]] = [order[other] ?? 0, order[i] ?? 0]
        }
        const cut = (chance.next().value ?? 0) % (order.length + 1)
        const parts = [order.slice(0, cut), order.slice(cut)].map((indexes) => ({
          indexes,
          values: pack(indexes.map((i) => encode(items[i]))),
        }))
        const array = arrayOf(items.length, parts)
        expect(array && Buffer.from(array.bytes)).toEqual(Buffer.from(encode(items)))
      }),
    )
  })

  it.each([0, 1, 15, 16, 65_535, 65_536])('may have %i items', (size) => {
    const items = Array.from({ length: size }, (_, i) => i % 7)
    const cut = itemsIn(bytesOf(items))
    expect(cut?.ends.length).toBe(size)
    const indexes = items.map((_, i) => i)
    const array = arrayOf(size, [{ indexes, values: cut ?? pack([]) }])
    expect(array && unpacked(array)).toEqual(items)
  })

  it('with stand-ins is not cut, nor made of items with any, since each needs to be told', () => {
    for (const item of [new Date(0), new Map([[1, 2]]), -0, 2n ** 80n, ['\u0001g', 'date', 5]]) {
      expect(itemsIn(bytesOf([item]))).toBeUndefined()
      expect(arrayOf(1, [{ indexes: [0], values: pack([encode(item)]) }])).toBeUndefined()
    }
  })

  it('is not made of three items where the first is the text that stand-ins begin with', () => {
    for (const items of [
      ['\u0001g', 'root', 5],
      ['\u0001g', 'date', 5],
      ['\u0001g', 1, 2],
    ]) {
      const values = pack(items.map((item) => encode(item)))
      expect(arrayOf(3, [{ indexes: [0, 1, 2], values }])).toBeUndefined()
      expect(arrayOf(3, [{ indexes: [1, 2, 0], values }])?.bytes).toEqual(encode([items[2], items[0], items[1]]))
    }
  })

  it('is not found in other values', () => {
    for (const value of [5, 'text', { length: 1 }, null, undefined, new Uint8Array(3)])
      expect(itemsIn(bytesOf(value))).toBeUndefined()
  })

  it.each([
    ['that end too early', (bytes: Uint8Array) => bytes.subarray(0, -1)],
    ['that go on behind it', (bytes: Uint8Array) => Uint8Array.of(...bytes, 1)],
    ['with a longer text than there is', (bytes: Uint8Array) => bytes.with(1, 0xbf)],
  ])('of bytes %s is refused', (_, broken) => {
    const bytes = broken(encode(['abc', 'def']))
    expect(codeOf(() => itemsIn(new PackedValue(bytes)))).toBe('INTEGRITY')
    const item = broken(encode(['abc']))
    expect(codeOf(() => arrayOf(1, [{ indexes: [0], values: pack([item]) }]))).toBe('INTEGRITY')
  })
})

describe('a packed value', () => {
  it('is held to the same limit as one that is packed now', () => {
    for (const value of ['12345', bytesOf('12345')]) {
      expect(decode(packedOf(value, 'it', 6, 'itemBytes'))).toBe('12345')
      expect(() => packedOf(value, 'it', 5, 'itemBytes')).toThrow(
        /^it must be at most 5 bytes when packed, got 6: .*limits.itemBytes/,
      )
    }
  })

  it('is a value of its own for each who looks at it', () => {
    const packed = bytesOf({ list: [1] })
    expect(unpacked(packed)).toEqual({ list: [1] })
    expect(unpacked(packed)).not.toBe(unpacked(packed))
    expect(unpacked('as it is')).toBe('as it is')
  })
})
