/**
 * Where a node's work may run: here, where its driver is, or dispatched to workers with a certain queue and capabilities. One rule for
 * the driver that dispatches and for the worker that receives.
 */
import { LABELS_CAPABILITY, LAYOUT_CAPABILITY } from '../backend/reserved.js'
import type { TaskOptions } from '../flow/node-options.js'
import type { Graph, GraphNode } from '../graph/graph.js'
import { childrenOf, stepsOf } from '../graph/locate.js'
import { DEFAULT_QUEUE, TASK_DEFAULTS } from '../options.js'

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
function routingOfTask(options: TaskOptions | undefined): Routing {
  if (options === undefined || !isRouted(options)) return ANYWHERE
  return {
    queue: options.queue ?? DEFAULT_QUEUE,
    requires: [...(options.requires ?? [])].sort(),
    affinity: options.affinity,
  }
}

const isSameRouting = (a: Routing, b: Routing): boolean =>
  a.queue === b.queue &&
  a.affinity === b.affinity &&
  a.requires.length === b.requires.length &&
  a.requires.every((c, i) => c === b.requires[i])

/** Of a branch: its task's, if it is one task; a chain goes anywhere, and its routed steps are dispatched from there. */
const routingOfBranch = (graph: Graph, branch: GraphNode): Routing =>
  branch.kind === 'task' ? routingOfTask(graph.tasks[branch.name]) : ANYWHERE

/** Where a group waits, and whether all its branches asked for the same. */
export interface GroupRouting extends Routing {
  readonly isUniform: boolean
  /** Nothing says in which queue it waits: of a run that has a queue of its own, it is that. */
  readonly isAnyQueue: boolean
}

/**
 * Of a group: what all its branches ask for. Where they differ, the group goes anywhere, and a branch that asks for more is dispatched
 * once more, by the worker that acquired it, as a group of one. A `queue` of the group itself is where it waits in either case.
 */
export function routingOfGroup(graph: Graph, branches: readonly GraphNode[], queue?: string): GroupRouting {
  const [first, ...rest] = branches
  const common = first === undefined ? ANYWHERE : routingOfBranch(graph, first)
  const isUniform = rest.every((branch) => isSameRouting(routingOfBranch(graph, branch), common))
  const { queue: own, requires, affinity } = isUniform ? common : ANYWHERE
  const isNamed = (branch: GraphNode): boolean =>
    branch.kind === 'task' && graph.tasks[branch.name]?.queue !== undefined
  const isAnyQueue = queue === undefined && !(isUniform && branches.some(isNamed))
  return { queue: queue ?? own, requires, affinity, isUniform, isAnyQueue }
}

/** Whether a task that is a branch of the group runs where the group is acquired; else it is forwarded. */
export function runsWithGroup(options: TaskOptions | undefined, group: GroupRouting): boolean {
  return group.isUniform || options === undefined || !isRouted(options) || isSameRouting(routingOfTask(options), group)
}

/** What a worker must have to read the graph: releases before graphs of its version leave these to others. */
export const layoutFor = ({ version }: Graph): readonly string[] =>
  version === 1 ? NONE : version === 2 ? NEEDS_LAYOUT : NEEDS_LABELS

const NONE: readonly string[] = Object.freeze([])
const NEEDS_LAYOUT: readonly string[] = Object.freeze([LAYOUT_CAPABILITY])
const NEEDS_LABELS: readonly string[] = Object.freeze([LABELS_CAPABILITY])

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
    case 'later':
      if (node.due !== undefined) tasksInPlace(graph, node.due, into)
      return tasksInPlace(graph, node.body, into)
    case 'wait':
    case 'group':
    case 'each':
      return into
    default:
      return node satisfies never
  }
}

/** What join policies and schemas of waits are called among the names of code that a worker knows; no task has a colon in its name. */
const POLICY = 'policy:'
const WAIT = 'wait:'
export const policyCode = (name: string): string => `${POLICY}${name}`
export const waitCode = (name: string): string => `${WAIT}${name}`

/** Whether a name of code is that of a task. */
export const isTask = (code: string): boolean => !code.includes(':')

/** The policy that a name of code is of; undefined for any other. */
export const policyOfCode = (code: string): string | undefined =>
  code.startsWith(POLICY) ? code.slice(POLICY.length) : undefined

/** The signal whose schema a name of code is; undefined for any other. */
export const waitOfCode = (code: string): string | undefined =>
  code.startsWith(WAIT) ? code.slice(WAIT.length) : undefined

/** A name of code, for messages. */
export const describeCode = (code: string): string =>
  isTask(code)
    ? code
    : code.startsWith(WAIT)
      ? `the schema of signal ${code.slice(WAIT.length)}`
      : `join policy ${code.slice(POLICY.length)}`

/** Names of the code beside tasks that whoever runs the node needs: policies of its joins, and schemas of its waits. */
function otherCodeInPlace(node: GraphNode, into: Set<string>): void {
  if (node.kind === 'wait' && node.isChecked) into.add(waitCode(node.name))
  else if (node.kind !== 'group' && node.kind !== 'each')
    for (const [, inner] of childrenOf(node)) otherCodeInPlace(inner, into)
  else if (node.join.kind === 'policy') into.add(policyCode(node.join.name))
}

/**
 * The same of a branch. Policies of a flow that a handler brought are left to whoever takes it: the process of the handler has them, and need not
 * export them.
 */
export function codeOfBranch(branch: GraphNode, isBrought: boolean): string[] {
  const names = new Set<string>()
  otherCodeInPlace(branch, names)
  return isBrought ? [...names].filter((name) => name.startsWith(WAIT)) : [...names]
}

const codeFroms = new WeakMap<Graph, Map<number, readonly string[]>>()

/** Names of the code that a driver of a run needs from a step of its graph on: tasks that it runs itself, policies, schemas of waits. Sorted; found once. */
export function codeFrom(graph: Graph, step: number): readonly string[] {
  let known = codeFroms.get(graph)
  if (known === undefined) codeFroms.set(graph, (known = new Map<number, readonly string[]>()))
  let names = known.get(step)
  if (names === undefined) {
    const code = new Set<string>()
    for (const node of stepsOf(graph).slice(step)) {
      tasksInPlace(graph, node, code)
      otherCodeInPlace(node, code)
    }
    known.set(step, (names = [...code].sort()))
  }
  return names
}

const repeatedWaits = new WeakMap<Graph, ReadonlySet<string>>()

/** Whether a run may wait for this signal more than once: in a loop, or at several places. Found once a graph. */
export function isRepeatedWait(graph: Graph, name: string): boolean {
  let repeated = repeatedWaits.get(graph)
  if (repeated === undefined) {
    const [seen, found] = [new Set<string>(), new Set<string>()]
    const look = (node: GraphNode, isInLoop: boolean): void => {
      if (node.kind === 'wait') (isInLoop || seen.has(node.name) ? found : seen).add(node.name)
      for (const [, inner] of childrenOf(node)) look(inner, isInLoop || node.kind === 'loop')
    }
    look(graph.root, false)
    repeatedWaits.set(graph, (repeated = found))
  }
  return repeated.has(name)
}

/** The highest priority that one of these tasks asks for: of what waits for a worker that starts them. */
export const highestPriority = (graph: Graph, tasks: readonly string[]): number =>
  tasks.length === 0
    ? TASK_DEFAULTS.priority
    : Math.max(...tasks.map((task) => graph.tasks[task]?.priority ?? TASK_DEFAULTS.priority))

/** Whether none of them asks for one. */
export const isAnyPriority = (graph: Graph, tasks: readonly string[]): boolean =>
  tasks.every((task) => graph.tasks[task]?.priority === undefined)
