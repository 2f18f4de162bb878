import type { Graph, GraphNode } from '../../lib/graph/graph.js'
import { graphOf } from '../../lib/graph/graph-of.js'
import { allPaths, groupSegment, nodeAt, pathsOf, pathUnder, staticPath, stepsOf } from '../../lib/graph/locate.js'
import { EVERYTHING, L3, ONE_TASK } from './everything.js'

const label = (node: GraphNode | undefined): string | undefined => (node && 'name' in node ? node.name : node?.kind)
const listed = (graph: Graph): readonly string[] => [...allPaths(graph)].map(([path, node]) => `${path} ${label(node)}`)

describe('places of a graph', () => {
  it('L3: are the root’s steps and what is inside them, in written order', () => {
    expect(listed(graphOf(L3))).toEqual([
      '0 fetch',
      '1 group',
      '1/0 sequence',
      '1/0/0 a',
      '1/0/1 sub',
      '1/1 b',
      '2 store',
    ])
  })

  it('start with 0 also where the root is no sequence', () => {
    expect(listed(graphOf(ONE_TASK))).toEqual(['0 fetch'])
    expect(stepsOf(graphOf(ONE_TASK))).toEqual([{ kind: 'task', name: 'fetch' }])
  })

  it('have keys in records and choices, a star in each and loop, w in workflows', () => {
    expect(listed(graphOf(EVERYTHING))).toEqual([
      '0 fetch',
      ...['1 group', '1/10 score', '1/geo a', '1/deep sequence', '1/deep/0 sub', '1/deep/1 b'],
      '2 sum.up',
      ...['3 group', '3/0 a', '3/1 b'],
      '4 sum.up',
      ...['5 group', '5/0 a', '5/1 b', '5/2 score'],
      '6 sum.up',
      ...['7 group', '7/0 a', '7/1 b'],
      ...['8 choose', '8/? pick', '8/low a', '8/high sequence', '8/high/0 b', '8/high/1 sub'],
      ...['9 loop', '9/* sequence', '9/*/0 a', '9/*/1 poll'],
      ...['10 inner.flow', '10/w sequence', '10/w/0 a', '10/w/1 group', '10/w/1/0 b'],
      '11 sum.up',
      '12 split',
      ...['13 each', '13/* sequence', '13/*/0 a', '13/*/1 b'],
      '14 sum.up',
    ])
  })
})

describe('nodeAt', () => {
  it('finds every place, twice', () => {
    const graph = graphOf(EVERYTHING)
    for (const _ of [1, 2]) for (const [path, node] of allPaths(graph)) expect(nodeAt(graph, path)).toBe(node)
  })

  it('is undefined where there is none', () => {
    const graph = graphOf(EVERYTHING)
    const roots = ['', '/', '15', '00', '-1', '1.0', ' 0', '0/0', '0/', '/0', '999999999999999999999']
    const inside = [
      '1/0',
      '1/geo/0',
      '1/toString',
      '3/2',
      '3/00',
      '3/*',
      '8/0',
      '8/constructor',
      '9/0',
      '10/*',
      '10/w/2',
      '13/x',
      '13/01',
    ]
    for (const path of [...roots, ...inside]) expect([path, nodeAt(graph, path)]).toEqual([path, undefined])
  })
})

describe('staticPath', () => {
  const graph = graphOf(EVERYTHING)

  it('puts a star for the number of an item or a pass, and leaves the rest', () => {
    expect(staticPath(graph, '13/0')).toBe('13/*')
    expect(staticPath(graph, '13/99999/1')).toBe('13/*/1')
    expect(staticPath(graph, '9/1/1')).toBe('9/*/1')
    expect(staticPath(graph, '9/*/1')).toBe('9/*/1')
    expect(staticPath(graph, '1/10')).toBe('1/10')
    expect(staticPath(graph, '10/w/1/0')).toBe('10/w/1/0')
    expect(staticPath(graph, '8/?')).toBe('8/?')
  })

  it('is undefined where the graph has no such place: passes count from 1, and numbers have one form', () => {
    for (const path of ['9/0/1', '13/01', '13/-1', '13/1.5', '13/1/2', '3/7', '99', ''])
      expect(staticPath(graph, path)).toBe(undefined)
  })
})

describe('pathsOf', () => {
  it('lists the places of a task or workflow in written order', () => {
    const graph = graphOf(EVERYTHING)
    expect(pathsOf(graph, 'a')).toEqual(['1/geo', '3/0', '5/0', '7/0', '8/low', '9/*/0', '10/w/0', '13/*/0'])
    expect(pathsOf(graph, 'inner.flow')).toEqual(['10'])
    expect(pathsOf(graph, 'pick')).toEqual(['8/?'])
    expect(pathsOf(graph, 'nobody')).toEqual([])
    expect(pathsOf(graph, 'constructor')).toEqual([])
    expect(pathsOf(graph, 'a')).toBe(pathsOf(graph, 'a'))
  })
})

describe('segments', () => {
  it('are what the engine puts behind a path', () => {
    expect([pathUnder('', 0), pathUnder('0', 'geo'), pathUnder('0/geo', 3)]).toEqual(['0', '0/geo', '0/geo/3'])
    const group = nodeAt(graphOf(EVERYTHING), '1')
    expect(group?.kind === 'group' && [0, 1, 2].map((index) => groupSegment(group, index))).toEqual([
      '10',
      'geo',
      'deep',
    ])
    const tuple = nodeAt(graphOf(EVERYTHING), '3')
    expect(tuple?.kind === 'group' && groupSegment(tuple, 1)).toBe('1')
  })
})
