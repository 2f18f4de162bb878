/** The options of a group, its joins among them, and how each is observed. */
import { each, par, policy, seq, task, type AnyNode, type Outcome } from 'graflow'
import type { PlayedCell, Option, Side, TaskSpec } from './table.js'
import { aborted, codeOf, moment } from './task-options.js'

type Handler = TaskSpec['handler']

/** Types say nothing here: members are any that take a number. */
const any = (node: AnyNode): any => node

/** A member of a group, which notes its starts by its name. */
const member = (side: Side, name: string, handler: Handler): any =>
  any(
    side.task(name, {
      handler: (n, ctx) => {
        side.notes.add(name, side.who)
        return handler(n, ctx)
      },
    }),
  )

const fails = (): never => {
  throw new Error('declined')
}

/** Waits until it is not wanted any more, and notes why. */
const waits =
  (side: Side): Handler =>
  (_, ctx) =>
    aborted(ctx).catch((reason: unknown) => {
      side.notes.add('aborted', codeOf(reason))
      throw reason
    })

const statuses = (outcomes: unknown): readonly string[] =>
  Object.values(outcomes as Readonly<Record<string, Outcome<unknown>>>).map(({ status }) => status)

/** The outcomes of the group that failed. */
function outcomesIn(errors: readonly Error[]): readonly string[] {
  const groups = errors.filter((error) => codeOf(error) === 'GROUP_FAILED')
  const { details } = groups.at(-1) as unknown as {
    readonly details: { readonly outcomes: readonly { readonly status: string }[] }
  }
  return details.outcomes.map(({ status }) => status)
}

/** Of so many items, how many at once. */
const [WIDTH, AT_ONCE] = [5, 2]

const options: readonly Option[] = [
  {
    ...{ name: 'timeoutMs', of: 'group', bench: 'plain' },
    shows: 'a group whose branches wait for ever fails with GROUP_TIMEOUT, and their signals fire',
    nodes: {
      x: (side) =>
        par(member(side, 'a', waits(side)), member(side, 'b', waits(side))).configure({ timeoutMs: 60 }) as AnyNode,
    },
    observe: async (cell) => {
      const errors = await cell.failure()
      expect(errors.map(codeOf)).toContain('GROUP_TIMEOUT')
      const { notes } = cell
      await notes.until('aborted', notes.count('a') + notes.count('b'))
      expect([notes.count('a'), notes.count('b')].every((count) => count <= 1)).toBe(true)
    },
  },
  {
    ...{ name: 'concurrency', of: 'group', bench: 'plain' },
    shows: 'of five branches, two are in flight at once, and never three',
    nodes: {
      x: (side) => {
        const { notes } = side
        const counts = member(side, 'a', async () => {
          notes.add('flight', 1)
          if (notes.count('a') < WIDTH) await notes.until('a', AT_ONCE)
          await moment()
          notes.add('flight', -1)
        })
        return seq(items, each(counts).configure({ concurrency: AT_ONCE })) as AnyNode
      },
    },
    observe: async (cell) => {
      const { notes } = cell
      await cell.value()
      let inFlight = 0
      const atOnce = (notes.of('flight') as number[]).map((change) => (inFlight += change))
      expect(notes.count('a')).toBe(WIDTH)
      expect(Math.max(...atOnce)).toBe(AT_ONCE)
    },
  },
  {
    ...{ name: 'onFailure', of: 'group', bench: 'plain' },
    shows: 'with `wait`, a branch that is still running when another has failed ends as it would have',
    nodes: {
      x: (side) => {
        const slow = member(side, 'slow', async (n, ctx) => {
          await Promise.race([side.notes.until('failed'), aborted(ctx)])
          return n
        })
        return par(slow, member(side, 'quick', fails)).configure({ onFailure: 'wait' }) as AnyNode
      },
    },
    observe: async (cell) => {
      const name = cell.nameOf('quick')
      const off = cell.bench.graflow.events.subscribe('branch:settled', ({ task: settled }) => {
        if (settled === name) cell.notes.add('failed')
      })
      const errors = await cell.failure()
      off()
      expect(outcomesIn(errors)).toEqual(['succeeded', 'failed'])
    },
  },
  {
    ...{ name: 'queue', of: 'group', bench: 'workers' },
    shows: 'of four workers, the one that serves the queue runs the branches',
    nodes: {
      x: (side) =>
        par(
          member(side, 'a', (n) => n),
          member(side, 'b', (n) => n),
        ).configure({ queue: 'q' }) as AnyNode,
    },
    observe: async (cell) => {
      expect(await cell.value()).toEqual([1, 1])
      expect([...cell.notes.of('a'), ...cell.notes.of('b')]).toEqual(['queue', 'queue'])
    },
  },
  {
    ...{ name: 'name', of: 'group', bench: 'plain' },
    shows: 'the events of the group and its error have the name',
    nodes: {
      x: (side) => par(member(side, 'a', fails)).configure({ name: `${side.id}-name` }) as AnyNode,
    },
    observe: async (cell) => {
      const name = cell.nameOf('name')
      const told: string[] = []
      const { events } = cell.bench.graflow
      const offs = (['group:dispatched', 'group:released'] as const).map((event) =>
        events.subscribe(event, ({ type, name: its }) => {
          if (its === name) told.push(type)
        }),
      )
      const errors = await cell.failure()
      for (const off of offs) off()
      expect(told).toEqual(['group:dispatched', 'group:released'])
      expect(errors.filter(({ message }) => message.startsWith(`group "${name}" (at `))).toHaveLength(1)
    },
  },
]

const items = task('items', () => Array.from({ length: WIDTH }, (_, i) => i))

/** Members that give 1, and 2, and one that fails. */
const three = (side: Side): { a: any; b: any; c: any } => ({
  a: member(side, 'a', (n) => n),
  b: member(side, 'b', (n) => n + 1),
  c: member(side, 'c', fails),
})

const goodOnes = policy('good-ones', (outcomes: readonly Outcome<unknown>[]) => {
  const good = statuses(outcomes).filter((status) => status === 'succeeded').length
  if (good === 0) throw new Error('none is good')
  return good
})

/** Fails for want of successes. */
async function isRefused(cell: PlayedCell): Promise<void> {
  expect((await cell.failure('bad')).map(codeOf)).toContain('GROUP_FAILED')
}

const joins: readonly Option[] = [
  {
    ...{ name: 'strict', of: 'group', bench: 'plain' },
    shows: 'the values; after a failure GROUP_FAILED, with the signal of the other branch fired',
    nodes: {
      x: (side) => par(three(side).a, three(side).b) as AnyNode,
      bad: (side) => {
        const failing = member(side, 'b', async () => {
          await side.notes.until('waits')
          fails()
        })
        return par(member(side, 'waits', waits(side)), failing) as AnyNode
      },
    },
    observe: async (cell) => {
      expect(await cell.value()).toEqual([1, 2])
      const errors = await cell.failure('bad')
      expect(outcomesIn(errors)).toEqual(['cancelled', 'failed'])
      await cell.notes.until('aborted')
      expect(cell.notes.of('aborted')).toEqual(['CANCELLED'])
    },
  },
  {
    ...{ name: 'settled', of: 'group', bench: 'plain' },
    shows: 'an outcome for each branch, one of which fails',
    nodes: {
      x: (side) => par(three(side)).settled(),
    },
    observe: async (cell) => {
      const outcomes = await cell.value()
      expect(Object.keys(outcomes as object)).toEqual(['a', 'b', 'c'])
      expect(statuses(outcomes)).toEqual(['succeeded', 'succeeded', 'failed'])
    },
  },
  {
    ...{ name: 'atLeast', of: 'group', bench: 'plain' },
    shows: 'outcomes where 2 of 3 succeeded and 2 must; GROUP_FAILED where 3 must',
    nodes: {
      x: (side) => par(three(side)).atLeast(2),
      bad: (side) => par(three(side)).atLeast(3),
    },
    observe: async (cell) => {
      expect(statuses(await cell.value())).toEqual(['succeeded', 'succeeded', 'failed'])
      await isRefused(cell)
    },
  },
  {
    ...{ name: 'critical', of: 'group', bench: 'plain' },
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
    ...{ name: 'first', of: 'group', bench: 'plain' },
    shows: 'the value of the one that succeeds, with the signal of the other fired; GROUP_FAILED where none succeeds',
    nodes: {
      x: (side) => {
        const winner = member(side, 'b', async (n) => {
          await side.notes.until('waits')
          return n + 1
        })
        return par(member(side, 'waits', waits(side)), winner).first() as AnyNode
      },
      bad: (side) => par(three(side).c).first() as AnyNode,
    },
    observe: async (cell) => {
      expect(await cell.value()).toBe(2)
      await cell.notes.until('aborted')
      expect(cell.notes.of('aborted')).toEqual(['CANCELLED'])
      await isRefused(cell)
    },
  },
  {
    ...{ name: 'policy', of: 'group', bench: 'plain' },
    shows: 'what the policy makes of the outcomes; GROUP_FAILED where it throws',
    nodes: {
      x: (side) => any(par(three(side))).join(goodOnes),
      bad: (side) => par(three(side).c).join(any(goodOnes as never)),
    },
    observe: async (cell) => {
      expect(await cell.value()).toBe(2)
      await isRefused(cell)
    },
  },
]

export const GROUP_OPTIONS: readonly Option[] = [...options, ...joins]
