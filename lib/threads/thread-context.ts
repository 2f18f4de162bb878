/**
 * The context of a handler in a thread. What it tells is known when it starts; what it asks is answered by the thread that started it, where the
 * run is. It cannot fork or redirect: what these need, a flow with its handlers, does not cross.
 */
import { describe } from '../describe.js'
import { CONTROLS } from '../engine/directives.js'
import { CHANNEL_METHODS, type ThreadFacts, type ThreadNote, type ThreadRequest } from '../engine/thread-runner.js'
import { checkFraction } from '../engine/progress.js'
import { checkPayload, type Issue } from '../engine/schemas.js'
import { formOf, keptIssues } from '../engine/wait-about.js'
import { GraflowError } from '../errors.js'
import type { LockHere } from '../engine/thread-locks.js'
import type { Channel, ChannelAccess, ChannelLocks, Lock, LockOptions, Logger, TaskContext } from '../flow/context.js'
import { expressionOf } from '../flow/node.js'
import type { Prompt } from '../flow/node-options.js'
import { checkWaitOptions } from '../flow/options.js'
import type { Control } from '../flow/types.js'
import { captured } from '../values/captured.js'
import { decode, encode } from '../values/codec.js'

/** Where the context's calls go. */
export interface ContextPort {
  note(note: ThreadNote): void
  request(id: number, request: ThreadRequest): void
}

/** What the handler directed; its values are captured (values/captured.ts). */
export interface Directed {
  again?: { readonly input: unknown }
  finish?: { readonly value: unknown }
  cancel?: { readonly reason: unknown }
}

interface Asked {
  readonly promise: Promise<unknown>
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

/** One start. */
export class ThreadContext implements TaskContext<unknown> {
  readonly directed: Directed = {}
  readonly #facts: ThreadFacts
  readonly #port: ContextPort
  readonly #controller = new AbortController()
  readonly #asked = new Map<number, Asked>()
  #lastId = 0
  #isOver = false
  #channel: ChannelAccess | undefined

  constructor(facts: ThreadFacts, port: ContextPort) {
    this.#facts = facts
    this.#port = port
  }

  get runId(): string {
    return this.#facts.runId
  }

  get taskName(): string {
    return this.#facts.taskName
  }

  get path(): string {
    return this.#facts.path
  }

  get index(): number | undefined {
    return this.#facts.index
  }

  get cycle(): number {
    return this.#facts.cycle
  }

  get attempt(): number {
    return this.#facts.attempt
  }

  get idempotencyKey(): string {
    return this.#facts.idempotencyKey
  }

  get fence(): number {
    return this.#facts.fence
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  get log(): Logger {
    const write =
      (level: 'debug' | 'info' | 'warn' | 'error') =>
      (message: string, details?: object): void =>
        this.#port.note({
          ...{ name: 'log', level },
          message: textOf(message),
          ...(details !== undefined && { details: packedDetails(details) }),
        })
    return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
  }

  progress(fraction: number, message?: string): void {
    checkFraction(fraction)
    this.#port.note({ name: 'progress', fraction, ...(message !== undefined && { message: textOf(message) }) })
  }

  get channel(): ChannelAccess {
    this.#channel ??= this.#channelAccess()
    return this.#channel
  }

  result(node: unknown): Promise<never> {
    return this.#ask(() => {
      const target = expressionOf(node, 'ctx.result')
      const task = target.kind === 'task' || target.kind === 'workflow' ? target.name : undefined
      return { name: 'result', kind: target.kind, task }
    }) as Promise<never> // the node says what its result is
  }

  async sleep(ms: number): Promise<void> {
    await this.#ask(() => ({ name: 'sleep', ms: encode(ms) }))
  }

  async waitFor(name: string, options: unknown = {}): Promise<never> {
    const { schema } = checkWaitOptions(`ctx.waitFor "${name}"`, options)
    const { schema: _, ...data } = options as { readonly schema?: unknown; readonly prompt?: Prompt } // checked above
    const form = schema === undefined ? {} : formOf(schema, data.prompt)
    let refused: readonly Issue[] | undefined
    for (;;) {
      const said = { ...form, ...(refused !== undefined && { refused }) }
      const came = await this.#ask(() => ({
        ...{ name: 'wait-for', signal: encode(name), options: encode(data), said: encode(said) },
      }))
      const { signal, due } = came as { readonly signal?: unknown; readonly due?: unknown }
      if (!Object.hasOwn(came as object, 'signal')) return due as never // the options say what it gives
      if (schema === undefined) return signal as never
      try {
        return (await checkPayload(schema, signal, name)) as never
      } catch (error) {
        refused = keptIssues(error)
        if (refused === undefined || !(error instanceof GraflowError)) throw error
        this.log.warn(`${error.message}; the run waits for another one`)
      }
    }
  }

  run(): Promise<never> {
    const error = notInThread(this, 'run')
    const refused = Promise.reject(error)
    // Also where nobody waits for it, somebody is to know.
    this.log.warn(error.message)
    refused.catch(() => undefined)
    return refused
  }

  next(): Control {
    throw notInThread(this, 'next')
  }

  goto(): Control {
    throw notInThread(this, 'goto')
  }

  again(input: unknown): Control {
    this.directed.again = { input: this.#captured(input, 'the input of ctx.again') }
    return CONTROLS.again
  }

  finish(value: unknown): Control {
    this.directed.finish = { value: this.#captured(value, 'the value of ctx.finish') }
    return CONTROLS.finish
  }

  #captured(value: unknown, what: string): unknown {
    return captured(value, () => `${what} in task "${this.taskName}" (at ${this.path})`)
  }

  cancel(reason: string): Control {
    this.directed.cancel = { reason }
    return CONTROLS.cancel
  }

  /** Fires the signal. Not for handlers. */
  static abort(context: ThreadContext, reason: unknown): void {
    context.#ignoreRejections()
    context.#controller.abort(reason)
  }

  /** What the handler asked for. Not for handlers. */
  static answer(context: ThreadContext, id: number, value: Uint8Array): void {
    const asked = context.#asked.get(id)
    context.#asked.delete(id)
    try {
      asked?.resolve(decode(value))
    } catch (error) {
      asked?.reject(error)
    }
  }

  /** Why the handler does not get it. Not for handlers. */
  static refuse(context: ThreadContext, id: number, error: unknown): void {
    const asked = context.#asked.get(id)
    context.#asked.delete(id)
    asked?.reject(error)
  }

  /** The handler has ended. Not for handlers. */
  static end(context: ThreadContext): void {
    context.#ignoreRejections()
    context.#isOver = true
  }

  #channelAccess(): ChannelAccess {
    const methods = CHANNEL_METHODS.map((method) => [
      method,
      (...args: unknown[]) =>
        this.#ask(() => ({ name: 'channel', method, args: args.map((argument) => encode(argument)) })),
    ])
    const lock: ChannelLocks['lock'] = (key, options, fn) => this.#lock(key, options, fn)
    const channel = { ...Object.fromEntries(methods), lock } as Channel<Record<string, unknown>>
    const typed = (): Channel<Record<string, unknown>> => channel
    return Object.assign(typed, channel) as ChannelAccess // as engine/channels.ts makes it
  }

  /** The lock is held where the run is; what is called with it is called here. */
  async #lock<R>(key: string, options: LockOptions, fn: (lock: Lock) => R | Promise<R>): Promise<R> {
    if (typeof (fn as unknown) !== 'function') {
      throw new GraflowError('INVALID_OPTION', `lock calls a function while the lock is held, got ${describe(fn)}`)
    }
    const here = await this.#ask(() => ({ name: 'lock', key: encode(key), options: encode(options) }))
    const { number, fence } = here as LockHere
    const lost = new AbortController()
    this.#ask(() => ({ name: 'lock-signal', number })).then(
      (reason) => {
        if (reason !== undefined) lost.abort(reason)
      },
      () => undefined, // the start is over
    )
    let output: R
    try {
      output = await fn({ fence, signal: AbortSignal.any([this.signal, lost.signal]) })
    } catch (error) {
      await this.#ask(() => ({ name: 'unlock', number })).catch(() => undefined) // what the handler threw says more
      throw error
    }
    await this.#ask(() => ({ name: 'unlock', number }))
    return output
  }

  #ask(request: () => ThreadRequest): Promise<unknown> {
    const id = (this.#lastId += 1)
    let asked: Pick<Asked, 'resolve' | 'reject'> | undefined
    const promise = new Promise((resolve, reject) => {
      asked = { resolve, reject }
      if (this.#isOver) reject(isOver(this))
      else this.#port.request(id, request())
    })
    if (this.#isOver || this.signal.aborted) promise.catch(() => undefined)
    if (asked !== undefined) this.#asked.set(id, { promise, ...asked })
    return promise
  }

  /** A handler that goes on past its end rarely waits for what it asks, and the thread is to go on. */
  #ignoreRejections(): void {
    for (const { promise } of this.#asked.values()) promise.catch(() => undefined)
  }
}

/** JavaScript may pass anything: a message must not fail a task. */
const textOf = (message: unknown): string => (typeof message === 'string' ? message : describe(message))

/** A log line must not fail a task: details that cannot be carried are described. */
function packedDetails(details: object): Uint8Array {
  try {
    return encode(details)
  } catch {
    return encode({ details: describe(details) })
  }
}

const notInThread = ({ taskName, path }: ThreadContext, method: string): GraflowError =>
  new GraflowError(
    'NOT_IN_THREAD',
    `task "${taskName}" (at ${path}) called ctx.${method} in a thread, where a handler has no flows to run: do that in a task with isolation 'inline', ` +
      'before or after this one',
    { details: { task: taskName, path, method } },
  )

const isOver = ({ runId }: ThreadContext): GraflowError =>
  new GraflowError(
    'FENCED',
    `the branch of run ${runId} is over: its ctx works only while its handler runs, so await what it starts`,
  )
