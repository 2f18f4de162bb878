/**
 * Drives one run: holds its root branch, interprets its graph, and ends it. Whatever way it ends, what the store has recorded is the
 * truth: another process may have cancelled or taken over the run meanwhile.
 */
import type { EndState, Park, RunRecord, RunTerms, Token } from '../backend/backend.js'
import { MOST_ENDING_BYTES } from '../backend/kept.js'
import { reservedIn } from '../backend/reserved.js'
import { GraflowError } from '../errors.js'
import type { Span } from '../events.js'
import { Cancellation, Unreported } from './cancellation.js'
import type { CheckedOutputs } from './checksums.js'
import { decode, encodeFailure } from '../values/codec.js'
import { packedOf, PackedValue } from '../values/packed-arrays.js'
import { endOf, type Engine } from './engine.js'
import { Execution, NO_SLOT, type Frame, type GraphInUse, type Opening, type Slot } from './execution.js'
import { taskError } from './failure.js'
import { EndRun } from './directives.js'
import { durable } from './durability.js'
import { Parking } from './parking.js'
import { originOf } from './start.js'
import { StepJournal } from './step-journal.js'
import { elapsedMs } from '../time.js'
import { EMPTY_BYTES } from '../values/packed-items.js'

/** A run that this process holds. */
export interface HeldRun {
  readonly runId: string
  /** Of its root branch; or what opens the run, with its first group where it begins with one. */
  readonly token: Token | Opening
  readonly use: GraphInUse
  readonly input: Uint8Array
  readonly timeoutMs: number | undefined
  /** Starts before this one that were lost. */
  readonly losses: number
  /** What earlier drivers have saved; absent where it was never driven. */
  readonly saved?: CheckedOutputs
  /** Whether an earlier driver reported a task that it started. */
  readonly hasTask?: boolean
  /** Capabilities that its driver must have; absent: none. */
  readonly requires?: readonly string[]
  /** What its start asked for all of its work. */
  readonly terms?: RunTerms
  /** Where the run is one of a workflow. */
  readonly workflow?: string
  /** The span of who submitted it. */
  readonly trace?: string
  /** When to begin; at once without it. */
  readonly begin?: Promise<void>
}

interface RunEnd {
  readonly state: EndState
  readonly value: Uint8Array
}

/**
 * `lost`: this process does not hold the run any more; its state is the store's. `parked`: the run only waits; who drives gives its root branch
 * back.
 */
export type DriveEnd = RunEnd | { readonly state: 'lost' } | { readonly state: 'parked'; readonly park: Park }

/** A run being driven. */
export interface Drive {
  readonly execution: Execution
  readonly ended: Promise<DriveEnd>
}

/**
 * Starts to drive. A failed run resolves `ended` as well; only errors of the store reject it.
 * @param slot given back whenever the run waits at a barrier
 */
export function drive(engine: Engine, run: HeldRun, slot: Slot = NO_SLOT): Drive {
  const [token, opening] = typeof run.token === 'string' ? [run.token, undefined] : ['', run.token]
  const facts = {
    runId: run.runId,
    holder: { gid: run.runId, index: 0, token },
    fence: fenceOf(token),
    errors: 0,
    losses: run.losses,
    hasTask: run.hasTask === true,
    depth: 0,
    requires: reservedIn(run.requires ?? []),
    ...(run.terms !== undefined && { run: run.terms }),
    workerId: engine.parts.workerId,
  }
  opening?.onToken((known) => {
    facts.holder = { ...facts.holder, token: known }
    facts.fence = fenceOf(known)
  })
  const execution = new Execution(facts, slot, opening)
  execution.steps = new StepJournal(() => engine.parts.clock.now())
  execution.vouchFor(run.input)
  if (run.saved !== undefined) execution.restore(run.saved)
  execution.mayEndAtBarrier = mayEndAtBarrier(run, engine)
  const span = spanOf(engine, run)
  execution.span = span
  engine.stepsSeen.begin(execution)
  const end =
    span === undefined ? driveToEnd(engine, run, execution) : traced(span, () => driveToEnd(engine, run, execution))
  return {
    execution,
    ended: end.finally(() => {
      engine.stepsSeen.end(execution)
      execution.end()
    }),
  }
}

function spanOf({ parts: { emitter, workerId } }: Engine, run: HeldRun): Span | undefined {
  const { runId, workflow, losses } = run
  return emitter.tracer?.start('run', { runId, workflow, losses, worker: workerId }, run.trace)
}

/** Its handlers are called with the span as the current one; how the run ended stands in it. */
async function traced(span: Span, drive: () => Promise<DriveEnd>): Promise<DriveEnd> {
  const end = await span.run(drive)
  span.set({ outcome: end.state })
  if (end.state === 'failed') {
    const error = decode(end.value)
    if (error instanceof Error) span.fail(error)
  }
  return end
}

const fenceOf = (token: Token): number => Number(token.slice(0, token.indexOf('.')))

async function driveToEnd(engine: Engine, run: HeldRun, execution: Execution): Promise<DriveEnd> {
  const { clock, limits } = engine.parts
  if (run.begin !== undefined) await run.begin
  const startedAt = elapsedMs(clock)
  const deadline = run.timeoutMs === undefined ? undefined : new Cancellation(execution.cancel)
  const disarm =
    deadline === undefined || run.timeoutMs === undefined
      ? undefined
      : clock.after(run.timeoutMs, () => {
          deadline.abort(runTimeout(run.runId, run.timeoutMs))
        })
  let end: RunEnd
  try {
    const frame: Frame = { execution, use: run.use, cancel: deadline ?? execution.cancel }
    // Each handler that gets the input unpacks a copy: handlers may change what they get.
    const value = await engine.interpreter.runPacked(frame, new PackedValue(run.input))
    // A handler that kept the event loop also kept the timer from firing.
    if (run.timeoutMs !== undefined && elapsedMs(clock) - startedAt > run.timeoutMs)
      throw runTimeout(run.runId, run.timeoutMs)
    end = {
      state: 'completed',
      value: packedOf(value, `the result of run ${run.runId}`, limits.runResultBytes, 'runResultBytes'),
    }
  } catch (thrown) {
    if (execution.cancel.reason !== undefined) return { state: 'lost' }
    if (thrown instanceof Parking) return await parked(engine, run, execution, thrown.park)
    if (thrown instanceof Unreported) return { state: 'lost' }
    end = thrown instanceof EndRun ? endedByHandler(thrown, run.runId, engine) : failed(thrown, run.runId)
  } finally {
    disarm?.()
    deadline?.leave()
  }
  return settled(engine, run, execution, end)
}

/** Whether nothing is done here between the barrier of a last group and the end of the run. */
const mayEndAtBarrier = ({ timeoutMs, terms }: HeldRun, { parts: { limits } }: Engine): boolean =>
  timeoutMs === undefined && terms?.durability === undefined && limits.runResultBytes > MOST_ENDING_BYTES

/** Has ended so: the store is told, with what is not saved yet. */
async function settled(engine: Engine, run: HeldRun, execution: Execution, end: RunEnd): Promise<DriveEnd> {
  if (execution.opening !== undefined && !(await execution.opening.isOpened())) return { state: 'lost' }
  const save = execution.takeUnsaved(end.state !== 'failed')
  if (execution.hasEndedAtBarrier && end.state === 'completed' && save === undefined) return end
  const { holder } = execution.facts
  const { runId } = run
  const { backend } = engine.parts
  try {
    const answer = await backend.step({ holder, runId, ...(save !== undefined && { save }), end })
    const durability = run.terms?.durability
    if (durability !== undefined)
      await durable(engine.parts, runId, durability, () => execution.cancel.reason !== undefined)
    return answer.status === 'ok' || answer.status === 'done' ? end : { state: 'lost' }
  } catch (error) {
    // the store takes no value this large, and would not the next time: the run says so, rather than wait for ever for its end
    if (!(error instanceof GraflowError) || error.code !== 'LIMIT_EXCEEDED') throw error
    const failure = failed(error, runId)
    const answer = await backend.step({ holder, runId, end: failure })
    return answer.status === 'ok' || answer.status === 'done' ? failure : { state: 'lost' }
  }
}

/** Inputs of groups that were read are not kept for as long as the run waits. */
async function parked(
  { parts: { backend } }: Engine,
  run: HeldRun,
  execution: Execution,
  park: Park,
): Promise<DriveEnd> {
  if (execution.opening !== undefined && !(await execution.opening.isOpened())) return { state: 'lost' }
  const retire = execution.takeRetired()
  if (retire.length === 0) return { state: 'parked', park }
  const save = execution.takeUnsaved()
  const { holder } = execution.facts
  const answer = await backend.step({ holder, runId: run.runId, ...(save !== undefined && { save }), retire })
  return answer.status === 'ok' ? { state: 'parked', park } : { state: 'lost' }
}

function endedByHandler(end: EndRun, runId: string, engine: Engine): RunEnd {
  try {
    const { state, value } = endOf(end, runId, engine.parts.limits)
    return { state, value }
  } catch (error) {
    return failed(error, runId) // the value given to finish cannot be carried
  }
}

function failed(thrown: unknown, runId: string): { readonly state: 'failed'; readonly value: Uint8Array } {
  const { error, isFromHandler } = originOf(thrown)
  return {
    state: 'failed',
    value: encodeFailure(taskError(error, isFromHandler, { task: runId, path: '', errors: 1 })),
  }
}

/** The error of a run that took too long. */
const runTimeout = (runId: string, timeoutMs: number | undefined): GraflowError =>
  new GraflowError(
    'RUN_TIMEOUT',
    `run ${runId} took longer than its timeoutMs${timeoutMs === undefined ? '' : ` of ${timeoutMs}`}; what was in flight was withdrawn`,
    {
      details: { runId, ...(timeoutMs !== undefined && { timeoutMs }) },
    },
  )

const driversLost = (runId: string): GraflowError =>
  new GraflowError('BRANCH_DEAD', `run ${runId} is dead: the workers that drove it were lost too often`, {
    details: { runId },
  })

/** What a run that has ended gives: its result, or the error it ended with. */
export function outcomeOfRun({
  runId,
  state,
  value = EMPTY_BYTES,
  timeoutMs,
}: Pick<RunRecord, 'runId' | 'state' | 'value' | 'timeoutMs'>):
  | { readonly value: unknown }
  | { readonly error: GraflowError } {
  if (state === 'completed') return { value: decode(value) }
  // only a deadline, or the loss of too many drivers, ends a run without saying more
  if (value.length === 0) return { error: timeoutMs === undefined ? driversLost(runId) : runTimeout(runId, timeoutMs) }
  const error = decode(value)
  return {
    error:
      error instanceof GraflowError
        ? error
        : new GraflowError('INTEGRITY', `the error of run ${runId} cannot be read`, { cause: error }),
  }
}

/** Whether the run is over, and its record says how. */
export const isEnded = (record: RunRecord): record is RunRecord & { readonly state: EndState } =>
  record.state === 'completed' || record.state === 'failed' || record.state === 'cancelled'
