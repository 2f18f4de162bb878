/**
 * One start of one branch in this process: who holds it, what it has finished, why it should stop. A run's driver is such a branch too,
 * the one of the run's root group.
 */
import type { Holder, RunTerms, SavedValues, StepAnswer, StepRequest, Token } from '../backend/backend.js'
import type { Span } from '../events.js'
import type { Graph } from '../graph/graph.js'
import { isLabelMark } from './branch-labels.js'
import { Cancellation, Unreported } from './cancellation.js'
import { checksumsOf, isChecksums, type CheckedOutputs, type Output } from './checksums.js'
import { Parking } from './parking.js'
import { isNoted, type StepJournal } from './step-journal.js'
import { ValueWriter } from '../values/value-lists.js'
import type { Code } from './registry.js'

/** The right to occupy a worker. A branch that waits at an inner barrier gives it back for that time. */
export interface Slot {
  suspend(): void
  resume(): Promise<void>
  /** While it is suspended: it waits for nothing but time or a signal, which may take days. */
  waitsOnly?(): void
}

/** A driver's own steps need no slot. */
export const NO_SLOT: Slot = Object.freeze({ suspend: () => undefined, resume: () => Promise.resolve() })

/** A graph, the code behind it, and the path in the run where its root stands (`''`: it is the run's own graph). */
export interface GraphInUse {
  readonly hash: string
  readonly graph: Graph
  readonly code: Code
  readonly base: string
  /** The number of the innermost each's item around that path, from 0; absent where there is none, as for the run's own graph. */
  readonly item?: number
  /** The graph of the handler that brought this one, and the handler's path in it; absent where that was in another process. */
  readonly outer?: { readonly use: GraphInUse; readonly path: string }
}

/** What a start is known by. */
export interface ExecutionFacts {
  readonly runId: string
  readonly holder: Holder
  readonly fence: number
  readonly errors: number
  readonly losses: number
  /** Whether an earlier holder of the branch reported its task to the store. */
  readonly hasTask: boolean
  /** Whether it may have been started before, elsewhere. */
  readonly isAgain?: boolean
  /** Groups above; 0 for a driver. */
  readonly depth: number
  /** Reserved capabilities that whatever it dispatches requires; absent: none. */
  readonly requires?: readonly string[]
  /** What the start of the run asked for all of its work. */
  readonly run?: RunTerms | undefined
  readonly workerId: string
  /** What people call its branch by, where the each that dispatched it labels these. */
  readonly itemLabel?: string | undefined
  /** Where its branch was taken from; absent of a driver. */
  readonly queue?: string
}

/** A run whose opening need not be sent yet: its first group can go with it, in one call. */
export interface Opening {
  /** `listener` gets the run's token, before anything else here resolves. */
  onToken(listener: (token: Token) => void): void
  /** Answers the run's first step; undefined when that is to be taken as any other, now that the run is opened. */
  step(step: Omit<StepRequest, 'holder' | 'runId'>): Promise<StepAnswer | undefined>
  /** Opens the run, if its first step has not; false when this process does not drive it. Never rejects. */
  isOpened(): Promise<boolean>
}

const NONE: readonly string[] = Object.freeze([])
/** Before a path: the store replaces what it has there. */
const REPLACING = '!'

/** A start, while it lasts. */
export class Execution {
  readonly facts: ExecutionFacts
  readonly cancel = new Cancellation()
  /** Of a driver whose run may not be opened yet. */
  readonly opening: Opening | undefined
  /** Of this start, where it is traced: ends with it. */
  span: Span | undefined
  /** Of a driver: what it has done of its run. */
  steps: StepJournal | undefined
  /** Of a driver: its run may end with the barrier of its last group (`GroupSpec.endsRun`); and has ended so. */
  mayEndAtBarrier = false
  hasEndedAtBarrier = false
  readonly #slot: Slot
  #saved: Map<string, Uint8Array> | undefined
  /** Where the store has something else than what was saved. */
  #damaged: ReadonlySet<string> | undefined
  /** The run's input, where no write has vouched for it yet. */
  #input: Uint8Array | undefined
  #unsaved: Map<string, Uint8Array> | undefined
  #retired: string[] | undefined
  #forks: Map<string, { number: number; readonly errors: number }> | undefined
  #met: string[] | undefined
  #over: Cancellation | 'over' | undefined
  #waits = 0
  /** Of those, waits of a handler for time or a signal. */
  #waitsOnly = 0
  #hasSlot = true
  #isInHand = false
  #step = 0
  #isTakenUp = false
  #mayHaveDispatched = false
  #isFresh = true

  constructor(facts: ExecutionFacts, slot: Slot, opening?: Opening) {
    this.facts = facts
    this.opening = opening
    this.#slot = slot
  }

  /** What an earlier start of this branch finished: it is not run again. */
  restore({ outputs, faults, inputSum }: CheckedOutputs): void {
    this.#isTakenUp = true
    this.#mayHaveDispatched = true
    this.#saved = new Map([...outputs].filter(([path]) => !isNoted(path) && !isLabelMark(path)))
    this.steps?.restore(outputs)
    if (faults.length > 0) this.#damaged = new Set(faults.map(({ path }) => path))
    if (inputSum !== undefined) this.#input = undefined
  }

  /** The first write that saves something vouches for the run's input, too. */
  vouchFor(input: Uint8Array): void {
    this.#input = input
  }

  /** Whether an earlier start of this branch may have begun something. */
  get isTakenUp(): boolean {
    return this.#isTakenUp
  }

  /** Whether the task that begins now may be dispatched already, by an earlier start. Only of the first one: what follows it was not reached. */
  mayBeDispatched(): boolean {
    const may = this.#mayHaveDispatched
    this.#mayHaveDispatched = false
    return may
  }

  /** The output of a node that this or an earlier start finished. */
  savedOutput(path: string): Uint8Array | undefined {
    return this.#unsaved?.get(path) ?? this.#saved?.get(path)
  }

  /** All of them. */
  *savedOutputs(): Generator<readonly [path: string, output: Uint8Array]> {
    if (this.#saved !== undefined) yield* this.#saved
    if (this.#unsaved !== undefined) yield* this.#unsaved
  }

  /** Keeps an output for the next write. */
  save(path: string, output: Uint8Array): void {
    this.#unsaved ??= new Map()
    this.#unsaved.set(path, output)
  }

  /** Whether the next write carries it. */
  isUnsaved(path: string): boolean {
    return this.#unsaved?.has(path) === true
  }

  /** Whether the store counts something for a task of this branch. */
  get isInHand(): boolean {
    return this.#isInHand
  }

  setInHand(is: boolean): void {
    this.#isInHand = is
  }

  /** A driver has come to this step of its run's graph, from 0. The step that it had come to before. */
  reach(step: number): number {
    const before = this.#step
    this.#step = Math.max(before, step)
    return before
  }

  /** Whether nothing was begun before; it is no more from the first call on. */
  begin(): boolean {
    const isFirst = this.#isFresh
    this.#isFresh = false
    return isFirst
  }

  /**
   * What the next write carries; from then on it counts as saved.
   * @param isLast nobody goes on from it: then nothing vouches for it
   */
  takeUnsaved(isLast = false): SavedValues | undefined {
    if (this.#unsaved === undefined) return this.takeSteps()
    const writer = new ValueWriter()
    const paths: string[] = []
    const fresh: Output[] = []
    this.#saved ??= new Map()
    for (const [path, output] of this.#unsaved) {
      writer.push(output)
      paths.push(this.#damaged?.has(path) === true ? `${REPLACING}${path}` : path)
      if (!this.#saved.has(path)) fresh.push([path, output])
      this.#saved.set(path, output)
    }
    this.#unsaved = undefined
    if (!isLast && fresh.length > 0) {
      const [path, checksums] = checksumsOf(
        fresh,
        this.#input,
        this.#damaged === undefined ? '' : `${this.facts.fence}`,
      )
      this.#input = undefined
      writer.push(checksums)
      paths.push(path)
    }
    this.#addSteps(paths, writer)
    return { paths, values: writer.take() }
  }

  /** Of what the next write carries, what it says of the steps. */
  takeSteps(): SavedValues | undefined {
    if (this.steps?.hasUnwritten !== true) return undefined
    const writer = new ValueWriter()
    const paths: string[] = []
    this.#addSteps(paths, writer)
    return { paths, values: writer.take() }
  }

  #addSteps(paths: string[], writer: ValueWriter): void {
    if (this.steps?.hasUnwritten !== true) return
    for (const [path, value] of this.steps.takeUnwritten()) {
      writer.push(value)
      paths.push(path)
    }
  }

  /** The write did not happen: the next one carries it. */
  putBack({ paths, values }: SavedValues): void {
    for (const [i, written] of paths.entries()) {
      if (this.steps?.putBack(written) === true) continue
      const path = written.startsWith(REPLACING) ? written.slice(REPLACING.length) : written
      if (isChecksums(path)) continue
      this.#saved?.delete(path)
      this.save(path, values.bytes.subarray(values.ends[i - 1] ?? 0, values.ends[i]))
    }
  }

  /** A group whose outcomes were read: the next write deletes its inputs. */
  retire(gid: string): void {
    this.#retired ??= []
    this.#retired.push(gid)
  }

  takeRetired(): readonly string[] {
    const retired = this.#retired ?? NONE
    this.#retired = undefined
    return retired
  }

  /**
   * The next fork of the handler at `path`: its number, from 1, the same in every attempt, so that its group is met again; and how many
   * starts of the handler ended in an error before.
   */
  nextFork(path: string): { readonly number: number; readonly errors: number } {
    this.#forks ??= new Map()
    const { number, errors } = this.#forks.get(path) ?? { number: 0, errors: this.facts.errors }
    const fork = { number: number + 1, errors }
    this.#forks.set(path, fork)
    return fork
  }

  /** How many starts of the handler at `path` ended in an error before this one. */
  errorsAt(path: string): number {
    return this.#forks?.get(path)?.errors ?? this.facts.errors
  }

  /** A new attempt of the handler at `path` counts its forks from the start. */
  restartForks(path: string, errors: number): void {
    if (errors === 0 && this.#forks === undefined) return
    this.#forks ??= new Map()
    this.#forks.set(path, { number: 0, errors })
  }

  /** The group at `path` was released before it was dispatched: an earlier attempt did it. */
  meet(path: string): void {
    this.#met ??= []
    this.#met.push(path)
  }

  /** Whether a fork at `path` was such a group, or began with one. */
  hasMet(path: string): boolean {
    return this.#met?.some((met) => met === path || met === `${path}/0`) === true
  }

  /** The start has ended: what still waits on its behalf, such as a fork that its handler did not wait for, stops waiting. */
  end(): void {
    if (typeof this.#over === 'object') this.#over.abort(() => isOver(this.facts))
    else this.#over = 'over'
    this.span?.end()
  }

  get hasEnded(): boolean {
    return this.#over === 'over' || (typeof this.#over === 'object' && this.#over.reason !== undefined)
  }

  /** Aborted by `end`. */
  get over(): Cancellation {
    if (typeof this.#over === 'object') return this.#over
    const over = new Cancellation()
    if (this.#over === 'over') over.abort(() => isOver(this.facts))
    this.#over = over
    return over
  }

  /** Waits without occupying the worker. Several waits at once give back one slot. */
  async withoutSlot<T>(wait: () => Promise<T>): Promise<T> {
    this.#waits += 1
    if (this.#waits === 1) this.#suspend()
    let isParking = false
    try {
      return await wait()
    } catch (error) {
      isParking = error instanceof Parking // it needs no slot to be given back
      throw error
    } finally {
      this.#waits -= 1
      if (!isParking && !this.#isWaiting()) {
        await this.#slot.resume()
        this.#hasSlot = true
        // Another wait may have begun while there was no slot to take: it would keep this one for as long as it lasts.
        if (this.#isWaiting()) this.#suspend()
      }
    }
  }

  /** The same, for time or a signal. */
  async waitingOnly<T>(wait: () => Promise<T>): Promise<T> {
    this.#waitsOnly += 1
    try {
      return await this.withoutSlot(() => {
        if (this.isWaitingOnly) this.#slot.waitsOnly?.()
        return wait()
      })
    } finally {
      this.#waitsOnly -= 1
    }
  }

  /** Whether its handler waits for nothing but time or signals. */
  get isWaitingOnly(): boolean {
    return this.#waitsOnly > 0 && this.#waits === this.#waitsOnly
  }

  /** Whether it has its slot: it has none while it waits, and until it has got one again. */
  get hasSlot(): boolean {
    return this.#hasSlot
  }

  #suspend(): void {
    this.#hasSlot = false
    this.#slot.suspend()
  }

  #isWaiting(): boolean {
    return this.#waits > 0
  }
}

const isOver = ({ runId }: ExecutionFacts): Unreported =>
  new Unreported(
    `the branch of run ${runId} is over: its ctx works only while its handler runs, so await what it starts`,
  )

/** Why the store refused a write of this start: what stopped it, or that it has ended, or that another process holds its branch. */
export function refusalOf({ cancel, hasEnded, facts }: Execution): Error {
  if (cancel.reason !== undefined) return cancel.reason
  return hasEnded ? isOver(facts) : new Unreported(`the branch of run ${facts.runId} is held by another process now`)
}

/** Where the interpreter is: a start, a graph in it, and why to stop here. */
export interface Frame {
  readonly execution: Execution
  readonly use: GraphInUse
  readonly cancel: Cancellation
  /** A handler waits for what goes on here: its frame cannot be given back and made again. */
  readonly isHeld?: boolean
}

/** The path in the run of a path in a graph in use. */
export const runPathOf = (use: GraphInUse, path: string): string =>
  use.base === '' ? path : path === '' ? use.base : `${use.base}/${path}`
