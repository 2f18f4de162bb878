/** What makes the shape of a flow, by which a deploy tells whether it knows a run. */
import { choose, done, each, loop, par, policy, seq, task, workflow, type AnyNode } from 'graflow'
import { expressionOf } from '../../lib/flow/node.js'
import { canonicalText, graphHash } from '../../lib/graph/canonical.js'
import { graphOf } from '../../lib/graph/graph-of.js'
import { shapeOf } from '../../lib/graph/shape.js'
import { parseGraph } from '../../lib/graph/validate.js'

const a = task('a', (n: number) => n)
const b = task('b', (n: number) => n)
const ends = task('c', (list: readonly number[]) => done(list))
const lists = (retry?: number) =>
  task('a', retry === undefined ? {} : { retry: { attempts: retry }, queue: 'gpu', priority: 5 }, (n: number) => [n])
const graph = (node: AnyNode) => graphOf(expressionOf(node))
const shape = (node: AnyNode): string => shapeOf(graph(node))

describe('the shape of a flow', () => {
  it('has no options in it', () => {
    const plain = seq(lists(), each(b), loop(ends, { maxCycles: 3 }))
    const changed = seq(
      lists(3),
      each(b).configure({ timeoutMs: 9, concurrency: 2, name: 'all', label: 'id' as never }),
      loop(ends, { maxCycles: 4 }),
    )
    expect(shape(changed)).toBe(shape(plain))
    expect(graphHash(graph(changed))).not.toBe(graphHash(graph(plain)))
  })

  it('has names, structure, joins and conditions in it', () => {
    const pick = task('pick', (n: number) => (n > 0 ? ('x' as const) : ('y' as const)))
    const flows: readonly AnyNode[] = [
      ...[a, b, seq(a, b), seq(b, a), par(a, b), par({ x: a, y: b }), par({ y: a, x: b }), each(a)],
      ...[par(a, b).settled(), par(a, b).first(), par(a, b).atLeast(1), par(a, b).atLeast(2)],
      ...[par({ x: a, y: b }).critical('x'), par({ x: a, y: b }).critical('y')],
      ...[par(a, b).join(policy('p', () => 1)), par(a, b).join(policy('q', () => 1))],
      ...[choose(pick, { x: a, y: b }), choose(pick, { x: b, y: a })],
      ...[seq(a, workflow('w', b)), seq(a, workflow('v', b)), each(each(a) as never)],
    ]
    expect(new Set(flows.map(shape)).size).toBe(flows.length)
  })

  it('is the same for a graph that was stored and read', () => {
    const node = par({ x: a, y: b }).critical('x')
    expect(shapeOf(parseGraph(JSON.parse(canonicalText(graph(node)))))).toBe(shape(node))
  })
})
