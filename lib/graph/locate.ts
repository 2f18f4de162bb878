/**
 * Paths in a graph: from a path to its node, from a name to its paths, from a path of a run to the path in the graph. Hides the
 * path scheme (see graph.ts); nothing else takes a path apart. All of it is called for every branch, so it is remembered by graph.
 */
import type { ChooseNode, Graph, GraphNode, GroupNode } from './graph.js'

/** The segment under which each, loop and workflow have their one body in the graph. */
const ANY = '*'
const BODY = 'w'
const DECISION = '?'

const nodes = new WeakMap<Graph, Map<string, GraphNode>>()
const names = new WeakMap<Graph, ReadonlyMap<string, readonly string[]>>()
const keyed = new WeakMap<GroupNode | ChooseNode, ReadonlyMap<string, GraphNode>>()
const NONE: readonly string[] = Object.freeze([])

/** The steps of the root, which is read as a sequence: of one, if it is none. Step k has the path `String(k)`. */
export function stepsOf(graph: Graph): readonly GraphNode[] {
  return graph.root.kind === 'sequence' ? graph.root.steps : [graph.root]
}

/**
 * Whether the node at `path` is the last of its graph, so that its result is that of the whole: nothing but sequences and workflows without a
 * deadline are above it.
 */
export function isLastAt(graph: Graph, path: string): boolean {
  const segments = path.split('/')
  let steps = stepsOf(graph)
  for (let at = 0; segments[at] === String(steps.length - 1); ) {
    let node = steps.at(-1)
    at += 1
    for (; node?.kind === 'workflow' && node.options.timeoutMs === undefined && segments[at] === 'w'; at += 1)
      node = node.body
    if (at === segments.length) return true
    if (node?.kind !== 'sequence') return false
    steps = node.steps
  }
  return false
}

/** A path one segment longer; `''` is the path of the root sequence. */
export function pathUnder(path: string, segment: string | number): string {
  return path === '' ? String(segment) : `${path}/${segment}`
}

/** The node at a path of the graph (with `*` for the bodies of each and loop), or undefined where there is none. */
export function nodeAt(graph: Graph, path: string): GraphNode | undefined {
  let known = nodes.get(graph)
  if (known === undefined) nodes.set(graph, (known = new Map<string, GraphNode>()))
  let node = known.get(path)
  if (node === undefined) {
    node = walk(graph, path)?.node
    // only paths that exist are remembered: their number is bounded, that of wrong questions is not
    if (node !== undefined) known.set(path, node)
  }
  return node
}

/** The paths of every task and workflow of this name, in written order (a choose's decision before its cases); [] if there is none. */
export const pathsOf = (graph: Graph, name: string): readonly string[] => pathsByName(graph).get(name) ?? NONE

/** The same of all names. */
export function pathsByName(graph: Graph): ReadonlyMap<string, readonly string[]> {
  let index = names.get(graph)
  if (index === undefined) names.set(graph, (index = indexNames(graph)))
  return index
}

/**
 * The path in the graph of a path in a run: item and pass numbers become `*`. A path that has `*` already stays as it is.
 * Undefined where the graph has no such path.
 */
export function staticPath(graph: Graph, path: string): string | undefined {
  return nodes.get(graph)?.has(path) === true ? path : walk(graph, path)?.path
}

/** Every path of the graph in written order, with its node: the root's steps, and what is inside them. */
export function* allPaths(graph: Graph): Generator<Placed> {
  const steps = stepsOf(graph)
  for (let index = 0; index < steps.length; index += 1) yield* inside([String(index), steps[index] as GraphNode])
}

/** The nodes directly inside a node, with their segments, in written order. */
export function childrenOf(node: GraphNode): readonly (readonly [segment: string, node: GraphNode])[] {
  switch (node.kind) {
    case 'task':
    case 'wait':
      return []
    case 'sequence':
      return node.steps.map((step, index) => [String(index), step] as const)
    case 'group':
      return node.branches.map((branch, index) => [groupSegment(node, index), branch] as const)
    case 'each':
    case 'loop':
      return [[ANY, node.body]]
    case 'choose':
      return [[DECISION, node.decide], ...node.cases.map(([key, inner]) => [key, inner] as const)]
    case 'workflow':
      return [[BODY, node.body]]
    case 'later':
      return node.due === undefined
        ? [[BODY, node.body]]
        : [
            [DECISION, node.due],
            [BODY, node.body],
          ]
  }
}

/** A node with its path. */
export type Placed = readonly [path: string, node: GraphNode]

/** The nodes directly inside the node at a path, with theirs, in written order. */
export const placedIn = ([path, node]: Placed): readonly Placed[] =>
  childrenOf(node).map(([segment, child]) => [`${path}/${segment}`, child] as const)

/** The segment of branch `index` of a group: its number in a tuple, its key in a record. */
export function groupSegment(group: GroupNode, index: number): string {
  const key = group.keys?.[index]
  return key === undefined ? String(index) : key
}

function* inside(placed: Placed): Generator<Placed> {
  yield placed
  for (const inner of placedIn(placed)) yield* inside(inner)
}

function indexNames(graph: Graph): ReadonlyMap<string, readonly string[]> {
  const index = new Map<string, string[]>()
  for (const [path, node] of allPaths(graph)) {
    if (node.kind !== 'task' && node.kind !== 'workflow') continue
    const paths = index.get(node.name)
    if (paths === undefined) index.set(node.name, [path])
    else paths.push(path)
  }
  for (const paths of index.values()) Object.freeze(paths)
  return index
}

/** From the root along a path of the graph or of a run, to the node and its path in the graph. */
function walk(graph: Graph, path: string): { readonly node: GraphNode; readonly path: string } | undefined {
  const segments = path.split('/')
  let node = numbered(stepsOf(graph), segments[0] as string)
  for (let index = 1; index < segments.length && node !== undefined; index += 1) {
    const segment = segments[index] as string
    if (
      (node.kind === 'each' && (segment === ANY || isNumber(segment))) ||
      (node.kind === 'loop' && (segment === ANY || isPass(segment)))
    ) {
      segments[index] = ANY
      node = node.body
    } else node = childAt(node, segment)
  }
  return node && { node, path: segments.join('/') }
}

function childAt(node: GraphNode, segment: string): GraphNode | undefined {
  switch (node.kind) {
    case 'task':
    case 'wait':
    case 'each':
    case 'loop':
      return undefined
    case 'sequence':
      return numbered(node.steps, segment)
    case 'group':
      return node.keys === undefined ? numbered(node.branches, segment) : byKey(node).get(segment)
    case 'choose':
      return segment === DECISION ? node.decide : byKey(node).get(segment)
    case 'workflow':
      return segment === BODY ? node.body : undefined
    case 'later':
      return segment === BODY ? node.body : segment === DECISION ? node.due : undefined
  }
}

function byKey(node: GroupNode | ChooseNode): ReadonlyMap<string, GraphNode> {
  let index = keyed.get(node)
  if (index === undefined) keyed.set(node, (index = new Map(childrenOf(node))))
  return index
}

function numbered(list: readonly GraphNode[], segment: string): GraphNode | undefined {
  return isNumber(segment) ? list[Number(segment)] : undefined
}

/** A number as paths write it: `7`, never `07` or `7.0`. */
function isNumber(segment: string): boolean {
  return /^(?:0|[1-9][0-9]{0,14})$/.test(segment)
}

/** Passes of a loop are counted from 1. */
function isPass(segment: string): boolean {
  return segment !== '0' && isNumber(segment)
}
