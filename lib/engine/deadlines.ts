/**
 * Deadlines of workflows inside a flow: absolute, whoever goes on with the work. By when it must be over is saved, by the store's clock, so that another
 * process that takes the branch over has what is left, and no more. Hides when that is worth a call: not of work that is over in a moment.
 */
import type { Backend } from '../backend/backend.js'
import { elapsedMs, type Clock } from '../time.js'
import { decode, encode } from '../values/codec.js'
import { EMPTY_BYTES } from '../values/packed-items.js'
import type { Execution, Frame } from './execution.js'
import { inTime } from './in-time.js'
import { Parking } from './parking.js'
import { overMark } from './wait-marks.js'

export interface DeadlinesOptions {
  readonly backend: Pick<Backend, 'step' | 'inspect'>
  readonly clock: Clock
}

export interface Deadline {
  /** Where it is saved (`deadlineMark`). */
  readonly place: string
  readonly timeoutMs: number
  /** Makes the error with which the work is aborted. */
  readonly late: () => Error
}

/** Work that takes longer is written down; where it is lost before that, its time begins anew. */
const NOTED_AFTER_MS = 100

/** What is known of work that may have been begun before. */
interface Begun {
  /** By the store's clock; undefined where it was not begun, or not for long. */
  readonly dueAt: number | undefined
  /** It was over in time, whatever it gave: who meets it again passes over what is finished. */
  readonly isOver: boolean
}

/** One a process. */
export class Deadlines {
  readonly #options: DeadlinesOptions

  constructor(options: DeadlinesOptions) {
    this.#options = options
  }

  /** Does the work in a frame that is aborted at its deadline. The time goes on while the branch is given back, or lost. */
  async keep<T>(frame: Frame, { place, timeoutMs, late }: Deadline, work: (inner: Frame) => Promise<T>): Promise<T> {
    const { clock, backend } = this.#options
    const { execution } = frame
    const { dueAt, isOver } = await this.#begun(execution, place)
    const leftMs = dueAt === undefined || isOver ? timeoutMs : dueAt - (await backend.inspect.now())
    if (leftMs <= 0) throw late()
    const startedAt = elapsedMs(clock)
    const stillMs = (): number => Math.ceil(leftMs - (elapsedMs(clock) - startedAt))
    const note = dueAt === undefined && !isOver ? this.#note(execution, place, stillMs) : undefined
    try {
      const output = await inTime(clock, frame, leftMs, late, work)
      if (!isOver) this.#over(execution, place, dueAt)
      return output
    } catch (error) {
      if (error instanceof Parking) {
        const ms = Math.max(1, stillMs())
        if (dueAt === undefined && execution.savedOutput(place) === undefined)
          execution.save(place, encode((await backend.inspect.now()) + ms))
        error.atLatest(ms)
      } else if (!isOver && stillMs() > 0 && frame.cancel.reason === undefined) this.#over(execution, place, dueAt)
      throw error
    } finally {
      note?.()
    }
  }

  async #begun(execution: Execution, place: string): Promise<Begun> {
    const places = [place, overMark(place)]
    const { runId, isAgain } = execution.facts
    // what is saved of a branch that is one task is read only where somebody asks
    const isUnread = !execution.isTakenUp && isAgain === true
    const [due, over] = isUnread
      ? await this.#options.backend.inspect.outputs(runId, places)
      : places.map((one) => execution.savedOutput(one))
    return { dueAt: due === undefined ? undefined : Number(decode(due)), isOver: over !== undefined }
  }

  /** Saves the deadline of work that takes long. Returns what ends that. */
  #note(execution: Execution, place: string, stillMs: () => number): () => void {
    const { backend, clock } = this.#options
    let isEnded = false
    const write = async (): Promise<void> => {
      const now = await backend.inspect.now()
      if (isEnded || execution.savedOutput(place) !== undefined) return
      execution.save(place, encode(now + stillMs()))
      await this.#write(execution)
    }
    // where it fails, the next call of the branch carries it, or finds out why not
    const disarm = clock.after(NOTED_AFTER_MS, () => void write().catch(() => undefined), true)
    return () => {
      isEnded = true
      disarm()
    }
  }

  /** It is over in time. Nothing else may be saved for long. */
  #over(execution: Execution, place: string, dueAt: number | undefined): void {
    if (dueAt === undefined && execution.savedOutput(place) === undefined) return
    const mark = overMark(place)
    execution.save(mark, EMPTY_BYTES)
    const write = (): void => {
      if (execution.isUnsaved(mark)) void this.#write(execution).catch(() => undefined)
    }
    this.#options.clock.after(NOTED_AFTER_MS, write, true)
  }

  async #write(execution: Execution): Promise<void> {
    if (execution.opening !== undefined && !(await execution.opening.isOpened())) return
    if (execution.hasEnded || execution.cancel.reason !== undefined) return
    const save = execution.takeUnsaved()
    if (save === undefined) return
    const { holder, runId } = execution.facts
    try {
      const { status } = await this.#options.backend.step({ holder, runId, save })
      if (status === 'backpressure') execution.putBack(save)
    } catch (error) {
      execution.putBack(save)
      throw error
    }
  }
}
