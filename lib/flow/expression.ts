/**
 * The form of a flow that the other rooms read: a frozen tree of expressions. It still holds code (handlers, schemas, policies);
 * the graph room turns it into data. Nothing here changes after it is made.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { AnyNode } from './types.js'

/**
 * Where a node carries its expression. Registered, so that a node made by one copy of this package is a node to another: a task module
 * and the worker that loads it may each have their own. The number is the version of the expressions' form.
 */
export const EXPRESSION = Symbol.for('graflow.expression.1')

/** Whether it is a flow: something a combinator made, in this copy of the package or another. */
export function isNode(value: unknown): value is AnyNode {
  return typeof value === 'object' && value !== null && EXPRESSION in value
}

/** A task's handler as the engine calls it: types are checked where the task is made. */
export type Handler = (input: any, ctx: any) => unknown

/** How often and how a task is started again after an error. Durations are integer milliseconds. */
export interface RetryOptions {
  /** Starts in all, the first included; 1 by default. */
  readonly attempts?: number
  readonly delayMs?: number
  /** Each delay is the one before times this; 1 by default. */
  readonly factor?: number
  readonly maxDelayMs?: number
  /** From 0 (none) to 1: the delay is drawn between (1 - jitter) and 1 times its value. */
  readonly jitter?: number
}

/** What a task asks of the workers. All of it is data and part of the graph. */
export interface TaskOptions {
  readonly retry?: RetryOptions
  readonly timeoutMs?: number
  /** Grants that may be lost (a worker died) before the branch is dead; 3 by default. */
  readonly maxLosses?: number
  /** How often `ctx.again` may start it once more; 100 by default. */
  readonly maxCycles?: number
  readonly queue?: string
  readonly requires?: readonly string[]
  readonly affinity?: string
  readonly priority?: number
  readonly isolation?: 'inline' | 'thread'
}

/** What `.configure()` sets on a group. */
export interface GroupOptions {
  readonly timeoutMs?: number
  readonly queue?: string
  /** Branches in flight at once. */
  readonly concurrency?: number
  readonly name?: string
  /** Of a strict group: `cancel` (default) withdraws the others at the first final failure, `wait` lets them finish. */
  readonly onFailure?: 'cancel' | 'wait'
}

export interface WorkflowOptions {
  readonly timeoutMs?: number
  readonly description?: string
}

/** When a group releases and what its result is. */
export type Join =
  | { readonly kind: 'strict' }
  | { readonly kind: 'settled' }
  | { readonly kind: 'atLeast'; readonly count: number }
  | { readonly kind: 'critical'; readonly members: readonly string[] }
  | { readonly kind: 'first' }
  | { readonly kind: 'policy'; readonly name: string; readonly decide: (outcomes: never) => unknown }

export interface TaskExpression {
  readonly kind: 'task'
  readonly name: string
  readonly options: TaskOptions
  /** Absent on a declared task: its handler is elsewhere. */
  readonly handler?: Handler
  readonly input?: StandardSchemaV1
  readonly output?: StandardSchemaV1
}

/** At least two steps, none of them a sequence: sequences are flattened as they are made. */
export interface SequenceExpression {
  readonly kind: 'sequence'
  readonly steps: readonly Expression[]
}

export interface GroupExpression {
  readonly kind: 'group'
  /** Present on a record: the key of each branch, in written order. Absent on a tuple. */
  readonly keys?: readonly string[]
  readonly branches: readonly Expression[]
  readonly join: Join
  readonly options: GroupOptions
}

export interface EachExpression {
  readonly kind: 'each'
  readonly body: Expression
  readonly join: Exclude<Join, { kind: 'critical' }>
  readonly options: GroupOptions
}

export interface ChooseExpression {
  readonly kind: 'choose'
  readonly decide: Expression
  readonly cases: readonly (readonly [key: string, node: Expression])[]
}

export interface LoopExpression {
  readonly kind: 'loop'
  readonly body: Expression
  readonly maxCycles: number
}

export interface WorkflowExpression {
  readonly kind: 'workflow'
  readonly name: string
  readonly body: Expression
  readonly options: WorkflowOptions
}

export type Expression =
  | TaskExpression
  | SequenceExpression
  | GroupExpression
  | EachExpression
  | ChooseExpression
  | LoopExpression
  | WorkflowExpression
