/**
 * Takes up one run and stands by: it drives the run as soon as nobody else does, here, and again when another process has taken it and is lost.
 * Only one of those that stand by is granted the run; the store decides which.
 */
import type { Grant, TakeAnswer } from '../backend/backend.js'
import { missingRoot } from '../engine/checksums.js'
import { isEnded, type Drive, type DriveEnd } from '../engine/driver.js'
import { GraflowError } from '../errors.js'
import type { Session } from '../session/open-session.js'
import { changesOf } from './follow-run.js'

export interface ResumerOptions {
  readonly session: Session
  readonly runId: string
  /** The run was granted to this session: drives it. Undefined when that cannot begin. */
  readonly drive: (grant: Grant) => Promise<Drive | undefined>
  /** Called once: the run is over, or this process stands by no more. */
  readonly onEnd: () => void
}

/** One for a run; ends by itself when the run is over. */
export class Resumer {
  /** Resolves once it is known whether somebody else drives the run. Rejects where the store cannot be asked. */
  readonly asked: Promise<void>
  readonly #options: ResumerOptions
  #isStopped = false
  #wake: () => void = () => undefined

  constructor(options: ResumerOptions) {
    this.#options = options
    let onAsked: () => void = () => undefined
    const first = new Promise<void>((resolve) => {
      onAsked = resolve
    })
    const standing = this.#standBy(onAsked).finally(() => options.onEnd())
    this.asked = Promise.race([first, standing])
    this.asked.catch(() => undefined) // also where nobody awaits it
  }

  /** It takes the run no more; what it drives goes on. */
  stop(): void {
    this.#isStopped = true
    this.#wake()
  }

  async #standBy(onAsked: () => void): Promise<void> {
    const { runId, session } = this.#options
    const changes = changesOf(runId, session, ['state'])
    try {
      while (!this.#isOver()) {
        const changed = changes.next()
        const { status, driven } = await this.#take()
        if (status === 'gone') await this.#checkGone()
        onAsked()
        if (status === 'over' || status === 'gone') return
        if (driven === undefined) await this.#until(changed)
        else if (!isLost(driven, await ended(driven))) return
      }
    } finally {
      changes.end()
    }
  }

  /** Or until it is stopped. Each wait ends by itself: a run may wait for days, and nothing of the looks at it meanwhile is to be left. */
  #until(changed: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
      void changed.then(resolve)
      if (this.#isStopped) resolve()
    })
  }

  /** @throws GraflowError CHECKPOINT_MISSING where the run is there and not over, but for what drives it */
  async #checkGone(): Promise<void> {
    const { runId, session } = this.#options
    const record = await session.backend.inspect.run(runId)
    if (record !== undefined && !isEnded(record)) throw missingRoot(runId)
  }

  #isOver(): boolean {
    return this.#isStopped
  }

  /** Asks for the run, and drives it where it is granted. */
  async #take(): Promise<{ readonly status: TakeAnswer['status']; readonly driven?: Drive }> {
    const { session, runId, drive } = this.#options
    const { backend, holdings } = session
    const arrived = holdings.expectGrant()
    try {
      const request = { session: session.id, nonce: session.newId(), runId }
      let answer = await backend.take(request)
      if (answer.status === 'nosession') {
        await session.reopen() // the store took this process for dead
        answer = await backend.take(request)
      }
      // by a call of before that came late, maybe: where nothing here knows of it, it is given back, and asked for anew
      if (answer.status === 'held' && answer.session === session.id) session.reconcile()
      if (answer.status !== 'ok') return { status: answer.status }
      const driven = await drive(answer.grant)
      return driven === undefined ? { status: 'ok' } : { status: 'ok', driven }
    } finally {
      arrived()
    }
  }
}

const ended = ({ ended: end }: Drive): Promise<DriveEnd> => end.catch(() => ({ state: 'lost' as const }))

/** Whether a drive has ended since the run only waits, is held by nobody, or by another process: then it may be taken again. */
export function isLost({ execution }: Drive, end: DriveEnd): boolean {
  if (end.state === 'parked') return true
  if (end.state !== 'lost') return false
  const { reason } = execution.cancel
  return !(reason instanceof GraflowError && (reason.code === 'CANCELLED' || reason.code === 'CLOSED'))
}
