/**
 * One registered worker as this server knows it. What counts stands in the store, where its session is like any other; this only remembers what a notice
 * has said, when the session was last renewed, and which call waits for work. A server that has forgotten all of it, or never knew it, loses nothing.
 */
import type { Notice, SessionInfo } from '../../backend/backend.js'
import { elapsedMs, type Clock } from '../../time.js'

/** Groups of which it is remembered why they are not wanted any more. */
const MOST_REASONS = 1_000

export class RemoteSession {
  readonly id: string
  readonly info: SessionInfo
  readonly leaseMs: number
  /** A person wants the worker to leave. */
  isDraining = false
  /** By the clock that never steps. */
  usedAt: number
  renewedAt = Number.NEGATIVE_INFINITY
  /** When it was last said what the worker does, and what that was. */
  saidAt = Number.NEGATIVE_INFINITY
  said = ''
  /** When what the store has granted was last compared with what the worker has in hand. */
  comparedAt = Number.NEGATIVE_INFINITY
  readonly #clock: Clock
  readonly #reasons = new Map<string, string>()
  #hasNews = false
  #wake: (() => void) | undefined
  /** The call that waits for work. */
  #poll: Poll | undefined
  #stopListening: (() => void) | undefined

  constructor(id: string, info: SessionInfo, leaseMs: number, clock: Clock) {
    this.id = id
    this.info = info
    this.leaseMs = leaseMs
    this.#clock = clock
    this.usedAt = elapsedMs(clock)
  }

  /** What listens to notices of the session, for `close`. */
  listenBy(stop: () => void): void {
    this.#stopListening = stop
  }

  handleNotice(notice: Notice): void {
    if (notice.kind === 'drain') this.isDraining = true
    if (notice.kind === 'withdrawn') this.#remember(notice.gid, notice.reason)
    this.#hasNews = true
    this.#wake?.()
  }

  /** Why branches of a group are not wanted any more, where a notice said so. */
  reasonFor(gid: string): string | undefined {
    return this.#reasons.get(gid)
  }

  /**
   * A call waits for work from now on, until `end`; `gone` aborts when its caller is not there any more. One that waited before ends: its caller has given up, since a worker makes one such call at a time.
   * Resolves once that one has given back what it may have been granted.
   */
  async beginPoll(gone: AbortSignal): Promise<Poll> {
    const before = this.#poll
    const poll = new Poll(gone, () => this.#wake?.())
    this.#poll = poll
    before?.stop()
    await before?.ended
    return poll
  }

  /** What comes from now on ends the next `untilNotice` at once. */
  expectNews(): void {
    this.#hasNews = false
  }

  /** Resolves when a notice has come since `expectNews`, when the call is over, or after so long. */
  untilNotice(poll: Poll, mostMs: number): Promise<void> {
    if (this.#hasNews || poll.isOver) return Promise.resolve()
    return new Promise((resolve) => {
      const done = (): void => {
        cancel()
        if (this.#wake === done) this.#wake = undefined
        resolve()
      }
      const cancel = this.#clock.after(mostMs, done, true)
      this.#wake = done
    })
  }

  /** The server forgets it, or ends. */
  close(): void {
    this.#stopListening?.()
    this.#poll?.stop()
  }

  #remember(gid: string, reason: string): void {
    if (this.#reasons.size >= MOST_REASONS) this.#reasons.clear()
    this.#reasons.set(gid, reason)
  }
}

/** A call that waits for work. */
export class Poll {
  readonly ended: Promise<void>
  readonly #gone: AbortSignal
  readonly #onOver: () => void
  #isStopped = false
  #resolve: (() => void) | undefined

  constructor(gone: AbortSignal, onOver: () => void) {
    this.#gone = gone
    this.#onOver = onOver
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve
    })
    gone.addEventListener('abort', onOver, { once: true })
  }

  /** It is to wait no longer: another call waits in its place, its caller is gone, or the server closes. */
  get isOver(): boolean {
    return this.#isStopped || this.#gone.aborted
  }

  stop(): void {
    this.#isStopped = true
    this.#onOver()
  }

  end(): void {
    this.#gone.removeEventListener('abort', this.#onOver)
    this.#resolve?.()
  }
}
