import type { OutcomesPage } from '../../lib/backend/backend.js'
import { pack } from '../../lib/values/packed-items.js'
import { GroupOutcomes } from '../../lib/engine/group-outcomes.js'
import { decode, encode } from '../../lib/values/codec.js'
import { GraflowError } from '../../lib/errors.js'

const plan = {
  ...{ label: 'g', memberOf: (index: number) => `m${index}`, pathOf: (index: number) => `0/${index}` },
  spec: { size: 3, timeoutMs: 0, maxLosses: 3 },
}

const page = (indexes: readonly number[], withdrawn?: readonly number[]): OutcomesPage => ({
  state: 'released',
  size: 3,
  chunks: [
    {
      indexes: Uint32Array.from(indexes),
      kinds: indexes.map(() => 'succeeded'),
      values: pack(indexes.map((index) => encode(index))),
    },
  ],
  next: 1,
  withdrawn: withdrawn && { indexes: Uint32Array.from(withdrawn), kinds: withdrawn.map(() => 'skipped') },
})

describe('what a released group left behind', () => {
  it('is one outcome for each branch, over all pages', () => {
    const outcomes = new GroupOutcomes(plan)
    outcomes.add(page([2]))
    outcomes.add(page([0], [1]))
    expect(outcomes.outcomes().map(({ status }) => status)).toEqual(['succeeded', 'skipped', 'succeeded'])
    expect(outcomes.counts).toEqual({ succeeded: 2, failed: 0, withdrawn: 1 })
  })

  it('given up, blames those that nobody could serve, and all where that is none of them', () => {
    const error = new GraflowError('NO_HANDLER', 'no worker knows it')
    const statuses = (isBlamed: (index: number) => boolean): unknown[] => {
      const outcomes = new GroupOutcomes(plan)
      outcomes.add(page([0], [1, 2]))
      outcomes.failWithdrawn(error, isBlamed)
      return outcomes.outcomes().map(({ status }) => status)
    }
    expect(statuses((index) => index === 2)).toEqual(['succeeded', 'skipped', 'failed'])
    expect(statuses((index) => index === 0)).toEqual(['succeeded', 'failed', 'failed'])
  })

  it('is one packed list where every branch has an outcome of its own, and none where one was withdrawn', () => {
    const whole = new GroupOutcomes(plan)
    whole.add(page([2]))
    whole.add(page([0, 1], []))
    const { packedOutcomes } = whole
    expect(packedOutcomes && decode(packedOutcomes.bytes)).toEqual(whole.outcomes())
    const part = new GroupOutcomes(plan)
    part.add(page([0, 2], [1]))
    expect(part.packedOutcomes).toBeUndefined()
  })

  it.each([
    ['too few', page([0, 1], [])],
    ['one twice', page([0, 1, 1], [2])],
    ['one that succeeded and was withdrawn', page([0, 1], [1, 2])],
    ['one of a branch that is not there', page([0, 1, 3], [2])],
  ])('is an error where there are others: %s', (_, last) => {
    expect(() => new GroupOutcomes(plan).add(last)).toThrow(expect.objectContaining({ code: 'INTEGRITY' }))
  })
})
