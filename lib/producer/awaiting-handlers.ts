/** Waits for runs that handlers start through the client: frees the handler's slot meanwhile, and logs once that `ctx.run` is the right call. */
import type { Inspector } from '../backend/backend.js'
import { awaitFor, callingHandler, mayAwaitRun, slotsHere, type SlotsHere } from '../engine/calling-handler.js'
import { HandlerContext } from '../engine/context.js'
import type { Execution } from '../engine/execution.js'
import { GraflowError } from '../errors.js'
import type { Emitter } from '../events.js'
import type { Clock } from '../time.js'
import type { FollowServices } from './follow-run.js'

/** So long all slots are taken and none changes hands before it is worth a look. */
const STANDSTILL_MS = 5_000
/** Runs that are looked at then. */
const MOST_ASKED = 20

type Turnovers = ReadonlyMap<SlotsHere, number>

/** Of the executors here that have no free slot. */
const turnovers = (): Turnovers =>
  new Map([...slotsHere].filter(({ free }) => free === 0).map((slots) => [slots, slots.turnover]))

const isAnySame = (before: Turnovers, now: Turnovers): boolean =>
  [...now].some(([slots, count]) => before.get(slots) === count)

/** A handler that calls the client. */
export interface CallingHandler {
  readonly task: string
  readonly path: string
  readonly execution: Execution
}

/** One a client. */
export class AwaitingHandlers {
  readonly #emitter: Emitter
  readonly #clock: Clock
  readonly #inspect: Pick<Inspector, 'groups'>
  #isLogged = false
  #isStandstillLogged = false
  /** Runs that callers wait for which were in no handler's call; they may be handlers that have gone on since. */
  readonly #awaited = new Set<string>()
  #disarm: (() => void) | undefined
  /** As they were when the time began that is waited for now. */
  #before: Turnovers = new Map()

  constructor({ emitter, backend, engine }: FollowServices) {
    this.#emitter = emitter
    this.#inspect = backend.inspect
    this.#clock = engine.parts.clock
  }

  /** The handler that calls the client now, if one does. Ask before the client's first `await`. */
  get caller(): CallingHandler | undefined {
    const context = callingHandler()
    if (context === undefined) return undefined
    return { task: context.taskName, path: context.path, execution: HandlerContext.execution(context) }
  }

  /** @throws GraflowError LIMIT_EXCEEDED where too many handlers wait so already */
  wait<T>(caller: CallingHandler | undefined, runId: string, wait: () => Promise<T>): Promise<T> {
    if (caller === undefined || caller.execution.hasEnded) return this.#watched(runId, wait)
    if (!mayAwaitRun()) return Promise.reject(tooMany(caller, runId))
    this.#log(caller)
    return awaitFor(caller.execution, wait)
  }

  async #watched<T>(runId: string, wait: () => Promise<T>): Promise<T> {
    if (this.#isStandstillLogged) return wait()
    this.#awaited.add(runId)
    this.#watch()
    try {
      return await wait()
    } finally {
      this.#awaited.delete(runId)
      if (this.#awaited.size === 0) {
        this.#disarm?.()
        this.#disarm = undefined
      }
    }
  }

  /**
   * Looks every few seconds, as long as a caller waits, whether all slots here are taken and none changes hands. The time begins anew with a wait
   * that finds other slots taken: those that take them may be handlers that wait.
   */
  #watch(): void {
    const now = turnovers()
    if (this.#disarm !== undefined && (now.size === 0 || isAnySame(this.#before, now))) return
    this.#disarm?.()
    this.#before = now
    this.#disarm = this.#clock.after(
      STANDSTILL_MS,
      () => {
        this.#disarm = undefined
        if (this.#awaited.size === 0 || this.#isStandstillLogged) return
        if (isAnySame(this.#before, turnovers())) this.#logStandstill().catch(() => undefined) // closed, or the store is away
        this.#watch()
      },
      true,
    )
  }

  /** Only of a run that waits for slots with all that it has: any other is what the slots are taken for. */
  async #logStandstill(): Promise<void> {
    for (const runId of [...this.#awaited].slice(-MOST_ASKED)) {
      const open = (await this.#inspect.groups(runId)).filter(({ state }) => state === 'open')
      if (!open.some(({ ready }) => ready > 0) || open.some(({ granted }) => granted > 0)) continue
      if (this.#isStandstillLogged) return
      this.#isStandstillLogged = true
      const message =
        `all slots of this process have been taken for ${STANDSTILL_MS / 1_000} s, no branch ended, and run ${runId}, which somebody here waits for, ` +
        'waits for a slot. If handlers wait for it, no slot ever becomes free: inside a handler, use ctx.run(flow, input) instead of run of the client'
      this.#emitter.emit('log', { level: 'warn', message, runId })
      return
    }
  }

  #log({ task, path, execution }: CallingHandler): void {
    if (this.#isLogged) return
    this.#isLogged = true
    const message =
      `task "${task}" (at ${path}) waits inside its handler for a run that it began by the client. Use ctx.run(flow, input) instead: it belongs to ` +
      'the run of the handler, ends with it, and is met again when the handler is started again'
    this.#emitter.emit('log', { level: 'warn', message, runId: execution.facts.runId, task, path })
  }
}

const tooMany = ({ task, path }: CallingHandler, runId: string): GraflowError =>
  new GraflowError(
    'LIMIT_EXCEEDED',
    `task "${task}" (at ${path}) cannot wait for run ${runId}: too many handlers of this process wait for runs that they began by the client; ` +
      'use ctx.run(flow, input) inside handlers',
    { details: { task, path, runId } },
  )
