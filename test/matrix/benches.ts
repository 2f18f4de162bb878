/**
 * Where cells are played: a client and workers, all in the test's process, on a store of this process or on a Redis. All cells of a bench
 * run at once. Some need the others: a worker that takes one task at a time starts when the tasks of all wait, and the worker that
 * is lost holds the tasks of all.
 */
import { connect, type Graflow } from 'graflow'
import { Worker, type WorkerOptions } from 'graflow/worker'
import { openRedisBackend } from '../../lib/backend/redis/redis-backend.js'
import { LosableStore } from '../support/losable-store.js'
import { freshPrefix, sharedRedis } from '../support/shared-redis.js'
import { SharedStore } from '../support/shared-store.js'
import { type Cell, KNOWER } from './cell.js'
import type { Bench, BenchName } from './table.js'

/** `embedded`: `connect()` itself, where that serves; else the store of this process with workers of their own. */
export type StoreName = 'embedded' | 'redis'
/** The longest that cells wait for each other: one that has failed comes no more. */
const MEETING_MS = 8_000

/** Calls `then` when all that are expected have come; again for the next time. */
class Meeting {
  #expected: number
  readonly #then: () => Promise<void>
  #here: (() => void)[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(expected: number, then: () => Promise<void>) {
    this.#expected = expected
    this.#then = then
  }

  meet(): Promise<void> {
    return new Promise((resolve) => {
      this.#here.push(resolve)
      this.#timer ??= setTimeout(() => this.#begin(), MEETING_MS)
      this.#look()
    })
  }

  leave(): void {
    this.#expected -= 1
    this.#look()
  }

  #look(): void {
    if (this.#here.length > 0 && this.#here.length >= this.#expected) this.#begin()
  }

  #begin(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const here = this.#here.splice(0)
    const goOn = (): void => {
      for (const resolve of here) resolve()
    }
    this.#then().then(goOn, goOn) // what did not happen, the cells miss
  }
}

/** A store with a client and workers in this process; all end with it. */
interface Stage {
  readonly graflow: Graflow
  worker(options: WorkerOptions): Promise<void>
  /** A worker, and what makes the store take it for dead. */
  losable(options: WorkerOptions): Promise<LosableStore>
  end(): Promise<void>
}

async function sharedStage(): Promise<Stage> {
  const store = new SharedStore()
  const losable = async (options: WorkerOptions): Promise<LosableStore> => {
    const view = new LosableStore(store.backend)
    store.view = view.backend
    await store.started(options)
    return view
  }
  return {
    graflow: (await store.client()) as unknown as Graflow,
    losable,
    worker: async (options) => {
      await losable(options)
    },
    end: () => store.end(),
  }
}

async function redisStage(): Promise<Stage> {
  const { url: redisUrl } = await sharedRedis()
  const keyPrefix = freshPrefix()
  const graflow = await connect(redisUrl, { keyPrefix, logLevel: 'silent' })
  const ends: (() => Promise<void>)[] = [() => graflow.close()]
  const begin = async (worker: Worker): Promise<void> => {
    ends.push(() => worker.stop(0))
    await worker.start()
  }
  const common = { redisUrl, keyPrefix, logLevel: 'silent' } as const
  return {
    graflow,
    worker: (options) => begin(new Worker({ ...common, ...options })),
    losable: async (options) => {
      const view = new LosableStore(await openRedisBackend({ address: redisUrl, keyPrefix }))
      await begin(new Worker({ ...common, ...options }, { openStore: () => Promise.resolve(view.backend) }))
      return view
    },
    end: async () => {
      await Promise.all(ends.splice(0).map((end) => end()))
    },
  }
}

/** Opens a bench for its cells. */
export async function openBench(store: StoreName, name: BenchName, cells: readonly Cell[]): Promise<Bench> {
  // embedded, one worker knows all that is given to connect(), so there is nothing to split
  if (store === 'embedded' && (name === 'plain' || name === 'split')) return embeddedBench(cells)
  const stage = store === 'embedded' ? await sharedStage() : await redisStage()
  return BENCHES[name](stage, cells)
}

const tasksOf = (cells: readonly Cell[], who: string, frames?: string): NonNullable<WorkerOptions['tasks']> =>
  cells.flatMap((cell) => cell.tasksOf(who, frames))

const aloneHere = { frames: undefined, meet: () => Promise.resolve(), leave: () => undefined }

async function embeddedBench(cells: readonly Cell[]): Promise<Bench> {
  const split = cells.filter(({ option }) => option.bench === 'split')
  const declared = cells.filter((cell) => cell.place.declares !== undefined && !split.includes(cell))
  const tasks = [...tasksOf(declared, 'embedded'), ...tasksOf(split, KNOWER)]
  const graflow = await connect({ logLevel: 'silent', tasks })
  return { ...aloneHere, graflow, end: () => graflow.close() }
}

/** Two workers that differ in nothing. */
async function plainBench(stage: Stage, cells: readonly Cell[]): Promise<Bench> {
  for (const workerId of ['one', 'two'])
    await stage.worker({ workerId, tasks: tasksOf(cells, workerId), maxConcurrentTasks: 64 })
  return { ...aloneHere, graflow: stage.graflow, end: () => stage.end() }
}

/** Two workers that know each cell only together. */
async function splitBench(stage: Stage, cells: readonly Cell[]): Promise<Bench> {
  for (const workerId of ['surrounding', KNOWER])
    await stage.worker({ workerId, tasks: tasksOf(cells, workerId), maxConcurrentTasks: 64 })
  return { ...aloneHere, graflow: stage.graflow, end: () => stage.end() }
}

/** Workers that differ in what tasks may ask for. */
async function workersBench(stage: Stage, cells: readonly Cell[]): Promise<Bench> {
  const common = (workerId: string): WorkerOptions => ({
    ...{ workerId, tasks: tasksOf(cells, workerId), maxConcurrentTasks: 64 },
  })
  await stage.worker({ ...common('far'), queues: ['default'] })
  await stage.worker({ ...common('gpu'), queues: ['default'], capabilities: ['gpu'] })
  await stage.worker({ ...common('queue'), queues: ['q'] })
  await stage.worker({ ...common('near'), queues: ['default'] })
  return { ...aloneHere, graflow: stage.graflow, end: () => stage.end() }
}

/** What waits is taken one by one, once the tasks of all cells wait. */
async function oneSlotBench(stage: Stage, cells: readonly Cell[]): Promise<Bench> {
  const frames = 'frames'
  await stage.worker({ workerId: 'frames', tasks: tasksOf(cells, 'frames', frames), queues: [frames] })
  const late = { workerId: 'late', tasks: tasksOf(cells, 'late', frames), maxConcurrentTasks: 1 }
  const meeting = new Meeting(cells.length, () => stage.worker(late))
  return benchOf(stage, meeting, frames)
}

/** One worker has the tasks of all cells when it is lost, and again. */
async function lostBench(stage: Stage, cells: readonly Cell[]): Promise<Bench> {
  const view = await stage.losable({ workerId: 'lost', tasks: tasksOf(cells, 'lost'), maxConcurrentTasks: 64 })
  return benchOf(stage, new Meeting(cells.length, () => view.lose()), undefined)
}

const benchOf = (stage: Stage, meeting: Meeting, frames: string | undefined): Bench => ({
  ...{ graflow: stage.graflow, frames },
  meet: () => meeting.meet(),
  leave: () => meeting.leave(),
  end: () => stage.end(),
})

const BENCHES: Readonly<Record<BenchName, (stage: Stage, cells: readonly Cell[]) => Promise<Bench>>> = {
  plain: plainBench,
  workers: workersBench,
  'one-slot': oneSlotBench,
  lost: lostBench,
  split: splitBench,
}
