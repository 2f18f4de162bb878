/**
 * Checks whether any live worker can drive the submitted runs that wait for a driver: one that knows all of a run's own steps, or where none does,
 * one that can dispatch what it does not know, since other workers know it. A worker checks all of them; a client checks the runs that it submitted
 * or attached to until they are taken, and those whose results or events it waits for. If workers take submitted runs but nobody knows a task of a
 * run's own steps, the run fails after a while, and its error names these workers. If no worker takes submitted runs, nothing fails, since one may
 * start later: this is logged and emitted as an event.
 */
import { knowsEnough } from '../backend/asked-tasks.js'
import type { Backend, SessionStatus, WaitingLane } from '../backend/backend.js'
import { describeError } from '../describe.js'
import { describeCode, isTask } from '../engine/routing.js'
import type { Emitter } from '../events.js'
import { DEFAULT_QUEUE, RUNS_QUEUE } from '../options.js'
import { elapsedMs, type Clock, type Random } from '../time.js'
import { encodeFailure } from '../values/codec.js'
import { PeriodicTask } from './periodic-task.js'
import { FAIL_AFTER_MS, LOG_AFTER_MS, LOOK_MS } from './unserved-times.js'
import { commandFor, describeRequirements, has, nobodysTask, unknownTo, type Unserved } from './unserved-words.js'
import { WideLanes } from './wide-lanes.js'

export interface UnservedRunsOptions {
  readonly backend: {
    readonly inspect: Pick<Backend['inspect'], 'waiting' | 'sessions'>
    readonly control: Backend['control']
  }
  readonly clock: Clock
  readonly random: Random
  readonly emitter: Emitter
  /** What this process is. A worker looks at all runs; a client at those that are watched; an observer at all, and fails none. */
  readonly info: { readonly role: string }
  /** Flags with which a worker finds this store, for messages. */
  readonly storeFlags?: readonly string[]
}

/** A run that waits for less is not looked at: a worker comes soon, mostly. */
const SOON_MS = 500
/** A lane with so many runs may have more, which the store does not name. */
const MOST_GROUPS = 256

/** One a process; runs until it is stopped. */
export class UnservedRuns {
  readonly #options: UnservedRunsOptions
  readonly #lookups: PeriodicTask
  readonly #wideLanes: WideLanes
  /** By run, how many wait for its result here. */
  readonly #watched = new Map<string, number>()
  /** Runs that are watched until a worker has taken them. */
  readonly #untilTaken = new Set<string>()
  /** By what lanes ask, since when workers live and none knows it, as seen from here. */
  #unknownSince = new Map<string, number>()
  /** Runs for which it was logged that no worker can drive them, while they wait. */
  #logged = new Set<string>()
  /** Runs that are not failed, since they can be resumed. */
  #spared = new Set<string>()
  #isLooking = false

  constructor(options: UnservedRunsOptions) {
    this.#options = options
    const { backend, clock, random, emitter } = options
    this.#wideLanes = new WideLanes(backend, clock)
    const onError = (error: unknown): void => {
      const message = `the look for runs that no worker can drive failed, and is repeated: ${describeError(error)}`
      emitter.emit('log', { level: 'debug', message })
    }
    this.#lookups = new PeriodicTask({ clock, random, onError, turn: () => this.#look() })
    if (this.#seesAll) this.#begin()
  }

  /** A caller waits for the result of this run, until it calls the function that this gives. */
  watch(runId: string): () => void {
    const count = this.#watched.get(runId) ?? 0
    if (!this.#isLooking) this.#begin()
    this.#watched.set(runId, count + 1)
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      const left = (this.#watched.get(runId) ?? 1) - 1
      if (left === 0) this.#watched.delete(runId)
      else this.#watched.set(runId, left)
    }
  }

  /** Whether a caller waits for a result now. */
  get hasWaiting(): boolean {
    return this.#watched.size > 0
  }

  /** This run was submitted, or attached to, and nobody may wait for its result: it is watched until it does not wait for a driver any more. */
  watchUntilTaken(runId: string): void {
    if (this.#seesAll) return
    if (!this.#isLooking) this.#begin()
    this.#untilTaken.add(runId)
  }

  stop(): Promise<void> {
    return this.#lookups.stop()
  }

  #begin(): void {
    this.#isLooking = true
    this.#lookups.startIn(LOOK_MS)
  }

  get #seesAll(): boolean {
    return this.#options.info.role !== 'client'
  }

  async #look(): Promise<number> {
    if (!this.#seesAll && this.#watched.size === 0 && this.#untilTaken.size === 0) return LOOK_MS
    const { inspect } = this.#options.backend
    const watched = [...this.#untilTaken] // not those that come meanwhile
    const waiting = await inspect.waiting(RUNS_QUEUE)
    this.#forgetTaken(watched, waiting)
    const lanes = waiting.flatMap((lane) => this.#late(lane))
    const sessions = lanes.length === 0 ? [] : await inspect.sessions()
    const asked = askedOf(sessions)
    const unknownSince = new Map<string, number>()
    const logged = new Set<string>()
    const spared = new Set<string>()
    for (const lane of lanes) {
      if (asked.drivers.some((worker) => knowsAll(worker, lane)) || (await this.#widen(lane, asked))) continue
      this.#log(lane, asked, logged)
      if (asked.drivers.length > 0) await this.#judge(lane, asked, unknownSince, spared)
    }
    this.#unknownSince = unknownSince
    this.#logged = logged
    this.#spared = spared
    return LOOK_MS
  }

  /** Lets drivers at these runs that do not know all their steps. False where that would not do, or is not for this process to say. */
  async #widen(lane: WaitingLane, asked: Asked): Promise<boolean> {
    const [first] = lane.groups
    if (first === undefined || this.#options.info.role === 'observer' || !isDispatchable(lane, asked)) return false
    return this.#wideLanes.widen({ ...lane, queue: RUNS_QUEUE }, first.gid, true)
  }

  #forgetTaken(watched: readonly string[], waiting: readonly WaitingLane[]): void {
    if (watched.length === 0 || waiting.some(({ groups }) => groups.length >= MOST_GROUPS)) return
    const left = new Set(waiting.flatMap(({ groups }) => groups.map(({ gid }) => gid)))
    for (const runId of watched) if (!left.has(runId)) this.#untilTaken.delete(runId)
  }

  /** The lane with those of its runs that have waited for a while and are this process's concern; nothing where there are none. */
  #late(lane: WaitingLane): readonly WaitingLane[] {
    const groups = lane.groups.filter(
      ({ gid, waitedMs }) =>
        waitedMs >= SOON_MS && (this.#seesAll || this.#watched.has(gid) || this.#untilTaken.has(gid)),
    )
    return groups.length === 0 ? [] : [{ ...lane, groups }]
  }

  #log(lane: WaitingLane, asked: Asked, logged: Set<string>): void {
    const { emitter, storeFlags } = this.#options
    const { requires, tasks } = lane
    const late = lane.groups.filter(({ waitedMs }) => waitedMs >= LOG_AFTER_MS)
    const newlyLate = late.filter(({ gid }) => !this.#logged.has(gid))
    for (const { gid } of late) logged.add(gid)
    for (const { gid: runId, waitedMs } of newlyLate) {
      emitter.emit('queue:unserved', {
        queue: RUNS_QUEUE,
        runId,
        requires,
        tasks,
        workers: asked.drivers.length,
        waitedMs,
      })
    }
    const [first] = newlyLate
    if (first === undefined) return
    const more = newlyLate.length === 1 ? '' : `, and ${newlyLate.length - 1} more like it, wait`
    emitter.emit('log', {
      level: 'warn',
      message: `run ${first.gid}${more === '' ? ' waits' : more} ${forDriver(lane, first.gid, asked, storeFlags)}`,
      runId: first.gid,
    })
  }

  /** Fails the runs of a lane that live workers have not known the tasks of for too long, unless they can be resumed. */
  async #judge(lane: WaitingLane, asked: Asked, unknownSince: Map<string, number>, spared: Set<string>): Promise<void> {
    const { backend, clock, info, storeFlags } = this.#options
    if (!isUnknown(lane, asked)) return // a worker with a missing capability may still start
    const key = `${lane.requires.join(' ')}|${lane.tasks.join(' ')}`
    const now = elapsedMs(clock)
    const since = this.#unknownSince.get(key) ?? now
    unknownSince.set(key, since)
    if (now - since < FAIL_AFTER_MS - SOON_MS || info.role === 'observer') return
    for (const { gid: runId, waitedMs } of lane.groups) {
      if (waitedMs < FAIL_AFTER_MS) continue
      if (this.#spared.has(runId)) {
        spared.add(runId)
        continue
      }
      const error = unknownTo(asked.all, workOf(lane, runId), storeFlags)
      // A worker that takes it meanwhile comes first: then this is refused.
      const request = { kind: 'fail-run' as const, runId, reason: error.message, value: encodeFailure(error) }
      if ((await backend.control(request)) === 'fenced') spared.add(runId)
    }
  }
}

/**
 * Why a submitted run waits, as a sentence, if no live worker could take it now; undefined where one could, or where it waits no more.
 * @param storeFlags with which a worker finds the store
 */
export async function unservedRun(
  inspect: UnservedRunsOptions['backend']['inspect'],
  runId: string,
  storeFlags: readonly string[],
): Promise<string | undefined> {
  const lane = (await inspect.waiting(RUNS_QUEUE)).find(({ groups }) => groups.some(({ gid }) => gid === runId))
  if (lane === undefined) return undefined
  const asked = askedOf(await inspect.sessions())
  if (asked.drivers.some((worker) => knowsAll(worker, lane)) || isDispatchable(lane, asked)) return undefined
  return `run ${runId} waits ${forDriver(lane, runId, asked, storeFlags)}`
}

/** Live workers. */
interface Asked {
  /** Those that take submitted runs. */
  readonly drivers: readonly SessionStatus[]
  /** With those to which a driver dispatches what it does not know. */
  readonly all: readonly SessionStatus[]
}

function askedOf(sessions: readonly SessionStatus[]): Asked {
  const workers = sessions.filter(({ role }) => role !== 'client' && role !== 'observer')
  const drivers = workers.filter(({ queues }) => has(queues, RUNS_QUEUE))
  return { drivers, all: workers.filter(({ queues }) => has(queues, RUNS_QUEUE) || has(queues, DEFAULT_QUEUE)) }
}

/** Whether it has a task that nobody knows, or join policies that no driver knows all of. */
const isUnknown = ({ tasks }: WaitingLane, { drivers, all }: Asked): boolean =>
  nobodysTask(all, { tasks }) !== undefined ||
  !drivers.some(({ tasks: known }) => knowsEnough((name) => has(known, name), tasks, 'none'))

/** Whether a driver could drive it that does not know all its steps: somebody knows each, and the driver all join policies. */
function isDispatchable({ tasks, requires }: WaitingLane, { drivers, all }: Asked): boolean {
  const isDriver = ({ tasks: known, capabilities }: SessionStatus): boolean =>
    requires.every((name) => has(capabilities, name)) && knowsEnough((name) => has(known, name), tasks, 'none')
  return drivers.some(isDriver) && nobodysTask(all, { tasks: tasks.filter(isTask) }) === undefined
}

/** What it waits for, why nobody comes, and which command would help. */
function forDriver(
  lane: WaitingLane,
  runId: string,
  { drivers, all }: Asked,
  storeFlags: readonly string[] | undefined,
): string {
  const work = workOf(lane, runId)
  const { tasks } = lane
  const isSplit = drivers.length > 0 && isUnknown(lane, { drivers, all }) && nobodysTask(all, work) === undefined
  const who =
    drivers.length === 0
      ? 'no worker that takes submitted runs is alive with this key prefix (one does that serves the queue default, or with --drive-runs true)'
      : isSplit
        ? 'no live worker with this key prefix that takes submitted runs knows all join policies among them, and one must'
        : 'no live worker with this key prefix that takes submitted runs can do it'
  const { requires } = lane
  const required = describeRequirements(requires, drivers)
  const needed = `${tasks.length === 0 ? '' : ` for ${tasks.map(describeCode).join(', ')}`}${required}`
  const modules = isSplit ? '<their modules>' : tasks.length === 0 ? '<any module>' : undefined
  return `for a driver${needed}: ${who}; start one: ${commandFor(work, storeFlags, modules)}`
}

const workOf = ({ requires, tasks }: WaitingLane, runId: string): Unserved => ({
  ...{ queue: RUNS_QUEUE, requires, tasks, path: '', runId },
})

const knowsAll = (worker: SessionStatus, lane: WaitingLane): boolean =>
  lane.tasks.every((task) => has(worker.tasks, task)) && lane.requires.every((name) => has(worker.capabilities, name))
