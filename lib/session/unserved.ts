/**
 * Looks whether what this process waits for can be served at all. A group with a task that no live worker of its queue knows fails after a while,
 * and its error names the workers that were asked. Where no single worker knows all tasks of a group, those that know some are let at it. If its
 * queue has no live worker, that is logged and nothing fails, since one may come. Hides how often this is asked: a group that is served soon costs
 * nothing.
 */
import { describeError } from '../describe.js'
import { knowsEnough } from '../backend/asked-tasks.js'
import type { AskedTasks, Backend, GroupSpec, SessionStatus } from '../backend/backend.js'
import { takesOnlyTasks } from '../backend/reserved.js'
import type { BarrierWaits } from '../engine/barrier-waits.js'
import type { Emitter } from '../events.js'
import { elapsedMs, type Clock, type Random } from '../time.js'
import { PeriodicTask } from './periodic-task.js'
import { FAIL_AFTER_MS, LOG_AFTER_MS, LOOK_MS } from './unserved-times.js'
import { commandFor, describeRequirements, DISPATCHED_ON, has, nobodysTask, unknownTo } from './unserved-words.js'
import { WideLanes } from './wide-lanes.js'

export interface UnservedOptions {
  readonly backend: Pick<Backend, 'inspect' | 'control'>
  readonly barrierWaits: BarrierWaits
  readonly clock: Clock
  readonly random: Random
  readonly emitter: Emitter
  /** Flags with which a worker finds this store, for messages. */
  readonly storeFlags?: readonly string[]
}

/** A group that a worker can serve is looked at again after so long: the worker may have gone. */
const SERVED_MS = 5_000
/** How often it is seen what is awaited, which asks nothing; groups that it may take several workers to serve are asked for at the second sight. */
const SIGHT_MS = LOOK_MS / 2
/** So many runs and tasks are remembered whose NO_HANDLER was waited for. */
const MOST_REMEMBERED = 1_000

/** What is known of one awaited group. */
interface Watch {
  /** Since when no worker could serve it. */
  since: number
  /** Before then it is not looked at. */
  nextAt: number
  isLogged: boolean
}

/** One a process; runs until it is stopped. */
export class Unserved {
  readonly #options: UnservedOptions
  readonly #lookups: PeriodicTask
  readonly #wideLanes: WideLanes
  #watches = new Map<string, Watch>()
  /** Of which run's task nobody knew for long enough: other branches of the run need not wait for that again. */
  readonly #unknown = new Set<string>()

  constructor(options: UnservedOptions) {
    this.#options = options
    const { backend, clock, random, emitter } = options
    this.#wideLanes = new WideLanes(backend, clock)
    const onError = (error: unknown): void => {
      emitter.emit('log', {
        level: 'debug',
        message: `the look for groups that no worker can serve failed, and is repeated: ${describeError(error)}`,
      })
    }
    this.#lookups = new PeriodicTask({ clock, random, onError, turn: () => this.#look() })
    this.#lookups.startIn(SIGHT_MS)
  }

  stop(): Promise<void> {
    return this.#lookups.stop()
  }

  async #look(): Promise<number> {
    const { barrierWaits, backend, clock } = this.#options
    const now = elapsedMs(clock)
    const awaited = barrierWaits.dispatches()
    const watches = new Map<string, Watch>()
    const due: GroupSpec[] = []
    for (const spec of awaited) {
      const watch = this.#watches.get(spec.gid)
      watches.set(spec.gid, watch ?? { since: now, nextAt: now + (isOfSeveral(spec) ? 0 : LOOK_MS), isLogged: false })
      if (watch !== undefined && watch.nextAt <= now) due.push(spec)
    }
    this.#watches = watches
    if (due.length === 0) return SIGHT_MS
    const sessions = (await backend.inspect.sessions()).filter(({ role }) => role !== 'client' && role !== 'observer')
    for (const spec of due) await this.#judge(spec, sessions)
    return SIGHT_MS
  }

  async #judge(spec: GroupSpec, sessions: readonly SessionStatus[]): Promise<void> {
    const watch = this.#watches.get(spec.gid)
    if (watch === undefined) return
    const asked = sessions.filter(({ queues }) => has(queues, spec.queue))
    const able = asked.filter(({ capabilities }) => spec.requires.every((name) => has(capabilities, name)))
    const unknown = nobodysTask(asked, spec)
    const isWhole = able.some((worker) => (spec.isOneTask === true || isFull(worker)) && knows(worker, spec, 'all'))
    const isWide = !isWhole && (await this.#widen(spec, able))
    const now = elapsedMs(this.#options.clock)
    if (isWhole || (isWide && unknown === undefined)) {
      watch.since = now + SERVED_MS
      watch.nextAt = now + SERVED_MS
      watch.isLogged = false
      return
    }
    watch.nextAt = now + LOOK_MS
    // What nobody knows of a wide lane fails where it is forwarded to. A worker with a missing capability may still start, and so may one for a
    // queue without workers: neither case fails.
    if (
      !isWide &&
      asked.length > 0 &&
      unknown !== undefined &&
      this.#isUnknownForLong(spec, unknown, now - watch.since)
    ) {
      const error = unknownTo(asked, { ...spec, path: pathOf(spec) }, this.#options.storeFlags)
      this.#options.barrierWaits.fail(spec.gid, error)
      return
    }
    this.#tell(spec, watch, asked, isWide ? spec.tasks.filter((task) => !isTaskOf(asked, task)) : spec.tasks, now)
  }

  /** Lets workers at the group that do not know all its tasks, where others know those: these may be workers that take single tasks only. */
  async #widen(spec: GroupSpec, able: readonly SessionStatus[]): Promise<boolean> {
    const full = able.filter(isFull)
    if (full.length === 0) return false
    const isForwardedToTasks = able.some((worker) => !isFull(worker) && knows(worker, spec, 'some'))
    const isForSeveral = isOfSeveral(spec) && full.some((worker) => knows(worker, spec, 'some'))
    if (!isForwardedToTasks && !isForSeveral) return false
    return this.#wideLanes.widen(spec, spec.gid, isForwardedToTasks)
  }

  #isUnknownForLong({ runId, queue }: GroupSpec, task: string, waitedMs: number): boolean {
    const key = `${runId}|${queue}|${task}`
    if (waitedMs < FAIL_AFTER_MS) return this.#unknown.has(key)
    if (this.#unknown.size >= MOST_REMEMBERED) this.#unknown.clear()
    this.#unknown.add(key)
    return true
  }

  /** Once for each time that it waits for longer than a while. @param tasks which it waits for */
  #tell(spec: GroupSpec, watch: Watch, asked: readonly SessionStatus[], tasks: readonly string[], now: number): void {
    const waitedMs = now - watch.since
    if (waitedMs < LOG_AFTER_MS || watch.isLogged) return
    watch.isLogged = true
    const { queue, requires, runId } = spec
    const { emitter, storeFlags } = this.#options
    emitter.emit('queue:unserved', { queue, runId, requires, tasks, workers: asked.length, waitedMs })
    const who =
      asked.length === 0
        ? `no worker of queue "${queue}" is alive with this key prefix`
        : `no live worker of queue "${queue}" can do it with this key prefix`
    const path = pathOf(spec)
    const needed = tasks.length === 0 ? `the group at ${path}, whose branches ${DISPATCHED_ON}` : tasks.join(', ')
    const what = `${needed}${describeRequirements(requires, asked)}`
    const command = commandFor({ ...spec, path }, storeFlags, tasks.length === 0 ? '<any module>' : undefined)
    emitter.emit('log', { level: 'warn', message: `waiting for ${what}: ${who}; start one: ${command}`, runId })
  }
}

const isOfSeveral = ({ tasks }: GroupSpec): boolean => tasks.length > 1

/** Whether it takes whatever a branch is, and forwards what it does not know. */
const isFull = ({ capabilities }: SessionStatus): boolean => !takesOnlyTasks(capabilities)

const knows = (worker: SessionStatus, { tasks }: GroupSpec, asks: AskedTasks): boolean =>
  knowsEnough((name) => has(worker.tasks, name), tasks, asks)

const isTaskOf = (workers: readonly SessionStatus[], task: string): boolean =>
  workers.some(({ tasks }) => has(tasks, task))

const pathOf = ({ gid, runId }: GroupSpec): string => gid.slice(runId.length + 1)
