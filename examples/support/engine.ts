/**
 * Chooses where an example runs: on worker processes with a private Redis if there is a server on PATH, else embedded in this process. The
 * flow and its results are the same.
 */
import { availableParallelism } from 'node:os'
import { connect, type AnyNode, type Graflow } from 'graflow'
import { findServer, HOW_TO_INSTALL, LocalCluster } from './local-cluster.js'

export interface EngineOptions {
  /** Number of worker processes. 0: embedded. Undefined: one per processor core if there is a server, else embedded. */
  readonly workers: number | undefined
  /** Absolute path of the module whose tasks the workers run. */
  readonly tasks: string
  /** Branches at once, in a worker or in this process. */
  readonly maxConcurrentTasks: number
  /** Threads for tasks that want one, in a worker or in this process; without it as many as processors. */
  readonly threads?: number | undefined
  readonly signal: AbortSignal
  /** What the embedded engine is to know by name. */
  readonly byName?: readonly AnyNode[]
}

/** A client and the processes that were started for it. */
export interface Engine extends AsyncDisposable {
  readonly graflow: Graflow
  readonly kind: 'embedded' | 'redis'
  /** Worker processes; 0 when embedded. */
  readonly workers: number
  /** A short description for people. */
  readonly description: string
  /** How to use more processes, in lines; empty if there is no advice. */
  readonly hint: string
}

const MOST_WORKERS = 8

/** @throws Error when workers are wanted and there is no server or they do not start; the signal's reason */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const { workers, tasks, maxConcurrentTasks, threads, signal, byName = [] } = options
  const server = workers === 0 ? undefined : findServer()
  if (server === undefined) {
    if (workers !== undefined && workers > 0)
      throw new Error(`worker processes need redis-server 7 or newer on PATH (${HOW_TO_INSTALL})`)
    const inThreads = threads === undefined ? { tasks: byName } : { threads, tasks: [...byName, tasks] }
    const graflow = await connect({ logLevel: 'warn', maxConcurrentTasks, ...inThreads })
    return {
      graflow,
      kind: 'embedded',
      workers: 0,
      description: `embedded engine in this process${withThreads(threads)} (no Redis needed)`,
      hint: workers === 0 ? '' : `with redis-server on PATH this runs on worker processes\n(${HOW_TO_INSTALL})\n`,
      [Symbol.asyncDispose]: () => graflow.close(),
    }
  }
  const cluster = await LocalCluster.start({
    server,
    tasks,
    workers: workers ?? Math.min(availableParallelism(), MOST_WORKERS),
    maxConcurrentTasks,
    threads,
    signal,
  })
  try {
    const graflow = await connect(cluster.url, { keyPrefix: cluster.keyPrefix, logLevel: 'warn' })
    return {
      graflow,
      kind: 'redis',
      workers: cluster.workers,
      description: `${cluster.workers === 1 ? '1 worker process' : `${cluster.workers} worker processes`}${withThreads(threads)} and a private ${server.name} ${server.version}`,
      hint: '',
      [Symbol.asyncDispose]: async () => {
        try {
          await graflow.close()
        } finally {
          await cluster.stop()
        }
      },
    }
  } catch (error) {
    await cluster.stop()
    throw error
  }
}

const withThreads = (threads: number | undefined): string =>
  threads === undefined ? '' : ` with ${threads} ${threads === 1 ? 'thread' : 'threads'}`
