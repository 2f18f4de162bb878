/**
 * The threads of a process for tasks with `isolation: 'thread'`: as many as are allowed, started when they are first needed, kept while they are
 * free, replaced when they end. Hides who waits for which.
 */
import { availableParallelism } from 'node:os'
import type { Cancellation } from '../engine/cancellation.js'
import type { FreeThread, ThreadRunner } from '../engine/thread-runner.js'
import { GraflowError } from '../errors.js'
import type { Emitter } from '../events.js'
import { tasksOf } from '../flow/collect.js'
import type { LoadedModule } from '../modules/task-modules.js'
import { WORKER_OPTIONS } from '../options.js'
import { systemClock, withDeadline } from '../time.js'
import { Thread, type ThreadOptions } from './thread.js'

export interface ThreadPoolOptions extends Omit<ThreadOptions, 'modules'> {
  /** As they are loaded here. */
  readonly modules: readonly LoadedModule[]
  /** Threads at most. */
  readonly size: number
  /** A thread ended while no start ran in it; another one follows when it is needed. */
  readonly onLost: (error: Error) => void
}

/** What the options of a client or worker say of threads, and where it is told that one was lost. */
export interface ThreadSettings {
  readonly threads?: number
  readonly threadHeapMb?: number
  readonly maxConcurrentTasks: number
  readonly moduleTimeoutMs?: number
  readonly emitter: Emitter
}

/** The threads for the tasks of these modules; undefined where there is none. Nothing is started yet. */
export function openThreads(modules: readonly LoadedModule[], settings: ThreadSettings): ThreadPool | undefined {
  if (modules.length === 0) return undefined
  const { threads = availableParallelism(), threadHeapMb: heapMb, maxConcurrentTasks, emitter } = settings
  return new ThreadPool({
    ...{
      modules,
      size: Math.min(threads, maxConcurrentTasks),
      timeoutMs: settings.moduleTimeoutMs ?? MODULE_TIMEOUT_MS,
    },
    ...(heapMb !== undefined && { heapMb }),
    onLost: (error) => {
      emitter.emit('log', { level: 'warn', message: `while no task ran in it: ${error.message}` })
    },
  })
}

const { default: MODULE_TIMEOUT_MS } = WORKER_OPTIONS.moduleTimeoutMs

interface Waiter {
  readonly resolve: (thread: Thread) => void
  readonly reject: (error: unknown) => void
}

/** How long the end of all threads is waited for; only native code, such as a hash of gigabytes, keeps one for longer. */
const CLOSE_MS = 1_000

export class ThreadPool implements ThreadRunner {
  readonly #options: ThreadPoolOptions
  readonly #tasks: ReadonlySet<string>
  readonly #threads = new Set<Thread>()
  /** The one that was used last is used first: its code is compiled. */
  readonly #free: Thread[] = []
  readonly #waiters: Waiter[] = []
  /** Threads that are started for those who wait. */
  readonly #starting = new Set<Thread>()
  #closing: Promise<void> | undefined

  constructor(options: ThreadPoolOptions) {
    this.#options = options
    const all = options.modules.flatMap(({ expressions }) => expressions.flatMap((one) => [...tasksOf(one).values()]))
    this.#tasks = new Set(all.filter(({ handler }) => handler !== undefined).map(({ name }) => name))
  }

  has(task: string): boolean {
    return this.#tasks.has(task)
  }

  take(): FreeThread | undefined {
    const thread = this.#free.pop()
    thread?.keepProcess(true)
    return thread
  }

  async wait(cancel: Cancellation): Promise<FreeThread> {
    if (this.#closing !== undefined) throw isClosed()
    let off: (() => void) | undefined
    try {
      return await new Promise<Thread>((resolve, reject) => {
        const waiter = { resolve, reject }
        this.#waiters.push(waiter)
        // At once, so that no thread is given to one who has gone.
        off = cancel.onAbort((reason) => {
          const at = this.#waiters.indexOf(waiter)
          if (at >= 0) this.#waiters.splice(at, 1)
          reject(reason)
        })
        this.#grow()
      })
    } finally {
      off?.()
    }
  }

  /** Ends all threads, whatever they do, and those who wait for one get CLOSED. Repeating it is safe. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    for (const { reject } of this.#waiters.splice(0)) reject(isClosed())
    const ended = Promise.all([...this.#threads].map((thread) => thread.end()))
    await withDeadline(systemClock, CLOSE_MS, ended, () => undefined)
  }

  /** Starts as many threads as are waited for, as far as that is allowed. */
  #grow(): void {
    while (this.#starting.size < this.#waiters.length && this.#threads.size < this.#options.size) {
      const { modules, timeoutMs, heapMb } = this.#options
      try {
        const thread = new Thread(
          { modules: modules.map(({ path }) => path), timeoutMs, ...(heapMb !== undefined && { heapMb }) },
          { onFree: (thread) => this.#freed(thread), onGone: (thread, error) => this.#gone(thread, error) },
        )
        this.#threads.add(thread)
        this.#starting.add(thread)
      } catch (error) {
        this.#waiters.shift()?.reject(error)
      }
    }
  }

  #freed(thread: Thread): void {
    this.#starting.delete(thread)
    const waiter = this.#waiters.shift()
    if (waiter !== undefined) {
      waiter.resolve(thread)
      return
    }
    thread.keepProcess(false)
    this.#free.push(thread)
  }

  #gone(thread: Thread, error: Error | undefined): void {
    this.#threads.delete(thread)
    const isStarting = this.#starting.delete(thread)
    const at = this.#free.indexOf(thread)
    if (at >= 0) this.#free.splice(at, 1)
    if (this.#closing !== undefined) return
    const waiter = isStarting ? this.#waiters.shift() : undefined
    if (waiter !== undefined) waiter.reject(error)
    else if (error !== undefined) this.#options.onLost(error)
    this.#grow()
  }
}

const isClosed = (): GraflowError =>
  new GraflowError('CLOSED', 'the threads of this process are closed: it is about to end')
