import fc from 'fast-check'
import { GraflowError } from '../../lib/errors.js'
import { thrown } from '../support/captured-errors.js'

const json = (error: Error): unknown => JSON.parse(JSON.stringify(error))

describe('GraflowError', () => {
  it.each<[string, readonly unknown[], string]>([
    [
      'null for a code',
      [null],
      "expected a code of docs/errors.md, such as 'TASK_FAILED', got null; for an error of your own, throw an Error",
    ],
    ['nothing', [], 'got undefined'],
    ['a code of others', ['E_MINE', 'mine'], 'got "E_MINE"'],
    ['a name that objects have', ['constructor', 'x'], 'got "constructor"'],
    ['null for options', ['INTERNAL', 'x', null], 'expected options such as { cause }, got null'],
    ['a text for options', ['INTERNAL', 'x', 'cause'], 'got "cause"'],
    ['no list of errors', ['INTERNAL', 'x', { errors: 1 }], 'expected a list of errors, got 1'],
  ])('refuses %s, and says what was expected', (_what, words, says) => {
    const error = thrown(() => Reflect.construct(GraflowError, words))
    expect(error).toBeInstanceOf(GraflowError)
    expect([error.code, error.message]).toEqual(['INVALID_OPTION', expect.stringContaining(says)])
  })
})

describe('GraflowError as JSON', () => {
  it('has name, code, message, details, errors and cause, whatever classes they are of', () => {
    const thrown = Object.assign(new RangeError('no item', { cause: 'the wire' }), { code: 'E_ITEM' })
    const failed = new GraflowError('TASK_FAILED', 'a failed', {
      cause: thrown,
      details: { task: 'a', at: new Date(0) },
    })
    const error = new GraflowError('GROUP_FAILED', 'the group failed', { errors: [failed], details: { group: '0' } })
    expect(json(error)).toEqual({
      name: 'GraflowError',
      code: 'GROUP_FAILED',
      message: 'the group failed',
      retryable: true,
      details: { group: '0' },
      errors: [
        {
          name: 'GraflowError',
          code: 'TASK_FAILED',
          message: 'a failed',
          retryable: true,
          details: { task: 'a', at: '1970-01-01T00:00:00.000Z' },
          cause: { name: 'RangeError', code: 'E_ITEM', message: 'no item', cause: 'the wire' },
        },
      ],
    })
  })

  it('leaves out what is not there', () => {
    expect(json(new GraflowError('TIMEOUT', 'late'))).toEqual({
      name: 'GraflowError',
      code: 'TIMEOUT',
      message: 'late',
      retryable: true,
    })
  })

  it('ends where something stands inside itself', () => {
    const details: Record<string, unknown> = { n: 1n }
    details['self'] = details
    const cause = new Error('own cause')
    cause.cause = cause
    expect(json(new GraflowError('INTERNAL', 'round', { details, cause }))).toMatchObject({
      details: { n: '1', self: { n: '1', self: '…' } },
      cause: { message: 'own cause', cause: '…' },
    })
  })

  it('tells the error whatever its details throw', () => {
    const details = {
      get odd() {
        throw new Error('a getter')
      },
    }
    const error = new GraflowError('INTERNAL', 'told', { cause: details })
    expect(json(error)).toEqual({ name: 'GraflowError', code: 'INTERNAL', message: 'told', retryable: false })
  })

  it('is JSON for anything that an error carries', () => {
    fc.assert(
      fc.property(fc.anything({ withBigInt: true, withDate: true, withMap: true }), fc.anything(), (odd, cause) => {
        const error = new GraflowError('INTERNAL', 'any', { details: { odd }, cause })
        expect(json(error)).toMatchObject({ code: 'INTERNAL', message: 'any' })
      }),
    )
  })
})
