/**
 * What the behaviour tests share: the backends they run on, a log of task starts, gates between handlers, and waiting that is bounded.
 * Handlers of rows that will also run in worker processes stand in `*.tasks.ts` beside the tests: they close over nothing of a test, and
 * tell what they do through the run itself (progress events, channels).
 */
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
  type TaskContext,
} from 'graflow'
import type { ManualClock } from 'graflow/testing'

/** Opens a client that is closed after the test. */
export type Open = (options?: ConnectOptions) => Promise<Graflow>

const BACKENDS: Readonly<Record<string, Open>> = {
  embedded: (options) => connect({ logLevel: 'silent', ...options }),
}

/** The same tests on every backend; `name` tells which. */
export function describeOnBackends(title: string, tests: (open: Open, name: string) => void): void {
  describe.each(Object.entries(BACKENDS))(`${title} (%s)`, (name, openOn) => {
    const clients: Graflow[] = []
    afterEach(async () => {
      await Promise.all(clients.splice(0).map((client) => client.close()))
    })
    tests(async (options) => {
      const client = await openOn(options)
      clients.push(client)
      return client
    }, name)
  })
}

// ---------------------------------------------------------------------------------------------------------------- for handlers

/** Gates that a test opened. With workers in other processes this becomes something that they can see. */
const openedByTests = new Set<string>()

/** Notes what a handler does, in the order of the calls; read by `logOf`. */
export const mark = (ctx: Pick<TaskContext, 'progress'>, text: string): void => ctx.progress(0, text)

/** Lets everybody pass who waits, or will wait, at the gate of this name in this run. */
export const openGate = (ctx: Pick<TaskContext, 'channel'>, name: string): Promise<void> =>
  ctx.channel.set(`gate:${name}`, true)

/** Waits at the gate; rejects as soon as the start is not wanted any more. */
export async function passGate(ctx: Pick<TaskContext, 'channel' | 'signal' | 'runId'>, name: string): Promise<void> {
  while (!openedByTests.has(`${ctx.runId} ${name}`) && !(await ctx.channel.has(`gate:${name}`))) await turn(ctx.signal)
}

/** Waits until the start is not wanted any more, and rejects with the reason. */
export const untilAborted = async (ctx: Pick<TaskContext, 'signal'>): Promise<never> => {
  for (;;) await turn(ctx.signal)
}

/** Lets the process do something else for a moment; rejects as soon as the start is not wanted any more. */
export async function turn(signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, 2)
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer)
        resolve()
      },
      { once: true },
    )
  })
  signal.throwIfAborted()
}

// ------------------------------------------------------------------------------------------------------------------- for tests

/** Lets those pass who wait at a gate of this run. */
export function openGateOf(run: Pick<Run<unknown>, 'id'>, name: string): void {
  openedByTests.add(`${run.id} ${name}`)
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
