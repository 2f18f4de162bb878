/**
 * The graph: a flow as plain, frozen data. It has no code, so it can be stored, hashed, drawn and run by another process that
 * knows the tasks by name. `path` names a node in it and in a run of it:
 *
 * - the root is read as a sequence (of one, if it is none): its step k is `k`
 * - step k of a sequence at p: `p/k`; branch k of a tuple group: `p/k`; branch of a record group: `p/<key>`
 * - the body of an each at p: statically `p/*`, of item i in a run `p/i`
 * - the decision of a choose at p: `p/?`; a case: `p/<key>`
 * - the body of a loop at p: statically `p/*`, in pass c (from 1) of a run `p/c`
 * - the body of a workflow at p: `p/w`; of a later at p: `p/w`, and the task that says when, if there is one: `p/?`
 *
 * So `0 >> (1/0 | 1/1 >> …) >> 2`: in `fetch >> ((a >> sub) | b) >> store`, `sub` is `1/0/1` and `store` is `2`.
 */
import type { EachOptions, GroupOptions, TaskOptions, WaitData, WorkflowOptions } from '../flow/node-options.js'

export type GraphJoin =
  | { readonly kind: 'strict' }
  | { readonly kind: 'settled' }
  | { readonly kind: 'atLeast'; readonly count: number }
  | { readonly kind: 'critical'; readonly members: readonly string[] }
  | { readonly kind: 'first' }
  | { readonly kind: 'policy'; readonly name: string }

export interface TaskNode {
  readonly kind: 'task'
  readonly name: string
}
export interface SequenceNode {
  readonly kind: 'sequence'
  readonly steps: readonly GraphNode[]
}
export interface GroupNode {
  readonly kind: 'group'
  readonly keys?: readonly string[]
  readonly branches: readonly GraphNode[]
  readonly join: GraphJoin
  readonly options: GroupOptions
}
export interface EachNode {
  readonly kind: 'each'
  readonly body: GraphNode
  readonly join: Exclude<GraphJoin, { kind: 'critical' }>
  readonly options: EachOptions
}
export interface ChooseNode {
  readonly kind: 'choose'
  readonly decide: GraphNode
  /** In written order. */
  readonly cases: readonly (readonly [key: string, node: GraphNode])[]
}
export interface LoopNode {
  readonly kind: 'loop'
  readonly body: GraphNode
  readonly maxCycles: number
}
export interface WorkflowNode {
  readonly kind: 'workflow'
  readonly name: string
  readonly body: GraphNode
  readonly options: WorkflowOptions
}
export interface WaitNode {
  readonly kind: 'wait'
  readonly name: string
  readonly options: WaitData
  /** There is a schema: whoever takes the answer must have it. */
  readonly isChecked: boolean
}
/** With `ms`, or with `due`. */
export interface LaterNode {
  readonly kind: 'later'
  readonly body: GraphNode
  /** From when its turn comes. */
  readonly ms?: number
  /** Gives milliseconds since the epoch. */
  readonly due?: TaskNode
}
export type GraphNode =
  | TaskNode
  | SequenceNode
  | GroupNode
  | EachNode
  | ChooseNode
  | LoopNode
  | WorkflowNode
  | WaitNode
  | LaterNode

/**
 * The data form: version 3 where an each labels its branches, else version 2 where something in it waits, else version 1; releases before a version do not read
 * it. A root workflow contributes its body only: its name travels with the run, not with the graph.
 */
export interface Graph {
  readonly version: 1 | 2 | 3
  /** The options of every task in it, by name. */
  readonly tasks: Readonly<Record<string, TaskOptions>>
  readonly root: GraphNode
}

/** What decides which releases read a graph. */
export interface GraphNeeds {
  waits: boolean
  labels: boolean
}

export const graphVersion = ({ waits, labels }: GraphNeeds): Graph['version'] => (labels ? 3 : waits ? 2 : 1)

/** Notes what a node by itself, without what is inside it, asks of a reader. */
export function noteNeeds(needs: GraphNeeds, node: GraphNode): void {
  if (node.kind === 'wait' || node.kind === 'later') needs.waits = true
  if (node.kind === 'each' && node.options.label !== undefined) needs.labels = true
}
