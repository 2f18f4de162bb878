/**
 * What happens in the store, for all who watch it through this server: one reader of the log (`inspect.events`) for any number of them. Hides how a
 * watcher that comes back catches up, that the log is only kept while somebody asks for it, and that the store may be away. At most four times a second, and
 * 64 KiB each time; who falls far behind is told to look anew (`reset`).
 */
import { isBefore } from '../backend/event-positions.js'
import type { EventPage } from '../backend/backend.js'
import { frameOf, type EventSink } from './event-sink.js'
import { inTurns } from './in-turns.js'
import { frameOfLogged } from './logged-events.js'
import type { ServerServices } from './services.js'

/** Between two looks. */
export const LOOK_MS = 250
const AWAY_MS = 1_000
/** Of one look. */
const MOST_EVENTS = 256
const MOST_BYTES = 64 * 1024
/** Looks in a row that find more than they take: then the rest is left out. */
const MOST_BEHIND = 20
/** How long the log is kept from the last time it was asked for, and how often that is said. */
const KEPT_MS = 3_600_000
const RENEW_MS = 300_000

type Listener = (page: EventPage) => void

/** One who watches. */
interface Watcher {
  readonly sink: EventSink
  /** It has all events up to here. */
  cursor: string
}

/** One a server; `close` it. */
export class PrefixEvents {
  readonly #services: Pick<ServerServices, 'session' | 'clock' | 'log'>
  readonly #watchers = new Set<Watcher>()
  readonly #listeners = new Set<Listener>()
  /** Behind what was read last; undefined: nothing was. */
  #position: string | undefined
  #disarm: (() => void) | undefined
  #isLooking = false
  #renewedAt = Number.NEGATIVE_INFINITY
  #behind = 0
  #isClosed = false

  constructor(services: Pick<ServerServices, 'session' | 'clock' | 'log'>) {
    this.#services = services
  }

  /** Calls `listener` with what is read, as long as it is not stopped. */
  listen(listener: Listener): () => void {
    const own: Listener = (page) => {
      listener(page)
    }
    this.#listeners.add(own)
    this.#arm(0)
    return () => {
      this.#listeners.delete(own)
    }
  }

  /** Sends events from behind a position on; from now on where there is none. Returns what ends that. */
  watch(sink: EventSink, after: string | undefined): () => void {
    let watcher: Watcher | undefined
    this.#join(sink, after).then(
      (joined) => {
        watcher = joined
      },
      () => {
        sink.end() // the store is away: the reader comes back
      },
    )
    return () => {
      if (watcher !== undefined) this.#watchers.delete(watcher)
    }
  }

  close(): void {
    this.#isClosed = true
    this.#disarm?.()
  }

  /** Catches up, page by page, until the watcher has what everybody has. */
  async #join(sink: EventSink, after: string | undefined): Promise<Watcher | undefined> {
    const { store } = this.#services.session
    await this.#renew()
    let page = await store.inspect.events(after, MOST_EVENTS)
    if (!page.isKept) {
      this.#renewedAt = Number.NEGATIVE_INFINITY
      await this.#renew()
      page = await store.inspect.events(after, MOST_EVENTS)
    }
    const last = page.last ?? '0'
    const watcher: Watcher = { sink, cursor: after ?? last }
    if (after === undefined) sink.push(frameOf({ id: last, event: 'ready', data: { type: 'ready', position: last } }))
    while (sink.isOpen) {
      const isRead = page.isGap || page.next === undefined || page.next === page.last
      if (page.isGap) {
        // also of a later page: what is kept may go sooner than a slow reader takes it
        watcher.cursor = page.last ?? '0'
        sink.push(resetFrame(watcher.cursor))
      } else if (page.next !== undefined) {
        for (const chunk of joined(page.events.map(frameOfLogged))) {
          await sink.room()
          sink.push(chunk)
        }
        watcher.cursor = page.next
      }
      const others = this.#position
      if (isRead && (others === undefined || !isBefore(watcher.cursor, others))) break
      if (!isRead || page.next === undefined) await this.#pause()
      page = await store.inspect.events(watcher.cursor, MOST_EVENTS)
    }
    if (!sink.isOpen) return undefined
    this.#position ??= watcher.cursor // what all are told from now on begins where this one stands
    this.#watchers.add(watcher)
    this.#arm(0)
    return watcher
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#services.clock.after(LOOK_MS, resolve)
    })
  }

  #arm(ms: number): void {
    if (this.#isClosed || this.#disarm !== undefined || this.#isLooking) return
    this.#disarm = this.#services.clock.after(
      ms,
      () => {
        this.#disarm = undefined
        void this.#turn()
      },
      true,
    )
  }

  async #turn(): Promise<void> {
    if (this.#watchers.size === 0 && this.#listeners.size === 0) {
      this.#position = undefined // who comes next begins at the end
      return
    }
    this.#isLooking = true
    let nextMs = LOOK_MS
    try {
      await this.#renew()
      await this.#look()
    } catch {
      nextMs = AWAY_MS // the store is away: positions stay
    }
    this.#isLooking = false
    this.#arm(nextMs)
  }

  async #renew(): Promise<void> {
    const { clock, session } = this.#services
    if (clock.now() - this.#renewedAt < RENEW_MS) return
    await session.store.keepEvents(KEPT_MS)
    this.#renewedAt = clock.now()
  }

  async #look(): Promise<void> {
    const { store } = this.#services.session
    this.#position ??= (await store.inspect.events(undefined, 1)).last ?? '0'
    const page = await store.inspect.events(this.#position, MOST_EVENTS)
    if (!page.isKept) {
      // it was lost, as with the whole store: what happens once that is told is to be kept
      this.#renewedAt = Number.NEGATIVE_INFINITY
      await this.#renew()
    }
    for (const listener of [...this.#listeners]) listener(page)
    const isMore = page.next !== undefined && page.next !== page.last
    this.#behind = isMore ? this.#behind + 1 : 0
    if (page.isGap || this.#behind > MOST_BEHIND) {
      this.#behind = 0
      await this.#reset(page.last ?? '0')
      return
    }
    if (page.next === undefined) return
    const { next } = page
    this.#position = next
    const frames = page.events.map((event) => ({ position: event.position, frame: frameOfLogged(event) }))
    const whole = joined(frames.map(({ frame }) => frame))
    await inTurns(this.#watchers, (watcher) => {
      const isAtHand = frames[0] === undefined || isBefore(watcher.cursor, frames[0].position)
      const left = isAtHand
        ? whole
        : joined(frames.filter(({ position }) => isBefore(watcher.cursor, position)).map(({ frame }) => frame))
      for (const chunk of left) watcher.sink.push(chunk)
      if (isBefore(watcher.cursor, next)) watcher.cursor = next
      if (!watcher.sink.isOpen) this.#watchers.delete(watcher)
    })
  }

  #reset(position: string): Promise<void> {
    this.#position = position
    const frame = resetFrame(position)
    return inTurns(this.#watchers, (watcher) => {
      // also one whose cursor is further: where the store was emptied, or is an older copy of itself, positions begin anew behind it
      watcher.sink.push(frame)
      watcher.cursor = position
    })
  }
}

/** Something may be missing: what is shown is to be read anew. */
export const resetFrame = (position: string): Uint8Array =>
  frameOf({ id: position, event: 'reset', data: { type: 'reset', position } })

/** Frames in few chunks. */
export function joined(frames: readonly Uint8Array[]): readonly Uint8Array[] {
  const chunks: Uint8Array[] = []
  let some: Uint8Array[] = []
  let bytes = 0
  for (const frame of frames) {
    if (bytes > 0 && bytes + frame.length > MOST_BYTES) {
      chunks.push(Buffer.concat(some))
      some = []
      bytes = 0
    }
    some.push(frame)
    bytes += frame.length
  }
  return bytes === 0 ? chunks : [...chunks, Buffer.concat(some)]
}
