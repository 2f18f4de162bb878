/**
 * Finds runs that stand still: those in which nothing was opened, granted or settled for so long, under one driver. Hides how it compares what a
 * run was with what it is. Runs that are paused, wait, or have no driver are left alone, and those in which a retry is delayed.
 */
import type { GroupStatus, Inspector, ListedRun } from '../backend/backend.js'
import { GraflowError } from '../errors.js'
import { elapsedMs, type Clock } from '../time.js'
import { encodeFailure } from '../values/codec.js'

export interface StandstillsOptions {
  readonly inspect: Pick<Inspector, 'runs' | 'groups' | 'openWaits'>
  readonly clock: Clock
  readonly stuckAfterMs: number
}

/** A run that stood still for too long, and what it fails with. */
export interface Standstill {
  readonly runId: string
  readonly reason: string
  readonly value: Uint8Array
}

/** Runs that are looked at; of more the newest. */
const MOST_RUNS = 1_000

interface Seen {
  readonly facts: string
  readonly since: number
}

export class Standstills {
  readonly #options: StandstillsOptions
  #seen: ReadonlyMap<string, Seen> = new Map()

  constructor(options: StandstillsOptions) {
    this.#options = options
  }

  /** Looks at all runs that are driven; answers those that have not changed for `stuckAfterMs`, and for which nothing is due. */
  async look(): Promise<readonly Standstill[]> {
    const { inspect, clock, stuckAfterMs } = this.#options
    const seen = new Map<string, Seen>()
    const found: Standstill[] = []
    for (const run of (await inspect.runs({ states: ['running'], limit: MOST_RUNS })).items) {
      const groups = await inspect.groups(run.runId)
      const facts = factsOf(run, groups)
      const before = this.#seen.get(run.runId)
      const known = before?.facts === facts ? before : { facts, since: elapsedMs(clock) }
      seen.set(run.runId, known)
      if (elapsedMs(clock) - known.since >= stuckAfterMs && !(await this.#isExpecting(run, groups)))
        found.push(stuck(run.runId, stuckAfterMs))
    }
    this.#seen = seen
    return found
  }

  /** A retry is delayed, or a handler waits for its time or for people: that is no standstill. */
  async #isExpecting({ runId }: ListedRun, groups: readonly GroupStatus[]): Promise<boolean> {
    return groups.some(({ delayed }) => delayed > 0) || (await this.#options.inspect.openWaits(runId)).length > 0
  }
}

const factsOf = ({ driver, startedAt }: ListedRun, groups: readonly GroupStatus[]): string =>
  JSON.stringify([driver, startedAt, groups.map(({ openedAt: _, ...counts }) => Object.values(counts))])

function stuck(runId: string, stuckAfterMs: number): Standstill {
  const reason = `nothing happened in it for ${stuckAfterMs} ms (stuckAfterMs)`
  const error = new GraflowError('RUN_STUCK', `run ${runId} stood still: ${reason}`, {
    details: { runId, stuckAfterMs },
  })
  return { runId, reason, value: encodeFailure(error) }
}
