/**
 * What a thread runs: loads the task modules, then starts handlers, one at a time, as it is told. A program, not a module: it works when it is
 * loaded. thread.ts starts it and knows the other half of each message.
 */
import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import { isControl } from '../engine/directives.js'
import { asError } from '../engine/failure.js'
import { validate } from '../engine/schemas.js'
import { encodeOutput } from '../engine/task-output.js'
import { type ThreadEnd, ThrewInThread } from '../engine/thread-runner.js'
import { GraflowError } from '../errors.js'
import { tasksOf } from '../flow/collect.js'
import type { TaskExpression } from '../flow/expression.js'
import { loadModules } from '../modules/task-modules.js'
import { systemClock } from '../time.js'
import { givenBytes } from '../values/captured.js'
import { decode, encode, encodeFailure } from '../values/codec.js'
import type { FromThread, ThreadData, ToThread } from './messages.js'
import { type Directed, ThreadContext } from './thread-context.js'

type RunMessage = ToThread & { readonly kind: 'run' }

const FOLDER = '/' // paths of modules are absolute

/** The handlers of this thread, and the start that is under way. */
class TaskThread {
  readonly #port: MessagePort
  readonly #tasks = new Map<string, TaskExpression>()
  #current: { readonly call: number; readonly context: ThreadContext } | undefined

  constructor(port: MessagePort) {
    this.#port = port
  }

  async open({ modules, timeoutMs }: ThreadData): Promise<void> {
    try {
      for (const { expressions } of await loadModules(modules, FOLDER, { clock: systemClock, timeoutMs })) {
        for (const expression of expressions) {
          for (const task of tasksOf(expression).values())
            if (task.handler !== undefined) this.#tasks.set(task.name, task)
        }
      }
    } catch (error) {
      this.#send({ kind: 'unusable', error: packedError(error) })
      return
    }
    this.#port.on('message', (message: ToThread) => this.#receive(message))
    this.#send({ kind: 'ready' })
  }

  #receive(message: ToThread): void {
    if (message.kind === 'run') {
      void this.#run(message)
      return
    }
    if (this.#current?.call !== message.call) return // it is over
    const { context } = this.#current
    switch (message.kind) {
      case 'abort':
        ThreadContext.abort(context, decode(message.reason))
        return
      case 'answer':
        ThreadContext.answer(context, message.id, message.value)
        return
      case 'refusal':
        ThreadContext.refuse(context, message.id, decode(message.error))
        return
      default:
        message satisfies never
    }
  }

  async #run({ call, task, input, facts }: RunMessage): Promise<void> {
    const context = new ThreadContext(facts, {
      note: (note) => this.#send({ kind: 'note', call, note }),
      request: (id, request) => this.#send({ kind: 'request', call, id, request }),
    })
    this.#current = { call, context }
    const at = (): string => facts.path
    let said: FromThread
    try {
      const output = await this.#call(task, decode(input), context, at)
      said = { kind: 'ended', call, end: endOf(context.directed, output, { task, runPath: facts.path }) }
    } catch (error) {
      const isFromHandler = error instanceof ThrewInThread
      said = { kind: 'failed', call, error: packedError(isFromHandler ? error.thrown : error), isFromHandler }
    }
    ThreadContext.end(context)
    this.#current = undefined
    this.#send(said)
  }

  /** The handler's call between its two schemas. */
  async #call(task: string, input: unknown, context: ThreadContext, at: () => string): Promise<unknown> {
    const definition = this.#tasks.get(task)
    if (definition?.handler === undefined)
      throw new GraflowError('INTERNAL', `the modules of this thread have no task "${task}"`)
    const parsed =
      definition.input === undefined
        ? input
        : await validate(definition.input, input, 'INVALID_INPUT', task, at, 'input')
    let output: unknown
    try {
      output = await definition.handler(parsed, context)
    } catch (thrown) {
      throw new ThrewInThread(thrown)
    }
    const isDirected = Object.keys(context.directed).length > 0
    return definition.output === undefined || isDirected
      ? output
      : validate(definition.output, output, 'INVALID_OUTPUT', task, at, 'output')
  }

  #send(message: FromThread): void {
    this.#port.postMessage(message, buffersOf(message))
  }
}

function endOf({ again, finish, cancel }: Directed, output: unknown, of: { task: string; runPath: string }): ThreadEnd {
  return {
    // How large it may be is checked where it goes.
    ...(!isControl(output) && { output: encodeOutput(output, of, Number.POSITIVE_INFINITY) }),
    ...(again !== undefined && { again: givenBytes(again.input) }),
    ...(finish !== undefined && { finish: givenBytes(finish.value) }),
    ...(cancel !== undefined && { cancel: encode(cancel.reason) }),
  }
}

/** Whatever was thrown. */
function packedError(thrown: unknown): Uint8Array {
  try {
    return encodeFailure(thrown)
  } catch {
    return encodeFailure(asError(thrown)) // a function, for example
  }
}

/** The memory of what is packed for this message alone: it moves, it is not copied. */
function buffersOf(message: FromThread): ArrayBuffer[] {
  if (message.kind !== 'ended') return []
  return Object.values(message.end as Readonly<Record<string, Uint8Array>>).map(({ buffer }) => buffer as ArrayBuffer)
}

if (parentPort === null) throw new GraflowError('INTERNAL', 'this file is what a thread runs: see thread.ts beside it')
await new TaskThread(parentPort).open(workerData as ThreadData)
