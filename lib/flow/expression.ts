/**
 * The form of a flow that the other rooms read: a frozen tree of expressions. It still holds code (handlers, schemas, policies);
 * the graph room turns it into data. Nothing here changes after it is made.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { EXPRESSION } from '../describe.js'
import type { EachOptions, GroupOptions, TaskOptions, WaitData, WorkflowOptions } from './node-options.js'
import type { AnyNode } from './types.js'

export { EXPRESSION }

/** Whether it is a flow: something a combinator made, in this copy of the package or another. */
export function isNode(value: unknown): value is AnyNode {
  try {
    return typeof value === 'object' && value !== null && EXPRESSION in value
  } catch {
    return false // a proxy that throws
  }
}

/** A task's handler as the engine calls it: types are checked where the task is made. */
export type Handler = (input: any, ctx: any) => unknown

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
  readonly options: EachOptions
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

/** Waits for a signal of this name. */
export interface WaitExpression {
  readonly kind: 'wait'
  readonly name: string
  readonly options: WaitData
  readonly schema?: StandardSchemaV1
}

/** Its body, after so many milliseconds, or at the time that a task says, in milliseconds since the epoch. */
export interface LaterExpression {
  readonly kind: 'later'
  readonly body: Expression
  readonly when: number | TaskExpression
}

export type Expression =
  | TaskExpression
  | SequenceExpression
  | GroupExpression
  | EachExpression
  | ChooseExpression
  | LoopExpression
  | WorkflowExpression
  | WaitExpression
  | LaterExpression
