/**
 * The shape of a graph: names, structure, joins and conditions, without any option. Two releases whose tasks differ in their options only, such as a
 * retry that was added, have flows of one shape: what is known of a run by its paths means the same in both.
 */
import { hashOf } from './canonical.js'
import type { Graph, GraphJoin, GraphNode } from './graph.js'

const encoder = new TextEncoder()
const shapes = new WeakMap<Graph, string>()

/** The name of a graph's shape, as 64 lower-case hex digits. The same in every process. Computed once for each graph object. */
export function shapeOf(graph: Graph): string {
  let shape = shapes.get(graph)
  if (shape === undefined) {
    shape = hashOf(encoder.encode(JSON.stringify(bare(graph.root))))
    shapes.set(graph, shape)
  }
  return shape
}

/** Lists have an order of their own, whatever the order of fields in the graph. */
function bare(node: GraphNode): readonly unknown[] {
  switch (node.kind) {
    case 'task':
      return [node.kind, node.name]
    case 'sequence':
      return [node.kind, node.steps.map(bare)]
    case 'group':
      return [node.kind, node.keys ?? null, bareJoin(node.join), node.branches.map(bare)]
    case 'each':
      return [node.kind, bareJoin(node.join), bare(node.body)]
    case 'choose':
      return [node.kind, bare(node.decide), node.cases.map(([key, inner]) => [key, bare(inner)])]
    case 'loop':
      return [node.kind, bare(node.body)]
    case 'workflow':
      return [node.kind, node.name, bare(node.body)]
    case 'wait':
      return [node.kind, node.name]
    case 'later':
      return node.due === undefined ? [node.kind, bare(node.body)] : [node.kind, bare(node.body), bare(node.due)]
    default:
      return node satisfies never
  }
}

function bareJoin(join: GraphJoin): readonly unknown[] {
  switch (join.kind) {
    case 'strict':
    case 'settled':
    case 'first':
      return [join.kind]
    case 'atLeast':
      return [join.kind, join.count]
    case 'critical':
      return [join.kind, join.members]
    case 'policy':
      return [join.kind, join.name]
    default:
      return join satisfies never
  }
}
