/** The queues of a store as people see them, and their pauses. */
import type { QueueStatus, ServingWorkers } from '../backend/backend.js'
import { describe } from '../describe.js'
import { GraflowError } from '../errors.js'
import { didYouMean } from '../nearest.js'
import { checkOptions, type OptionTable, PAGE_OPTIONS } from '../options.js'
import type { Page, PageOptions, PauseQueueOptions, Queues, QueueSummary } from '../producer/operator-types.js'
import type { OperatorServices } from '../producer/operators.js'
import { pageOf } from './pages.js'

/** Queues that every store has. */
const ALWAYS: readonly string[] = ['default', 'runs']
const PAUSE_OPTIONS = { ahead: { kind: 'boolean', help: '' } } as const satisfies OptionTable
const NAME = /^[A-Za-z0-9_-]{1,128}$/

type QueueServices = Pick<OperatorServices, 'checkOpen' | 'backend'>

export class QueueBoard implements Queues {
  readonly #services: QueueServices

  constructor(services: QueueServices) {
    this.#services = services
  }

  async list(options?: PageOptions): Promise<Page<QueueSummary>> {
    this.#services.checkOpen()
    const page = checkOptions('queues.list', PAGE_OPTIONS, options)
    return pageOf(await this.#all(), page, ({ name }) => name)
  }

  async get(name: string): Promise<QueueSummary | undefined> {
    this.#services.checkOpen()
    checkName('get', name)
    return (await this.#all()).find((queue) => queue.name === name)
  }

  async pause(name: string, options?: PauseQueueOptions): Promise<boolean> {
    this.#services.checkOpen()
    checkName('pause', name)
    const { ahead = false } = checkOptions<PauseQueueOptions>('queues.pause', PAUSE_OPTIONS, options)
    if (!ahead) await this.#mustKnow(name)
    return (await this.#services.backend.control({ kind: 'pause-queue', queue: name })) === 'ok'
  }

  async resume(name: string): Promise<boolean> {
    this.#services.checkOpen()
    checkName('resume', name)
    if ((await this.#services.backend.control({ kind: 'resume-queue', queue: name })) === 'ok') return true
    await this.#mustKnow(name)
    return false
  }

  /** A misspelt name must not look as if something was done. @throws GraflowError QUEUE_NOT_FOUND */
  async #mustKnow(name: string): Promise<void> {
    if (ALWAYS.includes(name)) return
    const known = (await this.#all()).map((queue) => queue.name)
    if (known.includes(name)) return
    // workers that have just come are counted a moment later
    const sessions = await this.#services.backend.inspect.sessions()
    if (sessions.some(({ queues }) => queues === 'all' || queues.includes(name))) return
    throw queueNotFound(name, [...known, ...ALWAYS])
  }

  async #all(): Promise<readonly QueueSummary[]> {
    const { inspect } = this.#services.backend
    const [queues, serving] = await Promise.all([inspect.queues(), inspect.serving()])
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

/** @param known names of queues that there are */
export const queueNotFound = (name: string, known: readonly string[]): GraflowError =>
  new GraflowError(
    'QUEUE_NOT_FOUND',
    `no queue is called "${name}"${didYouMean(name, known)}: nothing was ever put there, and no worker serves it (ahead: true pauses it all the same)`,
    { details: { queue: name } },
  )

/** Callers may have no types. @throws GraflowError INVALID_NAME */
function checkName(what: string, name: unknown): void {
  if (typeof name === 'string' && NAME.test(name)) return
  throw new GraflowError(
    'INVALID_NAME',
    `queues.${what}: expected the name of a queue, 1 to 128 characters of A-Z a-z 0-9 _ -, got ${describe(name)}`,
  )
}
