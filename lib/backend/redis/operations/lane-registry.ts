/**
 * Which lanes a session can serve. A lane is what a group asks of a worker: a queue, capabilities, tasks. The store numbers them; this registry
 * knows all numbers (acquire says when there are more), so that a script gets numbers and compares no names.
 */
import type { AcquireRequest, SessionInfo } from '../../backend.js'
import type { Store } from '../store.js'
import { textOf } from '../replies.js'
import type { Reply } from '../shard.js'

interface Lane {
  readonly id: string
  readonly queue: string
  readonly requires: readonly string[]
  readonly tasks: readonly string[]
}

type Names = readonly string[] | 'all'

/** Names with commas around each, or `*`: what scripts search. */
export const listed = (names: Names): string => (names === 'all' ? '*' : `,${names.join(',')},`)

const unlisted = (text: string): Names => (text === '*' ? 'all' : text.split(',').filter((name) => name !== ''))

/** Answers that are remembered before all are forgotten. */
const MOST_ANSWERS = 1_000

export class LaneRegistry {
  /** How many lanes are known; numbers have no gaps. */
  count = 0
  #lanes: Lane[] = []
  readonly #tasks = new Map<string, Names>()
  #answers = new Map<string, readonly string[]>()

  /** What acquire answered instead of grants: all fields of `T:l`. */
  learn(fields: readonly Reply[]): void {
    this.#lanes = []
    for (let i = 0; i + 1 < fields.length; i += 2) {
      const text = textOf(fields[i])
      if (text.startsWith('#')) continue
      const [queue = '', requires = '', tasks = ''] = text.split('|')
      this.#lanes.push({ id: textOf(fields[i + 1]), queue, requires: words(requires), tasks: words(tasks) })
    }
    this.count = this.#lanes.length
    this.#answers.clear()
  }

  /** What a session says that it can do. */
  register(session: string, { tasks }: SessionInfo): void {
    this.#tasks.set(session, tasks)
    this.#answers.clear()
  }

  forget(session: string): void {
    this.#tasks.delete(session)
  }

  /** For each queue that is asked for and has lanes that the session can serve: its name, and their numbers with commas between. */
  async lanesFor(store: Store, { session, queues, capabilities }: AcquireRequest): Promise<readonly string[]> {
    const tasks = this.#tasks.get(session) ?? (await this.#askTasks(store, session))
    const key = `${session}|${listed(queues)}|${listed(capabilities)}`
    const known = this.#answers.get(key)
    if (known !== undefined) return known
    const byQueue = new Map<string, string[]>()
    for (const lane of this.#lanes) {
      const isServed =
        (queues === 'all' || queues.includes(lane.queue)) &&
        hasAll(capabilities, lane.requires) &&
        hasAll(tasks, lane.tasks)
      if (isServed) byQueue.set(lane.queue, [...(byQueue.get(lane.queue) ?? []), lane.id])
    }
    const answer = [...byQueue].flatMap(([queue, ids]) => [queue, ids.join(',')])
    if (this.#answers.size >= MOST_ANSWERS) this.#answers.clear()
    this.#answers.set(key, answer)
    return answer
  }

  /** Of a session that another process opened. */
  async #askTasks(store: Store, session: string): Promise<Names> {
    const found = await store.shard.command('HGET', store.keys.session(session), 'tasks')
    const tasks = found === null ? [] : unlisted(textOf(found))
    if (found !== null) this.#tasks.set(session, tasks)
    return tasks
  }
}

const registries = new WeakMap<Store, LaneRegistry>()

/** The registry of a store. */
export function laneRegistryOf(store: Store): LaneRegistry {
  let registry = registries.get(store)
  if (registry === undefined) {
    registry = new LaneRegistry()
    registries.set(store, registry)
  }
  return registry
}

const words = (text: string): readonly string[] => (text === '' ? [] : text.split(' '))

function hasAll(have: Names, wanted: readonly string[]): boolean {
  return have === 'all' || wanted.every((name) => have.includes(name))
}
