/** The words of a drawing, the same in Mermaid and SVG: what a node is called, and what its options ask for. */
import type { GroupOptions, RetryOptions, TaskOptions, WorkflowOptions } from '../flow/node-options.js'
import type {
  EachNode,
  Graph,
  GraphNode,
  GroupNode,
  LaterNode,
  LoopNode,
  TaskNode,
  WaitNode,
  WorkflowNode,
} from './graph.js'

/** A group or choose with more than these is drawn as its first few and a count. */
const MOST_DRAWN = 30
const DRAWN_OF_MANY = 6

/** What is said of a node: its name or kind (empty for a group without a name), and a line about its options, empty if there are none. */
export interface Label {
  readonly title: string
  readonly note: string
}

export function taskLabel(graph: Graph, node: TaskNode): Label {
  return { title: node.name, note: taskNote(graph.tasks[node.name] ?? {}) }
}

export function waitLabel({ name, options }: WaitNode): Label {
  const { timeoutMs, onTimeout } = options
  const past = onTimeout === undefined ? 'timeout' : 'goes on after'
  return {
    title: name,
    note: listed('waits for a signal', timeoutMs !== undefined && `${past} ${duration(timeoutMs)}`),
  }
}

/** Of a node that is drawn as a container around others. */
export function containerLabel(node: GroupNode | EachNode | LoopNode | WorkflowNode | LaterNode): Label {
  switch (node.kind) {
    case 'group':
      return {
        title: node.options.name ?? '',
        note: listed(joinNote(node, node.branches.length), groupNote(node.options)),
      }
    case 'each':
      return {
        title: node.options.name ?? 'each',
        note: listed(node.options.name !== undefined && 'each', joinNote(node), groupNote(node.options)),
      }
    case 'loop':
      return { title: 'loop', note: `at most ${counted(node.maxCycles, 'pass', 'passes')}` }
    case 'workflow':
      return { title: node.name, note: listed('workflow', workflowNote(node.options)) }
    case 'later':
      return { title: 'later', note: node.ms === undefined ? '' : `after ${duration(node.ms)}` }
  }
}

/** How many of so many parts are drawn, and how many are only counted. */
export function drawnOf(count: number): { readonly drawn: number; readonly counted: number } {
  const drawn = count > MOST_DRAWN ? DRAWN_OF_MANY : count
  return { drawn, counted: count - drawn }
}

/** Says that so many were left out: `… and 994 more`. */
export function moreLabel(count: number): string {
  return `… and ${grouped(count)} more`
}

/** The key of a branch before what stands in it. */
export function keyed(key: string | undefined, title: string): string {
  if (key === undefined || key === title) return title
  return title === '' ? key : `${key}: ${title}`
}

/** The key of branch `index`, where a group has keys. */
export function keyOf(node: GraphNode, index: number): string | undefined {
  return node.kind === 'group' ? node.keys?.[index] : undefined
}

function joinNote({ join, options }: GroupNode | EachNode, of?: number): string {
  const suffix = of === undefined ? '' : ` of ${grouped(of)}`
  switch (join.kind) {
    case 'strict':
      return options.onFailure === 'wait' ? `all${suffix}, the others finish` : `all${suffix}`
    case 'settled':
      return `settled${suffix}`
    case 'atLeast':
      return `at least ${grouped(join.count)}${suffix}`
    case 'critical':
      return `critical: ${join.members.join(', ')}`
    case 'first':
      return `first${suffix}`
    case 'policy':
      return `join: ${join.name}`
  }
}

function groupNote({ timeoutMs, queue, concurrency }: GroupOptions): string {
  return listed(
    timeoutMs !== undefined && `timeout ${duration(timeoutMs)}`,
    queue !== undefined && `queue ${queue}`,
    concurrency !== undefined && `${grouped(concurrency)} at once`,
  )
}

function workflowNote({ timeoutMs }: WorkflowOptions): string {
  return listed(timeoutMs !== undefined && `timeout ${duration(timeoutMs)}`)
}

function taskNote({
  retry,
  timeoutMs,
  maxLosses,
  maxCycles,
  queue,
  requires,
  affinity,
  priority,
  isolation,
}: TaskOptions): string {
  return listed(
    retry !== undefined && retryNote(retry),
    timeoutMs !== undefined && `timeout ${duration(timeoutMs)}`,
    queue !== undefined && `queue ${queue}`,
    requires !== undefined && requires.length > 0 && `needs ${requires.join(', ')}`,
    affinity !== undefined && `prefers ${affinity}`,
    priority !== undefined && `priority ${priority}`,
    isolation === 'thread' && 'thread',
    maxLosses !== undefined && `at most ${counted(maxLosses, 'loss', 'losses')}`,
    maxCycles !== undefined && `at most ${counted(maxCycles, 'pass', 'passes')}`,
  )
}

function retryNote({ attempts, delayMs }: RetryOptions): string {
  return listed(
    attempts !== undefined && counted(attempts, 'attempt', 'attempts'),
    delayMs !== undefined && delayMs > 0 && `delay ${duration(delayMs)}`,
  )
}

function listed(...parts: readonly (string | false)[]): string {
  return parts.filter((part) => part !== false && part !== '').join(' · ')
}

function counted(count: number, one: string, many: string): string {
  return `${grouped(count)} ${count === 1 ? one : many}`
}

/** 10000 as `10 000`; by hand, since what a locale says differs between machines. */
function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, '\u202f')
}

function duration(ms: number): string {
  for (const [unit, size] of [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['min', 60_000],
    ['s', 1_000],
  ] as const) {
    if (ms >= size && ms % (size / 10) === 0) return `${ms / size} ${unit}`
  }
  return `${grouped(ms)} ms`
}
