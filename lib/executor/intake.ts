/**
 * Hides what becomes of a grant on its arrival: its graph is found and its branches wait for slots; a submitted run is driven; a grant that
 * cannot be started fails; one that was withdrawn on its way is forgotten.
 */
import { describeError } from '../describe.js'
import type { Grant } from '../backend/backend.js'
import type { PreparedGrant } from '../engine/prepared-grant.js'
import { GraflowError } from '../errors.js'
import { encodeFailure } from '../values/codec.js'
import { ValueWriter } from '../values/value-lists.js'
import type { ExecutorOptions } from './executor-options.js'
import { GrantInFlight } from './grant-in-flight.js'
import type { InFlight } from './in-flight.js'
import type { PendingGrants } from './pending-grants.js'
import type { Phase } from './phase.js'
import type { QueueShares } from './queue-shares.js'
import type { QueueShare } from './slots.js'
import type { Starter } from './starter.js'
import type { Turn } from './turn.js'
import type { WaitingRuns } from './waiting-runs.js'

type Options = Pick<
  ExecutorOptions,
  'backend' | 'engine' | 'emitter' | 'announcer' | 'session' | 'driveRun' | 'runsHoldSlots' | 'onError'
>

interface Parts {
  readonly phase: Phase
  readonly turn: Turn
  readonly runs: WaitingRuns
  readonly shares: QueueShares
  readonly pending: PendingGrants
  readonly inFlight: InFlight
  readonly starter: Starter
}

export class Intake {
  readonly #options: Options
  readonly #parts: Parts
  #preparing = 0

  constructor(options: Options, parts: Parts) {
    this.#options = options
    this.#parts = parts
  }

  /** Branches that wait for their graph. */
  get preparing(): number {
    return this.#preparing
  }

  /** A grant has arrived: its branches are started, or wait. */
  take(grant: Grant): void {
    const { engine, announcer } = this.#options
    const { shares, pending, turn } = this.#parts
    const arrivedAt = turn.look()
    this.#emitWaited(grant)
    if (grant.isWatched !== undefined) announcer?.learn(grant.spec.runId, grant.isWatched)
    const share = shares.of(grant.spec.queue)
    if (share !== undefined) share.held += grant.indexes.length
    if (grant.spec.depth === 0) {
      this.#takeRuns(grant, share)
      return
    }
    try {
      const prepared = engine.prepare(grant)
      if (prepared instanceof Promise) this.#admitLater(grant, prepared, share, arrivedAt)
      else this.#admit(prepared, share, arrivedAt)
    } catch (error) {
      pending.begin()
      void this.#refuse(grant, share, error).finally(() => pending.end())
    }
  }

  /** Not for branches that were started before: it is unknown since when they were ready. */
  #emitWaited({ waitedMs, errors, losses }: Grant): void {
    const { emitter } = this.#options
    if (waitedMs === undefined || !emitter.has('branches:granted')) return
    let count = 0
    for (let k = 0; k < errors.length; k += 1) if (errors[k] === 0 && losses[k] === 0) count += 1
    if (count > 0) emitter.emit('branches:granted', { count, waitedMs })
  }

  /** Submitted runs, to be driven. */
  #takeRuns(grant: Grant, share: QueueShare | undefined): void {
    const { driveRun, runsHoldSlots = false } = this.#options
    const { phase, pending, runs, turn } = this.#parts
    if (pending.isWithdrawn(grant.spec.gid, grant.token)) {
      if (share !== undefined) share.held -= grant.indexes.length
      turn.plan()
      return
    }
    for (let k = 0; k < grant.indexes.length; k += 1) {
      if (runsHoldSlots) runs.take(grant, k, share)
      else {
        if (share !== undefined) share.held -= 1
        driveRun(grant, k)
      }
    }
    if (phase.current !== 'taking') runs.releaseAll()
  }

  #admitLater(grant: Grant, prepared: Promise<PreparedGrant>, share: QueueShare | undefined, arrivedAt: number): void {
    const { pending, turn } = this.#parts
    pending.begin()
    this.#preparing += grant.indexes.length
    void prepared
      .then(
        (known) => this.#admit(known, share, arrivedAt),
        (error: unknown) => this.#refuse(grant, share, error),
      )
      .finally(() => {
        this.#preparing -= grant.indexes.length
        pending.end()
        turn.plan()
      })
  }

  #admit(prepared: PreparedGrant, share: QueueShare | undefined, arrivedAt: number): void {
    const { phase, turn, pending, inFlight, starter } = this.#parts
    const grant = new GrantInFlight(prepared, share, arrivedAt)
    const { token, spec } = grant.grant
    if (pending.isWithdrawn(spec.gid, token)) {
      if (share !== undefined) share.held -= grant.left
      turn.plan()
      return
    }
    inFlight.add(grant)
    starter.add(grant)
    if (phase.current === 'taking') starter.startWaiting()
    else starter.releaseAll()
  }

  /** The graph of the grant is gone or broken: every branch fails with the reason, so that no barrier waits for it. */
  async #refuse(grant: Grant, share: QueueShare | undefined, error: unknown): Promise<void> {
    const { backend, session, onError } = this.#options
    const failure = encodeFailure(refusalOf(grant, error))
    const { itemsPerCall } = backend.limits
    try {
      for (let from = 0; from < grant.indexes.length; from += itemsPerCall) {
        const indexes = grant.indexes.subarray(from, from + itemsPerCall)
        const kinds = Array.from(indexes, () => 'failed' as const)
        const values = new ValueWriter()
        for (const _ of indexes) values.push(failure)
        const range = { gid: grant.spec.gid, token: grant.token, indexes, kinds, values: values.take() }
        await backend.settle({ session, ranges: [range] })
      }
    } catch (thrown) {
      onError(thrown)
    } finally {
      if (share !== undefined) share.held -= grant.indexes.length
      this.#parts.turn.plan()
    }
  }
}

const refusalOf = ({ spec }: Grant, error: unknown): GraflowError =>
  error instanceof GraflowError
    ? error
    : new GraflowError('INTERNAL', `the grant for ${spec.gid} could not be started: ${describeError(error)}`, {
        cause: error,
      })
