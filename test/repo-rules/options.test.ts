import { checkOptions, type OptionTable, defaultsOf, defaultTextOf } from '../../lib/options.js'
import { thrown } from '../support/captured-errors.js'

const table = {
  width: { kind: 'integer', default: 1, unit: 'branches', min: 1, max: 9, help: '' },
  depth: { kind: 'integer', default: 0, help: '' },
  word: { kind: 'string', default: 'on', oneOf: ['on', 'off'], help: '' },
  name: { kind: 'string', pattern: /^[a-z]+$/, help: '' },
  parts: { kind: 'list', help: '' },
  loud: { kind: 'boolean', default: false, help: '' },
  call: { kind: 'function', help: '' },
  clock: { kind: 'object', like: { what: 'a clock', methods: ['now'] }, help: '' },
} as const satisfies OptionTable

const check = (given: unknown): unknown => checkOptions('connect', table, given as object)

describe('options of components', () => {
  it('are kept as they were given; those that are undefined are left out', () => {
    const given = { width: 9, depth: 0, word: 'off', name: 'abc', parts: [], call: check, clock: { now: () => 1 } }
    expect(check({ ...given, loud: undefined })).toStrictEqual(given)
    expect(check(undefined)).toEqual({})
  })

  it.each<[string, unknown, string]>([
    [
      'another option',
      { widht: 1 },
      'connect: widht: there is no such option (did you mean "width"?); the options are width, depth, word',
    ],
    ['a name that objects have', { constructor: 1 }, 'connect: constructor: there is no such option'],
    ['too little', { width: 0 }, 'connect: width: expected an integer from 1 to 9 (branches), got 0'],
    ['too much', { width: 10 }, 'got 10'],
    ['a fraction', { width: 1.5 }, 'got 1.5'],
    ['a text for a number', { width: '1' }, 'got "1"'],
    ['NaN', { depth: Number.NaN }, 'connect: depth: expected an integer of at least 0, got NaN'],
    ['a negative number', { depth: -1 }, 'got -1'],
    ['another word', { word: 'of' }, 'connect: word: expected one of on, off, got "of"'],
    ['a number for a word', { word: 1 }, 'connect: word: expected a string, got 1'],
    ['another pattern', { name: 'A' }, 'connect: name: expected a text that matches /^[a-z]+$/, got "A"'],
    ['no list', { parts: 'a' }, 'connect: parts: expected an array, got "a"'],
    ['no boolean', { loud: 1 }, 'connect: loud: expected a boolean, got 1'],
    ['no function', { call: {} }, 'connect: call: expected a function, got an empty object'],
    ['no clock', { clock: {} }, 'connect: clock: expected a clock, got an empty object'],
    ['null', null, 'connect: options are an object such as { width: … }, got null'],
    ['a list', [1], 'got an array of 1'],
    ['a text', 'redis', 'connect: options are an object'],
  ])('refuse %s and say what was expected', (_what, given, says) => {
    const error = thrown(() => check(given))
    expect(error.code).toBe('INVALID_OPTION')
    expect(error.message).toContain(says)
  })
})

describe('defaults of options', () => {
  it('are the values of the table, without the options that have none', () => {
    expect(defaultsOf(table)).toStrictEqual({ width: 1, depth: 0, word: 'on', loud: false })
  })

  it.each<[string, OptionTable[string]]>([
    ['9', { kind: 'integer', default: 9, help: '' }],
    ['a, b', { kind: 'list', default: ['a', 'b'], help: '' }],
    ['random', { kind: 'string', defaultText: 'random', help: '' }],
    ['none', { kind: 'string', help: '' }],
  ])('are written as %s', (text, spec) => {
    expect(defaultTextOf(spec)).toBe(text)
  })
})
