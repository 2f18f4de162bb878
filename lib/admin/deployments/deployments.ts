/**
 * Groups of pipelines: what is deployed, where its pipelines are, and the events that go through them. Keeps nothing but a look at the workers for a
 * moment: all else is in the store, so that any number of processes may do this at once.
 *
 * The file is long because deploying, placing, injecting and tearing down change the same records.
 */
import { createHash } from 'node:crypto'
import { describeError } from '../../describe.js'
import { isEnded, outcomeOfRun } from '../../engine/driver.js'
import { GraflowError } from '../../errors.js'
import { expressionOf } from '../../flow/node.js'
import { graphOf } from '../../graph/graph-of.js'
import { checkOptions, PAGE_OPTIONS, type OptionTable } from '../../options.js'
import type {
  Deployments,
  Injection,
  InjectOptions,
  PipelineDelivery,
  PipelineEvent,
  PipelineGroup,
  PipelineGroupSpec,
  Topology,
} from '../../producer/deployment-types.js'
import type { Page, PageOptions } from '../../producer/operator-types.js'
import { workflowNamed } from '../../producer/named-workflows.js'
import type { OperatorServices } from '../../producer/operators.js'
import { baseIdOf } from '../../producer/run-handle.js'
import type { Run } from '../../producer/types.js'
import { PeriodicTask } from '../../session/periodic-task.js'
import { elapsedMs, withDeadline } from '../../time.js'
import { encode } from '../../values/codec.js'
import { flowOfKnownText, flowOfText, liveTasks, type FlowTextServices } from '../flow-text.js'
import { pageOf } from '../pages.js'
import { GroupStore, type GroupFound, type StoredGroup, type StoredPipeline } from './group-store.js'
import { InjectionStore, type StoredInjection, type TakenInjection } from './injection-store.js'
import { Journey, type JourneyServices, type PipelineEnd } from './journey.js'
import { isAnyMisplaced, isSame, placesOf, viewOf, type Candidates } from './group-view.js'
import { candidatesFrom } from './placement.js'
import { EXTERNAL, targetsOf } from './routing.js'
import { eventOf, groupOf, type CheckedGroup } from './specs.js'
import { topologyOf } from './topology.js'

/** Groups at once. */
const MOST_GROUPS = 500
/** Bytes of what is stored of a group. */
const MOST_GROUP_BYTES = 256 * 1024
/** A look at the workers is good for so long: one that is lost meanwhile keeps nothing from being run. */
const LOOK_MS = 500
/** How often events are looked for whose process is gone. */
const CARRY_ON_MS = 1_000

const INJECT_OPTIONS = {
  waitMs: { kind: 'integer', default: 30_000, unit: 'ms', min: 0, max: 600_000, help: '' },
  idempotencyKey: { kind: 'string', pattern: /^[^]{1,256}$/, example: 'order-1', help: '' },
  signal: { kind: 'object', like: { what: 'an AbortSignal', methods: ['addEventListener'] }, help: '' },
} as const satisfies OptionTable

export class DeploymentDesk implements Deployments {
  readonly #services: OperatorServices
  readonly #groups: GroupStore
  readonly #injections: InjectionStore
  #look: { readonly at: number; readonly candidates: Promise<Candidates> } | undefined
  /** Names of the documents of events that this process carries. */
  readonly #carried = new Set<string>()
  /** Of events whose group cannot be read: the group, and a digest of what it is. */
  readonly #parked = new Map<string, { readonly groupId: string; readonly digest: string }>()

  constructor(services: OperatorServices) {
    this.#services = services
    this.#groups = new GroupStore(services.backend, services.newId)
    this.#injections = new InjectionStore(services.backend, services.newId)
  }

  async deploy(given: PipelineGroupSpec): Promise<PipelineGroup> {
    this.#services.checkOpen()
    const checked = groupOf(given)
    const group = await this.#stored(checked)
    const candidates = await this.#candidates(true)
    let found: GroupFound = { group, places: new Map() }
    const about = { name: group.name, withLoads: isByLoad(group) }
    await this.#groups.change(about, ({ named, cursor, placed, groups }) => {
      if (named !== undefined) {
        if (!isSame(named.group, group)) throw exists(named.group)
        found = named
        return undefined
      }
      if (groups >= MOST_GROUPS) throw tooMany(groups)
      const decided = placesOf({ group, places: new Map() }, candidates, { cursor, placed: new Map(placed) })
      found = { group, places: decided.places }
      return { group, places: [{ id: group.id, places: decided.places }], cursor: decided.cursor }
    })
    return viewOf(found, candidates)
  }

  async list(options?: PageOptions): Promise<Page<PipelineGroup>> {
    this.#services.checkOpen()
    const page = pageOf(await this.#groups.ids(), checkOptions('deployments.list', PAGE_OPTIONS, options), (id) => id)
    const candidates = await this.#candidates()
    const placed = await this.#placed(await this.#groups.some(page.items), candidates)
    return { ...page, items: placed.map((one) => viewOf(one, candidates)) }
  }

  async get(id: string): Promise<PipelineGroup | undefined> {
    this.#services.checkOpen()
    const found = await this.#groups.get(id)
    if (found === undefined) return undefined
    const candidates = await this.#candidates()
    const [placed = found] = await this.#placed([found], candidates)
    return viewOf(placed, candidates)
  }

  async delete(id: string): Promise<boolean> {
    this.#services.checkOpen()
    return this.#groups.remove(id)
  }

  async inject(id: string, given: PipelineEvent, options?: InjectOptions): Promise<Injection> {
    this.#services.checkOpen()
    const how = checkOptions<InjectOptions>('deployments.inject', INJECT_OPTIONS, options)
    const { waitMs = INJECT_OPTIONS.waitMs.default, idempotencyKey, signal } = how
    const { eventType, fields } = eventOf(given)
    const found = await this.#groups.get(id)
    if (found === undefined) throw notFound(id)
    encode(fields, 'the fields of the event', this.#services.engine.parts.limits.itemBytes, 'itemBytes')
    const name = idempotencyKey === undefined ? this.#services.newId() : idFrom(id, idempotencyKey)
    const injection = { id: name, groupId: id, eventType, fields, carrier: this.#services.newId() }
    const { journey, over } = await this.#begin(injection, found)
    await withDeadline(this.#services.clock, waitMs, unlessAborted(over, signal), () => undefined)
    return this.#answer(name, journey.deliveries)
  }

  async topology(): Promise<Topology> {
    this.#services.checkOpen()
    const { items } = await this.list({ limit: 200 })
    return topologyOf(this.#services, items)
  }

  carryOn(): () => void {
    const { clock, engine } = this.#services
    const task = new PeriodicTask({
      ...{ clock, random: engine.parts.random },
      turn: async () => {
        await this.#takeOver()
        return CARRY_ON_MS
      },
      onError: (error) => {
        const message = `events whose process was lost cannot be looked for: ${describeError(error)}`
        engine.parts.emitter.emit('log', { level: 'warn', message })
      },
    })
    task.startIn(CARRY_ON_MS)
    return () => void task.stop()
  }

  // -------------------------------------------------------------------------------------------------------- deployed groups

  /** Looks whether all sources are flows. @throws GraflowError FLOW_SYNTAX, UNKNOWN_NAME, LIMIT_EXCEEDED */
  async #stored(checked: CheckedGroup): Promise<StoredGroup> {
    const { engine, backend, newId } = this.#services
    const asked = { engine, backend: { inspect: oneLookAt(backend.inspect) } }
    const { registry } = engine
    const tasks = new Set([...registry.taskNames(), ...(await liveTasks(asked))])
    const workflows = new Set([...registry.workflows.keys(), ...(await asked.backend.inspect.workflowNames())])
    const pipelines: StoredPipeline[] = []
    for (const [i, pipeline] of checked.pipelines.entries()) {
      const name = pipeline.source.trim()
      const isWorkflow = workflows.has(name) && !tasks.has(name)
      const at = `pipelines[${i}].source`
      const { graph } = isWorkflow
        ? await workflowNamed(asked.backend.inspect, engine, name)
        : { graph: graphOf(expressionOf(await naming(at, flowOfText(asked, pipeline.source, at)))) }
      pipelines.push({ ...pipeline, isWorkflow, tasks: Object.keys(graph.tasks) })
    }
    const group = { ...checked, id: newId(), createdAt: await backend.inspect.now(), pipelines }
    const bytes = Buffer.byteLength(JSON.stringify(group))
    if (bytes > MOST_GROUP_BYTES) throw tooLarge(bytes)
    return group
  }

  /** Workers that take submitted runs. @param isNow as they are now, not as they were a moment ago */
  #candidates(isNow = false): Promise<Candidates> {
    const { clock, backend } = this.#services
    const now = elapsedMs(clock)
    if (isNow || this.#look === undefined || now - this.#look.at >= LOOK_MS) {
      const { inspect } = backend
      const candidates = Promise.all([inspect.sessions(), inspect.nodes()]).then(([sessions, nodes]) =>
        candidatesFrom(sessions, nodes),
      )
      this.#look = { at: now, candidates }
      candidates.catch(() => {
        this.#look = undefined
      })
    }
    return this.#look.candidates
  }

  /** Places anew what is not right any more, for all to see: in one write, since each write makes those of others begin anew. */
  async #placed(found: readonly GroupFound[], candidates: Candidates): Promise<readonly GroupFound[]> {
    const wrong = found.filter((one) => isAnyMisplaced(one, candidates)).map(({ group }) => group)
    if (wrong.length === 0) return found
    const about = { ids: wrong.map(({ id }) => id), withLoads: wrong.some(isByLoad) }
    let now = new Map<string, GroupFound>()
    await this.#groups.change(about, ({ found: seen, cursor, placed }) => {
      now = new Map(seen)
      const state = { cursor, placed: new Map(placed) }
      const places = [...seen.values()].flatMap(({ group, places: before }) => {
        if (!isAnyMisplaced({ group, places: before }, candidates)) return []
        const decided = { group, places: placesOf({ group, places: before }, candidates, state).places }
        now.set(group.id, decided)
        return [{ id: group.id, places: decided.places }]
      })
      return places.length === 0 ? undefined : { places, cursor: state.cursor }
    })
    return found.map((one) => now.get(one.group.id) ?? one)
  }

  // ------------------------------------------------------------------------------------------------------------------ events

  /** An event that one run is all of needs no document: the store has the run. */
  async #begin(injection: StoredInjection, found: GroupFound): Promise<Carried> {
    const { eventType } = injection
    const { routes } = found.group
    const targets = targetsOf(routes, EXTERNAL, eventType)
    const isOneRun = targets.length === 1 && !routes.some(({ from }) => targets.includes(from))
    if (targets.length === 0 || isOneRun) return this.#carry(injection, found)
    const name = this.#injections.nameFor(this.#services.session)
    this.#carried.add(name)
    try {
      await this.#injections.put(name, injection)
      return await this.#carry(injection, found, name)
    } catch (error) {
      await this.#injections.remove(name).catch(() => undefined) // the next look takes it up
      this.#carried.delete(name)
      throw error
    }
  }

  /**
   * @param name of its document, where it has one, which goes once all is over; if this process ends before, another finds it
   */
  async #carry(injection: StoredInjection, found: GroupFound, name?: string): Promise<Carried> {
    const { id, eventType, fields } = injection
    const event = { eventType, input: fields }
    const log = this.#injections.startedLog(injection)
    const known = name === undefined ? [] : await this.#injections.started(id)
    // whoever began it may end it meanwhile, and must not forget what is known
    if (known.length > 0) await log.join(known)
    const keep = name === undefined ? (): void => undefined : log.keep
    const journey = new Journey(id, found.group, { ...this.#journeyServices(found), known, keep })
    const { over } = await journey.begin(event)
    if (name === undefined) return { journey, over }
    const ended = over
      .then(() => log.end())
      .then(() => this.#injections.remove(name))
      .finally(() => {
        this.#carried.delete(name)
      })
    ended.catch(() => undefined) // whoever waits for it hears of it
    return { journey, over: ended }
  }

  /** Carries on all events whose process is gone. @throws what kept one of them from it; the others are carried on */
  async #takeOver(): Promise<void> {
    const { session } = this.#services
    await this.#unpark()
    const isInHand = (name: string): boolean => this.#carried.has(name) || this.#parked.has(name)
    const orphans = await this.#injections.orphans(session, isInHand)
    const faults: unknown[] = []
    for await (const page of this.#injections.takeOver(session, orphans)) {
      const taken = await Promise.allSettled(page.map((one) => this.#takeUp(one)))
      faults.push(...taken.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : [])))
    }
    if (faults.length > 0) throw faults[0]
  }

  /** Where it throws, the next look takes it up again. */
  async #takeUp({ name, injection }: TakenInjection): Promise<void> {
    const { id, groupId } = injection
    let found: GroupFound | undefined
    try {
      found = await this.#groups.get(groupId)
    } catch (error) {
      if (!(error instanceof GraflowError) || error.code !== 'INTEGRITY') throw error
      return this.#park(name, groupId, error)
    }
    if (found === undefined) return this.#injections.forget(name, id)
    this.#carried.add(name)
    try {
      await this.#carry(injection, found, name)
    } catch (error) {
      this.#carried.delete(name)
      if (!(error instanceof GraflowError) || error.retryable || error.code === 'CLOSED') throw error
      await this.#injections.forget(name, id)
      const message = `event ${id} for pipeline group "${found.group.name}" cannot be carried on: ${error.message}`
      this.#services.engine.parts.emitter.emit('log', { level: 'error', message })
    }
  }

  /** An event whose group cannot be read waits, in this process, until that has changed; that is said once of a group. */
  async #park(name: string, groupId: string, { message }: GraflowError): Promise<void> {
    const digest = await this.#groups.digest(groupId)
    const isKnown = [...this.#parked.values()].some((one) => one.groupId === groupId && one.digest === digest)
    this.#parked.set(name, { groupId, digest })
    if (isKnown) return
    const fault = `events of a lost process wait: ${message}`
    this.#services.engine.parts.emitter.emit('log', { level: 'warn', message: fault })
  }

  /** Those whose group is another by now are orphans again. */
  async #unpark(): Promise<void> {
    for (const groupId of new Set([...this.#parked.values()].map((one) => one.groupId))) {
      const digest = await this.#groups.digest(groupId)
      for (const [name, one] of this.#parked)
        if (one.groupId === groupId && one.digest !== digest) this.#parked.delete(name)
    }
  }

  #journeyServices(found: GroupFound): Omit<JourneyServices, 'known' | 'keep'> {
    const { clock, engine, backend, submit, retentionMs } = this.#services
    return {
      ...{ clock, submit },
      flowOf: async ({ source, isWorkflow, tasks }) =>
        isWorkflow
          ? workflowNamed(backend.inspect, engine, source.trim())
          : { graph: graphOf(flowOfKnownText({ engine }, source, tasks)), expression: undefined },
      placeOf: async ({ name }) => {
        const candidates = await this.#candidates()
        const [placed] = await this.#placed([(await this.#groups.get(found.group.id)) ?? found], candidates)
        const place = placed?.places.get(name)
        return place !== undefined && candidates.has(place) ? place : undefined
      },
      endOf: (run) => this.#endOf(run),
      isDeployed: () => this.#groups.has(found.group.id),
      keptUntil: () => clock.now() + retentionMs,
      exists: async (runId) => (await backend.inspect.run(runId)) !== undefined,
      runOf: (runId) => this.#services.handleOf(runId),
    }
  }

  /** @throws GraflowError CLOSED */
  async #endOf(run: Run<unknown>): Promise<PipelineEnd> {
    const outcome = await run.result().then(
      (result) => ({ result }),
      (error: unknown) => ({ error: error as GraflowError }),
    )
    const record = await this.#services.backend.inspect.run(run.id)
    if (record === undefined || !isEnded(record)) {
      if ('error' in outcome) {
        const { error } = outcome
        // It was deleted, before or after it was waited for.
        if (record === undefined && (error.code === 'CANCELLED' || error.code === 'RUN_NOT_FOUND'))
          return { state: 'cancelled', workerId: undefined, error }
        throw error // the client is closed, or the run is past its retention
      }
      return { state: 'completed', workerId: undefined, ...outcome }
    }
    const workerId = baseIdOf(record.driver)
    const ended = outcomeOfRun(record)
    return 'error' in ended
      ? { state: record.state, workerId, error: ended.error }
      : { state: record.state, workerId, result: ended.value }
  }

  /** Of runs that are not over the state is asked now. */
  async #answer(id: string, deliveries: readonly PipelineDelivery[]): Promise<Injection> {
    const { inspect } = this.#services.backend
    const all = await Promise.all(
      deliveries.map(async (delivery): Promise<PipelineDelivery> => {
        if (delivery.state !== 'pending') return delivery
        const record = await inspect.run(delivery.runId)
        if (record === undefined || isEnded(record)) return delivery // what it gave comes with the next look
        return { ...delivery, state: record.state, workerId: baseIdOf(record.driver) ?? delivery.workerId }
      }),
    )
    const [first] = all
    if (first === undefined) throw new GraflowError('INTERNAL', 'expected a pipeline that got the event')
    return { ...first, id, deliveries: all }
  }
}

/** An event that this process carries. */
interface Carried {
  readonly journey: Journey
  /** Resolves when all is over. */
  readonly over: Promise<void>
}

const isByLoad = ({ placement }: StoredGroup): boolean => placement === 'least-loaded'

/** What it gives, or nothing once the signal aborts. */
async function unlessAborted(promise: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return promise
  if (signal.aborted) return
  let stop: () => void = () => undefined
  const aborted = new Promise<void>((resolve) => {
    stop = resolve
    signal.addEventListener('abort', stop)
  })
  try {
    await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/** An event that is named: the same name in the same group is the same event. */
const idFrom = (group: string, key: string): string =>
  createHash('sha256').update(`${group}\n${key}`).digest('hex').slice(0, 36)

/** The same looks as often as they are asked for, once. */
function oneLookAt(inspect: FlowTextServices['backend']['inspect']): FlowTextServices['backend']['inspect'] {
  let [sessions, workflows]: [
    ReturnType<typeof inspect.sessions> | undefined,
    ReturnType<typeof inspect.workflowNames> | undefined,
  ] = [undefined, undefined]
  return {
    ...inspect,
    workflow: (name) => inspect.workflow(name),
    sessions: () => (sessions ??= inspect.sessions()),
    workflowNames: () => (workflows ??= inspect.workflowNames()),
  }
}

/** With what is wrong, where it stands. */
async function naming<T>(option: string, flow: Promise<T>): Promise<T> {
  try {
    return await flow
  } catch (error) {
    if (!(error instanceof GraflowError) || error.details['option'] === option) throw error
    const { code, message, details } = error
    throw new GraflowError(code, `${option}: ${message}`, { details: { ...details, option }, cause: error.cause })
  }
}

const notFound = (id: string): GraflowError =>
  new GraflowError('PIPELINE_GROUP_NOT_FOUND', `there is no pipeline group ${JSON.stringify(id.slice(0, 64))}`, {
    details: { group: id },
  })

const exists = ({ id, name }: StoredGroup): GraflowError =>
  new GraflowError(
    'PIPELINE_GROUP_EXISTS',
    `another pipeline group is deployed as "${name}" (${id}): tear that one down first, or take another name`,
    { details: { group: id } },
  )

const tooMany = (groups: number): GraflowError =>
  new GraflowError('LIMIT_EXCEEDED', `expected at most ${MOST_GROUPS} pipeline groups, got ${groups}: tear some down`, {
    details: { most: MOST_GROUPS },
  })

const tooLarge = (bytes: number): GraflowError =>
  new GraflowError('LIMIT_EXCEEDED', `a pipeline group has at most ${MOST_GROUP_BYTES} bytes, got ${bytes}`, {
    details: { most: MOST_GROUP_BYTES, bytes },
  })
