/**
 * What the behaviour tests share: the backends they run on, a log of task starts, gates, and waiting that is bounded.
 * Handlers of rows that also run in worker processes stand in `*.tasks.ts` beside the tests: they close over nothing of a test, and tell
 * what they do through the run itself (handlers.ts).
 */
import { existsSync } from 'node:fs'
import { inspect } from 'node:util'
import {
  connect,
  GraflowError,
  type AnyNode,
  type ConnectOptions,
  type EventName,
  type EventOf,
  type Graflow,
  type In,
  type Out,
  type Run,
  type RunOptions,
} from 'graflow'
import type { ManualClock } from 'graflow/testing'
import { Ledger } from '../support/ledger.js'
import { endChildren, startWorker, type Child, type WorkerOptions } from '../support/processes.js'
import { freshPrefix, sharedRedis } from '../support/shared-redis.js'
import { openedByTests } from './handlers.js'

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

/** Gates and notes that processes of this file's tests share. */
let ledger: Ledger | undefined

/**
 * A Redis with two worker processes that all tests of the file share, under one prefix; started when the first test opens a client. A test
 * that says how many branches run at once gets a worker and a prefix of its own. Workers know what the file's task module exports.
 */
export class RedisPlace implements Place {
  readonly tasks: string
  readonly prefix = freshPrefix()
  readonly #own: Child[] = []
  #shared: Promise<readonly Child[]> | undefined

  /** @param testFile its task module is the file of the same name that ends in `.tasks.ts` */
  constructor(testFile: string) {
    this.tasks = testFile.replace(/\.test\.ts$/, '.tasks.ts')
  }

  readonly open: Open = async (options = {}) => {
    const { maxConcurrentTasks, ...rest } = options
    for (const name of ['clock', 'random', 'limits', 'tasks', 'maxBytes'] as const) {
      if (rest[name] !== undefined) throw new Error(`expected a test with ${name} to be for the embedded engine only`)
    }
    if (maxConcurrentTasks === undefined) {
      this.#shared ??= Promise.all(['one', 'two'].map((id) => this.start({ id, keyPrefix: this.prefix })))
      await this.#shared
      return this.connect(this.prefix, rest)
    }
    const keyPrefix = freshPrefix()
    await this.worker({ id: 'only', keyPrefix, maxConcurrentTasks })
    return this.connect(keyPrefix, rest)
  }

  async connect(keyPrefix: string, options: ConnectOptions = {}): Promise<Graflow> {
    const { url } = await sharedRedis()
    return connect(url, { keyPrefix, logLevel: 'silent', ...options })
  }

  /** A worker process that is killed after the test. */
  async worker(options: Partial<WorkerOptions> & Pick<WorkerOptions, 'id' | 'keyPrefix'>): Promise<Child> {
    const worker = await this.start(options)
    this.#own.push(worker)
    return worker
  }

  async start(options: Partial<WorkerOptions> & Pick<WorkerOptions, 'id' | 'keyPrefix'>): Promise<Child> {
    const { url } = await sharedRedis()
    ledger ??= new Ledger()
    return startWorker({ tasks: this.tasks, url, env: ledger.env, ...options })
  }

  async afterTest(): Promise<void> {
    await Promise.all(this.#own.splice(0).map((worker) => worker.kill9()))
  }

  async afterAll(): Promise<void> {
    await this.#shared?.catch(() => undefined)
    this.#shared = undefined
    await endChildren()
    ledger?.remove()
    ledger = undefined
  }
}

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

// ------------------------------------------------------------------------------------------------------------------- for tests

/** Lets those pass who wait at a gate of this run. */
export function openGateOf(run: Pick<Run<unknown>, 'id'>, name: string): void {
  openedByTests.add(`${run.id} ${name}`)
  ledger?.open(`${run.id} ${name}`)
}

/** What `mark` notes from now on, in all runs of the client; grows while they run. */
export function logOf(graflow: Graflow): string[] {
  const log: string[] = []
  graflow.events.subscribe('run:progress', ({ message }) => {
    if (message !== undefined) log.push(message)
  })
  return log
}

/** The first event of this name from now on that `fits`. */
export function nextEvent<const K extends EventName>(
  graflow: Graflow,
  name: K,
  fits: (event: EventOf<K>) => boolean = () => true,
): Promise<EventOf<K>> {
  let off = (): void => undefined
  const seen = new Promise<EventOf<K>>((resolve) => {
    off = graflow.events.subscribe(name, (event) => {
      if (fits(event)) resolve(event)
    })
  })
  return within(5_000, seen, `an event ${name}`).finally(() => {
    off()
  })
}

/** Waits for a handler to `mark` this text. */
export const nextMark = async (graflow: Graflow, text: string): Promise<void> => {
  await nextEvent(graflow, 'run:progress', ({ message }) => message === text)
}

/** `promise`, or a failure that says what was not seen in time. */
export async function within<T>(ms: number, promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`expected ${what} within ${ms} ms`))
    }, ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** The GraflowError that a promise rejects with. */
export async function failureOf(promise: Promise<unknown>): Promise<GraflowError> {
  const error: unknown = await promise.then(
    (value) => {
      throw new Error(`expected a failure, got ${inspect(value)}`)
    },
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof GraflowError)) throw new Error('expected a GraflowError', { cause: error })
  return error
}

/** The GraflowError that a call throws. */
export function thrownBy(call: () => unknown): GraflowError {
  try {
    call()
  } catch (error) {
    if (error instanceof GraflowError) return error
    throw new Error('expected a GraflowError', { cause: error })
  }
  throw new Error('expected a failure, got none')
}

/** Runs a flow to its failure. */
export const failureOfRun = <const N extends AnyNode>(
  graflow: Graflow,
  node: N,
  input: In<N>,
  options?: RunOptions,
): Promise<GraflowError> => failureOf(graflow.run(node, input, options))

/** Starts a flow and gives its handle once its result is known. */
export async function finished<const N extends AnyNode>(
  graflow: Graflow,
  node: N,
  input: In<N>,
  options?: RunOptions,
): Promise<Run<Out<N>>> {
  const run = await graflow.start(node, input, options)
  await run.result()
  return run
}

/** Milliseconds until the next timer of this clock, once there is one; undefined as soon as `isOver`. */
export async function dueIn(clock: ManualClock, isOver: () => boolean = () => false): Promise<number | undefined> {
  const until = Date.now() + 5_000
  for (;;) {
    await new Promise<void>((resolve) => setImmediate(resolve)) // what is under way comes first
    if (isOver()) return undefined
    const due = clock.nextDueMs()
    if (due !== undefined) return due
    if (Date.now() > until) throw new Error('expected a timer of the manual clock within 5 s')
  }
}
