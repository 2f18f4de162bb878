/** Lists of values as one run of bytes. */
import fc from 'fast-check'
import { decode, encode } from '../../lib/values/codec.js'
import { decodeItem, ValueReader, ValueWriter, valuesOf } from '../../lib/values/value-lists.js'
import { item } from '../../lib/values/packed-items.js'
import { thrown } from '../support/captured-errors.js'

const values = fc.array(
  fc.oneof(
    fc.integer(),
    fc.string({ maxLength: 200 }),
    fc.constant(null),
    fc.record({ id: fc.nat(), text: fc.string() }),
  ),
)

describe('packing', () => {
  it('gives values back in order, one by one and together', () => {
    fc.assert(
      fc.property(values, (given) => {
        const writer = new ValueWriter()
        for (const value of given) expect(writer.encode(value)).toBe(encode(value).length)
        expect(writer.length).toBe(given.length)
        const packed = writer.take()
        expect(packed.bytes.length).toBe(packed.ends.at(-1) ?? 0)
        const reader = new ValueReader(packed)
        given.forEach((value, i) => {
          expect(reader.value(i)).toEqual(value)
          expect(decodeItem(packed, i)).toEqual(value)
          expect(Buffer.compare(item(packed, i), encode(value))).toBe(0)
        })
        expect(valuesOf(packed)).toEqual(given)
      }),
    )
  })

  it('is empty once taken, and what was taken stays as it is', () => {
    const writer = new ValueWriter()
    writer.encode('first')
    const first = writer.take()
    expect([writer.length, writer.byteLength]).toEqual([0, 0])
    writer.encode('other')
    writer.encode('more')
    expect(valuesOf(first)).toEqual(['first'])
    expect(valuesOf(writer.take())).toEqual(['other', 'more'])
    expect(writer.take()).toEqual({ bytes: new Uint8Array(0), ends: new Uint32Array(0) })
  })

  it('takes parts of byte strings, of any length', () => {
    const source = Uint8Array.from({ length: 500 }, (_, i) => i % 251)
    const writer = new ValueWriter()
    const parts = [
      [0, 0],
      [3, 34],
      [3, 35],
      [10, 500],
      [499, 500],
    ] as const
    for (const [start, end] of parts) writer.push(source, start, end)
    writer.push(source)
    const packed = writer.take()
    parts.forEach(([start, end], i) => expect(item(packed, i)).toEqual(source.subarray(start, end)))
    expect(item(packed, parts.length)).toEqual(source)
  })

  it('leaves out what is too large, and can take the last item back', () => {
    const writer = new ValueWriter()
    writer.encode('kept')
    expect(writer.encode('x'.repeat(100), 101)).toBe(102)
    expect(writer.length).toBe(1)
    writer.encode('y'.repeat(100), 102)
    writer.drop()
    writer.encode('last')
    expect(valuesOf(writer.take())).toEqual(['kept', 'last'])
    writer.encode(1)
    writer.drop()
    expect([writer.length, writer.byteLength]).toEqual([0, 0])
  })

  it('has nothing of a value that cannot be carried', () => {
    const writer = new ValueWriter()
    writer.encode([1])
    expect(thrown(() => writer.encode([1, 'two', () => 3]))).toMatchObject({ code: 'NOT_SERIALISABLE' })
    writer.encode([2])
    expect(valuesOf(writer.take())).toEqual([[1], [2]])
  })
})

describe('encoded bytes', () => {
  it('are their owner’s: later values write elsewhere, however large they are', () => {
    const small = encode('small')
    const large = encode('l'.repeat(3_000_000))
    const after = encode('after')
    encode('x'.repeat(20_000))
    expect([decode(small), decode(after)]).toEqual(['small', 'after'])
    expect(decode(large)).toBe('l'.repeat(3_000_000))
    expect([small, after].map(({ buffer }) => buffer.byteLength)).toEqual([small.length, after.length])
  })
})
