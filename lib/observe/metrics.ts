/**
 * The metrics of a worker for Prometheus. Counters come from events, by the batch; gauges are read on each request; nothing runs per branch.
 * `promtool check metrics` accepts it.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Counter, Gauge, Registry, type Metric } from 'prom-client'
import type { Events } from '../events.js'

/** One queue as the store sees it. */
export interface QueueDepth {
  readonly queue: string
  readonly ready: number
  readonly delayed: number
  readonly granted: number
  readonly oldestMs: number | undefined
}

/** Sources that every reading of the metrics asks. */
export interface MetricSources {
  readonly keyPrefix: string
  /** Queues that have gauges even while they are empty. */
  readonly ownQueues: readonly string[]
  /** Rejects when the store does not answer: then there are no queue gauges, rather than old ones. */
  readonly queues: () => Promise<readonly QueueDepth[]>
  /** Branches that run here now. */
  readonly inFlight: () => number
  /** Graphs that were in memory when work needed them, since the start. */
  readonly graphHits: () => number
}

/** Values of the label `task` that have series of their own; what comes later is counted as `OTHER` together. */
const MOST_TASKS = 200
const OTHER = 'other'

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800] as const

/** One a process; `close` it. */
export class Metrics {
  readonly #registry = new Registry()
  readonly #ends: (() => void)[] = []
  readonly #tasks = new Set<string>()
  #refresh: () => Promise<void> = () => Promise.resolve()

  constructor(events: Events, sources: MetricSources) {
    this.#subscribe(events)
    this.#readQueues(sources)
    this.#readProcess(sources)
    this.#measureLag()
  }

  /** For the header of the answer. */
  get contentType(): string {
    return this.#registry.contentType
  }

  /** The text form, made now. */
  async text(): Promise<string> {
    await this.#refresh()
    return this.#registry.metrics()
  }

  close(): void {
    for (const end of this.#ends.splice(0)) end()
  }

  #subscribe(events: Events): void {
    const registers = [this.#registry]
    const counter = <const L extends string>(name: string, help: string, labelNames: readonly L[] = []): Counter<L> =>
      new Counter({ name, help, labelNames, registers })
    const tasks = counter('graflow_tasks_total', 'Branches settled, by task and outcome.', ['task', 'outcome'])
    const retries = counter('graflow_retries_total', 'Starts that failed and will be tried again.')
    const fenced = counter('graflow_fenced_total', 'Results refused because another process held the branch.')
    const lost = counter('graflow_sessions_lost_total', 'Times the store took this process for dead.')
    const missed = counter('graflow_wakeup_missed_total', 'What the slow check found and no notice had said.')
    const durations = new BatchHistogram('graflow_task_duration_seconds', 'How long starts took, by the batch.', 'task')
    // What reads a metric asks for no more than these: the type has what only a metric of theirs can have.
    this.#registry.registerMetric(durations as unknown as Metric)
    this.#ends.push(
      events.subscribe('branches:settled', (batch) => {
        if (batch.retried > 0) retries.inc(batch.retried)
        if (batch.fenced > 0) fenced.inc(batch.fenced)
        for (const { task: name, succeeded, failed, retried, durationMs } of batch.tasks) {
          const task = this.#labelOf(name)
          if (succeeded > 0) tasks.inc({ task, outcome: 'succeeded' }, succeeded)
          if (failed > 0) tasks.inc({ task, outcome: 'failed' }, failed)
          const count = succeeded + failed + retried
          durations.observe(task, durationMs / count / 1_000, count)
        }
      }),
      events.subscribe('worker:lost', () => lost.inc()),
      events.subscribe('wakeup:missed', ({ count }) => missed.inc(count)),
    )
  }

  /** A series costs memory here and in every Prometheus, for ever: flows that are made at run time may have any number of names. */
  #labelOf(task: string): string {
    if (this.#tasks.size < MOST_TASKS) this.#tasks.add(task)
    return this.#tasks.has(task) ? task : OTHER
  }

  /** Gauges of the store: read when the metrics are. */
  #readQueues({ keyPrefix, ownQueues, queues }: MetricSources): void {
    const gauge = <const L extends string>(name: string, help: string, labelNames: readonly L[]): Gauge<L> =>
      new Gauge({ name, help, labelNames, registers: [this.#registry] })
    const labelNames = ['key_prefix', 'queue'] as const
    const oldest = gauge('graflow_queue_oldest_seconds', 'How long the oldest ready group has waited.', labelNames)
    const inAll = 'Branches ready, due later, or in flight anywhere: what scaling down should look at.'
    const backlog = gauge('graflow_backlog', inAll, labelNames)
    const depth = gauge('graflow_queue_depth', 'Branches that are ready and wait for a worker.', labelNames)
    const up = gauge('graflow_store_up', '1 when the store answered this reading.', [])
    this.#refresh = async () => {
      for (const one of [depth, backlog, oldest]) one.reset()
      try {
        for (const { queue, ready, delayed, granted, oldestMs } of withEmpty(await queues(), ownQueues)) {
          const labels = { key_prefix: keyPrefix, queue }
          depth.set(labels, ready)
          backlog.set(labels, ready + delayed + granted)
          oldest.set(labels, (oldestMs ?? 0) / 1_000)
        }
        up.set(1)
      } catch {
        up.set(0)
      }
    }
  }

  /** Numbers of this process. */
  #readProcess({ inFlight, graphHits }: MetricSources): void {
    const registers = [this.#registry]
    new Gauge({
      name: 'graflow_branches_in_flight',
      help: 'Branches that run in this process.',
      registers,
      collect() {
        this.set(inFlight())
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

/** The queues, and with nothing in them those of this worker that the store does not have. */
function withEmpty(known: readonly QueueDepth[], ownQueues: readonly string[]): readonly QueueDepth[] {
  const absent = ownQueues.filter((queue) => !known.some((one) => one.queue === queue))
  return [...known, ...absent.map((queue) => ({ queue, ready: 0, delayed: 0, granted: 0, oldestMs: undefined }))]
}

/** A histogram that takes many equal values at once, which the library's own does not. */
class BatchHistogram {
  readonly name: string
  readonly help: string
  readonly type = 'histogram'
  readonly aggregator = 'sum'
  readonly #label: string
  readonly #series = new Map<string, { readonly counts: number[]; count: number; sum: number }>()

  constructor(name: string, help: string, label: string) {
    this.name = name
    this.help = help
    this.#label = label
  }

  observe(label: string, value: number, count: number): void {
    let series = this.#series.get(label)
    if (series === undefined) {
      series = { counts: SECONDS.map(() => 0), count: 0, sum: 0 }
      this.#series.set(label, series)
    }
    series.count += count
    series.sum += value * count
    const bucket = SECONDS.findIndex((le) => value <= le)
    if (bucket >= 0) series.counts[bucket] = (series.counts[bucket] ?? 0) + count
  }

  reset(): void {
    this.#series.clear()
  }

  /** As the registry asks for it. */
  get(): Promise<object> {
    const values: object[] = []
    for (const [value, { counts, count, sum }] of this.#series) {
      const labels = { [this.#label]: value }
      let below = 0
      for (const [i, le] of SECONDS.entries()) {
        below += counts[i] ?? 0
        values.push({ metricName: `${this.name}_bucket`, labels: { ...labels, le }, value: below })
      }
      values.push({ metricName: `${this.name}_bucket`, labels: { ...labels, le: '+Inf' }, value: count })
      values.push({ metricName: `${this.name}_sum`, labels, value: sum })
      values.push({ metricName: `${this.name}_count`, labels, value: count })
    }
    return Promise.resolve({ name: this.name, help: this.help, type: this.type, aggregator: this.aggregator, values })
  }
}
