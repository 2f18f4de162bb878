/**
 * `testRun`: one run of a flow under a clock that the test moves. Hides when a run can go no further without time: nothing of the user's is at work,
 * and nothing has happened for some turns of the event loop. Time that passes goes from timer to timer, so what each brings about happens at its time.
 */
import { GraflowError } from '../errors.js'
import { isEnded } from '../engine/driver.js'
import { isNode } from '../flow/expression.js'
import type { AnyNode, Flow, In, JoinPolicy, NeedsNoInput, OrSay, Out } from '../flow/types.js'
import { checkOptions, LONGEST_MS, type OptionTable } from '../options.js'
import type { Run, RunOptions, SignalOptions } from '../producer/types.js'
import { elapsedMs, manualClock, seededRandom, systemClock, type ManualClock } from '../time.js'
import { Cast, type TestStart } from './cast.js'
import type { Fault, StandIn } from './faults.js'
import { TestWaits, type TestWait } from './test-waits.js'
import { TestWorld } from './test-world.js'
import { Work } from './work.js'

/** Options of `testRun`. */
export interface TestOptions {
  /** Handlers in the place of tasks' own, each made by `standIn`. */
  readonly replace?: readonly StandIn[]
  /** What befalls certain starts: `failAttempt`, `hang`, `loseWorker`. */
  readonly faults?: readonly Fault[]
  /** Flows, tasks and join policies that are known by name, beside those of the flow, as of `connect`. */
  readonly tasks?: readonly (AnyNode | JoinPolicy<never, unknown>)[]
  /** Options of the run. Its `id` is `test` where none is given. */
  readonly run?: RunOptions
  /** The time at which the test's clock begins. Default: 2000-01-01T00:00:00.000Z. */
  readonly startAt?: Date
  /** Seeds the chance in the engine, such as the jitter of retries: 0 to 4294967295. Default: 1. */
  readonly seed?: number
  /**
   * Milliseconds of real time that handlers may be at work, such as with a file, before `state` is `working`: 0 to 600000. The test's clock stands
   * still meanwhile. Default: 2000.
   */
  readonly workMs?: number
  /** What `ctx.log` and the engine write to standard error, from this level up. Default: silent. */
  readonly logLevel?: 'debug' | 'info' | 'warn' | 'error' | 'silent'
}

/**
 * `over`: the run has ended. `waiting`: it goes on only when time passes, or when somebody does something. `working`: a handler is at work for longer
 * than `workMs`, such as one that waits for its own deadline.
 */
export type TestState = 'over' | 'waiting' | 'working'

/** A run under test. Nothing of it outlives the test, also where it is not closed: it has neither real timers nor files nor sockets. */
export interface TestRun<out O> extends AsyncDisposable {
  /** The handle of the run, as `submit` gives it: status, results of tasks, cancel, pause. After `cancel` or `resume`, `settle`. */
  readonly run: Run<O>
  /** Where the run was when `testRun`, `settle`, `advance` or `result` last looked. */
  readonly state: TestState
  /** The clock of the run. Move it by `advance`, which lets the run follow. */
  readonly clock: ManualClock
  /** Every start of a task so far, in their order; also those that a fault befell. */
  readonly starts: readonly TestStart[]
  /** Stand-ins and faults that no start has met so far, such as one of a misspelt path. */
  readonly unmet: readonly (StandIn | Fault)[]
  /** What the run waits for: first what time brings, then what only a signal ends. */
  waits(): Promise<readonly TestWait[]>
  /** Lets the run go on as far as it can without time. */
  settle(): Promise<TestState>
  /**
   * Lets so much time pass: timers fire in their order, and the run follows after each.
   * @throws GraflowError INVALID_OPTION unless `ms` is an integer of 0 or more
   */
  advance(ms: number): Promise<TestState>
  /** Lets time pass to the next timer that brings about something. Without one, nothing happens. */
  advanceToNextTimer(): Promise<TestState>
  /**
   * The result of the run. As much time passes as the run needs.
   * @throws GraflowError why the run failed; RESULT_NOT_READY when time alone does not end it: it waits for somebody, is paused, or a handler is at
   * work for longer than `workMs`
   */
  result(): Promise<O>
  /**
   * Sends a signal, as `run.signal` does, and lets the run go on with it. False when it does not count any more.
   * @throws GraflowError INVALID_INPUT when its schema refuses the payload; what else `Run.signal` throws
   */
  signal(name: string, payload?: unknown, options?: SignalOptions): Promise<boolean>
  /** Ends the run, and aborts the handlers that are at work. Repeating it is safe. */
  close(): Promise<void>
}

const TEST_OPTIONS = Object.freeze({
  replace: { kind: 'list', help: 'Stand-ins for handlers.' },
  faults: { kind: 'list', help: 'What befalls certain starts.' },
  tasks: { kind: 'list', help: 'Flows, tasks and join policies that are known by name.' },
  run: { kind: 'object', help: 'Options of the run.' },
  startAt: { kind: 'object', like: { what: 'a Date', methods: ['getTime'] }, help: 'When the clock begins.' },
  seed: { kind: 'integer', default: 1, min: 0, max: 2 ** 32 - 1, help: 'Seeds the chance in the engine.' },
  workMs: {
    kind: 'integer',
    default: 2_000,
    unit: 'ms',
    min: 0,
    max: 600_000,
    help: 'How long handlers may be at work.',
  },
  logLevel: {
    kind: 'string',
    default: 'silent',
    oneOf: ['debug', 'info', 'warn', 'error', 'silent'],
    help: 'What is written to standard error.',
  },
} as const satisfies OptionTable)

/** No engine lets more turns of the event loop pass between two things that it does. */
const QUIET_TURNS = 12
/** Later turns are further apart: a handler waits for something real. */
const BUSY_TURNS = 200
const TURN_MS = 1
const START_AT_MS = Date.UTC(2000, 0, 1)

/** The same as the next overload, for a flow that takes no input. */
export function testRun<const N>(node: NeedsNoInput<N>): Promise<TestRun<Out<Flow<N>>>>
/**
 * Runs a flow under a clock that stands still, until it is over or waits: for a retry, a timer, a signal. Everything happens in this process, on the
 * embedded engine, without real time and without chance; `isolation: 'thread'` is left out. The run is one that was submitted: one worker drives it
 * and does all its tasks, and when it is lost another one takes over.
 *
 * Works in Jest, Vitest, node:test and anywhere else: it needs no globals of any. Fake timers of a framework must be off.
 * @throws GraflowError INVALID_OPTION, INVALID_NODE; what `submit` throws
 */
export function testRun<const N extends AnyNode, const G = N>(
  node: N | OrSay<G>,
  input: In<N>,
  options?: TestOptions,
): Promise<TestRun<Out<N>>>
export async function testRun(node: unknown, input?: unknown, given?: TestOptions): Promise<TestRun<never>> {
  const checked = checkOptions<TestOptions>('testRun', TEST_OPTIONS, given)
  const clock = manualClock(startOf(checked.startAt))
  const work = new Work()
  const startedAt = clock.now()
  const cast = new Cast({
    work,
    standIns: listOf('replace', checked.replace, '~handler', 'standIn(task, handler)'),
    faults: listOf('faults', checked.faults, 'attempt', 'failAttempt(task, 1), hang(task) or loseWorker(task)'),
    nowMs: () => clock.now() - startedAt,
  })
  const { seed = TEST_OPTIONS.seed.default, workMs = TEST_OPTIONS.workMs.default } = checked
  const { logLevel = TEST_OPTIONS.logLevel.default } = checked
  const world = await TestWorld.open({ clock, random: seededRandom(seed), cast, logLevel, note: () => work.note() })
  try {
    const options = { id: 'test', ...checked.run }
    const waits = new TestWaits(world.emitter, clock, options.id)
    for (const code of checked.tasks ?? []) world.learn(code)
    if (isNode(node)) world.learn(node)
    await world.work()
    const run = await world.client.submit(node, input, options)
    const test = new Test({ world, run, clock, work, cast, waits, workMs })
    await test.settle()
    return test
  } catch (error) {
    await world.close()
    throw error
  }
}

interface TestParts {
  readonly world: TestWorld
  readonly run: Run<never>
  readonly clock: ManualClock
  readonly work: Work
  readonly cast: Cast
  readonly waits: TestWaits
  readonly workMs: number
}

class Test implements TestRun<never> {
  readonly run: Run<never>
  readonly clock: ManualClock
  readonly #parts: TestParts
  #state: TestState = 'waiting'
  #closing: Promise<void> | undefined

  constructor(parts: TestParts) {
    this.#parts = parts
    this.run = parts.run
    this.clock = parts.clock
  }

  get state(): TestState {
    return this.#state
  }

  get starts(): readonly TestStart[] {
    return this.#parts.cast.starts
  }

  get unmet(): readonly (StandIn | Fault)[] {
    return this.#parts.cast.unmet
  }

  async waits(): Promise<readonly TestWait[]> {
    const { world, waits } = this.#parts
    if ((await this.settle()) === 'over') return []
    return waits.with(await world.client.waits.of(this.run.id))
  }

  async signal(name: string, payload?: unknown, options?: SignalOptions): Promise<boolean> {
    await this.settle()
    const counts = await this.run.signal(name, payload, options)
    await this.settle()
    return counts
  }

  async settle(): Promise<TestState> {
    const { world, work } = this.#parts
    if (this.#closing !== undefined)
      throw new GraflowError('CLOSED', `the test of run "${this.run.id}" was closed: begin another one`)
    await this.#quiet()
    const record = await world.store.inspect.run(this.run.id)
    const isOver = record === undefined || isEnded(record)
    this.#state = isOver ? 'over' : work.overdue.length > 0 ? 'working' : 'waiting'
    return this.#state
  }

  async advance(ms: number): Promise<TestState> {
    if (!Number.isSafeInteger(ms) || ms < 0) {
      const message = `advance takes an integer of 0 or more (ms), got ${String(ms)}: a clock does not go back`
      throw new GraflowError('INVALID_OPTION', message, { details: { option: 'ms' } })
    }
    const { clock } = this.#parts
    const until = clock.now() + ms
    await this.settle()
    for (;;) {
      const nextMs = clock.nextDueMs()
      if (nextMs === undefined || clock.now() + nextMs > until || this.#state === 'over') break
      clock.advance(nextMs)
      await this.settle()
    }
    clock.advance(until - clock.now())
    return this.settle()
  }

  async advanceToNextTimer(): Promise<TestState> {
    const { clock, work } = this.#parts
    await this.settle()
    const before = work.changes
    while (this.#state !== 'over' && work.changes === before) {
      const nextMs = clock.nextAwaitedMs()
      if (nextMs === undefined) break
      await this.advance(nextMs)
    }
    return this.#state
  }

  async result(): Promise<never> {
    const { clock, world } = this.#parts
    while ((await this.settle()) !== 'over') {
      const nextMs = clock.nextAwaitedMs()
      const isPaused = (await world.store.inspect.run(this.run.id))?.state === 'paused'
      if (this.#state === 'working' || isPaused || nextMs === undefined) throw await this.#notReady(isPaused, nextMs)
      await this.advance(nextMs)
    }
    return this.run.result()
  }

  close(): Promise<void> {
    const { world, waits } = this.#parts
    this.#closing ??= world.close().finally(() => waits.stop())
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Resolves when nothing happens any more, or when what is at work took too long. */
  async #quiet(): Promise<void> {
    const { clock, work, workMs } = this.#parts
    let seen = work.changes
    let since = elapsedMs(systemClock)
    for (let still = 0; still < QUIET_TURNS || work.atWork.length > 0; still += 1) {
      while (clock.nextDueMs() === 0) clock.advance(0)
      await (still < BUSY_TURNS ? turn() : pause())
      if (work.changes !== seen) {
        seen = work.changes
        since = elapsedMs(systemClock)
        still = -1
      } else if (still >= QUIET_TURNS && elapsedMs(systemClock) - since >= workMs) {
        for (const piece of work.atWork) piece.isOverdue = true
      }
    }
  }

  async #notReady(isPaused: boolean, nextMs: number | undefined): Promise<GraflowError> {
    const { id } = this.run
    const signals = (await this.waits()).flatMap(({ signal, path }) =>
      signal === undefined ? [] : [`"${signal}" (at ${path})`],
    )
    const [working] = this.#parts.work.overdue
    const next = nextMs === undefined ? '' : ` (the next timer is due in ${nextMs} ms)`
    const why =
      working !== undefined
        ? `stands at ${working.what}, which is at work for more than ${this.#parts.workMs} ms of real time, while the test's clock stands still. If ` +
          `it waits for its deadline or a cancel, call advance(ms)${next}; if it needs longer, raise workMs`
        : isPaused
          ? 'is paused: call run.resume()'
          : signals.length > 0
            ? `waits for the signal ${signals.slice(0, 3).join(' and for ')}: send it with signal(name, payload)`
            : 'waits, and not for time: no timer is due'
    return new GraflowError('RESULT_NOT_READY', `run "${id}" ${why}`, { details: { runId: id } })
  }
}

const turn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve)
  })

const pause = (): Promise<void> =>
  new Promise((resolve) => {
    systemClock.after(TURN_MS, resolve)
  })

function startOf(startAt: Date | undefined): number {
  const ms = startAt === undefined ? START_AT_MS : startAt.getTime()
  if (Number.isSafeInteger(ms) && Math.abs(ms) < LONGEST_MS * 1_000) return ms
  throw new GraflowError('INVALID_OPTION', 'testRun: startAt: expected a Date, got one of no time', {
    details: { option: 'startAt' },
  })
}

/** @throws GraflowError INVALID_OPTION for what was not made by the functions that make these */
function listOf<T extends object>(
  option: string,
  given: readonly T[] | undefined,
  mark: keyof T,
  made: string,
): readonly T[] {
  for (const item of given ?? []) {
    const untyped: unknown = item
    if (typeof untyped === 'object' && untyped !== null && mark in untyped) continue
    throw new GraflowError('INVALID_OPTION', `testRun: ${option}: expected a list of what ${made} makes`, {
      details: { option },
    })
  }
  return given ?? []
}
