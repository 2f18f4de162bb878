/** The joins of a group, and how each is observed: of a `par` (x) and, apart from `critical`, of an `each` (items). */
import { each, par, policy, type Outcome } from 'graflow'
import { AS_DECLARED, any, fails, member, outcomesIn, same, statuses, waits } from './members.js'
import type { Option, PlayedCell, Side } from './table.js'

/** Members that give 1, and 2, and one that fails. */
const three = (side: Side): { a: any; b: any; c: any } => ({
  a: member(side, 'a', same),
  b: member(side, 'b', (n) => n + 1),
  c: member(side, 'c', fails),
})

const ITEMS = [1, 2, 3]
/** Gives each item, but fails for 3. */
const overItems = (side: Side): any => each(member(side, 'i', (n) => (n === 3 ? fails() : n)))

const TWO_OF_THREE = ['succeeded', 'succeeded', 'failed']

const goodOnes = any(
  policy('good-ones', (outcomes: readonly Outcome<unknown>[]) => {
    const good = statuses(outcomes).filter((status) => status === 'succeeded').length
    if (good === 0) throw new Error('none is good')
    return good
  }) as never,
)

/** Fails for want of successes. */
async function isRefused(cell: PlayedCell, variant = 'bad', input: unknown = 1): Promise<void> {
  expect(outcomesIn(await cell.failure(variant, input)).length).toBeGreaterThan(0)
}

export const JOINS: readonly Option[] = [
  {
    ...{ name: 'strict', of: 'group', bench: 'plain', cannot: AS_DECLARED },
    shows: 'the values; after a failure GROUP_FAILED, with the signal of the other branch fired',
    nodes: {
      x: (side) => any(par(three(side).a, three(side).b)),
      items: overItems,
      bad: (side) => {
        const failing = member(side, 'b', async () => {
          await side.notes.until('waits')
          fails()
        })
        return any(par(member(side, 'waits', waits(side)), failing))
      },
    },
    observe: async (cell) => {
      expect(await cell.value()).toEqual([1, 2])
      expect(await cell.value('items', [1, 2])).toEqual([1, 2])
      await isRefused(cell, 'items', ITEMS)
      expect(outcomesIn(await cell.failure('bad'))).toEqual(['cancelled', 'failed'])
      await cell.notes.until('aborted')
      expect(cell.notes.of('aborted')).toEqual(['CANCELLED'])
    },
  },
  {
    ...{ name: 'settled', of: 'group', bench: 'plain', cannot: AS_DECLARED },
    shows: 'an outcome for each branch, one of which fails',
    nodes: {
      x: (side) => any(par(three(side)).settled()),
      items: (side) => overItems(side).settled(),
    },
    observe: async (cell) => {
      const outcomes = await cell.value()
      expect(Object.keys(outcomes as object)).toEqual(['a', 'b', 'c'])
      expect(statuses(outcomes)).toEqual(TWO_OF_THREE)
      expect(statuses(await cell.value('items', ITEMS))).toEqual(TWO_OF_THREE)
    },
  },
  {
    ...{ name: 'atLeast', of: 'group', bench: 'plain', cannot: AS_DECLARED },
    shows: 'outcomes where 2 of 3 succeeded and 2 must; GROUP_FAILED where 3 must',
    nodes: {
      x: (side) => any(par(three(side)).atLeast(2)),
      bad: (side) => any(par(three(side)).atLeast(3)),
      items: (side) => overItems(side).atLeast(2),
    },
    observe: async (cell) => {
      expect(statuses(await cell.value())).toEqual(TWO_OF_THREE)
      expect(statuses(await cell.value('items', ITEMS))).toEqual(TWO_OF_THREE)
      await isRefused(cell)
      await isRefused(cell, 'items', [1, 3])
    },
  },
  {
    ...{ name: 'critical', of: 'group', bench: 'plain', cannot: AS_DECLARED },
    shows: 'the plain value of the critical branch beside outcomes; GROUP_FAILED where it fails',
    nodes: {
      x: (side) => any(par(three(side))).critical('a'),
      bad: (side) => any(par(three(side))).critical('c'),
    },
    observe: async (cell) => {
      const { a, ...others } = (await cell.value()) as Readonly<Record<string, unknown>>
      expect(a).toBe(1)
      expect(statuses(others)).toEqual(['succeeded', 'failed'])
      await isRefused(cell)
    },
  },
  {
    ...{ name: 'first', of: 'group', bench: 'plain', cannot: AS_DECLARED },
    shows: 'the value of the one that succeeds, with the signal of the other fired; GROUP_FAILED where none succeeds',
    nodes: {
      x: (side) => {
        const winner = member(side, 'b', async (n) => {
          await side.notes.until('waits')
          return n + 1
        })
        return any(par(member(side, 'waits', waits(side)), winner).first())
      },
      items: (side) => overItems(side).first(),
    },
    observe: async (cell) => {
      expect(await cell.value()).toBe(2)
      await cell.notes.until('aborted')
      expect(cell.notes.of('aborted')).toEqual(['CANCELLED'])
      expect(await cell.value('items', [3, 2])).toBe(2)
      await isRefused(cell, 'items', [3, 3])
    },
  },
  {
    ...{ name: 'policy', of: 'group', bench: 'plain', cannot: AS_DECLARED },
    shows: 'what the policy makes of the outcomes; GROUP_FAILED where it throws',
    nodes: {
      x: (side) => any(par(three(side))).join(goodOnes),
      items: (side) => overItems(side).join(goodOnes),
    },
    observe: async (cell) => {
      expect(await cell.value()).toBe(2)
      expect(await cell.value('items', ITEMS)).toBe(2)
      await isRefused(cell, 'items', [3])
    },
  },
]
