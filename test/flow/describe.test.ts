import { task } from '../../lib/index.js'
import { describe as say, describeError, mayHoldPassword, messageOf } from '../../lib/describe.js'

class Point {
  readonly x = 1
}
const a = task('a', () => 1)
const refusing = new Proxy({}, Object.fromEntries(traps().map((trap) => [trap, refuse])))

function traps(): readonly string[] {
  return ['get', 'has', 'getPrototypeOf', 'ownKeys', 'getOwnPropertyDescriptor']
}
function refuse(): never {
  throw new Error('refused')
}

describe('a value in a message', () => {
  it.each<[unknown, string]>([
    ['x"y', '"x\\"y"'],
    ['x'.repeat(100), `"${'x'.repeat(59)}…"`],
    [3, '3'],
    [-0, '-0'],
    [Number.NaN, 'NaN'],
    [3n, '3n'],
    [true, 'true'],
    [undefined, 'undefined'],
    [null, 'null'],
    [Symbol('s'), 'a symbol'],
    [() => 1, 'a function'],
    [refuse, 'the function refuse'],
    [[1, 2], 'an array of 2'],
    [new (class List extends Array {})(), 'an instance of List'],
    [a, 'a flow'],
    [Promise.resolve(), 'a promise'],
    [new Map(), 'an instance of Map'],
    [new Point(), 'an instance of Point'],
    [Object.create({ inherited: 1 }), 'an object with a prototype'],
    [Object.create(null), 'an empty object'],
    [{}, 'an empty object'],
    [{ x: 1, y: 2 }, 'an object with x, y'],
  ])('%p', (value, said) => {
    expect(say(value)).toBe(said)
  })

  it.each([
    ['a proxy that answers nothing', refusing],
    ['a proxy that was revoked', revoked()],
    ['one whose then throws', Object.defineProperty({}, 'then', { get: refuse })],
  ])('of %s is said without a throw', (_, value) => {
    for (const text of [say, messageOf, describeError]) expect(text(value)).toBe('a value that cannot be looked at')
  })
})

describe('a thrown value in a message', () => {
  it.each<[unknown, string, string]>([
    [new TypeError('no'), 'no', 'TypeError: no'],
    ['no', 'no', 'no'],
    [undefined, 'undefined', 'undefined'],
    [{ message: 'no' }, 'no', 'no'],
    [Object.create(null), 'an empty object', 'an empty object'],
  ])('%p', (value, message, named) => {
    expect([messageOf(value), describeError(value)]).toEqual([message, named])
  })

  it('of an error whose message throws is said without a throw', () => {
    const error = Object.defineProperty(new Error('no'), 'message', { get: refuse })
    expect([messageOf(error), describeError(error)].map((text) => typeof text)).toEqual(['string', 'string'])
  })
})

describe('a text that may hold a password', () => {
  it.each<[string, boolean]>([
    ['redis://:p@host', true],
    ['see redis://a:b@c', true],
    ['a:b@c', true],
    [':p@host', true],
    ['a@b', false],
    ['a b:c@d', false],
    ['a:b', false],
    ['redis://host', false],
    ['a@b c://d', false],
    ['', false],
  ])('%s: %p', (text, may) => {
    expect(mayHoldPassword(text)).toBe(may)
  })

  it.each(['://', 'a:'])('is found in time that grows with its length, also in one of many %s', (piece) => {
    const startedAt = performance.now()
    expect(mayHoldPassword(piece.repeat(20_000))).toBe(false)
    expect(performance.now() - startedAt).toBeLessThan(2_000)
  })
})

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}
