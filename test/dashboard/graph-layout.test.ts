/** The picture of a flow, and what a run does at each of its nodes. */
import { choose, each, loop, par, seq, task, waitFor, workflow } from 'graflow'
import { layoutOf, type Box } from '../../dashboard/run/graph-layout.js'
import { branchPath, nodeStates, type RunNow } from '../../dashboard/run/graph-state.js'
import { expressionOf } from '../../lib/flow/node.js'
import type { Graph } from '../../lib/graph/graph.js'
import { graphOf } from '../../lib/graph/graph-of.js'

const step = (name: string) => task(name, (input: unknown) => input)
const graphFor = (node: unknown): Graph => graphOf(expressionOf(node, 'test'))
const everything = graphFor(
  seq(
    step('first'),
    par({ left: seq(step('a'), step('b')), right: step('c') }),
    waitFor('approve'),
    choose(
      task('pick', (n: unknown): 'x' | 'y' => (n === 1 ? 'x' : 'y')),
      { x: step('x'), y: step('y') },
    ),
    loop(step('again') as never, { maxCycles: 3 }),
    workflow('inner', step('deep')),
    task('items', () => [1, 2]),
    each(step('one')),
  ),
)

const boxAt = (boxes: readonly Box[], path: string): Box => {
  const found = boxes.find((box) => box.path === path)
  if (found === undefined) throw new Error(`expected a box at ${path}, got ${boxes.map((box) => box.path).join(' ')}`)
  return found
}
const isInside = (inner: Box, outer: Box): boolean =>
  inner.x >= outer.x &&
  inner.y >= outer.y &&
  inner.x + inner.width <= outer.x + outer.width &&
  inner.y + inner.height <= outer.y + outer.height

describe('the picture of a flow', () => {
  it.each(['LR', 'TB'] as const)(
    'has every node once, inside its container, and none over another (%s)',
    (direction) => {
      const { boxes, width, height } = layoutOf(everything, direction)
      expect(boxes.map(({ path }) => path).sort()).toEqual(
        [
          '0',
          '1',
          '1/left/0',
          '1/left/1',
          '1/right',
          '2',
          '3',
          '3/?',
          '3/x',
          '3/y',
          '4',
          '4/*',
          '5',
          '5/w',
          '6',
          '7',
          '7/*',
        ].sort(),
      )
      for (const box of boxes)
        expect([box.path, box.x >= 0, box.y >= 0, box.x + box.width <= width, box.y + box.height <= height]).toEqual([
          box.path,
          true,
          true,
          true,
          true,
        ])
      for (const path of ['1/left/0', '1/left/1', '1/right'])
        expect(isInside(boxAt(boxes, path), boxAt(boxes, '1'))).toBe(true)
      const leaves = boxes.filter(({ isContainer }) => !isContainer)
      for (const [i, a] of leaves.entries())
        for (const b of leaves.slice(i + 1)) {
          const apart = a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y
          expect([a.path, b.path, apart]).toEqual([a.path, b.path, true])
        }
    },
  )

  it('leads from each step to the next, and from a decision to its cases', () => {
    const lines = layoutOf(everything, 'LR').lines.map(
      ({ from, to, label }) => `${from} ${to}${label === undefined ? '' : ` ${label}`}`,
    )
    expect(lines).toEqual(expect.arrayContaining(['0 1', '1 2', '6 7', '1/left/0 1/left/1', '3/? 3/x x', '3/? 3/y y']))
  })

  it('counts branches that it does not draw', () => {
    const wide = graphFor(par(...(Array.from({ length: 40 }, (_, i) => step(`t${i}`)) as [never, never])))
    const { boxes } = layoutOf(wide, 'LR')
    expect(boxes.find(({ kind }) => kind === 'more')?.title).toContain('34')
    expect(boxes.length).toBeLessThan(12)
  })
})

describe('what a run does at the nodes of its flow', () => {
  const zero = { ready: 0, delayed: 0, running: 0, succeeded: 0, failed: 0, dead: 0, withdrawn: 0 }
  const run: RunNow = {
    state: 'running',
    steps: [
      { path: '0', state: 'succeeded' },
      { path: '4/1', state: 'succeeded' },
      { path: '4/2', state: 'running' },
    ],
    groups: [
      { ...zero, path: '7', state: 'open', width: 2_000, succeeded: 1_203, failed: 4, running: 17, ready: 776 },
      { ...zero, path: '0/~1', state: 'released', width: 5, failed: 5 },
    ],
    waits: [{ path: '2', why: 'signal', count: 1 }],
  }

  it('sums the counts of groups, and says where it is now', () => {
    const states = nodeStates(everything, run)
    expect(states.get('7')).toMatchObject({
      mark: 'running',
      width: 2_000,
      counts: { succeeded: 1_203, ready: 776 },
      isCurrent: true,
      places: ['7'],
    })
    expect(states.get('0')).toMatchObject({ mark: 'succeeded', isCurrent: false, counts: undefined })
    expect(states.get('2')).toMatchObject({ mark: 'waiting', isCurrent: true })
    expect(states.get('4/*')).toMatchObject({ mark: 'running', places: ['4/1', '4/2'] })
    expect(states.get('4')).toMatchObject({ isCurrent: true })
    // nothing is noted of it, and what comes after was come to
    expect(states.get('5')?.mark).toBe('succeeded')
  })

  it('has nothing current once it is over', () => {
    const over = nodeStates(everything, { ...run, state: 'failed' })
    expect([...over.values()].some(({ isCurrent }) => isCurrent)).toBe(false)
    expect(over.get('7')?.mark).toBe('failed')
  })

  it('names a branch by its number or its key', () => {
    expect([branchPath(everything, '7', 17), branchPath(everything, '1', 1), branchPath(everything, '0', 0)]).toEqual([
      '7/17',
      '1/right',
      '0',
    ])
  })

  it('is over inside of a group that is passed and of which nothing is kept any more', () => {
    const steps = ['0', '6'].map((path) => ({ path, state: 'succeeded' }))
    const states = nodeStates(everything, { state: 'completed', steps, groups: [], waits: [] })
    expect(['1', '1/left/0', '1/right', '3/x'].map((path) => states.get(path)?.mark)).toEqual([
      ...['succeeded', 'succeeded', 'succeeded', undefined],
    ])
  })
})
