/** The queues of a store as people see them, and their pauses. */
import type { Backend, Inspector, QueueStatus, ServingWorkers } from '../backend/backend.js'
import { describe } from '../describe.js'
import { GraflowError } from '../errors.js'
import { checkOptions, PAGE_OPTIONS } from '../options.js'
import type { Page, PageOptions, Queues, QueueSummary } from '../producer/operator-types.js'
import { pageOf } from './pages.js'

const NAME = /^[A-Za-z0-9_-]{1,128}$/

export class QueueBoard implements Queues {
  readonly #inspect: Pick<Inspector, 'queues' | 'serving'>
  readonly #control: Backend['control']

  constructor(inspect: Pick<Inspector, 'queues' | 'serving'>, control: Backend['control']) {
    this.#inspect = inspect
    this.#control = control
  }

  async list(options?: PageOptions): Promise<Page<QueueSummary>> {
    const page = checkOptions('queues.list', PAGE_OPTIONS, options)
    return pageOf(await this.#all(), page, ({ name }) => name)
  }

  async get(name: string): Promise<QueueSummary | undefined> {
    checkName('get', name)
    return (await this.#all()).find((queue) => queue.name === name)
  }

  async pause(name: string): Promise<boolean> {
    checkName('pause', name)
    return (await this.#control({ kind: 'pause-queue', queue: name })) === 'ok'
  }

  async resume(name: string): Promise<boolean> {
    checkName('resume', name)
    return (await this.#control({ kind: 'resume-queue', queue: name })) === 'ok'
  }

  async #all(): Promise<readonly QueueSummary[]> {
    const [queues, serving] = await Promise.all([this.#inspect.queues(), this.#inspect.serving()])
    const known = new Map(queues.map((queue) => [queue.queue, queue]))
    // a queue that is served and was never used is one, too
    for (const { queues: served } of serving) {
      for (const name of served === 'all' ? [] : served) if (!known.has(name)) known.set(name, unused(name))
    }
    return [...known.values()].map((queue) => summaryOf(queue, serving))
  }
}

const unused = (queue: string): QueueStatus => ({
  ...{ queue, ready: 0, delayed: 0, granted: 0, oldestMs: undefined, isPaused: false },
})

const summaryOf = (
  { queue: name, ready, delayed, granted: running, oldestMs, isPaused }: QueueStatus,
  serving: readonly ServingWorkers[],
): QueueSummary => ({
  ...{ name, ready, delayed, running, oldestMs, isPaused },
  workers: serving
    .filter(({ queues }) => queues === 'all' || queues.includes(name))
    .reduce((sum, { workers }) => sum + workers, 0),
})

/** Callers may have no types. @throws GraflowError INVALID_NAME */
function checkName(what: string, name: unknown): void {
  if (typeof name === 'string' && NAME.test(name)) return
  throw new GraflowError(
    'INVALID_NAME',
    `queues.${what}: expected the name of a queue, 1 to 128 characters of A-Z a-z 0-9 _ -, got ${describe(name)}`,
  )
}
