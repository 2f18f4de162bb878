/**
 * Looks whether what this process waits for can be served at all. A group with tasks that no live worker of its queue knows, or that no
 * single one knows all of, fails after a while, and its error names the workers that were asked. If its queue has no live worker, that is
 * logged and nothing fails, since one may come. Hides how often this is asked: a group that is served soon costs nothing.
 */
import { describeError } from '../describe.js'
import type { Backend, GroupSpec, SessionStatus } from '../backend/backend.js'
import type { BarrierWaits } from '../engine/barrier-waits.js'
import type { Emitter } from '../events.js'
import { elapsedMs, type Clock, type Random } from '../time.js'
import { PeriodicTask } from './periodic-task.js'
import { FAIL_AFTER_MS, LOG_AFTER_MS, LOOK_MS } from './unserved-times.js'
import { commandFor, describeRequirement, DISPATCHED_ON, has, nobodysTask, unknownTo } from './unserved-words.js'

export interface UnservedOptions {
  readonly backend: Pick<Backend, 'inspect'>
  readonly barrierWaits: BarrierWaits
  readonly clock: Clock
  readonly random: Random
  readonly emitter: Emitter
  /** Flags with which a worker finds this store, for messages. */
  readonly storeFlags?: readonly string[]
}

/** A group that a worker can serve is looked at again after so long: the worker may have gone. */
const SERVED_MS = 5_000

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
  #watches = new Map<string, Watch>()

  constructor(options: UnservedOptions) {
    this.#options = options
    const { clock, random, emitter } = options
    const onError = (error: unknown): void => {
      emitter.emit('log', {
        level: 'debug',
        message: `the look for groups that no worker can serve failed, and is repeated: ${describeError(error)}`,
      })
    }
    this.#lookups = new PeriodicTask({ clock, random, onError, turn: () => this.#look() })
    this.#lookups.startIn(LOOK_MS)
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
      const watch = this.#watches.get(spec.gid) ?? { since: now, nextAt: now + LOOK_MS / 2, isLogged: false }
      watches.set(spec.gid, watch)
      if (watch.nextAt <= now) due.push(spec)
    }
    this.#watches = watches
    if (due.length === 0) return LOOK_MS
    const sessions = (await backend.inspect.sessions()).filter(({ role }) => role !== 'client' && role !== 'observer')
    for (const spec of due) this.#judge(spec, sessions, elapsedMs(clock))
    return LOOK_MS
  }

  #judge(spec: GroupSpec, sessions: readonly SessionStatus[], now: number): void {
    const watch = this.#watches.get(spec.gid)
    if (watch === undefined) return
    const asked = sessions.filter(({ queues }) => has(queues, spec.queue))
    const knowsAll = ({ tasks }: SessionStatus): boolean => spec.tasks.every((task) => has(tasks, task))
    const isServed = asked.some(
      (worker) => knowsAll(worker) && spec.requires.every((name) => has(worker.capabilities, name)),
    )
    if (isServed) {
      watch.since = now + SERVED_MS
      watch.nextAt = now + SERVED_MS
      watch.isLogged = false
      return
    }
    const waitedMs = now - watch.since
    // A worker with the missing capability may still start, and so may one for a queue without workers: neither case fails.
    const isUnknown = asked.length > 0 && !asked.some(knowsAll)
    if (isUnknown && waitedMs >= FAIL_AFTER_MS) {
      this.#options.barrierWaits.fail(
        spec.gid,
        unknownTo(asked, { ...spec, path: pathOf(spec) }, this.#options.storeFlags),
      )
      return
    }
    if (waitedMs < LOG_AFTER_MS || watch.isLogged) return
    watch.isLogged = true
    const { queue, requires, tasks, runId } = spec
    const { emitter } = this.#options
    emitter.emit('queue:unserved', { queue, runId, requires, tasks, workers: asked.length, waitedMs })
    const isSplit = isUnknown && nobodysTask(asked, spec) === undefined
    const who =
      asked.length === 0
        ? `no worker of queue "${queue}" is alive with this key prefix`
        : isSplit
          ? `no live worker of queue "${queue}" with this key prefix knows all of them, and one must`
          : `no live worker of queue "${queue}" can do it with this key prefix`
    const needed =
      tasks.length === 0 ? `the group at ${pathOf(spec)}, whose branches ${DISPATCHED_ON}` : tasks.join(', ')
    const what = requires.length === 0 ? needed : `${needed} (requires ${requires.map(describeRequirement).join(', ')})`
    const command = commandFor(
      { ...spec, path: pathOf(spec) },
      this.#options.storeFlags,
      isSplit ? '<their modules>' : tasks.length === 0 ? '<any module>' : undefined,
    )
    emitter.emit('log', { level: 'warn', message: `waiting for ${what}: ${who}; start one: ${command}`, runId })
  }
}

const pathOf = ({ gid, runId }: GroupSpec): string => gid.slice(runId.length + 1)
