/**
 * One event on its way through the pipelines of a group: runs those that its type is routed to, and routes their results on. The ids of its runs follow
 * from its own id and the way to them, so carrying it once more, in another process, too, meets the runs that are there. A run that was started once and is
 * not there any more was deleted: it is not started again, and what came from it goes on.
 */
import { asError } from '../../engine/failure.js'
import { GraflowError } from '../../errors.js'
import type { PipelineDelivery } from '../../producer/deployment-types.js'
import type { FlowToRun } from '../../producer/prepare-run.js'
import type { Run, RunOptions } from '../../producer/types.js'
import type { Clock } from '../../time.js'
import type { StoredGroup, StoredPipeline } from './group-store.js'
import { EXTERNAL, targetsOf } from './routing.js'

/** What a pipeline gets, and what routes choose by. */
export interface TypedEvent {
  readonly eventType: string
  readonly input: unknown
}

/** How a run of a journey ended. */
export interface PipelineEnd {
  readonly state: PipelineDelivery['state']
  readonly workerId: string | undefined
  readonly result?: unknown
  readonly error?: GraflowError
}

export interface JourneyServices {
  readonly clock: Clock
  readonly submit: (flow: FlowToRun, input: unknown, options: RunOptions) => Promise<Run<unknown>>
  /** The flow of a pipeline, for the worker that it is placed on. */
  readonly flowOf: (pipeline: StoredPipeline) => Promise<FlowToRun>
  /** Where a pipeline of the group is now. */
  readonly placeOf: (pipeline: StoredPipeline) => Promise<string | undefined>
  /** Resolves when the run is over. @throws GraflowError CLOSED */
  readonly endOf: (run: Run<unknown>) => Promise<PipelineEnd>
  /** Whether the group is still deployed. */
  readonly isDeployed: () => Promise<boolean>
  /** Until when the record of a run is kept at least that is started now. */
  readonly keptUntil: () => number
  /** Whether there is a run. */
  readonly exists: (runId: string) => Promise<boolean>
  /** A run that is there. */
  readonly runOf: (runId: string) => Run<unknown>
  /** What was started of the event before, by whoever carried it. */
  readonly known: readonly StartedRun[]
  /** Keeps what was started so far; it need not be kept before more is done. */
  readonly keep: (started: readonly StartedRun[]) => void
}

/** A run of an event that was started. */
export interface StartedRun {
  readonly from: string
  readonly to: string
  readonly eventType: string
  /** Of the run: its id is that of the event, and this. */
  readonly way: string
  /** Its record is kept until then, or longer: one that is not there before was deleted. Milliseconds since the epoch. */
  readonly keptUntil?: number
}

/** Errors that may pass are tried again after so long. */
const AGAIN_MS = 1_000

/** The event that a result is: of the type that it names, else of the type that led to it. */
export function eventOfResult(result: unknown, eventType: string): TypedEvent {
  if (typeof result !== 'object' || result === null || Array.isArray(result)) return { eventType, input: result }
  const { eventType: named, event_type: alsoNamed, fields } = result as Readonly<Record<string, unknown>>
  const type = typeof named === 'string' ? named : typeof alsoNamed === 'string' ? alsoNamed : undefined
  if (type === undefined) return { eventType, input: result }
  return { eventType: type, input: fields === undefined ? result : fields }
}

export class Journey {
  readonly #id: string
  readonly #group: StoredGroup
  readonly #services: JourneyServices
  readonly #deliveries: Delivery[] = []
  /** By way. */
  readonly #started: Map<string, StartedRun>

  constructor(id: string, group: StoredGroup, services: JourneyServices) {
    this.#id = id
    this.#group = group
    this.#services = services
    this.#started = new Map(services.known.map((one) => [one.way, one]))
  }

  /** What became of it so far, each after what it came from. */
  get deliveries(): readonly PipelineDelivery[] {
    return this.#deliveries.map((delivery) => ({ ...delivery }))
  }

  /**
   * Resolves when the first run is there; `over` when all is over. Where the first cannot be started, nothing is.
   * @throws GraflowError NO_ROUTE, and what `submit` throws
   */
  async begin(event: TypedEvent): Promise<{ readonly over: Promise<void> }> {
    const [first, ...others] = targetsOf(this.#group.routes, EXTERNAL, event.eventType)
    if (first === undefined) throw noRoute(this.#group, event.eventType)
    const started = await this.#start(EXTERNAL, first, event, '')
    const rest = others.map((name) => this.#deliver(EXTERNAL, name, event, ''))
    const over = Promise.all([this.#deliver(EXTERNAL, first, event, '', started), ...rest]).then(() => undefined)
    over.catch(() => undefined) // whoever waits for it hears of it
    return { over }
  }

  /**
   * @param started its run, where it was started already
   * @throws GraflowError CLOSED: this process ends, and another may carry it on
   */
  #deliver(from: string, to: string, event: TypedEvent, way: string, started?: Started): Promise<void> {
    let given = started
    return this.#untilDone(from, to, event.eventType, wayOf(way, this.#indexOf(to)), async () => {
      const run = given ?? (await this.#start(from, to, event, way))
      given = undefined
      await this.#follow(run, event.eventType, to)
    })
  }

  /** Tries again what may pass; what cannot be done has failed. */
  async #untilDone(from: string, to: string, eventType: string, way: string, act: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        await act()
        return
      } catch (error) {
        if (isClosed(error)) throw error
        if (!(error instanceof GraflowError) || !error.retryable) {
          this.#fail({ from, to, eventType, way }, error)
          return
        }
        await this.#pause()
      }
    }
  }

  async #start(from: string, to: string, event: TypedEvent, before: string): Promise<Started> {
    const index = this.#indexOf(to)
    const pipeline = this.#group.pipelines[index]
    if (pipeline === undefined) throw new GraflowError('INTERNAL', `expected a pipeline ${to} in the group`)
    const way = wayOf(before, index)
    const facts: StartedRun = { from, to, eventType: event.eventType, way }
    const runId = this.#runIdOf(way)
    if (this.#started.has(way) && !(await this.#services.exists(runId))) return { way, run: undefined }
    const workerId = await this.#services.placeOf(pipeline)
    const flow = await this.#services.flowOf(pipeline)
    const run = await this.#services.submit(
      { ...flow, ...(workerId !== undefined && { affinity: workerId }) },
      event.input,
      { id: runId, tags: tagsOf(this.#group, pipeline.name, event.eventType) },
    )
    const delivery = this.#put(facts, { workerId, state: 'pending' })
    if (!this.#started.has(way)) {
      this.#started.set(way, { ...facts, keptUntil: this.#services.keptUntil() })
      this.#services.keep([...this.#started.values()])
    }
    return { run, way, delivery }
  }

  /** Waits for a run, and routes its result on. */
  async #follow(started: Started, eventType: string, name: string): Promise<void> {
    if (started.run === undefined) return this.#deleted(started.way)
    const { run, way, delivery } = started
    const end = await this.#services.endOf(run)
    Object.assign(delivery, { ...end, workerId: end.workerId ?? delivery.workerId })
    if (end.state !== 'completed') return
    const event = eventOfResult(end.result, eventType)
    const targets = targetsOf(this.#group.routes, name, event.eventType)
    if (targets.length === 0 || !(await this.#services.isDeployed())) return
    await Promise.all(targets.map((to) => this.#deliver(name, to, event, way)))
  }

  /**
   * A run was started before and is not there any more. It was deleted, and counts as cancelled; or its record is past its retention, and nobody knows
   * what came of it. What its result was routed to by then goes on.
   */
  async #deleted(way: string): Promise<void> {
    const facts = this.#started.get(way)
    if (facts === undefined) return
    const details = { runId: this.#runIdOf(way) }
    const isPast = facts.keptUntil !== undefined && facts.keptUntil <= this.#services.clock.now()
    const before = `before all of event ${this.#id} was over`
    const error = isPast
      ? new GraflowError('NOT_KEPT', `the run was past its retention ${before}: what it gave is not kept`, { details })
      : new GraflowError('RUN_NOT_FOUND', `the run was deleted ${before}`, { details })
    this.#put(facts, { workerId: undefined, state: isPast ? 'failed' : 'cancelled', error })
    const after = [...this.#started.values()].filter((one) => one.way.startsWith(way) && isNext(way, one.way))
    await Promise.all(after.map((one) => this.#rejoin(one)))
  }

  /** Goes on with a run of which nobody knows the input any more. */
  #rejoin(facts: StartedRun): Promise<void> {
    const { from, to, eventType, way } = facts
    return this.#untilDone(from, to, eventType, way, async () => {
      const runId = this.#runIdOf(way)
      if (!(await this.#services.exists(runId))) return this.#deleted(way)
      const delivery = this.#put(facts, { workerId: undefined, state: 'pending' })
      await this.#follow({ run: this.#services.runOf(runId), way, delivery }, eventType, to)
    })
  }

  #indexOf(name: string): number {
    return this.#group.pipelines.findIndex((one) => one.name === name)
  }

  #runIdOf(way: string): string {
    return `${this.#id}-${way}`
  }

  #fail(facts: StartedRun, thrown: unknown): void {
    const error = thrown instanceof GraflowError ? thrown : new GraflowError('INTERNAL', asError(thrown).message)
    this.#put(facts, { workerId: undefined, state: 'failed', error })
  }

  /** In place of an earlier try. */
  #put({ from, to, eventType, way }: StartedRun, rest: Pick<Delivery, 'workerId' | 'state' | 'error'>): Delivery {
    const delivery: Delivery = { from, eventType, routedTo: to, runId: this.#runIdOf(way), ...rest }
    const at = this.#deliveries.findIndex(({ runId }) => runId === delivery.runId)
    if (at < 0) this.#deliveries.push(delivery)
    else this.#deliveries[at] = delivery
    return delivery
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#services.clock.after(AGAIN_MS, resolve, true)
    })
  }
}

type Delivery = { -readonly [K in keyof PipelineDelivery]: PipelineDelivery[K] }

/** Without a run: it was started once, and deleted since. */
type Started =
  | { readonly way: string; readonly run: Run<unknown>; readonly delivery: Delivery }
  | { readonly way: string; readonly run: undefined }

/** Two characters a pipeline: of the most pipelines behind each other that makes no id too long. */
const STEP = 2
const wayOf = (before: string, index: number): string => `${before}${index.toString(36).padStart(STEP, '0')}`
const isNext = (before: string, way: string): boolean => way.length === before.length + STEP

/** Tags are shorter than types of events may be. */
const LONGEST_TAG = 128
const tagsOf = ({ name }: StoredGroup, pipeline: string, eventType: string): readonly string[] =>
  [`pipeline-group:${name}`, `pipeline:${pipeline}`, `event:${eventType}`].filter(({ length }) => length <= LONGEST_TAG)

const isClosed = (error: unknown): boolean => error instanceof GraflowError && error.code === 'CLOSED'

function noRoute({ name, routes }: StoredGroup, eventType: string): GraflowError {
  const patterns = [...new Set(routes.filter(({ from }) => from === EXTERNAL).flatMap((route) => route.eventTypes))]
  const listed = patterns.slice(0, 20).join(', ')
  return new GraflowError(
    'NO_ROUTE',
    `no route of pipeline group "${name}" from ${EXTERNAL} takes events of the type ${JSON.stringify(eventType)}: its patterns are ${listed === '' ? 'none' : listed}`,
    { details: { eventType, patterns: patterns.slice(0, 20) } },
  )
}
