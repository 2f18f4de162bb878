/**
 * The little world of one test run: a store in this process, a client that submits to it, and one worker at a time that does everything. Hides how a
 * worker is lost: from one moment on the store takes it for dead, and nothing that it asks is answered any more.
 */
import { operatorsOf } from '../admin/operators.js'
import type { Backend } from '../backend/backend.js'
import { openMemoryBackend, type MemoryBackend } from '../backend/kernel/memory-backend.js'
import { describeError } from '../describe.js'
import { Unreported } from '../engine/cancellation.js'
import { Emitter } from '../events.js'
import { Executor } from '../executor/executor.js'
import { isNode } from '../flow/expression.js'
import { isPolicy } from '../flow/make.js'
import { expressionOf } from '../flow/node.js'
import { writeLogLines, type LogLevel } from '../observe/log-lines.js'
import { CONNECT_OPTIONS, DEFAULT_LIMITS } from '../options.js'
import { Client } from '../producer/client.js'
import { openSession, type Session, type SessionOptions } from '../session/open-session.js'
import type { Clock, NewId, Random } from '../time.js'
import type { Cast, Scene } from './cast.js'

export interface TestWorldOptions {
  readonly clock: Clock
  readonly random: Random
  readonly logLevel: LogLevel
  /** Puts the test's stand-ins and faults between a worker and the code of flows. */
  readonly cast: Cast
  /** Something asks the store, or is told by it. */
  readonly note: () => void
}

/** Tasks in threads run in this one: a test's stand-ins and faults are here. */
const NO_THREADS: NonNullable<SessionOptions['threads']> = Object.freeze({
  runsInline: true,
  has: () => true,
  take: () => undefined,
  wait: () => Promise.reject(new Error('a test run has no threads')),
})

/** Opened with `open`, over after `close`. */
export class TestWorld {
  readonly client: Client
  readonly emitter: Emitter
  readonly store: MemoryBackend
  readonly #options: TestWorldOptions
  readonly #newId: NewId
  readonly #code: unknown[] = []
  readonly #stopLog: () => void
  #worker: Worker | undefined
  #workers = 0

  static async open(options: TestWorldOptions): Promise<TestWorld> {
    const { clock, random } = options
    const emitter = new Emitter(() => clock.now())
    const store = openMemoryBackend({ clock })
    const newId = countedIds()
    const session = await openSession({
      ...{
        store: seenBy(store, options.note),
        isEmbedded: true,
        limits: DEFAULT_LIMITS,
        clock,
        random,
        emitter,
        newId,
      },
      info: { baseId: 'test', role: 'client', metadata: {}, queues: [], capabilities: [], tasks: [] },
      threads: NO_THREADS,
    })
    return new TestWorld(options, store, emitter, newId, session)
  }

  private constructor(
    options: TestWorldOptions,
    store: MemoryBackend,
    emitter: Emitter,
    newId: NewId,
    session: Session,
  ) {
    this.#options = options
    this.#newId = newId
    this.store = store
    this.emitter = emitter
    this.client = new Client({ session, operators: operatorsOf, retentionMs: CONNECT_OPTIONS.retentionMs.default })
    this.#stopLog = writeLogLines(emitter, options.logLevel, (line) => {
      process.stderr.write(`${line}\n`)
    })
  }

  /** From now on workers know the code of this flow, or this policy. @throws GraflowError INVALID_NODE */
  learn(code: unknown): void {
    if (!isPolicy(code)) expressionOf(code, 'testRun: tasks')
    this.#code.push(code)
    if (this.#worker !== undefined) learnIn(this.#worker.session, code)
  }

  /** A worker begins. */
  async work(): Promise<void> {
    const { clock, random, cast, note } = this.#options
    const { emitter } = this
    this.#workers += 1
    const scene: Worker['scene'] = {
      isLost: false,
      lose: () => void this.#lose(scene),
      bring: (node) => this.#bring(node),
    }
    const session = await openSession({
      store: seenBy(this.store, note, scene),
      ...{ isEmbedded: true, limits: DEFAULT_LIMITS, clock, random, emitter, newId: this.#newId },
      ...{ threads: NO_THREADS, codeThrough: cast.through(scene) },
      info: {
        ...{ baseId: `worker-${this.#workers}`, role: 'worker', metadata: {} },
        ...{ queues: 'all', capabilities: 'all', tasks: 'all' },
      },
    })
    for (const code of this.#code) learnIn(session, code)
    const { holdings } = session
    this.#worker = { session, scene }
    session.serve(
      new Executor({
        ...session.forExecutor,
        ...{ maxConcurrentTasks: CONNECT_OPTIONS.maxConcurrentTasks.default, queues: 'all', capabilities: 'all' },
        driveRun: (grant, k) => void holdings.driveTaken(grant, k),
        onError: (error) =>
          emitter.emit('log', { level: 'error', message: `an error in the worker: ${describeError(error)}` }),
      }),
    )
  }

  /** What a handler gives is not trusted: the engine refuses what is no flow. */
  #bring(node: unknown): void {
    if (isNode(node)) this.learn(node)
  }

  /** The worker is lost with all that it holds, and another one begins. */
  async #lose(scene: Worker['scene']): Promise<void> {
    const lost = this.#worker
    if (lost?.scene !== scene) return
    this.#worker = undefined
    scene.isLost = true
    const { session } = lost
    const reason = new Unreported(`${session.baseId} was lost`)
    await this.store.loseSession(session.id)
    // It never ends: what it would release asks the store.
    void session.holdings.stop(reason, reason)
    await this.work()
  }

  async close(): Promise<void> {
    const reason = new Unreported('the test run was closed', 'CLOSED')
    const worker = this.#worker
    this.#worker = undefined
    await worker?.session.holdings.stop(reason, reason)
    await worker?.session.close()
    await this.client.close()
    await this.store.close()
    this.#stopLog()
  }
}

interface Worker {
  readonly session: Session
  readonly scene: Scene & { isLost: boolean }
}

function learnIn({ engine: { registry } }: Session, code: unknown): void {
  if (isPolicy(code)) registry.learnPolicy(code)
  else registry.learn(expressionOf(code))
}

/** Ids that are the same in every test: UUIDs (RFC 9562, version 8) that count. */
function countedIds(): NewId {
  let count = 0
  return () => {
    count += 1
    return `00000000-0000-8000-8000-${count.toString(16).padStart(12, '0')}`
  }
}

type Method = (...args: readonly unknown[]) => unknown

/**
 * The store as one process sees it, which it does not close. One that is lost gets no answer any more.
 * @param note told of every call and every notice
 */
function seenBy(store: Backend, note: () => void, life: { readonly isLost: boolean } = { isLost: false }): Backend {
  const never = new Promise<never>(() => undefined)
  const seen = <T extends object>(target: T): T =>
    new Proxy(target, {
      get(_, key) {
        const value: unknown = Reflect.get(target, key, target)
        if (key === 'inspect') return seen(value as Backend['inspect'])
        if (key === 'close') return () => Promise.resolve()
        if (typeof value !== 'function') return value
        return (...args: readonly unknown[]) => {
          note()
          return life.isLost ? never : (value as Method).apply(target, args.map(noting))
        }
      },
    })
  const noting = (argument: unknown): unknown =>
    typeof argument !== 'function'
      ? argument
      : (...news: readonly unknown[]) => {
          note()
          return life.isLost ? undefined : (argument as Method)(...news)
        }
  return seen(store)
}
