/**
 * Takes what happens in runs to the processes that watch them: events of one run and turn travel as one message. They are hints, for looking
 * only: what does not get through is not repeated.
 *
 * A run that no process watches costs nothing here: every grant says whether one does, and so does the answer to an announcement. For a while
 * no event of such a run is even built, since a branch costs a few microseconds and its events would cost as much again.
 */
import type { Backend } from '../backend/backend.js'
import { decode, encodeFailure } from '../values/codec.js'
import { isForwarded, type Forwarder, type ForwardedEvent } from '../events.js'
import type { Clock } from '../time.js'

/** A run is taken for unwatched until this has passed once or twice. */
const GENERATION_MS = 250
/** In one message; what is more in one turn makes another. */
const MOST_EVENTS = 256
const MOST_BYTES = 256 * 1024
/** Events that wait while so many messages of their run are on their way; more are left out. */
const MOST_WAITING = 4_096
const MOST_MESSAGES = 8

export interface AnnouncerOptions {
  readonly backend: Pick<Backend, 'announce'>
  readonly clock: Clock
  /** Stands in every message: no other process has it. */
  readonly sender: string
}

/** Events of one run that are to go out. */
interface Outbox {
  readonly runId: string
  waiting: ForwardedEvent[]
  /** Messages whose answer is awaited. */
  messages: number
}

/** One a process. */
export class Announcer implements Forwarder {
  readonly #options: AnnouncerOptions
  readonly #outboxes = new Map<string, Outbox>()
  /** Runs that no process watches: learnt in this generation, and in the one before. A set each, so that asking reads no clock. */
  #unwatched = new Set<string>()
  #unwatchedBefore = new Set<string>()
  #cancelTurnover: (() => void) | undefined
  #number = 0
  #isPlanned = false
  #isClosed = false

  constructor(options: AnnouncerOptions) {
    this.#options = options
  }

  wants(runId: string): boolean {
    return !this.#unwatched.has(runId) && !this.#unwatchedBefore.has(runId)
  }

  take(event: ForwardedEvent): void {
    const { runId } = event
    const outbox: Outbox = this.#outboxes.get(runId) ?? { runId, waiting: [], messages: 0 }
    this.#outboxes.set(runId, outbox)
    if (outbox.waiting.length < MOST_WAITING) outbox.waiting.push(event)
    if (this.#isPlanned) return
    this.#isPlanned = true
    // when all events of this turn are there
    void Promise.resolve().then(() => process.nextTick(() => this.deliver()))
  }

  /** A grant or the answer to an announcement says whether the run is watched. */
  learn(runId: string, isWatched: boolean): void {
    if (isWatched) {
      this.#unwatched.delete(runId)
      this.#unwatchedBefore.delete(runId)
    } else if (!this.#outboxes.has(runId)) this.#mute(runId)
  }

  /** Sends what waits. Call it before outcomes are sent: then watchers get events before the outcomes that follow them. */
  deliver(): void {
    this.#isPlanned = false
    for (const outbox of this.#outboxes.values()) this.#send(outbox)
  }

  /** Sends what waits a last time, and takes no more. */
  close(): void {
    this.deliver()
    this.#isClosed = true
    this.#cancelTurnover?.()
    this.#outboxes.clear()
  }

  #send(outbox: Outbox): void {
    while (outbox.waiting.length > 0 && outbox.messages < MOST_MESSAGES && !this.#isClosed) {
      for (const bytes of this.#pack(outbox.waiting.splice(0, MOST_EVENTS))) void this.#announce(outbox, bytes)
    }
  }

  async #announce(outbox: Outbox, bytes: Uint8Array): Promise<void> {
    outbox.messages += 1
    const watchers = await this.#options.backend.announce(outbox.runId, bytes).catch(() => 0) // away or closed: it was a hint
    outbox.messages -= 1
    if (this.#isClosed) return
    if (watchers === 0) {
      outbox.waiting = []
      this.#mute(outbox.runId)
    }
    this.#send(outbox)
    if (outbox.messages === 0 && outbox.waiting.length === 0) this.#outboxes.delete(outbox.runId)
  }

  /** In as many messages as their size asks for; what cannot be carried, or is too large by itself, is left out. */
  #pack(events: readonly ForwardedEvent[]): Uint8Array[] {
    let bytes: Uint8Array | undefined
    try {
      bytes = encodeFailure([this.#options.sender, this.#number, events])
    } catch {
      bytes = undefined // one that cannot be carried must not take the others with it
    }
    if (bytes !== undefined && bytes.length <= MOST_BYTES) {
      this.#number += 1
      return [bytes]
    }
    if (events.length <= 1) return []
    const middle = events.length >> 1
    return [...this.#pack(events.slice(0, middle)), ...this.#pack(events.slice(middle))]
  }

  #mute(runId: string): void {
    if (this.#isClosed) return
    this.#unwatched.add(runId)
    this.#cancelTurnover ??= this.#options.clock.after(GENERATION_MS, () => this.#turnOver(), true)
  }

  #turnOver(): void {
    this.#cancelTurnover = undefined
    this.#unwatchedBefore = this.#unwatched
    this.#unwatched = new Set()
    if (this.#unwatchedBefore.size > 0)
      this.#cancelTurnover = this.#options.clock.after(GENERATION_MS, () => this.#turnOver(), true)
  }
}

/** Reads what processes announce of one run, each event once. */
export class AnnouncedEvents {
  readonly #runId: string
  readonly #self: string
  /** The number of the next message of each sender. */
  readonly #next = new Map<string, number>()

  /** @param self what this process announces is not read */
  constructor(runId: string, self: string) {
    this.#runId = runId
    this.#self = self
  }

  /** The events in a message: none where it is our own, came before, or cannot be read. */
  read(bytes: Uint8Array): readonly ForwardedEvent[] {
    let message: unknown
    try {
      message = decode(bytes)
    } catch {
      return [] // not a message of this version: a hint that says nothing
    }
    if (!Array.isArray(message)) return []
    const [sender, number, events] = message as readonly unknown[]
    if (typeof sender !== 'string' || typeof number !== 'number' || !Array.isArray(events)) return []
    if (sender === this.#self || number < (this.#next.get(sender) ?? 0)) return []
    this.#next.set(sender, number + 1)
    return events.filter((event): event is ForwardedEvent => isForwarded(event) && event.runId === this.#runId)
  }
}
