/** What a store has, as metrics. The numbers are the store's: every process that exports them exports the same ones. */
import { Counter, Gauge, type Registry } from 'prom-client'
import { messageOf } from '../describe.js'

/** One queue as the store sees it. */
export interface QueueDepth {
  readonly queue: string
  readonly ready: number
  /** Branches that workers hold. */
  readonly granted: number
  readonly oldestMs: number | undefined
}

/** What the store has counted, and its size. */
export interface Totals {
  /** The store's clock, in milliseconds since the epoch. */
  readonly now: number
  readonly ended: readonly { readonly workflow: string; readonly state: string; readonly count: number }[]
  readonly deadLetters: number
  /** Live processes that may lead. */
  readonly candidates: number
  readonly bytes: Readonly<Record<string, number>>
}

/** Live workers that serve the same queues. */
export interface Serving {
  readonly queues: readonly string[] | 'all'
  readonly workers: number
}

/** The store, as every reading asks it. What rejects is left out of that reading, rather than shown as it was before. */
export interface StoreSources {
  readonly keyPrefix: string
  /** Queues that have gauges even while they are empty. */
  readonly ownQueues: readonly string[]
  /** Resolves while the store answers. */
  ping(): Promise<unknown>
  queues(): Promise<readonly QueueDepth[]>
  totals(): Promise<Totals>
  serving(): Promise<readonly Serving[]>
  /** Whether any process leads. */
  isLed(): Promise<boolean>
  /** Places of unfinished runs that wait, by reason; undefined where another process says it. */
  waits(): Promise<Readonly<Record<string, number>> | undefined>
  /** Called with a sentence that says what is left out though the store answers; once, until all was read again. */
  onLeftOut(message: string): void
}

/** Branches that are ready or held by workers. One that waits for its retry counts once it is due: a sweep makes it ready within a second. */
export const backlogOf = ({ ready, granted }: QueueDepth): number => ready + granted

/** How many live workers take branches of these queues. */
export const workersOf = (serving: readonly Serving[], queues: readonly string[]): number =>
  serving
    .filter(({ queues: served }) => served === 'all' || served.some((one) => queues.includes(one)))
    .reduce((sum, { workers }) => sum + workers, 0)

/** What a run may end as. */
const END_STATES = ['completed', 'failed', 'cancelled'] as const

/** Registers them; what it returns reads the store anew. */
export function storeMetrics(registry: Registry, sources: StoreSources): () => Promise<void> {
  const registers = [registry]
  const gauge = <const L extends string>(name: string, help: string, labelNames: readonly L[] = []): Gauge<L> =>
    new Gauge({ name, help, labelNames, registers })
  const counter = <const L extends string>(name: string, help: string, labelNames: readonly L[] = []): Counter<L> =>
    new Counter({ name, help, labelNames, registers })
  const ofQueue = ['key_prefix', 'queue'] as const
  const oldest = gauge('graflow_queue_oldest_seconds', 'How long the oldest ready group has waited.', ofQueue)
  const inAll = 'Branches that are ready or that workers hold: what scaling down should look at.'
  const backlog = gauge('graflow_backlog', inAll, ofQueue)
  const depth = gauge('graflow_queue_depth', 'Branches that are ready and wait for a worker.', ofQueue)
  const workers = gauge('graflow_workers', 'Live workers that serve the queue.', ofQueue)
  const leads = gauge('graflow_leads', '1 while some process is the elected leader, else 0.', ['key_prefix'])
  const waits = gauge('graflow_waits', 'Places of unfinished runs that wait, by reason; of the 256 newest.', [
    ...(['why', 'key_prefix'] as const),
  ])
  const candidates = gauge('graflow_leader_candidates', 'Live processes that may lead.', ['key_prefix'])
  const runs = counter('graflow_runs_total', 'Runs that have ended, by workflow and state.', [
    ...(['workflow', 'state', 'key_prefix'] as const),
  ])
  const letters = counter('graflow_dead_letters_total', 'Branches that failed or died for good, and were kept.', [
    'key_prefix',
  ])
  const bytes = gauge('graflow_store_bytes', 'Memory of the store: used, its peak, and its limit.', [
    ...(['kind', 'key_prefix'] as const),
  ])
  const up = gauge('graflow_store_up', '1 when the store answered this reading.', ['key_prefix'])
  const all = [oldest, backlog, depth, workers, leads, waits, candidates, runs, letters, bytes]
  const fill = (found: Found, { keyPrefix: key_prefix, ownQueues }: StoreSources): void => {
    const { queues, serving, isLed, totals } = found
    for (const [why, count] of Object.entries(found.waits ?? {})) waits.set({ why, key_prefix }, count)
    for (const { names, ...one } of queues === undefined ? [] : largest(withEmpty(queues, ownQueues), ownQueues)) {
      const labels = { key_prefix, queue: one.queue }
      depth.set(labels, one.ready)
      backlog.set(labels, backlogOf(one))
      oldest.set(labels, (one.oldestMs ?? 0) / 1_000)
      if (serving !== undefined) workers.set(labels, workersOf(serving, names))
    }
    if (isLed !== undefined) leads.set({ key_prefix }, isLed ? 1 : 0)
    if (totals === undefined) return
    candidates.set({ key_prefix }, totals.candidates)
    for (const { workflow, state, count } of withOthers(totals.ended)) {
      // a series that begins above 0 hides its first count from `increase`
      for (const other of END_STATES) runs.inc({ workflow, state: other, key_prefix }, 0)
      runs.inc({ workflow, state, key_prefix }, count)
    }
    letters.inc({ key_prefix }, totals.deadLetters)
    for (const [kind, count] of Object.entries(totals.bytes)) bytes.set({ kind, key_prefix }, count)
  }
  const logOnce = leftOutLogger(sources)
  return async () => {
    const found = await ask(sources)
    // Nothing is awaited from here on: nobody reads what is half filled.
    for (const one of all) one.reset()
    up.set({ key_prefix: sources.keyPrefix }, found.isUp ? 1 : 0)
    if (!found.isUp) return
    logOnce(found)
    fill(found, sources)
  }
}

/** Queues and workflows that have series of their own: names come from those who start runs, and each is kept for ever by who collects. */
const MOST_NAMES = 200
const OTHER = 'other'

/** The own queues and the longest ones; all further ones together as one. */
function largest(
  queues: readonly QueueDepth[],
  own: readonly string[],
): readonly (QueueDepth & { readonly names: readonly string[] })[] {
  const named = queues.map((one) => ({ ...one, names: [one.queue] }))
  if (named.length <= MOST_NAMES) return named
  const rank = ({ queue, ...depth }: QueueDepth): number =>
    own.includes(queue) ? Infinity : backlogOf({ queue, ...depth })
  const ranked = named.sort((a, b) => (rank(a) === rank(b) ? 0 : rank(b) - rank(a)))
  const rest = ranked.slice(MOST_NAMES)
  const sum = (count: (one: QueueDepth) => number): number => rest.reduce((total, one) => total + count(one), 0)
  const ages = rest.flatMap(({ oldestMs }) => (oldestMs === undefined ? [] : [oldestMs]))
  return [
    ...ranked.slice(0, MOST_NAMES),
    {
      ...{ queue: OTHER, ready: sum(({ ready }) => ready), granted: sum(({ granted }) => granted) },
      oldestMs: ages.length === 0 ? undefined : Math.max(...ages),
      names: rest.map(({ queue }) => queue),
    },
  ]
}

/** Those of the workflows with the most runs keep their names. */
function withOthers(ended: Totals['ended']): Totals['ended'] {
  const sums = new Map<string, number>()
  for (const { workflow, count } of ended) sums.set(workflow, (sums.get(workflow) ?? 0) + count)
  if (sums.size <= MOST_NAMES) return ended
  const kept = new Set(
    [...sums]
      .sort(([, a], [, b]) => b - a)
      .slice(0, MOST_NAMES)
      .map(([workflow]) => workflow),
  )
  return ended.map((one) => (kept.has(one.workflow) ? one : { ...one, workflow: OTHER }))
}

/** What a reading found; undefined is what could not be read, and `reasons` says why. */
interface Found {
  readonly isUp: boolean
  readonly queues: readonly QueueDepth[] | undefined
  readonly serving: readonly Serving[] | undefined
  readonly isLed: boolean | undefined
  readonly waits: Readonly<Record<string, number>> | undefined
  readonly totals: Totals | undefined
  readonly reasons: ReadonlyMap<string, unknown>
}

/** Whether the store is up is asked by itself: a record that cannot be read says nothing of that. */
async function ask(sources: StoreSources): Promise<Found> {
  const reasons = new Map<string, unknown>()
  const read = async <T>(what: string, answer: Promise<T>): Promise<T | undefined> => {
    try {
      return await answer
    } catch (error) {
      reasons.set(what, error)
      return undefined
    }
  }
  const [isUp, queues, serving, isLed, waits, totals] = await Promise.all([
    sources.ping().then(
      () => true,
      () => false,
    ),
    read('queues', sources.queues()),
    read('workers', sources.serving()),
    read('who leads', sources.isLed()),
    read('what waits', sources.waits()),
    read('runs, dead letters, candidates and memory', sources.totals()),
  ])
  return { isUp, queues, serving, isLed, waits, totals, reasons }
}

/** Says once what is left out, until nothing is. */
function leftOutLogger(sources: StoreSources): (found: Found) => void {
  let isLogged = false
  return ({ reasons }) => {
    if (reasons.size > 0 && !isLogged) {
      const [reason] = reasons.values()
      const what = [...reasons.keys()].join('; ')
      sources.onLeftOut(`metrics leave out ${what}: the store answers, but not that: ${messageOf(reason)}`)
    }
    isLogged = reasons.size > 0
  }
}

/** The queues, and with nothing in them those that the store does not have. */
function withEmpty(known: readonly QueueDepth[], ownQueues: readonly string[]): readonly QueueDepth[] {
  const absent = ownQueues.filter((queue) => !known.some((one) => one.queue === queue))
  return [...known, ...absent.map((queue) => ({ queue, ready: 0, granted: 0, oldestMs: undefined }))]
}
