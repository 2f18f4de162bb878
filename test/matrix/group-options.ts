/** The options of a group, and how each is observed: of a `par` (x) and of an `each` (items). */
import { each, par, type EventOf } from 'graflow'
import { AS_DECLARED, any, fails, member, outcomesIn, same, waits } from './members.js'
import type { Option, PlayedCell, Side, TaskSpec } from './table.js'
import { aborted, codeOf, moment } from './task-options.js'

/** Of so many items, how many at once. */
const [WIDTH, AT_ONCE] = [5, 2]

/** Adds to what is in flight, and waits for another one that is in flight, too. */
const counted =
  ({ notes }: Side, name: string): TaskSpec['handler'] =>
  async () => {
    notes.add(`${name} in flight`, 1)
    if (notes.count(name) < WIDTH) await notes.until(name, AT_ONCE)
    await moment()
    notes.add(`${name} in flight`, -1)
  }

/** Ends a moment after another branch has failed, or when it is not wanted any more. */
const slow =
  ({ notes }: Side, what: string): TaskSpec['handler'] =>
  (n, ctx) =>
    Promise.race([notes.until(what).then(moment), aborted(ctx)]).then(() => n)

/** Notes under its task's name whenever a branch has failed. */
function noteFailures({ bench, notes }: PlayedCell): () => void {
  const note = ({ task, status }: EventOf<'branch:settled'>): void => {
    if (status === 'failed') notes.add(`${task} failed`)
  }
  return bench.graflow.events.subscribe('branch:settled', note)
}

async function isHeldTo({ notes }: PlayedCell, name: string): Promise<void> {
  let inFlight = 0
  const atOnce = (notes.of(`${name} in flight`) as number[]).map((change) => (inFlight += change))
  expect(notes.count(name)).toBe(WIDTH)
  expect(Math.max(...atOnce)).toBe(AT_ONCE)
}

export const GROUP_OPTIONS: readonly Option[] = [
  {
    ...{ name: 'timeoutMs', of: 'group', bench: 'plain', cannot: AS_DECLARED },
    shows: 'a group whose branches wait for ever fails with GROUP_TIMEOUT, and their signals fire',
    nodes: {
      x: (side) =>
        any(par(member(side, 'a', waits(side)), member(side, 'b', waits(side))).configure({ timeoutMs: 60 })),
      items: (side) => any(each(member(side, 'a', waits(side))).configure({ timeoutMs: 60 })),
    },
    observe: async (cell) => {
      const { notes } = cell
      for (const errors of [await cell.failure(), await cell.failure('items', [1, 2])]) {
        expect(errors.map(codeOf)).toContain('GROUP_TIMEOUT')
      }
      await notes.until('aborted', notes.count('a') + notes.count('b'))
    },
  },
  {
    ...{ name: 'concurrency', of: 'group', bench: 'plain', cannot: AS_DECLARED },
    shows: 'of five branches, two are in flight at once, and never three',
    nodes: {
      x: (side) => {
        const counts = member(side, 'a', counted(side, 'a'))
        const branches = Array.from({ length: WIDTH }, () => counts)
        return any((par as (...of: unknown[]) => any)(...branches).configure({ concurrency: AT_ONCE }))
      },
      items: (side) => any(each(member(side, 'i', counted(side, 'i'))).configure({ concurrency: AT_ONCE })),
    },
    observe: async (cell) => {
      await cell.value()
      await cell.value('items', [1, 2, 3, 4, 5])
      await isHeldTo(cell, 'a')
      await isHeldTo(cell, 'i')
    },
  },
  {
    ...{ name: 'onFailure', of: 'group', bench: 'plain', cannot: AS_DECLARED },
    shows: 'with `wait`, a branch that is still running when another has failed ends as it would have',
    nodes: {
      x: (side) => {
        const branches = [
          member(side, 'slow', slow(side, `${side.id}-quick failed`)),
          member(side, 'quick', fails),
        ] as const
        return any(par(...branches).configure({ onFailure: 'wait' }))
      },
      items: (side) => {
        const waitsForSecond = slow(side, `${side.id}-i failed`)
        const body = member(side, 'i', (n, ctx) => (n === 1 ? waitsForSecond(n, ctx) : fails()))
        return any(each(body).configure({ onFailure: 'wait' }))
      },
    },
    observe: async (cell) => {
      const off = noteFailures(cell)
      const failures = [await cell.failure(), await cell.failure('items', [1, 2])]
      off()
      for (const errors of failures) expect(outcomesIn(errors)).toEqual(['succeeded', 'failed'])
    },
  },
  {
    ...{ name: 'queue', of: 'group', bench: 'workers', cannot: AS_DECLARED },
    shows: 'of four workers, the one that serves the queue runs the branches',
    nodes: {
      x: (side) => any(par(member(side, 'a', same), member(side, 'b', same)).configure({ queue: 'q' })),
      items: (side) => any(each(member(side, 'a', same)).configure({ queue: 'q' })),
    },
    observe: async (cell) => {
      expect(await cell.value()).toEqual([1, 1])
      expect(await cell.value('items', [1, 2])).toEqual([1, 2])
      expect(cell.notes.of('a')).toEqual(['queue', 'queue', 'queue'])
      expect(cell.notes.of('b')).toEqual(['queue'])
    },
  },
  {
    ...{ name: 'name', of: 'group', bench: 'plain', cannot: AS_DECLARED },
    shows: 'the events of the group and its error have the name',
    nodes: {
      x: (side) => any(par(member(side, 'a', fails)).configure({ name: `${side.id}-name` })),
      items: (side) => any(each(member(side, 'a', fails)).configure({ name: `${side.id}-name` })),
    },
    observe: async (cell) => {
      for (const [variant, input] of [
        ['x', 1],
        ['items', [1, 2]],
      ] as const) {
        const name = cell.nameOf('name', variant)
        const told: string[] = []
        const { events } = cell.bench.graflow
        const note = (event: { readonly type: string; readonly name: string | undefined }): void => {
          if (event.name === name) told.push(event.type)
        }
        const offs = [events.subscribe('group:dispatched', note), events.subscribe('group:released', note)]
        const errors = await cell.failure(variant, input)
        for (const off of offs) off()
        expect(told).toEqual(['group:dispatched', 'group:released'])
        expect(errors.filter(({ message }) => message.startsWith(`group "${name}" (at `))).toHaveLength(1)
      }
    },
  },
]
