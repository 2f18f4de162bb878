/** Which grants this process has in flight, by group. Says when the first has arrived and the last is over. */
import type { GrantInFlight } from './grant-in-flight.js'

const NONE: ReadonlySet<GrantInFlight> = new Set()

export class InFlight {
  readonly #byGroup = new Map<string, Set<GrantInFlight>>()
  readonly #onBusy: ((isBusy: boolean) => void) | undefined

  constructor(onBusy?: (isBusy: boolean) => void) {
    this.#onBusy = onBusy
  }

  get isEmpty(): boolean {
    return this.#byGroup.size === 0
  }

  /** Branches that are started and not over. */
  get started(): number {
    let count = 0
    for (const grant of this.all()) count += grant.left - grant.unstarted
    return count
  }

  /** How many of each task those are. */
  get tasks(): ReadonlyMap<string, number> {
    const tasks = new Map<string, number>()
    for (const grant of this.all()) {
      for (const [k, branch] of grant.branches.entries()) {
        if (branch === undefined) continue
        const task = grant.labelOf(grant.grant.indexes[k] ?? 0) ?? grant.prepared.branch(k).label
        tasks.set(task, (tasks.get(task) ?? 0) + 1)
      }
    }
    return tasks
  }

  *all(): Iterable<GrantInFlight> {
    for (const grants of this.#byGroup.values()) yield* grants
  }

  of(gid: string): ReadonlySet<GrantInFlight> {
    return this.#byGroup.get(gid) ?? NONE
  }

  add(grant: GrantInFlight): void {
    const { gid } = grant.grant.spec
    const wasEmpty = this.isEmpty
    const grants = this.#byGroup.get(gid) ?? new Set()
    this.#byGroup.set(gid, grants.add(grant))
    if (wasEmpty) this.#onBusy?.(true)
  }

  /** Forgets the grant if all its branches are over. */
  forgetIfOver(grant: GrantInFlight): void {
    if (grant.left > 0) return
    const { gid } = grant.grant.spec
    const grants = this.#byGroup.get(gid)
    grants?.delete(grant)
    if (grants?.size !== 0) return
    this.#byGroup.delete(gid)
    if (this.isEmpty) this.#onBusy?.(false)
  }
}
