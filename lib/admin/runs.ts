/** The runs of a store as operators see them: lists, one run, its flow and values; and commands on one or on many. */
import type { Inspector, ListedRun, RunPage, RunQuery, RunRecord } from '../backend/backend.js'
import { cancelled } from '../engine/engine.js'
import { outcomeOfRun } from '../engine/driver.js'
import { describe } from '../describe.js'
import { GraflowError } from '../errors.js'
import { UNFINISHED_STATES } from '../events.js'
import { toMermaid } from '../graph/mermaid.js'
import { toSvg } from '../graph/svg.js'
import type {
  BulkOptions,
  Page,
  RetryRunOptions,
  RunFilter,
  RunGraph,
  RunListOptions,
  RunReport,
  RunSummary,
} from '../producer/operator-types.js'
import type { OperatorServices } from '../producer/operators.js'
import { RunCommands } from '../producer/run-commands.js'
import { baseIdOf } from '../producer/run-handle.js'
import { runNotFound } from '../producer/handle-services.js'
import type { Decision, SettleOptions } from '../producer/operator-types.js'
import type { Run, Runs, RunStatus, SignalOptions } from '../producer/types.js'
import { pageOf } from '../report/page.js'
import { encodeFailure } from '../values/codec.js'
import { reasonText } from '../values/error-record.js'
import { checkBulk, inBulk } from './bulk.js'
import { among, bulkCriteriaOf, listingOf } from './filters.js'
import { reportOf } from './report.js'
import { readValue } from './run-values.js'
import { type Sift, sifted } from './sift.js'

const NO_REASON = 'no reason given'

export class RunDesk implements Runs {
  readonly #services: OperatorServices
  readonly #commands: RunCommands

  constructor(services: OperatorServices) {
    this.#services = services
    this.#commands = new RunCommands(services)
  }

  async list(options?: RunListOptions): Promise<Page<RunSummary>> {
    this.#services.checkOpen()
    const { query, sift } = listingOf('runs.list', options)
    const page: RunPage = query.states?.length === 0 ? { items: [] } : await this.#among(sift).runs(query)
    const items = await Promise.all(page.items.map((run) => this.#summary(run)))
    return { items, ...(page.after !== undefined && { cursor: page.after }) }
  }

  #among(sift: Sift | undefined): Pick<Inspector, 'runs'> {
    return sift === undefined ? this.#services.backend.inspect : sifted(this.#services, sift)
  }

  async get(id: string): Promise<RunStatus | undefined> {
    try {
      return await this.#handle('get', id).status()
    } catch (error) {
      if (error instanceof GraflowError && error.code === 'RUN_NOT_FOUND') return undefined
      throw error
    }
  }

  async graph(id: string): Promise<RunGraph> {
    const { graph: hash } = await this.#record('graph', id)
    const graph = await this.#services.engine.graphs.load(hash)
    return { hash, graph, toMermaid: () => toMermaid(graph), toSvg: () => toSvg(graph) }
  }

  async value(id: string, path: string, which: 'input' | 'output'): Promise<unknown> {
    checkPlace(path, which)
    return readValue(this.#services.engine, await this.#record('value', id), path, which)
  }

  async report(id: string): Promise<RunReport> {
    const record = await this.#record('report', id)
    const { steps } = await this.#handle('report', id).status()
    const data = await reportOf(this.#services, record, steps)
    return { data, toHtml: () => pageOf(data) }
  }

  pause(id: string): Promise<boolean> {
    return this.#handle('pause', id).pause()
  }

  resume(id: string): Promise<boolean> {
    return this.#handle('resume', id).resume()
  }

  signal(id: string, name: string, payload?: unknown, options?: SignalOptions): Promise<boolean> {
    return this.#handle('signal', id).signal(name, payload, options)
  }

  settle(id: string, path: string, as: Decision, options?: SettleOptions): Promise<boolean> {
    return this.#commands.settle(id, path, as, options)
  }

  cancel(id: string, reason?: string): Promise<boolean>
  cancel(filter: RunFilter, options?: BulkOptions & { readonly reason?: string }): Promise<number>
  async cancel(
    which: string | RunFilter,
    how: string | (BulkOptions & { readonly reason?: string }) = {},
  ): Promise<boolean | number> {
    if (isFilter(which)) {
      const { reason = NO_REASON, ...options } = typeof how === 'string' ? { reason: how } : how
      return this.#bulk('cancel', which, UNFINISHED_STATES, options, ({ runId }) => this.#cancel(runId, reason))
    }
    return this.#handle('cancel', which).cancel(typeof how === 'string' ? how : (how.reason ?? NO_REASON))
  }

  retry(id: string, options?: RetryRunOptions): Promise<boolean>
  retry(filter: RunFilter, options?: BulkOptions): Promise<number>
  async retry(which: string | RunFilter, options: RetryRunOptions & BulkOptions = {}): Promise<boolean | number> {
    if (!isFilter(which)) return this.#commands.retry(which, options)
    return this.#bulk('retry', which, ['failed', 'cancelled'], options, ({ runId }) =>
      this.#commands.retryByWorkers(runId),
    )
  }

  delete(id: string): Promise<boolean>
  delete(filter: RunFilter, options?: BulkOptions): Promise<number>
  async delete(which: string | RunFilter, options: BulkOptions = {}): Promise<boolean | number> {
    if (!isFilter(which)) return this.#commands.delete(which)
    return this.#bulk('delete', which, undefined, options, ({ runId }) => this.#commands.delete(runId))
  }

  /** @param able the states in which a run can be, for the command to do something */
  async #bulk(
    what: 'cancel' | 'retry' | 'delete',
    filter: RunFilter,
    able: RunQuery['states'],
    options: BulkOptions,
    command: (run: ListedRun) => Promise<boolean>,
  ): Promise<number> {
    this.#services.checkOpen()
    const { query, sift } = bulkCriteriaOf(`runs.${what}`, filter)
    const how = checkBulk(`runs.${what}`, options)
    const states = able === undefined ? query.states : among(query.states, able)
    if (states?.length === 0) return 0
    return inBulk(this.#among(sift), { ...query, ...(states !== undefined && { states }) }, how, command)
  }

  async #cancel(runId: string, why: string): Promise<boolean> {
    const reason = reasonText(why)
    const value = encodeFailure(cancelled(runId, reason))
    return (await this.#services.backend.control({ kind: 'cancel-run', runId, reason, value })) === 'ok'
  }

  /** What a failed run ended with is asked for apart: it may be large. */
  async #summary(run: ListedRun): Promise<RunSummary> {
    const at = (ms: number | undefined): Date | undefined => (ms === undefined ? undefined : new Date(ms))
    const isOver = run.endedAt !== undefined
    const mayHaveError = run.state === 'failed' || run.state === 'cancelled'
    const record = mayHaveError ? await this.#services.backend.inspect.run(run.runId) : undefined
    const outcome = record === undefined || record.state !== run.state ? undefined : outcomeOfRun(record)
    return {
      id: run.runId,
      workflow: run.workflow,
      state: run.state,
      tags: run.tags,
      createdAt: new Date(run.createdAt),
      startedAt: at(run.startedAt),
      endedAt: at(run.endedAt),
      driver: isOver ? undefined : baseIdOf(run.driver),
      retries: run.retries,
      build: run.build,
      priority: run.terms.priority,
      queue: run.terms.queue,
      error: outcome !== undefined && 'error' in outcome ? outcome.error : undefined,
    }
  }

  #handle(what: string, id: unknown): Run<unknown> {
    this.#services.checkOpen()
    return this.#services.handleOf(checkId(what, id))
  }

  async #record(what: string, id: unknown): Promise<RunRecord> {
    this.#services.checkOpen()
    const known = checkId(what, id)
    const record = await this.#services.backend.inspect.run(known)
    if (record === undefined) throw runNotFound(known)
    return record
  }
}

/** A filter is an object; what is neither that nor an id is refused where ids are checked. */
const isFilter = (which: unknown): which is RunFilter => typeof which === 'object' && which !== null

/** Callers may have no types. @throws GraflowError INVALID_OPTION */
function checkPlace(path: unknown, which: unknown): void {
  if (typeof path === 'string' && (which === 'input' || which === 'output')) return
  throw new GraflowError(
    'INVALID_OPTION',
    `runs.value: expected a path, and 'input' or 'output', got ${describe(path)} and ${describe(which)}`,
    { details: { option: typeof path === 'string' ? 'which' : 'path' } },
  )
}

/** The same. @throws GraflowError INVALID_OPTION */
function checkId(what: string, id: unknown): string {
  if (typeof id === 'string') return id
  throw new GraflowError('INVALID_OPTION', `runs.${what} takes the id of a run, a string, got ${describe(id)}`, {
    details: { option: 'id' },
  })
}
