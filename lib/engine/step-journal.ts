/**
 * What a driver has done of its run: its steps, with when each was started last and how it ended. A record is written with the outputs that the
 * driver saves anyway, as an output at a mark, so a step costs no call of its own; a later driver restores it, and any process can read it. Kept
 * are the first and the last hundred. Hides where records lie and how they are written.
 */
import { progressMark } from '../backend/kept.js'
import { decode, encode, encodeFailure } from '../values/codec.js'
import { GraflowError } from '../errors.js'

/**
 * What a step does: `retrying` waits for its next start; `interrupted`: its driver is gone, and the next one starts it again. `cancelled`: its run
 * ended meanwhile.
 */
export type StepState = 'running' | 'retrying' | 'succeeded' | 'failed' | 'skipped' | 'cancelled' | 'interrupted'

/** A step. Times are milliseconds since the epoch, by the clock of the driver. */
export interface StepRecord {
  /** Steps that the run had begun before. */
  readonly number: number
  readonly path: string
  readonly task: string
  readonly state: StepState
  /** 0: a person has decided it, and it was never started. */
  readonly attempt: number
  readonly startedAt: number
  readonly endedAt: number | undefined
  /** An error record. */
  readonly error: Uint8Array | undefined
}

/** Of the first steps, and of the last. */
const MOST_EACH = 100
/** No path of a node begins with a slash; what has `/!` in it is no result. */
const MARK = '/!s'
const PROGRESS = progressMark('')
/** Written behind this, a value takes the place of the one before. */
const REPLACING = '!'
const STATES: readonly StepState[] = ['running', 'retrying', 'succeeded', 'failed', 'skipped']
const VERSION = 1
/** The run has the whole of the error that it failed with: a step has no more than this of it. */
const MOST_ERROR_BYTES = 4 * 1024

/** Where records may lie. */
export const STEP_MARKS: readonly string[] = Object.freeze(
  Array.from({ length: 2 * MOST_EACH }, (_, slot) => `${MARK}${slot}`),
)

const isStepMark = (path: string): boolean => path.startsWith(MARK)

/** Whether a saved path holds no output, but what people see of the run: its steps, or how far its handlers are. */
export const isNoted = (path: string): boolean => isStepMark(path) || path.startsWith(PROGRESS)

const slotOf = (number: number): number =>
  number < MOST_EACH ? number : MOST_EACH + ((number - MOST_EACH) % MOST_EACH)

const isOpen = ({ state }: StepRecord): boolean => state === 'running' || state === 'retrying'

/** The steps of one run, in its driver. */
export class StepJournal {
  readonly #now: () => number
  readonly #slots = new Map<number, StepRecord>()
  readonly #byPath = new Map<string, StepRecord>()
  readonly #dirty = new Set<number>()
  #next = 0

  /** @param now milliseconds since the epoch */
  constructor(now: () => number) {
    this.#now = now
  }

  /** What drivers before have written; other outputs are passed over. */
  restore(outputs: Iterable<readonly [path: string, output: Uint8Array]>): void {
    for (const record of stepsIn(outputs)) {
      this.#put(record)
      this.#next = Math.max(this.#next, record.number + 1)
    }
  }

  started(path: string, task: string, attempt: number): void {
    this.#note({ path, task, state: 'running', attempt, startedAt: this.#now(), endedAt: undefined, error: undefined })
  }

  /** The start before ended in an error, and another follows. */
  retrying(path: string, error: Error): void {
    this.#end(path, 'retrying', error)
  }

  ended(path: string, state: 'succeeded' | 'failed', error?: Error): void {
    this.#end(path, state, error)
  }

  /** A person has decided it, or what it would get does not fit: it is over without a start. */
  decided(path: string, task: string, state: 'succeeded' | 'failed' | 'skipped', error?: Error): void {
    const at = this.#now()
    const { attempt = 0, startedAt = at } = this.#byPath.get(path) ?? {}
    const record = error === undefined ? undefined : bytesOf(error)
    this.#note({ path, task, state, attempt, startedAt, endedAt: at, error: record })
  }

  /** In order. */
  get steps(): readonly StepRecord[] {
    return inOrder(this.#slots.values())
  }

  /** Whether something is to be written. */
  get hasUnwritten(): boolean {
    return this.#dirty.size > 0
  }

  /** What is to be written, as paths and values of a save; from now on it counts as written. */
  *takeUnwritten(): Generator<readonly [path: string, value: Uint8Array]> {
    for (const slot of this.#dirty) {
      const record = this.#slots.get(slot)
      if (record !== undefined) yield [`${REPLACING}${MARK}${slot}`, written(record)]
    }
    this.#dirty.clear()
  }

  /** A save that carried something did not happen. False where the path is not one of these. */
  putBack(written: string): boolean {
    if (!written.startsWith(`${REPLACING}${MARK}`)) return false
    this.#dirty.add(Number(written.slice(REPLACING.length + MARK.length)))
    return true
  }

  #end(path: string, state: 'retrying' | 'succeeded' | 'failed', error: Error | undefined): void {
    const known = this.#byPath.get(path)
    if (known === undefined) return
    this.#note({ ...known, state, endedAt: this.#now(), error: error === undefined ? undefined : bytesOf(error) })
  }

  /** A step that starts again keeps its place. */
  #note(record: Omit<StepRecord, 'number'>): void {
    const number = this.#byPath.get(record.path)?.number ?? this.#next++
    this.#put({ ...record, number })
    this.#dirty.add(slotOf(number))
  }

  #put(record: StepRecord): void {
    const slot = slotOf(record.number)
    const before = this.#slots.get(slot)
    if (before !== undefined && before.path !== record.path) this.#byPath.delete(before.path)
    this.#slots.set(slot, record)
    this.#byPath.set(record.path, record)
  }
}

/** The records among outputs, in order. Those that a newer release wrote in another way are passed over. */
export const stepsIn = (outputs: Iterable<readonly [path: string, output: Uint8Array]>): readonly StepRecord[] =>
  inOrder(
    [...outputs].flatMap(([path, output]) => {
      const record = isStepMark(path) ? recordIn(output) : undefined
      return record === undefined ? [] : [record]
    }),
  )

/** Marks of steps that are forgotten with their outputs. */
export const marksNaming = (
  outputs: Iterable<readonly [path: string, output: Uint8Array]>,
  isSo: (path: string) => boolean,
): string[] => stepsIn(outputs).flatMap(({ number, path }) => (isSo(path) ? [`${MARK}${slotOf(number)}`] : []))

/** How many steps the run has begun, and how many of them are over: those that are left out are; an interrupted one starts again. */
export function countSteps(steps: readonly StepRecord[]): { readonly done: number; readonly total: number } {
  const last = steps.at(-1)
  const total = last === undefined || last.number < 2 * MOST_EACH ? steps.length : last.number + 1
  return { done: total - steps.filter((step) => isOpen(step) || step.state === 'interrupted').length, total }
}

/**
 * A step as it is seen in a run that is over, or that nobody drives.
 * @param state of the run
 */
export function seenIn(record: StepRecord, state: string): StepRecord {
  if (!isOpen(record)) return record
  if (state === 'completed' || state === 'failed' || state === 'cancelled') return { ...record, state: 'cancelled' }
  return state === 'pending' || state === 'abandoned' ? { ...record, state: 'interrupted' } : record
}

const inOrder = (records: Iterable<StepRecord>): readonly StepRecord[] =>
  [...records].sort((a, b) => a.number - b.number)

const written = ({ number, path, task, state, attempt, startedAt, endedAt, error }: StepRecord): Uint8Array =>
  encode([
    ...[VERSION, number, path, task, STATES.indexOf(state), attempt, startedAt],
    ...[endedAt === undefined ? null : endedAt - startedAt, error ?? null],
  ])

function recordIn(output: Uint8Array): StepRecord | undefined {
  let fields: unknown
  try {
    fields = decode(output)
  } catch {
    return undefined
  }
  if (!Array.isArray(fields) || fields[0] !== VERSION) return undefined
  const [, number, path, task, at, attempt, startedAt, tookMs, error] = fields as readonly unknown[]
  const state = typeof at === 'number' ? STATES[at] : undefined
  if (typeof number !== 'number' || typeof path !== 'string' || typeof task !== 'string' || state === undefined)
    return undefined
  return {
    ...{ number, path, task, state, attempt: Number(attempt), startedAt: Number(startedAt) },
    endedAt: typeof tookMs === 'number' ? Number(startedAt) + tookMs : undefined,
    error: error instanceof Uint8Array ? error : undefined,
  }
}

function bytesOf(error: Error): Uint8Array {
  const bytes = encodeFailure(error)
  if (bytes.length <= MOST_ERROR_BYTES) return bytes
  const [code, details] = error instanceof GraflowError ? [error.code, placeIn(error)] : (['TASK_FAILED', {}] as const)
  const short = new GraflowError(code, beginningOf(error.message), { details })
  short.stack = beginningOf(error.stack ?? '')
  return encodeFailure(short)
}

/** Without half a letter at its end. */
const beginningOf = (text: string): string =>
  new TextDecoder().decode(Buffer.from(text).subarray(0, MOST_ERROR_BYTES / 4), { stream: true })

const placeIn = ({ details: { task, path, attempts } }: GraflowError): Readonly<Record<string, unknown>> => ({
  ...{ task, path, attempts },
})
