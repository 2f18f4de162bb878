/**
 * Tasks on their way to a worker that speaks HTTP, and what comes back: a grant becomes tasks with an input in JSON, a result becomes a report under the
 * store's token. The same rules hold as for any worker: which start is the last, how a failure is reported, what a task's own terms are.
 */
import type { Backend, Grant, SettleAnswer, SettleKind, SettleRange } from '../../backend/backend.js'
import { GraflowError } from '../../errors.js'
import type { Emitter } from '../../events.js'
import type { Engine } from '../../engine/engine.js'
import { endOfStart } from '../../engine/failure.js'
import type { PreparedBranch, PreparedGrant } from '../../engine/prepared-grant.js'
import { encodeOutput } from '../../engine/task-output.js'
import { NO_OPTIONS, reportsFrom, taskInHand } from '../../engine/task-terms.js'
import type { TaskOptions } from '../../flow/node-options.js'
import type { GraphNode, Graph } from '../../graph/graph.js'
import type { Announcer } from '../../session/announcer.js'
import type { Clock, Random } from '../../time.js'
import { encodeTimes } from '../../values/branch-times.js'
import { encodeFailure } from '../../values/codec.js'
import { EMPTY_BYTES, byteLength, packOne } from '../../values/packed-items.js'
import { wholeValue, type ValueTypes } from '../typed-values.js'
import { fenceOf, labelled, NOT_SIGNED, runOf, type RemoteToken, type RemoteTokens } from './remote-token.js'

export interface RemoteTasksOptions {
  /** As it is: a call fails while the store is away, and the worker asks again. */
  readonly store: Pick<Backend, 'settle' | 'step' | 'limits'>
  readonly engine: Engine
  readonly tokens: RemoteTokens
  readonly emitter: Emitter
  readonly announcer: Announcer | undefined
  readonly clock: Clock
  readonly random: Random
}

/** A task as its worker gets it. The input comes last, so that a worker without a parser can cut it out. */
export interface RemoteTask {
  /** Given back with the result. */
  readonly token: string
  readonly task: string
  readonly runId: string
  readonly path: string
  /** In an `each`. */
  readonly index?: number
  /** Of its item, where the each labels these. */
  readonly label?: string
  /** 1 + errors + losses. */
  readonly attempt: number
  readonly fence: number
  /** Stable over attempts. */
  readonly idempotencyKey: string
  readonly timeoutMs?: number
  /** W3C Trace Context, where the run is traced. */
  readonly traceparent?: string
  /** What stands at a place of the input, by its JSON pointer, where JSON has no form for it: absent where that is nothing. */
  readonly types?: ValueTypes
  readonly input: unknown
}

/** What a worker says of one task. */
export interface RemoteReport {
  readonly token: string
  readonly result?: unknown
  readonly error?: RemoteError
  readonly release?: boolean
}
/** As a handler's own error, in JSON. */
export interface RemoteError {
  readonly name?: string
  readonly message: string
  readonly stack?: string
  readonly code?: string | number
  readonly retryable?: boolean
  readonly details?: Readonly<Record<string, unknown>>
}

/** What became of a report. `retrying`: it failed, and is started again. `repeated`: the first report under this token counts, and this changed nothing. */
export type ReportEnd = 'succeeded' | 'failed' | 'retrying' | 'released' | 'repeated'
export type ReportAnswer =
  | { readonly token: string; readonly state: ReportEnd; readonly error?: GraflowError }
  /** Nothing was changed. */
  | { readonly token: string; readonly state: 'refused'; readonly error: GraflowError }

/** A report as it is settled. */
interface Report {
  readonly start: RemoteToken
  readonly text: string
  readonly kind: SettleKind
  readonly range: SettleRange
  readonly durationMs: number
  readonly delayMs: number
  readonly error: GraflowError | undefined
}

export class RemoteTasks {
  readonly #options: RemoteTasksOptions

  constructor(options: RemoteTasksOptions) {
    this.#options = options
  }

  /** The tasks of a grant that the session has; what cannot be started fails, as in any worker. */
  async of(session: string, grant: Grant, workerId: string): Promise<readonly RemoteTask[]> {
    const { engine, announcer } = this.#options
    if (grant.isWatched !== undefined) announcer?.learn(grant.spec.runId, grant.isWatched)
    this.#emitWaited(grant)
    let prepared: PreparedGrant
    try {
      prepared = await engine.prepare(grant)
    } catch (error) {
      await this.#failAll(session, grant, error)
      return []
    }
    const tasks = await Promise.all(Array.from(grant.indexes, (_, k) => this.#task(session, prepared, k, workerId)))
    return tasks.flatMap((task) => task ?? [])
  }

  /**
   * Settles what a worker reports, each under its token; answers in order. Repeating it is safe.
   * @throws GraflowError INVALID_OPTION for a token that is none, with nothing settled; REDIS_UNAVAILABLE
   */
  async report(session: string, workerId: string, reports: readonly RemoteReport[]): Promise<readonly ReportAnswer[]> {
    const starts = await this.#options.tokens.decode(reports.map(({ token }) => token))
    const all = await Promise.all(
      reports.flatMap((report, i) => {
        const start = starts[i]
        return start?.isSigned === true ? this.#reportOf(report, start, workerId) : []
      }),
    )
    const answers: SettleAnswer[] = []
    this.#options.announcer?.deliver()
    for (const ranges of inCalls(
      all.map(({ range }) => range),
      this.#options.store.limits,
    ))
      answers.push(...(await this.#options.store.settle({ session, ranges })))
    this.#emit(workerId, all, answers)
    const settled = all.map((report, i) => answerOf(report, answers[i] ?? 'gone')).values()
    return reports.map(
      ({ token }, i) => (starts[i]?.isSigned === true ? (settled.next().value as ReportAnswer) : notSigned(token)), // one for each that is
    )
  }

  async #task(session: string, prepared: PreparedGrant, k: number, workerId: string): Promise<RemoteTask | undefined> {
    const { clock, emitter } = this.#options
    const branch = prepared.branch(k)
    const { graph, hash } = prepared.use
    const node = branch.node ?? graph.root
    const { gid, index, token } = branch.holder
    if (node.kind !== 'task') {
      const range = { gid, token, indexes: [index], kinds: ['released' as const], values: packOne(EMPTY_BYTES) }
      await this.#options.store.settle({ session, ranges: [range] })
      return undefined
    }
    const task = node.name
    const options = graph.tasks[task] ?? NO_OPTIONS
    const counts = await this.#counts(prepared, branch, task, options)
    if (counts === 'fenced') return undefined
    const { errors, losses } = counts
    const path = branch.runPath
    const { runId } = branch
    const attempt = 1 + errors + losses
    const { eventIndex, itemLabel: label } = branch
    const start = { gid, index, token, graph: hash, task, path, eventIndex, label, errors, losses }
    if (emitter.isSubscribed('branch:started', runId)) {
      const facts = { runId, path, task, ...labelled(start), index: eventIndex, workerId, attempt }
      emitter.emit('branch:started', facts)
    }
    const { trace } = prepared.grant.spec
    return {
      token: await this.#options.tokens.encode({ ...start, startedAt: clock.now() }),
      ...{ task, runId, path },
      ...(isItem(prepared.node) && { index, ...labelled(start) }),
      ...{ attempt, fence: branch.fence, idempotencyKey: `${runId}/${path}` },
      ...(options.timeoutMs !== undefined && { timeoutMs: options.timeoutMs }),
      ...(trace !== undefined && { traceparent: trace }),
      ...inputOf(branch),
    }
  }

  /** What was counted of the branch's starts; the store learns first the terms of a task whose group was opened with others. */
  async #counts(
    { grant: { spec } }: PreparedGrant,
    branch: PreparedBranch,
    task: string,
    options: TaskOptions,
  ): Promise<{ readonly errors: number; readonly losses: number } | 'fenced'> {
    const { errors, losses, hasTask, holder, runId, runPath: path } = branch
    if (!hasTask && losses < reportsFrom(options, spec)) return { errors, losses }
    const inHand = taskInHand({ task, path, options, errors, losses })
    const answer = await this.#options.store.step({ holder, runId, task: inHand })
    return answer.status === 'ok' ? (answer.counts ?? { errors, losses }) : 'fenced'
  }

  async #failAll(session: string, { spec: { gid }, token, indexes }: Grant, thrown: unknown): Promise<void> {
    const error =
      thrown instanceof GraflowError
        ? thrown
        : new GraflowError('INTERNAL', `${gid} cannot be started`, { cause: thrown })
    if (error.retryable && error.code !== 'NO_GRAPH') throw error // the store is away: the grant is given out with a later call
    const value = encodeFailure(error)
    for (const index of indexes) {
      const range: SettleRange = { gid, token, indexes: [index], kinds: ['failed'], values: packOne(value) }
      await this.#options.store.settle({ session, ranges: [range] })
    }
  }

  async #reportOf(report: RemoteReport, start: RemoteToken, workerId: string): Promise<Report> {
    const { clock } = this.#options
    const endAt = clock.now()
    const durationMs = Math.max(0, endAt - start.startedAt)
    const facts = { start, text: report.token, durationMs, delayMs: 0, error: undefined }
    if (report.release === true) return { ...facts, kind: 'released', range: rangeOf(start, 'released', EMPTY_BYTES) }
    const times = timesOf(start, workerId, durationMs, endAt)
    if (report.error === undefined) {
      try {
        const value = this.#encoded(report.result, start)
        return { ...facts, kind: 'succeeded', range: { ...rangeOf(start, 'succeeded', value), ...times } }
      } catch (error) {
        if (!(error instanceof GraflowError)) throw error
        return {
          ...facts,
          kind: 'failed',
          error,
          range: { ...rangeOf(start, 'failed', encodeFailure(error)), ...times },
        }
      }
    }
    const thrown = errorOf(report.error)
    const { task, path, label, errors } = start
    const options = await this.#optionsOf(start)
    // whoever is granted it next meets the same and fails it; where it is over, the token says so
    if (options === undefined) return { ...facts, kind: 'released', range: rangeOf(start, 'released', EMPTY_BYTES) }
    const end = endOfStart(thrown, true, { task, path, label, errors: errors + 1 }, options, this.#options.random)
    const range = { ...rangeOf(start, end.kind, encodeFailure(end.error)), ...times }
    const { kind, delayMs, error } = end
    return { ...facts, kind, delayMs, error, range: kind === 'retry' ? { ...range, delaysMs: [delayMs] } : range }
  }

  #encoded(result: unknown, { task, path }: RemoteToken): Uint8Array {
    return encodeOutput(result, { task, runPath: path }, this.#options.engine.parts.limits.resultBytes)
  }

  /** Undefined where its graph is not kept any more, as that of a run that is gone. */
  async #optionsOf({ graph: hash, task }: RemoteToken): Promise<TaskOptions | undefined> {
    try {
      const graph: Graph = await this.#options.engine.graphs.load(hash)
      return graph.tasks[task] ?? NO_OPTIONS
    } catch (error) {
      if (error instanceof GraflowError && error.code === 'NO_GRAPH') return undefined
      throw error
    }
  }

  #emitWaited({ waitedMs, errors, losses }: Grant): void {
    const { emitter } = this.#options
    if (waitedMs === undefined || !emitter.has('branches:granted')) return
    const count = errors.reduce((sum, n, k) => sum + (n === 0 && losses[k] === 0 ? 1 : 0), 0)
    if (count > 0) emitter.emit('branches:granted', { count, waitedMs })
  }

  #emit(workerId: string, reports: readonly Report[], answers: readonly SettleAnswer[]): void {
    const { emitter } = this.#options
    const counted = reports.filter(({ kind }, i) => answers[i] === 'ok' && kind !== 'released')
    if (emitter.has('branches:settled')) {
      const sum = (of: readonly Report[], is: (kind: SettleKind) => boolean): number =>
        of.filter(({ kind }) => is(kind)).length
      const countsOf = (of: readonly Report[]): { succeeded: number; failed: number; retried: number } => ({
        succeeded: sum(of, (kind) => kind === 'succeeded'),
        failed: sum(of, (kind) => kind === 'failed' || kind === 'dead'),
        retried: sum(of, (kind) => kind === 'retry'),
      })
      const names = [...new Set(counted.map(({ start }) => start.task))]
      const tasks = names.map((task) => {
        const own = counted.filter(({ start }) => start.task === task)
        return { task, ...countsOf(own), durationMs: own.reduce((ms, { durationMs }) => ms + durationMs, 0) }
      })
      const fenced = answers.filter((answer) => answer === 'fenced').length
      emitter.emit('branches:settled', { workerId, ...countsOf(counted), fenced, tasks })
    }
    for (const report of counted) this.#emitEnd(workerId, report)
  }

  #emitEnd(workerId: string, { start, kind, delayMs, error }: Report): void {
    const { emitter } = this.#options
    const { task, path, eventIndex: index, errors, losses } = start
    const runId = runOf(start)
    const facts = { runId, path, task, ...labelled(start), attempt: 1 + errors + losses }
    if (error !== undefined && emitter.has('start:failed'))
      emitter.emit('start:failed', { ...facts, workerId, what: 'branch', ...(kind === 'retry' && { delayMs }), error })
    if (kind === 'retry') {
      if (error !== undefined && emitter.isSubscribed('branch:retrying', runId))
        emitter.emit('branch:retrying', { ...facts, index, delayMs, error })
    } else if (emitter.isSubscribed('branch:settled', runId)) {
      const status = kind === 'succeeded' || kind === 'dead' ? kind : 'failed'
      emitter.emit('branch:settled', { ...facts, index, workerId, status })
    }
  }
}

const notSigned = (token: string): ReportAnswer => ({
  ...{ token, state: 'refused' },
  error: new GraflowError('FENCED', `${NOT_SIGNED}: the report changes nothing`),
})

/** Its input as JSON, whole. */
function inputOf(branch: PreparedBranch): Pick<RemoteTask, 'types' | 'input'> {
  const { value: input, types } = wholeValue(branch.input())
  return Object.keys(types).length === 0 ? { input } : { types, input }
}

const isItem = (node: GraphNode | undefined): boolean => node?.kind === 'each'

const rangeOf = ({ gid, token, index }: RemoteToken, kind: SettleKind, value: Uint8Array): SettleRange => ({
  ...{ gid, token, indexes: [index], kinds: [kind], values: packOne(value) },
})

/** For people, who look at the run afterwards. */
function timesOf(
  { errors, losses }: RemoteToken,
  workerId: string,
  durationMs: number,
  endAt: number,
): Pick<SettleRange, 'times'> {
  const counts = errors + losses > 0 ? { counts: { errors: [errors], losses: [losses] } } : {}
  const times = encodeTimes({ workerId, isNamed: true, starts: [0], end: durationMs, endAt, ...counts })
  return times === undefined ? {} : { times }
}

/** An error as a handler would have thrown it. */
function errorOf({ name, message, stack, code, retryable, details }: RemoteError): Error {
  const error = new Error(message)
  error.name = name ?? 'Error'
  error.stack = stack ?? `${error.name}: ${message}`
  return Object.assign(error, {
    ...(code !== undefined && { code }),
    ...(retryable !== undefined && { retryable }),
    ...(details !== undefined && { details }),
  })
}

/** Ranges in as many lists as it takes to keep each within the limits of a call. */
function inCalls(ranges: readonly SettleRange[], { itemsPerCall, bytesPerCall }: Backend['limits']): SettleRange[][] {
  const calls: SettleRange[][] = []
  let call: SettleRange[] = []
  let bytes = 0
  for (const range of ranges) {
    bytes += byteLength(range.values)
    if (call.length === 0 || call.length >= itemsPerCall || bytes > bytesPerCall) {
      calls.push((call = []))
      bytes = byteLength(range.values)
    }
    call.push(range)
  }
  return calls
}

const ENDS: Readonly<Record<SettleKind, ReportEnd>> = {
  ...{
    succeeded: 'succeeded',
    failed: 'failed',
    dead: 'failed',
    retry: 'retrying',
    released: 'released',
    parked: 'released',
  },
}

function answerOf({ text, kind, start, error }: Report, answer: SettleAnswer): ReportAnswer {
  const { path, task } = start
  const details = { runId: runOf(start), path, fence: fenceOf(start) }
  switch (answer) {
    case 'ok':
      return { token: text, state: ENDS[kind], ...(error !== undefined && { error }) }
    case 'dup':
      return { token: text, state: 'repeated' }
    case 'withdrawn': {
      const message = `task "${task}" (at ${path}) is not wanted any more: its run was cancelled, or its group is decided`
      return { token: text, state: 'refused', error: new GraflowError('CANCELLED', message, { details }) }
    }
    case 'fenced':
    case 'gone': {
      const message = `task "${task}" (at ${path}) is another worker's now, or over: what this token proves was taken back`
      return { token: text, state: 'refused', error: new GraflowError('FENCED', message, { details }) }
    }
    default:
      return answer satisfies never
  }
}
