/**
 * Knows for which handler something is called at this moment. A handler that waits for a run of the client, instead of `ctx.run`, occupies a slot that this
 * run may need. So the client gives that slot back while it waits, as a fork does.
 */
import type { HandlerContext } from './context.js'
import type { Execution } from './execution.js'
import { waitingHandler } from './pending-handlers.js'

/** Handlers that may wait so at once in this process: each has begun, and its branch is held. */
const MOST_WAITING = 10_000

/** The slots of one executor, as far as those need them who wait for a run. */
export interface SlotsHere {
  readonly free: number
  /** Grows whenever a slot changes hands. */
  readonly turnover: number
}

/** Of all executors of this process. */
export const slotsHere = new Set<SlotsHere>()

let current: HandlerContext | undefined
let waiting = 0

/** The context of the handler that calls: from its call to its first `await` it is known, after that V8 can often tell. */
export const callingHandler = (): HandlerContext | undefined => current ?? waitingHandler()

/** Calls a handler; within this call it is the one that is called. */
export function callHandler<I>(
  handler: (input: I, context: HandlerContext) => unknown,
  input: I,
  context: HandlerContext,
): unknown {
  const before = current
  current = context
  try {
    return handler(input, context)
  } finally {
    current = before
  }
}

/** Whether handlers of this process wait for runs of their own: what these need is no deeper than what waits. */
export const doHandlersAwaitRuns = (): boolean => waiting > 0

/** Whether one more handler may wait so. */
export const mayAwaitRun = (): boolean => waiting < MOST_WAITING

/** Waits on behalf of a handler without its slot. */
export async function awaitFor<T>(execution: Execution, wait: () => Promise<T>): Promise<T> {
  waiting += 1
  try {
    return await execution.withoutSlot(wait)
  } finally {
    waiting -= 1
  }
}
