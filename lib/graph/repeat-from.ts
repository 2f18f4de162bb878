/** What of a run is to be done again from a place on: the place, all that comes behind it on every level above, and the branches on the way. */
import type { Graph, GraphNode, GroupNode } from './graph.js'
import { nodeAt, stepsOf } from './locate.js'

/** Paths are of the run. */
export interface Repeat {
  /** The first step of the run that is done again, wholly or in part. */
  readonly step: number
  /** Whether an output that is saved for this path means nothing any more. */
  readonly forgets: (path: string) => boolean
  /** Whether a group at this path is to go, with all that is below it. */
  readonly drops: (path: string) => boolean
  /** Groups on the way to the place, outer ones first, each with the branch in which it lies: that one is done again, the others stay. */
  readonly redo: readonly { readonly path: string; readonly index: number }[]
}

/** A path and all below it; with `from`, only what has this number or a higher one there. */
interface Below {
  readonly path: string
  readonly from?: number
}

/** Undefined where the graph has no such place. @param from a path of the run, so no `*` */
export function repeatFrom(graph: Graph, from: string): Repeat | undefined {
  const segments = from.split('/')
  const [first = ''] = segments
  if (segments.includes('*') || nodeAt(graph, from) === undefined) return undefined
  const gone: Below[] = [{ path: '', from: Number(first) }]
  const above: string[] = []
  const redo: { path: string; index: number }[] = []
  let node = stepsOf(graph)[Number(first)]
  for (let i = 1, path = first; i < segments.length; i += 1) {
    const segment = segments[i] as string // i is in range
    above.push(path)
    // of the step or pass itself only what lies behind the place
    if (node?.kind === 'sequence' || node?.kind === 'loop') gone.push({ path, from: Number(segment) + 1 })
    if ((node?.kind === 'choose' || node?.kind === 'later') && segment === '?') gone.push({ path })
    if (node?.kind === 'each') redo.push({ path, index: Number(segment) })
    if (node?.kind === 'group') redo.push({ path, index: indexOf(node, segment) })
    path = `${path}/${segment}`
    if (i === segments.length - 1) gone.push({ path })
    node = node && inside(node, segment)
  }
  // its step is not gone as a whole where the place is inside it
  if (segments.length > 1) gone[0] = { path: '', from: Number(first) + 1 }
  const drops = (path: string): boolean => gone.some((below) => isBelow(path, below))
  return { step: Number(first), drops, forgets: (path) => above.includes(path) || drops(path), redo }
}

const indexOf = (group: GroupNode, segment: string): number => group.keys?.indexOf(segment) ?? Number(segment)

/** The node under a segment of a run, which is known to be there. */
function inside(node: GraphNode, segment: string): GraphNode | undefined {
  switch (node.kind) {
    case 'task':
    case 'wait':
      return undefined
    case 'later':
      return segment === '?' ? node.due : node.body
    case 'sequence':
      return node.steps[Number(segment)]
    case 'group':
      return node.branches[indexOf(node, segment)]
    case 'each':
    case 'loop':
    case 'workflow':
      return node.body
    case 'choose':
      return segment === '?' ? node.decide : node.cases.find(([key]) => key === segment)?.[1]
    default:
      return node satisfies never
  }
}

function isBelow(path: string, below: Below): boolean {
  const base = below.path === '' ? '' : `${below.path}/`
  if (below.from === undefined) return path === below.path || path.startsWith(base)
  if (!path.startsWith(base)) return false
  const [segment = ''] = path.slice(base.length).split('/', 1)
  return /^\d+$/.test(segment) && Number(segment) >= below.from
}
