import { deepStrictEqual } from 'node:assert/strict'
import { createContext, runInContext } from 'node:vm'
import fc from 'fast-check'
import { addExtension } from 'msgpackr'
import { decode, encode, encodeFailure } from '../../lib/values/codec.js'
import { GraflowError } from '../../lib/errors.js'
import { thrown } from '../support/captured-errors.js'

/** Keys that are no ordinary ones for a JavaScript engine, a hash or MessagePack. */
const oddKeys = [
  'constructor',
  'toString',
  'hasOwnProperty',
  'length',
  '',
  '0',
  '-1',
  'then',
  'toJSON',
  ' ',
  '\u0000',
  '🎉',
]
const key = fc
  .oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom(...oddKeys))
  .filter((text) => text !== '__proto__')

/** Everything that can be carried. */
const { value } = fc.letrec<{ value: unknown; leaf: unknown }>((tie) => ({
  leaf: fc.oneof(
    fc.constantFrom<unknown>(
      undefined,
      null,
      true,
      false,
      -0,
      Number.NaN,
      Infinity,
      -Infinity,
      2 ** 53,
      -(2 ** 63),
      1e-320,
    ),
    fc.integer(),
    fc.double(),
    fc.bigInt(),
    fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n }),
    fc.string({ unit: 'grapheme', maxLength: 100 }),
    fc.date({ noInvalidDate: true }) /* two invalid ones are not equal to deepStrictEqual */,
    fc.uint8Array(),
    fc.uint8ClampedArray(),
    fc.int8Array(),
    fc.int16Array(),
    fc.uint16Array(),
    fc.int32Array(),
    fc.uint32Array(),
    fc.float32Array(),
    fc.float64Array(),
    fc.bigInt64Array(),
    fc.bigUint64Array(),
  ),
  value: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    tie('leaf'),
    fc.array(tie('value'), { maxLength: 6 }),
    fc.dictionary(key, tie('value'), { maxKeys: 6, noNullPrototype: true }),
    fc.array(fc.tuple(tie('value'), tie('value')), { maxLength: 4 }).map((entries) => new Map(entries)),
    fc.array(tie('value'), { maxLength: 4 }).map((items) => new Set(items)),
  ),
}))

/** A value with something that cannot be carried somewhere in it. */
const bad = fc.constantFrom<() => unknown>(
  () => () => 1,
  () => Symbol('s'),
  () => 'half \udc00',
  () =>
    new (class Own {
      readonly n = 1
    })(),
  () => new (class Own extends Array<number> {})(),
  () => new (class Own extends Map {})(),
  () => new (class Own extends Date {})(),
  () => new (class Own extends Float64Array {})(1),
  () => new Array<number>(2),
  () => Object.assign([1], { extra: 2 }),
  () => ({ [Symbol('k')]: 1 }),
  () => /x/g,
  () => new DataView(new ArrayBuffer(1)),
  () => new ArrayBuffer(1),
  () => new WeakSet(),
  () => Promise.resolve(),
  () => JSON.parse('{"__proto__":1}') as unknown,
  () => new Boolean(true),
  () => {
    const own: unknown[] = []
    own.push(own)
    return own
  },
)

describe('codec', () => {
  it('carries whatever can be carried, equal, every time it is read', () => {
    fc.assert(
      fc.property(value, (given) => {
        const bytes = encode(given)
        // not toStrictEqual, which takes a key called constructor for a type
        deepStrictEqual(decode(bytes), given)
        deepStrictEqual(decode(bytes), given)
      }),
      { numRuns: 500 },
    )
  })

  it('carries a date that is none', () => {
    const date = decode(encode(new Date(Number.NaN))) as Date
    expect(date).toBeInstanceOf(Date)
    expect(date.getTime()).toBeNaN()
  })

  it('gives the same bytes for what it gave, so that a digest of them means something', () => {
    fc.assert(
      fc.property(value, (given) => {
        expect(Buffer.compare(encode(decode(encode(given))), encode(given))).toBe(0)
      }),
      { numRuns: 300 },
    )
  })

  it('reads a value out of the middle of others', () => {
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 5 }), (values) => {
        const parts = values.map((item) => Buffer.from(encode(item)))
        const all = Buffer.concat(parts)
        let at = 0
        for (const [i, part] of parts.entries()) {
          deepStrictEqual(decode(all, at, at + part.length), values[i])
          at += part.length
        }
      }),
      { numRuns: 200 },
    )
  })

  it('refuses what cannot be carried wherever it stands, by NOT_SERIALISABLE with a path, never changing it', () => {
    fc.assert(
      fc.property(
        value,
        bad,
        fc.array(fc.constantFrom('array', 'object', 'map', 'set'), { maxLength: 6 }),
        (beside, make, around) => {
          let whole = make()
          for (const kind of around) {
            if (kind === 'array') whole = [beside, whole]
            else if (kind === 'object') whole = { beside, whole }
            else if (kind === 'map') whole = new Map([['whole', whole]])
            else whole = new Set([whole])
          }
          const error = thrown(() => encode(whole))
          expect(error.code).toBe('NOT_SERIALISABLE')
          expect(String(error.details['path']).startsWith('value')).toBe(true)
          expect(error.message).toContain(String(error.details['path']))
        },
      ),
      { numRuns: 500 },
    )
  })

  it('gives every reader a copy of its own, also of bytes', () => {
    const bytes = encode({
      list: [1],
      raw: Uint8Array.of(1, 2),
      floats: Float64Array.of(1),
      map: new Map([['k', { n: 1 }]]),
    })
    const first = decode(bytes) as {
      list: number[]
      raw: Uint8Array
      floats: Float64Array
      map: Map<string, { n: number }>
    }
    first.list.push(2)
    first.raw[0] = 99
    first.floats[0] = 99
    ;(first.map.get('k') as { n: number }).n = 99
    expect(decode(bytes)).toStrictEqual({
      list: [1],
      raw: Uint8Array.of(1, 2),
      floats: Float64Array.of(1),
      map: new Map([['k', { n: 1 }]]),
    })
  })

  it('does not look at what was given after it has encoded it', () => {
    const given = { raw: Uint8Array.of(1), list: [1] }
    const bytes = encode(given)
    given.raw[0] = 99
    given.list.push(2)
    expect(decode(bytes)).toStrictEqual({ raw: Uint8Array.of(1), list: [1] })
  })

  it('carries a value that is used twice as two, which is no cycle', () => {
    const shared = { n: 1 }
    expect(decode(encode({ a: shared, b: [shared, shared] }))).toStrictEqual({ a: { n: 1 }, b: [{ n: 1 }, { n: 1 }] })
  })

  it('carries a Buffer as a Buffer, wherever it stands, and a Uint8Array as one', () => {
    const given = { text: Buffer.from('hello'), bytes: new Uint8Array([1, 2]), list: [Buffer.alloc(0)] }
    const got = decode(encode(given)) as typeof given
    expect(got.text.toString('utf8')).toBe('hello')
    deepStrictEqual(got, given)
    expect(Buffer.isBuffer(got.bytes)).toBe(false)
  })

  it('carries a view as what it shows, not the buffer behind it', () => {
    const words = new Uint16Array([1, 2, 3, 4]).subarray(1, 3)
    const bytes = new Uint8Array([1, 2, 3, 4]).subarray(1, 3)
    expect(decode(encode([words, bytes]))).toStrictEqual([Uint16Array.of(2, 3), Uint8Array.of(2, 3)])
    expect((decode(encode(words)) as Uint16Array).buffer.byteLength).toBe(4)
  })

  it('takes objects without a prototype, and those of another realm, as plain ones', () => {
    const foreign: unknown = runInContext('({ a: [1, { b: 2 }] })', createContext())
    expect(decode(encode(foreign))).toEqual({ a: [1, { b: 2 }] })
    expect(decode(encode(Object.assign(Object.create(null), { a: 1 })))).toEqual({ a: 1 })
  })

  it('refuses rather than overflow: values nested 200 deep go, deeper ones do not', () => {
    const nested = (depth: number): unknown => {
      let inner: unknown = 1
      for (let i = 0; i < depth; i += 1) inner = i % 2 === 0 ? [inner] : { inner }
      return inner
    }
    expect(decode(encode(nested(200)))).toEqual(nested(200))
    const error = thrown(() => encode(nested(100_000)))
    expect(error.code).toBe('NOT_SERIALISABLE')
    expect(error.message).toContain('nested deeper than 200')
  })

  it('counts the bytes as packed against the limit, and says what and how many', () => {
    const text = 'x'.repeat(100)
    const { length } = encode(text)
    expect(encode(text, 'the text', length)).toHaveLength(length)
    const error = thrown(() => encode(text, 'the text', length - 1))
    expect(error.code).toBe('LIMIT_EXCEEDED')
    expect(error.message).toContain('the text')
    expect(error.message).toContain(String(length - 1))
    expect(error.details).toEqual({ what: 'the text', bytes: length, maxBytes: length - 1 })
  })

  it('carries an Error as an Error, a GraflowError as one, wherever it stands', () => {
    const plain = Object.assign(new RangeError('out', { cause: new Error('why') }), { code: 'E_OUT' })
    const own = new GraflowError('TIMEOUT', 'late', { details: { ms: 5 }, cause: plain })
    const [carried, list] = decode(encode([own, { errors: [plain] }])) as [
      GraflowError,
      { errors: [Error & { code: string }] },
    ]
    expect(carried).toBeInstanceOf(GraflowError)
    expect(carried).toMatchObject({ code: 'TIMEOUT', message: 'late', details: { ms: 5 } })
    expect((carried.cause as Error).message).toBe('out')
    const [error] = list.errors
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({ name: 'RangeError', message: 'out', code: 'E_OUT' })
    expect(error.stack).toBe(plain.stack)
    expect((error.cause as Error).message).toBe('why')
  })

  it('keeps whatever an error has as a value, its class of the language included', () => {
    const cause = new Map([[1, 2n]])
    const given = Object.assign(new TypeError('m'.repeat(20_000), { cause }), { status: 404, details: { n: 5n } })
    const error = decode(encode({ error: given })) as { error: TypeError & typeof given }
    expect(error.error).toBeInstanceOf(TypeError)
    expect(error.error.message).toBe(given.message)
    expect(error.error).toMatchObject({ status: 404, details: { n: 5n }, cause, stack: given.stack })
    const sum = decode(encode(new AggregateError([5, new RangeError('r')], 'x'))) as AggregateError
    expect(sum).toBeInstanceOf(AggregateError)
    expect(sum.errors[0]).toBe(5)
    expect(sum.errors[1]).toBeInstanceOf(RangeError)
    const carriedName = decode(encode(Object.assign(new Error('x'), { name: 'HttpError' }))) as Error
    expect(carriedName.name).toBe('HttpError')
  })

  it('refuses what of an error cannot be carried, with its place', () => {
    const error = thrown(() => encode({ e: Object.assign(new Error('x'), { retry: () => 1 }) }))
    expect(error).toMatchObject({ code: 'NOT_SERIALISABLE', details: { path: 'value.e.retry' } })
  })

  it.each([
    ['a Map', Object.assign(new Map([[1, 2]]), { note: new Map([[3, -0]]) })],
    ['a Set', Object.assign(new Set([1]), { note: 'x' })],
    ['a Date', Object.assign(new Date(5), { note: 'x' })],
    ['a short typed array', Object.assign(new Uint8Array(2), { note: 'x' })],
    ['a long typed array', Object.assign(new Uint8Array(100_000), { note: 'x' })],
    ['a Buffer', Object.assign(Buffer.alloc(1_000), { note: 'x' })],
    ['an array of doubles', Object.assign(new Float64Array(1_000), { note: 'x' })],
  ])('keeps a named property of %s', (_, value) => {
    const [back] = decode(encode([value])) as [typeof value]
    deepStrictEqual(back, value)
    deepStrictEqual(back.note, value.note)
  })

  it('refuses what of a named property cannot be carried, and any of an array, with the place', () => {
    expect(thrown(() => encode([Object.assign(new Date(5), { note: () => 1 })]))).toMatchObject({
      code: 'NOT_SERIALISABLE',
      details: { path: 'value[0].note' },
    })
    expect(thrown(() => encode([Object.assign([1], { note: 'x' })]))).toMatchObject({
      details: { path: 'value[0].note' },
    })
    expect(thrown(() => encode(Object.assign(new Map(), { [Symbol('s')]: 1 }))).code).toBe('NOT_SERIALISABLE')
  })

  it('keeps an object without prototype as one', () => {
    const given = Object.assign(Object.create(null) as Record<string, unknown>, { a: { b: new Map([[1, 2]]) } })
    const back = decode(encode({ given })) as { given: object }
    expect(Object.getPrototypeOf(back.given)).toBeNull()
    expect(back).toEqual({ given })
  })

  it('refuses a getter that throws, and whatever else cannot be looked at, with GraflowErrors', () => {
    const lazy = {
      get x(): never {
        throw new Error('lazy field')
      },
    }
    expect(thrown(() => encode({ a: [lazy] }))).toMatchObject({
      code: 'NOT_SERIALISABLE',
      details: { path: 'value.a[0].x' },
    })
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    expect(thrown(() => encode({ proxy })).code).toBe('NOT_SERIALISABLE')
  })

  it('says where what cannot be looked at stands: an item, a proxy, at any depth', () => {
    const throws = (): never => {
      throw new GraflowError('NOT_SERIALISABLE', 'its own error')
    }
    const { proxy: revoked, revoke } = Proxy.revocable([], {})
    revoke()
    const items = Object.defineProperty([1, 2], 1, { get: throws, enumerable: true })
    const keyless = new Proxy({}, { ownKeys: throws })
    for (const [value, path] of [
      [items, 'value[1]'],
      [{ a: [items] }, 'value.a[0][1]'],
      [keyless, 'value'],
      [[{ list: [0, keyless] }], 'value[0].list[1]'],
      [{ a: { b: revoked } }, 'value.a.b'],
      [new Map([[1, keyless]]), 'value<value 0>'],
      [Object.assign(new Error('x'), { at: keyless }), 'value.at'],
    ] as const)
      expect(thrown(() => encode(value))).toMatchObject({ code: 'NOT_SERIALISABLE', details: { path } })
  })

  it('refuses symbol keys of whatever has them, with the place', () => {
    const key = Symbol('s')
    for (const value of [{}, [1], [], new Map(), new Date(5), new Uint8Array(2), new Error('x'), new TypeError('x')])
      expect(thrown(() => encode({ a: [Object.assign(value, { [key]: 1 })] }))).toMatchObject({
        code: 'NOT_SERIALISABLE',
        details: { path: 'value.a[0]' },
        message: expect.stringContaining('symbol keys') as string,
      })
  })

  it('keeps arrays that look like its own stand-ins', () => {
    const [mark] = decode(encode(new Map())) instanceof Map ? ['\u0001g'] : ['']
    for (const given of [
      [mark],
      [mark, 'map', [1, 2]],
      [mark, 'root', 7],
      { a: [mark, 'date', 5], m: new Map([[1, [mark]]]) },
    ])
      expect(decode(encode(given))).toEqual(given)
  })

  it('is not disturbed by types that the application registers with the library', () => {
    class Money {
      constructor(readonly amount: number) {}
    }
    for (const type of [71, 66, 83])
      addExtension({ Class: Money, type, pack: () => Buffer.from('money'), unpack: () => new Money(5) })
    addExtension({ Class: Map, type: 72, pack: () => Buffer.from('map'), unpack: () => 'no map' })
    addExtension({ Class: Set, type: 73, pack: () => Buffer.from('set'), unpack: () => 'no set' })
    addExtension({ Class: Date, type: 74, pack: () => Buffer.from('date'), unpack: () => 'no date' })
    const given = {
      map: new Map([[1, -0]]),
      set: new Set([1]),
      date: new Date(5),
      big: 2n ** 100n,
      floats: Float64Array.of(1.5),
    }
    deepStrictEqual(decode(encode(given)), given)
    expect(decode(encodeFailure(new RangeError('the real reason')))).toMatchObject({ message: 'the real reason' })
  })

  it('answers bytes that are no value with INTEGRITY, whatever they are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 64 }), (bytes) => {
        try {
          decode(bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(GraflowError)
          expect((error as GraflowError).code).toBe('INTEGRITY')
        }
      }),
      { numRuns: 2_000 },
    )
    expect(thrown(() => decode(new Uint8Array(0))).code).toBe('INTEGRITY')
    const whole = encode({ text: 'x'.repeat(50) })
    for (let cut = 0; cut < whole.length; cut += 1) expect(thrown(() => decode(whole, 0, cut)).code).toBe('INTEGRITY')
  })
})
