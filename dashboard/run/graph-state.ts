/** What a run does at each node of its flow: counts of its groups, states of its steps, what waits. Nodes are named by their paths in the graph, with `*` for items and passes. */
import type { Graph } from '../../lib/graph/graph.js'
import { groupSegment, nodeAt, type Placed, placedIn, staticPath, stepsOf } from '../../lib/graph/locate.js'

/** The numbers of a group as the status has them. */
export const COUNTED = ['succeeded', 'failed', 'dead', 'running', 'delayed', 'ready', 'withdrawn'] as const
export type Counts = Readonly<Record<(typeof COUNTED)[number], number>>

/** What this needs of the status of a run. */
export interface RunNow {
  readonly state: string
  readonly steps: readonly { readonly path: string; readonly state: string }[]
  readonly groups: readonly (Counts & { readonly path: string; readonly state: string; readonly width: number })[]
  readonly waits: readonly { readonly path: string; readonly why: string; readonly count: number }[]
}

/** The word that a node's look says. `ahead`: nobody has come to it. */
export type NodeMark =
  | 'ahead'
  | 'waiting'
  | 'running'
  | 'succeeded'
  | 'failed'
  | 'dead'
  | 'retrying'
  | 'paused'
  | 'cancelled'

export interface NodeState {
  readonly mark: NodeMark
  /** Undefined where the node is no group: a step. */
  readonly counts: Counts | undefined
  readonly width: number
  /** Where in the run: one path, or several where items or passes have it; of very many the first. */
  readonly places: readonly string[]
  /** Something of it is at work or waits now, or of what is inside it. */
  readonly isCurrent: boolean
}

const MOST_PLACES = 500
const NONE: Counts = { succeeded: 0, failed: 0, dead: 0, running: 0, delayed: 0, ready: 0, withdrawn: 0 }

interface Found {
  counts: Record<keyof Counts, number> | undefined
  width: number
  places: Set<string>
  states: Set<string>
  waits: boolean
}

const NO_MEMBERS: ReadonlyMap<string, string> = new Map()

/** Of every node that anything is known of. @param members what became of branches, by their paths in the run, where that is known */
export function nodeStates(
  graph: Graph,
  run: RunNow,
  members: ReadonlyMap<string, string> = NO_MEMBERS,
): ReadonlyMap<string, NodeState> {
  const found = new Map<string, Found>()
  const at = (path: string): Found | undefined => {
    const known = staticPath(graph, placeOf(path))
    if (known === undefined || nodeAt(graph, known) === undefined) return undefined
    let one = found.get(known)
    if (one === undefined)
      found.set(known, (one = { counts: undefined, width: 0, places: new Set(), states: new Set(), waits: false }))
    if (one.places.size < MOST_PLACES) one.places.add(placeOf(path))
    return one
  }
  for (const step of run.steps) at(step.path)?.states.add(step.state)
  for (const group of run.groups) {
    // what a handler forked has its own place, at the task
    if (group.path.includes('/~')) continue
    const one = at(group.path)
    if (one === undefined) continue
    one.counts ??= { ...NONE }
    for (const name of COUNTED) one.counts[name] += group[name]
    one.width += group.width
    one.states.add(group.state)
  }
  for (const wait of run.waits) {
    const one = wait.path === '' ? undefined : at(wait.path)
    if (one !== undefined) one.waits = true
  }
  const isOver = run.state === 'completed' || run.state === 'failed' || run.state === 'cancelled'
  const states = new Map<string, NodeState>()
  for (const [path, one] of found) {
    const mark = markOf(one, isOver)
    const isCurrent = !isOver && (mark === 'running' || mark === 'waiting' || mark === 'retrying')
    states.set(path, { mark, counts: one.counts, width: one.width, places: [...one.places], isCurrent })
  }
  for (const [path, status] of members) {
    const known = staticPath(graph, path)
    // an item of an each is one of many: its node shows what all of them do
    if (known === undefined || known !== path || states.has(known)) continue
    const mark = MARK_OF_STATUS[status] ?? 'succeeded'
    states.set(known, { mark, counts: undefined, width: 0, places: [path], isCurrent: mark === 'running' && !isOver })
  }
  fillAbove(states)
  fillBelow(graph, states)
  fillPassed(graph, states)
  fillBelow(graph, states, ({ counts, mark }) => counts === undefined && mark === 'succeeded' && isOver)
  return states
}

/** The place in the flow of a path of a run: `1/0/~1` is a wait or a fork of the handler at `1/0`, `1/+1` a detour from `1`. */
const placeOf = (path: string): string => path.replace(/\/[~+!].*$/, '')

function markOf({ counts, states, waits }: Found, isOver: boolean): NodeMark {
  if (counts !== undefined) return markOfCounts(counts, states.has('open') && !isOver, waits)
  const order: readonly (readonly [string, NodeMark])[] = [
    ['running', 'running'],
    ['retrying', 'retrying'],
    ['failed', 'failed'],
    ['interrupted', 'cancelled'],
    ['cancelled', 'cancelled'],
    ['skipped', 'cancelled'],
    ['succeeded', 'succeeded'],
  ]
  if (waits && !isOver) return 'waiting'
  return order.find(([state]) => states.has(state))?.[1] ?? 'waiting'
}

function markOfCounts(counts: Counts, isOpen: boolean, waits: boolean): NodeMark {
  if (isOpen) {
    if (counts.running > 0) return 'running'
    if (counts.delayed > 0 && !waits) return 'retrying'
    return 'waiting'
  }
  if (counts.dead > 0) return 'dead'
  if (counts.failed > 0) return 'failed'
  return counts.withdrawn > 0 && counts.succeeded === 0 ? 'cancelled' : 'succeeded'
}

const MARK_OF_STATUS: Readonly<Record<string, NodeMark>> = {
  running: 'running',
  failed: 'failed',
  dead: 'dead',
  cancelled: 'cancelled',
  skipped: 'cancelled',
}

const isCounted = ({ counts }: NodeState): boolean => counts !== undefined

/** What stands inside branches does what the group does, where nothing else is known of it. @param isMeant the groups of which this is so */
function fillBelow(graph: Graph, states: Map<string, NodeState>, isMeant = isCounted): void {
  for (const [path, state] of [...states]) {
    const node = nodeAt(graph, path)
    if (node?.kind !== 'each' && node?.kind !== 'group') continue
    const isKnown = node.kind === 'each' || state.mark === 'succeeded' || state.mark === 'running'
    const mark: NodeMark = isKnown ? state.mark : 'cancelled'
    for (const [inner] of placedBelow([path, node]))
      if (!states.has(inner) && isMeant(state))
        states.set(inner, { mark, counts: undefined, width: 0, places: [], isCurrent: state.isCurrent })
  }
}

/** What leaves nothing behind, such as a wait that was answered, is over once something after it was come to. */
function fillPassed(graph: Graph, states: Map<string, NodeState>): void {
  const chain = (steps: readonly Placed[]): void => {
    const last = steps.findLastIndex(([path]) => states.has(path))
    for (const [i, placed] of steps.entries()) {
      const [path, node] = placed
      if (i < last && !states.has(path))
        states.set(path, { mark: 'succeeded', counts: undefined, width: 0, places: [path], isCurrent: false })
      if (node.kind === 'sequence') chain(placedIn(placed))
      else for (const inner of placedIn(placed)) if (inner[1].kind === 'sequence') chain(placedIn(inner))
    }
  }
  chain(stepsOf(graph).map((node, index): Placed => [String(index), node]))
}

function* placedBelow(placed: Placed): Generator<Placed> {
  for (const inner of placedIn(placed)) {
    yield inner
    // a case of a choice may never be chosen
    if (inner[1].kind !== 'choose') yield* placedBelow(inner)
  }
}

/** What lies around something current is current, and has been come to. */
function fillAbove(states: Map<string, NodeState>): void {
  for (const [path, state] of [...states]) {
    for (let cut = path.lastIndexOf('/'); cut > 0; cut = path.lastIndexOf('/', cut - 1)) {
      const above = path.slice(0, cut)
      const known = states.get(above)
      if (known === undefined) states.set(above, { ...state, counts: undefined, width: 0, places: [] })
      else if (state.isCurrent && !known.isCurrent) states.set(above, { ...known, isCurrent: true })
    }
  }
}

/** The path in the run of a branch of a group: its number, or its key; the group's own where it is a single step that was dispatched. */
export function branchPath(graph: Graph | undefined, group: string, index: number): string {
  const known = graph === undefined ? undefined : staticPath(graph, placeOf(group))
  const node = graph === undefined || known === undefined ? undefined : nodeAt(graph, known)
  if (node?.kind === 'group') return `${group}/${groupSegment(node, index)}`
  return node?.kind === 'each' || node === undefined ? `${group}/${index}` : group
}
