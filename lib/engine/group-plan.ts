/**
 * From a group's node and its input to what is dispatched: the spec, the packed inputs, and how its members are called.
 *
 * The file is long because both kinds of groups and single nodes are planned here from the same parts: terms, names, spec, inputs.
 */
import { named } from '../values/item-label.js'
import { itemsIn, packedOf, PackedValue, unpacked } from '../values/packed-arrays.js'
import { byteLength, itemCount, type PackedItems, packOne, slice } from '../values/packed-items.js'
import type { GroupSpec, ReleaseRule, RunTerms } from '../backend/backend.js'
import { MOST_ENDING } from '../backend/kept.js'
import { together } from '../backend/reserved.js'
import { describe } from '../describe.js'
import { GraflowError } from '../errors.js'
import type { TaskOptions } from '../flow/node-options.js'
import type { EachNode, Graph, GraphJoin, GraphNode, GroupNode } from '../graph/graph.js'
import { groupSegment } from '../graph/locate.js'
import { tooLarge } from '../values/codec.js'
import { labelsOfItems, type LabelOf } from './branch-labels.js'
import { runPathOf, type GraphInUse } from './execution.js'
import { type Limits, RETRY_DEFAULTS, TASK_DEFAULTS } from '../options.js'
import { ValueWriter } from '../values/value-lists.js'
import {
  codeOfBranch,
  highestPriority,
  isAnyPriority,
  layoutFor,
  routingOfGroup,
  runsWithGroup,
  tasksInPlace,
  type GroupRouting,
} from './routing.js'

/** A group that is about to be dispatched. */
export interface GroupPlan {
  readonly spec: GroupSpec
  /** In the run. */
  readonly path: string
  readonly label: string
  readonly name: string | undefined
  readonly join: GraphJoin
  readonly keys: readonly string[] | undefined
  readonly memberOf: (index: number) => string
  /** Where a branch stands in the run. */
  readonly pathOf: (index: number) => string
  /** Of an each that labels its branches: what people call them by. */
  readonly labelOf?: LabelOf
  /** Tasks that a branch may need where it runs; worked out at each call. */
  readonly tasksOf: (index: number) => readonly string[]
  readonly timeoutMs: number | undefined
  /** It was closed before the run was retried, and is opened again. */
  readonly isReopened?: boolean
  /** Branches that are not to start, by index: what they would get does not fit the declaration of their task. */
  readonly refused?: readonly Refused[]
  /** Inputs from item `from` on, as many as one call takes; a shared input is one item. */
  inputsFrom(from: number): PackedItems
}

/** A branch that is not to start. */
export interface Refused {
  readonly index: number
  /** What events call it. */
  readonly label: string
  readonly error: GraflowError
}

/** Who dispatches. */
export interface Dispatcher {
  readonly runId: string
  /** Groups above the new one. */
  readonly depth: number
  /** Reserved capabilities that whatever is dispatched requires; absent: none. */
  readonly requires?: readonly string[]
  /** What the start of the run asked for all of its work. */
  readonly run?: RunTerms
  readonly limits: Limits
  readonly itemsPerCall: number
  readonly bytesPerCall: number
}

const ruleOf = (join: GraphJoin, onFailure: 'cancel' | 'wait' | undefined): ReleaseRule =>
  join.kind === 'strict' && onFailure !== 'wait' ? 'first-failure' : join.kind === 'first' ? 'first-success' : 'all'

/** What a group asks of its workers and allows them: the same for every dispatch of its node. */
type Terms = Pick<
  GroupSpec,
  'attempts' | 'maxLosses' | 'timeoutMs' | 'priority' | 'queue' | 'requires' | 'affinity' | 'tasks'
> & {
  readonly isOneTask: boolean
  /** Nothing of the flow says so: what the run asks for holds. */
  readonly isAnyQueue: boolean
  readonly isAnyPriority: boolean
}

type KnownTerms = WeakMap<Graph, WeakMap<GraphNode, Terms>>
/** Of the flows of runs, and of those that handlers brought. */
const [ofRuns, brought]: readonly [KnownTerms, KnownTerms] = [new WeakMap(), new WeakMap()]

/** Worked out once a node and graph; for a `par` of many branches that is most of its planning. */
function termsOf(graph: Graph, node: GraphNode, isBrought: boolean, workOut: () => Terms): Terms {
  const terms = isBrought ? brought : ofRuns
  let known = terms.get(graph)
  if (known === undefined) terms.set(graph, (known = new WeakMap()))
  let found = known.get(node)
  if (found === undefined) known.set(node, (found = workOut()))
  return found
}

/** What the branches, taken together, ask for: the most of each, since each branch's own worker holds it to its own. */
function termsFor(graph: Graph, branches: readonly GraphNode[], routing: GroupRouting, isBrought: boolean): Terms {
  const options = branches.map(
    (branch): TaskOptions => (branch.kind === 'task' ? (graph.tasks[branch.name] ?? {}) : {}),
  )
  const most = (pick: (option: TaskOptions) => number): number =>
    options.reduce((max, option) => Math.max(max, pick(option)), Number.NEGATIVE_INFINITY)
  const started = branches.flatMap((branch) => tasksOfBranch(graph, branch))
  return {
    attempts: most((option) => option.retry?.attempts ?? RETRY_DEFAULTS.attempts),
    maxLosses: most((option) => option.maxLosses ?? TASK_DEFAULTS.maxLosses),
    // A branch of several tasks has no deadline of its own: its tasks have theirs.
    timeoutMs: options.every((option) => option.timeoutMs !== undefined) ? most((option) => option.timeoutMs ?? 0) : 0,
    priority: highestPriority(graph, started),
    isAnyPriority: isAnyPriority(graph, started),
    queue: routing.queue,
    isAnyQueue: routing.isAnyQueue,
    requires: routing.requires,
    ...(routing.affinity !== undefined && { affinity: routing.affinity }),
    tasks: needs(graph, branches, routing, isBrought),
    isOneTask: branches.every((branch) => branch.kind === 'task' && runsWithGroup(graph.tasks[branch.name], routing)),
  }
}

function needs(graph: Graph, branches: readonly GraphNode[], routing: GroupRouting, isBrought: boolean): string[] {
  const names = new Set<string>()
  for (const branch of branches) {
    if (branch.kind !== 'task') {
      tasksInPlace(graph, branch, names)
      for (const code of codeOfBranch(branch, isBrought)) names.add(code)
    } else if (runsWithGroup(graph.tasks[branch.name], routing)) names.add(branch.name)
  }
  return [...names].sort()
}

const tasksOfBranch = (graph: Graph, branch: GraphNode | undefined): readonly string[] =>
  branch === undefined ? [] : branch.kind === 'task' ? [branch.name] : [...tasksInPlace(graph, branch)]

const memberName = (branch: GraphNode, fallback: string): string => ('name' in branch ? branch.name : fallback)

/** How messages call a group and its members. */
export function namesOf(
  node: GroupNode | EachNode,
  path: string,
): Pick<GroupPlan, 'label' | 'name' | 'keys' | 'memberOf' | 'pathOf'> {
  const { name } = node.options
  return {
    label: name === undefined ? `at ${path}` : `"${name}" (at ${path})`,
    name,
    keys: node.kind === 'group' ? node.keys : undefined,
    memberOf: (index) =>
      node.kind === 'each'
        ? `${memberName(node.body, 'item')}[${index}]`
        : (node.keys?.[index] ?? memberName(node.branches[index] ?? node, `branch ${groupSegment(node, index)}`)),
    pathOf: (index) => `${path}/${node.kind === 'each' ? index : groupSegment(node, index)}`,
  }
}

/** What a `par` or `each` asks of its workers and allows them. */
export const termsOfGroup = (graph: Graph, node: GroupNode | EachNode, isBrought: boolean): Terms =>
  termsOf(graph, node, isBrought, () => {
    const kinds = distinct(node.kind === 'each' ? [node.body] : node.branches)
    return termsFor(graph, kinds, routingOfGroup(graph, kinds, node.options.queue), isBrought)
  })

const distinct = (branches: readonly GraphNode[]): readonly GraphNode[] => [...new Set(branches)]

function checkDepth({ depth, limits: { nesting } }: Dispatcher, path: string): void {
  if (depth <= nesting) return
  throw new GraflowError(
    'LIMIT_EXCEEDED',
    `groups may be nested ${nesting} deep, the one at ${path} is number ${depth}: end the recursion, or raise limits.nesting`,
    { details: { path, nesting } },
  )
}

const isPacked = (items: readonly unknown[] | PackedItems | undefined): items is PackedItems =>
  items !== undefined && !Array.isArray(items)

/** The items of an `each`, as values or packed. */
function itemsOf(given: unknown, path: string): readonly unknown[] | PackedItems {
  const cut = given instanceof PackedValue ? itemsIn(given) : undefined
  if (cut !== undefined) return cut
  const input = unpacked(given)
  if (Array.isArray(input)) return input as readonly unknown[]
  throw new GraflowError('NOT_AN_ARRAY', `the each at ${path} takes an array, got ${describe(input)}`, {
    details: { path },
  })
}

function checkSize({ limits: { branches: limit } }: Dispatcher, branches: number, path: string): void {
  if (branches <= limit) return
  throw new GraflowError(
    'LIMIT_EXCEEDED',
    `a group has at most ${limit} branches, the one at ${path} would have ${branches}: send several items a branch, or raise limits.branches`,
    { details: { path, branches, limit, option: 'limits.branches' } },
  )
}

/**
 * A `par` or `each` with its input.
 * @param isLast nothing follows it in its run: its result is that of the run
 * @throws GraflowError NOT_AN_ARRAY, LIMIT_EXCEEDED, NOT_SERIALISABLE
 */
export function planGroup(
  by: Dispatcher,
  use: GraphInUse,
  node: GroupNode | EachNode,
  path: string,
  staticPath: string,
  input: unknown,
  isLast = false,
): GroupPlan {
  const runPath = runPathOf(use, path)
  checkDepth(by, runPath)
  const items = node.kind === 'each' ? itemsOf(input, runPath) : undefined
  const size = node.kind !== 'each' ? node.branches.length : isPacked(items) ? itemCount(items) : (items?.length ?? 0)
  checkSize(by, size, runPath)
  const { sharedInputBytes } = by.limits
  const labelOf = node.kind === 'each' && items !== undefined ? labelsOfItems(node, items) : undefined
  const shared =
    items === undefined
      ? packOne(packedOf(input, `the input of the group at ${runPath}`, sharedInputBytes, 'sharedInputBytes'))
      : undefined
  return {
    spec: specOf(by, use, runPath, staticPath, size, {
      shared: items === undefined,
      rule: ruleOf(node.join, node.options.onFailure),
      limit: node.options.concurrency ?? 0,
      terms: termsOfGroup(use.graph, node, use.base !== ''),
      endsRun:
        isLast &&
        size <= MOST_ENDING &&
        node.join.kind === 'strict' &&
        (node.kind === 'each' || node.keys === undefined),
    }),
    path: runPath,
    ...namesOf(node, runPath),
    ...(labelOf !== undefined && { labelOf }),
    join: node.join,
    tasksOf: (index) => tasksOfBranch(use.graph, node.kind === 'each' ? node.body : node.branches[index]),
    timeoutMs: node.options.timeoutMs,
    inputsFrom: (from) =>
      shared ??
      (isPacked(items)
        ? cutItems(items, from, runPath, by, labelOf)
        : packItems(items ?? [], from, runPath, by, labelOf)),
  }
}

/**
 * One node dispatched by itself, as a group of one: a routed step of a sequence, or what a handler forks. `staticPath` `''` is a whole graph.
 * @param queue where it waits, if not where its own options say
 * @param isForwarded whether it is a branch of the group above it
 */
export function planOne(
  by: Dispatcher,
  use: GraphInUse,
  node: GraphNode,
  path: string,
  staticPath: string,
  input: unknown,
  queue?: string,
  isForwarded = false,
): GroupPlan {
  const runPath = runPathOf(use, path)
  checkDepth(by, runPath)
  const isBrought = use.base !== ''
  const terms = (): Terms => termsFor(use.graph, [node], routingOfGroup(use.graph, [node], queue), isBrought)
  const packed = packOne(packedOf(input, `the input at ${runPath}`, by.limits.itemBytes, 'itemBytes'))
  return {
    spec: specOf(by, use, runPath, staticPath, 1, {
      shared: true,
      rule: 'all',
      limit: 0,
      terms: queue === undefined ? termsOf(use.graph, node, isBrought, terms) : terms(),
      endsRun: false,
      isForwarded,
    }),
    path: runPath,
    label: `at ${runPath}`,
    name: undefined,
    join: { kind: 'strict' },
    keys: undefined,
    memberOf: () => memberName(node, node.kind),
    pathOf: () => runPath,
    tasksOf: () => tasksOfBranch(use.graph, node),
    timeoutMs: undefined,
    inputsFrom: () => packed,
  }
}

/** Field by field: the store keeps a spec with every group, and spread objects each have a shape of their own. */
function specOf(
  by: Dispatcher,
  use: GraphInUse,
  path: string,
  staticPath: string,
  size: number,
  {
    shared,
    rule,
    limit,
    endsRun,
    isForwarded = false,
    terms: {
      attempts,
      maxLosses,
      timeoutMs,
      priority,
      queue,
      requires: own,
      affinity,
      tasks,
      isOneTask,
      isAnyQueue,
      isAnyPriority,
    },
  }: Pick<GroupSpec, 'shared' | 'rule' | 'limit'> & {
    readonly terms: Terms
    readonly endsRun: boolean
    readonly isForwarded?: boolean
  },
): GroupSpec {
  const requires = together(own, together(by.requires ?? [], layoutFor(use.graph)))
  const spec: GroupSpec = {
    gid: `${by.runId}/${path}`,
    runId: by.runId,
    graph: use.hash,
    node: staticPath,
    digest: `${use.hash}/${staticPath}/${size}`,
    size,
    shared,
    rule,
    queue,
    requires,
    tasks,
    isOneTask: isOneTask || undefined,
    endsRun: endsRun || undefined,
    isForwarded: isForwarded || undefined,
    priority,
    depth: by.depth,
    limit,
    attempts,
    maxLosses,
    timeoutMs,
  }
  const { item } = use
  const { run } = by
  if (affinity === undefined && item === undefined && run === undefined) return spec
  return {
    ...spec,
    ...(affinity !== undefined && { affinity }),
    ...(item !== undefined && { item }),
    ...(run !== undefined && { run }),
    ...(isAnyQueue && run?.queue !== undefined && { queue: run.queue }),
    ...(isAnyPriority && run?.priority !== undefined && { priority: run.priority }),
  }
}

/** As many as `packItems` gives, of which nothing is unpacked. */
function cutItems(
  items: PackedItems,
  from: number,
  path: string,
  by: Dispatcher,
  labelOf: LabelOf | undefined,
): PackedItems {
  const most = Math.min(itemCount(items), from + by.itemsPerCall)
  let to = from
  for (; to < most; to += 1) {
    const bytes = byteLength(items, to, to + 1)
    if (bytes > by.limits.itemBytes) throw tooLargeItem(itemName(to, labelOf), path, bytes, by)
    if (to > from && byteLength(items, from, to + 1) > by.bytesPerCall) break
  }
  return slice(items, from, to)
}

/** How messages call an item. */
const itemName = (i: number, labelOf: LabelOf | undefined): string => named(`item ${i}`, labelOf?.(i))

const tooLargeItem = (name: string, path: string, bytes: number, { limits }: Dispatcher): GraflowError =>
  tooLarge(`${name} of the each at ${path}`, bytes, limits.itemBytes, 'itemBytes')

function packItems(
  items: readonly unknown[],
  from: number,
  path: string,
  by: Dispatcher,
  labelOf: LabelOf | undefined,
): PackedItems {
  const writer = new ValueWriter()
  for (let i = from; i < items.length && writer.length < by.itemsPerCall; i += 1) {
    const bytes = packItem(writer, items, i, path, by.limits.itemBytes, labelOf)
    if (bytes > by.limits.itemBytes) throw tooLargeItem(itemName(i, labelOf), path, bytes, by)
    if (writer.length > 1 && writer.byteLength > by.bytesPerCall) {
      writer.drop()
      break
    }
  }
  return writer.take()
}

function packItem(
  writer: ValueWriter,
  items: readonly unknown[],
  i: number,
  path: string,
  maxBytes: number,
  labelOf: LabelOf | undefined,
): number {
  try {
    return writer.encode(items[i], maxBytes)
  } catch (error) {
    if (!(error instanceof GraflowError) || error.code !== 'NOT_SERIALISABLE') throw error
    throw new GraflowError('NOT_SERIALISABLE', `${itemName(i, labelOf)} of the each at ${path}: ${error.message}`, {
      details: { ...error.details, item: i },
    })
  }
}
