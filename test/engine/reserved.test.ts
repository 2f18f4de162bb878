/** What a group requires beside what its tasks ask for: what can read its graph, and what its run requires. */
import { each, par, task } from 'graflow'
import { withReserved } from '../../lib/backend/reserved.js'
import { planGroup, planOne, type Dispatcher } from '../../lib/engine/group-plan.js'
import { layoutFor } from '../../lib/engine/routing.js'
import { expressionOf } from '../../lib/flow/node.js'
import type { Graph, GroupNode } from '../../lib/graph/graph.js'
import { graphOf } from '../../lib/graph/graph-of.js'
import { DEFAULT_LIMITS } from '../../lib/options.js'

const plain = task('plain', () => 1)
const routed = task('routed', { requires: ['gpu'] }, () => 1)
const by: Dispatcher = { runId: 'run', depth: 1, limits: DEFAULT_LIMITS, itemsPerCall: 10, bytesPerCall: 1_000 }
// as a later release makes them
const newer = (graph: Graph): Graph => ({ ...graph, version: 2 })

function requiredBy(graph: Graph, requires?: readonly string[]): readonly (readonly string[])[] {
  const use = { hash: 'h', graph, code: { task: () => undefined, policy: () => undefined } as never, base: '' }
  const dispatcher = { ...by, ...(requires !== undefined && { requires }) }
  const group = graph.root as GroupNode
  const plans = [
    planGroup(dispatcher, use, group, '0', '0', undefined),
    planOne(dispatcher, use, group.branches[0] ?? group, '0/0', '0/0', undefined),
  ]
  return plans.map(({ spec }) => spec.requires)
}

describe('what a group requires', () => {
  const graph = graphOf(expressionOf(par(routed, routed)))

  it('is what its tasks ask for, and nothing else in a graph that all releases read', () => {
    expect(requiredBy(graph)).toEqual([['gpu'], ['gpu']])
    expect(requiredBy(graphOf(expressionOf(par(plain, plain))))).toEqual([[], []])
  })

  it('V4: is with it that a worker can read its graph, of a version that older releases cannot', () => {
    expect(requiredBy(newer(graph))).toEqual([
      ['gpu', 'layout:4'],
      ['gpu', 'layout:4'],
    ])
    expect([layoutFor(graph), layoutFor(newer(graph))]).toEqual([[], ['layout:4']])
  })

  it('V4: is with it that a worker knows labels, where its graph has some', () => {
    const labelled = graphOf(expressionOf(par(each(plain).configure({ label: 'id' }), plain)))
    expect(requiredBy(labelled)).toEqual([['layout:5'], ['layout:5']])
    expect(withReserved(['gpu'], undefined)).toEqual(['gpu', 'layout:4', 'layout:5'])
  })

  it('V3: is with it what its run requires', () => {
    expect(requiredBy(graph, ['build:7'])).toEqual([
      ['build:7', 'gpu'],
      ['build:7', 'gpu'],
    ])
    expect(requiredBy(newer(graph), ['build:7', 'layout:4'])).toEqual([
      ['build:7', 'gpu', 'layout:4'],
      ['build:7', 'gpu', 'layout:4'],
    ])
  })
})
