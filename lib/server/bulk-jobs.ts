/**
 * Commands on many runs, in the background: each is a document in the store, with how far it has come, so any server can tell, and another one goes on where
 * the server that had it is gone. What a job does twice after that changes nothing.
 */
import { createHash } from 'node:crypto'
import { FILTER_NAMES } from '../admin/filters.js'
import type { Backend, Document } from '../backend/backend.js'
import { describeError } from '../describe.js'
import { GraflowError } from '../errors.js'
import { UNFINISHED_STATES, type RunStateName } from '../events.js'
import type { BulkProgress, RunFilter } from '../producer/operator-types.js'
import { elapsedMs } from '../time.js'
import { jsonDocument, jsonIn } from './json-documents.js'
import { keyReused } from './kept-answers.js'
import type { ServerServices } from './services.js'

const COLLECTION = 'bulk-jobs'
/** Jobs that are over are kept so long, and so many. */
const KEPT_MS = 24 * 3_600_000
const MOST_KEPT = 100
/** Between two looks for jobs whose server is gone. */
const LOOK_MS = 10_000
const MOST_TRIES = 20
const PAGE = 1_000
/** Runs that are counted for a dry run. */
const MOST_COUNTED = 100_000
/** Of runs by their error or by what they wait for, a page may have none: the caller is not kept waiting longer. */
const MOST_COUNTING_MS = 2_000

export const BULK_ACTIONS = ['retry', 'cancel', 'delete'] as const
export type BulkAction = (typeof BULK_ACTIONS)[number]

/** A job: plain JSON. Times are ISO dates. */
export interface BulkJob {
  readonly id: string
  readonly action: BulkAction
  readonly filter: RunFilter
  readonly reason?: string
  readonly status: 'running' | 'done' | 'failed' | 'stopped'
  /** Runs for which something was done; that matched so far; that met an error of their own. */
  readonly done: number
  readonly matched: number
  readonly failed: number
  readonly createdAt: string
  readonly endedAt?: string
  /** Why it failed. */
  readonly error?: string
  /** Where it goes on. */
  readonly cursor?: string
  /** The session of the server that has it. */
  readonly owner: string
}

/** States in which a run can be for the action to do something. */
const AMONG: Readonly<Record<BulkAction, readonly RunStateName[] | undefined>> = {
  retry: ['failed', 'cancelled'],
  cancel: UNFINISHED_STATES,
  delete: undefined,
}

/** One a server; `close` it. */
export class BulkJobs {
  readonly #services: Pick<ServerServices, 'graflow' | 'session' | 'clock' | 'newId' | 'log'>
  readonly #own = new Map<string, { readonly stop: AbortController; readonly ended: Promise<void> }>()
  #disarm: (() => void) | undefined
  #isClosed = false

  constructor(services: Pick<ServerServices, 'graflow' | 'session' | 'clock' | 'newId' | 'log'>) {
    this.#services = services
    this.#arm()
  }

  /**
   * Begins one; with a key, once: a repeat gives the one that there is, also at another server.
   * @throws GraflowError INVALID_OPTION for a filter that names nothing; KEY_REUSED; BACKPRESSURE, and nothing is begun
   */
  async start(
    action: BulkAction,
    filter: RunFilter,
    reason: string | undefined,
    key?: string,
  ): Promise<{ readonly id: string; readonly isRepeat: boolean }> {
    if (Object.keys(filter).length === 0)
      throw new GraflowError(
        'INVALID_OPTION',
        `filter: expected one that names ${FILTER_NAMES}, got one that names nothing`,
        { details: { option: 'filter' } },
      )
    const { clock, session, newId } = this.#services
    const job: BulkJob = {
      id: key === undefined ? newId() : idOf(key),
      ...{ action, filter, status: 'running', done: 0, matched: 0, failed: 0, owner: session.id },
      createdAt: new Date(clock.now()).toISOString(),
      ...(reason !== undefined && { reason }),
    }
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      const { revision, documents } = await this.#store.inspect.documents(COLLECTION, [job.id])
      const known = jsonIn<BulkJob>(documents[0])
      if (known !== undefined && key !== undefined) {
        checkSame(known, job, key)
        return { id: job.id, isRepeat: true }
      }
      const write = { collection: COLLECTION, nonce: newId(), put: [documentOf(job)], remove: await this.#old() }
      const { status } = await this.#store.writeDocuments({
        ...write,
        ...(key !== undefined && { ifRevision: revision }),
        ...(action !== 'retry' && { isFreeing: true }), // a full store is emptied by such commands
      })
      if (status === 'backpressure') throw full()
      if (status === 'conflict') continue
      this.#begin(job)
      return { id: job.id, isRepeat: false }
    }
    throw full()
  }

  /** How many runs an action would look at; `isMore`: there are more than are counted. */
  async count(action: BulkAction, filter: RunFilter): Promise<{ readonly matched: number; readonly isMore: boolean }> {
    const among = AMONG[action]
    const wanted = filter.state === undefined ? undefined : [filter.state].flat()
    const state = among?.filter((one) => wanted?.includes(one) ?? true) ?? wanted
    if (state?.length === 0) return { matched: 0, isMore: false }
    let matched = 0
    let cursor: string | undefined
    const stopAt = elapsedMs(this.#services.clock) + MOST_COUNTING_MS
    do {
      const page = {
        limit: PAGE,
        ...(cursor !== undefined && { cursor }),
        ...(state !== undefined && { states: state }),
      }
      const found = await this.#pageOf({ ...filter, ...page })
      matched += found.count
      cursor = found.cursor
    } while (cursor !== undefined && matched < MOST_COUNTED && elapsedMs(this.#services.clock) < stopAt)
    return { matched, isMore: cursor !== undefined }
  }

  /** @throws GraflowError JOB_NOT_FOUND */
  async get(id: string): Promise<BulkJob> {
    const [found] = (await this.#store.inspect.documents(COLLECTION, [id])).documents
    const job = jsonIn<BulkJob>(found)
    if (job !== undefined) return job
    throw new GraflowError('JOB_NOT_FOUND', `no command on many runs has the id "${id}", or it was over a day ago`, {
      details: { id },
    })
  }

  /** The newest first. */
  async list(): Promise<readonly BulkJob[]> {
    const names = await this.#store.inspect.documentNames(COLLECTION)
    const { documents } = await this.#store.inspect.documents(COLLECTION, names)
    const jobs = documents.flatMap((bytes) => jsonIn<BulkJob>(bytes) ?? [])
    return jobs.sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1))
  }

  /** Ends one after the page of runs in hand; false where it was over. */
  async stop(id: string): Promise<boolean> {
    if ((await this.get(id)).status !== 'running') return false
    const isStopped = await this.#change(id, (job) =>
      job.status === 'running' ? this.#over(job, 'stopped') : undefined,
    )
    this.#own.get(id)?.stop.abort()
    return isStopped
  }

  /** Resolves when the job is over here, or after so long, or when the caller leaves. */
  async settled(id: string, ms: number, left: AbortSignal): Promise<BulkJob> {
    const own = this.#own.get(id)
    if (own !== undefined && ms > 0 && !left.aborted) {
      let stop: () => void = () => undefined
      const late = new Promise<void>((resolve) => {
        stop = resolve
      })
      const disarm = this.#services.clock.after(ms, stop)
      left.addEventListener('abort', stop)
      await Promise.race([own.ended, late])
      left.removeEventListener('abort', stop)
      disarm()
    }
    return this.get(id)
  }

  close(): void {
    this.#isClosed = true
    this.#disarm?.()
    for (const { stop } of this.#own.values()) stop.abort()
  }

  get #store(): Backend {
    return this.#services.session.store
  }

  #arm(): void {
    if (this.#isClosed) return
    const look = (): void => {
      this.#takeOver()
        .catch(() => undefined) // the store is away, or the server ends
        .finally(() => {
          this.#arm()
        })
    }
    this.#disarm = this.#services.clock.after(LOOK_MS, look, true)
  }

  /** Goes on with jobs whose server is gone. Public for tests, which need not wait. */
  async takeOver(): Promise<void> {
    await this.#takeOver()
  }

  async #takeOver(): Promise<void> {
    const running = (await this.list()).filter(({ id, status }) => status === 'running' && !this.#own.has(id))
    if (running.length === 0 || this.#isClosed) return
    const live = new Set((await this.#store.inspect.sessions()).map(({ session }) => session))
    const { id: owner } = this.#services.session
    for (const { id, owner: before } of running) {
      if (live.has(before) && before !== owner) continue
      let taken: BulkJob | undefined
      const isMine = await this.#change(id, (job) =>
        job.status === 'running' && job.owner === before ? (taken = { ...job, owner }) : undefined,
      )
      if (isMine && taken !== undefined) this.#begin(taken)
    }
  }

  #begin(job: BulkJob): void {
    const stop = new AbortController()
    const ended = this.#run(job, stop.signal)
      .catch((error: unknown) => {
        this.#services.log(
          'warn',
          `the command ${job.action} on many runs (${job.id}) stands still: ${describeError(error)}`,
        )
      })
      .finally(() => {
        this.#own.delete(job.id)
      })
    this.#own.set(job.id, { stop, ended })
  }

  async #run(job: BulkJob, signal: AbortSignal): Promise<void> {
    let progress: BulkProgress = { done: 0, matched: 0, failed: 0, cursor: job.cursor }
    const now = (one: BulkJob): BulkJob => ({ ...one, ...summed(job, progress) })
    const mine = (one: BulkJob): boolean => one.status === 'running' && one.owner === job.owner
    const saver = this.#saver((one) => (mine(one) && !signal.aborted ? now(one) : undefined), job.id)
    const onProgress = (next: BulkProgress): void => {
      progress = next
      saver.note()
    }
    let failure: string | undefined
    try {
      await this.#act(job, { onProgress, signal, ...(job.cursor !== undefined && { cursor: job.cursor }) })
    } catch (error) {
      failure = describeError(error)
    }
    saver.end()
    if (signal.aborted) {
      // another server goes on from here, unless a person has stopped it
      await this.#change(job.id, (one) => (mine(one) ? now(one) : undefined))
      return
    }
    await this.#change(job.id, (one) =>
      mine(one)
        ? {
            ...this.#over(now(one), failure === undefined ? 'done' : 'failed'),
            ...(failure !== undefined && { error: failure }),
          }
        : undefined,
    )
  }

  #act({ action, filter, reason }: BulkJob, options: object): Promise<number> {
    const { runs } = this.#services.graflow
    if (action === 'cancel') return runs.cancel(filter, { ...options, ...(reason !== undefined && { reason }) })
    return action === 'retry' ? runs.retry(filter, options) : runs.delete(filter, options)
  }

  /** Writes how far it has come with each page, one write at a time: another server that goes on does, and counts, no more than a page or two again. */
  #saver(change: (one: BulkJob) => BulkJob | undefined, id: string): { note(): void; end(): void } {
    let isDue = false
    let isWriting = false
    let isEnded = false
    const write = async (): Promise<void> => {
      isWriting = true
      for (; isDue && !isEnded; ) {
        isDue = false
        await this.#change(id, change).catch(() => undefined) // the next page says more
      }
      isWriting = false
    }
    return {
      note: () => {
        isDue = true
        if (!isWriting) void write()
      },
      end: () => {
        isEnded = true
      },
    }
  }

  #over(job: BulkJob, status: 'done' | 'failed' | 'stopped'): BulkJob {
    const { cursor: _, ...rest } = job
    return { ...rest, status, endedAt: new Date(this.#services.clock.now()).toISOString() }
  }

  /** Changes the document of a job as it is now; false where `change` gives nothing. */
  async #change(id: string, change: (job: BulkJob) => BulkJob | undefined): Promise<boolean> {
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      const { revision, documents } = await this.#store.inspect.documents(COLLECTION, [id])
      const found = jsonIn<BulkJob>(documents[0])
      const next = found === undefined ? undefined : change(found)
      if (next === undefined) return false
      const write = { collection: COLLECTION, nonce: this.#services.newId(), ifRevision: revision }
      // how far it has come takes no more room, and a full store must not keep it from going on elsewhere
      const answer = await this.#store.writeDocuments({
        ...{ ...write, put: [documentOf(next)], remove: [], isFreeing: true },
      })
      if (answer.status === 'ok') return true
    }
    return false
  }

  /** Names of jobs that are kept no longer. */
  async #old(): Promise<readonly string[]> {
    const before = new Date(this.#services.clock.now() - KEPT_MS).toISOString()
    const over = (await this.list()).filter(({ status }) => status !== 'running')
    return over.filter(({ endedAt = '' }, i) => endedAt < before || i >= MOST_KEPT).map(({ id }) => id)
  }

  async #pageOf(query: RunFilter & { limit: number; cursor?: string; states?: readonly RunStateName[] }) {
    const { states, ...filter } = query
    const { items, cursor } = await this.#services.graflow.runs.list({
      ...filter,
      ...(states !== undefined && { state: states }),
    })
    return { count: items.length, cursor }
  }
}

const summed = (
  before: BulkJob,
  { done, matched, failed, cursor }: BulkProgress,
): Pick<BulkJob, 'done' | 'matched' | 'failed' | 'cursor'> => ({
  ...{ done: before.done + done, matched: before.matched + matched, failed: before.failed + failed },
  ...(cursor !== undefined && { cursor }),
})

const idOf = (key: string): string => createHash('sha256').update(key).digest('hex').slice(0, 32)

/** @throws GraflowError KEY_REUSED */
function checkSame(known: BulkJob, { action, filter, reason }: BulkJob, key: string): void {
  const textOf = (...parts: readonly unknown[]): string => JSON.stringify(parts)
  if (textOf(known.action, known.filter, known.reason) !== textOf(action, filter, reason)) throw keyReused(key)
}

const full = (): GraflowError =>
  new GraflowError('BACKPRESSURE', 'the store is full, so the command was not begun: try again later')

const documentOf = (job: BulkJob): Document => jsonDocument(job.id, job)
