/**
 * Where a node's work may run: here, where its driver is, or dispatched to workers with a certain queue and capabilities. One rule for
 * the driver that dispatches and for the worker that receives.
 */
import type { TaskOptions } from '../flow/node-options.js'
import type { Graph, GraphNode } from '../graph/graph.js'
import { DEFAULT_QUEUE } from '../options.js'

/** What a worker must be to take the work. */
export interface Routing {
  readonly queue: string
  /** Sorted. */
  readonly requires: readonly string[]
  readonly affinity: string | undefined
}

const ANYWHERE: Routing = Object.freeze({ queue: DEFAULT_QUEUE, requires: Object.freeze([]), affinity: undefined })

/** Whether a task asks for certain workers, so that it is dispatched even as a step of a sequence. */
export const isRouted = (options: TaskOptions): boolean =>
  options.queue !== undefined || (options.requires?.length ?? 0) > 0 || options.affinity !== undefined

/** The routing that a task asks for. */
export function routingOfTask(options: TaskOptions | undefined): Routing {
  if (options === undefined || !isRouted(options)) return ANYWHERE
  return {
    queue: options.queue ?? DEFAULT_QUEUE,
    requires: [...(options.requires ?? [])].sort(),
    affinity: options.affinity,
  }
}

export const isSameRouting = (a: Routing, b: Routing): boolean =>
  a.queue === b.queue &&
  a.affinity === b.affinity &&
  a.requires.length === b.requires.length &&
  a.requires.every((c, i) => c === b.requires[i])

/** Of a branch: its task's, if it is one task; a chain goes anywhere, and its routed steps are dispatched from there. */
export const routingOfBranch = (graph: Graph, branch: GraphNode): Routing =>
  branch.kind === 'task' ? routingOfTask(graph.tasks[branch.name]) : ANYWHERE

/**
 * Of a group: what all its branches ask for. Where they differ, the group goes anywhere, and a branch that asks for more is dispatched
 * once more, by whoever acquired it, as a group of one.
 */
export function routingOfGroup(graph: Graph, branches: readonly GraphNode[]): Routing {
  const [first, ...rest] = branches
  if (first === undefined) return ANYWHERE
  const routing = routingOfBranch(graph, first)
  return rest.every((branch) => isSameRouting(routingOfBranch(graph, branch), routing)) ? routing : ANYWHERE
}

/** Whether the first thing that a driver of this node does is to dispatch a group. */
export function beginsWithGroup(node: GraphNode): boolean {
  switch (node.kind) {
    case 'group':
    case 'each':
      return true
    case 'sequence':
      return node.steps[0] !== undefined && beginsWithGroup(node.steps[0])
    case 'workflow':
      return beginsWithGroup(node.body)
    default:
      return false
  }
}

/** Names of the tasks that run where the branch runs: its steps, not what it dispatches. */
export function tasksInPlace(graph: Graph, node: GraphNode, into = new Set<string>()): ReadonlySet<string> {
  switch (node.kind) {
    case 'task':
      if (!isRouted(graph.tasks[node.name] ?? {})) into.add(node.name)
      return into
    case 'sequence':
      for (const step of node.steps) tasksInPlace(graph, step, into)
      return into
    case 'choose':
      tasksInPlace(graph, node.decide, into)
      for (const [, inner] of node.cases) tasksInPlace(graph, inner, into)
      return into
    case 'loop':
    case 'workflow':
      return tasksInPlace(graph, node.body, into)
    case 'group':
    case 'each':
      return into
    default:
      return node satisfies never
  }
}
