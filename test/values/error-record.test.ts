import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { asError } from '../../lib/engine/failure.js'
import { decode, encodeFailure } from '../../lib/values/codec.js'
import { errorFromRecord, errorToRecord } from '../../lib/values/error-record.js'
import { GraflowError, NotRetryableError } from '../../lib/errors.js'

/** To another process and back. */
const carried = (thrown: unknown): Error & Record<string, unknown> =>
  decode(encodeFailure(errorFromRecord(errorToRecord(thrown)))) as Error & Record<string, unknown>

const hostile = (): Error =>
  Object.defineProperties(new Error('seen'), {
    details: {
      get: () => {
        throw new Error('a getter')
      },
    },
    cause: {
      get: () => {
        throw new Error('a getter')
      },
    },
  })

describe('an error record', () => {
  it('keeps name, message, stack, code, details and cause of an Error of any class', () => {
    class HttpError extends Error {
      override readonly name = 'HttpError'
      readonly code = 'E_HTTP'
      readonly details = { status: 503, url: new URL('http://host/'), at: new Date(5), tags: ['a', 1n] }
    }
    const thrown = new HttpError('no answer', { cause: new TypeError('socket closed', { cause: 'the wire' }) })
    const error = carried(thrown)
    expect(error).toBeInstanceOf(Error)
    expect(error.name).toBe('HttpError')
    expect(error.message).toBe('no answer')
    expect(error.stack).toBe(thrown.stack)
    expect(error['code']).toBe('E_HTTP')
    expect(error['details']).toMatchObject({ status: 503, at: new Date(5), tags: ['a', 1n] })
    expect(error.cause).toMatchObject({ name: 'TypeError', message: 'socket closed' })
    expect((error.cause as Error).cause).toBe('the wire')
    expect(`${error.name}: ${error.message}`).toBe('HttpError: no answer')
  })

  it('keeps a cause that is no Error, and gives nothing a stack of ours', () => {
    for (const cause of [1, 'text', false, { status: 503, tags: ['a'] }])
      expect(carried(carried(new Error('q', { cause }))).cause).toEqual(cause)
    const strange = carried(new Error('q', { cause: Symbol('s') })).cause as Error
    expect(strange.message).toBe('thrown: Symbol(s)')
    expect([strange.stack, carried('text').stack]).toEqual(['Error: thrown: Symbol(s)', 'Error: thrown: text'])
    const ours = carried(new GraflowError('INTERNAL', 'm', { cause: 7 }))
    expect(ours.cause).toBe(7)
  })

  it('keeps the errors of an AggregateError', () => {
    const error = carried(new AggregateError([new RangeError('one'), 'two'], 'both'))
    expect(error.name).toBe('AggregateError')
    expect(error['errors']).toMatchObject([{ name: 'RangeError', message: 'one' }, 'two'])
  })

  it('keeps a GraflowError as one, and what is marked as not retryable', () => {
    const error = carried(
      new GraflowError('TIMEOUT', 'late', { details: { ms: 1 }, errors: [new NotRetryableError('no')] }),
    )
    expect(error).toBeInstanceOf(GraflowError)
    expect(error).toMatchObject({
      code: 'TIMEOUT',
      details: { ms: 1 },
      errors: [{ name: 'NotRetryableError', retryable: false }],
    })
  })

  it('takes a code of ours on a foreign error as text, not as our class', () => {
    expect(carried(Object.assign(new Error('x'), { code: 'TIMEOUT' }))).not.toBeInstanceOf(GraflowError)
  })

  it('keeps an error of another realm, as a test runner has', () => {
    const error = carried(runInNewContext('Object.assign(new TypeError("far"), { code: "E_FAR" })'))
    expect(error).toMatchObject({ name: 'TypeError', message: 'far', code: 'E_FAR' })
    expect(error.stack).toContain('far')
  })

  it.each([
    ['a text', 'plain', 'thrown: plain'],
    ['nothing', undefined, 'thrown: undefined'],
    ['null', null, 'thrown: null'],
    ['a number', 7, 'thrown: 7'],
    ['a bigint', 7n, 'thrown: 7'],
    ['a symbol', Symbol('s'), 'thrown: Symbol(s)'],
    ['an object', { status: 404 }, 'thrown: {"status":404}'],
    ['an object without a prototype', Object.create(null), 'thrown: {}'],
    [
      'an object that throws when it becomes text',
      {
        toJSON: () => {
          throw new Error('no')
        },
        toString: () => {
          throw new Error('no')
        },
      },
      'thrown: [object Object]',
    ],
    ['a message that is no text', Object.assign(new Error(), { message: { a: 1 } }), '{"a":1}'],
    ['a name that is no text', Object.assign(new Error('m'), { name: Object.create(null) as string }), 'm'],
    ['getters that throw', hostile(), 'seen'],
    ['a proxy that answers nothing', revoked(), 'thrown: something that cannot be looked at'],
  ])('tells of %s', (_, thrown, message) => {
    expect(carried(thrown).message).toBe(message)
    expect(asError(thrown)).toBeInstanceOf(Error)
  })

  it('never throws, and always makes a record that can be carried', () => {
    fc.assert(
      fc.property(
        fc.anything({
          withBigInt: true,
          withDate: true,
          withMap: true,
          withSet: true,
          withNullPrototype: true,
          withSparseArray: true,
          withTypedArray: true,
        }),
        (odd) => {
          expect(carried(odd)).toBeInstanceOf(Error)
          const worn = Object.assign(new Error('x'), { details: { odd }, code: odd, errors: [odd], cause: odd })
          expect(carried(worn).message).toBe('x')
        },
      ),
      { numRuns: 500 },
    )
  })

  it('cuts long texts, keeping how a message begins and ends', () => {
    const error = carried(new Error(`begin ${'x'.repeat(100_000)} end`))
    expect(error.message.length).toBeLessThan(9_000)
    expect(error.message).toMatch(/^begin x+… \(\d+ characters more\) …x+ end$/)
    expect(carried(Object.assign(new Error('m'), { details: { text: 'y'.repeat(100_000) } })).message).toBe('m')
  })

  it('cuts no character in half', () => {
    expect(carried(new Error('🎉'.repeat(20_000))).message.isWellFormed()).toBe(true)
    expect(carried(new Error(`${'🎉'.repeat(20_000)}x`)).message.isWellFormed()).toBe(true)
  })

  it('keeps of a long chain of causes the first few and the innermost', () => {
    let error = new Error('the root')
    for (let i = 0; i < 50; i += 1) error = new Error(`level ${i}`, { cause: error })
    const messages: string[] = []
    for (let at: unknown = carried(error); at instanceof Error; at = at.cause) messages.push(at.message)
    expect(messages.slice(0, 3)).toEqual(['level 49', 'level 48', 'level 47'])
    expect(messages.at(-1)).toBe('the root')
    expect(messages.length).toBeLessThan(12)
  })

  it('keeps the innermost cause also when it travels through many processes', () => {
    let error: Error = new Error('the root')
    for (let i = 0; i < 50; i += 1) error = carried(new Error(`level ${i}`, { cause: error }))
    while (error.cause instanceof Error) error = error.cause
    expect(error.message).toBe('the root')
  })

  it('stays small for errors that contain themselves, however often', () => {
    const self = new AggregateError([], 'self')
    for (let i = 0; i < 100; i += 1) self.errors.push(self)
    self.cause = self
    const ring: Record<string, unknown> = {}
    for (let i = 0; i < 100; i += 1) ring[`k${i}`] = ring
    const bytes = encodeFailure(Object.assign(self, { details: ring }))
    expect(bytes.length).toBeLessThan(4_000_000)
    expect((decode(bytes) as Error).message).toBe('self')
  })

  it('is cut down until it fits into what the strictest Redis takes, and says how much is left out', () => {
    const large = (n: number): string => String(n).repeat(9_000)
    const many = new AggregateError(
      Array.from({ length: 200 }, (_, n) => new Error(large(n))),
      'all failed',
    )
    const wide = '\u4e16'.repeat(9_000)
    const table = Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`${wide}${n}`, Array(200).fill(wide)]))
    const hostile = Object.assign(new Error(wide, { cause: Object.assign(new Error(wide), table) }), table)
    for (const error of [many, new GraflowError('TASK_FAILED', 'why', { cause: many }), hostile])
      expect(encodeFailure(error).length).toBeLessThanOrEqual(512 * 1024)
    const { message, errors } = carried(many) as unknown as Error & { errors: readonly unknown[] }
    expect(message).toBe('all failed')
    expect((errors[0] as Error).message).toMatch(/^0+/)
    expect(errors.at(-1)).toMatch(/^… \(\d+ more\)$/)
  })
})

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}
