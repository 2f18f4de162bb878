/**
 * What one session holds, and what it hears of it: the runs that this process drives, and its worker loop with the branches in it. A client
 * and a worker have one each.
 */
import type { Backend, Grant, Notice } from '../lib/backend/backend.js'
import { Dropped } from '../lib/engine/cancellation.js'
import { drive, isEnded, type Drive, type HeldRun } from '../lib/engine/driver.js'
import { cancelled, type Engine } from '../lib/engine/engine.js'
import { itemBytes } from '../lib/engine/packing.js'
import { GraflowError } from '../lib/errors.js'
import type { Emitter } from '../lib/events.js'
import type { WorkerLoop } from './worker-loop.js'

export interface HeldWorkParts {
  readonly backend: Backend
  readonly engine: Engine
  readonly emitter: Emitter
}

/** One a session. */
export class HeldWork {
  readonly #parts: HeldWorkParts
  readonly #drives = new Map<string, Drive>()
  #loop: WorkerLoop | undefined
  #isRunning = true

  constructor(parts: HeldWorkParts) {
    this.#parts = parts
  }

  /** Runs that this process drives now. */
  get drivenRuns(): number {
    return this.#drives.size
  }

  /** The root grants of those runs. */
  get drivenGrants(): { gid: string; token: string }[] {
    return Array.from(this.#drives.values(), ({ execution }) => {
      const { gid, token } = execution.facts.holder
      return { gid, token }
    })
  }

  /** The loop whose branches the session holds. Called once at most. */
  useLoop(loop: WorkerLoop): void {
    this.#loop = loop
  }

  /** The drive of a run that this process drives now. */
  driven(runId: string): Drive | undefined {
    return this.#drives.get(runId)
  }

  /** Drives a run that this process holds. */
  drive(run: HeldRun): Drive {
    const { engine, emitter } = this.#parts
    const { runId } = run
    const driven = drive(engine, run)
    this.#drives.set(runId, driven)
    driven.ended
      .finally(() => this.#drives.delete(runId))
      .catch((error: unknown) => {
        if (this.#isRunning)
          emitter.emit('log', { level: 'error', message: `run ${runId} could not be ended: ${String(error)}`, runId })
      })
    return driven
  }

  /** Drives a submitted run that this process acquired. */
  driveSubmitted(grant: Grant, k: number): void {
    const { backend, engine, emitter } = this.#parts
    const { runId, graph: hash } = grant.spec
    const take = async (): Promise<void> => {
      const graph = await engine.graphs.loadForWork(hash)
      const use = { hash, graph, code: engine.registry.codeOf(runId), base: '' }
      const losses = (grant.losses[k] ?? 0) + (grant.errors[k] ?? 0)
      const input = itemBytes(grant.inputs, grant.spec.shared ? 0 : k)
      const begin = nextTurn().then(async () => {
        // It may have been cancelled on its way here; from now on its cancellation finds it among the driven.
        const record = await backend.inspect.run(runId)
        if (record === undefined || isEnded(record)) driven.execution.cancel.abort(new Dropped(`run ${runId} is over`))
      })
      // The store sees to the run's deadline, which began when it was submitted.
      const driven = this.drive({ runId, token: grant.token, use, input, timeoutMs: undefined, losses, begin })
    }
    take().catch((error: unknown) => {
      emitter.emit('log', { level: 'error', message: `run ${runId} could not be driven: ${String(error)}`, runId })
    })
  }

  /** Takes a notice of the session to whom it concerns. */
  hear(notice: Notice): void {
    switch (notice.kind) {
      case 'released':
        this.#parts.engine.arrivals.announce(notice.gid)
        return
      case 'withdrawn': {
        const driven = this.#drives.get(notice.gid)
        if (driven !== undefined) driven.execution.cancel.abort(cancelled(notice.gid, notice.reason))
        else this.#loop?.abortGroup(notice.gid, withdrawn(notice.gid, notice.reason))
        return
      }
      case 'lost': {
        const reason = new Dropped(`${notice.gid} was taken back`)
        const driven = this.#drives.get(notice.gid)
        if (driven?.execution.facts.holder.token === notice.token) driven.execution.cancel.abort(reason)
        else this.#loop?.abortGroup(notice.gid, reason, 'dropped', notice.token)
        return
      }
      case 'work':
        this.#loop?.wake()
        return
      default:
        notice satisfies never
    }
  }

  /** Stops driving, and stops the loop: `runReason` is what handlers of driven runs see, `branchReason` those of branches. */
  async stop(runReason: Error, branchReason: Error): Promise<void> {
    this.#isRunning = false
    for (const { execution } of this.#drives.values()) execution.cancel.abort(runReason)
    await this.#loop?.stop(branchReason)
  }
}

/** What was started in this turn of the event loop, and what follows from it, comes first. */
export const nextTurn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve)
  })

/** Why a branch should stop whose group is decided, or whose run is over. */
function withdrawn(gid: string, reason: string): GraflowError {
  const runId = gid.split('/', 1)[0] ?? gid
  return new GraflowError(
    'CANCELLED',
    `the branch at ${gid.slice(runId.length + 1)} of run ${runId} was withdrawn: ${reason}`,
    {
      details: { runId, reason },
    },
  )
}
