import fc from 'fast-check'
import { asError, isRetryable, retryDelayMs, taskError } from '../../lib/engine/failure.js'
import { GraflowError, NotRetryableError } from '../../lib/errors.js'
import { decode, encode, encodeFailure } from '../../lib/values/codec.js'
import { seededRandom } from '../../lib/time.js'

const never = (): number => {
  throw new Error('no chance is needed here')
}
const none = () => 0
const delays = (retry: Parameters<typeof retryDelayMs>[0], count: number): number[] =>
  Array.from({ length: count }, (_, i) => retryDelayMs(retry, i + 1, none))

describe('the delay before a retry', () => {
  it('is none when none is asked for, whatever the factor', () => {
    expect(retryDelayMs({ attempts: 3 }, 1, never)).toBe(0)
    expect(retryDelayMs({ attempts: 3, factor: 10, delayMs: 0 }, 1_000, never)).toBe(0)
  })

  it('grows by its factor up to its limit', () => {
    expect(delays({ delayMs: 1_000, factor: 2 }, 4)).toEqual([1_000, 2_000, 4_000, 8_000])
    expect(delays({ delayMs: 1_000, factor: 100, maxDelayMs: 5_000 }, 3)).toEqual([1_000, 5_000, 5_000])
    expect(delays({ delayMs: 300 }, 3)).toEqual([300, 300, 300])
    expect(delays({ delayMs: 5_000, maxDelayMs: 1_000 }, 2)).toEqual([1_000, 1_000])
  })

  it('is a year at most, also where no maxDelayMs is set', () => {
    expect(retryDelayMs({ attempts: 255, delayMs: 1_000, factor: 10 }, 200, none)).toBe(365 * 24 * 3_600_000)
  })

  it('is an integer in its bounds for every policy and error, also where the power overflows', () => {
    fc.assert(
      fc.property(
        fc.record({
          delayMs: fc.nat(10_000_000),
          factor: fc.double({ min: 1, max: 1e300, noNaN: true }),
          maxDelayMs: fc.nat(10_000_000),
          jitter: fc.double({ min: 0, max: 1, noNaN: true }),
        }),
        fc.integer({ min: 1, max: 10_000 }),
        fc.integer(),
        (retry, errors, seed) => {
          const delay = retryDelayMs(retry, errors, seededRandom(seed))
          const most = Math.min(retry.delayMs * retry.factor ** (errors - 1) || 0, retry.maxDelayMs)
          expect(Number.isSafeInteger(delay)).toBe(true)
          expect(delay).toBeLessThanOrEqual(Math.ceil(most))
          expect(delay).toBeGreaterThanOrEqual(Math.floor(most * (1 - retry.jitter)))
        },
      ),
    )
  })
})

describe('whether a task is started again', () => {
  it('is decided for a handler’s error by its mark', () => {
    expect(isRetryable(new Error('x'), true)).toBe(true)
    expect(isRetryable('text', true)).toBe(true)
    expect(isRetryable(undefined, true)).toBe(true)
    expect(isRetryable(new NotRetryableError('x'), true)).toBe(false)
    expect(isRetryable(Object.assign(new Error('x'), { retryable: false }), true)).toBe(false)
    expect(isRetryable({ retryable: false }, true)).toBe(false)
    expect(isRetryable(Object.assign(new Error('x'), { retryable: 'no' }), true)).toBe(true)
  })

  it('is yes for what ctx gave the handler, since the next start may do without', () => {
    expect(isRetryable(new GraflowError('GROUP_FAILED', 'x'), true)).toBe(true)
  })

  it('is no for what the engine found, but for timeouts', () => {
    expect(isRetryable(new GraflowError('TIMEOUT', 'x'), false)).toBe(true)
    expect(isRetryable(new GraflowError('GROUP_TIMEOUT', 'x'), false)).toBe(true)
    expect(isRetryable(new GraflowError('NOT_SERIALISABLE', 'x'), false)).toBe(false)
    expect(isRetryable(new GraflowError('INVALID_INPUT', 'x'), false)).toBe(false)
    expect(isRetryable(new Error('x'), false)).toBe(false)
  })

  it('does not fall over what cannot be read', () => {
    const odd = Object.defineProperty(new Error('x'), 'retryable', {
      get: () => {
        throw new Error('a getter')
      },
    })
    expect(isRetryable(odd, true)).toBe(true)
  })
})

describe('the error of a failed task', () => {
  const start = { task: 'fetch', path: '1/0', errors: 1 }

  it('is TASK_FAILED around what the handler threw, with its stack', () => {
    const thrown = new RangeError('out of it')
    const error = taskError(thrown, true, start)
    expect(error).toMatchObject({ code: 'TASK_FAILED', details: { task: 'fetch', path: '1/0', attempts: 1 } })
    expect(error.message).toBe('task "fetch" (at 1/0) failed: out of it')
    expect(error.cause).toBe(thrown)
    const [header, ...frames] = error.stack?.split('\n') ?? []
    expect(header).toBe('GraflowError: task "fetch" (at 1/0) failed: out of it')
    expect(frames).toEqual(thrown.stack?.split('\n').slice(1))
    expect(taskError(thrown, true, { ...start, errors: 3 }).message).toContain('after 3 attempts')
  })

  it.each([
    ['reports a failure', (error: Error) => decode(encodeFailure(error))],
    ['is a value', (error: Error) => decode(encode(error, 'a value'))],
  ])('has that stack also where it arrives and %s, though it travels only with the cause', (_, carry) => {
    const thrown = new RangeError('out of it')
    const error = taskError(thrown, true, start)
    const arrived = carry(error) as GraflowError
    expect(Object.keys(arrived)).toEqual(Object.keys(error))
    expect([arrived.stack, (arrived.cause as Error).stack]).toEqual([error.stack, thrown.stack])
    expect((carry(arrived) as GraflowError).stack).toBe(error.stack)
    const frame = /at .*/.exec(thrown.stack ?? '')?.[0] ?? ''
    const bytes = Buffer.from(encodeFailure(error)).toString('latin1')
    expect(bytes.split(frame)).toHaveLength(2)
  })

  it('keeps another stack that somebody gives it', () => {
    const error = taskError(new Error('inner'), true, start)
    error.stack = 'mine'
    expect([error.stack, (decode(encodeFailure(error)) as Error).stack]).toEqual(['mine', 'mine'])
  })

  it('is TASK_FAILED also around an error of ours that the handler let through', () => {
    const inner = new GraflowError('GROUP_FAILED', 'inner')
    expect(taskError(inner, true, start)).toMatchObject({ code: 'TASK_FAILED', cause: inner })
  })

  it('is the engine’s own error as it is', () => {
    const own = new GraflowError('TIMEOUT', 'late')
    expect(taskError(own, false, start)).toBe(own)
  })

  it.each([['text'], [undefined], [null], [{ a: 1 }], [Object.create(null)], [Symbol('s')], [() => 1]])(
    'wraps what is no Error: %p',
    (thrown: unknown) => {
      const error = taskError(thrown, true, start)
      expect(error.code).toBe('TASK_FAILED')
      expect(error.cause).toBeInstanceOf(Error)
      expect(error.message).toBe(`task "fetch" (at 1/0) failed: ${asError(thrown).message}`)
    },
  )
})
