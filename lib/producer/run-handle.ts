/** A run as its holder sees it: questions to the store, and changes as they come. Where the run is driven makes no difference. */
import type { ControlAnswer, GroupStatus, RunRecord } from '../backend/backend.js'
import { NO_OUTCOMES } from '../backend/no-outcomes.js'
import { labelsOfPlaces, StoredLabels } from '../engine/branch-labels.js'
import { cancelled } from '../engine/engine.js'
import { encodeFailure } from '../values/codec.js'
import { reasonText } from '../values/error-record.js'
import { isEnded, outcomeOfRun } from '../engine/driver.js'
import { readResult } from '../engine/results.js'
import { FORWARDED, type RunEvent } from '../events.js'
import { expressionOf } from '../flow/node.js'
import type { Graph } from '../graph/graph.js'
import type { CallingHandler } from './awaiting-handlers.js'
import { branchOutcomes } from './branch-outcomes.js'
import { forwardedGroups } from './forwarded-groups.js'
import { Channelled } from './channelled.js'
import { changesOf, isDistant } from './follow-run.js'
import { countsOf } from './group-counts.js'
import { runGone, runLost, runNotFound, type HandleServices } from './handle-services.js'
import { waitsIn } from './run-waits.js'
import { notedOf, seenOf } from './seen-steps.js'
import { sendSignal } from './signals.js'
import type { DecisionByHand } from './operator-types.js'
import type { BranchOutcome, GroupProgress, Run, RunStatus, RunStep, SignalOptions } from './types.js'

/** Events that wait for a slow reader; more are left out, and counted. */
const MOST_WAITING_EVENTS = 10_000

const NONE_PURGED = { branches: 0, withdrawn: 0, dispatchers: [] } as const

const RUN_EVENTS = ['run:state', ...FORWARDED] as const satisfies readonly RunEvent['type'][]

export class RunHandle implements Run<unknown> {
  readonly id: string
  readonly #services: HandleServices
  readonly #caller: CallingHandler | 'no handler' | undefined
  /** It was logged that no process drives it. */
  #isAbandonmentLogged = false

  /** @param caller the handler that has it; `no handler`: no handler waits for it here */
  constructor(id: string, services: HandleServices, caller?: CallingHandler | 'no handler') {
    this.id = id
    this.#services = services
    this.#caller = caller
  }

  async result(target?: unknown): Promise<never> {
    const value = target === undefined ? await this.#waiting(() => this.#end()) : await this.#resultOf(target)
    return value as never // the type is the caller's flow's: Run<O> says it
  }

  async status(): Promise<RunStatus> {
    const { inspect } = this.#services.backend
    // In one write; the groups, and what was noted, are no older than the record.
    const [record, found, noted] = await Promise.all([
      this.#record(),
      inspect.groups(this.id),
      notedOf(this.#services.engine, this.id),
    ])
    const isOver = isEnded(record)
    const forwarded = await forwardedGroups(found, this.#services.engine.graphs)
    const counted = found.filter((group) => !forwarded.has(group)).map((group) => (isOver ? closed(group) : group))
    const groups = counted.map(
      (group): GroupProgress => ({
        path: group.gid.slice(this.id.length + 1),
        state: group.state,
        width: group.size,
        ...countsOf(group),
      }),
    )
    const waits = await waitsIn(this.#services, record, found, noted.records)
    const { steps, progress, counts } = seenOf(noted, record.state)
    const gone = record.purged ?? NONE_PURGED
    const dispatching = dispatchingSteps(steps, groups, gone.dispatchers)
    const outcome = isOver ? outcomeOfRun(record) : undefined
    const at = (ms: number | undefined): Date | undefined => (ms === undefined ? undefined : new Date(ms))
    return {
      id: this.id,
      workflow: record.workflow,
      state: record.state,
      createdAt: new Date(record.createdAt),
      startedAt: at(record.startedAt),
      endedAt: at(record.endedAt),
      tags: record.tags,
      driver: isOver ? undefined : baseIdOf(record.driver),
      retries: record.retries,
      byHand: await this.#byHand(record, found),
      done: counted.reduce(
        (sum, group) => sum + group.succeeded + group.failed + group.dead + group.withdrawn,
        counts.done + gone.branches - dispatching.filter(isStepOver).length,
      ),
      withdrawn: counted.reduce((sum, group) => sum + group.withdrawn, gone.withdrawn),
      total: counted.reduce((sum, group) => sum + group.size, counts.total + gone.branches - dispatching.length),
      steps,
      groups,
      progress,
      waits,
      error: outcome !== undefined && 'error' in outcome ? outcome.error : undefined,
    }
  }

  async cancel(why: unknown = 'no reason given'): Promise<boolean> {
    const reason = reasonText(why)
    const answer = await this.#services.backend.control({
      kind: 'cancel-run',
      runId: this.id,
      reason,
      value: encodeFailure(cancelled(this.id, reason)),
    })
    if (answer === 'gone') throw runNotFound(this.id)
    return answer === 'ok'
  }

  /** When this resolves, also where another has paused the run just before, nothing of it is started any more. */
  async pause(): Promise<boolean> {
    const answer = await this.#control('pause-run')
    if (answer !== 'over') await this.#services.engine.pauses.changed(this.id)
    return answer === 'ok'
  }

  async resume(): Promise<boolean> {
    return (await this.#control('resume-run')) === 'ok'
  }

  signal(name: string, payload?: unknown, options?: SignalOptions): Promise<boolean> {
    return sendSignal(this.#services, this.id, name, payload, options)
  }

  async #control(kind: 'pause-run' | 'resume-run'): Promise<ControlAnswer> {
    const answer = await this.#services.backend.control({ kind, runId: this.id })
    if (answer === 'gone') throw runNotFound(this.id)
    if (answer === 'ok') await this.#changed(kind === 'pause-run' ? 'paused' : 'resumed')
    return answer
  }

  async #changed(change: 'paused' | 'resumed'): Promise<void> {
    this.#services.emitter.emit('workflow:execution', { runId: this.id, change })
    await this.#services.states.noteChange(this.id)
  }

  events(): AsyncIterableIterator<RunEvent> {
    const { emitter, closed, states, engine } = this.#services
    const queue = new Channelled<RunEvent>({
      most: MOST_WAITING_EVENTS,
      omitted: (count) => {
        const omitted = { runId: this.id, count }
        emitter.emit('run:omitted', omitted)
        return { type: 'run:omitted', at: new Date(engine.parts.clock.now()), ...omitted }
      },
    })
    // Also where the events are never read: a reader that ends or leaves them stops them.
    const stop = (): void => {
      for (const unsubscribe of off) unsubscribe()
      queue.end()
    }
    const off = RUN_EVENTS.map((name) =>
      emitter.subscribe(name, (event) => {
        if (event.runId !== this.id) return
        queue.push(event, event.type === 'run:state')
        if (
          event.type === 'run:state' &&
          (event.to === 'completed' || event.to === 'failed' || event.to === 'cancelled')
        )
          stop()
      }),
    )
    off.push(closed.onAbort(stop))
    if (this.#services.driven(this.id) === undefined) off.push(this.#services.watchRun(this.id))
    // A run that is over already has no more events; asked after subscribing, so that its end is not missed.
    this.#record().then(
      (record) => {
        if (isEnded(record)) stop()
        else states.follow(record)
      },
      (error: unknown) => {
        queue.fail(error)
        stop()
      },
    )
    return this.#read(queue.iterate(stop))
  }

  branches(): AsyncIterableIterator<BranchOutcome> {
    return this.#read(branchOutcomes(this.id, this.#services))
  }

  /** What a handler reads it may wait for. */
  #read<T>(items: AsyncGenerator<T, void, undefined>): AsyncIterableIterator<T> {
    const caller = this.#waiter
    if (caller === undefined) return items
    const next = items.next.bind(items)
    return Object.assign(items, { next: () => this.#services.awaiting.wait(caller, this.id, () => next()) })
  }

  #waiting<T>(wait: () => Promise<T>): Promise<T> {
    return this.#services.awaiting.wait(this.#waiter, this.id, wait)
  }

  /** The handler that waits for the run, if it is one: who has the handle, or else who calls now. */
  get #waiter(): CallingHandler | undefined {
    if (this.#caller === 'no handler') return undefined
    return this.#caller?.execution.hasEnded === false ? this.#caller : this.#services.awaiting.caller
  }

  /** Its driver knows, if it is here and stays so; else the store does, whichever process drives. */
  async #end(): Promise<unknown> {
    const { closed, states } = this.#services
    const driven = this.#services.driven(this.id)
    if (driven !== undefined) {
      const end = await closed.race(driven)
      if (end.state !== 'lost' && end.state !== 'parked') {
        await states.caughtUp(this.id)
        return resultOf({ runId: this.id, ...end, timeoutMs: undefined })
      }
    }
    const changes = changesOf(this.id, this.#services, ['state'])
    const unwatch = this.#services.watchRun(this.id)
    let wasSeen = driven !== undefined
    try {
      for (;;) {
        const changed = changes.next()
        const record = await this.#services.backend.inspect.run(this.id)
        if (record === undefined) throw wasSeen ? runGone(this.id) : runNotFound(this.id)
        wasSeen = true
        if (isEnded(record)) {
          await states.caughtUp(this.id)
          return resultOf(record)
        }
        if (!(await this.#isWhole())) throw runLost(this.id)
        if (record.state === 'abandoned' && !this.#services.standsBy(this.id)) this.#logAbandoned()
        await closed.race(changed)
      }
    } finally {
      unwatch()
      changes.end()
    }
  }

  /** Whether the group that stands for the run is there: without it nothing can end the run. Asked again, since the run may just have ended. */
  async #isWhole(): Promise<boolean> {
    const { backend } = this.#services
    if (!isDistant(backend)) return true
    const { inspect } = backend
    if ((await inspect.outcomes(this.id, NO_OUTCOMES)) !== undefined) return true
    const record = await inspect.run(this.id)
    return record === undefined || isEnded(record)
  }

  /** Such a wait may never end: why is logged, once. Waiting goes on, since another process can still cancel the run. */
  #logAbandoned(): void {
    if (this.#isAbandonmentLogged) return
    this.#isAbandonmentLogged = true
    const message =
      `nobody drives run ${this.id}: the process that drove it is gone, and no live worker may or can go on with it. It stands still until a ` +
      `process takes it up with resume, or until a worker comes that knows the rest of it (not where it was started with ifLost 'abandon'), ` +
      `and is kept until its retention ends`
    this.#services.emitter.emit('log', { level: 'warn', message, runId: this.id })
  }

  async #resultOf(target: unknown): Promise<unknown> {
    const { engine } = this.#services
    const graph = await engine.graphOfRun(this.id)
    const path = typeof target === 'string' ? target : expressionOf(target, 'result')
    return readResult(engine.flowsOf(this.id), graph, path)
  }

  async #byHand({ byHand }: RunRecord, groups: readonly GroupStatus[]): Promise<readonly DecisionByHand[]> {
    if (byHand.length === 0) return []
    const { backend, engine } = this.#services
    const load = (hash: string): Promise<Graph | undefined> => engine.graphs.load(hash).catch(() => undefined)
    const paths = byHand.map(({ path }) => path)
    const labelOf = await labelsOfPlaces(new StoredLabels(backend.inspect, this.id), this.id, groups, load, paths)
    return byHand.map(({ path, as, at }) => {
      const label = labelOf(path)
      return { path, ...(label !== undefined && { label }), as, at: new Date(at) }
    })
  }

  async #record(): Promise<RunRecord> {
    const record = await this.#services.backend.inspect.run(this.id)
    if (record === undefined) throw runNotFound(this.id)
    return record
  }
}

/** Sessions are called `<base id>:<random>`. */
export const baseIdOf = (session: string | undefined): string | undefined => session?.slice(0, session.lastIndexOf(':'))

/** A group of a run that is over: what a sweep has still to withdraw is shown as withdrawn. */
function closed(group: GroupStatus): GroupStatus {
  if (group.state !== 'open') return group
  const withdrawn = group.size - group.succeeded - group.failed - group.dead
  return { ...group, state: 'withdrawn', ready: 0, delayed: 0, granted: 0, withdrawn }
}

/** @throws GraflowError the one that the run ended with */
function resultOf(end: Parameters<typeof outcomeOfRun>[0]): unknown {
  const outcome = outcomeOfRun(end)
  if ('error' in outcome) throw outcome.error
  return outcome.value
}

/** The steps whose handlers have dispatched something: that is their work, and counts in their place. */
function dispatchingSteps(
  steps: readonly RunStep[],
  groups: readonly GroupProgress[],
  purged: readonly string[],
): readonly RunStep[] {
  const paths = new Set([...groups.map(({ path }) => path.slice(0, Math.max(0, path.indexOf('/~')))), ...purged])
  return steps.filter(({ path }) => paths.has(path))
}

const isStepOver = ({ state }: RunStep): boolean =>
  state !== 'running' && state !== 'retrying' && state !== 'interrupted'
