/** What a branch runs, as a graph of its own: so that it can be run again, by itself, when its run is gone. */
import { type Graph, type GraphNeeds, type GraphNode, graphVersion, noteNeeds } from './graph.js'
import { allPaths, nodeAt } from './locate.js'
import { checkGraph } from './validate.js'

/** A graph, and what is said beside a graph of a workflow. */
export interface BranchGraph {
  readonly graph: Graph
  readonly workflow?: string
  readonly timeoutMs?: number
}

/**
 * The graph of branch `index` of the group at the static path `node`; with the path of anything else, of that. `''` is the whole graph.
 * Undefined where the graph has no such place.
 */
export function branchGraph(graph: Graph, node: string, index: number): BranchGraph | undefined {
  if (node === '') return { graph }
  const found = nodeOfBranch(graph, node, index)
  if (found === undefined) return undefined
  if (found.kind !== 'workflow') return { graph: graphAt(graph, found) }
  const { timeoutMs } = found.options
  const named = { graph: graphAt(graph, found.body), workflow: found.name }
  return timeoutMs === undefined ? named : { ...named, timeoutMs }
}

/** The node that branch `index` of the group at a static path is; of anything but a group, the node itself. */
export function nodeOfBranch(graph: Graph, node: string, index: number): GraphNode | undefined {
  const group = nodeAt(graph, node)
  return group?.kind === 'each' ? group.body : group?.kind === 'group' ? group.branches[index] : group
}

function graphAt({ version, tasks }: Graph, root: GraphNode): Graph {
  const names = new Set<string>()
  const needs: GraphNeeds = { waits: false, labels: false }
  for (const [, node] of allPaths({ version, tasks, root })) {
    if (node.kind === 'task') names.add(node.name)
    noteNeeds(needs, node)
  }
  const used = Object.fromEntries(Object.entries(tasks).filter(([name]) => names.has(name)))
  return checkGraph({ version: graphVersion(needs), tasks: used, root })
}
