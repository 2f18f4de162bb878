/**
 * A store that may be away, seen as one that is only slow: calls that fail with an error that may pass (such as REDIS_UNAVAILABLE) are
 * repeated, with growing, jittered pauses, until they are answered. Every operation may be repeated (backend.ts); and work in hand must not
 * fail for a store that is soon there again. Nor for a right that is missing for a moment: calls for work in hand are repeated for a while when
 * the store refuses them, which other calls say at once.
 */
import { GraflowError } from '../errors.js'
import { elapsedMs, type Clock, type Random } from '../time.js'
import type { Backend, Inspector } from './backend.js'

/** Between two tries: doubled each time, within these. */
const FIRST_PAUSE_MS = 25
const LONGEST_PAUSE_MS = 1_000
/** A call for work in hand that the store refuses is repeated for so long. */
const REFUSED_FOR_MS = 10_000

export interface RetryingOptions {
  readonly clock: Clock
  readonly random: Random
}

type Repeat = <T>(call: () => Promise<T>) => Promise<T>

export interface RetryingBackend extends Backend {
  /** The same store, for work in hand: what it refuses is repeated as well, for 10 s. */
  readonly forWork: Backend
}

/** `near`, with its calls repeated until `close`: calls that wait to be repeated then reject with what they last met. */
export function retrying(near: Backend, options: RetryingOptions): RetryingBackend {
  const repeater = new Repeater(options)
  const repeat: Repeat = (call) => repeater.repeat(call)
  const repeatRefused: Repeat = (call) => repeater.repeat(call, REFUSED_FOR_MS)
  return Object.assign(viewOf(near, repeater, repeat, repeat), {
    forWork: viewOf(near, repeater, repeat, repeatRefused),
  })
}

/** @param repeatWork repeats calls for work in hand */
function viewOf(near: Backend, repeater: Repeater, repeat: Repeat, repeatWork: Repeat): Backend {
  return {
    get limits() {
      return near.limits
    },
    inspect: retryingInspector(near.inspect, repeatWork),
    putGraph: (hash, bytes) => repeat(() => near.putGraph(hash, bytes)),
    getGraph: (hash) => repeat(() => near.getGraph(hash)),
    hasGraph: (hash) => repeat(() => near.hasGraph(hash)),
    putWorkflow: (workflow) => repeat(() => near.putWorkflow(workflow)),
    open: (request) => repeat(() => near.open(request)),
    step: (request) => repeatWork(() => near.step(request)),
    acquire: (request) => repeat(() => near.acquire(request)),
    take: (request) => repeat(() => near.take(request)),
    reopen: (request) => repeat(() => near.reopen(request)),
    decide: (runId, decision) => repeat(() => near.decide(runId, decision)),
    settle: (request) => repeatWork(() => near.settle(request)),
    session: (request) => repeat(() => near.session(request)),
    lead: (request) => near.lead(request), // its caller comes again, and its lease has run on meanwhile
    tend: (request) => near.tend(request), // as above
    sweep: (session) => near.sweep(session), // as above
    control: (request) => repeat(() => near.control(request)),
    signal: (request) => repeat(() => near.signal(request)),
    progress: (request) => near.progress(request), // for people: the next one says more
    keepEvents: (forMs) => near.keepEvents(forMs), // for people: its caller comes again
    appendRunEvents: (request) => near.appendRunEvents(request), // as above
    deleteDeadLetters: (which) => repeat(() => near.deleteDeadLetters(which)),
    writeDocuments: (request) => repeat(() => near.writeDocuments(request)),
    channel: (runId, holder, request) => repeatWork(() => near.channel(runId, holder, request)),
    lock: (runId, holder, request) => repeatWork(() => near.lock(runId, holder, request)),
    listen: (session, listener) => near.listen(session, listener),
    watch: (runId, listener) => near.watch(runId, listener),
    watchCluster: (listener) => near.watchCluster(listener),
    caughtUp: (runId) => near.caughtUp(runId),
    announce: (runId, events) => near.announce(runId, events), // a hint
    ...('confirm' in near && {
      confirm: async (durability) => (await near.confirm?.(durability)) ?? { status: 'ok' }, // its caller asks again
    }),
    ...('onReconnected' in near && {
      onReconnected: (listener) => near.onReconnected?.(listener) ?? ((): void => undefined),
    }),
    keepAlive: (session, keep) => near.keepAlive(session, keep),
    ping: () => near.ping(), // asks how the store is now
    close: () => {
      repeater.stop()
      return near.close()
    },
  }
}

const retryingInspector = (inspect: Inspector, repeat: Repeat): Inspector => ({
  run: (runId) => repeat(() => inspect.run(runId)),
  runOfKey: (key) => repeat(() => inspect.runOfKey(key)),
  runs: (request) => repeat(() => inspect.runs(request)),
  groups: (runId) => repeat(() => inspect.groups(runId)),
  outcomes: (gid, after) => repeat(() => inspect.outcomes(gid, after)),
  output: (runId, path) => repeat(() => inspect.output(runId, path)),
  held: (gid, most) => repeat(() => inspect.held(gid, most)),
  input: (gid, index) => repeat(() => inspect.input(gid, index)),
  outputs: (runId, paths) => repeat(() => inspect.outputs(runId, paths)),
  saved: (runId, prefix) => repeat(() => inspect.saved(runId, prefix)),
  openWaits: (runId, address) => repeat(() => inspect.openWaits(runId, address)),
  queues: () => repeat(() => inspect.queues()),
  waiting: (queue) => repeat(() => inspect.waiting(queue)),
  sessions: () => repeat(() => inspect.sessions()),
  nodes: () => repeat(() => inspect.nodes()),
  serving: () => repeat(() => inspect.serving()),
  lead: () => repeat(() => inspect.lead()),
  pinned: () => repeat(() => inspect.pinned()),
  workflow: (name) => repeat(() => inspect.workflow(name)),
  workflowNames: () => repeat(() => inspect.workflowNames()),
  now: () => repeat(() => inspect.now()),
  deadLetters: (limit, before) => repeat(() => inspect.deadLetters(limit, before)),
  deadLetter: (id) => repeat(() => inspect.deadLetter(id)),
  totals: () => repeat(() => inspect.totals()),
  events: (after, limit) => inspect.events(after, limit), // for people: their next look says more
  runEvents: (runId, after, limit) => inspect.runEvents(runId, after, limit), // as above
  documents: (collection, names) => repeat(() => inspect.documents(collection, names)),
  documentNames: (collection) => repeat(() => inspect.documentNames(collection)),
})

/** Repeats calls until they are answered, or until it is stopped. */
class Repeater {
  readonly #options: RetryingOptions
  /** Ends the pause of each call that waits to be repeated. */
  readonly #waiting = new Set<() => void>()
  #isStopped = false

  constructor(options: RetryingOptions) {
    this.#options = options
  }

  /** @param refusedForMs repeats it for so long also when the store refuses it */
  async repeat<T>(call: () => Promise<T>, refusedForMs = 0): Promise<T> {
    const since = refusedForMs === 0 ? 0 : elapsedMs(this.#options.clock)
    const isToRepeat = (error: unknown): boolean =>
      mayPass(error) || (isRefused(error) && refusedForMs > 0 && elapsedMs(this.#options.clock) - since < refusedForMs)
    for (let tries = 0; ; tries += 1) {
      try {
        return await call()
      } catch (error) {
        if (!isToRepeat(error)) throw error
        if (!this.#isStopped) await this.#pause(tries)
        if (this.#mustStop()) throw error
      }
    }
  }

  stop(): void {
    this.#isStopped = true
    for (const wake of [...this.#waiting]) wake()
  }

  #mustStop(): boolean {
    return this.#isStopped
  }

  #pause(tries: number): Promise<void> {
    const { clock, random } = this.#options
    return new Promise((resolve) => {
      const most = Math.min(FIRST_PAUSE_MS * 2 ** Math.min(tries, 10), LONGEST_PAUSE_MS)
      const wake = (): void => {
        cancel()
        this.#waiting.delete(wake)
        resolve()
      }
      const cancel = clock.after(most * (0.5 + random() / 2), wake)
      this.#waiting.add(wake)
    })
  }
}

const mayPass = (error: unknown): error is GraflowError => error instanceof GraflowError && error.retryable
const isRefused = (error: unknown): boolean => error instanceof GraflowError && error.code === 'REDIS_UNSUITABLE'
