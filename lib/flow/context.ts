/**
 * What a handler gets beside its input: the types of the context, of the run's channels and of the log. The engine makes the objects.
 * Each block below is one ability.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Payload, WaitOptions } from './wait-options.js'
import type { AnyNode, Control, Flow, In, NeedsNoInput, OrSay, Out } from './types.js'

/** Where log lines of a handler go; the run, path and attempt are added to each. */
export interface Logger {
  /** Writes a line of the level `debug`; details are plain data. */
  debug(message: string, details?: object): void
  /** Writes a line of the level `info`; details are plain data. */
  info(message: string, details?: object): void
  /** Writes a line of the level `warn`; details are plain data. */
  warn(message: string, details?: object): void
  /** Writes a line of the level `error`; details are plain data. */
  error(message: string, details?: object): void
}

/** Which start of which branch this is. */
export interface BranchFacts {
  /** The id of the run. */
  readonly runId: string
  /** The name of the task. */
  readonly taskName: string
  /** The path in the graph and run, such as `1/0/1`. */
  readonly path: string
  /** In an `each`, the number of the item, from 0; of the innermost, if they are nested. */
  readonly index: number | undefined
  /** Which pass this is of the loop around the task, or of the task itself by `again`, from 1. */
  readonly cycle: number
  /** 1 + errors + losses so far. */
  readonly attempt: number
  /** Fires on a cancel, a timeout, a shutdown and a lost grant, and when the group is decided without this branch; its reason is a GraflowError. */
  readonly signal: AbortSignal
  /**
   * The same for every attempt of this task at this place; each pass by `again` has its own (`run/0`, then `run/0#2`). Hand it to outside
   * systems that can drop a repeated request.
   */
  readonly idempotencyKey: string
  /**
   * Larger every time the branch is given to a process. Hand it to outside systems that can refuse a request with a smaller number: it
   * comes from a process that has lost the branch.
   */
  readonly fence: number
}

/** What a handler can say while it works. */
export interface Reporting {
  /** Writes log lines with the run, path and attempt of this start. */
  readonly log: Logger
  /** How far this branch is, from 0 to 1, for subscribers of `run:progress`. @throws GraflowError INVALID_OPTION for another number */
  progress(fraction: number, message?: string): void
}

/** What other nodes of the run gave. */
export interface Results {
  /**
   * The result of a task that is finished in this run; also of one in a flow that a handler ran.
   * @throws GraflowError RESULT_NOT_READY, RESULT_NOT_FOUND, RESULT_AMBIGUOUS (it stands at several places, or inside an each or loop that
   * the caller is not in)
   */
  result<const N extends AnyNode, const G = N>(node: N | OrSay<G>): Promise<Out<N>>
}

/** Fork and join from inside a handler. */
export interface Forking {
  /** The same as the next overload, for a flow that takes no input. */
  run<const N>(node: NeedsNoInput<N>): Promise<Out<Flow<N>>>
  /**
   * Runs a flow on the workers, to any depth, without holding this slot meanwhile. A task that runs itself writes the type that its handler
   * returns, as in `async (n: number, ctx): Promise<number> => …`.
   * @throws GraflowError why the flow failed; LIMIT_EXCEEDED, NOT_SERIALISABLE
   */
  run<const N extends AnyNode, const G = N>(node: N | OrSay<G>, input: In<N>): Promise<Out<N>>
}

/** Waiting from inside a handler, without its slot and without its `timeoutMs`. The handler's process holds it meanwhile. */
export interface Waiting {
  /**
   * Waits so many milliseconds. If the handler is started again meanwhile, such as after the loss of its worker, the same call waits for the rest.
   * @throws GraflowError INVALID_OPTION
   */
  sleep(ms: number): Promise<void>
  /**
   * Waits for a signal and gives its payload, as `waitFor` in a flow. If the handler is started again meanwhile, the same call gets what came.
   * @throws GraflowError TIMEOUT, INVALID_NAME, INVALID_OPTION, NOT_SERIALISABLE
   */
  waitFor<S extends StandardSchemaV1 = never, const T = never>(
    name: string,
    options?: WaitOptions<S, T>,
  ): Promise<Payload<S, T>>
}

/** Changing what runs next. */
export interface Redirecting {
  /** Runs `node` before the steps that follow in the flow. */
  next<const N extends AnyNode, const G = N>(node: N | OrSay<G>, input?: In<N>): Control
  /** Runs `node` instead of the steps that follow in the flow. @throws GraflowError GOTO_ACROSS_BARRIER */
  goto<const N extends AnyNode, const G = N>(node: N | OrSay<G>, input?: In<N>): Control
}

/** Starting this task once more; `I` is what it takes. */
export interface Repeating<in I> {
  /** This task once more with this input, at most `maxCycles` times: then CYCLE_LIMIT. */
  again(input: I): Control
}

/** Ending the run. */
export interface Ending {
  /** Ends the run now, completed, with this result. */
  finish(value: unknown): Control
  /** Ends the run now, cancelled. Wins over `finish`. */
  cancel(reason: string): Control
}

/** What a handler gets beside its input; `I` is what the task takes. */
export interface TaskContext<in I = any>
  extends BranchFacts,
    Reporting,
    Results,
    Forking,
    Waiting,
    Redirecting,
    Repeating<I>,
    Ending {
  /** State that all branches of the run share. */
  readonly channel: ChannelAccess
}

type Item<L> = L extends readonly (infer T)[] ? T : never
type KeysOf<T, V> = { [K in keyof T]-?: T[K] extends V ? K : never }[keyof T] & string
// Only a list of any is a supertype of every list
type AnyList = readonly any[]

/** How a channel keeps what is written. */
export interface WriteOptions {
  /** Milliseconds after which the value is gone: 1 or more. A write without it never expires. Else INVALID_OPTION. */
  readonly ttlMs?: number
}

/** Single values of a channel. */
export interface ChannelValues<T> {
  /** The value, or undefined where there is none. */
  get<const K extends keyof T & string>(key: K): Promise<T[K] | undefined>
  /** Writes a value. @throws GraflowError LIMIT_EXCEEDED past `limits.resultBytes`, NOT_SERIALISABLE, BACKPRESSURE */
  set<const K extends keyof T & string>(key: K, value: T[K], options?: WriteOptions): Promise<void>
  /** Whether there is a value. */
  has(key: keyof T & string): Promise<boolean>
  /** Removes a value; tells whether there was one. */
  delete(key: keyof T & string): Promise<boolean>
  /** The keys that have a value, in no particular order. */
  keys(): Promise<(keyof T & string)[]>
}

/** Lists in a channel. @throws GraflowError CHANNEL_TYPE for a value that is no list */
export interface ChannelLists<T> {
  /** Adds an item at the end; gives the new length. @throws GraflowError LIMIT_EXCEEDED past `limits.itemBytes` */
  append<const K extends KeysOf<T, AnyList>>(key: K, item: Item<T[K]>, options?: WriteOptions): Promise<number>
  /** Adds an item at the beginning; gives the new length. @throws GraflowError LIMIT_EXCEEDED past `limits.itemBytes` */
  prepend<const K extends KeysOf<T, AnyList>>(key: K, item: Item<T[K]>, options?: WriteOptions): Promise<number>
  /** The whole list, `[]` for an absent one. */
  list<const K extends KeysOf<T, AnyList>>(key: K): Promise<Item<T[K]>[]>
}

/** Numbers in a channel. */
export interface ChannelCounters<T> {
  /** Adds atomically, an absent one counting as 0; gives the sum. @throws GraflowError CHANNEL_TYPE for a value that is no number */
  add(key: KeysOf<T, number>, n: number, options?: WriteOptions): Promise<number>
}

/** How a lock is held and waited for. */
export interface LockOptions {
  /**
   * Milliseconds, 1 or more, for which the lock stays its holder's without a sign of life. It is renewed at a third of them for as long as `fn`
   * runs, so it may be shorter than the work. Default: 10000.
   */
  readonly leaseMs?: number
  /** Milliseconds after which LOCK_TIMEOUT is thrown where the lock is not free; 0: it is tried once. Default: 30000. */
  readonly waitMs?: number
}

/** A lock, while it is held. */
export interface Lock {
  /**
   * Larger for every holder of the lock. Hand it to outside systems that can refuse a request with a smaller number: it comes from a handler that
   * has lost the lock.
   */
  readonly fence: number
  /** Fires when the lock is lost, with LOCK_LOST as its reason, and whenever the signal of the context fires. */
  readonly signal: AbortSignal
}

/** Locks of a channel. */
export interface ChannelLocks {
  /**
   * Calls `fn` while this handler has the lock `key` of the run, and gives what `fn` gives. At most one handler of the run has a lock at any time,
   * on whatever worker. A lock has nothing to do with the value of the same key. While it is held, a write to the channels by the same handler is
   * refused with LOCK_LOST if the lock has got lost. A handler must await it, and may not take a lock again that it has.
   * @throws GraflowError LOCK_TIMEOUT, LOCK_LOST, INVALID_NAME, INVALID_OPTION; what `fn` throws
   */
  lock<R>(key: string, options: LockOptions, fn: (lock: Lock) => R | Promise<R>): Promise<R>
}

/** A run's shared state, its values typed by `T`. */
export interface Channel<T> extends ChannelValues<T>, ChannelLists<T>, ChannelCounters<T>, ChannelLocks {}

/** `ctx.channel.get('k')` is untyped (`any`); `ctx.channel(schema)` and `ctx.channel<T>()` are the same state, typed. */
export interface ChannelAccess extends Channel<Record<string, any>> {
  <T>(schema?: StandardSchemaV1<any, T>): Channel<T>
}
