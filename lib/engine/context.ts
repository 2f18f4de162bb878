/** The context that a handler gets with its input. Every start makes one, so it is small and computes rarely used values on demand. */
import type { ChannelAccess, Logger, TaskContext } from '../flow/context.js'
import { describe } from '../describe.js'
import type { Expression } from '../flow/expression.js'
import { expressionOf } from '../flow/node.js'
import type { Control } from '../flow/types.js'
import type { Emitter } from '../events.js'
import type { Graph } from '../graph/graph.js'
import { nodeAt, staticPath } from '../graph/locate.js'
import { captured, givenPacked } from '../values/captured.js'
import type { Cancellation } from './cancellation.js'
import { CONTROLS, type Detour, type Directives } from './directives.js'
import { runPathOf, type Execution, type Frame } from './execution.js'
import { checkFraction } from './progress.js'
import type { Progress } from './progress-notes.js'
import type { Issue } from './schemas.js'
import { checkName } from '../flow/names.js'
import { checkDelay, checkWaitOptions, type CheckedWaitOptions } from '../flow/options.js'

/** What the engine does for a handler. */
export interface HandlerContextOptions {
  readonly emitter: Emitter
  /** @param cancel refuses writes once it is aborted */
  channelOf(frame: Frame, cancel: Cancellation): ChannelAccess
  result(frame: Frame, path: string, target: string | Expression): Promise<unknown>
  fork(
    frame: Frame,
    path: string,
    expression: Expression,
    input: unknown,
    timer: Pausable | undefined,
  ): Promise<unknown>
  /** Keeps what a handler says of how far it is. */
  noteProgress(execution: Execution, progress: Progress): void
  /** Waits for time or a signal on behalf of the handler at `path`. */
  wait(frame: Frame, path: string, wait: HandlerWait, start: WaitingStart): Promise<unknown>
}

/** A deadline that stands still while a handler waits for its forks. */
export interface Pausable {
  /** Resolves when the store does not reclaim the start for its deadline any more. */
  pause(): Promise<void>
  /** Resolves when the rest of the deadline counts again. */
  unpause(): Promise<void>
}

/** A wait for a signal, as the flow or a handler says it. */
export interface SignalWait extends CheckedWaitOptions {
  readonly name: string
  /** JSON Schema of the payload, and what the last one was refused for, where a thread has the schema and says them. */
  readonly form?: object
  readonly isExact?: boolean
  readonly needsPayload?: boolean
  readonly refused?: readonly Issue[]
}

/** What a handler waits for: time, or a signal. */
export type HandlerWait = { readonly ms: number } | SignalWait

/** The start that a handler's wait belongs to. */
export interface WaitingStart {
  readonly cancel: Cancellation
  /** Its deadline stands still meanwhile. */
  readonly timer: Pausable | undefined
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** Which start this is. */
export interface StartFacts {
  readonly task: string
  /** In the frame's graph. */
  readonly path: string
  readonly attempt: number
  /** Of the task itself, by `again`; 1 at first. */
  readonly pass: number
}

export class HandlerContext implements TaskContext<unknown> {
  readonly #options: HandlerContextOptions
  readonly #frame: Frame
  readonly #facts: StartFacts
  /** Why this start should stop, such as a timeout. */
  readonly #cancel: Cancellation
  readonly #timer: Pausable | undefined
  #directives: Mutable<Directives> | undefined
  #channel: ChannelAccess | undefined

  constructor(options: HandlerContextOptions, frame: Frame, facts: StartFacts, cancel: Cancellation, timer?: Pausable) {
    this.#options = options
    this.#frame = frame
    this.#facts = facts
    this.#cancel = cancel
    this.#timer = timer
  }

  get runId(): string {
    return this.#frame.execution.facts.runId
  }

  get taskName(): string {
    return this.#facts.task
  }

  get path(): string {
    return runPathOf(this.#frame.use, this.#facts.path)
  }

  get index(): number | undefined {
    return itemAt(this.#frame, this.#facts.path)
  }

  get cycle(): number {
    return this.#facts.pass > 1 ? this.#facts.pass : (innermost(this.#frame.use.graph, this.#facts.path, 'loop') ?? 1)
  }

  get attempt(): number {
    return this.#facts.attempt
  }

  get signal(): AbortSignal {
    return this.#cancel.signal
  }

  get idempotencyKey(): string {
    const pass = this.#facts.pass > 1 ? `#${this.#facts.pass}` : ''
    return `${this.runId}/${this.path}${pass}`
  }

  get fence(): number {
    return this.#frame.execution.facts.fence
  }

  get log(): Logger {
    const write =
      (level: 'debug' | 'info' | 'warn' | 'error') =>
      (message: string, details?: object): void => {
        const { runId, taskName: task, path, attempt } = this
        this.#options.emitter.emit('log', {
          level,
          // JavaScript may pass anything: a log line must not fail the task.
          message: typeof message === 'string' ? message : describe(message),
          runId,
          task,
          path,
          attempt,
          ...(details !== undefined && { details }),
        })
      }
    return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
  }

  progress(fraction: number, message?: string): void {
    checkFraction(fraction)
    const { runId, taskName: task, path } = this
    // Sums of fractions go a little beyond 1: that is no reason to fail.
    const within = Math.min(1, Math.max(0, fraction))
    const given: unknown = message // by the types a text, in JavaScript anything
    const said = given === undefined || typeof given === 'string' ? given : describe(given)
    const { itemLabel: label } = this.#frame.execution.facts
    const named = label === undefined ? {} : { label }
    this.#options.noteProgress(this.#frame.execution, { path, task, ...named, fraction: within, message: said })
    if (!this.#options.emitter.isSubscribed('run:progress', runId)) return
    const words = message === undefined ? {} : { message }
    this.#options.emitter.emit('run:progress', { runId, task, path, ...named, fraction: within, ...words })
  }

  get channel(): ChannelAccess {
    this.#channel ??= this.#options.channelOf(this.#frame, this.#cancel)
    return this.#channel
  }

  async result(node: unknown): Promise<never> {
    const target = expressionOf(node, 'ctx.result')
    return (await this.#options.result(this.#frame, this.#facts.path, target)) as never // the node says what its result is
  }

  run(node: unknown, input?: unknown): Promise<never> {
    const forked = this.#fork(node, input)
    // A handler may return without awaiting it; an unhandled rejection would end the process. Events report its end.
    forked.catch(() => undefined)
    return forked // as above
  }

  async #fork(node: unknown, input: unknown): Promise<never> {
    const expression = expressionOf(node, 'ctx.run')
    // A handler that runs on past its deadline must not begin new work.
    if (this.#cancel.reason !== undefined) throw this.#cancel.reason
    // As it is now: the handler may change it before the flow is sent.
    const given = givenPacked(this.#captured(input, 'the input of ctx.run'))
    return (await this.#options.fork(this.#frame, this.#facts.path, expression, given, this.#timer)) as never
  }

  sleep(ms: number): Promise<void> {
    return this.#wait(() => ({ ms: checkDelay('ctx.sleep: the time', ms) })) as Promise<void> // it gives nothing
  }

  /** @param said of a thread, which has the schema */
  waitFor(
    name: string,
    options?: unknown,
    said: Pick<SignalWait, 'form' | 'isExact' | 'needsPayload' | 'refused'> = {},
  ): Promise<never> {
    return this.#wait(() => ({
      name: checkName('signal', name),
      ...checkWaitOptions(`ctx.waitFor "${name}"`, options),
      ...said,
    })) as Promise<never> // its options say what it gives
  }

  #wait(checked: () => HandlerWait): Promise<unknown> {
    const waiting = this.#waitFor(checked)
    waiting.catch(() => undefined) // as of a fork
    return waiting
  }

  async #waitFor(checked: () => HandlerWait): Promise<unknown> {
    const wait = checked()
    if (this.#cancel.reason !== undefined) throw this.#cancel.reason
    const start = { cancel: this.#cancel, timer: this.#timer }
    return this.#options.wait(this.#frame, this.#facts.path, wait, start)
  }

  next(node: unknown, ...input: [input?: unknown]): Control {
    this.#direct().next = [...this.#direct().next, this.#detour(node, 'ctx.next', input)]
    return CONTROLS.next
  }

  goto(node: unknown, ...input: [input?: unknown]): Control {
    this.#direct().goto = this.#detour(node, 'ctx.goto', input)
    return CONTROLS.goto
  }

  again(input: unknown): Control {
    this.#direct().again = { input: this.#captured(input, 'the input of ctx.again') }
    return CONTROLS.again
  }

  finish(value: unknown): Control {
    this.#direct().finish = { value: this.#captured(value, 'the value of ctx.finish') }
    return CONTROLS.finish
  }

  cancel(reason = 'no reason given'): Control {
    this.#direct().cancel = { reason }
    return CONTROLS.cancel
  }

  /** Undefined, as nearly always, when the handler directed nothing. Not for handlers. */
  static directives(context: HandlerContext): Directives | undefined {
    return context.#directives
  }

  /** The start that this context was made for. Not for handlers. */
  static execution(context: HandlerContext): Execution {
    return context.#frame.execution
  }

  #detour(node: unknown, call: 'ctx.next' | 'ctx.goto', input: [input?: unknown]): Detour {
    const expression = expressionOf(node, call)
    return { expression, input: this.#captured(input[0], `the input of ${call}`), hasInput: input.length > 0 }
  }

  #captured(value: unknown, what: string): unknown {
    return captured(value, () => `${what} in task "${this.taskName}" (at ${this.path})`)
  }

  #direct(): Mutable<Directives> {
    this.#directives ??= { next: [], goto: undefined, again: undefined, finish: undefined, cancel: undefined }
    return this.#directives
  }
}

/** The number of the innermost each's item around a path of the frame's graph, or around that graph. */
export const itemAt = ({ use }: Pick<Frame, 'use'>, path: string): number | undefined =>
  innermost(use.graph, path, 'each') ?? use.item

/** The number of the innermost each (item, from 0) or loop (pass, from 1) around a path. */
function innermost(graph: Graph, path: string, kind: 'each' | 'loop'): number | undefined {
  const segments = path.split('/')
  for (let end = segments.length - 1; end > 0; end -= 1) {
    const above = staticPath(graph, segments.slice(0, end).join('/'))
    if (above !== undefined && nodeAt(graph, above)?.kind === kind) return Number(segments[end])
  }
  return undefined
}
