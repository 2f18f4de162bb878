/** The reports of one grant: what is settled of each branch is what was noted of it. */
import { GraflowError } from '../../lib/errors.js'
import { Reports } from '../../lib/executor/reports.js'
import { valuesOf } from '../../lib/values/value-lists.js'
import { pack } from '../../lib/values/packed-items.js'
import { encode, encodeFailure } from '../../lib/values/codec.js'
import { ExecutorStage } from './executor-stage.js'

const NO_LIMITS = { itemsPerCall: 1_000, bytesPerCall: 1_000_000 }
const error = new GraflowError('TASK_FAILED', 'no')

describe('reports of a grant', () => {
  it('have value, kind and delay of each branch at one position, in whatever order they were made', async () => {
    const grant = await (await ExecutorStage.open()).grant(4)
    const reports = new Reports(grant)
    reports.addSuccess(2, 'two', 100)
    reports.addFailure(0, { kind: 'retry', delayMs: 70, error })
    reports.addReleased(3)
    reports.addFailure(1, { kind: 'failed', delayMs: 0, error })
    const [range, ...others] = reports.takeRanges(NO_LIMITS)
    expect(others).toEqual([])
    expect(range).toMatchObject({ gid: grant.spec.gid, token: grant.token, delaysMs: [0, 70, 0, 0] })
    expect([[...(range?.indexes ?? [])], range?.kinds]).toEqual([
      [2, 0, 3, 1],
      ['succeeded', 'retry', 'released', 'failed'],
    ])
    const failure = encodeFailure(error).length
    const ends = [encode('two').length, failure, 0, failure].map((_, i, all) =>
      all.slice(0, i + 1).reduce((sum, bytes) => sum + bytes, 0),
    )
    expect([...(range?.values.ends ?? [])]).toEqual(ends)
  })

  it('leave nothing of an output that cannot be carried', async () => {
    const reports = new Reports(await (await ExecutorStage.open()).grant(3))
    reports.addSuccess(0, 'zero', 100)
    expect(reports.addSuccess(1, 'much too long', 5)).toBeGreaterThan(5)
    expect(() => reports.addSuccess(1, () => 1, 100)).toThrow(expect.objectContaining({ code: 'NOT_SERIALISABLE' }))
    reports.addSuccess(2, 'two', 100)
    const [range] = reports.takeRanges(NO_LIMITS)
    expect([...(range?.indexes ?? [])]).toEqual([0, 2])
    expect(range && valuesOf(range.values)).toEqual(['zero', 'two'])
  })

  it('use the list of the grant where all have succeeded in order, and a view of it for a part', async () => {
    const grant = await (await ExecutorStage.open()).grant(4)
    const all = new Reports(grant)
    for (let k = 0; k < 4; k += 1) all.addSuccess(k, k, 100)
    expect(all.takeRanges(NO_LIMITS)[0]?.indexes).toBe(grant.indexes)
    const part = new Reports(grant)
    for (let k = 1; k < 3; k += 1) part.addSuccess(k, k, 100)
    const indexes = part.takeRanges(NO_LIMITS)[0]?.indexes as Uint32Array
    expect([[...indexes], indexes.buffer === grant.indexes.buffer]).toEqual([[1, 2], true])
  })

  it('are taken once', async () => {
    const reports = new Reports(await (await ExecutorStage.open()).grant(2))
    reports.addFailure(0, { kind: 'retry', delayMs: 70, error })
    reports.takeRanges(NO_LIMITS)
    expect(reports.takeRanges(NO_LIMITS)).toEqual([])
    reports.addSuccess(1, 1, 100)
    const [range] = reports.takeRanges(NO_LIMITS)
    expect([[...(range?.indexes ?? [])], range?.kinds, range?.delaysMs]).toEqual([[1], ['succeeded'], undefined])
  })

  it.each([
    ['items', { itemsPerCall: 2, bytesPerCall: 1_000 }],
    ['bytes', { itemsPerCall: 1_000, bytesPerCall: 2 * encode('12345').length }],
  ])('are split where they have too many %s for a call, and carry what is saved once', async (_, limits) => {
    const reports = new Reports(await (await ExecutorStage.open()).grant(5))
    for (let k = 0; k < 5; k += 1) reports.addSuccess(k, '12345', 100)
    reports.addSaves({ paths: ['0/1', '0/2'], values: pack([encode(1), encode(2)]) })
    const ranges = reports.takeRanges(limits)
    expect(ranges.map(({ indexes, values }) => [[...indexes], valuesOf(values).length])).toEqual([
      [[0, 1], 2],
      [[2, 3], 2],
      [[4], 1],
    ])
    expect(ranges.map(({ save }) => save && [save.paths, valuesOf(save.values)])).toEqual([
      [
        ['0/1', '0/2'],
        [1, 2],
      ],
      undefined,
      undefined,
    ])
  })
})
