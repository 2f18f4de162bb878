/**
 * The last hour by the minute: runs that were started and ended, and how long work has waited. It is read from the log of events that the store
 * keeps for servers, and where that does not reach back so far, from the list of runs; so a server that has just started shows it, too. Nobody
 * pays while nobody looks: what has happened meanwhile is read when the next one does.
 */
import type { EventPage, LoggedEvent } from '../backend/backend.js'
import type { RunSummary } from '../producer/operator-types.js'
import type { ServerServices } from './services.js'

/** How many minutes are shown. */
export const MINUTES = 60
const MINUTE_MS = 60_000
const HOUR_MS = MINUTES * MINUTE_MS
/** The store keeps events for so long after the last look: an hour without any is forgotten anyway. */
const KEPT_MS = HOUR_MS
const EVENTS_A_PAGE = 1_000
const MOST_PAGES = 12
/** Before the log began, runs are looked for in their list; of more than these the earlier ones are left out. */
const RUNS_A_PAGE = 200
const MOST_RUN_PAGES = 5
/** Who looks more often gets what was found last. */
const LOOK_MS = 1_000

type Counted = 'started' | 'completed' | 'failed' | 'cancelled'
const COUNTED: readonly Counted[] = ['started', 'completed', 'failed', 'cancelled']
const isEnd = (state: string): state is Exclude<Counted, 'started'> =>
  state === 'completed' || state === 'failed' || state === 'cancelled'

/** A number a minute, the newest last; null where nothing is known of it. */
export type Minutes = Readonly<Record<Counted | 'oldestMs', readonly (number | null)[]>>

const minuteOf = (at: number): number => Math.floor(at / MINUTE_MS)

/** One a server. */
export class LastHour {
  readonly #services: Pick<ServerServices, 'graflow' | 'session'>
  readonly #counts = new Map<number, Record<Counted, number>>()
  readonly #oldest = new Map<number, number>()
  /** Minutes of which events may be missing. */
  readonly #unknown = new Set<number>()
  /** From then on all is known; undefined before the first look. */
  #knownFrom: number | undefined
  #lastAt = 0
  #position = '0'
  #found: { readonly at: number; readonly minutes: Minutes } | undefined
  #looking: Promise<Minutes> | undefined

  constructor(services: Pick<ServerServices, 'graflow' | 'session'>) {
    this.#services = services
  }

  /** What is known now. Many may ask at once: they share one look. */
  minutes(): Promise<Minutes> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  async #look(): Promise<Minutes> {
    const { store } = this.#services.session
    const now = await store.inspect.now()
    // nearer than that either way: the clock of the store may have stepped back
    if (this.#found !== undefined && Math.abs(now - this.#found.at) < LOOK_MS) return this.#found.minutes
    await store.keepEvents(KEPT_MS)
    await this.#readEvents(now)
    const queues = await store.inspect.queues()
    const oldest = Math.max(0, ...queues.map(({ oldestMs = 0 }) => oldestMs))
    this.#oldest.set(minuteOf(now), Math.max(oldest, this.#oldest.get(minuteOf(now)) ?? 0))
    this.#forget(now)
    const minutes = this.#shown(now)
    this.#found = { at: now, minutes }
    return minutes
  }

  async #readEvents(now: number): Promise<void> {
    const { inspect } = this.#services.session.store
    for (let turn = 0; turn < MOST_PAGES; turn += 1) {
      const page = await inspect.events(this.#position, EVENTS_A_PAGE)
      const firstAt = page.events[0]?.at ?? now
      if (this.#knownFrom === undefined) await this.#begin(firstAt, now)
      else if (page.isGap) this.#missing(firstAt)
      this.#take(page)
      if (page.next === undefined || page.events.length < EVENTS_A_PAGE) break
    }
    this.#lastAt = now
  }

  #take({ events, next, last }: EventPage): void {
    for (const { at, event } of events) {
      this.#count(at, event)
      this.#lastAt = at // also where the next page is not to be had
    }
    this.#position = next ?? last ?? this.#position
  }

  #count(at: number, event: LoggedEvent): void {
    if (event.kind !== 'run') return
    // a run that was over and goes on ends once more: it is counted like one that is new
    if (event.from === undefined || isEnd(event.from)) this.#add('started', at)
    if (isEnd(event.to)) this.#add(event.to, at)
  }

  #add(what: Counted, at: number): void {
    const minute = minuteOf(at)
    const counts = this.#counts.get(minute) ?? { started: 0, completed: 0, failed: 0, cancelled: 0 }
    counts[what] += 1
    this.#counts.set(minute, counts)
  }

  #missing(until: number): void {
    const from = Math.max(minuteOf(this.#lastAt), minuteOf(until) - MINUTES) // earlier ones are not shown
    for (let minute = from; minute <= minuteOf(until); minute += 1) this.#unknown.add(minute)
  }

  /** What happened before the log has anything, as far as the runs themselves still say. */
  async #begin(logFrom: number, now: number): Promise<void> {
    let known = now - HOUR_MS
    let cursor: string | undefined
    const runs: RunSummary[] = []
    for (let turn = 0; turn < MOST_RUN_PAGES; turn += 1) {
      const page = await this.#services.graflow.runs.list({
        since: now - HOUR_MS,
        limit: RUNS_A_PAGE,
        ...(cursor !== undefined && { cursor }),
      })
      runs.push(...page.items)
      cursor = page.cursor
      if (cursor === undefined) break
      const oldest = page.items.at(-1)?.createdAt.getTime()
      if (turn === MOST_RUN_PAGES - 1 && oldest !== undefined) known = oldest
    }
    for (const run of runs) this.#countRun(run, logFrom) // all at once: a look that fails before is made anew
    this.#knownFrom = known
  }

  #countRun({ createdAt, endedAt, state }: RunSummary, before: number): void {
    if (createdAt.getTime() < before) this.#add('started', createdAt.getTime())
    if (endedAt !== undefined && endedAt.getTime() < before && isEnd(state)) this.#add(state, endedAt.getTime())
  }

  #forget(now: number): void {
    const first = minuteOf(now) - MINUTES
    for (const kept of [this.#counts, this.#oldest, this.#unknown])
      for (const minute of kept.keys()) if (minute < first) kept.delete(minute)
  }

  #shown(now: number): Minutes {
    const last = minuteOf(now)
    const minutes = Array.from({ length: MINUTES }, (_, i) => last - MINUTES + 1 + i)
    const first = Math.ceil((this.#knownFrom ?? now) / MINUTE_MS)
    const isKnown = (minute: number): boolean => (minute >= first || minute === last) && !this.#unknown.has(minute)
    const of = (what: Counted): readonly (number | null)[] =>
      minutes.map((minute) => (isKnown(minute) ? (this.#counts.get(minute)?.[what] ?? 0) : null))
    const counts = Object.fromEntries(COUNTED.map((what) => [what, of(what)])) as Record<Counted, (number | null)[]> // one each
    return { ...counts, oldestMs: minutes.map((minute) => this.#oldest.get(minute) ?? null) }
  }
}
