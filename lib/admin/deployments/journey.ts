/**
 * One event on its way through the pipelines of a group: runs those that its type is routed to, and routes their results on. The ids of its runs follow
 * from its own id and the way to them, so carrying it once more, in another process, too, meets the runs that are there.
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

  constructor(id: string, group: StoredGroup, services: JourneyServices) {
    this.#id = id
    this.#group = group
    this.#services = services
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
  async #deliver(from: string, to: string, event: TypedEvent, way: string, started?: Started): Promise<void> {
    for (let run = started; ; run = undefined) {
      try {
        await this.#follow(run ?? (await this.#start(from, to, event, way)), event, to)
        return
      } catch (error) {
        if (isClosed(error)) throw error
        if (!(error instanceof GraflowError) || !error.retryable) {
          this.#fail(from, to, event, way, error)
          return
        }
        await this.#pause()
      }
    }
  }

  async #start(from: string, to: string, event: TypedEvent, way: string): Promise<Started> {
    const index = this.#group.pipelines.findIndex(({ name }) => name === to)
    const pipeline = this.#group.pipelines[index]
    if (pipeline === undefined) throw new GraflowError('INTERNAL', `expected a pipeline ${to} in the group`)
    const ownWay = wayOf(way, index)
    const runId = `${this.#id}-${ownWay}`
    const workerId = await this.#services.placeOf(pipeline)
    const flow = await this.#services.flowOf(pipeline)
    const run = await this.#services.submit(
      { ...flow, ...(workerId !== undefined && { affinity: workerId }) },
      event.input,
      { id: runId, tags: tagsOf(this.#group, pipeline.name, event.eventType) },
    )
    const delivery: Delivery = { from, eventType: event.eventType, routedTo: to, workerId, runId, state: 'pending' }
    this.#put(delivery)
    return { run, way: ownWay, delivery }
  }

  /** Waits for a run, and routes its result on. */
  async #follow({ run, way, delivery }: Started, { eventType }: TypedEvent, name: string): Promise<void> {
    const end = await this.#services.endOf(run)
    Object.assign(delivery, { ...end, workerId: end.workerId ?? delivery.workerId })
    if (end.state !== 'completed') return
    const event = eventOfResult(end.result, eventType)
    const targets = targetsOf(this.#group.routes, name, event.eventType)
    if (targets.length === 0 || !(await this.#services.isDeployed())) return
    await Promise.all(targets.map((to) => this.#deliver(name, to, event, way)))
  }

  #fail(from: string, to: string, { eventType }: TypedEvent, way: string, thrown: unknown): void {
    const index = this.#group.pipelines.findIndex(({ name }) => name === to)
    const error = thrown instanceof GraflowError ? thrown : new GraflowError('INTERNAL', asError(thrown).message)
    const facts = { from, eventType, routedTo: to, runId: `${this.#id}-${wayOf(way, index)}` }
    this.#put({ ...facts, workerId: undefined, state: 'failed', error })
  }

  /** In place of an earlier try. */
  #put(delivery: Delivery): void {
    const at = this.#deliveries.findIndex(({ runId }) => runId === delivery.runId)
    if (at < 0) this.#deliveries.push(delivery)
    else this.#deliveries[at] = delivery
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#services.clock.after(AGAIN_MS, resolve, true)
    })
  }
}

type Delivery = { -readonly [K in keyof PipelineDelivery]: PipelineDelivery[K] }

interface Started {
  readonly run: Run<unknown>
  readonly way: string
  readonly delivery: Delivery
}

/** Two characters a pipeline: of the most pipelines behind each other that makes no id too long. */
const wayOf = (before: string, index: number): string => `${before}${index.toString(36).padStart(2, '0')}`

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
