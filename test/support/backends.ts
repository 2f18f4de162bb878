/**
 * The same tests on every backend: in this process, and on Redis with real worker processes. Handlers of tests that also run in worker
 * processes stand in `*.tasks.ts` beside the tests: they close over nothing of a test, and tell what they do through the run itself
 * (handlers.ts).
 */
import { existsSync } from 'node:fs'
import { connect, type ConnectOptions, type Graflow, type Run } from 'graflow'
import { openedByTests } from './handlers.js'
import type { Ledger } from './ledger.js'
import type { Child, WorkerOptions } from './processes.js'
import { Stage } from './redis-stage.js'
import { freshPrefix, sharedRedis } from './shared-redis.js'

/** Opens a client that is closed after the test. */
export type Open = (options?: ConnectOptions) => Promise<Graflow>

export type BackendName = 'embedded' | 'redis'

/** A backend for the tests of one file. */
interface Place {
  readonly open: Open
  /** Ends what a test began there, besides clients. */
  afterTest(): Promise<void>
  afterAll(): Promise<void>
}

const embedded: Place = {
  open: (options) => connect({ logLevel: 'silent', ...options }),
  afterTest: async () => undefined,
  afterAll: async () => undefined,
}

/**
 * A Redis with two worker processes that all tests of the file share, under one prefix; started when the first test opens a client. Tests
 * that say how many branches run at once share one such worker, under a prefix of its own. Workers know what the file's task module exports.
 */
export class RedisPlace implements Place {
  readonly #tasks: string
  readonly #own: Child[] = []
  #stage: Promise<Stage> | undefined
  #shared: Promise<readonly Child[]> | undefined
  /** Prefixes of workers with so many slots. */
  readonly #limited = new Map<number, Promise<string>>()

  /** @param testFile its task module is the file of the same name that ends in `.tasks.ts` */
  constructor(testFile: string) {
    this.#tasks = testFile.replace(/\.test\.ts$/, '.tasks.ts')
  }

  readonly open: Open = async (options = {}) => {
    const { maxConcurrentTasks, ...rest } = options
    for (const name of ['clock', 'random', 'limits', 'tasks', 'maxBytes'] as const) {
      if (rest[name] !== undefined) throw new Error(`expected a test with ${name} to be for the embedded engine only`)
    }
    const { prefix } = await this.#opened()
    if (maxConcurrentTasks === undefined) {
      this.#shared ??= Promise.all(['one', 'two'].map((id) => this.#start({ id, keyPrefix: prefix })))
      await this.#shared
      return this.connect(prefix, rest)
    }
    let limited = this.#limited.get(maxConcurrentTasks)
    if (limited === undefined) {
      const keyPrefix = freshPrefix()
      limited = this.#start({ id: 'only', keyPrefix, maxConcurrentTasks }).then(() => keyPrefix)
      this.#limited.set(maxConcurrentTasks, limited)
    }
    return this.connect(await limited, rest)
  }

  /** Tests that say how many branches run at once get new workers from now on. */
  forgetLimited(): void {
    this.#limited.clear()
  }

  async connect(keyPrefix: string, options: ConnectOptions = {}): Promise<Graflow> {
    return (await this.#opened()).client({ keyPrefix, ...options })
  }

  /** A worker process that is killed after the test. */
  async worker(options: Partial<WorkerOptions> & Pick<WorkerOptions, 'id' | 'keyPrefix'>): Promise<Child> {
    const worker = await this.#start(options)
    this.#own.push(worker)
    return worker
  }

  async #start({ id, ...options }: Partial<WorkerOptions> & Pick<WorkerOptions, 'id'>): Promise<Child> {
    return (await this.#opened()).worker(id, options)
  }

  #opened(): Promise<Stage> {
    this.#stage ??= sharedRedis().then((server) => {
      const stage = new Stage(server, this.#tasks)
      ledger = stage.ledger
      return stage
    })
    return this.#stage
  }

  async afterTest(): Promise<void> {
    await Promise.all(this.#own.splice(0).map((worker) => worker.kill9()))
  }

  async afterAll(): Promise<void> {
    await Promise.allSettled([this.#shared, ...this.#limited.values()])
    this.#limited.clear()
    this.#shared = undefined
    const stage = this.#stage
    this.#stage = undefined
    ledger = undefined
    await (await stage)?.end()
  }
}

/** Gates and notes that processes of this file's tests share. */
let ledger: Ledger | undefined

/**
 * Gives the tests behind it workers that have seen no task yet: a worker that knows its tasks as short acquires more than it has slots for,
 * and starts that in the order in which it came.
 */
export const useFreshWorkers = (): void => redisPlace?.forgetLimited()

/** The place of this file that all its describe blocks share; ended with the file. */
let redisPlace: RedisPlace | undefined
const theRedisPlace = (): RedisPlace => {
  redisPlace ??= new RedisPlace(testFile())
  return redisPlace
}
const testFile = (): string => expect.getState().testPath ?? ''

afterAll(async () => {
  await redisPlace?.afterAll()
  redisPlace = undefined
})

/** Declares a test for the embedded engine only; on another backend nothing is declared. `why` says what keeps it from running there. */
export type OnlyEmbedded = (why: string) => jest.It

/** Stands where a test would be declared. */
const nothing = Object.assign(() => undefined, { each: () => () => undefined }) as unknown as jest.It

/**
 * The same tests on every backend; `name` tells which. On Redis groups run in worker processes, which know the tasks that the test's task
 * module exports; a file without one is for the embedded engine only.
 */
export function describeOnBackends(
  title: string,
  tests: (open: Open, onlyEmbedded: OnlyEmbedded, name: BackendName) => void,
  only?: { readonly onlyEmbedded: string },
): void {
  const places: (readonly [BackendName, () => Place])[] = [['embedded', () => embedded]]
  const hasTasks = existsSync(testFile().replace(/\.test\.ts$/, '.tasks.ts'))
  if (hasTasks && only === undefined) places.push(['redis', theRedisPlace])
  describe.each(places)(`${title} (%s)`, (name, placeOf) => {
    const place = placeOf()
    const clients: Graflow[] = []
    afterEach(async () => {
      await Promise.all(clients.splice(0).map((client) => client.close()))
      await place.afterTest()
    })
    tests(
      async (options) => {
        const client = await place.open(options)
        clients.push(client)
        return client
      },
      () => (name === 'embedded' ? it : nothing),
      name,
    )
  })
}

/** Lets those pass who wait at a gate of this run. */
export function openGateOf(run: Pick<Run<unknown>, 'id'>, name: string): void {
  openedByTests.add(`${run.id} ${name}`)
  ledger?.open(`${run.id} ${name}`)
}
