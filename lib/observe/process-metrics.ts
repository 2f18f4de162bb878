/** What happens in this process, as metrics. Counters come from events, most of them by the batch; nothing here runs for each branch. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Counter, Gauge, type Registry } from 'prom-client'
import type { Events } from '../events.js'
import { BatchHistogram } from './batch-histogram.js'

/** Numbers that every reading asks for. */
export interface ProcessSources {
  /** Tasks that may run here: their series begin at 0, since `increase` does not see the first count of one that begins above it. */
  readonly tasks: readonly string[]
  /** Branches that run here now. */
  readonly inFlight: () => number
  /** Whether this process leads. */
  readonly isLeader?: () => boolean
  /** Graphs that were in memory when work needed them, since the start. */
  readonly graphHits: () => number
}

/** Values of the label `task` that have series of their own; what comes later is counted as `OTHER` together. */
const MOST_TASKS = 200
const OTHER = 'other'
/** Different times from release to reading, in milliseconds, that are kept between two readings; further ones count as their mean. */
const MOST_TIMES = 10_000

type Counters = <const L extends string>(name: string, help: string, labelNames?: readonly L[]) => Counter<L>

/** Registers them; `close` it. */
export class ProcessMetrics {
  readonly #registry: Registry
  readonly #ends: (() => void)[] = []
  readonly #tasks = new Set<string>()
  readonly #release: BatchHistogram
  /** From a release, by the store's clock, until its outcomes were read, by ours: how far the two are apart is found out by a reading. */
  readonly #releases = new Map<number, number>()
  #others = { count: 0, sumMs: 0 }

  constructor(registry: Registry, events: Events, sources: ProcessSources) {
    this.#registry = registry
    const counter: Counters = (name, help, labelNames = []) =>
      new Counter({ name, help, labelNames, registers: [registry] })
    this.#countTasks(events, counter, sources.tasks)
    this.#countRuns(events, counter)
    const dispatched = 'How long branches had been ready when a process got them for their first start.'
    const latency = new BatchHistogram(registry, 'graflow_dispatch_latency_seconds', dispatched)
    const released = 'From the release of a barrier until the outcomes were read.'
    this.#release = new BatchHistogram(registry, 'graflow_barrier_release_seconds', released)
    this.#ends.push(
      events.subscribe('branches:granted', ({ count, waitedMs }) => latency.observe(waitedMs / 1_000, count)),
      events.subscribe('barrier:released', ({ at, releasedAt }) => {
        this.#keepRelease(Math.round(at.getTime() - releasedAt))
      }),
    )
    this.#readSources(sources)
    this.#measureLag()
  }

  /** @param aheadMs how far the store's clock is ahead of ours */
  timeReleases(aheadMs: number): void {
    const observe = (ms: number, count: number): void => this.#release.observe(Math.max(0, ms + aheadMs) / 1_000, count)
    for (const [ms, count] of this.#releases) observe(ms, count)
    this.#releases.clear()
    const { count, sumMs } = this.#others
    if (count > 0) observe(sumMs / count, count)
    this.#others = { count: 0, sumMs: 0 }
  }

  close(): void {
    for (const end of this.#ends.splice(0)) end()
  }

  #keepRelease(ms: number): void {
    const known = this.#releases.get(ms)
    if (known !== undefined || this.#releases.size < MOST_TIMES) {
      this.#releases.set(ms, (known ?? 0) + 1)
    } else {
      this.#others.count += 1
      this.#others.sumMs += ms
    }
  }

  #countTasks(events: Events, counter: Counters, known: readonly string[]): void {
    const tasks = counter('graflow_tasks_total', 'Branches and steps that are over, by task and outcome.', [
      ...(['task', 'outcome'] as const),
    ])
    for (const task of new Set(known.map((name) => this.#labelOf(name))))
      for (const outcome of ['succeeded', 'failed']) tasks.inc({ task, outcome }, 0)
    const retries = counter('graflow_retries_total', 'Starts that failed and will be tried again.')
    const fenced = counter('graflow_fenced_total', 'Results refused because another process held the branch.')
    const lost = counter('graflow_sessions_lost_total', 'Times the store took this process for dead.')
    const missed = counter('graflow_wakeup_missed_total', 'What the slow check found and no notice had said.')
    const took = 'How long starts took, by the batch.'
    const durations = new BatchHistogram(this.#registry, 'graflow_task_duration_seconds', took, 'task')
    this.#ends.push(
      events.subscribe('branches:settled', (batch) => {
        if (batch.retried > 0) retries.inc(batch.retried)
        if (batch.fenced > 0) fenced.inc(batch.fenced)
        for (const { task: name, succeeded, failed, retried, durationMs } of batch.tasks) {
          const task = this.#labelOf(name)
          if (succeeded > 0) tasks.inc({ task, outcome: 'succeeded' }, succeeded)
          if (failed > 0) tasks.inc({ task, outcome: 'failed' }, failed)
          const count = succeeded + failed + retried
          durations.observe(durationMs / count / 1_000, count, task)
        }
      }),
      events.subscribe('step:ended', ({ task: name, outcome, durationMs }) => {
        const task = this.#labelOf(name)
        if (outcome === 'retried') retries.inc()
        else tasks.inc({ task, outcome })
        durations.observe(durationMs / 1_000, 1, task)
      }),
      events.subscribe('worker:lost', () => lost.inc()),
      events.subscribe('wakeup:missed', ({ count }) => missed.inc(count)),
    )
  }

  #countRuns(events: Events, counter: Counters): void {
    const counters = {
      started: counter('graflow_workflow_execution_started_total', 'Runs that this process started.'),
      completed: counter('graflow_workflow_execution_completed_total', 'Runs that this process drove to a result.'),
      resumed: counter('graflow_workflow_execution_resume_total', 'Pauses of runs that this process ended.'),
      paused: counter('graflow_workflow_execution_pause_total', 'Runs that this process paused.'),
    } as const
    this.#ends.push(events.subscribe('workflow:execution', ({ change }) => counters[change].inc()))
  }

  /** A series costs memory here and in every Prometheus, for ever: flows that are made at run time may have any number of names. */
  #labelOf(task: string): string {
    if (this.#tasks.size < MOST_TASKS) this.#tasks.add(task)
    return this.#tasks.has(task) ? task : OTHER
  }

  #readSources({ inFlight, isLeader = () => false, graphHits }: ProcessSources): void {
    const registers = [this.#registry]
    new Gauge({
      name: 'graflow_branches_in_flight',
      help: 'Branches that run in this process.',
      registers,
      collect() {
        this.set(inFlight())
      },
    })
    new Gauge({
      name: 'graflow_leader',
      help: '1 while this process is the elected leader, else 0.',
      registers,
      collect() {
        this.set(isLeader() ? 1 : 0)
      },
    })
    new Counter({
      name: 'graflow_graph_cache_hits_total',
      help: 'Graphs that were in memory when work needed them.',
      registers,
      collect() {
        this.reset()
        this.inc(graphHits())
      },
    })
  }

  #measureLag(): void {
    const delay = monitorEventLoopDelay({ resolution: 20 })
    delay.enable()
    this.#ends.push(() => {
      delay.disable()
    })
    new Gauge({
      name: 'graflow_event_loop_lag_seconds',
      help: 'The longest that the event loop was kept since the last reading.',
      registers: [this.#registry],
      collect() {
        // It counts from the resolution on; before the first look there is nothing.
        this.set(Math.max(0, delay.max / 1e9 - 0.02))
        delay.reset()
      },
    })
  }
}
