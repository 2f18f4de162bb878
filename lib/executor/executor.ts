/**
 * Acquires branches, starts them, settles what they gave: in batches, never more at once than there are slots. It asks the engine what a
 * branch is, and the backend for everything else.
 *
 * A slot is the right to run one branch. A branch that waits at an inner barrier gives its slot back, so nesting needs no second worker.
 *
 * All that one turn of the event loop brings (ends of branches, free slots) is dealt with once, in a microtask: it starts what waits,
 * settles what is over and asks for more, so that settle and acquire travel together. On a distant store short tasks are acquired ahead
 * (lookahead.ts), so that there is work while answers travel.
 *
 * This file is long because acquiring, starting and settling share one state: what is in flight.
 */
import type { Backend, Grant, Token } from '../backend/backend.js'
import type { Announcer } from '../session/announcer.js'
import { encodeFailure } from '../values/codec.js'
import type { Engine } from '../engine/engine.js'
import type { Execution } from '../engine/execution.js'
import { ValueWriter } from '../values/value-lists.js'
import { EMPTY_BYTES } from '../values/packed-items.js'
import type { PreparedBranch, PreparedGrant } from '../engine/prepared-grant.js'
import type { BranchReport } from '../engine/task-start.js'
import { GraflowError } from '../errors.js'
import type { Emitter, OutcomeStatus } from '../events.js'
import type { Clock, Random } from '../time.js'
import { BranchInFlight } from './branch-in-flight.js'
import { GrantInFlight } from './grant-in-flight.js'
import { Lookahead } from './lookahead.js'
import { QueueShares } from './queue-shares.js'
import { countKinds, inCalls, type Unsettled } from './settle-calls.js'
import { SlotHold, Slots, type QueueShare } from './slots.js'

export interface ExecutorOptions {
  readonly backend: Backend
  readonly engine: Engine
  readonly clock: Clock
  readonly emitter: Emitter
  /** What takes the emitter's events to other processes, where there are any. */
  readonly announcer?: Announcer
  readonly session: string
  readonly workerId: string
  /** Branches that run at once. */
  readonly maxConcurrentTasks: number
  readonly queues: readonly string[] | 'all'
  /** The most branches of a queue that may be in flight here, where that is less than all. */
  readonly queueLimits?: ReadonlyMap<string, number>
  readonly capabilities: readonly string[] | 'all'
  /** New random identifiers. */
  readonly newId: () => string
  /** Drives a run that was submitted, and so came as a branch. */
  readonly driveRun: (grant: Grant, k: number, slot?: SlotHold) => void
  /** A driven run has a slot whenever it does not wait at a barrier. */
  readonly runsHoldSlots?: boolean
  /** The store is another process: work is acquired ahead, lost hints are made up for, and what fails is tried again. */
  readonly distant?: { readonly random: Random }
  /** The first branch has come, or the last is over. */
  readonly onBusy?: (isBusy: boolean) => void
  /** The store does not know the session: whoever keeps it opens it anew. */
  readonly onNoSession?: () => void
  /** A broken contract or lost store: the loop goes on, somebody should know. */
  readonly onError: (error: unknown) => void
}

/** Counters as the seeds have them. */
export interface WorkerCounters {
  readonly tasksProcessed: number
  readonly tasksSucceeded: number
  readonly tasksFailed: number
  readonly totalExecutionTimeMs: number
}

/** After so long in one turn of the event loop, timers and sockets are let in; the clock is read every few starts. */
const LONGEST_TURN_MS = 10
const STARTS_PER_LOOK = 16
/** Starts in one turn where more wait: then their results set out before the others begin. */
const STARTS_PER_TURN = 256
/** Settle calls under way at once; what ends meanwhile travels with the next. */
const SETTLE_LANES = 2
/** Asks after so long without a hint. */
const SLOW_CHECK_MS = 5_000
/** What waits behind busy slots for so long goes back: another worker may be free. */
const LONGEST_WAIT_MS = 100
/** Grants that were taken away before they came, remembered. */
const MOST_REFUSED = 1_000
/** A grant that was sent is confirmed when it takes longer. */
const CONFIRM_MS = 300
/** After a call that failed. */
const ERROR_PAUSE_MS = 500

const RELEASED: BranchReport = Object.freeze({ kind: 'released', delayMs: 0 })

/** The loop. Woken by notices; without a distant store it stands still, without a timer, when there is nothing to do. */
export class Executor {
  readonly #options: ExecutorOptions
  readonly #slots: Slots
  readonly #shares: QueueShares
  readonly #ahead: Lookahead
  readonly #inFlight = new Map<string, Set<GrantInFlight>>()
  readonly #unsettled = new Set<GrantInFlight>()
  /** Grants with branches that wait for a slot, in order of their arrival; how many branches. */
  readonly #backlog = new Set<GrantInFlight>()
  #waiting = 0
  /** Branches that wait for their graph. */
  #preparing = 0
  #startedInAll = 0
  /** Calls under way that may bring grants, and grants that wait for their graph. */
  #coming = 0
  /** What was taken away meanwhile, by token or by group: the news may be here before the grant. */
  readonly #dismissed = new Set<string>()
  /** Tokens that were taken away and never came: a grant that the store sent may come after it was given up. The last few. */
  readonly #refused = new Set<Token>()
  /** Tokens of grants that the store has sent a moment ago. */
  readonly #unconfirmed = new Set<Token>()
  #cancelConfirm: (() => void) | undefined
  /** Settle calls under way. */
  readonly #calls = new Set<readonly Unsettled[]>()
  #isPumping = false
  #isAskedAgain = false
  #isQuiet = false
  #isStopped = false
  #isPlanned = false
  #isStarting = false
  #isBreathing = false
  #turnStartedAt = 0
  /**
   * A distant store has said that there is nothing more, and tells when there is: asking again with each settle would keep Redis from telling
   * others of what was settled.
   */
  #isToBeTold = false
  /** As it was asked last: what the store tells of depends on it. */
  #askedDeeperThan: number | undefined
  /** The loop's own time, in ms since it was made: small numbers, which cost nothing to keep. As of the last look at the clock. */
  #now = 0
  readonly #epoch: number
  /** One length for all slow checks of this loop: timers of one length cost next to nothing, those of many lengths do. */
  readonly #slowCheckMs: number
  #cancelCheck: (() => void) | undefined
  #cancelWatch: (() => void) | undefined
  #isSlowCheck = false
  #onDrained: (() => void)[] = []
  #onSettled: (() => void)[] = []
  readonly #ended = (grant: GrantInFlight, k: number, execution: Execution, report: BranchReport): void =>
    this.#end(grant, k, execution, report)
  #counters = { tasksProcessed: 0, tasksSucceeded: 0, tasksFailed: 0, totalExecutionTimeMs: 0 }

  constructor(options: ExecutorOptions) {
    this.#options = options
    this.#epoch = options.clock.now()
    this.#slowCheckMs = SLOW_CHECK_MS * (1 + (options.distant?.random() ?? 0) / 10)
    this.#slots = new Slots(options.maxConcurrentTasks, () => this.#plan())
    this.#shares = new QueueShares(options.queues, options.queueLimits)
    this.#ahead = new Lookahead(options.distant === undefined ? 0 : options.maxConcurrentTasks)
  }

  get counters(): WorkerCounters {
    return { ...this.#counters }
  }

  /** Branches that are started and not over. */
  get inFlight(): number {
    let count = 0
    for (const grants of this.#inFlight.values()) for (const grant of grants) count += grant.left - grant.unstarted
    return count
  }

  /** How many of each task those are. */
  get tasksInFlight(): ReadonlyMap<string, number> {
    const tasks = new Map<string, number>()
    for (const grants of this.#inFlight.values()) {
      for (const grant of grants) {
        for (const [k, branch] of grant.branches.entries()) {
          if (branch === undefined) continue
          const task = grant.labelOf(grant.grant.indexes[k] ?? 0) ?? grant.prepared.branch(k).label
          tasks.set(task, (tasks.get(task) ?? 0) + 1)
        }
      }
    }
    return tasks
  }

  /** Branches that were acquired and wait for a slot. */
  get waiting(): number {
    return this.#waiting
  }

  /** Slots that no branch has. */
  get freeSlots(): number {
    return this.#slots.free
  }

  /** The store has sent a grant that was not asked for: it found this session waiting with nothing in hand. */
  receivePushed(grant: Grant): void {
    if (this.#refused.delete(grant.token)) return
    this.#take(grant)
    this.#unconfirmed.add(grant.token)
    this.#confirmLater()
  }

  /** The store reclaims what it has sent unless it is settled or confirmed soon: whoever stands still must not keep it. */
  #confirmLater(): void {
    const { clock, backend, session, onError } = this.#options
    this.#cancelConfirm ??= clock.after(
      CONFIRM_MS,
      () => {
        this.#cancelConfirm = undefined
        const held = (this.known() ?? []).filter(({ token }) => this.#unconfirmed.delete(token))
        if (this.#coming > 0) this.#confirmLater()
        else this.#unconfirmed.clear()
        if (held.length > 0) backend.session({ kind: 'confirm', session, grants: held }).catch(onError)
      },
      true,
    )
  }

  /** There may be work: repeating it is free. */
  wake(): void {
    this.#isToBeTold = false // who is told is told once
    if (this.#isPumping) this.#isAskedAgain = true
    else if (this.#room() > 0) void this.#pump()
  }

  /** Stops acquiring for good, and releases what was not started. What runs goes on. */
  quiet(): void {
    if (this.#isQuiet) return
    this.#isQuiet = true
    this.#cancelCheck?.()
    this.#releaseWaiting()
  }

  /** Resolves once nothing is in flight and all is settled. Call `quiet` first, or that may never be. */
  drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#onDrained.push(resolve)
      this.#resolveIfDrained()
    })
  }

  /** Stops acquiring; aborts what runs, with `reason`, and hands it back unspent. */
  async stop(reason: Error): Promise<void> {
    this.quiet()
    this.#isStopped = true
    for (const gid of [...this.#inFlight.keys()]) this.abortGroup(gid, reason, 'released')
    await this.settled()
    this.#cancelWatch?.()
    this.#cancelConfirm?.()
  }

  /** Grants in hand, their outcomes on their way included; undefined while grants may be coming that are not known yet. */
  known(): readonly { readonly gid: string; readonly token: Token }[] | undefined {
    if (this.#coming > 0) return undefined
    const all = new Set<GrantInFlight>(this.#unsettled)
    for (const grants of this.#inFlight.values()) for (const grant of grants) all.add(grant)
    for (const call of this.#calls) for (const { grant } of call) all.add(grant)
    return Array.from(all, ({ grant }) => ({ gid: grant.spec.gid, token: grant.token }))
  }

  /** Resolves once no outcome is on its way. */
  settled(): Promise<void> {
    return new Promise((resolve) => {
      this.#onSettled.push(resolve)
      this.#turn()
    })
  }

  /** The branches of this group that run here are not wanted any more: their signals fire, their results are dropped. */
  abortGroup(gid: string, reason: Error, as: 'dropped' | 'released' = 'dropped', token?: string): void {
    if (this.#coming > 0 && as === 'dropped') this.#dismissed.add(token ?? gid)
    let started = 0
    let isKnown = false
    for (const grant of [...(this.#inFlight.get(gid) ?? [])]) {
      if (token !== undefined && grant.grant.token !== token) continue
      isKnown = true
      this.#dismissWaiting(grant, as)
      for (const [k, branch] of grant.branches.entries()) {
        const execution = branch?.execution
        if (branch === undefined || execution === undefined) continue
        started += 1
        if (as === 'released') this.#release(grant, k, execution)
        grant.branches[k] = undefined
        grant.left -= 1
        branch.end()
        execution.cancel.abort(reason)
        execution.end()
      }
      this.#forgetIfOver(grant)
    }
    if (token !== undefined && !isKnown) this.#refuseLater(token)
    // Whoever lost a grant learns it from a notice, or from the answer to its settle, whichever comes first: either way its results are refused.
    if (token !== undefined && started > 0) this.#emitRefused(started)
  }

  #refuseLater(token: Token): void {
    const oldest = firstOf(this.#refused)
    if (this.#refused.size >= MOST_REFUSED && oldest !== undefined) this.#refused.delete(oldest)
    this.#refused.add(token)
  }

  // ------------------------------------------------------------------------------------------------------------- acquiring

  async #pump(): Promise<void> {
    this.#isPumping = true
    this.#turnStartedAt = this.#options.clock.now()
    try {
      do {
        this.#isAskedAgain = false
        while (await this.#acquire()) await this.#breathe()
      } while (this.#isToGoOn())
    } catch (error) {
      if (!this.#isStopped) this.#options.onError(error)
      this.#checkAfter(ERROR_PAUSE_MS)
    } finally {
      this.#isPumping = false
      if (this.#onDrained.length > 0) this.#resolveIfDrained()
    }
  }

  /** Whether somebody woke the loop while it was asking. */
  #isToGoOn(): boolean {
    return this.#isAskedAgain && this.#room() > 0
  }

  /** How many branches may be asked for now. */
  #room(): number {
    if (this.#isQuiet) return 0
    const free = this.#slots.free - this.#waiting - this.#preparing
    const ahead = this.#ahead.most
    // In large helpings: little by little, each would cost a call.
    return ahead === 0 || free > 0 || this.#waiting * 2 <= ahead ? Math.max(0, free + ahead) : 0
  }

  /** True when it is worth asking again at once. */
  async #acquire(): Promise<boolean> {
    const { backend, session, capabilities, newId, emitter, distant } = this.#options
    const room = Math.min(this.#room(), backend.limits.itemsPerCall)
    if (room === 0) return false
    const { queues, max, isNarrowed, isPartial } = this.#shares.ask(room)
    if (queues.length === 0) return false
    const deeperThan = this.#slots.onlyDeeperThan
    this.#askedDeeperThan = deeperThan
    const isSlowCheck = this.#isSlowCheck
    this.#isSlowCheck = false
    this.#cancelCheck?.()
    this.#isToBeTold = false
    this.#coming += 1
    try {
      const answer = await backend.acquire({
        session,
        nonce: newId(),
        max,
        ...(distant !== undefined && { quick: this.#ahead.quick, acceptsPush: true }),
        ...(distant !== undefined && { startable: Math.max(0, this.#slots.free - this.#waiting - this.#preparing) }),
        queues,
        capabilities,
        ...(deeperThan !== undefined && { deeperThan }),
      })
      if (answer.status === 'nosession') {
        this.#meetNoSession()
        return false
      }
      if (isSlowCheck && answer.grants.length > 0) emitter.emit('wakeup:missed', { count: 1 })
      let taken = 0
      for (const grant of answer.grants) {
        taken += grant.indexes.length
        this.#take(grant)
      }
      // Who got all that it asked for is not told of more: what is room now must be asked for.
      const isMore = isPartial || taken >= max || (taken > 0 && (answer.isMore || this.#isAskedAgain))
      this.#shares.hasAnswered(isMore && isNarrowed)
      this.#isToBeTold = !isMore && !answer.isMore && !this.#isAskedAgain && this.#options.distant !== undefined
      if (!isMore) this.#checkAfter(Math.min(SLOW_CHECK_MS, answer.nextDueMs ?? SLOW_CHECK_MS))
      return isMore
    } finally {
      this.#hasCome()
    }
  }

  #meetNoSession(): void {
    const { session, onNoSession, onError } = this.#options
    if (this.#isStopped) return
    if (onNoSession === undefined) onError(new GraflowError('INTERNAL', `session ${session} is gone`))
    else onNoSession()
    this.#checkAfter(ERROR_PAUSE_MS)
  }

  /** Sees to it that a distant store is asked again, hint or no hint. */
  #checkAfter(ms: number): void {
    const { clock, distant } = this.#options
    if (distant === undefined || this.#isQuiet) return
    this.#cancelCheck?.()
    const isSlowCheck = ms >= SLOW_CHECK_MS
    this.#cancelCheck = clock.after(
      isSlowCheck ? this.#slowCheckMs : Math.max(1, ms) * (1 + distant.random() / 10),
      () => {
        this.#isSlowCheck = isSlowCheck && !this.#isPumping
        this.wake()
      },
      true,
    )
  }

  /** Once nothing is on its way any more, what was taken away from it need not be known. */
  #hasCome(): void {
    this.#coming -= 1
    if (this.#coming > 0) return
    this.#dismissed.clear()
    if (this.#onDrained.length > 0) this.#plan()
  }

  /** A grant has arrived: its branches are started, or wait. */
  #take(grant: Grant): void {
    if (grant.isWatched !== undefined) this.#options.announcer?.learn(grant.spec.runId, grant.isWatched)
    const share = this.#shares.of(grant.spec.queue)
    if (share !== undefined) share.held += grant.indexes.length
    if (grant.spec.depth === 0) {
      this.#takeRuns(grant, share)
      return
    }
    try {
      const prepared = this.#options.engine.prepare(grant)
      if (prepared instanceof Promise) {
        this.#coming += 1
        this.#preparing += grant.indexes.length
        void prepared
          .then(
            (known) => this.#admit(known, share),
            (error: unknown) => this.#refuse(grant, share, error),
          )
          .finally(() => {
            this.#preparing -= grant.indexes.length
            this.#hasCome()
            this.#plan()
          })
      } else this.#admit(prepared, share)
    } catch (error) {
      this.#coming += 1
      void this.#refuse(grant, share, error).finally(() => this.#hasCome())
    }
  }

  /** Submitted runs, to be driven. */
  #takeRuns(grant: Grant, share: QueueShare | undefined): void {
    const { driveRun, runsHoldSlots = false } = this.#options
    for (let k = 0; k < grant.indexes.length; k += 1) {
      if (!runsHoldSlots) {
        if (share !== undefined) share.held -= 1
        driveRun(grant, k)
        continue
      }
      this.#slots.take(() => {
        driveRun(grant, k, new SlotHold(this.#slots, 0, share))
        return true
      })
    }
  }

  #admit(prepared: PreparedGrant, share: QueueShare | undefined): void {
    const grant = new GrantInFlight(prepared, share)
    const { token, spec } = grant.grant
    const { gid } = spec
    if (this.#dismissed.has(gid) || this.#dismissed.has(token)) {
      if (share !== undefined) share.held -= grant.left
      this.#plan()
      return
    }
    const grants = this.#inFlight.get(gid) ?? new Set()
    const wasIdle = this.#inFlight.size === 0
    this.#inFlight.set(gid, grants.add(grant))
    if (wasIdle) this.#options.onBusy?.(true)
    this.#backlog.add(grant)
    this.#waiting += grant.left
    if (this.#isQuiet) this.#releaseWaiting()
    else this.#startWaiting()
  }

  // -------------------------------------------------------------------------------------------------------------- starting

  /** Starts what waits, as far as there are slots; what takes long lets others in between. */
  #startWaiting(): void {
    if (this.#isStarting || this.#isBreathing || this.#waiting === 0 || this.#slots.free === 0) return
    this.#isStarting = true
    const begunAt = this.#look()
    let started = 0
    for (let grant = firstOf(this.#backlog); grant !== undefined; grant = firstOf(this.#backlog)) {
      const isHeard = this.#options.emitter.isSubscribed('branch:started', grant.grant.spec.runId)
      while (grant.unstarted > 0 && this.#slots.free > 0) {
        const isLong = started % STARTS_PER_LOOK === 0 && this.#look() - begunAt >= LONGEST_TURN_MS
        if (isLong || started >= STARTS_PER_TURN) {
          this.#startLater()
          break
        }
        started += 1
        this.#start(grant, isHeard)
      }
      if (grant.unstarted > 0) break
      this.#backlog.delete(grant)
    }
    this.#isStarting = false
    if (this.#waiting > 0) this.#watchWaiting()
  }

  #startLater(): void {
    this.#isBreathing = true
    setImmediate(() => {
      this.#isBreathing = false
      this.#startWaiting()
    })
  }

  #start(grant: GrantInFlight, isHeard: boolean): void {
    const { prepared, branches } = grant
    const k = branches.length
    if (isHeard) this.#emitStarted(prepared.branch(k))
    this.#slots.use()
    const branch = new BranchInFlight(this.#slots, this.#ended, grant, k, this.#now)
    branches.push(branch)
    this.#waiting -= 1
    this.#startedInAll += 1
    branch.execution = this.#options.engine.start(prepared, k, branch)
  }

  /** The time now; kept for whoever can do with a time of this turn. */
  #look(): number {
    this.#now = this.#options.clock.now() - this.#epoch
    return this.#now
  }

  /** Lets timers and sockets in when handlers have kept the event loop for long. */
  async #breathe(): Promise<void> {
    if (!this.#isBreathing && this.#options.clock.now() - this.#turnStartedAt < LONGEST_TURN_MS) return
    await new Promise<void>((resolve) => setImmediate(resolve))
    this.#turnStartedAt = this.#options.clock.now()
  }

  /** What was acquired ahead of tasks that turn out to be long is released. */
  #watchWaiting(): void {
    const { clock, distant } = this.#options
    if (distant === undefined || this.#cancelWatch !== undefined) return
    const startedBefore = this.#startedInAll
    this.#cancelWatch = clock.after(
      LONGEST_WAIT_MS,
      () => {
        this.#cancelWatch = undefined
        if (this.#waiting === 0) return
        if (this.#startedInAll > startedBefore || this.#slots.free > 0) {
          this.#watchWaiting()
          return
        }
        this.#ahead.stop()
        this.#releaseWaiting()
      },
      true,
    )
  }

  /** Releases, unspent, all that was not started. */
  #releaseWaiting(): void {
    for (const grant of [...this.#backlog]) {
      this.#dismissWaiting(grant, 'released')
      this.#forgetIfOver(grant)
    }
  }

  #dismissWaiting(grant: GrantInFlight, as: 'dropped' | 'released'): void {
    const from = grant.branches.length
    const count = grant.dismissUnstarted()
    if (count === 0) return
    this.#waiting -= count
    this.#backlog.delete(grant)
    if (grant.share !== undefined) grant.share.held -= count
    if (as === 'released') for (let k = from; k < from + count; k += 1) this.#release(grant, k, undefined)
    else this.#plan()
  }

  // -------------------------------------------------------------------------------------------------------------- settling

  /** A start is over: its branch, too, as far as this process goes. */
  #end(grant: GrantInFlight, k: number, execution: Execution, report: BranchReport): void {
    const branch = grant.branches[k]
    grant.branches[k] = undefined
    grant.left -= 1
    const isCounted = !grant.prepared.isForwarded(k)
    this.#collect(grant, k, execution, report, isCounted)
    if (isCounted) {
      grant.untimed += 1
      grant.untimedStarts += branch?.startedAt ?? this.#now
    }
    execution.end()
    branch?.end()
    this.#forgetIfOver(grant)
  }

  #release(grant: GrantInFlight, k: number, execution: Execution | undefined): void {
    grant.values.push(EMPTY_BYTES)
    this.#note(grant, k, execution, RELEASED)
  }

  /** @param isCounted false where the start counts in the worker that it was dispatched on to */
  #collect(grant: GrantInFlight, k: number, execution: Execution, report: BranchReport, isCounted: boolean): void {
    const { emitter } = this.#options
    const { kind, error } = report
    const { runId } = grant.grant.spec
    this.#note(grant, k, execution, report)
    if (kind === 'succeeded' || kind === 'failed') {
      if (isCounted) {
        this.#counters.tasksProcessed += 1
        if (kind === 'succeeded') this.#counters.tasksSucceeded += 1
        else this.#counters.tasksFailed += 1
      }
      if (emitter.isSubscribed('branch:settled', runId)) this.#emitSettled(grant.prepared.branch(k), kind)
    } else if (kind === 'retry' && error !== undefined && emitter.isSubscribed('branch:retrying', runId)) {
      this.#emitRetrying(grant.prepared.branch(k), report.delayMs, error)
    }
  }

  /** What travels with the next settle. */
  #note(grant: GrantInFlight, k: number, execution: Execution | undefined, report: BranchReport): void {
    grant.add(k, report)
    const save = execution?.takeUnsaved()
    if (save !== undefined) grant.addSaves(save)
    this.#unsettled.add(grant)
    this.#plan()
  }

  /** After the handlers that end in this same turn: their outcomes travel together. */
  #plan(): void {
    if (this.#isPlanned) return
    this.#isPlanned = true
    queueMicrotask(() => {
      this.#turn()
    })
  }

  #turn(): void {
    this.#isPlanned = false
    this.#startWaiting()
    this.#flush()
    if (!this.#isToBeTold || this.#askedDeeperThan !== this.#slots.onlyDeeperThan) this.wake()
    if (this.#onSettled.length > 0 && this.#calls.size === 0 && this.#unsettled.size === 0) {
      for (const resolve of this.#onSettled.splice(0)) resolve()
    }
    if (this.#onDrained.length > 0) this.#resolveIfDrained()
  }

  /** Sends what is to be settled, unless enough is under way. */
  #flush(): void {
    if (this.#unsettled.size === 0 || this.#calls.size >= SETTLE_LANES) return
    const { limits } = this.#options.backend
    this.#look()
    const all: Unsettled[] = []
    for (const grant of this.#unsettled) {
      // Room under its limit comes free: nobody needs to tell.
      if (grant.grant.spec.limit > 0) this.#isToBeTold = false
      const meanMs = this.#countTime(grant)
      for (const range of grant.takeRanges(limits)) all.push({ range, grant, meanMs })
    }
    this.#unsettled.clear()
    this.#options.announcer?.deliver()
    for (const call of inCalls(all, limits)) {
      this.#calls.add(call)
      void this.#settle(call).then(() => {
        this.#calls.delete(call)
        if (this.#unsettled.size + this.#onDrained.length + this.#onSettled.length > 0) this.#plan()
      })
    }
  }

  async #settle(call: readonly Unsettled[]): Promise<void> {
    const { backend, emitter, session, workerId, onError } = this.#options
    try {
      const answers = await backend.settle({ session, ranges: call.map(({ range }) => range) })
      if (emitter.has('branches:settled')) emitter.emit('branches:settled', { workerId, ...countKinds(call, answers) })
    } catch (error) {
      // A store that was closed has given back what this session had.
      if (!(this.#isStopped && error instanceof GraflowError && error.code === 'CLOSED')) onError(error)
      // One range may be what the store cannot take: the others must not be lost for it.
      if (call.length > 1 && !this.#isStopped) await Promise.all(call.map((unsettled) => this.#settle([unsettled])))
    }
  }

  /** Once for all starts that ended in this turn: asking the clock for each would cost a tenth of what a branch costs. */
  #countTime(grant: GrantInFlight): number {
    const { untimed } = grant
    if (untimed === 0) return 0
    const totalMs = untimed * this.#now - grant.untimedStarts
    this.#counters.totalExecutionTimeMs += totalMs
    grant.untimed = 0
    grant.untimedStarts = 0
    const { quick } = this.#ahead
    this.#ahead.learn(totalMs / untimed, untimed, grant.grant.spec.tasks)
    if (this.#ahead.quick !== quick) this.#isToBeTold = false // the store goes by what it was told with the last call
    return totalMs / untimed
  }

  /** A grant that cannot be started: its graph is gone or broken. Every branch fails with the reason, so that no barrier waits for it. */
  async #refuse(grant: Grant, share: QueueShare | undefined, error: unknown): Promise<void> {
    const { backend, session, onError } = this.#options
    const failure =
      error instanceof GraflowError
        ? error
        : new GraflowError('INTERNAL', `the grant for ${grant.spec.gid} could not be started: ${String(error)}`, {
            cause: error,
          })
    const bytes = encodeFailure(failure)
    const { itemsPerCall } = backend.limits
    try {
      for (let from = 0; from < grant.indexes.length; from += itemsPerCall) {
        const indexes = grant.indexes.subarray(from, from + itemsPerCall)
        const values = new ValueWriter()
        for (const _ of indexes) values.push(bytes)
        await backend.settle({
          session,
          ranges: [
            {
              gid: grant.spec.gid,
              token: grant.token,
              indexes,
              kinds: Array.from(indexes, () => 'failed'),
              values: values.take(),
            },
          ],
        })
      }
    } catch (thrown) {
      onError(thrown)
    } finally {
      if (share !== undefined) share.held -= grant.indexes.length
      this.#plan()
    }
  }

  #forgetIfOver(grant: GrantInFlight): void {
    if (grant.left > 0) return
    const { gid } = grant.grant.spec
    const grants = this.#inFlight.get(gid)
    grants?.delete(grant)
    if (grants?.size !== 0) return
    this.#inFlight.delete(gid)
    if (this.#inFlight.size === 0) this.#options.onBusy?.(false)
  }

  #resolveIfDrained(): void {
    const isAtRest =
      this.#inFlight.size === 0 &&
      this.#unsettled.size === 0 &&
      this.#calls.size === 0 &&
      this.#coming === 0 &&
      !this.#isPumping
    if (!isAtRest) return
    for (const resolve of this.#onDrained.splice(0)) resolve()
  }

  // --------------------------------------------------------------------------------------------------------------- telling

  #emitStarted(branch: PreparedBranch): void {
    const { runId, place: path, label: task, index, workerId, errors, losses } = branch
    this.#options.emitter.emit('branch:started', { runId, path, task, index, workerId, attempt: 1 + errors + losses })
  }

  #emitRetrying(branch: PreparedBranch, delayMs: number, error: GraflowError): void {
    const { runId, place: path, label: task, errors, losses } = branch
    this.#options.emitter.emit('branch:retrying', {
      runId,
      path,
      task,
      attempt: 1 + errors + losses,
      delayMs,
      error,
    })
  }

  #emitRefused(fenced: number): void {
    const { emitter, workerId } = this.#options
    if (!emitter.has('branches:settled')) return
    emitter.emit('branches:settled', { workerId, succeeded: 0, failed: 0, retried: 0, fenced, tasks: [] })
  }

  #emitSettled(branch: PreparedBranch, status: OutcomeStatus): void {
    const { runId, place: path, label: task, index, workerId, errors, losses } = branch
    const attempt = 1 + errors + losses
    this.#options.emitter.emit('branch:settled', { runId, path, task, index, workerId, attempt, status })
  }
}

/** The first of a set in order of insertion. */
function firstOf<T>(set: ReadonlySet<T>): T | undefined {
  for (const first of set) return first
  return undefined
}
