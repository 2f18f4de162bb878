/**
 * A grant as the engine starts it: the graph behind it, its inputs, and where each of its branches stands. There is one of these for
 * many branches, so what they share is worked out here once, and paths only when they are read.
 */
import type { Grant, GroupSpec, Holder, RunTerms } from '../backend/backend.js'
import { reservedIn } from '../backend/reserved.js'
import { GraflowError } from '../errors.js'
import type { TaskExpression } from '../flow/expression.js'
import type { TaskOptions } from '../flow/node-options.js'
import type { Graph, GraphNode } from '../graph/graph.js'
import { groupSegment, nodeAt, stepsOf } from '../graph/locate.js'
import { labelKeyOf } from './branch-labels.js'
import { runPathOf, type ExecutionFacts, type GraphInUse } from './execution.js'
import { labelIn } from '../values/item-label.js'
import { PackedValue } from '../values/packed-arrays.js'
import { ValueReader } from '../values/value-lists.js'
import { isRouted, routingOfGroup, runsWithGroup, type GroupRouting } from './routing.js'
import type { Code } from './registry.js'
import { hasOtherTerms, NO_OPTIONS, optionsOf, reportsFrom } from './task-terms.js'

/** A task that runs where its branch was acquired, without the interpreter. */
export interface DirectTask {
  readonly name: string
  readonly options: TaskOptions
  /** It was dispatched by itself, as a step of what another process goes on with. */
  readonly isStep: boolean
  /** Undefined where this process does not know the task. */
  readonly definition: TaskExpression | undefined
  /** From how many losses on a start must be reported to the store. */
  readonly reportsFrom: number
  /** The dispatching process left options to this one, so that its group has other terms. */
  readonly hasOwnTerms: boolean
}

/** A grant, ready to start its branches. */
export class PreparedGrant {
  readonly grant: Grant
  readonly use: GraphInUse
  /** The group's node; undefined when the branch is a whole graph. */
  readonly node: GraphNode | undefined
  /** The group's path in its graph, as in this run. */
  readonly path: string
  readonly workerId: string
  /** What every group requires that its branches dispatch. */
  readonly requires: readonly string[]
  readonly #hasOthers: boolean
  readonly #inputs: ValueReader
  #routing: GroupRouting | undefined
  #last: { readonly node: GraphNode | undefined; readonly task: DirectTask | undefined } | undefined

  /**
   * @param hasOthers whether there are other workers, which may know what this one does not
   * @throws GraflowError INTEGRITY when the graph has no such group
   */
  constructor(grant: Grant, graph: Graph, codeAt: (base: string) => Code, workerId: string, hasOthers: boolean) {
    const { spec } = grant
    this.grant = grant
    this.workerId = workerId
    this.requires = reservedIn(spec.requires)
    this.#hasOthers = hasOthers
    this.#inputs = new ValueReader(grant.inputs)
    const runPath = spec.gid === spec.runId ? '' : spec.gid.slice(spec.runId.length + 1)
    this.node = spec.node === '' ? undefined : nodeAt(graph, spec.node)
    if (this.node === undefined && spec.node !== '') {
      throw new GraflowError('INTEGRITY', `graph ${spec.graph} has nothing at ${spec.node}`, {
        details: { graph: spec.graph, path: spec.node },
      })
    }
    const { base, path } = this.node === undefined ? { base: runPath, path: '' } : split(runPath, spec)
    const { item } = spec
    this.use = { hash: spec.graph, graph, code: codeAt(base), base, ...(item !== undefined && { item }) }
    this.path = path
  }

  /** Branch k of the grant. */
  branch(k: number): PreparedBranch {
    return new PreparedBranch(this, k)
  }

  /** Whether branch k is a task for other workers than those of its group: all it does is to dispatch that task, which counts there. */
  isForwarded(k: number): boolean {
    // One look at the group does for nearly all grants: an each got what its task asks for.
    if (this.node?.kind !== 'group') return false
    const { node } = this.branch(k)
    return node?.kind === 'task' && !this.#runsHere(node.name)
  }

  /** The queue in which a branch with this node waits that is forwarded only because its handler is not here: that of its group. */
  queueFor(node: GraphNode | undefined): string | undefined {
    const isForThese = node?.kind === 'task' && this.#mayRunHere(this.use.graph.tasks[node.name] ?? NO_OPTIONS)
    return isForThese ? this.grant.spec.queue : undefined
  }

  /** As of the branch. */
  input(k: number): unknown {
    return this.#inputs.value(this.grant.spec.shared ? 0 : k)
  }

  /** As of the branch. */
  packedInput(k: number): PackedValue {
    return new PackedValue(this.#inputs.packed(this.grant.spec.shared ? 0 : k))
  }

  /** The task that a branch with this node is, unless it is more than a task or must be forwarded. */
  directTask(node: GraphNode | undefined): DirectTask | undefined {
    // Neighbours mostly have the same node.
    if (this.#last === undefined || this.#last.node !== node) this.#last = { node, task: this.#directTask(node) }
    return this.#last.task
  }

  #directTask(node: GraphNode | undefined): DirectTask | undefined {
    if (node?.kind !== 'task') return undefined
    const { name } = node
    if (!this.#runsHere(name)) return undefined
    const given = this.use.graph.tasks[name] ?? NO_OPTIONS
    const options = optionsOf(this.use, name)
    return {
      hasOwnTerms: hasOtherTerms(options, given),
      ...{ name, options, isStep: this.node?.kind === 'task', definition: this.use.code.task(name) },
      reportsFrom: reportsFrom(options, this.grant.spec),
    }
  }

  /**
   * Whether a task that is a branch runs here. A `par` may have been taken without the handlers of all its tasks, where no worker has them all; one
   * that was dispatched by itself, or an each of it, goes to nobody else.
   */
  #runsHere(name: string): boolean {
    if (this.node?.kind !== 'group') return true
    const isKnown = !this.#hasOthers || this.use.code.task(name)?.handler !== undefined
    return isKnown && this.#mayRunHere(this.use.graph.tasks[name] ?? NO_OPTIONS)
  }

  /** Whether a task may run where it was acquired: it asks for nothing more than its group got. */
  #mayRunHere(options: TaskOptions): boolean {
    const { node } = this
    // An each has one kind of branches, and got what that asks for.
    if (node?.kind !== 'group' || !isRouted(options)) return true
    this.#routing ??= routingOfGroup(this.use.graph, node.branches, node.options.queue)
    return runsWithGroup(options, this.#routing)
  }
}

/** One branch of a prepared grant: what its execution is known by. */
export class PreparedBranch implements ExecutionFacts {
  /** Undefined when the branch is a whole graph. */
  readonly node: GraphNode | undefined
  readonly #in: PreparedGrant
  readonly #k: number
  /** Empty: it has none. */
  #itemLabel: string | undefined

  constructor(grant: PreparedGrant, k: number) {
    const { node } = grant
    this.#in = grant
    this.#k = k
    this.node =
      node?.kind === 'each' ? node.body : node?.kind === 'group' ? node.branches[grant.grant.indexes[k] ?? 0] : node
  }

  get index(): number {
    return this.#in.grant.indexes[this.#k] as number // k is one of the grant's branches
  }

  /** Its number in events: of a task that a `par` forwarded, that of the branch which it is. */
  get eventIndex(): number {
    const { node, use, grant } = this.#in
    if (node?.kind !== 'task') return this.index
    const cut = grant.spec.node.lastIndexOf('/')
    const above = cut < 0 ? undefined : nodeAt(use.graph, grant.spec.node.slice(0, cut))
    if (above?.kind !== 'group') return this.index
    const segment = grant.spec.node.slice(cut + 1)
    return above.keys === undefined ? Number(segment) : above.keys.indexOf(segment)
  }

  /** In the graph in use, as in this run. */
  get path(): string {
    const { node, path } = this.#in
    if (node?.kind === 'each') return `${path}/${this.index}`
    return node?.kind === 'group' ? `${path}/${groupSegment(node, this.index)}` : path
  }

  /** In the run. */
  get runPath(): string {
    return runPathOf(this.#in.use, this.path)
  }

  /** Its input, a new value at every call. @throws GraflowError INTEGRITY */
  input(): unknown {
    return this.#in.input(this.#k)
  }

  /** The same as the bytes that were granted. */
  packedInput(): PackedValue {
    return this.#in.packedInput(this.#k)
  }

  /** What events and metrics call it: the name of a task or workflow, or a kind of node; never a path, of which there is no end. */
  get label(): string {
    return labelOf(this.node, this.#in.use.graph)
  }

  get itemLabel(): string | undefined {
    const key = labelKeyOf(this.#in.node)
    if (key === undefined) return undefined
    this.#itemLabel ??= labelIn(this.#decoded(), key) ?? ''
    return this.#itemLabel === '' ? undefined : this.#itemLabel
  }

  /** Nothing where it cannot be read: who starts the branch says so. */
  #decoded(): unknown {
    try {
      return this.input()
    } catch {
      return undefined
    }
  }

  get runId(): string {
    return this.#in.grant.spec.runId
  }

  get holder(): Holder {
    const { spec, token } = this.#in.grant
    return { gid: spec.gid, index: this.index, token }
  }

  get fence(): number {
    return this.#in.grant.fence
  }

  get errors(): number {
    return this.#in.grant.errors[this.#k] ?? 0
  }

  get losses(): number {
    return this.#in.grant.losses[this.#k] ?? 0
  }

  get hasTask(): boolean {
    return this.#in.grant.withTasks?.includes(this.index) === true
  }

  /** Whether it may have been granted before, so that there may be saved outputs inside it. */
  get isAgain(): boolean {
    return this.#in.grant.isAgain === true
  }

  get depth(): number {
    return this.#in.grant.spec.depth
  }

  get requires(): readonly string[] {
    return this.#in.requires
  }

  get run(): RunTerms | undefined {
    return this.#in.grant.spec.run
  }

  get workerId(): string {
    return this.#in.workerId
  }

  get queue(): string {
    return this.#in.grant.spec.queue
  }
}

/** What events call a branch with this node, or one that is the whole graph. */
export const labelOf = (node: GraphNode | undefined, graph: Graph): string =>
  node === undefined
    ? labelOfGraph(graph)
    : node.kind === 'task' || node.kind === 'workflow'
      ? node.name
      : `(${node.kind})`

/** What events call a branch that is a whole graph, such as one that a handler forks: never by its path, of which there is no end. */
function labelOfGraph(graph: Graph): string {
  const [only, ...more] = stepsOf(graph)
  if (only === undefined || more.length > 0) return '(sequence)'
  return only.kind === 'task' || only.kind === 'workflow' ? only.name : `(${only.kind})`
}

/** A path in the run is that of the graph, then one in the graph; the latter has as many segments as its static path. */
function split(runPath: string, spec: GroupSpec): { readonly base: string; readonly path: string } {
  const segments = runPath.split('/')
  const own = spec.node.split('/').length
  return {
    base: segments.slice(0, segments.length - own).join('/'),
    path: segments.slice(segments.length - own).join('/'),
  }
}
