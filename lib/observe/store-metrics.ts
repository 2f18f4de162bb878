/** What a store has, as metrics. The numbers are the store's: every process that exports them exports the same ones. */
import { Counter, Gauge, type Registry } from 'prom-client'

/** One queue as the store sees it. */
export interface QueueDepth {
  readonly queue: string
  readonly ready: number
  readonly delayed: number
  readonly granted: number
  readonly oldestMs: number | undefined
}

/** What the store has counted, and its size. */
export interface Totals {
  /** The store's clock, in milliseconds since the epoch. */
  readonly now: number
  readonly ended: readonly { readonly workflow: string; readonly state: string; readonly count: number }[]
  readonly deadLetters: number
  readonly bytes: Readonly<Record<string, number>>
}

/** A live session: a worker serves queues, any other process none. */
export interface Serving {
  readonly role: string
  readonly queues: readonly string[] | 'all'
}

/** The store, as every reading asks it. What rejects is left out of that reading, rather than shown as it was before. */
export interface StoreSources {
  readonly keyPrefix: string
  /** Queues that have gauges even while they are empty. */
  readonly ownQueues: readonly string[]
  queues(): Promise<readonly QueueDepth[]>
  totals(): Promise<Totals>
  sessions(): Promise<readonly Serving[]>
}

/** How many live workers take branches of these queues. */
export const workersOf = (sessions: readonly Serving[], queues: readonly string[]): number =>
  sessions.filter(
    ({ role, queues: served }) =>
      role !== 'client' && role !== 'observer' && (served === 'all' || served.some((one) => queues.includes(one))),
  ).length

/** Registers them; what it returns reads the store anew. */
export function storeMetrics(registry: Registry, sources: StoreSources): () => Promise<void> {
  const registers = [registry]
  const gauge = <const L extends string>(name: string, help: string, labelNames: readonly L[] = []): Gauge<L> =>
    new Gauge({ name, help, labelNames, registers })
  const counter = <const L extends string>(name: string, help: string, labelNames: readonly L[] = []): Counter<L> =>
    new Counter({ name, help, labelNames, registers })
  const ofQueue = ['key_prefix', 'queue'] as const
  const oldest = gauge('graflow_queue_oldest_seconds', 'How long the oldest ready group has waited.', ofQueue)
  const inAll = 'Branches ready, due later, or in flight anywhere: what scaling down should look at.'
  const backlog = gauge('graflow_backlog', inAll, ofQueue)
  const depth = gauge('graflow_queue_depth', 'Branches that are ready and wait for a worker.', ofQueue)
  const workers = gauge('graflow_workers', 'Live workers that serve the queue.', ofQueue)
  const runs = counter('graflow_runs_total', 'Runs that have ended, by workflow and state.', [
    ...(['workflow', 'state', 'key_prefix'] as const),
  ])
  const letters = counter('graflow_dead_letters_total', 'Branches that failed or died for good, and were kept.', [
    'key_prefix',
  ])
  const bytes = gauge('graflow_store_bytes', 'Memory of the store: used, its peak, and its limit.', [
    ...(['kind', 'key_prefix'] as const),
  ])
  const up = gauge('graflow_store_up', '1 when the store answered this reading.')
  const all = [oldest, backlog, depth, workers, runs, letters, bytes]
  return async () => {
    for (const one of all) one.reset()
    const { keyPrefix: key_prefix, ownQueues } = sources
    try {
      const [queues, sessions, totals] = await Promise.all([sources.queues(), sources.sessions(), sources.totals()])
      for (const { queue, ready, delayed, granted, oldestMs } of withEmpty(queues, ownQueues)) {
        const labels = { key_prefix, queue }
        depth.set(labels, ready)
        backlog.set(labels, ready + delayed + granted)
        oldest.set(labels, (oldestMs ?? 0) / 1_000)
        workers.set(labels, workersOf(sessions, [queue]))
      }
      for (const { workflow, state, count } of totals.ended) runs.inc({ workflow, state, key_prefix }, count)
      letters.inc({ key_prefix }, totals.deadLetters)
      for (const [kind, count] of Object.entries(totals.bytes)) bytes.set({ kind, key_prefix }, count)
      up.set(1)
    } catch {
      for (const one of all) one.reset()
      up.set(0)
    }
  }
}

/** The queues, and with nothing in them those that the store does not have. */
function withEmpty(known: readonly QueueDepth[], ownQueues: readonly string[]): readonly QueueDepth[] {
  const absent = ownQueues.filter((queue) => !known.some((one) => one.queue === queue))
  return [...known, ...absent.map((queue) => ({ queue, ready: 0, delayed: 0, granted: 0, oldestMs: undefined }))]
}
