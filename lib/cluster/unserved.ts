/**
 * Looks whether what this process waits for can be served at all. A group whose tasks no live worker of its queue knows fails after a while,
 * with who was asked; where there is no such worker at all nothing fails, since one may come, but it is told. Hides how often this is
 * asked: a group that is served soon costs nothing.
 */
import type { Backend, GroupSpec, SessionStatus } from '../backend/backend.js'
import type { Arrivals } from '../engine/arrivals.js'
import { noHandler } from '../engine/start.js'
import type { Emitter } from '../events.js'
import { didYouMean } from '../flow/nearest.js'
import type { Clock, Random } from '../time.js'
import { Rounds } from './rounds.js'

export interface UnservedParts {
  readonly backend: Pick<Backend, 'inspect'>
  readonly arrivals: Arrivals
  readonly clock: Clock
  readonly random: Random
  readonly emitter: Emitter
  /** Flags with which a worker finds this store, for messages. */
  readonly storeFlags?: readonly string[]
}

const ROUND_MS = 1_000
/** A group that a worker can serve is looked at again after so long: the worker may have gone. */
const SERVED_MS = 5_000
/** From then on it is told that a queue has no worker. */
const TELL_AFTER_MS = 5_000
/** From then on tasks that no worker knows fail. */
const FAIL_AFTER_MS = 10_000

/** What is known of one awaited group. */
interface Watch {
  /** Since when nobody could serve it. */
  since: number
  /** Before then it is not looked at. */
  nextAt: number
  isTold: boolean
}

/** One a process; runs until it is stopped. */
export class Unserved {
  readonly #parts: UnservedParts
  readonly #rounds: Rounds
  #watches = new Map<string, Watch>()

  constructor(parts: UnservedParts) {
    this.#parts = parts
    const { clock, random, emitter } = parts
    const onError = (error: unknown): void => {
      emitter.emit('log', { level: 'debug', message: `who could serve what was not found out: ${String(error)}` })
    }
    this.#rounds = new Rounds({ clock, random, onError, turn: () => this.#look() })
    this.#rounds.startIn(ROUND_MS)
  }

  stop(): Promise<void> {
    return this.#rounds.stop()
  }

  async #look(): Promise<number> {
    const { arrivals, backend, clock } = this.#parts
    const now = clock.now()
    const awaited = arrivals.dispatches()
    const watches = new Map<string, Watch>()
    const due: GroupSpec[] = []
    for (const spec of awaited) {
      const watch = this.#watches.get(spec.gid) ?? { since: now, nextAt: now + ROUND_MS / 2, isTold: false }
      watches.set(spec.gid, watch)
      if (watch.nextAt <= now) due.push(spec)
    }
    this.#watches = watches
    if (due.length === 0) return ROUND_MS
    const sessions = (await backend.inspect.sessions()).filter(({ role }) => role !== 'client' && role !== 'observer')
    for (const spec of due) this.#judge(spec, sessions, clock.now())
    return ROUND_MS
  }

  #judge(spec: GroupSpec, sessions: readonly SessionStatus[], now: number): void {
    const watch = this.#watches.get(spec.gid)
    if (watch === undefined) return
    const asked = sessions.filter(({ queues }) => has(queues, spec.queue))
    const isKnown = (task: string): boolean => asked.some(({ tasks }) => has(tasks, task))
    const isServed = asked.some(
      ({ tasks, capabilities }) =>
        spec.tasks.every((task) => has(tasks, task)) && spec.requires.every((name) => has(capabilities, name)),
    )
    if (isServed) {
      watch.since = now + SERVED_MS
      watch.nextAt = now + SERVED_MS
      watch.isTold = false
      return
    }
    const waitedMs = now - watch.since
    const unknown = spec.tasks.find((task) => !isKnown(task))
    if (asked.length > 0 && unknown !== undefined && waitedMs >= FAIL_AFTER_MS) {
      const path = spec.gid.slice(spec.runId.length + 1)
      const known = [...asked].sort((a, b) => (a.baseId < b.baseId ? -1 : 1))
      const near = didYouMean(
        unknown,
        known.flatMap(({ tasks }) => (tasks === 'all' ? [] : tasks)),
      )
      const error = noHandler(
        unknown,
        path,
        known.map(({ baseId }) => baseId),
        described(known),
        `Start a worker that has it${near}: ${commandFor(spec, this.#parts.storeFlags)}`,
      )
      this.#parts.arrivals.fail(spec.gid, error)
      return
    }
    if (waitedMs < TELL_AFTER_MS || watch.isTold) return
    watch.isTold = true
    const { queue, requires, tasks, runId } = spec
    const { emitter } = this.#parts
    emitter.emit('queue:unserved', { queue, runId, requires, tasks, workers: asked.length, waitedMs })
    const who =
      asked.length === 0 ? `no worker of queue "${queue}" is alive` : `no live worker of queue "${queue}" can do it`
    const what = requires.length === 0 ? tasks.join(', ') : `${tasks.join(', ')} (requires ${requires.join(', ')})`
    emitter.emit('log', {
      level: 'warn',
      message: `waiting for ${what}: ${who} with this key prefix; start one: ${commandFor(spec, this.#parts.storeFlags)}`,
      runId,
    })
  }
}

/** Workers, and names of each, that a message has. */
const MOST_WORKERS = 5
const MOST_NAMES = 8

const some = (names: readonly string[] | 'all'): string =>
  names === 'all'
    ? 'all'
    : names.length === 0
      ? 'none'
      : `${names.slice(0, MOST_NAMES).join(', ')}${names.length > MOST_NAMES ? `, and ${names.length - MOST_NAMES} more` : ''}`

/** Who was asked, and what each has. */
function described(workers: readonly SessionStatus[]): string {
  const shown = workers
    .slice(0, MOST_WORKERS)
    .map(
      ({ baseId, queues, tasks, capabilities }) =>
        `${baseId} (queues: ${some(queues === 'all' ? queues : queues.filter((name) => name !== 'runs'))}; ` +
        `tasks: ${some(tasks)}${capabilities.length === 0 ? '' : `; capabilities: ${some(capabilities)}`})`,
    )
  return `${shown.join(', ')}${workers.length > MOST_WORKERS ? `, and ${workers.length - MOST_WORKERS} more` : ''}`
}

/** The command line of a worker that could take the group, as far as it is known here. */
function commandFor({ queue, requires }: GroupSpec, storeFlags: readonly string[] = []): string {
  const queues = queue === 'default' ? [] : ['--queue', queue]
  const capabilities = requires.flatMap((name) => ['--capability', name])
  return ['graflow-worker', '--tasks', '<its module>', ...queues, ...capabilities, ...storeFlags].join(' ')
}

const has = (names: readonly string[] | 'all', name: string): boolean => names === 'all' || names.includes(name)
