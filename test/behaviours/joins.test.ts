import { each, par, seq, type Outcome } from 'graflow'
import type { GraflowError } from '../../lib/errors.js'
import {
  a,
  atMostOneFailure,
  b,
  byKey,
  c,
  d,
  endless,
  failsLate,
  failsThenOpens,
  final,
  odd,
  patient,
  succeedsLate,
  uncarriable,
  x,
  y,
} from './joins.tasks.js'
import { describeOnBackends } from '../support/backends.js'
import { failureOf } from '../support/captured-errors.js'
import { failureOfRun, logOf, nextMark } from '../support/runs.js'

interface Member {
  readonly member: string
  readonly index: number
  readonly status: Outcome<unknown>['status']
  readonly code?: string
  readonly message?: string
  readonly stack?: string
}

/** What GROUP_FAILED says of every member. */
const membersOf = (error: GraflowError): readonly Member[] => error.details['outcomes'] as readonly Member[]
const statusesOf = (error: GraflowError): Record<string, string> =>
  Object.fromEntries(membersOf(error).map(({ member, status }) => [member, status]))

/** Where a failure happened differs between places; all else must not. */
const withoutPaths = (value: unknown): string =>
  JSON.stringify(value, (key, item: unknown) => (key === 'path' ? undefined : item)).replace(/ \(at [^)]*\)/g, '')

describeOnBackends('joins', (open) => {
  it('J1: a strict group fails with its first failure, and nothing after it runs', async () => {
    const graflow = await open()
    const log = logOf(graflow)
    const error = await failureOfRun(graflow, seq(a, par({ left: a, right: b }).configure({ name: 'pair' }), final), '')
    expect(error.code).toBe('GROUP_FAILED')
    expect(error.message).toContain('pair')
    expect(error.message).toContain('right')
    expect(error.message).toContain('b is broken')
    // on another worker the other may come too late, or not be started any more
    const { left = '' } = statusesOf(error)
    expect(['succeeded', 'cancelled', 'skipped']).toContain(left)
    expect(statusesOf(error)).toEqual({ left, right: 'failed' })
    expect(error.details).toMatchObject({ group: '1', join: 'strict', counts: { [left]: 1, failed: 1 } })
    const lost = membersOf(error)[1]
    expect(lost).toMatchObject({ index: 1, code: 'TASK_FAILED', message: expect.stringContaining('b is broken') })
    expect(lost?.stack).toContain('joins.tasks')
    expect(error.errors).toHaveLength(1)
    expect(error.errors[0]?.cause).toMatchObject({ name: 'RangeError', message: 'b is broken', code: 'E_B' })
    expect(error.cause).toMatchObject({ code: 'TASK_FAILED', details: { task: 'b' } })
    expect(log).not.toContain('final')
  })

  it('J1: the failure cancels what runs, by its signal, and what has not started is skipped', async () => {
    const graflow = await open({ maxConcurrentTasks: 2 })
    const log = logOf(graflow)
    const stopped = nextMark(graflow, 'endless: CANCELLED')
    const error = await failureOfRun(graflow, par(endless, failsLate, a, c), '')
    await stopped
    expect(statusesOf(error)).toEqual({ endless: 'cancelled', 'fails-late': 'failed', a: 'skipped', c: 'skipped' })
    expect(error.details).toMatchObject({ counts: { cancelled: 1, failed: 1, skipped: 2 } })
    expect(membersOf(error).map(({ code }) => code)).toEqual(['CANCELLED', 'TASK_FAILED', 'SKIPPED', 'SKIPPED'])
    expect(error.errors).toHaveLength(1)
    expect(log).toEqual(['endless', 'endless: CANCELLED'])
  })

  it('J1: a chain and a group inside a group are members too', async () => {
    const graflow = await open()
    const error = await failureOfRun(graflow, par(seq(a, b), par(c, d)), '')
    expect(error.code).toBe('GROUP_FAILED')
    expect(membersOf(error)[0]).toMatchObject({ index: 0, status: 'failed' })
    expect(error.cause).toMatchObject({ code: 'TASK_FAILED', details: { task: 'b' } })
    const inner = await failureOfRun(graflow, par(a, par(c, x)), '')
    expect(inner.cause).toMatchObject({ code: 'GROUP_FAILED', cause: { code: 'TASK_FAILED', details: { task: 'x' } } })
    expect(((inner.cause as Error).cause as Error).cause).toMatchObject({ message: 'x is broken' })
  })

  it('J2: with onFailure wait the others run to their end', async () => {
    const graflow = await open()
    const log = logOf(graflow)
    const error = await failureOfRun(
      graflow,
      seq(par(patient, failsThenOpens).configure({ onFailure: 'wait' }), final),
      '',
    )
    expect(error.code).toBe('GROUP_FAILED')
    expect(statusesOf(error)).toEqual({ patient: 'succeeded', 'fails-then-opens': 'failed' })
    expect(log).toEqual(['patient: wanted'])
  })

  it('J3: settled gives every outcome to what follows', async () => {
    const graflow = await open()
    const [first, second, third] = (await graflow.run(seq(par(a, b, c).settled(), final), '')) as Outcome<string>[]
    expect(first).toEqual({ status: 'succeeded', value: 'a' })
    expect(second).toMatchObject({
      status: 'failed',
      error: { code: 'TASK_FAILED', message: expect.stringContaining('b is broken') },
    })
    expect((second as { error: GraflowError }).error.cause).toMatchObject({ name: 'RangeError', code: 'E_B' })
    expect(third).toEqual({ status: 'succeeded', value: 'c' })
  })

  it('J3: settled keeps keys, also when all fail, and the order of items', async () => {
    const graflow = await open()
    const record = await graflow.run(par({ left: x, right: y }).settled(), '')
    expect([record.left.status, record.right.status]).toEqual(['failed', 'failed'])
    const items = await graflow.run(each(odd).settled(), [1, 2, 3, 4])
    expect(items.map((outcome) => (outcome.status === 'succeeded' ? outcome.value : outcome.status))).toEqual([
      1,
      'failed',
      3,
      'failed',
    ])
    expect(await graflow.run(each(odd).settled(), [])).toEqual([])
  })

  it('J4: atLeast(2) of four passes with three, and fails with one, saying 1 of 2', async () => {
    const graflow = await open()
    const outcomes = await graflow.run(par(a, b, c, d).atLeast(2), '')
    expect(outcomes.map(({ status }) => status)).toEqual(['succeeded', 'failed', 'succeeded', 'succeeded'])
    const error = await failureOfRun(graflow, par(a, b, x, y).atLeast(2), '')
    expect(error.code).toBe('GROUP_FAILED')
    expect(error.message).toContain('1 of 2')
    expect(statusesOf(error)).toEqual({ a: 'succeeded', b: 'failed', x: 'failed', y: 'failed' })
    expect(error.errors).toHaveLength(3)
  })

  it('J4: atLeast(2) passes with just two', async () => {
    const graflow = await open()
    expect(await graflow.run(par(a, b, c).atLeast(2), '')).toHaveLength(3)
  })

  it('J5: critical passes when only others fail, and gives the critical ones plain', async () => {
    const graflow = await open()
    const [plain, lost, other] = await graflow.run(par(a, b, c).critical('a'), '')
    expect(plain).toBe('a')
    expect(lost.status).toBe('failed')
    expect(other).toEqual({ status: 'succeeded', value: 'c' })
    const record = await graflow.run(par({ must: a, may: b }).critical('must'), '')
    expect(record.must).toBe('a')
    expect(record.may.status).toBe('failed')
  })

  it('J5: critical fails when a critical one fails, naming it', async () => {
    const graflow = await open()
    const error = await failureOfRun(graflow, par({ must: x, also: a, may: b }).critical('must', 'also'), '')
    expect(error.code).toBe('GROUP_FAILED')
    expect(error.message).toContain('must')
    expect(error.message).toContain('x is broken')
    expect(error.message).not.toContain('b is broken')
    expect(error.cause).toMatchObject({ details: { task: 'x' } })
    expect(statusesOf(error)).toEqual({ must: 'failed', also: 'succeeded', may: 'failed' })
  })

  it('J6: first gives the value of the one that succeeds, and cancels the others', async () => {
    const graflow = await open()
    const stopped = nextMark(graflow, 'endless: CANCELLED')
    expect(await graflow.run(seq(par(endless, b, succeedsLate).first(), final), '')).toBe('late')
    await stopped
  })

  it('J6: first fails when all fail, with all errors', async () => {
    const graflow = await open()
    const error = await failureOfRun(graflow, par(b, x, y).first(), '')
    expect(error.code).toBe('GROUP_FAILED')
    expect(error.errors.map(({ cause }) => (cause as Error).message)).toEqual([
      'b is broken',
      'x is broken',
      'y is broken',
    ])
    for (const name of ['b', 'x', 'y']) expect(error.message).toContain(`${name} is broken`)
  })

  it('J6: over no items first and atLeast fail, and dispatch nothing', async () => {
    const graflow = await open()
    for (const flow of [each(odd).first(), each(odd).atLeast(1)]) {
      const run = await graflow.start(flow, [])
      expect((await failureOf(run.result())).code).toBe('GROUP_FAILED')
      expect((await run.status()).groups).toEqual([])
    }
  })

  it('J7: a policy of one’s own decides, and its value is the result', async () => {
    const graflow = await open()
    expect(await graflow.run(seq(par(a, b, c).join(atMostOneFailure), final), '')).toEqual(['a', 'c'])
    expect(await graflow.run(each(odd).join(atMostOneFailure), [1, 2, 3])).toEqual([1, 3])
    expect(await graflow.run(each(odd).join(atMostOneFailure), [])).toEqual([])
    expect(await graflow.run(par({ left: a, right: b }).join(byKey), '')).toEqual({
      left: 'succeeded',
      right: 'failed',
    })
  })

  it('J7: what a policy throws fails the group, and is the cause', async () => {
    const graflow = await open()
    const error = await failureOfRun(graflow, par(a, b, x).join(atMostOneFailure), '')
    expect(error.code).toBe('GROUP_FAILED')
    expect(error.message).toContain('at-most-one-failure')
    expect(error.message).toContain('2 failed, one may')
    expect(error.cause).toMatchObject({ name: 'RangeError', message: '2 failed, one may' })
    expect(statusesOf(error)).toEqual({ a: 'succeeded', b: 'failed', x: 'failed' })
  })

  it('J7: a policy in a branch decides there', async () => {
    const graflow = await open()
    expect(await graflow.run(par(par(a, b, c).join(atMostOneFailure), d), '')).toEqual([['a', 'c'], 'd'])
  })

  it('J7: a policy that returns what cannot be carried fails with NOT_SERIALISABLE', async () => {
    const graflow = await open()
    const error = await failureOfRun(graflow, par(a, c).join(uncarriable), '')
    expect(error).toMatchObject({
      code: 'NOT_SERIALISABLE',
      message: expect.stringContaining('the result of policy "'),
    })
  })

  it('J8: every join has the same outcome as a step and in a branch', async () => {
    const graflow = await open()
    const groups = [
      par(a, c),
      par(a, b).settled(),
      par(a, b, c).atLeast(2),
      par(a, b).critical('a'),
      par(a, b).join(atMostOneFailure),
    ]
    for (const group of groups) {
      const [asStep, [inBranch]] = await Promise.all([
        graflow.run(group, '') as Promise<unknown>,
        graflow.run(par(group, d), '') as Promise<[unknown, unknown]>,
      ])
      expect(withoutPaths(inBranch)).toBe(withoutPaths(asStep))
    }
  })
})
