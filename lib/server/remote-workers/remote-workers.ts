/**
 * Workers that speak HTTP instead of the store's protocol. Such a worker has a session in the store like any other, under a lease that its calls renew,
 * and holds what it is granted through it. This process only makes the calls: any server of the key prefix may make the next one, and one that ends
 * takes nothing with it. A worker that falls silent loses its lease, and what it held is reclaimed and counted as with any lost worker.
 *
 * The file is long because each call of the protocol stands here, from registering to leaving.
 */
import type { Backend, Grant, SessionInfo, SessionStatus } from '../../backend/backend.js'
import { leaseOf, remoteMetadata } from '../../backend/remote-info.js'
import { ONLY_TASKS, withReserved } from '../../backend/reserved.js'
import { GraflowError } from '../../errors.js'
import type { Progress } from '../../engine/progress-notes.js'
import { isEnded } from '../../engine/driver.js'
import type { Session } from '../../session/open-session.js'
import { PeriodicTask } from '../../session/periodic-task.js'
import { elapsedMs, type Clock, type Random } from '../../time.js'
import { encode } from '../../values/codec.js'
import { fenceOf, labelled, NOT_SIGNED, RemoteTokens, runOf, type ReadToken, type RemoteToken } from './remote-token.js'
import { RemoteSession, type Poll } from './remote-session.js'
import { RemoteTasks, type RemoteReport, type RemoteTask, type ReportAnswer } from './remote-tasks.js'

export interface RemoteWorkersOptions {
  /** The server's own. */
  readonly session: Session
  readonly clock: Clock
  readonly random: Random
  readonly newId: () => string
  /** Aborts when the server is to end. */
  readonly closing: AbortSignal
}

/** What a worker says of itself. */
export interface Registration {
  readonly workerId: string
  readonly tasks: readonly string[]
  readonly queues: readonly string[]
  readonly capabilities: readonly string[]
  readonly metadata: Readonly<Record<string, string>>
  readonly leaseMs: number
  readonly hostname: string
  readonly pid: number
  readonly buildId?: string
}
/** A registered worker. */
export interface Registered {
  /** What its further calls name. */
  readonly id: string
  readonly workerId: string
  readonly leaseMs: number
  readonly heartbeatIntervalMs: number
}

/** A task that the worker named and does not have any more. */
export interface Lost {
  readonly token: string
  /** `withdrawn`: nobody wants it. `reclaimed`: it is another worker's now. */
  readonly why: 'withdrawn' | 'reclaimed'
  readonly reason: string
}
export interface Held {
  readonly lost: readonly Lost[]
  /** A person wants the worker to leave: it is to take nothing more, and to deregister once it has nothing in hand. */
  readonly drain: boolean
}
/** What a worker says of a task that it has in hand. */
export interface Note {
  readonly token: string
  readonly progress?: { readonly fraction: number; readonly message?: string }
  readonly log?: readonly { readonly level: 'debug' | 'info' | 'warn' | 'error'; readonly message: string }[]
}
export interface Ask {
  readonly max: number
  readonly waitMs: number
  /** Tokens of the tasks that the worker has in hand: what it was granted beside them never reached it, and is given out again. */
  readonly inHand: readonly string[]
}

/** A start, and the token that the worker named it by. */
type NamedStart = ReadToken & { readonly text: string }

/** The store is asked again after so long without a notice. */
const SLOW_CHECK_MS = 5_000
/** Grants are compared with what the worker has in hand after so long, at the next call for work. */
const COMPARE_MS = 1_000
/** How often it is said what a worker does, where that has not changed. */
const SAY_MS = 5_000
/** How long a call for work of a worker that is to leave waits: one that goes on asking is not to ask all the time. */
const DRAINING_MS = 1_000
/** How often a sweep looks for workers that have fallen silent, and this server for those that do not call it any more. */
const SWEEP_MS = 500
/** A worker that has made no call here for so many leases is forgotten here. */
const LEASES_REMEMBERED = 3
/** Heartbeats in a lease; a call for work waits no longer than from one to the next. */
const BEATS_A_LEASE = 3

/** One a server; `close` it. */
export class RemoteWorkers {
  readonly #options: RemoteWorkersOptions
  readonly #store: Backend
  readonly #tokens: RemoteTokens
  readonly #tasks: RemoteTasks
  readonly #sessions = new Map<string, RemoteSession>()
  /** By worker id, the session that was registered or found last. */
  readonly #byWorker = new Map<string, string>()
  /** A look for sessions that other servers registered: one at a time serves all who ask. */
  #looking: Promise<readonly SessionStatus[]> | undefined
  readonly #sweeps: PeriodicTask

  constructor(options: RemoteWorkersOptions) {
    const { session, clock, random, newId } = options
    this.#options = options
    this.#store = session.store
    const { engine, emitter, announcer, store } = session
    this.#tokens = new RemoteTokens({ store, clock, newId })
    this.#tasks = new RemoteTasks({ store, engine, tokens: this.#tokens, emitter, announcer, clock, random })
    const onError = (): void => undefined // the store is away: that is told where it is asked for something
    this.#sweeps = new PeriodicTask({ clock, random, onError, turn: () => this.#sweep() })
  }

  /** Registers a worker anew: its session begins now. */
  async register(registration: Registration): Promise<Registered> {
    const { workerId, leaseMs, metadata, capabilities, buildId, ...facts } = registration
    const reserved = withReserved(capabilities, buildId)
    const info: SessionInfo = {
      ...{ baseId: workerId, role: 'worker', ...facts, metadata: remoteMetadata(metadata, leaseMs) },
      capabilities: reserved === 'all' ? reserved : [...reserved, ONLY_TASKS],
      ...(buildId !== undefined && { buildId }),
    }
    const id = `${workerId}:${this.#options.newId()}`
    await this.#store.session({ kind: 'open', session: id, ttlMs: leaseMs, info })
    const session = this.#remember(id, info, leaseMs)
    session.renewedAt = elapsedMs(this.#options.clock)
    await this.#say(session, 'ready')
    return { id, workerId, leaseMs, heartbeatIntervalMs: Math.floor(leaseMs / BEATS_A_LEASE) }
  }

  /**
   * The worker lives. Of the tasks that it names, says which it does not have any more.
   * @throws GraflowError WORKER_NOT_FOUND
   */
  async heartbeat(id: string, tokens: readonly string[] | undefined): Promise<Held> {
    return this.#beat(await this.#sessionOf(id), tokens === undefined ? undefined : await this.#startsOf(tokens))
  }

  /**
   * The worker works on these tasks, and may say how far it is. What is lost is not noted.
   * @throws GraflowError WORKER_NOT_FOUND, INVALID_OPTION
   */
  async extend(id: string, notes: readonly Note[]): Promise<Held> {
    const session = await this.#sessionOf(id)
    const starts = await this.#startsOf(notes.map(({ token }) => token))
    const answer = await this.#beat(session, starts)
    const lost = new Set(answer.lost.map(({ token }) => token))
    const { baseId } = session.info
    const held = starts.flatMap((start, i) => (lost.has(start.text) ? [] : [{ start, note: notes[i] }]))
    await Promise.all(held.map(({ start, note }) => this.#note(baseId, start, note)))
    return answer
  }

  async #beat(session: RemoteSession, starts: readonly NamedStart[] | undefined): Promise<Held> {
    await this.#renew(session)
    if (starts !== undefined || session.said === '')
      await this.#say(session, (starts ?? []).length > 0 ? 'busy' : 'ready')
    else await this.#say(session, session.said)
    return {
      lost: starts === undefined || starts.length === 0 ? [] : await this.#lostOf(session, starts),
      drain: session.isDraining,
    }
  }

  /**
   * Up to `max` tasks; where there are none, it waits for some, though never longer than from one heartbeat to the next: only calls that arrive renew a
   * lease, and one that is still waited on proves nothing of a worker that was stopped meanwhile.
   * `gone` aborts when the caller is not there any more: then it waits no longer, and what was granted just now is given to the worker with its next call.
   * @throws GraflowError WORKER_NOT_FOUND, INVALID_OPTION
   */
  async acquire(
    id: string,
    ask: Ask,
    gone: AbortSignal,
  ): Promise<{ readonly tasks: readonly RemoteTask[]; readonly drain: boolean }> {
    const inHand = (await this.#tokens.decode(ask.inHand)).filter(({ isSigned }) => isSigned)
    const session = await this.#sessionOf(id)
    const poll = await session.beginPoll(gone)
    try {
      const tasks = await this.#awaitTasks(session, ask, inHand, poll)
      if (tasks.length === 0 || !gone.aborted) return { tasks, drain: session.isDraining }
      // not released: the worker may have asked another server since, which has handed out the same grant under the same token
      session.comparedAt = Number.NEGATIVE_INFINITY
      return { tasks: [], drain: session.isDraining }
    } catch (error) {
      // the store was closed with the server while it was asked: the worker gets what it was granted from another one
      if (!this.#options.closing.aborted || !(error instanceof GraflowError) || error.code !== 'CLOSED') throw error
      return { tasks: [], drain: session.isDraining }
    } finally {
      poll.end()
    }
  }

  /**
   * Settles what a worker reports. The token of each decides, also where the worker is not registered any more. Repeating it is safe.
   * @throws GraflowError INVALID_OPTION
   */
  async complete(id: string, reports: readonly RemoteReport[]): Promise<readonly ReportAnswer[]> {
    const session = await this.#sessionOf(id).catch((error: unknown) => {
      if (error instanceof GraflowError && error.code === 'WORKER_NOT_FOUND') return undefined
      throw error
    })
    if (session !== undefined) session.usedAt = elapsedMs(this.#options.clock)
    const workerId = session?.info.baseId ?? workerIn(id)
    return await this.#tasks.report(session?.id ?? id, workerId, reports)
  }

  /** Ends the registration: what the worker holds is released unspent. @throws GraflowError WORKER_NOT_FOUND */
  async deregister(id: string, reason: string): Promise<void> {
    const session = await this.#sessionOf(id)
    await this.#store.session({ kind: 'close', session: session.id, reason })
    this.#forget(session)
  }

  /** Calls that wait for work end; the workers stay registered. */
  async close(): Promise<void> {
    for (const session of [...this.#sessions.values()]) this.#forget(session)
    await this.#sweeps.stop()
  }

  // ------------------------------------------------------------------------------------------------------------------- sessions

  async #sessionOf(id: string): Promise<RemoteSession> {
    const known = this.#sessions.get(id) ?? this.#sessions.get(this.#byWorker.get(id) ?? '')
    const session = known ?? (await this.#find(id))
    session.usedAt = elapsedMs(this.#options.clock)
    return session
  }

  async #startsOf(tokens: readonly string[]): Promise<readonly NamedStart[]> {
    const starts = await this.#tokens.decode(tokens)
    return starts.map((start, i) => ({ ...start, text: tokens[i] ?? '' }))
  }

  /** Another server registered it, or this one before it was started again. */
  async #find(id: string): Promise<RemoteSession> {
    const earlier = this.#looking
    // a look that was under way may have begun before the worker registered elsewhere: only one that begins from now on proves that it did not
    const found = (earlier && newestOf(await earlier, id)) ?? newestOf(await this.#look(), id)
    if (found === undefined) throw unknownWorker(id)
    const { session, expiresAt: _, branches: __, ...info } = found.status
    return this.#sessions.get(session) ?? this.#remember(session, info, found.leaseMs)
  }

  #look(): Promise<readonly SessionStatus[]> {
    return (this.#looking ??= this.#store.inspect.sessions().finally(() => (this.#looking = undefined)))
  }

  #remember(id: string, info: SessionInfo, leaseMs: number): RemoteSession {
    const session = new RemoteSession(id, info, leaseMs, this.#options.clock)
    // a call that was under way when the server ended leaves nothing behind here
    if (this.#options.closing.aborted) return session
    session.listenBy(this.#store.listen(id, (notice) => session.handleNotice(notice)))
    this.#sessions.set(id, session)
    this.#byWorker.set(info.baseId, id)
    this.#sweeps.startIn(SWEEP_MS)
    return session
  }

  #forget(session: RemoteSession): void {
    session.close()
    this.#sessions.delete(session.id)
    if (this.#byWorker.get(session.info.baseId) === session.id) this.#byWorker.delete(session.info.baseId)
  }

  async #renew(session: RemoteSession): Promise<void> {
    const { id, leaseMs } = session
    const answer = await this.#store.session({ kind: 'renew', session: id, ttlMs: leaseMs })
    if (answer.status === 'nosession') throw this.#gone(session)
    session.renewedAt = elapsedMs(this.#options.clock)
  }

  #gone(session: RemoteSession): GraflowError {
    this.#forget(session)
    return unknownWorker(session.id)
  }

  /** For people. A worker that is to leave is draining, whatever it does. */
  async #say(session: RemoteSession, does: string): Promise<void> {
    const now = elapsedMs(this.#options.clock)
    const state = session.isDraining ? 'draining' : does
    if (session.said === state && now - session.saidAt < SAY_MS) return
    session.said = state
    session.saidAt = now
    await this.#store.session({ kind: 'beat', session: session.id, state })
  }

  /** Somebody must look for those that have fallen silent, also where the store is this process and no other session expires. */
  async #sweep(): Promise<number> {
    const now = elapsedMs(this.#options.clock)
    for (const session of [...this.#sessions.values()])
      if (now - session.usedAt > LEASES_REMEMBERED * session.leaseMs) this.#forget(session)
    if (this.#sessions.size === 0) return Number.POSITIVE_INFINITY
    await this.#store.sweep(this.#options.session.id)
    return SWEEP_MS
  }

  // ----------------------------------------------------------------------------------------------------------------------- work

  async #awaitTasks(
    session: RemoteSession,
    ask: Ask,
    inHand: readonly RemoteToken[],
    poll: Poll,
  ): Promise<readonly RemoteTask[]> {
    const { clock } = this.#options
    const { max } = ask
    const waitMs = Math.min(ask.waitMs, Math.floor(session.leaseMs / BEATS_A_LEASE))
    const arrivedAt = elapsedMs(clock)
    const until = arrivedAt + waitMs
    if (arrivedAt - session.renewedAt >= session.leaseMs / 4) await this.#renew(session)
    for (;;) {
      session.expectNews()
      if (session.isDraining) await session.untilNotice(poll, Math.min(waitMs, DRAINING_MS))
      if (session.isDraining || poll.isOver || this.#options.closing.aborted) return []
      const { tasks, nextDueMs } = await this.#take(session, max, inHand)
      session.usedAt = elapsedMs(clock)
      const leftMs = until - session.usedAt
      await this.#say(session, tasks.length + inHand.length > 0 ? 'busy' : 'ready')
      if (tasks.length > 0 || leftMs <= 0) return tasks
      await session.untilNotice(poll, Math.min(leftMs, Math.max(1, nextDueMs), SLOW_CHECK_MS))
    }
  }

  /** What the worker was granted and never heard of comes first. */
  async #take(
    session: RemoteSession,
    max: number,
    inHand: readonly RemoteToken[],
  ): Promise<{ readonly tasks: readonly RemoteTask[]; readonly nextDueMs: number }> {
    const { clock, newId } = this.#options
    if (elapsedMs(clock) - session.comparedAt >= COMPARE_MS) {
      const { unknown } = await this.#compare(session, inHand)
      const [first] = unknown
      // of more than one the others follow with the next call
      if (first === undefined) session.comparedAt = elapsedMs(clock)
      else return { tasks: await this.#tasks.of(session.id, first, session.info.baseId), nextDueMs: 0 }
    }
    const { queues, capabilities, baseId } = session.info
    const answer = await this.#store.acquire({ session: session.id, nonce: newId(), max, queues, capabilities })
    if (answer.status === 'nosession') throw this.#gone(session)
    const tasks: RemoteTask[] = []
    for (const grant of answer.grants) tasks.push(...(await this.#tasks.of(session.id, grant, baseId)))
    return { tasks, nextDueMs: answer.isMore ? 0 : (answer.nextDueMs ?? Number.POSITIVE_INFINITY) }
  }

  async #compare(
    session: RemoteSession,
    known: readonly Pick<RemoteToken, 'gid' | 'token'>[],
  ): Promise<{ readonly unknown: readonly Grant[]; readonly lost: readonly string[] }> {
    const grants = new Map(known.map(({ gid, token }) => [token, { gid, token }]))
    const answer = await this.#store.session({ kind: 'reconcile', session: session.id, known: [...grants.values()] })
    if (answer.status === 'nosession') throw this.#gone(session)
    return answer.status === 'reconciled' ? answer : { unknown: [], lost: [] }
  }

  async #lostOf(session: RemoteSession, starts: readonly NamedStart[]): Promise<readonly Lost[]> {
    const signed = starts.filter(({ isSigned }) => isSigned)
    const lost = new Set(signed.length === 0 ? [] : (await this.#compare(session, signed)).lost)
    return await Promise.all(
      starts
        .filter(({ token, isSigned }) => !isSigned || lost.has(token))
        .map(async (start) =>
          start.isSigned
            ? this.#lost(session, start, start.text)
            : { token: start.text, why: 'withdrawn' as const, reason: NOT_SIGNED },
        ),
    )
  }

  async #lost(session: RemoteSession, start: RemoteToken, token: string): Promise<Lost> {
    const said = session.reasonFor(start.gid)
    if (said !== undefined) return { token, why: 'withdrawn', reason: said }
    const runId = runOf(start)
    const run = await this.#store.inspect.run(runId)
    if (run === undefined) return { token, why: 'withdrawn', reason: `there is no run "${runId}" any more` }
    if (isEnded(run)) return { token, why: 'withdrawn', reason: run.cancelReason ?? `the run is ${run.state}` }
    return {
      token,
      why: 'reclaimed',
      reason: 'the lease was over, or the time of the task; another worker may have it',
    }
  }

  async #note(workerId: string, start: NamedStart, { progress, log = [] }: Partial<Note> = {}): Promise<void> {
    const { emitter } = this.#options.session
    const { task, path } = start
    const runId = runOf(start)
    const attempt = 1 + start.errors + start.losses
    for (const { level, message } of log)
      emitter.emit('log', { level, message, runId, task, path, attempt, details: { workerId } })
    if (progress === undefined) return
    const { fraction, message } = progress
    const said: Omit<Progress, 'message'> = { path, task, fraction }
    await this.#store.progress({
      runId,
      notes: [{ path, fence: fenceOf(start), value: encode([task, fraction, message ?? null]) }],
    })
    if (emitter.isSubscribed('run:progress', runId))
      emitter.emit('run:progress', { runId, ...said, ...labelled(start), ...(message !== undefined && { message }) })
  }
}

/** The session of a worker that speaks HTTP, by its id or the worker's: of several, the one that lasts longest. */
function newestOf(
  sessions: readonly SessionStatus[],
  id: string,
): { readonly status: SessionStatus; readonly leaseMs: number } | undefined {
  const [newest] = sessions
    .filter(({ session, baseId }) => session === id || baseId === id)
    .flatMap((status) => {
      const leaseMs = leaseOf(status)
      return leaseMs === undefined ? [] : [{ status, leaseMs }]
    })
    .sort((a, b) => b.status.expiresAt - a.status.expiresAt)
  return newest
}

const unknownWorker = (id: string): GraflowError =>
  new GraflowError(
    'WORKER_NOT_FOUND',
    `no worker "${id}" is registered here, or it was silent for longer than its lease: register again`,
    {
      details: { id },
    },
  )

/** The worker that a session is of, by its name. */
const workerIn = (id: string): string => id.slice(0, id.lastIndexOf(':') < 0 ? undefined : id.lastIndexOf(':'))
