/**
 * Which lanes a session can serve. A lane is what a group asks of a worker: a queue, capabilities, tasks. The store gives each a short name; this
 * registry knows all names (acquire says when there are more), so that a script gets these and compares no lists of tasks.
 */
import type { AcquireRequest, AskedTasks, SessionInfo } from '../../backend.js'
import { knowsEnough } from '../../asked-tasks.js'
import { takesOnlyTasks } from '../../reserved.js'
import type { Store } from '../store.js'
import { numberOf, textOf } from '../replies.js'
import type { Reply } from '../shard.js'

interface Lane {
  readonly id: string
  readonly queue: string
  readonly requires: readonly string[]
  readonly tasks: readonly string[]
  readonly asks: AskedTasks
}

type Names = readonly string[] | 'all'

/** Names with commas around each, or `*`: what scripts search. */
export const listed = (names: Names): string => (names === 'all' ? '*' : `,${names.join(',')},`)

/** What `listed` made a text of. */
export const unlisted = (text: string): Names => (text === '*' ? 'all' : text.split(',').filter((name) => name !== ''))

/** Answers that are remembered before all are forgotten. */
const MOST_ANSWERS = 1_000
/** So many lanes that the store has forgotten may be known here. */
const MOST_FORGOTTEN = 256

const mostKnown = (kinds: Reply | undefined): number => 2 * numberOf(kinds) + MOST_FORGOTTEN

/** What an acquire asks for, and the lanes that are served by that: their names with commas between, by queue. */
interface Answer {
  readonly queues: Names
  readonly capabilities: Names
  readonly tasks: Names
  readonly byQueue: Map<string, string>
}

function addTo({ queues, capabilities, tasks, byQueue }: Answer, lane: Lane): void {
  if (!hasAll(queues, [lane.queue]) || !hasAll(capabilities, lane.requires) || !knows(tasks, lane, capabilities)) return
  const before = byQueue.get(lane.queue)
  byQueue.set(lane.queue, before === undefined ? lane.id : `${before},${lane.id}`)
}

export class LaneRegistry {
  /** The number of the last lane that is known, or 0: the store numbers lanes in the order in which workers get them. */
  last = 0
  readonly #lanes = new Map<string, Lane>()
  readonly #tasks = new Map<string, Names>()
  readonly #answers = new Map<string, Answer>()

  /** What acquire answered instead of grants: lanes that are new here, or all. */
  learn(parts: readonly Reply[]): void {
    const [, last, kinds, areAll, ...lanes] = parts
    // a name means the same for ever, so what the store has lost of them is right here
    if (numberOf(areAll) === 1 && this.#lanes.size > mostKnown(kinds)) {
      this.#lanes.clear()
      this.#answers.clear()
    }
    for (let i = 0; i + 1 < lanes.length; i += 2) {
      const [queue = '', requires = '', tasks = '', asks] = textOf(lanes[i + 1]).split('|')
      const lane = { id: textOf(lanes[i]), queue, requires: words(requires), tasks: words(tasks), asks: askedBy(asks) }
      const known = this.#lanes.get(lane.id)
      if (known === undefined) for (const answer of this.#answers.values()) addTo(answer, lane)
      else if (known.asks !== lane.asks) this.#answers.clear() // it became wide, or is so no more
      this.#lanes.set(lane.id, lane)
    }
    // most of these are forgotten by now: all are asked for anew
    this.last = this.#lanes.size > mostKnown(kinds) ? 0 : numberOf(last)
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
    let answer = this.#answers.get(key)
    if (answer === undefined) {
      answer = { queues, capabilities, tasks, byQueue: new Map() }
      for (const lane of this.#lanes.values()) addTo(answer, lane)
      if (this.#answers.size >= MOST_ANSWERS) this.#answers.clear()
      this.#answers.set(key, answer)
    }
    return [...answer.byQueue].flat()
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

const askedBy = (word: string | undefined): AskedTasks => (word === 'some' || word === 'none' ? word : 'all')

const words = (text: string): readonly string[] => (text === '' ? [] : text.split(' '))

function hasAll(have: Names, wanted: readonly string[]): boolean {
  return have === 'all' || wanted.every((name) => have.includes(name))
}

function knows(have: Names, { tasks, asks }: Lane, capabilities: Names): boolean {
  return (
    have === 'all' || knowsEnough((name) => have.includes(name), tasks, takesOnlyTasks(capabilities) ? 'all' : asks)
  )
}
