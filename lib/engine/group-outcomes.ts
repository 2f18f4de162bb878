/** Reads the outcomes of a released group, by the index of its branches. */
import type { OutcomeChunk, OutcomesPage } from '../backend/backend.js'
import { GraflowError } from '../errors.js'
import type { Outcome } from '../flow/types.js'
import { isSkippedByHand } from './by-hand.js'
import { named } from '../values/item-label.js'
import type { GroupPlan } from './group-plan.js'
import { arrayOf, type PackedValue } from '../values/packed-arrays.js'
import { outcomesOf } from '../values/packed-outcomes.js'
import { ValueReader } from '../values/value-lists.js'

/** The parts of a plan that outcomes and their errors need. */
export type OutcomesPlan = Pick<GroupPlan, 'memberOf' | 'pathOf' | 'label' | 'labelOf'> & {
  readonly spec: Pick<GroupPlan['spec'], 'size' | 'timeoutMs' | 'maxLosses'>
}

/** Outcomes of a released group, by index. Values are decoded once, and outcome objects made, only where a join wants them. */
export class GroupOutcomes {
  readonly #plan: OutcomesPlan
  readonly #statuses: Outcome<unknown>['status'][]
  readonly #values: unknown[]
  /** Not decoded yet. */
  #chunks: OutcomeChunk[] = []
  #hasSilent = false
  readonly succeeded: number[] = []
  /** By the store's clock. */
  releasedAt: number | undefined
  /** The group was closed before the run was retried. */
  isOld = false
  /** It was not released, but withdrawn with what is above it. */
  isWithdrawn = false
  /** The store has ended the run with the barrier: its driver need not. */
  hasEndedRun = false
  /** When the time of its group is over, by `elapsedMs`: it goes on from the first dispatch. Absent: it begins with this one. */
  deadlineAt: number | undefined
  #known = 0

  constructor(plan: OutcomesPlan) {
    this.#plan = plan
    this.#statuses = new Array<Outcome<unknown>['status']>(plan.spec.size)
    this.#values = new Array<unknown>(plan.spec.size)
  }

  /**
   * Adds a page; the last one says what was withdrawn.
   * @throws GraflowError INTEGRITY where the pages have not just one outcome for each branch: a barrier never passes with fewer
   */
  add(page: OutcomesPage): void {
    this.releasedAt ??= page.releasedAt
    if (page.hasEndedRun === true) this.hasEndedRun = true
    this.isWithdrawn = page.state === 'withdrawn'
    for (const chunk of page.chunks) {
      for (let i = 0; i < chunk.indexes.length; i += 1) {
        const index = chunk.indexes[i] as number // i is in range
        const kind = chunk.kinds[i] as Outcome<unknown>['status'] // runs in parallel
        this.#put(index, kind)
        if (kind === 'succeeded') this.succeeded.push(index)
        if (isSilent(chunk, i)) this.#hasSilent = true
      }
      this.#chunks.push(chunk)
    }
    page.withdrawn?.indexes.forEach((index, i) => {
      this.#put(index, page.withdrawn?.kinds[i] ?? 'cancelled')
    })
    if (page.withdrawn !== undefined && this.#known !== this.#statuses.length) throw this.#wrongCount()
  }

  #put(index: number, status: Outcome<unknown>['status']): void {
    if (index >= this.#statuses.length || this.#statuses[index] !== undefined) throw this.#wrongCount()
    this.#statuses[index] = status
    this.#known += 1
  }

  #wrongCount(): GraflowError {
    const fault = `expected one outcome for each of the ${this.#statuses.length} branches of ${this.#plan.label}`
    return new GraflowError('INTEGRITY', `${fault}, got others from the store`, {
      details: { group: this.#plan.label },
    })
  }

  /**
   * No worker could serve the group: its withdrawn branches that `isBlamed` fail with this error, the others stay withdrawn. If none is
   * blamed, all fail.
   */
  failWithdrawn(error: GraflowError, isBlamed: (index: number) => boolean): void {
    this.#decode()
    const withdrawn = [...this.#statuses.entries()].flatMap(([index, status]) =>
      status === 'skipped' || status === 'cancelled' ? [index] : [],
    )
    const blamed = withdrawn.filter(isBlamed)
    for (const index of blamed.length > 0 ? blamed : withdrawn) {
      this.#statuses[index] = 'failed'
      this.#values[index] = error
    }
  }

  /** In order of index, if every branch succeeded. */
  get values(): readonly unknown[] | undefined {
    if (this.succeeded.length < this.#values.length) return undefined
    this.#decode()
    return this.#values
  }

  /** The same as one packed array; undefined where its values cannot be put together as they are. @throws GraflowError INTEGRITY */
  get packed(): PackedValue | undefined {
    const isWhole = this.succeeded.length === this.#values.length && this.#chunks.length > 0 && !this.#hasSilent
    return isWhole ? arrayOf(this.#values.length, this.#chunks) : undefined
  }

  /** All outcomes as one packed list, in order of index; undefined where they cannot be put together as they are. @throws GraflowError INTEGRITY */
  get packedOutcomes(): PackedValue | undefined {
    const isWhole = this.#chunks.reduce((count, { indexes }) => count + indexes.length, 0) === this.#values.length
    return isWhole && this.#chunks.length > 0 && !this.#hasSilent
      ? outcomesOf(this.#values.length, this.#chunks)
      : undefined
  }

  #decode(): void {
    const chunks = this.#chunks
    this.#chunks = []
    for (const chunk of chunks) {
      const reader = new ValueReader(chunk.values)
      for (let i = 0; i < chunk.indexes.length; i += 1) {
        const index = chunk.indexes[i] as number // i is in range
        this.#values[index] = isSilent(chunk, i) ? undefined : reader.value(i)
      }
    }
  }

  get counts(): { readonly succeeded: number; readonly failed: number; readonly withdrawn: number } {
    const withdrawn = this.#statuses.reduce(
      (count, status) => count + (status === 'cancelled' || status === 'skipped' ? 1 : 0),
      0,
    )
    return {
      succeeded: this.succeeded.length,
      withdrawn,
      failed: this.#statuses.length - this.succeeded.length - withdrawn,
    }
  }

  outcomes(): Outcome<unknown>[] {
    this.#decode()
    return this.#statuses.map((status, index): Outcome<unknown> => {
      if (status === 'succeeded') return { status, value: this.#values[index] }
      const error = this.#errorOf(status, index)
      return { status: isSkippedByHand(error) ? 'skipped' : status, error }
    })
  }

  #errorOf(status: Exclude<Outcome<unknown>['status'], 'succeeded'>, index: number): GraflowError {
    const label = this.#plan.labelOf?.(index)
    const own = this.#plan.memberOf(index)
    const member = named(own, label)
    const path = this.#plan.pathOf(index)
    const details = { member: own, index, ...(label !== undefined && { label }), group: this.#plan.label }
    switch (status) {
      case 'failed': {
        const error = this.#values[index]
        if (error === undefined)
          return new GraflowError(
            'TIMEOUT',
            `${member} (at ${path}) ran longer than its timeoutMs of ${this.#plan.spec.timeoutMs}, and its worker did not say so`,
            { details: { ...details, path } },
          )
        return error instanceof GraflowError
          ? error
          : new GraflowError('INTEGRITY', `the error of ${member} cannot be read`, { cause: error, details })
      }
      case 'dead':
        if (this.#values[index] instanceof GraflowError) return this.#values[index]
        return new GraflowError(
          'BRANCH_DEAD',
          `${member} (at ${path}) is dead: its workers were lost more than ${this.#plan.spec.maxLosses} times`,
          { details: { ...details, path } },
        )
      case 'cancelled':
        return new GraflowError(
          'CANCELLED',
          `${member} was withdrawn while it ran, since its group was decided without it`,
          { details },
        )
      case 'skipped':
        return new GraflowError(
          'SKIPPED',
          `${member} was withdrawn before it started, since its group was decided without it`,
          { details },
        )
      default:
        return status satisfies never
    }
  }
}

/** A start that a sweep reclaimed after its deadline has failed without an error of its own. */
const isSilent = ({ values: { ends } }: OutcomeChunk, i: number): boolean => ends[i] === (ends[i - 1] ?? 0)
