import { each, par, policy } from '../../lib/flow/group.js'
import { expressionOf } from '../../lib/flow/node.js'
import { seq } from '../../lib/flow/seq.js'
import { workflow } from '../../lib/flow/workflow.js'
import { declared } from './declared.js'
import { thrown } from '../support/captured-errors.js'

const a = declared('a')
const b = declared('b')
const c = declared('c')
/** A group whose methods take what the types forbid. */
const loose = (
  group: unknown,
): Record<'atLeast' | 'critical' | 'first' | 'settled' | 'join' | 'configure', (...given: unknown[]) => any> =>
  group as never
const joinOf = (group: unknown): unknown => (expressionOf(group) as { readonly join?: unknown }).join

describe('joins', () => {
  it('are strict unless declared otherwise', () => {
    expect(joinOf(par(a, b))).toEqual({ kind: 'strict' })
    expect(joinOf(each(a))).toEqual({ kind: 'strict' })
  })

  it('are declared on any group', () => {
    const mostly = policy('mostly', () => 1)
    for (const group of [par(a, b, c), par({ x: a, y: b, z: c }), each(a)]) {
      expect(joinOf(loose(group).settled())).toEqual({ kind: 'settled' })
      expect(joinOf(loose(group).atLeast(2))).toEqual({ kind: 'atLeast', count: 2 })
      expect(joinOf(loose(group).first())).toEqual({ kind: 'first' })
      expect(joinOf(loose(group).join(mostly))).toEqual(mostly)
    }
  })

  it('name critical members by key in a record and by name in a tuple', () => {
    expect(joinOf(par({ x: a, y: b }).critical('y'))).toEqual({ kind: 'critical', members: ['y'] })
    expect(joinOf(loose(par(a, workflow('w', seq(a, b)), seq(b, c))).critical('w', 'a'))).toEqual({
      kind: 'critical',
      members: ['a', 'w'],
    })
  })

  it('mean the same by critical members in any order, named any number of times', () => {
    expect(expressionOf(loose(par(a, b, c)).critical('c', 'a', 'c'))).toEqual(
      expressionOf(loose(par(a, b, c)).critical('a', 'c')),
    )
  })

  it.each<[string, () => unknown, RegExp]>([
    ['atLeast(5) of 3', () => par(a, b, c).atLeast(5), /atLeast\(5\) of 3/u],
    [
      'a critical name that is no member',
      () => loose(par(a, b)).critical('A'),
      /"A" is no member of the group \(did you mean "a"\?\); the members with a name are a, b/u,
    ],
    ['a critical key that is no member', () => loose(par({ x: a })).critical('a'), /the members with a name are x/u],
    [
      'a critical chain, which has no name',
      () => loose(par(seq(a, b))).critical('a'),
      /no branch of this group has a name; take the record form/u,
    ],
    ['a critical thing', () => loose(par(a, b)).critical(a), /no member/u],
    ['critical on each', () => loose(each(a)).critical('a'), /each has no critical/u],
    [
      'a second join',
      () => loose(par(a, b).settled()).first(),
      /has a join already, settled, and cannot also have first/u,
    ],
    ['the same join twice', () => loose(par(a, b).settled()).settled(), /already/u],
    ['a second join on each', () => loose(each(a).first()).atLeast(1), /already/u],
  ])('L7: %s is JOIN_IMPOSSIBLE', (_what, make, says) => {
    const error = thrown(make)
    expect(error.code).toBe('JOIN_IMPOSSIBLE')
    expect(error.message).toMatch(says)
  })

  it.each<[string, () => unknown]>([
    ['atLeast(0)', () => par(a, b).atLeast(0)],
    ['atLeast(-1)', () => par(a, b).atLeast(-1)],
    ['atLeast(1.5)', () => par(a, b).atLeast(1.5)],
    ['atLeast of a text', () => loose(par(a, b)).atLeast('2')],
    ['atLeast(0) of each', () => each(a).atLeast(0)],
    ['critical without members', () => loose(par(a, b)).critical()],
    ['a function as a policy', () => loose(par(a, b)).join(() => 1)],
    ['a policy without a function', () => policy('p', 3 as never)],
  ])('%s is INVALID_OPTION', (_what, make) => {
    expect(thrown(make).code).toBe('INVALID_OPTION')
  })

  it.each<[string, unknown, string]>([
    ['a name that names may not have', { kind: 'policy', name: 'my policy', decide: () => 1 }, 'INVALID_NAME'],
    ['no name', { kind: 'policy', decide: () => 1 }, 'INVALID_NAME'],
    ['no function', { kind: 'policy', name: 'p' }, 'INVALID_OPTION'],
  ])('check a policy that was written by hand: %s', (_what, policy, code) => {
    expect(thrown(() => loose(par(a, b)).join(policy)).code).toBe(code)
  })

  it('allow atLeast of each for any count, since its width is not known', () => {
    expect(joinOf(each(a).atLeast(1_000))).toEqual({ kind: 'atLeast', count: 1_000 })
  })
})

describe('configure', () => {
  it('sets options on a group, joined or not, one after the other', () => {
    const once = par(a, b).configure({ timeoutMs: 5, queue: 'q', concurrency: 2, name: 'n', onFailure: 'wait' })
    expect(expressionOf(once)).toMatchObject({
      options: { timeoutMs: 5, queue: 'q', concurrency: 2, name: 'n', onFailure: 'wait' },
    })
    const twice = par(a, b).configure({ name: 'n', timeoutMs: 1 }).settled().configure({ timeoutMs: 5 })
    expect(expressionOf(twice)).toMatchObject({ join: { kind: 'settled' }, options: { name: 'n', timeoutMs: 5 } })
    expect(expressionOf(each(a).configure({ concurrency: 4 }))).toMatchObject({
      kind: 'each',
      options: { concurrency: 4 },
    })
  })

  it('gives equal options for the same in another order', () => {
    const [one, two] = [
      par(a).configure({ name: 'n', queue: 'q' }),
      par(a).configure({ queue: 'q' }).configure({ name: 'n' }),
    ]
    expect(JSON.stringify(expressionOf(one))).toBe(JSON.stringify(expressionOf(two)))
  })

  it.each<[string, unknown, string]>([
    ['an unknown option', { concurency: 3 }, 'INVALID_OPTION'],
    ['no object', 3, 'INVALID_OPTION'],
    ['a concurrency of 0', { concurrency: 0 }, 'INVALID_OPTION'],
    ['a timeout of 0', { timeoutMs: 0 }, 'INVALID_OPTION'],
    ['a fraction of a millisecond', { timeoutMs: 0.5 }, 'INVALID_OPTION'],
    ['another word', { onFailure: 'stop' }, 'INVALID_OPTION'],
    ['a name with a space', { name: 'my group' }, 'INVALID_NAME'],
    ['a queue with a dot', { queue: 'a.b' }, 'INVALID_NAME'],
    ['code', { name: () => 'n' }, 'NOT_SERIALISABLE'],
  ])('refuses %s', (_what, options, code) => {
    expect(thrown(() => loose(par(a, b)).configure(options)).code).toBe(code)
    expect(thrown(() => loose(each(a).settled()).configure(options)).code).toBe(code)
  })
})
