/**
 * Every error that users see: one class, one table of codes. A code is stable and never reused. The table says what a code means,
 * whether trying again can help, and what the HTTP interface and the commands answer; docs/errors.md is compared with it by a test.
 */

import { describe, describeError } from './describe.js'

interface CodeFacts {
  /** What it means and what to do, in one sentence. */
  readonly meaning: string
  /** Whether the same call may succeed later. */
  readonly retryable: boolean
  readonly httpStatus: number
  readonly exitCode: number
}

const facts = (meaning: string, retryable: boolean, httpStatus: number, exitCode: number): CodeFacts => ({
  meaning,
  retryable,
  httpStatus,
  exitCode,
})

/** All codes with what they mean. */
export const ERROR_CODES = Object.freeze({
  // the language
  INVALID_NAME: facts('A name has characters or a length that names may not have.', false, 400, 2),
  INVALID_OPTION: facts('An option is unknown or its value is out of range.', false, 400, 2),
  INVALID_NODE: facts('Something that is no flow was given where a flow is expected.', false, 400, 2),
  DUPLICATE_TASK: facts('Two different tasks, or two different policies, in one flow have one name.', false, 400, 2),
  EMPTY_GROUP: facts('A group has no branch.', false, 400, 2),
  JOIN_IMPOSSIBLE: facts('A join asks for what its group can never give.', false, 400, 2),
  FLOW_SYNTAX: facts('The text of a flow does not parse; the message points at the place.', false, 400, 2),
  UNKNOWN_NAME: facts('The text of a flow uses a name that is not in the record beside it.', false, 400, 2),
  // values and graphs
  NOT_SERIALISABLE: facts('A value cannot be carried between processes; the message names its path.', false, 400, 1),
  LIMIT_EXCEEDED: facts('A value, graph, group or nesting is larger than its limit.', false, 413, 1),
  INTEGRITY: facts('Stored bytes do not match their hash or cannot be decoded.', false, 500, 1),
  INVALID_INPUT: facts('The input does not satisfy the task’s input schema.', false, 422, 1),
  INVALID_OUTPUT: facts('The output does not satisfy the task’s output schema.', false, 500, 1),
  // running
  TASK_FAILED: facts('A task threw on its last allowed attempt; `cause` is what it threw.', true, 500, 1),
  TIMEOUT: facts('A task ran longer than its timeoutMs.', true, 504, 1),
  THREAD_LOST: facts(
    'The thread that ran a task ended: an error that nothing caught, no memory left, or an exit.',
    true,
    500,
    1,
  ),
  NOT_IN_THREAD: facts('A handler in a thread called run, next or goto of its context.', false, 500, 1),
  GROUP_FAILED: facts(
    'A group’s join was not satisfied; the details have the outcomes of its branches, of a large group the first 100 that did not succeed.',
    true,
    500,
    1,
  ),
  GROUP_TIMEOUT: facts('A group took longer than its timeoutMs; its branches were withdrawn.', true, 504, 1),
  RUN_TIMEOUT: facts('A run took longer than its timeoutMs.', true, 504, 1),
  RUN_STUCK: facts('Nothing happened in a run for stuckAfterMs, so the leader ended it.', true, 504, 1),
  CANCELLED: facts('The run or branch was cancelled; the message has the reason.', false, 409, 1),
  SKIPPED: facts('The branch was withdrawn before it was started.', false, 409, 1),
  BRANCH_DEAD: facts('The branch’s workers were lost more often than maxLosses allows.', false, 500, 1),
  NO_HANDLER: facts('No live worker knows the task.', false, 501, 1),
  NO_SUCH_CASE: facts('A decision returned a key that is no case.', false, 500, 1),
  NO_SUCH_POLICY: facts('A stored graph names a join policy that this process does not know.', false, 501, 1),
  CYCLE_LIMIT: facts('A loop or task went round more often than maxCycles allows.', false, 500, 1),
  LOOP_RESULT: facts('The last task of a loop returned neither again(next) nor done(value).', false, 500, 1),
  NOT_AN_ARRAY: facts('An each was given something that is no array.', false, 422, 1),
  NON_DETERMINISTIC: facts('On a re-run another node stands at a path than before.', false, 409, 1),
  GOTO_ACROSS_BARRIER: facts('A goto would leave its group; the group cannot be left by one branch.', false, 500, 1),
  // channels
  CHANNEL_TYPE: facts('A channel operation met a value of another type.', false, 409, 1),
  LOCK_TIMEOUT: facts('A lock was not free within waitMs.', true, 409, 1),
  LOCK_LOST: facts(
    'A lock was not renewed within its leaseMs, and another handler may have it; writes under it are refused.',
    true,
    409,
    1,
  ),
  // workers
  TASK_MODULE: facts(
    'A task module is missing, throws or does not end while it is loaded, or exports no task.',
    false,
    400,
    2,
  ),
  WORKER_NOT_FOUND: facts(
    'No worker of this id is there; one that calls over HTTP was silent for too long, and registers again.',
    false,
    404,
    1,
  ),
  // the client
  RUN_EXISTS: facts('A run with this id or idempotency key exists with another flow or input.', false, 409, 1),
  GRAPH_MISMATCH: facts(
    'The flow that was given has another shape than the one that the run was started with.',
    false,
    409,
    1,
  ),
  CHECKPOINT_MISSING: facts('Something that was saved of a run is gone from the store.', false, 500, 1),
  CHECKPOINT_CORRUPT: facts('Something that was saved of a run is not what was saved.', false, 500, 1),
  CHECKPOINT_VERSION: facts(
    'What is saved of a run was written by a newer release, and this one cannot read it.',
    false,
    409,
    1,
  ),
  BUILD_MISMATCH: facts(
    'The run is pinned to another build than the one of the process that is to resume it.',
    false,
    409,
    1,
  ),
  WORKFLOW_NOT_FOUND: facts('No workflow of this name is known here, nor to any worker.', false, 404, 1),
  RUN_NOT_FOUND: facts('No run has this id, or it is past its retention.', false, 404, 1),
  PIPELINE_GROUP_NOT_FOUND: facts('No pipeline group has this id, or it was torn down.', false, 404, 1),
  PIPELINE_GROUP_EXISTS: facts('Another pipeline group is deployed under this name.', false, 409, 1),
  NO_ROUTE: facts('No route of a pipeline group takes events of this type.', false, 422, 1),
  NOT_KEPT: facts('What is needed to run it again is not kept, or not any more.', false, 410, 1),
  RESULT_NOT_READY: facts('The run, or the task in it, has not finished.', true, 409, 1),
  RESULT_NOT_FOUND: facts('No finished node of the run has this name or path.', false, 404, 1),
  RESULT_AMBIGUOUS: facts(
    'The task stands at several places of the flow, or inside an each or loop that the caller is not in; ask by path.',
    false,
    409,
    1,
  ),
  CLOSED: facts('The client was closed.', false, 409, 1),
  NOT_LEADER: facts(
    'A worker with the role leader could not become the leader; the message names who leads.',
    true,
    409,
    1,
  ),
  NOT_AVAILABLE: facts('This build or backend does not have the feature; the message says what has it.', false, 501, 2),
  // the control plane
  INVALID_REQUEST: facts(
    'A request is no HTTP or JSON that can be read, or lacks what its route needs.',
    false,
    400,
    2,
  ),
  UNAUTHORIZED: facts('The control plane wants a key, and got none or one that it does not know.', false, 401, 1),
  FORBIDDEN: facts(
    'The key may not do this, or the request came from a page or to a host that is not allowed.',
    false,
    403,
    1,
  ),
  QUEUE_NOT_FOUND: facts('Nothing was ever put into a queue of this name, and no worker serves it.', false, 404, 1),
  DEAD_LETTER_NOT_FOUND: facts('No dead letter has this id, or not any more.', false, 404, 1),
  KEY_REUSED: facts('An idempotency key came with another request before; take a new one for it.', false, 409, 1),
  JOB_NOT_FOUND: facts('No command on many runs has this id, or it was over a day ago.', false, 404, 1),
  NO_SUCH_ROUTE: facts('The control plane has nothing at this path.', false, 404, 1),
  METHOD_NOT_ALLOWED: facts('The path takes other methods; the header `allow` lists them.', false, 405, 1),
  UNSUPPORTED_MEDIA_TYPE: facts('The body of a request is not said to be application/json.', false, 415, 1),
  TOO_MANY_REQUESTS: facts('Too many wrong keys came from this address; wait for `retry-after`.', true, 429, 1),
  // the backend
  BACKPRESSURE: facts('The store is full and takes no new work; what runs can finish.', true, 503, 1),
  NOT_DURABLE: facts(
    'A write is in the memory of the store, and was not confirmed by its disk or a replica in time, as `durability` asks.',
    true,
    503,
    1,
  ),
  FENCED: facts(
    'Another process holds the run or branch now, or it is over; this one may not change it.',
    false,
    409,
    1,
  ),
  NO_GRAPH: facts('The store does not have the graph; it must be uploaded again.', true, 503, 1),
  REDIS_UNAVAILABLE: facts('Redis could not be reached, or did not answer in time.', true, 503, 1),
  REDIS_UNSUITABLE: facts('This Redis cannot be used as it is; the message says what to change.', false, 500, 1),
  INTERNAL: facts('A contract inside graflow was broken: please report it.', false, 500, 70),
} as const satisfies Record<string, CodeFacts>)

export type ErrorCode = keyof typeof ERROR_CODES

/** What an error carries besides its code and message. */
export interface GraflowErrorOptions {
  /** The error or value that led to this one. */
  readonly cause?: unknown
  /** Plain data about this error; its keys are part of the interface. */
  readonly details?: Readonly<Record<string, unknown>>
  /** The errors that this one sums up, such as the failed members of a group. */
  readonly errors?: readonly Error[]
  /** The stack of where it arose, when that was in another process. */
  readonly stack?: string
}

const NO_DETAILS: GraflowError['details'] = Object.freeze({})
const NO_ERRORS: GraflowError['errors'] = Object.freeze([])

/** The one class of errors that graflow throws. Tell them apart by `code`. */
export class GraflowError extends Error {
  override readonly name = 'GraflowError'
  /** Stable and never reused; docs/errors.md lists all. */
  readonly code: ErrorCode
  /** Plain data about this error; empty where there is none. */
  readonly details: Readonly<Record<string, unknown>>
  /** The errors that this one sums up, such as the failed members of a group; empty where there are none. */
  readonly errors: readonly Error[]

  /** @throws GraflowError INVALID_OPTION for a code that is none, or for options that are no object, as JavaScript may give them */
  constructor(code: ErrorCode, message: string, options: GraflowErrorOptions = {}) {
    const fault = faultOfError(code, options)
    if (fault !== undefined)
      throw new GraflowError('INVALID_OPTION', `new GraflowError(code, message, options): ${fault}`)
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.details = options.details === undefined ? NO_DETAILS : Object.freeze({ ...options.details })
    this.errors = options.errors === undefined ? NO_ERRORS : Object.freeze([...options.errors])
    if (options.stack !== undefined) this.stack = options.stack
  }

  /**
   * Whether the same call may succeed later. A failed task or group may, unless what made it fail says `retryable: false`.
   */
  get retryable(): boolean {
    if (this.code === 'TASK_FAILED' || this.code === 'GROUP_FAILED') return !saysFinal(this.cause, MOST_JSON_DEPTH)
    return ERROR_CODES[this.code].retryable
  }

  /**
   * What JSON.stringify writes: name, code, message, retryable, and where there are any details, errors and cause. Without stacks, and
   * always plain data: what JSON cannot say is left out, and what is too deep or stands inside itself is '…'. Never throws.
   */
  toJSON(): Readonly<Record<string, unknown>> {
    return jsonOfError(this, { above: new Set(), left: MOST_JSON_VALUES })
  }
}

/** What is wrong with what an error is made of; undefined where nothing is. */
function faultOfError(code: unknown, options: unknown): string | undefined {
  if (typeof code !== 'string' || !Object.hasOwn(ERROR_CODES, code))
    return `expected a code of docs/errors.md, such as 'TASK_FAILED', got ${describe(code)}; for an error of your own, throw an Error`
  if (typeof options !== 'object' || options === null)
    return `expected options such as { cause }, got ${describe(options)}`
  const { errors } = options as GraflowErrorOptions
  if (errors !== undefined && !Array.isArray(errors)) return `expected a list of errors, got ${describe(errors)}`
  return undefined
}

/** Whether what made a task or group fail says `retryable: false`, itself or by its own cause. */
function saysFinal(cause: unknown, depth: number): boolean {
  if (typeof cause !== 'object' || cause === null || depth === 0) return false
  const code = cause instanceof GraflowError ? cause.code : undefined
  if (code === 'TASK_FAILED' || code === 'GROUP_FAILED') return saysFinal(read(cause, 'cause'), depth - 1)
  return read(cause, 'retryable') === false
}

/** How deep and how much of what hangs on an error goes into JSON: a log line is for reading. */
const MOST_JSON_DEPTH = 16
const MOST_JSON_VALUES = 10_000

/** Where a walk over an error is: what it stands in, and how many more values it may look at. */
interface JsonWalk {
  readonly above: Set<object>
  left: number
}

function jsonOfError(error: Error, walk: JsonWalk): Record<string, unknown> {
  const json: Record<string, unknown> = {}
  // The same order in every line, and only what is there.
  for (const key of ['name', 'code', 'message', 'retryable', 'details', 'errors', 'cause']) {
    const value = jsonOf(read(error, key), walk)
    if (value !== undefined && !isEmpty(value)) json[key] = value
  }
  return json
}

/** A value as JSON can carry it; undefined where it cannot. */
function jsonOf(value: unknown, walk: JsonWalk): unknown {
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value)
  if (typeof value !== 'object' || value === null) {
    return value === null || typeof value === 'string' || typeof value === 'boolean' ? value : undefined
  }
  walk.left -= 1
  if (walk.left <= 0 || walk.above.size >= MOST_JSON_DEPTH || walk.above.has(value)) return '…'
  walk.above.add(value)
  try {
    return jsonOfObject(value, walk)
  } catch {
    return undefined // a proxy that throws: the rest of the error must still be shown
  } finally {
    walk.above.delete(value)
  }
}

function jsonOfObject(value: object, walk: JsonWalk): unknown {
  if (value instanceof Error) return jsonOfError(value, walk)
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? undefined : value.toISOString()
  if (Array.isArray(value)) return value.map((item: unknown) => jsonOf(item, walk) ?? null)
  const json: Record<string, unknown> = {}
  for (const key of Object.keys(value)) {
    const item = jsonOf(read(value, key), walk)
    if (item !== undefined && key !== '__proto__') json[key] = item
  }
  return json
}

function read(from: object, key: string): unknown {
  try {
    return (from as Record<string, unknown>)[key]
  } catch {
    return undefined // a getter that throws
  }
}

const isEmpty = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.keys(value).length === 0

/** Thrown by a handler to say that another attempt cannot help. Any error with `retryable: false` does the same. */
export class NotRetryableError extends Error {
  override readonly name = 'NotRetryableError'
  readonly retryable = false
}

/**
 * What `look` finds in what a user gave. Whatever a getter or proxy throws meanwhile becomes a GraflowError, which says where.
 * @param where begins the message, such as `run`
 */
export function lookingAt<T>(where: string, code: 'INVALID_OPTION' | 'INVALID_NODE', look: () => T): T {
  try {
    return look()
  } catch (error) {
    if (error instanceof GraflowError) throw error
    throw new GraflowError(
      code,
      `${where}: expected plain values, got something that throws when it is looked at (${describeError(error)}): read it first, and pass what it gives`,
      { cause: error },
    )
  }
}
