/**
 * Hides when branches that were acquired are started: in order of arrival, as far as there are slots, and in portions, so that timers and
 * sockets get their turns. What waits for long behind busy slots is released, as far as it will not be started soon, because another worker may
 * be free, or its run have been paused since it came.
 */
import { ANSWER_MS } from '../engine/pauses.js'
import { emitStarted } from './branch-events.js'
import { BranchInFlight } from './branch-in-flight.js'
import type { ExecutorOptions } from './executor-options.js'
import type { GrantInFlight } from './grant-in-flight.js'
import type { InFlight } from './in-flight.js'
import type { Lookahead } from './lookahead.js'
import type { Settler } from './settler.js'
import type { QueueShare, Slots } from './slots.js'
import type { Turn } from './turn.js'

/** After so long in one turn of the event loop, timers and sockets get theirs. */
export const LONGEST_TURN_MS = 10
/** The clock is read every few starts. */
const STARTS_PER_LOOK = 16
/** Starts in one turn where more wait: then their results set out before the others begin. */
const STARTS_PER_TURN = 256
/** What waits behind busy slots for so long is released. */
export const LONGEST_WAIT_MS = 100

type Options = Pick<ExecutorOptions, 'engine' | 'emitter' | 'clock' | 'distant'>

interface Parts {
  readonly slots: Slots
  readonly turn: Turn
  readonly ahead: Lookahead
  readonly inFlight: InFlight
  readonly settler: Settler
}

interface Mark {
  /** In ms, as of the turn. */
  readonly at: number
  /** Branches started until then, in all. */
  readonly started: number
}

export class Starter {
  readonly #options: Options
  readonly #parts: Parts
  /** Grants with branches that wait for a slot, in order of their arrival. */
  readonly #backlog = new Set<GrantInFlight>()
  #waiting = 0
  #startedInAll = 0
  /** Marks at least so long apart, to count the starts since. */
  #mark: Mark = { at: 0, started: 0 }
  #startedAt = 0
  #markBefore: Mark = this.#mark
  /** `pausing`: the next portion is started in the next turn of the event loop. */
  #state: 'at rest' | 'starting' | 'pausing' = 'at rest'
  #cancelWatch: (() => void) | undefined
  /**
   * Their runs were not paused, as an answer says that was long on its way: it counts in the portion that it brings. Else nothing would ever start
   * where an answer takes as long as it may be used.
   */
  readonly #lateAnswers = new Set<GrantInFlight>()

  constructor(options: Options, parts: Parts) {
    this.#options = options
    this.#parts = parts
  }

  /** Branches that were acquired and wait for a slot. */
  get waiting(): number {
    return this.#waiting
  }

  /** Branches started in the last 100 to 200 ms. */
  get startsLately(): number {
    const isLately = this.#parts.turn.now - this.#mark.at < 2 * LONGEST_WAIT_MS
    return isLately ? this.#startedInAll - this.#markBefore.started : 0
  }

  /** How long ago the last branch was started, in ms. */
  get restMs(): number {
    return this.#parts.turn.look() - this.#startedAt
  }

  get isPausing(): boolean {
    return this.#state === 'pausing'
  }

  /** The branches of the grant wait from now on. */
  add(grant: GrantInFlight): void {
    this.#backlog.add(grant)
    this.#waiting += grant.left
  }

  /** Starts what waits, as far as there are slots. */
  startWaiting(): void {
    const { slots, turn } = this.#parts
    if (this.#state !== 'at rest') return
    if (this.#waiting === 0 || slots.free === 0) {
      this.#lateAnswers.clear()
      return
    }
    this.#state = 'starting'
    const begunAt = turn.look()
    this.#setMark(begunAt)
    let started = 0
    let isPortionFull = false
    for (const grant of this.#backlog) {
      if (!slots.hasRoom(grant.share)) continue // others need not wait for what it waits for
      if (this.#mayBePaused(grant, begunAt)) continue
      const isSubscribed = this.#options.emitter.isSubscribed('branch:started', grant.grant.spec.runId)
      while (grant.unstarted > 0 && slots.hasRoom(grant.share)) {
        const isLong = started % STARTS_PER_LOOK === 0 && turn.look() - begunAt >= LONGEST_TURN_MS
        isPortionFull = isLong || started >= STARTS_PER_TURN
        if (isPortionFull) break
        started += 1
        this.#start(grant, isSubscribed)
      }
      if (grant.unstarted === 0) this.#backlog.delete(grant)
      if (isPortionFull || slots.free === 0) break
    }
    this.#state = 'at rest'
    if (isPortionFull) this.#pause()
    else this.#lateAnswers.clear()
    if (this.#waiting > 0) this.#watchWaiting()
  }

  /** What waits of this grant is not wanted any more, but for the first `keep`. Says how many branches those were. */
  withdraw(grant: GrantInFlight, keep = 0): number {
    const count = grant.withdrawUnstarted(keep)
    if (count === 0) return 0
    this.#waiting -= count
    if (grant.unstarted === 0) this.#backlog.delete(grant)
    if (grant.share !== undefined) grant.share.held -= count
    this.#parts.turn.plan()
    return count
  }

  /** All that waits is released, unspent. */
  releaseAll(): void {
    for (const grant of [...this.#backlog]) this.#releaseUnstarted(grant)
  }

  /**
   * What has waited for long is released, as far as it will not be started in as long again: `started` were in the last while. Of a queue with a
   * limit of its own, where none was.
   */
  #releaseLate(started: number, startsBefore: ReadonlyMap<QueueShare | undefined, number | undefined>): void {
    const now = this.#parts.turn.look()
    const isFull = this.#parts.slots.free === 0
    let soon = started
    for (const grant of [...this.#backlog]) {
      const { share } = grant
      if (share !== undefined && share.starts === startsBefore.get(share)) {
        this.#releaseUnstarted(grant)
        continue
      }
      const keep = Math.min(soon, grant.unstarted)
      soon -= keep
      if (isFull && now - grant.arrivedAt >= LONGEST_WAIT_MS) this.#releaseUnstarted(grant, keep)
    }
  }

  /** Ends its timer. */
  stop(): void {
    this.#cancelWatch?.()
  }

  #setMark(now: number): void {
    const age = now - this.#mark.at
    if (age < LONGEST_WAIT_MS) return
    const mark = { at: now, started: this.#startedInAll }
    this.#markBefore = age < 2 * LONGEST_WAIT_MS ? this.#mark : mark
    this.#mark = mark
  }

  /** All that waits of it, but for the first `keep`. */
  #releaseUnstarted(grant: GrantInFlight, keep = 0): void {
    const from = grant.branches.length + keep
    const to = from + this.withdraw(grant, keep)
    for (let k = from; k < to; k += 1) this.#parts.settler.release(grant, k)
    this.#parts.inFlight.forgetIfOver(grant)
  }

  /** What has waited for a while may be of a run that was paused meanwhile: that is asked, and what waits of a paused run is released. */
  #mayBePaused(grant: GrantInFlight, now: number): boolean {
    const { engine, distant } = this.#options
    const { goesOnAt } = grant
    if (goesOnAt === undefined) return true
    if (distant === undefined || now - goesOnAt < ANSWER_MS || this.#lateAnswers.has(grant)) return false
    grant.goesOnAt = undefined
    engine.pauses.ask(grant.grant.spec.runId).then(
      (isPaused) => {
        if (isPaused) this.#releaseUnstarted(grant)
        else this.#lateAnswers.add(grant)
        grant.goesOnAt = now
        this.#parts.turn.plan()
      },
      () => this.#releaseUnstarted(grant), // it is not known, and may not be for long
    )
    return true
  }

  #start(grant: GrantInFlight, isSubscribed: boolean): void {
    const { slots, turn, settler } = this.#parts
    const { prepared, branches } = grant
    const k = branches.length
    if (isSubscribed && !prepared.isForwarded(k)) emitStarted(this.#options.emitter, prepared.branch(k))
    slots.use(grant.share)
    const branch = new BranchInFlight(slots, settler, grant, k, turn.now)
    branches.push(branch)
    this.#waiting -= 1
    this.#startedInAll += 1
    this.#startedAt = turn.now
    branch.execution = this.#options.engine.start(prepared, k, branch)
  }

  #pause(): void {
    this.#state = 'pausing'
    setImmediate(() => {
      this.#state = 'at rest'
      this.startWaiting()
    })
  }

  /** Branches that were acquired ahead are released when they wait for long, all of them when none was started meanwhile. */
  #watchWaiting(): void {
    const { clock, distant } = this.#options
    if (distant === undefined || this.#cancelWatch !== undefined) return
    const startedBefore = this.#startedInAll
    const startsBefore = new Map([...this.#backlog].map(({ share }) => [share, share?.starts]))
    this.#cancelWatch = clock.after(
      LONGEST_WAIT_MS,
      () => {
        this.#cancelWatch = undefined
        if (this.#waiting === 0) return
        const started = this.#startedInAll - startedBefore
        if (started > 0 || this.#parts.slots.free > 0) {
          this.#releaseLate(started, startsBefore)
          if (this.#waiting > 0) this.#watchWaiting()
          return
        }
        this.#parts.ahead.stop()
        this.releaseAll()
      },
      true,
    )
  }
}
