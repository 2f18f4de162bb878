/**
 * Tells of every state that a run goes through, whoever brings it about, and of what other processes announce of it. A run that this process
 * drives tells of its own end, and is watched only while somebody listens; of other runs the store is asked.
 */
import type { RunRecord } from '../backend/backend.js'
import { AnnouncedEvents } from '../session/announcer.js'
import { isEnded, outcomeOfRun, type DriveEnd } from '../engine/driver.js'
import { FORWARDED, type RunStateName } from '../events.js'
import { followRun, isDistant, type FollowServices } from './follow-run.js'

interface Tracked {
  readonly runId: string
  readonly workflow: string | undefined
  readonly over: () => void
  last: RunStateName
  /** Ends looking at it; undefined while it is not looked at. */
  leave: (() => void) | undefined
  /** Its end is known, and is told when all that was announced before has been. */
  isEnding: boolean
}

/** A run that begins to be told of. */
export interface NewRun {
  readonly runId: string
  readonly workflow: string | undefined
  /** The state that it is in, which is told at once unless it is pending. */
  readonly known: 'pending' | 'running'
  /** `ends` will be called for it. */
  readonly isDrivenHere: boolean
  /** Called once when this process has no more to do with the run, before its last event. */
  readonly over: () => void
}

/** So long after its end a run's events are still told. */
const LAST_WORDS_MS = 1_000

/** One a client. */
export class RunStates {
  readonly #services: FollowServices
  readonly #self: string
  readonly #tracked = new Map<string, Tracked>()
  /** Runs whose announced events are told here, with what ends that. */
  readonly #subscribed = new Map<string, () => void>()

  /** @param self the name under which this process announces events: it has those already */
  constructor(services: FollowServices, self: string) {
    this.#services = services
    this.#self = self
    services.emitter.onSubscribed('run:state', () => this.#subscribe())
    for (const name of FORWARDED) {
      services.emitter.onSubscribed(name, () => {
        for (const runId of this.#tracked.keys()) this.#subscribeToEvents(runId)
      })
    }
  }

  /** A run is about to be opened here: if somebody listens, not even its first event is missed. `dismiss` it if it was not opened. */
  expect(runId: string): void {
    if (this.#wantsEvents) this.#subscribeToEvents(runId)
  }

  dismiss(runId: string): void {
    if (!this.#tracked.has(runId)) this.#unsubscribe(runId)
  }

  /** Resolves once all that was announced of the run until now is told here, where somebody wants it. */
  async caughtUp(runId: string): Promise<void> {
    if (this.#subscribed.has(runId)) await this.#services.backend.caughtUp(runId)
  }

  /** Emits `run:state` for every change from now on, until the run is over. */
  track({ runId, workflow, known, isDrivenHere, over }: NewRun): void {
    const { emitter, backend } = this.#services
    const isHeard = emitter.has('run:state')
    if (!isDrivenHere && !isHeard && !this.#subscribed.has(runId) && !this.#wantsEvents && isDistant(backend)) {
      over()
      return
    }
    const told: Tracked = { runId, workflow, over, last: known, leave: undefined, isEnding: false }
    this.#tracked.set(runId, told)
    this.expect(runId)
    if (known === 'running') emitter.emit('run:state', { runId, workflow, from: 'pending', to: known })
    if (isHeard || !isDrivenHere) this.#follow(told, 'tell')
  }

  /** The run was told of as driven here: it ends as its driver does. */
  ends(runId: string, ended: Promise<DriveEnd>): void {
    const end = (as: DriveEnd): void => {
      const told = this.#tracked.get(runId)
      if (told === undefined) return
      if (as.state === 'lost') this.#lose(told).catch(() => undefined)
      else this.#finish(told, { runId, ...as, timeoutMs: undefined })
    }
    ended.then(end, () => end({ state: 'lost' }))
  }

  /** Somebody wants this run's events: from now on its states are told, also if it was begun elsewhere. */
  follow({ runId, workflow, state }: RunRecord): void {
    const fresh = { runId, workflow, over: () => undefined, last: state, leave: undefined, isEnding: false }
    const told = this.#tracked.get(runId) ?? fresh
    this.#tracked.set(runId, told)
    this.#subscribeToEvents(runId)
    this.#follow(told, 'tell')
  }

  /** This process has just changed the run's state: where its states are told, that one is, before the next change hides it. */
  async noteChange(runId: string): Promise<void> {
    const told = this.#tracked.get(runId)
    if (told?.leave !== undefined) await this.#look(told, 'tell').catch(() => undefined) // as for any look
  }

  /** Tells nothing any more. */
  close(): void {
    for (const { leave } of this.#tracked.values()) leave?.()
    this.#tracked.clear()
    for (const runId of [...this.#subscribed.keys()]) this.#unsubscribe(runId)
  }

  get #wantsEvents(): boolean {
    return FORWARDED.some((name) => this.#services.emitter.has(name))
  }

  #subscribeToEvents(runId: string): void {
    const { backend, emitter } = this.#services
    if (!isDistant(backend) || this.#subscribed.has(runId)) return
    const announced = new AnnouncedEvents(runId, this.#self)
    const stop = backend.watch(runId, (activity) => {
      if (activity.kind !== 'events') return
      for (const event of announced.read(activity.bytes)) emitter.relay(event)
    })
    this.#subscribed.set(runId, stop)
  }

  /** What its branches do when it is over, such as stopping, is told as well. */
  #unsubscribeSoon(runId: string): void {
    const stop = this.#subscribed.get(runId)
    if (stop === undefined) return
    const cancel = this.#services.engine.parts.clock.after(LAST_WORDS_MS, () => this.#unsubscribe(runId), true)
    this.#subscribed.set(runId, () => {
      cancel()
      stop()
    })
  }

  #unsubscribe(runId: string): void {
    this.#subscribed.get(runId)?.()
    this.#subscribed.delete(runId)
  }

  /** Events are told from the moment of subscribing: what changed before is only noted. */
  #subscribe(): void {
    for (const told of this.#tracked.values()) this.#follow(told, 'note')
  }

  /** @param first what to do with the state that the run is found in */
  #follow(told: Tracked, first: 'tell' | 'note'): void {
    if (told.leave !== undefined) return
    const look = (how: 'tell' | 'note'): void => {
      this.#look(told, how).catch(() => undefined) // closed, or the store is away: more news comes
    }
    told.leave = followRun(told.runId, this.#services, ['state'], () => look('tell'))
    look(first)
  }

  async #look(told: Tracked, how: 'tell' | 'note'): Promise<void> {
    const record = await this.#services.backend.inspect.run(told.runId)
    if (this.#tracked.get(told.runId) !== told || told.isEnding) return
    if (record === undefined) this.#forget(told)
    else if (isEnded(record)) this.#finish(told, record)
    else {
      const from = told.last
      told.last = record.state
      if (how === 'note' || from === record.state) return
      const { runId, workflow } = told
      this.#services.emitter.emit('run:state', { runId, workflow, from, to: record.state })
    }
  }

  /** This process does not drive it any more: cancelled, or its session was taken for dead. */
  async #lose(told: Tracked): Promise<void> {
    const { emitter, backend } = this.#services
    await this.#look(told, 'tell')
    const { runId } = told
    if (this.#tracked.get(runId) !== told) return
    const message = `run ${runId} is not driven here any more: its session was lost`
    emitter.emit('log', { level: 'warn', message, runId })
    if (emitter.has('run:state') || !isDistant(backend)) this.#follow(told, 'tell')
    else this.#forget(told)
  }

  #finish(told: Tracked, end: Parameters<typeof outcomeOfRun>[0] & { readonly state: RunStateName }): void {
    const { emitter } = this.#services
    const { runId, workflow, last: from } = told
    if (this.#subscribed.has(runId) && !told.isEnding) {
      told.isEnding = true
      const finish = (): void => {
        if (this.#tracked.get(runId) === told) this.#finish(told, end)
      }
      this.caughtUp(runId).then(finish, finish) // closed, or the store is away: it is over all the same
      return
    }
    this.#forget(told)
    if (!emitter.has('run:state')) return
    const outcome = outcomeOfRun(end)
    const error = 'error' in outcome ? { error: outcome.error } : {}
    emitter.emit('run:state', { runId, workflow, from, to: end.state, ...error })
  }

  #forget(told: Tracked): void {
    this.#tracked.delete(told.runId)
    this.#unsubscribeSoon(told.runId)
    told.leave?.()
    told.over()
  }
}
