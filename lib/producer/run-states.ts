/**
 * Emits every state that a run goes through, whichever process changes it, and the events that other processes announce of it. The end of a
 * run that this process drives is known here, and the run is watched only while there is a listener; of other runs the store is asked.
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
  /** Its end is known, and is emitted after all that was announced before. */
  isEnding: boolean
}

/** Announced events of one run, which are emitted here. */
interface Subscription {
  readonly stop: () => void
  /** Keeps it from ending; there only while it is about to. */
  cancelEnd: (() => void) | undefined
}

/** A run that begins to be tracked. */
export interface NewRun {
  readonly runId: string
  readonly workflow: string | undefined
  /** The state that it is in, which is emitted at once unless it is pending. */
  readonly known: 'pending' | 'running'
  /** `ends` will be called for it. */
  readonly isDrivenHere: boolean
  /** Called once when this process has no more to do with the run, before its last event. */
  readonly over: () => void
}

/** So long after its end a run's announced events are still emitted. */
const LAST_WORDS_MS = 1_000

/** One a client. */
export class RunStates {
  readonly #services: FollowServices
  readonly #self: string
  readonly #tracked = new Map<string, Tracked>()
  /** By run. */
  readonly #subscribed = new Map<string, Subscription>()

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

  /** A run is about to be opened here: if there is a listener, not even its first event is missed. `dismiss` it if it was not opened. */
  expect(runId: string): void {
    if (this.#wantsEvents) this.#subscribeToEvents(runId)
  }

  dismiss(runId: string): void {
    if (!this.#tracked.has(runId)) this.#unsubscribe(runId)
  }

  /** Resolves once all that was announced of the run until now is emitted here, where there is a listener. */
  async caughtUp(runId: string): Promise<void> {
    if (this.#subscribed.has(runId)) await this.#services.backend.caughtUp(runId)
  }

  /** Emits `run:state` for every change from now on, until the run is over. */
  track({ runId, workflow, known, isDrivenHere, over }: NewRun): void {
    const { emitter, backend } = this.#services
    const hasListener = emitter.has('run:state')
    if (!isDrivenHere && !hasListener && !this.#subscribed.has(runId) && !this.#wantsEvents && isDistant(backend)) {
      over()
      return
    }
    const tracked: Tracked = { runId, workflow, over, last: known, leave: undefined, isEnding: false }
    this.#tracked.set(runId, tracked)
    this.expect(runId)
    if (known === 'running') emitter.emit('run:state', { runId, workflow, from: 'pending', to: known })
    if (hasListener || !isDrivenHere) this.#follow(tracked, 'emit')
  }

  /** The run is tracked as driven here: it ends as its driver does. */
  ends(runId: string, ended: Promise<DriveEnd>): void {
    const end = (as: DriveEnd): void => {
      const tracked = this.#tracked.get(runId)
      if (tracked === undefined) return
      if (as.state === 'lost' || as.state === 'parked') this.#lose(tracked, as.state).catch(() => undefined)
      else this.#finish(tracked, { runId, ...as, timeoutMs: undefined })
    }
    ended.then(end, () => end({ state: 'lost' }))
  }

  /** A run that was lost, by this process or another, is driven here from now on. */
  resumed(run: Pick<NewRun, 'runId' | 'workflow' | 'over'>, ended: Promise<DriveEnd>): void {
    if (!this.#tracked.has(run.runId)) this.track({ ...run, known: 'running', isDrivenHere: true })
    this.ends(run.runId, ended)
  }

  /** A caller wants this run's events: from now on its states are emitted, also if it was begun elsewhere. */
  follow({ runId, workflow, state }: RunRecord): void {
    const fresh = { runId, workflow, over: () => undefined, last: state, leave: undefined, isEnding: false }
    const tracked = this.#tracked.get(runId) ?? fresh
    this.#tracked.set(runId, tracked)
    this.#subscribeToEvents(runId)
    this.#follow(tracked, 'emit')
  }

  /** This process has just changed the run's state: where the run is followed, that state is emitted before the next change hides it. */
  async noteChange(runId: string): Promise<void> {
    const tracked = this.#tracked.get(runId)
    if (tracked?.leave !== undefined) await this.#look(tracked, 'emit').catch(() => undefined) // as for any look
  }

  /** Emits nothing any more. */
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
    if (!isDistant(backend)) return
    const known = this.#subscribed.get(runId)
    if (known !== undefined) {
      known.cancelEnd?.() // the run goes on, as after a retry
      known.cancelEnd = undefined
      return
    }
    const announced = new AnnouncedEvents(runId, this.#self)
    const stop = backend.watch(runId, (activity) => {
      if (activity.kind !== 'events') return
      for (const event of announced.read(activity.bytes)) emitter.relay(event)
    })
    this.#subscribed.set(runId, { stop, cancelEnd: undefined })
  }

  /** What its branches do when it is over, such as stopping, is emitted as well. */
  #unsubscribeSoon(runId: string): void {
    const subscription = this.#subscribed.get(runId)
    if (subscription === undefined) return
    const { clock } = this.#services.engine.parts
    subscription.cancelEnd ??= clock.after(LAST_WORDS_MS, () => this.#unsubscribe(runId), true)
  }

  #unsubscribe(runId: string): void {
    const subscription = this.#subscribed.get(runId)
    this.#subscribed.delete(runId)
    subscription?.cancelEnd?.()
    subscription?.stop()
  }

  /** Events are emitted from the moment of subscribing: what changed before is only noted. */
  #subscribe(): void {
    for (const tracked of this.#tracked.values()) this.#follow(tracked, 'note')
  }

  /** @param first what to do with the state that the run is found in */
  #follow(tracked: Tracked, first: 'emit' | 'note'): void {
    if (tracked.leave !== undefined) return
    const look = (how: 'emit' | 'note'): void => {
      this.#look(tracked, how).catch(() => undefined) // closed, or the store is away: more hints come
    }
    tracked.leave = followRun(tracked.runId, this.#services, ['state'], () => look('emit'))
    look(first)
  }

  async #look(tracked: Tracked, how: 'emit' | 'note'): Promise<void> {
    const record = await this.#services.backend.inspect.run(tracked.runId)
    if (this.#tracked.get(tracked.runId) !== tracked || tracked.isEnding) return
    if (record === undefined) this.#forget(tracked)
    else if (isEnded(record)) this.#finish(tracked, record)
    else {
      const from = tracked.last
      tracked.last = record.state
      if (how === 'note' || from === record.state) return
      const { runId, workflow } = tracked
      this.#services.emitter.emit('run:state', { runId, workflow, from, to: record.state })
    }
  }

  /** This process does not drive it any more: it only waits, was cancelled, or its session was taken for dead. */
  async #lose(tracked: Tracked, as: 'lost' | 'parked'): Promise<void> {
    const { emitter, backend } = this.#services
    await this.#look(tracked, 'emit')
    const { runId } = tracked
    if (this.#tracked.get(runId) !== tracked || tracked.isEnding) return
    if (as === 'lost') {
      const message = `run ${runId} is not driven here any more: its session was lost, or somebody decided a step of it by hand`
      emitter.emit('log', { level: 'warn', message, runId })
    }
    if (emitter.has('run:state') || !isDistant(backend)) this.#follow(tracked, 'emit')
    else this.#forget(tracked)
  }

  #finish(tracked: Tracked, end: Parameters<typeof outcomeOfRun>[0] & { readonly state: RunStateName }): void {
    const { emitter } = this.#services
    const { runId, workflow, last: from } = tracked
    if (this.#subscribed.has(runId) && !tracked.isEnding) {
      tracked.isEnding = true
      const finish = (): void => {
        if (this.#tracked.get(runId) === tracked) this.#finish(tracked, end)
      }
      this.caughtUp(runId).then(finish, finish) // closed, or the store is away: it is over all the same
      return
    }
    this.#forget(tracked)
    if (!emitter.has('run:state')) return
    const outcome = outcomeOfRun(end)
    const error = 'error' in outcome ? { error: outcome.error } : {}
    emitter.emit('run:state', { runId, workflow, from, to: end.state, ...error })
  }

  #forget(tracked: Tracked): void {
    this.#tracked.delete(tracked.runId)
    this.#unsubscribeSoon(tracked.runId)
    tracked.leave?.()
    tracked.over()
  }
}
