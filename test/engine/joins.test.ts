import fc from 'fast-check'
import { groupFailed, joinResult, type JoinedGroup } from '../../lib/engine/joins.js'
import { GraflowError } from '../../lib/errors.js'
import type { Outcome } from '../../lib/flow/types.js'
import { thrown } from '../support/captured-errors.js'

type Status = Outcome<unknown>['status']
const outcome = (status: Status, i: number): Outcome<unknown> =>
  status === 'succeeded'
    ? { status, value: `value ${i}` }
    : { status, error: new GraflowError(status === 'failed' ? 'TASK_FAILED' : 'CANCELLED', `${status} ${i}`) }

function group(statuses: readonly Status[], keys?: readonly string[]): Omit<JoinedGroup, 'join'> {
  return {
    label: 'at 0',
    name: undefined,
    path: '0',
    keys,
    memberOf: (index) => keys?.[index] ?? `m${index}`,
    outcomes: statuses.map(outcome),
    succeeded: statuses.flatMap((status, i) => (status === 'succeeded' ? [i] : [])),
  }
}
const statuses = fc.array(fc.constantFrom<Status>('succeeded', 'failed', 'dead', 'cancelled', 'skipped'), {
  maxLength: 12,
})
const isOk = (status: Status): boolean => status === 'succeeded'

/** The result, or the word GROUP_FAILED. */
const judged = (
  join: Parameters<typeof joinResult>[0]['join'],
  members: readonly Status[],
  keys?: readonly string[],
): unknown => {
  try {
    return joinResult({ ...group(members, keys), join })
  } catch (error) {
    return (error as GraflowError).code
  }
}

describe('joins', () => {
  it('strict: all values or a failure', () => {
    fc.assert(
      fc.property(statuses, (members) => {
        const values = members.map((_, i) => `value ${i}`)
        expect(judged({ kind: 'strict' }, members)).toEqual(members.every(isOk) ? values : 'GROUP_FAILED')
      }),
    )
  })

  it('settled: every outcome, never a failure', () => {
    fc.assert(
      fc.property(statuses, (members) => {
        expect(judged({ kind: 'settled' }, members)).toEqual(members.map(outcome))
      }),
    )
  })

  it('atLeast: every outcome, if so many succeeded', () => {
    fc.assert(
      fc.property(statuses, fc.nat(12), (members, count) => {
        const enough = members.filter(isOk).length >= count
        expect(judged({ kind: 'atLeast', count }, members)).toEqual(enough ? members.map(outcome) : 'GROUP_FAILED')
      }),
    )
  })

  it('first: the value of the first that succeeded', () => {
    fc.assert(
      fc.property(statuses, (members) => {
        const winner = members.findIndex(isOk)
        expect(judged({ kind: 'first' }, members)).toEqual(winner < 0 ? 'GROUP_FAILED' : `value ${winner}`)
      }),
    )
    const late = { ...group(['succeeded', 'failed', 'succeeded']), succeeded: [2, 0], join: { kind: 'first' } as const }
    expect(joinResult(late)).toBe('value 2')
  })

  it('critical: the named ones plain, the others outcomes, if the named ones succeeded', () => {
    fc.assert(
      fc.property(statuses, fc.uniqueArray(fc.nat(11)), (members, named) => {
        const join = { kind: 'critical', members: named.map((i) => `m${i}`) } as const
        const expected = members.map((status, i) => (named.includes(i) ? `value ${i}` : outcome(status, i)))
        const isMet = members.every((status, i) => isOk(status) || !named.includes(i))
        expect(judged(join, members)).toEqual(isMet ? expected : 'GROUP_FAILED')
      }),
    )
  })

  it('give a record with its keys', () => {
    expect(judged({ kind: 'strict' }, ['succeeded', 'succeeded'], ['y', 'x'])).toEqual({ y: 'value 0', x: 'value 1' })
    expect(judged({ kind: 'critical', members: ['x'] }, ['failed', 'succeeded'], ['y', 'x'])).toEqual({
      y: outcome('failed', 0),
      x: 'value 1',
    })
    const odd = joinResult({ ...group(['succeeded'], ['__proto__']), join: { kind: 'strict' } }) as object
    expect(Object.getOwnPropertyDescriptor(odd, '__proto__')?.value).toBe('value 0')
  })
})

describe('the error of a group', () => {
  it('names those that failed by themselves before those withdrawn for it', () => {
    const error = thrown(() =>
      joinResult({ ...group(['cancelled', 'succeeded', 'dead', 'failed', 'skipped']), join: { kind: 'strict' } }),
    )
    expect(error.message).toContain('m2 dead: dead 2; m3 failed: failed 3')
    expect(error.message).not.toContain('m0')
    expect(error.cause).toMatchObject({ message: 'dead 2' })
    expect(error.errors.map(({ message }) => message)).toEqual(['dead 2', 'failed 3'])
    expect(error.details['counts']).toEqual({ succeeded: 1, cancelled: 1, dead: 1, failed: 1, skipped: 1 })
    expect(error.details['outcomes']).toHaveLength(5)
  })

  it('tells an error that ended several once, with all of them', () => {
    const shared = new GraflowError('NO_HANDLER', 'nobody knows all')
    const outcomes = Array.from({ length: 5 }, (): Outcome<unknown> => ({ status: 'failed', error: shared }))
    const failure = thrown(() => joinResult({ ...group([]), outcomes, join: { kind: 'strict' } }))
    expect(failure.message).toContain('(m0, m1, m2 and 2 more failed: nobody knows all)')
    expect([failure.errors, failure.cause]).toEqual([[shared], shared])
  })

  it('names those withdrawn when nothing else is to blame', () => {
    const error = thrown(() => joinResult({ ...group(['cancelled', 'skipped']), join: { kind: 'strict' } }))
    expect(error.message).toContain('m0 cancelled: cancelled 0')
    expect(error.errors).toEqual([])
  })

  it('stays readable for 100 000 members: three reasons, a hundred errors, a hundred lost members', () => {
    const many = Array.from({ length: 100_000 }, (_, i): Status => (i % 2 === 0 ? 'failed' : 'succeeded'))
    const error = groupFailed({ ...group(many), join: { kind: 'strict' } }, 'why')
    expect(error.message.length).toBeLessThan(500)
    expect(error.message).toContain('and 49997 more')
    expect(error.errors).toHaveLength(100)
    expect(error.details['outcomes']).toHaveLength(100)
    expect(error.details['counts']).toEqual({ failed: 50_000, succeeded: 50_000 })
  })
})
