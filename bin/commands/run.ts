/** `graflow run` and `graflow submit`: start a flow of a task module, show how far it is, and print what it gave. */
import { connect, openStore, storeFlagsOf } from '../../lib/connect.js'
import { ERROR_CODES, GraflowError } from '../../lib/errors.js'
import { tasksOf } from '../../lib/flow/collect.js'
import type { LoadedModule } from '../../lib/modules/task-modules.js'
import { type LogLevel, writeLogLines } from '../../lib/observe/log-lines.js'
import { CONNECT_OPTIONS, defaultsOf } from '../../lib/options.js'
import type { Graflow, Run as RunHandle, RunOptions } from '../../lib/producer/types.js'
import { unservedRun } from '../../lib/session/unserved-runs.js'
import { elapsedMs, systemClock, systemRandom, withDeadline } from '../../lib/time.js'
import { addressOf, limitsOf, type WorkerOptions } from '../../worker/worker-options.js'
import { failureText } from '../error-text.js'
import { EXIT_CODES } from '../exit-codes.js'
import type { Host, Run } from '../host.js'
import { inputOf, modulesOf } from '../modules.js'
import { duration, plainText, shownValue, toJson } from '../output.js'
import { type Progress, type ProgressMode, showProgress } from '../progress.js'
import { type Named, selectFlow } from '../select-flow.js'
import type { Given } from '../settings.js'
import { RUN_COMMAND_OPTIONS } from './options.js'

const DEFAULTS = defaultsOf(RUN_COMMAND_OPTIONS)

/** What the table of options says of them. */
interface RunSettings
  extends Pick<WorkerOptions, 'redisUrl' | 'redisHost' | 'redisPort' | 'redisDb' | 'keyPrefix' | 'limits'> {
  readonly workflow?: string
  readonly input?: string
  readonly id?: string
  readonly idempotencyKey?: string
  readonly timeoutMs?: number
  readonly tags?: readonly string[]
  readonly priority?: number
  readonly queue?: string
  readonly buildId?: string
  readonly pin?: boolean
  readonly progress?: ProgressMode
  readonly logLevel?: LogLevel
}

/** `graflow run`: this process drives the run; without an address of Redis it also runs its branches. */
export const runCommand: Run = async (given, host) => {
  const options = given.options as RunSettings // the table has these
  const { redisUrl, redisHost, redisPort, redisDb } = options
  const isUnset = (redisUrl ?? redisHost ?? redisPort ?? redisDb) === undefined
  const isEmbedded = isUnset || given.switches.has('embedded')
  const started = await open(given, host, isEmbedded ? undefined : addressOf(options))
  const { graflow, flow, input } = started
  try {
    if (isUnset && !given.switches.has('embedded'))
      host.err.write('no address of Redis is set: everything runs in this process (embedded)\n')
    const run = await (graflow.start as Start)(flow.node, input, { ...runOptions(options), signal: host.signal })
    return await follow(run, flow, given, host, started.log)
  } finally {
    await graflow.close()
  }
}

/** `graflow submit`: a worker drives the run; `--wait` follows it from here. */
export const submitCommand: Run = async (given, host) => {
  const options = given.options as RunSettings // the table has these
  const started = await open(given, host, addressOf(options))
  const { graflow, flow, input } = started
  try {
    const run = await (graflow.submit as Start)(flow.node, input, runOptions(options))
    if (given.switches.has('wait')) return await follow(run, flow, given, host, started.log)
    const { state } = await run.status()
    if (given.switches.has('json')) host.out.write(toJson({ id: run.id, workflow: flow.name, state }))
    else host.out.write(`${run.id}\n`)
    if (state === 'pending') await sayUnserved(run.id, options, host)
    return EXIT_CODES.done.code
  } finally {
    await graflow.close()
  }
}

/** Says so when no live worker could take the run. That is only a note: one may come. */
async function sayUnserved(runId: string, options: RunSettings, host: Host): Promise<void> {
  const address = addressOf(options)
  const keyPrefix = options.keyPrefix ?? CONNECT_OPTIONS.keyPrefix.default
  try {
    const store = await openStore(address, { keyPrefix, clock: systemClock, random: systemRandom })
    try {
      const note = await unservedRun(store.inspect, runId, storeFlagsOf(address, keyPrefix))
      if (note !== undefined) host.err.write(`${plainText(note)}\n`)
    } finally {
      await store.close()
    }
  } catch {
    // the run is there, whatever else can be told of it
  }
}

/** The flow is chosen when the program runs: its types are not known here. */
type Start = (node: unknown, input: unknown, options: RunOptions) => Promise<RunHandle<unknown>>

interface Started {
  readonly graflow: Graflow
  readonly flow: Named
  readonly input: unknown
  /** Where log lines go; a progress display takes them over. */
  readonly log: { write: (line: string) => void }
}

/** Loads before it connects: a mistake in a module needs no Redis. */
async function open(given: Given, host: Host, address: string | undefined): Promise<Started> {
  const {
    workflow,
    input,
    keyPrefix,
    limits,
    buildId,
    logLevel = DEFAULTS.logLevel as LogLevel,
  } = given.options as RunSettings
  const modules = await modulesOf(given, host)
  const flow = selectFlow(modules, workflow)
  const value = await inputOf(input, host)
  const graflow = await connect(address ?? 'memory:', {
    ...(address !== undefined && keyPrefix !== undefined && { keyPrefix }),
    ...(buildId !== undefined && { buildId }),
    limits: limitsOf(limits),
    logLevel: 'silent', // the lines go where the progress is shown
    // A thread loads its task from its module.
    tasks: [...modules.filter(needsThreads).map(({ path }) => path), ...modules.flatMap(({ policies }) => policies)],
  })
  const log = { write: (line: string): void => void host.err.write(`${line}\n`) }
  writeLogLines(graflow.events, logLevel, (line) => log.write(line))
  return { graflow, flow, input: value, log }
}

const needsThreads = ({ expressions }: LoadedModule): boolean =>
  expressions.some((one) => [...tasksOf(one).values()].some(({ options }) => options.isolation === 'thread'))

const runOptions = ({ id, idempotencyKey, timeoutMs, tags, priority, queue, pin }: RunSettings): RunOptions => ({
  ...(id !== undefined && { id }),
  ...(idempotencyKey !== undefined && { idempotencyKey }),
  ...(timeoutMs !== undefined && { timeoutMs }),
  ...(tags !== undefined && { tags }),
  ...(priority !== undefined && { priority }),
  ...(queue !== undefined && { queue }),
  ...(pin !== undefined && { pin }),
})

/** Shows a run until it is over, and prints its result, or why it has none. */
async function follow(
  run: RunHandle<unknown>,
  flow: Named,
  given: Given,
  host: Host,
  log: Started['log'],
): Promise<number> {
  const startedAt = elapsedMs(systemClock)
  const { progress: mode = DEFAULTS.progress as ProgressMode } = given.options as RunSettings
  const progress = showProgress(run, mode, host)
  log.write = (line) => progress.say(line)
  const ended = await endOf(run, progress, host)
  log.write = (line) => void host.err.write(`${line}\n`)
  const durationMs = (await lengthOf(run)) ?? elapsedMs(systemClock) - startedAt
  const facts = { id: run.id, workflow: flow.name, durationMs }
  const isJson = given.switches.has('json')
  if ('detached' in ended) {
    if (isJson) host.out.write(toJson({ ...facts, state: await lastStateOf(run) }))
    host.err.write(`no longer followed: run ${run.id} goes on\n`)
    return EXIT_CODES.interrupted.code
  }
  if ('value' in ended) {
    if (isJson) host.out.write(toJson({ ...facts, state: 'completed', result: ended.value ?? null }))
    else {
      host.err.write(`run ${run.id} of ${plainText(flow.name)} completed in ${duration(durationMs)}\n`)
      host.out.write(`${shownValue(ended.value, host.out, host.env)}\n`)
    }
    return EXIT_CODES.done.code
  }
  const { error } = ended
  if (isJson) host.out.write(toJson({ ...facts, state: stateOf(error), error }))
  host.err.write(`run ${run.id} of ${plainText(flow.name)} ${stateOf(error)} after ${duration(durationMs)}\n`)
  host.err.write(failureText(error))
  return host.signal.aborted ? EXIT_CODES.interrupted.code : exitCodeOf(error)
}

type End = { readonly value: unknown } | { readonly error: unknown } | { readonly detached: true }

async function endOf(run: RunHandle<unknown>, progress: Progress, host: Host): Promise<End> {
  const detached = new Promise<End>((resolve) => {
    // a run that this process drives is cancelled by its signal, which its result tells; another one goes on
    const detach = (): void => void setTimeout(() => resolve({ detached: true }), DETACH_MS).unref()
    if (host.signal.aborted) detach()
    else host.signal.addEventListener('abort', detach, { once: true })
  })
  const result = run.result().then(
    (value): End => ({ value }),
    (error: unknown): End => ({ error }),
  )
  try {
    return await Promise.race([result, detached])
  } finally {
    await progress.end()
  }
}

/** How long a cancelled run may take to say so, and the store to say the state of one that goes on. */
const DETACH_MS = 1_000

/** How long the run has taken, which may have been there before this command; undefined where the store does not tell it soon. */
const lengthOf = (run: RunHandle<unknown>): Promise<number | undefined> => {
  const length = run.status().then(
    ({ createdAt, endedAt }) => endedAt && endedAt.getTime() - createdAt.getTime(),
    () => undefined,
  )
  return withDeadline(systemClock, DETACH_MS, length, () => undefined)
}

/** Null where the store does not tell it soon. */
const lastStateOf = (run: RunHandle<unknown>): Promise<string | null> => {
  const state = run.status().then(
    (status) => status.state,
    () => null,
  )
  return withDeadline(systemClock, DETACH_MS, state, () => null)
}

const stateOf = (error: unknown): string =>
  error instanceof GraflowError && error.code === 'CANCELLED' ? 'cancelled' : 'failed'

const exitCodeOf = (error: unknown): number =>
  error instanceof GraflowError ? ERROR_CODES[error.code].exitCode : EXIT_CODES.failed.code
