/** What is settled instead of a range in which the store does not take a value. */
import { GraflowError } from '../../lib/errors.js'
import type { GrantInFlight } from '../../lib/executor/grant-in-flight.js'
import { insteadOf, type Unsettled } from '../../lib/executor/settle-calls.js'
import { decode } from '../../lib/values/codec.js'
import { item, pack } from '../../lib/values/packed-items.js'

const tooLarge = new GraflowError('LIMIT_EXCEEDED', 'too large')
const bytes = (length: number): Uint8Array => new Uint8Array(length).fill(1)
const grant = undefined as unknown as GrantInFlight // only passed on

const unsettled = (range: Partial<Unsettled['range']>): Unsettled => ({
  grant,
  meanMs: 1,
  range: { gid: 'r/0', token: 't', indexes: [], kinds: [], values: pack([]), ...range },
})

describe('instead of a range that the store does not take', () => {
  it('each branch is settled alone, and what is saved goes with the first', () => {
    const save = { paths: ['0/1/0'], values: pack([bytes(3)]) }
    const kinds = ['succeeded', 'retry'] as const
    const whole = unsettled({ indexes: [4, 9], kinds, values: pack([bytes(1), bytes(2)]), delaysMs: [0, 50], save })
    const alone = insteadOf(whole, tooLarge)
    expect(alone.map(({ range }) => [[...range.indexes], range.kinds, range.delaysMs, range.save])).toEqual([
      [[4], ['succeeded'], [0], save],
      [[9], ['retry'], [50], undefined],
    ])
    expect(alone.map(({ range }) => item(range.values, 0).length)).toEqual([1, 2])
  })

  it('a branch alone fails with the error; where that is refused, too, nothing more is tried', () => {
    const alone = unsettled({ indexes: [4], kinds: ['succeeded'], values: pack([bytes(2_000_000)]) })
    const [failed, ...others] = insteadOf(alone, tooLarge)
    expect(others).toEqual([])
    expect(failed?.range).toMatchObject({ gid: 'r/0', token: 't', indexes: [4], kinds: ['failed'] })
    expect(failed && decode(item(failed.range.values, 0))).toMatchObject({
      code: 'LIMIT_EXCEEDED',
      message: 'too large',
    })
    expect(failed && insteadOf(failed, tooLarge)).toEqual([])
  })
})
