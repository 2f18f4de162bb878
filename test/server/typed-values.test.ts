/** Values of runs as JSON, with what JSON cannot say of them. */
import { typedInput } from '../../lib/server/typed-input.js'
import { plainValue, typedValue } from '../../lib/server/typed-values.js'
import { thrown } from '../support/captured-errors.js'

describe('a value for HTTP', () => {
  it('is plain JSON with the types of what was none', () => {
    const value = {
      at: new Date(0),
      big: 12n,
      map: new Map([['a', new Set([1n])]]),
      pairs: new Map([[1, 'one']]),
      bytes: Uint8Array.of(1, 2, 3),
      floats: Float64Array.of(1),
      'a/b~': undefined,
      list: [undefined, Number.NaN, -0, Infinity, 1],
      plain: { text: 'x', yes: true, none: null },
    }
    const found = typedValue(value)
    expect(JSON.parse(JSON.stringify(found))).toEqual({
      value: {
        at: '1970-01-01T00:00:00.000Z',
        big: '12',
        map: { a: ['1'] },
        pairs: [[1, 'one']],
        bytes: 'AQID',
        floats: 'AAAAAAAA8D8=',
        list: [null, 'NaN', '-0', 'Infinity', 1],
        plain: { text: 'x', yes: true, none: null },
      },
      types: {
        '/at': 'Date',
        '/big': 'bigint',
        '/map': 'Map',
        '/map/a': 'Set',
        '/map/a/0': 'bigint',
        '/pairs': 'Map',
        '/bytes': 'bytes',
        '/floats': 'Float64Array',
        '/a~1b~0': 'undefined',
        '/list/0': 'undefined',
        '/list/1': 'number',
        '/list/2': 'number',
        '/list/3': 'number',
      },
    })
    expect(typedValue(undefined)).toEqual({ value: null, types: { '': 'undefined' } })
  })

  it('is what it was when it comes back with its types', () => {
    const value = {
      ...{ at: new Date(5), big: -12n, map: new Map([['a', new Set([1n])]]) },
      ...{ pairs: new Map<unknown, unknown>([[{ k: new Date(1) }, [2n]]]), bytes: Uint8Array.of(1, 2, 3) },
      ...{ floats: Float64Array.of(1.5), 'a/b~': undefined },
      ...{ list: [undefined, Number.NaN, -0, Infinity, 1], ['__proto__']: { x: 1n } },
    }
    const { value: json, types } = JSON.parse(JSON.stringify(typedValue(value)))
    const back = typedInput(json, types)
    expect(back).toEqual(value)
    expect(Object.keys(back as object).sort()).toEqual(Object.keys(value).sort())
    const { value: never, types: ofNever } = typedValue(new Date(Number.NaN))
    expect(Number(typedInput(never, ofNever))).toBeNaN()
    for (const plain of [1n, new Map(), undefined, 'text']) {
      const whole = typedValue(plain)
      expect(typedInput(whole.value, whole.types)).toEqual(plain)
    }
  })

  it('is refused where its types do not fit it, or name no place', () => {
    const refusal = (input: unknown, types: Readonly<Record<string, string>>) => {
      const { code, message } = thrown(() => typedInput(input, types))
      return `${code} ${message}`
    }
    expect(refusal({ at: 'soon' }, { '/at': 'Date' })).toBe(
      'INVALID_OPTION types: at "/at": expected an ISO date or null for Date, got "soon"',
    )
    expect(refusal({ n: '1.5' }, { '/n': 'bigint' })).toMatch(/expected a text of digits for bigint, got "1.5"$/)
    expect(refusal({ m: [[1]] }, { '/m': 'Map' })).toMatch(/expected an object, or a list of pairs for Map, got/)
    expect(refusal({ f: 'AQID' }, { '/f': 'Float64Array' })).toMatch(
      /expected base64 of whole elements for Float64Array, got "AQID"$/,
    )
    expect(refusal({ f: 'AQID' }, { '/f': 'constructor' })).toMatch(
      /expected one of Date, bigint, .*, got "constructor"$/,
    )
    expect(refusal({ e: { message: 'x' } }, { '/e': 'Error' })).toMatch(/expected one of Date, .*, got "Error"$/)
    expect(refusal(1, { '': 'Nosuch' })).toMatch(/^INVALID_OPTION types: at "": expected one of .*, got "Nosuch"$/)
    expect(refusal({}, { '/gone': 'Date' })).toMatch(/"\/gone": the input has no such place$/)
    let deep: unknown = 1
    for (let i = 0; i < 200; i += 1) deep = [deep]
    expect(refusal(deep, { '': 'Set' })).toMatch(/nested more than 100 deep$/)
  })

  it('keeps causes and stacks of errors, and keys that are special', () => {
    const error = new Error('outer', { cause: new TypeError('inner') })
    const found = plainValue({ error, ['__proto__']: 1 }) as { error: { stack: string; cause: object } }
    expect(found.error).toMatchObject({
      name: 'Error',
      message: 'outer',
      cause: { name: 'TypeError', message: 'inner' },
    })
    expect(found.error.stack).toContain('typed-values.test')
    expect(JSON.stringify(plainValue(JSON.parse('{"__proto__":1}')))).toBe('{"__proto__":1}')
  })

  it('is bounded, and says what it leaves out', () => {
    const many = typedValue(Array.from({ length: 30_000 }, (_, i) => i))
    expect(many).toMatchObject({ truncated: true, types: { '': 'omitted' } })
    expect((many.value as unknown[]).length).toBeLessThan(20_001)
    const long = typedValue({ text: 'x'.repeat(300_000) })
    expect(long).toMatchObject({ truncated: true, types: { '/text': 'omitted' } })
    let deep: unknown = 1
    for (let i = 0; i < 200; i += 1) deep = [deep]
    expect(typedValue(deep).truncated).toBe(true)
    expect(typedValue([1]).truncated).toBeUndefined()
  })
})
