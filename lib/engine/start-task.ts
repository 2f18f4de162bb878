/**
 * One start of a task, where its options want it: in this thread (start.ts), or in one of the pool. Hides that difference from those that start
 * tasks: in a pool's thread the value goes in and out packed, the two schemas are applied there, and the context's calls come back here.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { GraflowError } from '../errors.js'
import type { LockOptions } from '../flow/context.js'
import type { Expression, TaskExpression } from '../flow/expression.js'
import type { TaskOptions } from '../flow/node-options.js'
import { decode, encode } from '../values/codec.js'
import { packedOf, PackedValue, unpacked } from '../values/packed-arrays.js'
import { ThreadLocks } from './thread-locks.js'
import { Cancellation } from './cancellation.js'
import { HandlerContext, type SignalWait, type StartFacts } from './context.js'
import { runPathOf, type Frame } from './execution.js'
import {
  CHANNEL_METHODS,
  type ChannelMethod,
  type FreeThread,
  type ThreadCall,
  type ThreadEnd,
  type ThreadFacts,
  type ThreadRequest,
  ThrewInThread,
} from './thread-runner.js'
import { deadlineOf, raced, start, threwByHandler, type Deadline, type Started, type StartOptions } from './start.js'

/** What holds for a start. */
export type StartTerms = Pick<TaskOptions, 'timeoutMs' | 'isolation'>

/** A handler that is past its deadline has this long to see its signal before its thread is ended. */
const LATE_GRACE_MS = 100
/** One that is not wanted any more, such as in a cancelled run, has this long. */
const UNWANTED_GRACE_MS = 1_000

/** Whether a task with these options runs in a thread. */
export const isInThread = ({ isolation }: StartTerms): boolean => isolation === 'thread'

/** Calls the handler. @param input may be packed @throws as the output rejects, where it is no promise */
export function startTask(
  options: StartOptions,
  frame: Frame,
  definition: TaskExpression,
  facts: StartFacts,
  input: unknown,
  terms: StartTerms,
): Started {
  return isInThread(terms) && options.threads?.runsInline !== true
    ? startInThread(options, frame, definition, facts, input, terms.timeoutMs)
    : start(options, frame, definition, facts, unpacked(input), terms.timeoutMs)
}

/** What one start in a thread is made of. */
interface ThreadStart {
  readonly options: StartOptions
  readonly frame: Frame
  readonly facts: StartFacts
  readonly input: unknown
  readonly cancel: Cancellation
  readonly timer: Deadline | undefined
  readonly context: HandlerContext
  readonly locks: ThreadLocks
}

function startInThread(
  options: StartOptions,
  frame: Frame,
  definition: TaskExpression,
  facts: StartFacts,
  input: unknown,
  timeoutMs: number | undefined,
): Started {
  if (options.threads?.has(definition.name) !== true)
    throw notInAModule(definition.name, runPathOf(frame.use, facts.path))
  const cancel = new Cancellation(frame.cancel)
  const timer = deadlineOf(options, frame, facts, cancel, timeoutMs)
  const context = new HandlerContext(options, frame, facts, cancel, timer)
  const work = called({ options, frame, facts, input, cancel, timer, context, locks: new ThreadLocks() })
  const output = raced(options, cancel, work).finally(() => {
    timer?.end()
    cancel.leave()
  })
  return { context, output, isHandlersOwn: false }
}

/** The error for a task that asks for a thread and stands in no module that a thread could load. */
export const notInAModule = (task: string, path?: string): GraflowError =>
  new GraflowError(
    'NOT_AVAILABLE',
    `task "${task}"${path === undefined ? '' : ` (at ${path})`} asks for isolation 'thread', and a thread can only load modules: export it from a ` +
      "module, and name that, as in connect({ tasks: ['./tasks.js'] }) or graflow-worker --tasks ./tasks.js; or use isolation 'inline'",
    { details: { task, ...(path !== undefined && { path }) } },
  )

async function called(of: ThreadStart): Promise<unknown> {
  const { options, facts, input, cancel, context } = of
  const { sharedInputBytes } = options.limits
  const bytes = packedOf(input, `the input of task "${facts.task}"`, sharedInputBytes, 'sharedInputBytes')
  let off: (() => void) | undefined
  try {
    const thread = options.threads?.take() ?? (await freed(of))
    if (cancel.reason !== undefined) {
      thread.release()
      throw cancel.reason
    }
    off = cancel.onAbort((reason) => {
      thread.abort(reason, isLate(reason) ? LATE_GRACE_MS : UNWANTED_GRACE_MS)
    })
    return returned(context, await thread.run(callOf(of, bytes)))
  } catch (error) {
    throw error instanceof ThrewInThread ? threwByHandler(error.thrown) : withPlace(error, of)
  } finally {
    off?.()
    of.locks.giveBackAll()
  }
}

const isLate = (reason: Error): boolean => reason instanceof GraflowError && reason.code === 'TIMEOUT'

const callOf = (of: ThreadStart, input: Uint8Array): ThreadCall => ({
  ...{ task: of.facts.task, input, facts: factsOf(of.context) },
  note: (note) => {
    const { context } = of
    if (note.name === 'progress') context.progress(note.fraction, note.message)
    else context.log[note.level](note.message, note.details && (decode(note.details) as object)) // what was packed
  },
  serve: (request) => served(of, request),
})

/** A thread, once there is one. The wait is not the handler's, so its deadline stands still. */
async function freed({ options: { threads }, cancel, timer }: ThreadStart): Promise<FreeThread> {
  if (threads === undefined) throw new GraflowError('INTERNAL', 'expected threads, got none')
  let thread: FreeThread | undefined
  try {
    await timer?.pause()
    thread = await threads.wait(cancel)
    await timer?.unpause()
    return thread
  } catch (error) {
    thread?.release()
    throw error
  }
}

/** What a handler reads of its context: worked out here, where the graph is. */
const factsOf = (context: HandlerContext): ThreadFacts => {
  const { runId, taskName, path, index, cycle, attempt, idempotencyKey, fence } = context
  return { runId, taskName, path, index, cycle, attempt, idempotencyKey, fence }
}

/** The handler's output, as `start` gives it: packed, or a Control. What it directed is what it directed here. */
function returned(context: HandlerContext, { output, again, finish, cancel }: ThreadEnd): unknown {
  let control: unknown
  if (again !== undefined) control = context.again(decode(again))
  if (finish !== undefined) control = context.finish(decode(finish))
  if (cancel !== undefined) control = context.cancel(decode(cancel) as string) // checked where it is used
  return output === undefined ? control : new PackedValue(output)
}

/** A payload, to be told from what a wait gives once its time is over. */
class CameBySignal {
  constructor(readonly payload: unknown) {}
}

const AS_SIGNAL: StandardSchemaV1 = {
  '~standard': { version: 1, vendor: 'graflow', validate: (payload) => ({ value: new CameBySignal(payload) }) },
}

/** Does what the handler asked its context for. */
async function served(
  { options, frame, facts, context, locks }: ThreadStart,
  request: ThreadRequest,
): Promise<Uint8Array> {
  switch (request.name) {
    case 'channel': {
      if (!CHANNEL_METHODS.includes(request.method))
        throw new GraflowError('INTERNAL', `a channel has no method ${request.method as string}`)
      const channel = context.channel as Record<ChannelMethod, (...args: unknown[]) => Promise<unknown>>
      return encode(await channel[request.method](...request.args.map((bytes) => decode(bytes))))
    }
    case 'result': {
      // All that is looked at of a target is what it is and its name.
      const target = { kind: request.kind, name: request.task } as Expression
      return encode(await options.result(frame, facts.path, target))
    }
    case 'sleep':
      await context.sleep(decode(request.ms) as number) // checked there
      return encode(undefined)
    case 'wait-for': {
      const given = { ...(decode(request.options) as object), schema: AS_SIGNAL }
      const said = decode(request.said) as Pick<SignalWait, 'form' | 'isExact' | 'needsPayload' | 'refused'> // as thread-context.ts makes it
      const came: unknown = await context.waitFor(decode(request.signal) as string, given, said) // checked there
      return encode(came instanceof CameBySignal ? { signal: came.payload } : { due: came })
    }
    case 'lock':
      return locks.take(
        (key, options, fn) => context.channel.lock(key, options, fn),
        decode(request.key),
        decode(request.options) as LockOptions, // checked where it is used
      )
    case 'lock-signal':
      return locks.signalOf(request.number)
    case 'unlock':
      return locks.giveBack(request.number)
    default:
      return request satisfies never
  }
}

/** The thread does not know where in the run its task is. */
function withPlace(error: unknown, { frame, facts }: ThreadStart): unknown {
  if (!(error instanceof GraflowError) || error.code !== 'THREAD_LOST') return error
  const { task } = facts
  const path = runPathOf(frame.use, facts.path)
  return new GraflowError('THREAD_LOST', `task "${task}" (at ${path}): ${error.message}`, {
    details: { task, path, ...error.details },
    ...(error.cause !== undefined && { cause: error.cause }),
  })
}
