import { choose, done, each, later, loop, par, seq, task, workflow } from 'graflow'
import { expressionOf } from '../../lib/flow/node.js'
import { graphOf } from '../../lib/graph/graph-of.js'
import { repeatFrom } from '../../lib/graph/repeat-from.js'

const a = task('a', (_: unknown): unknown[] => [])
const b = task('b', (_: unknown): unknown[] => [])
const ends = task('ends', (list: unknown[]) => done(list))

/** Of a chain: a workflow with a group inside, a loop of two steps, a choice, a timer, and an each of chains. */
const graph = graphOf(
  expressionOf(
    seq(
      workflow('w', seq(a, par({ x: a, y: seq(a, b) }), b)),
      loop(seq(a, ends), { maxCycles: 5 }),
      choose(
        task('pick', (_: unknown) => 'one' as const),
        { one: seq(a, b) },
      ),
      later(seq(a, b), 5),
      par(each(seq(a, b)), a),
    ),
  ),
)

/** Outputs of a run that was completed. */
const saved = [
  ...['0', '0/w', '0/w/0', '0/w/1', '0/w/1/x', '0/w/1/y', '0/w/1/y/0', '0/w/1/y/1', '0/w/2'],
  ...['1', '1/1/0', '1/1/1', '1/2/0', '1/2/1', '1/3/0', '1/3/1'],
  ...['2', '2/?', '2/one', '2/one/0', '2/one/1'],
  ...['3', '3/!', '3/w', '3/w/0', '3/w/1'],
  ...['4', '4/0/0/0', '4/0/0/1', '4/0/1/0', '4/0/1/1', '4/1'],
]
const groups = ['0/w/1', '4', '4/0']

/** What is kept of the outputs of the step that the place is in, the groups that go, and the branches that are done again. */
function kept(from: string): unknown {
  const repeat = repeatFrom(graph, from)
  if (repeat === undefined) return undefined
  const { step, forgets, drops, redo } = repeat
  expect(step).toBe(Number(from.split('/')[0]))
  const ofStep = (path: string): boolean => path.split('/')[0] === String(step)
  expect(saved.filter((path) => Number(path.split('/')[0]) < step && forgets(path))).toEqual([])
  expect(saved.filter((path) => Number(path.split('/')[0]) > step && !forgets(path))).toEqual([])
  return [
    saved.filter((path) => ofStep(path) && !forgets(path)),
    groups.filter((path) => ofStep(path) && drops(path)),
    redo.map(({ path, index }) => `${path} ${index}`),
  ]
}

describe('what is done again from a place on', () => {
  it.each<[from: string, outputs: string[], drops: string[], redo: string[]]>([
    ['0', [], ['0/w/1'], []],
    ['0/w/1', ['0/w/0'], ['0/w/1'], []],
    ['0/w/1/x', ['0/w/0', '0/w/1/y', '0/w/1/y/0', '0/w/1/y/1'], [], ['0/w/1 0']],
    ['0/w/1/y/1', ['0/w/0', '0/w/1/x', '0/w/1/y/0'], [], ['0/w/1 1']],
    ['0/w/2', ['0/w/0', '0/w/1', '0/w/1/x', '0/w/1/y', '0/w/1/y/0', '0/w/1/y/1'], [], []],
    ['1/2', ['1/1/0', '1/1/1'], [], []],
    ['1/2/1', ['1/1/0', '1/1/1', '1/2/0'], [], []],
    ['2/?', [], [], []],
    ['2/one/1', ['2/?', '2/one/0'], [], []],
    ['3/w/1', ['3/!', '3/w/0'], [], []],
    ['4/0/1/1', ['4/0/0/0', '4/0/0/1', '4/0/1/0', '4/1'], [], ['4 0', '4/0 1']],
  ])('O2: %s keeps what comes before it, on every level', (from, outputs, drops, redo) => {
    expect(kept(from)).toEqual([outputs, drops, redo])
  })

  it.each(['5', '0/v', '4/*', '1/1/2', 'x'])('is nothing where there is no such place: %s', (from) => {
    expect(kept(from)).toBeUndefined()
  })
})
