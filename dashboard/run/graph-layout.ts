/**
 * Where the nodes of a flow lie. Each container is laid out by dagre on its own, from the innermost, and then is one node of the container around it: so branches stay
 * within their group, and edges never cross its frame. Pure: the same graph gives the same picture.
 */
import dagre from '@dagrejs/dagre'
import type { Graph, GraphNode } from '../../lib/graph/graph.js'
import {
  containerLabel,
  drawnOf,
  keyed,
  keyOf,
  type Label,
  moreLabel,
  taskLabel,
  waitLabel,
} from '../../lib/graph/labels.js'
import { type Placed as PlacedNode, placedIn, stepsOf } from '../../lib/graph/locate.js'
import { cut, textWidth } from '../../lib/graph/svg-text.js'

export type Direction = 'LR' | 'TB'

/** A node in the picture. */
export interface Box {
  /** In the graph; of what only counts the branches that are not drawn, the path of its group with `…`. */
  readonly path: string
  readonly kind: GraphNode['kind'] | 'more'
  readonly title: string
  readonly note: string
  /** It has others inside, which come after it in the list. */
  readonly isContainer: boolean
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

export interface Line {
  readonly from: string
  readonly to: string
  /** The key of the case that it leads to. */
  readonly label?: string
  readonly points: readonly { readonly x: number; readonly y: number }[]
}

export interface Picture {
  readonly width: number
  readonly height: number
  readonly boxes: readonly Box[]
  readonly lines: readonly Line[]
}

const TITLE = 13
const NOTE = 11
const MOST_TITLE = 30
const MOST_NOTE = 42
const LEAF_HEIGHT = 44
export const HEAD_HEIGHT = 46
const PAD = 14
/** Room for the counts of a group. */
const LEAST_CONTAINER = 212
const LEAST_LEAF = 92
const MARGIN = 8

export function layoutOf(graph: Graph, direction: Direction): Picture {
  const steps = stepsOf(graph).map((node, index): PlacedNode => [String(index), node])
  const inside = contentOf(new Drawn(graph, direction), [steps], undefined)
  return shifted(inside, MARGIN, MARGIN, { width: inside.width + 2 * MARGIN, height: inside.height + 2 * MARGIN })
}

class Drawn {
  readonly graph: Graph
  readonly direction: Direction
  constructor(graph: Graph, direction: Direction) {
    this.graph = graph
    this.direction = direction
  }
}

function shifted(picture: Picture, x: number, y: number, size: Pick<Picture, 'width' | 'height'> = picture): Picture {
  return {
    width: size.width,
    height: size.height,
    boxes: picture.boxes.map((box) => ({ ...box, x: box.x + x, y: box.y + y })),
    lines: picture.lines.map((line) => ({ ...line, points: line.points.map((p) => ({ x: p.x + x, y: p.y + y })) })),
  }
}

/** Of one node, with its top left corner at 0. The first box is the node's own. */
function pictureOf(drawn: Drawn, [path, node]: PlacedNode, key?: string): Picture {
  switch (node.kind) {
    case 'task':
      return leaf(path, node.kind, taskLabel(drawn.graph, node), key)
    case 'wait':
      return leaf(path, node.kind, waitLabel(node), key)
    case 'sequence':
      return contentOf(drawn, [placedIn([path, node])], key)
    case 'choose':
      return container(path, node, { title: 'choose', note: '' }, choiceOf(drawn, [path, node]), key)
    case 'group': {
      const { drawn: shown, counted } = drawnOf(node.branches.length)
      const branches = placedIn([path, node]).slice(0, shown)
      const inside = contentOf(
        drawn,
        branches.map((placed) => [placed]),
        undefined,
        {
          keys: branches.map((_, index) => keyOf(node, index)),
          ...(counted > 0 && { more: { path: `${path}/…`, text: moreLabel(counted) } }),
        },
      )
      return container(path, node, containerLabel(node), inside, key)
    }
    case 'each':
    case 'loop':
    case 'workflow':
    case 'later':
      return container(path, node, containerLabel(node), contentOf(drawn, [placedIn([path, node])], undefined), key)
    default:
      return node satisfies never
  }
}

function leaf(path: string, kind: Box['kind'], label: Label, key?: string): Picture {
  const title = cut(keyed(key, label.title), MOST_TITLE)
  const note = cut(label.note, MOST_NOTE)
  // a sign of its state stands before the title
  const width = Math.max(LEAST_LEAF, textWidth(title, TITLE) + 48, textWidth(note, NOTE) + 24)
  return {
    width,
    height: LEAF_HEIGHT,
    boxes: [{ path, kind, title, note, isContainer: false, x: 0, y: 0, width, height: LEAF_HEIGHT }],
    lines: [],
  }
}

function container(path: string, node: GraphNode, label: Label, content: Picture, key?: string): Picture {
  const title = cut(keyed(key, label.title), MOST_TITLE)
  const note = cut(label.note, MOST_NOTE)
  const head = textWidth(title, TITLE) + textWidth(note, NOTE) + 56
  const width = Math.max(LEAST_CONTAINER, head, content.width + 2 * PAD)
  const height = HEAD_HEIGHT + content.height + PAD
  const inside = shifted(content, Math.round((width - content.width) / 2), HEAD_HEIGHT)
  const box: Box = { path, kind: node.kind, title, note, isContainer: true, x: 0, y: 0, width, height }
  return { width, height, boxes: [box, ...inside.boxes], lines: inside.lines }
}

interface More {
  readonly keys?: readonly (string | undefined)[]
  readonly more?: { readonly path: string; readonly text: string }
}

/** Chains side by side, the nodes of each one after the other. @param key of the first node */
function contentOf(
  drawn: Drawn,
  chains: readonly (readonly PlacedNode[])[],
  key: string | undefined,
  { keys = [], more }: More = {},
): Picture {
  const parts: Picture[] = []
  const edges: Edge[] = []
  for (const [c, chain] of chains.entries()) {
    for (const [i, placed] of flat(chain).entries()) {
      parts.push(pictureOf(drawn, placed, i === 0 ? (keys[c] ?? key) : undefined))
      if (i > 0) edges.push({ from: parts.length - 2, to: parts.length - 1 })
    }
  }
  if (more !== undefined) parts.push(leafOfMore(more))
  return arranged(drawn, parts, edges)
}

/** A sequence in a sequence is drawn as one. */
const flat = (chain: readonly PlacedNode[]): readonly PlacedNode[] =>
  chain.flatMap((placed) => (placed[1].kind === 'sequence' ? flat(placedIn(placed)) : [placed]))

function leafOfMore({ path, text }: { readonly path: string; readonly text: string }): Picture {
  const width = textWidth(text, NOTE) + 28
  return {
    width,
    height: 26,
    boxes: [{ path, kind: 'more', title: text, note: '', isContainer: false, x: 0, y: 0, width, height: 26 }],
    lines: [],
  }
}

function choiceOf(drawn: Drawn, placed: PlacedNode): Picture {
  const [, node] = placed
  if (node.kind !== 'choose') return contentOf(drawn, [], undefined)
  const [decide, ...cases] = placedIn(placed)
  const { drawn: shown, counted } = drawnOf(cases.length)
  const parts = decide === undefined ? [] : [pictureOf(drawn, decide)]
  const edges: Edge[] = []
  for (const [i, one] of cases.slice(0, shown).entries()) {
    parts.push(pictureOf(drawn, one))
    const label = node.cases[i]?.[0]
    edges.push({ from: 0, to: parts.length - 1, ...(label !== undefined && { label: cut(label, 18) }) })
  }
  if (counted > 0) {
    parts.push(leafOfMore({ path: `${placed[0]}/…`, text: moreLabel(counted) }))
    edges.push({ from: 0, to: parts.length - 1 })
  }
  return arranged(drawn, parts, edges)
}

interface Edge {
  readonly from: number
  readonly to: number
  readonly label?: string
}

/** Parts where dagre puts them, with their edges. */
function arranged({ direction }: Drawn, parts: readonly Picture[], edges: readonly Edge[]): Picture {
  const plan = new dagre.graphlib.Graph()
  plan.setGraph({ rankdir: direction, nodesep: 14, ranksep: 40, edgesep: 10, marginx: 0, marginy: 0 })
  plan.setDefaultEdgeLabel(() => ({}))
  for (const [i, { width, height }] of parts.entries()) plan.setNode(String(i), { width, height })
  for (const { from, to, label } of edges)
    plan.setEdge(
      String(from),
      String(to),
      label === undefined ? {} : { width: textWidth(label, NOTE) + 8, height: 14, labelpos: 'c' },
    )
  dagre.layout(plan)
  const boxes: Box[] = []
  const lines: Line[] = []
  let [width, height] = [0, 0]
  for (const [i, part] of parts.entries()) {
    const { x, y } = plan.node(String(i)) as { readonly x: number; readonly y: number }
    const [left, top] = [x - part.width / 2, y - part.height / 2]
    const placed = shifted(part, left, top)
    boxes.push(...placed.boxes)
    lines.push(...placed.lines)
    width = Math.max(width, left + part.width)
    height = Math.max(height, top + part.height)
  }
  for (const { from, to, label } of edges) {
    const { points } = plan.edge(String(from), String(to)) as { readonly points: Line['points'] }
    lines.push({ from: pathOf(parts, from), to: pathOf(parts, to), points, ...(label !== undefined && { label }) })
  }
  return { width, height, boxes, lines }
}

const pathOf = (parts: readonly Picture[], i: number): string => parts[i]?.boxes[0]?.path ?? ''

/** A line as the path of an SVG, bent at its corners. */
export function smooth(points: Line['points']): string {
  const [first, ...rest] = points
  if (first === undefined) return ''
  let d = `M${n(first.x)} ${n(first.y)}`
  for (const [i, point] of rest.entries()) {
    const next = rest[i + 1]
    if (next === undefined) d += `L${n(point.x)} ${n(point.y)}`
    else d += `Q${n(point.x)} ${n(point.y)} ${n((point.x + next.x) / 2)} ${n((point.y + next.y) / 2)}`
  }
  return d
}
const n = (value: number): number => Math.round(value * 10) / 10
