/**
 * What the engine needs of threads for tasks with `isolation: 'thread'`. Values cross as packed bytes, so that this thread neither unpacks nor
 * packs them. Who implements it is lib/threads; a process whose tasks stand in no module has none.
 */
import type { Cancellation } from './cancellation.js'
import type { LockRequest } from './thread-locks.js'

/** Which start this is, as data: what a handler in a thread reads of its context. */
export interface ThreadFacts {
  readonly runId: string
  readonly taskName: string
  readonly path: string
  readonly index: number | undefined
  readonly cycle: number
  readonly attempt: number
  readonly idempotencyKey: string
  readonly fence: number
}

/** What a handler in a thread asks of this one. Arguments and answers are packed values. */
export type ThreadRequest =
  | { readonly name: 'channel'; readonly method: ChannelMethod; readonly args: readonly Uint8Array[] }
  | { readonly name: 'result'; readonly kind: string; readonly task: string | undefined }
  | { readonly name: 'sleep'; readonly ms: Uint8Array }
  /**
   * Its options without the schema, which is applied in the thread; `said`: how that looks as JSON Schema, and what it refused the last payload for. The
   * answer says what came: `{ signal }`, or `{ due }`.
   */
  | {
      readonly name: 'wait-for'
      readonly signal: Uint8Array
      readonly options: Uint8Array
      readonly said: Uint8Array
    }
  | LockRequest

/** The methods of a channel that cross. */
export const CHANNEL_METHODS = ['get', 'set', 'has', 'delete', 'keys', 'append', 'prepend', 'list', 'add'] as const
export type ChannelMethod = (typeof CHANNEL_METHODS)[number]

/** What a handler in a thread says; nobody answers. */
export type ThreadNote =
  | {
      readonly name: 'log'
      readonly level: 'debug' | 'info' | 'warn' | 'error'
      readonly message: string
      /** Packed. */
      readonly details?: Uint8Array
    }
  | { readonly name: 'progress'; readonly fraction: number; readonly message?: string }

/** One start of a handler. */
export interface ThreadCall {
  readonly task: string
  /** Packed. */
  readonly input: Uint8Array
  readonly facts: ThreadFacts
  readonly note: (note: ThreadNote) => void
  /** Gives a packed value; what it rejects with, the handler gets. */
  readonly serve: (request: ThreadRequest) => Promise<Uint8Array>
}

/** How a start ended whose handler returned. */
export interface ThreadEnd {
  /** Packed; absent where the handler returned a Control. */
  readonly output?: Uint8Array
  /** What it directed; the values are packed. */
  readonly again?: Uint8Array
  readonly finish?: Uint8Array
  readonly cancel?: Uint8Array
}

/** What a thread threw that the handler did not throw itself, such as an input that does not fit its schema, is thrown as it is. */
export class ThrewInThread extends Error {
  override readonly name = 'ThrewInThread'

  constructor(readonly thrown: unknown) {
    super('a handler threw in its thread')
  }
}

/** A thread that is free and waits for one call of `run` or `release`. */
export interface FreeThread {
  /**
   * Starts the handler. Afterwards the thread is free for others, or gone and replaced.
   * @throws ThrewInThread what the handler threw; GraflowError THREAD_LOST when the thread ended; what else the start failed with
   */
  run(call: ThreadCall): Promise<ThreadEnd>
  /** Fires the signal of the handler. One that has not ended `graceMs` later is ended with its thread. */
  abort(reason: Error, graceMs: number): void
  /** It is not needed. */
  release(): void
}

/** The threads of a process. */
export interface ThreadRunner {
  /** Handlers are called in this thread, as those of other tasks: in a test. */
  readonly runsInline?: true
  /** Whether a module of this process has the task, so that a thread can load it. */
  has(task: string): boolean
  /** A thread that is free; undefined where one must be waited for. */
  take(): FreeThread | undefined
  /**
   * Waits for one; it may have to be started. Rejects with the reason of `cancel` when that is aborted.
   * @throws GraflowError TASK_MODULE when a module cannot be loaded in a thread; CLOSED
   */
  wait(cancel: Cancellation): Promise<FreeThread>
}
