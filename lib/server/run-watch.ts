/**
 * One run, for all who watch it through this server. Hides where events come from: the server looks at the run a few times a second, works out what has
 * changed, and appends that to a log of the run in the store (`appendRunEvents`), unless another server has done so. So a watcher that comes back finds
 * all that happened meanwhile, at any server, and the workers of the run have nothing to do with it.
 */
import { isBefore, isPosition } from '../backend/event-positions.js'
import type { RunEventPage } from '../backend/backend.js'
import type { RunStatus } from '../producer/types.js'
import { elapsedMs } from '../time.js'
import { frameOf, type EventSink } from './event-sink.js'
import { inTurns } from './in-turns.js'
import { joined, LOOK_MS, type PrefixEvents, resetFrame } from './prefix-events.js'
import { boundedStatus, changesBetween, type RunChangeEvent, type SeenRun } from './run-changes.js'
import type { ServerServices } from './services.js'
import { plainFields } from './typed-values.js'

/** A run in which nothing happens is looked at less and less often. */
const SLOWEST_LOOK_MS = 2_000
const SLOWER = 1.5
/** A look takes so much of the time at most. */
const SHARE = 5
const AWAY_MS = 1_000
/** The log of a run is kept so long behind its last event. */
const KEPT_MS = 3_600_000
/** That of a run that is over: who comes later reads its end anew. */
const OVER_KEPT_MS = 600_000
/** Of the log: those who catch up have a page each in hand until their readers have taken it. */
const PAGE = 8
/** A batch that is larger is told as a reset. */
const MOST_BATCH_BYTES = 256 * 1024

export const isOver = (state: string): boolean => state === 'completed' || state === 'failed' || state === 'cancelled'

/** Where a watcher stands: behind so many events of what comes behind a position. `0`: before all. */
export interface RunPosition {
  readonly after: string
  readonly skip: number
}

/** Of a Last-Event-ID; undefined for what is none. */
export function runPositionIn(text: string): RunPosition | undefined {
  const [after = '', skip = '0', ...rest] = text.split('~')
  return isPosition(after) && /^\d{1,6}$/.test(skip) && rest.length === 0 ? { after, skip: Number(skip) } : undefined
}

interface Watcher {
  readonly sink: EventSink
  /** Ends at the end of the run. */
  readonly untilEnd: boolean
  /** It has all events up to here. */
  cursor: string
}

/** Until nobody watches it. */
export class RunWatch {
  readonly #id: string
  readonly #services: Pick<ServerServices, 'graflow' | 'session' | 'clock' | 'log'>
  readonly #stopListening: () => void
  readonly #watchers = new Set<Watcher>()
  /** Of them, also those that catch up. */
  #users = 0
  #seen: SeenRun | undefined
  #last: string | undefined
  #status: RunStatus | undefined
  /** The last status as all are told it, from the first who is. */
  #statusFrame: Uint8Array | undefined
  #isKnown = false
  /** What was seen when the store was too full to keep it, as it was told then. */
  #unkept: string | undefined
  /** Behind the last event that could not be read, of which that was said. */
  #damaged: string | undefined
  #disarm: (() => void) | undefined
  #isLooking = false
  #lookMs = LOOK_MS
  #isClosed = false

  constructor(id: string, services: Pick<ServerServices, 'graflow' | 'session' | 'clock' | 'log'>, all: PrefixEvents) {
    this.#id = id
    this.#services = services
    this.#stopListening = all.listen(({ events }) => {
      if (events.some(({ event }) => 'runId' in event && event.runId === id)) this.#soon()
    })
  }

  get isWatched(): boolean {
    return this.#users > 0
  }

  /** Sends what is known from a position on, then what happens. Returns what ends that. */
  add(sink: EventSink, from: RunPosition, untilEnd: boolean): () => void {
    const watcher: Watcher = { sink, untilEnd, cursor: from.after }
    this.#users += 1
    this.#begin(watcher, from.skip)
    return () => {
      this.#users -= 1
      this.#watchers.delete(watcher)
    }
  }

  close(): void {
    this.#isClosed = true
    this.#stopListening()
    this.#disarm?.()
    for (const { sink } of this.#watchers) sink.end()
  }

  #begin(watcher: Watcher, skip: number): void {
    this.#join(watcher, skip).catch(() => {
      watcher.sink.end() // the store is away: the reader comes back
    })
  }

  /** Catches up, until the watcher has what all others have. */
  async #join(watcher: Watcher, skip: number): Promise<void> {
    const { sink } = watcher
    const { inspect } = this.#services.session.store
    let left = skip
    while (sink.isOpen && !this.#isClosed) {
      const page = await inspect.runEvents(this.#id, watcher.cursor, PAGE)
      if (page.isGap) {
        watcher.cursor = page.last ?? '0'
        sink.push(resetFrame(watcher.cursor))
      }
      const entries = page.isGap ? [] : page.entries
      for (const chunk of joined(this.#framesOf(entries, watcher.cursor, left))) {
        await sink.room() // not faster than it is read: one that is dropped would come back to the same
        sink.push(chunk)
      }
      left = 0
      watcher.cursor = entries.at(-1)?.position ?? watcher.cursor
      if (entries.length === PAGE) continue
      await sink.room() // for what it is told with all others
      // others may have been told more since the page was read
      if (page.last !== undefined && this.#last !== undefined && isBefore(page.last, this.#last)) continue
      if (!watcher.sink.isOpen) return
      this.#watchers.add(watcher)
      if (this.#status !== undefined) sink.push(this.#frameOfStatus(this.#status))
      this.#soon()
      return
    }
  }

  #soon(): void {
    this.#lookMs = LOOK_MS
    if (!this.#isLooking) this.#plan(0)
  }

  #plan(ms: number): void {
    if (this.#isClosed) return
    this.#disarm?.()
    this.#disarm = this.#services.clock.after(ms, () => void this.#turn(), true)
  }

  async #turn(): Promise<void> {
    this.#disarm = undefined
    if (this.#isClosed || this.#isLooking) return
    this.#isLooking = true
    const since = elapsedMs(this.#services.clock)
    let nextMs = AWAY_MS
    try {
      const hasChanged = await this.#look()
      this.#lookMs = hasChanged ? LOOK_MS : Math.min(SLOWEST_LOOK_MS, this.#lookMs * SLOWER)
      nextMs = Math.max(this.#lookMs, (elapsedMs(this.#services.clock) - since) * SHARE)
    } catch {
      // the store is away, or the server ends
    }
    this.#isLooking = false
    this.#plan(nextMs)
  }

  /** Whether something has changed. */
  async #look(): Promise<boolean> {
    const { store } = this.#services.session
    if (!this.#isKnown) {
      const { last, seen } = await store.inspect.runEvents(this.#id, undefined, 0)
      this.#last = last
      this.#seen = seenIn(seen)
      this.#isKnown = true
    }
    const status = await this.#services.graflow.runs.get(this.#id)
    if (status === undefined) {
      this.#gone()
      return false
    }
    const isFirst = this.#status === undefined
    this.#status = status
    this.#statusFrame = undefined
    const { events, seen } = changesBetween(this.#seen, status)
    const after = this.#last ?? '0'
    const own = events.length === 0 ? [] : await this.#append(events, seen)
    if (own === 'stale') return true // again, from what another server has seen
    if (own === 'full') {
      // what was seen before stays: once there is room, all that has changed since is told
      const isNew = await this.#tellUnkept(status, JSON.stringify(seen))
      if (isOver(status.state)) await this.#ended(status)
      return isNew
    }
    this.#unkept = undefined
    this.#seen = seen
    if (isFirst || events.length > 0) await this.#tell(own, after, status)
    if (isOver(status.state)) await this.#ended(status)
    return events.length > 0
  }

  /** What is to be told of it; `stale` where another server was faster: then its events are told. `full`: the store keeps nothing now. */
  async #append(events: readonly RunChangeEvent[], seen: SeenRun): Promise<RunEventPage['entries'] | 'stale' | 'full'> {
    const { store } = this.#services.session
    const bytes = Buffer.from(JSON.stringify(events))
    const isFit = bytes.length <= MOST_BATCH_BYTES
    const batch = isFit ? bytes : Buffer.from(JSON.stringify([{ type: 'reset', runId: this.#id }]))
    const after = this.#last
    const answer = await store.appendRunEvents({
      ...{ runId: this.#id, after, events: batch, seen: Buffer.from(JSON.stringify(seen)) },
      keptMs: isOver(seen.state) ? OVER_KEPT_MS : KEPT_MS,
    })
    if (answer.status === 'ok') {
      this.#last = answer.position
      return [{ position: answer.position, events: batch }]
    }
    if (answer.status === 'backpressure') return 'full'
    for (;;) {
      const page = await store.inspect.runEvents(this.#id, this.#last ?? '0', PAGE)
      if (page.last === undefined) {
        this.#last = undefined // the log is over, and begins anew; what was seen is known here
        return 'stale'
      }
      const before = this.#last ?? '0'
      this.#last = page.entries.at(-1)?.position ?? page.last
      this.#seen = seenIn(page.seen)
      await this.#tell(page.entries, before)
      if (page.entries.length < PAGE) return 'stale'
    }
  }

  /** The store is full: nothing can be kept for who comes back, so all are told to look anew, with the status as it is. Once a change. */
  async #tellUnkept(status: RunStatus, seen: string): Promise<boolean> {
    if (this.#unkept === seen) return false
    if (this.#unkept === undefined)
      this.#services.log(
        'warn',
        `the store is full, so events of run "${this.#id}" are not kept: its watchers are told to look anew`,
      )
    this.#unkept = seen
    const frame = Buffer.concat([resetFrame(this.#last ?? '0'), this.#frameOfStatus(status)])
    await inTurns(this.#watchers, ({ sink }) => {
      if (sink.hasRoom) sink.push(frame)
    })
    return true
  }

  /** Each event with the position behind it, so that a stream that is cut in a batch goes on there. What cannot be read is told as a reset. */
  #framesOf(entries: RunEventPage['entries'], after: string, skip: number): readonly Uint8Array[] {
    let before = after
    return entries.flatMap(({ position, events: bytes }, n) => {
      const events = eventsIn(bytes) ?? this.#unreadable(position)
      const frames = events.map((data, i) =>
        frameOf({ id: i === events.length - 1 ? position : `${before}~${i + 1}`, event: data.type, data }),
      )
      before = position
      return n === 0 ? frames.slice(skip) : frames
    })
  }

  #unreadable(position: string): readonly RunChangeEvent[] {
    if (this.#damaged === undefined || isBefore(this.#damaged, position)) {
      this.#damaged = position
      const message = `events of run "${this.#id}" at ${position} cannot be read (damaged, or of a newer release): its watchers are told to look anew`
      this.#services.log('warn', message)
    }
    return [{ type: 'reset', runId: this.#id }]
  }

  /** Tells all who have taken what they were told before. */
  #tell(entries: RunEventPage['entries'], after: string, status?: RunStatus): Promise<void> {
    const ofStatus = (): readonly Uint8Array[] => (status === undefined ? [] : [this.#frameOfStatus(status)])
    let whole: Uint8Array | undefined
    return inTurns(this.#watchers, (watcher) => {
      const missing = entries.filter(({ position }) => isBefore(watcher.cursor, position))
      const isWhole = missing.length === entries.length
      if (!watcher.sink.isOpen || (missing.length === 0 && status === undefined)) return
      if (!watcher.sink.hasRoom) {
        this.#watchers.delete(watcher)
        this.#begin(watcher, 0)
        return
      }
      const frames = (): Uint8Array =>
        Buffer.concat([...this.#framesOf(missing, isWhole ? after : watcher.cursor, 0), ...ofStatus()])
      watcher.sink.push(isWhole ? (whole ??= frames()) : frames())
      watcher.cursor = missing.at(-1)?.position ?? watcher.cursor
    })
  }

  #frameOfStatus(status: RunStatus): Uint8Array {
    const make = (): Uint8Array =>
      frameOf({ event: 'status', data: { type: 'status', ...plainFields(boundedStatus(status), true) } })
    return status === this.#status ? (this.#statusFrame ??= make()) : make()
  }

  #ended({ state }: RunStatus): Promise<void> {
    const frame = frameOf({ event: 'end', data: { type: 'end', runId: this.#id, state } })
    return inTurns(this.#watchers, ({ sink, untilEnd }) => {
      if (!untilEnd) return
      sink.push(frame)
      sink.end()
    })
  }

  #gone(): void {
    const frame = frameOf({ event: 'run:deleted', data: { type: 'run:deleted', runId: this.#id } })
    for (const { sink } of this.#watchers) {
      sink.push(frame)
      sink.end()
    }
  }
}

/** What a server has seen of a run; undefined where it cannot be read. */
export function seenIn(bytes: Uint8Array | undefined): SeenRun | undefined {
  const seen = parsed(bytes)
  const isRead = isRecord(seen) && [seen['groups'], seen['steps'], seen['progress']].every(isRecord)
  return isRead ? (seen as unknown as SeenRun) : undefined // as this or another server wrote it
}

/** A batch of events; undefined where it cannot be read. */
function eventsIn(bytes: Uint8Array): readonly RunChangeEvent[] | undefined {
  const events = parsed(bytes)
  const isRead = Array.isArray(events) && events.every((event) => isRecord(event) && typeof event['type'] === 'string')
  return isRead ? (events as readonly RunChangeEvent[]) : undefined // as a server wrote it
}

function parsed(bytes: Uint8Array | undefined): unknown {
  try {
    return bytes === undefined ? undefined : JSON.parse(Buffer.from(bytes).toString())
  } catch {
    return undefined
  }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
