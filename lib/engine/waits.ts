/**
 * Waiting for time and for signals. A wait of the flow itself gives its branch back (parking.ts); one that a handler makes goes on holding it, without
 * a slot. What a wait got stands among the saved outputs, at `!` below its place: whoever comes by later finds it there.
 */
import { waitMark } from '../backend/kept.js'
import { WAIT_ANSWERED_BY, type Backend, type WaitAnswer, type WaitRequest } from '../backend/backend.js'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { GraflowError } from '../errors.js'
import type { Emitter } from '../events.js'
import type { WaitData } from '../flow/node-options.js'
import type { Clock, Random } from '../time.js'
import { decode, encode } from '../values/codec.js'
import { EMPTY_BYTES } from '../values/packed-items.js'
import type { BarrierWaits } from './barrier-waits.js'
import { Cancellation } from './cancellation.js'
import { type HandlerWait, itemAt, type SignalWait, type WaitingStart } from './context.js'
import { refusalOf, runPathOf, type Frame } from './execution.js'
import { fullStore } from './graph-store.js'
import { Parking } from './parking.js'
import { checkPayload, type Issue } from './schemas.js'
import { aboutOf, keptIssues } from './wait-about.js'
import { isTimedOut, TIMED_OUT } from './wait-marks.js'

/** What waits need of the process. */
export interface WaitsOptions {
  readonly backend: Pick<Backend, 'step' | 'onReconnected'>
  readonly clock: Clock
  readonly random: Random
  readonly emitter: Emitter
  readonly barrierWaits: BarrierWaits
}

/** A notice may be lost, with a connection: a wait that a handler holds is asked for again after about so long. In this process none is. */
const LOOK_AGAIN_MS = 10_000

/** A wait, and how it is held where it cannot be given back: what ends the wait early. */
interface Reached {
  readonly frame: Frame
  readonly cancel: Cancellation
  readonly isHeld: boolean
}

/** A wait for a signal, and whether a run may wait for it again. */
type RepeatableWait = SignalWait & { readonly isRepeated: boolean }

/** What was saved for a wait. */
interface Got {
  readonly value: Uint8Array
  /** It was there before this start asked. */
  readonly wasThere: boolean
}

/** What a signal must name to answer a wait: with the item's number, where it stands in an each. */
export const addressOf = (name: string, index: number | undefined): string =>
  index === undefined ? name : `${name}#${index}`

/** One a process. */
export class Waits {
  readonly #options: WaitsOptions

  constructor(options: WaitsOptions) {
    this.#options = options
  }

  /** Waits at `path` of the frame's graph until it is time. */
  async time(frame: Frame, path: string, due: { readonly dueMs: number } | { readonly dueAt: number }): Promise<void> {
    await this.#got(reachedBy(frame), {
      place: runPathOf(frame.use, path),
      ...due,
      onDue: EMPTY_BYTES,
      isRepeated: false,
    })
  }

  /** Waits at `path` of the frame's graph for a signal; gives its payload. @throws GraflowError TIMEOUT */
  signal(frame: Frame, path: string, wait: RepeatableWait): Promise<unknown> {
    return this.#signalAt(reachedBy(frame), runPathOf(frame.use, path), path, wait)
  }

  /**
   * A wait of the handler at `path`: its n-th call of such a kind waits at the same place in every start, so that it meets what came meanwhile.
   * @throws GraflowError TIMEOUT; why the start must stop
   */
  async inHandler(frame: Frame, path: string, wait: HandlerWait, { cancel, timer }: WaitingStart): Promise<unknown> {
    const { execution, use } = frame
    const { number, errors } = execution.nextFork(runPathOf(use, path))
    const place = `${runPathOf(use, path)}/~${number}`
    const reached = { frame, cancel, isHeld: true }
    try {
      await timer?.pause() // whatever comes of it, the time goes on in the end
      if ('ms' in wait) {
        await this.#got(reached, { place, dueMs: wait.ms, onDue: EMPTY_BYTES, isRepeated: false })
        return undefined
      }
      return await this.#signalAt(reached, place, path, { ...wait, isRepeated: true }, errors)
    } finally {
      await timer?.unpause()
    }
  }

  /** @param errors starts of the handler that ended in an error: a wait that was over before this start, without an answer, begins anew */
  async #signalAt(reached: Reached, place: string, path: string, wait: RepeatableWait, errors = 0): Promise<unknown> {
    const { name, options, schema, isRepeated } = wait
    const { frame, isHeld } = reached
    let refused = wait.refused
    const address = addressOf(name, itemAt(frame, path))
    let isFresh = errors === 0
    for (let number = 1, at = place; ; ) {
      const { value, wasThere } = await this.#got(reached, {
        ...{ place: at, address, isRepeated, ...aboutOf(wait, isHeld, refused) },
        ...(options.timeoutMs !== undefined && { dueMs: options.timeoutMs }),
        onDue: options.onTimeout === undefined ? TIMED_OUT : encode(options.onTimeout),
      })
      if (value[0] === WAIT_ANSWERED_BY.due) {
        if (!isTimedOut(value)) return decode(value.subarray(1))
        if (isFresh || !wasThere) throw waitTimeout(name, place, options)
        isFresh = true
        at = place = `${place}.${errors}`
        continue
      }
      const checked = await this.#checked(schema, decode(value.subarray(1)), name, place, frame)
      if ('payload' in checked) return checked.payload
      refused = checked.refused
      number += 1
      at = `${place}/!${number}`
    }
  }

  /** The payload as its schema gives it; who sent one that the schema refuses could not know the schema, and the wait goes on. */
  async #checked(
    schema: StandardSchemaV1 | undefined,
    payload: unknown,
    name: string,
    path: string,
    frame: Frame,
  ): Promise<{ readonly payload: unknown } | { readonly refused: readonly Issue[] }> {
    if (schema === undefined) return { payload }
    try {
      return { payload: await checkPayload(schema, payload, name) }
    } catch (error) {
      const refused = keptIssues(error)
      if (refused === undefined || !(error instanceof GraflowError)) throw error
      const message = `${error.message}; the run waits for another one`
      this.#options.emitter.emit('log', { level: 'warn', message, runId: frame.execution.facts.runId, path })
      return { refused }
    }
  }

  /** What was saved for the wait, once it is. */
  async #got(reached: Reached, wait: WaitRequest): Promise<Got> {
    const saved = reached.frame.execution.savedOutput(waitMark(wait.place))
    if (saved !== undefined) return { value: saved, wasThere: true }
    if (!reached.isHeld) throw new Parking({ wait })
    return this.#hold(reached, wait)
  }

  async #hold({ frame, cancel }: Reached, wait: WaitRequest): Promise<Got> {
    const { execution } = frame
    const { barrierWaits } = this.#options
    const gid = `${execution.facts.runId}/${wait.place}`
    cancel.throwIfAborted()
    let expected = barrierWaits.expect(gid) // before it is asked for, so that no notice falls between
    try {
      const first = await this.#ask(frame, wait)
      if (first.status === 'answered') return { value: first.value, wasThere: true }
      const ended = new Cancellation(cancel)
      const leave = execution.over.onAbort((reason) => ended.abort(reason))
      try {
        return await execution.waitingOnly(async () => {
          for (let answer: WaitAnswer = first; ; ) {
            if (answer.status === 'answered') return { value: answer.value, wasThere: false }
            await this.#next(ended, expected.promise, answer.leftMs)
            expected.forget()
            expected = barrierWaits.expect(gid)
            answer = await this.#ask(frame, wait)
          }
        })
      } finally {
        leave()
        ended.leave()
      }
    } finally {
      expected.forget()
    }
  }

  /** Until it may be answered. */
  async #next(cancel: Cancellation, notice: Promise<void>, leftMs = Number.POSITIVE_INFINITY): Promise<void> {
    const { backend, clock, random } = this.#options
    let disarm: (() => void) | undefined
    const lookMs = backend.onReconnected === undefined ? leftMs : LOOK_AGAIN_MS * (0.8 + 0.4 * random())
    const timer = new Promise<void>((resolve) => {
      const ms = Math.max(1, Math.min(leftMs, lookMs))
      if (Number.isFinite(ms)) disarm = clock.after(ms, resolve)
    })
    try {
      await cancel.race(Promise.race([notice, timer]))
    } finally {
      disarm?.()
    }
  }

  async #ask(frame: Frame, wait: WaitRequest): Promise<WaitAnswer> {
    const { execution } = frame
    const { holder, runId } = execution.facts
    const save = execution.takeUnsaved()
    try {
      const answer = await this.#options.backend.step({ holder, runId, ...(save !== undefined && { save }), wait })
      if (answer.status === 'ok' && answer.wait !== undefined) return answer.wait
      if (answer.status === 'fenced') throw frame.cancel.reason ?? refusalOf(execution)
      if (answer.status === 'backpressure') throw fullStore(`the wait at ${wait.place}`)
      throw new GraflowError('INTERNAL', `the wait at ${wait.place} was answered ${answer.status}`)
    } catch (error) {
      if (save !== undefined) execution.putBack(save)
      throw error
    }
  }
}

const reachedBy = (frame: Frame): Reached => ({ frame, cancel: frame.cancel, isHeld: frame.isHeld === true })

const waitTimeout = (signal: string, path: string, { timeoutMs }: WaitData): GraflowError =>
  new GraflowError(
    'TIMEOUT',
    `the signal "${signal}" (awaited at ${path}) did not come within its timeoutMs of ${timeoutMs}: send it in time, or give the wait an onTimeout`,
    { details: { signal, path, ...(timeoutMs !== undefined && { timeoutMs }) } },
  )
