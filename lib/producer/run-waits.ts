/**
 * Why a run stands still, as the store has it now: a reason for each place where something waits. What works has none. Reasons are looked for in the
 * order in which they would have to go: a group of a paused queue waits for the pause, whatever else it lacks. Hides what is asked for that; what all
 * runs have in common is asked once for a while.
 */
import type { GroupStatus, RunRecord, SessionStatus, WaitingLane } from '../backend/backend.js'
import { buildCapability, ownOf } from '../backend/reserved.js'
import { isEnded } from '../engine/driver.js'
import { labelsOfPlaces, StoredLabels } from '../engine/branch-labels.js'
import { codeFrom, describeCode, isTask } from '../engine/routing.js'
import type { StepRecord } from '../engine/step-journal.js'
import { GraflowError } from '../errors.js'
import type { Graph } from '../graph/graph.js'
import { describeRequirement, has } from '../session/unserved-words.js'
import { elapsedMs } from '../time.js'
import { decode } from '../values/codec.js'
import { runNotFound, type HandleServices } from './handle-services.js'
import { describeWait } from './signals.js'
import type { RunWait } from './types.js'

type Services = Pick<HandleServices, 'backend' | 'engine'>
type Inspect = Services['backend']['inspect']

/** Where submitted runs wait. */
const RUNS = 'runs'
/** What all runs have in common is asked for once in so long. */
const LOOK_MS = 100

/** What a run waits for now; nothing of one that is over. @throws GraflowError RUN_NOT_FOUND */
export async function waitsOfRun(services: Services, runId: string): Promise<readonly RunWait[]> {
  const { inspect } = services.backend
  const record = await inspect.run(runId)
  if (record === undefined) throw runNotFound(runId)
  return isEnded(record) ? [] : waitsIn(services, record, await inspect.groups(runId))
}

/** The same of a run that is known, with its groups, and its steps where these were read. */
export async function waitsIn(
  { backend: { inspect }, engine }: Services,
  record: RunRecord,
  groups: readonly GroupStatus[],
  known?: readonly StepRecord[],
): Promise<readonly RunWait[]> {
  const { runId } = record
  if (isEnded(record)) return []
  const load = (hash: string): Promise<Graph | undefined> => graphOr(() => engine.graphs.load(hash))
  const [open, steps, graph] = await Promise.all([
    inspect.openWaits(runId),
    known ?? engine.stepsSeen.of(runId),
    load(record.graph),
  ])
  const look = lookOf(inspect, () => elapsedMs(engine.parts.clock))
  const now = once(() => inspect.now())
  const found: RunWait[] = []
  const add = (wait: Wait): void => void found.push({ runId, ...wait })
  if (graph === undefined)
    add({ ...{ path: '', count: 1, since: startOf(record), why: 'graph' }, details: { graph: record.graph } })
  if (record.state === 'paused')
    add({ ...{ path: '', count: 1, since: at(record.pausedAt ?? record.createdAt), why: 'paused' }, details: {} })
  if (record.state === 'pending' || record.state === 'abandoned') add(await driverWait(record, graph, look, now))
  for (const group of groups)
    if (group.state === 'open') for (const wait of await waitsAt(group, record, look, now)) add(wait)
  if (record.state === 'running') for (const wait of retriesAmong(steps)) add(wait)
  const waits = [...found, ...open.map((wait) => describeWait(graph, runId, wait))]
  const paths = waits.map(({ path }) => path)
  const labelOf = await labelsOfPlaces(new StoredLabels(inspect, runId), runId, groups, load, paths)
  const { workflow } = record
  return waits.map((wait) => {
    const label = labelOf(wait.path)
    return { ...wait, ...(workflow !== undefined && { workflow }), ...(label !== undefined && { label }) }
  })
}

/** What waits of an open group. */
async function waitsAt(
  group: GroupStatus,
  { runId, state }: RunRecord,
  look: Look,
  now: () => Promise<number>,
): Promise<Wait[]> {
  const found: Wait[] = []
  const path = group.gid.slice(runId.length + 1)
  const [task] = group.tasks.length === 1 ? group.tasks : []
  const place = { path, ...(task !== undefined && isTask(task) && { task }) }
  if (group.ready > 0 && state !== 'paused') {
    const since = at(group.since ?? group.openedAt)
    found.push({ ...place, count: group.ready, since, ...(await reasonOf(group, look, now)) })
  }
  const delayed = group.delayed - group.parked
  if (delayed > 0) {
    const error = group.retried === undefined ? undefined : decode(group.retried.error)
    const since = at(group.retried?.at ?? group.openedAt)
    found.push({ ...place, count: delayed, since, why: 'delay', details: error instanceof Error ? { error } : {} })
  }
  for (const { path: inside, startsAt } of group.waitingInPlace)
    found.push({
      ...{ path: inside, count: 1, since: at(group.openedAt), why: 'delay', details: { dueAt: at(startsAt) } },
    })
  return found
}

/** Steps of the driver that wait for their next start. */
const retriesAmong = (steps: readonly StepRecord[]): Wait[] =>
  steps.flatMap(({ path, task, state, startedAt, endedAt, error, attempt }): Wait[] => {
    if (state !== 'retrying') return []
    const thrown = error === undefined ? undefined : decode(error)
    const details = { attempt, ...(thrown instanceof Error && { error: thrown }) }
    return [{ path, task, count: 1, since: at(endedAt ?? startedAt), why: 'delay', details }]
  })

type Wait = Omit<RunWait, 'runId'>
type Reason = Pick<RunWait, 'why' | 'details' | 'task'>

/** Why nobody takes what is ready of a group. */
async function reasonOf(group: GroupStatus, look: Look, now: () => Promise<number>): Promise<Reason> {
  const { queue, requires, tasks, affinity, limit, granted } = group
  if ((await look.paused()).has(queue)) return { why: 'paused', details: { queue } }
  if (limit > 0 && granted >= limit) return { why: 'limit', details: { queue, limit, running: granted } }
  const sessions = await look.sessions()
  const asked = sessions.filter(({ queues }) => has(queues, queue))
  const lacking = lackOf(asked, { requires, tasks })
  if (lacking !== undefined) return { ...lacking, details: { queue, workers: asked.length, ...lacking.details } }
  const until = group.affinityUntil ?? 0
  if (affinity !== undefined && until > (await now()) && sessions.some(({ baseId }) => baseId === affinity))
    return { why: 'affinity', details: { queue, worker: affinity, dueAt: at(until) } }
  return { why: 'busy', details: { queue, workers: asked.length } }
}

/** What these workers lack for some work; undefined where one could take it, or several together. */
function lackOf(
  asked: readonly SessionStatus[],
  { requires, tasks }: Pick<GroupStatus, 'requires' | 'tasks'>,
): Reason | undefined {
  if (asked.length === 0) return { why: 'worker', details: namesOf(tasks) }
  // whatever they are capable of: for this it will fail
  const nobodys = unknownTo(asked, tasks)
  if (nobodys !== undefined) return nobodys
  const able = asked.filter(({ capabilities }) => requires.every((name) => has(capabilities, name)))
  if (able.length === 0) {
    const lacking = requires.filter((name) => !asked.some(({ capabilities }) => has(capabilities, name)))
    return { why: 'capability', details: { requires: wordsFor(lacking.length > 0 ? lacking : requires) } }
  }
  return unknownTo(able, tasks)
}

function unknownTo(workers: readonly SessionStatus[], tasks: readonly string[]): Reason | undefined {
  const unknown = tasks.filter((name) => !workers.some((worker) => has(worker.tasks, name)))
  const [first] = unknown
  if (first === undefined) return undefined
  return { why: 'task', ...(isTask(first) && { task: first }), details: namesOf(unknown) }
}

/** Why nobody drives a run: what its driver would need and nobody has, else that somebody must take it up, or is about to. */
async function driverWait(
  record: RunRecord,
  graph: Graph | undefined,
  look: Look,
  now: () => Promise<number>,
): Promise<Wait> {
  const place = { path: '', count: 1 }
  if (record.state === 'pending' && (await look.paused()).has(RUNS))
    return { ...place, since: startOf(record), why: 'paused', details: { queue: RUNS } }
  const found = laneOf(await look.waitingRuns(), record.runId)
  const since = found === undefined ? startOf(record) : at((await now()) - found.waitedMs)
  const sessions = await look.sessions()
  const drivers = sessions.filter(({ queues }) => has(queues, RUNS))
  const details = { queue: RUNS, workers: drivers.length }
  if (record.state === 'abandoned' && found === undefined) return { ...place, since, why: 'driver', details }
  const { tasks, requires } = found?.lane ?? needsOf(record, graph)
  // a driver dispatches what it does not know: for that any worker will do
  const missing = drivers.length === 0 ? tasks : tasks.filter((name) => !sessions.some((one) => has(one.tasks, name)))
  const isAble = drivers.some(({ capabilities }) => requires.every((name) => has(capabilities, name)))
  const [first] = missing.filter(isTask)
  const named = { details: { ...details, ...namesOf(missing) }, ...(first !== undefined && { task: first }) }
  if (drivers.length === 0) return { ...place, since, why: 'worker', ...named }
  if (missing.length > 0) return { ...place, since, why: 'task', ...named }
  if (!isAble) return { ...place, since, why: 'capability', details: { ...details, requires: wordsFor(requires) } }
  return { ...place, since, why: record.state === 'abandoned' ? 'driver' : 'busy', details }
}

/** What its driver needs, of a run that stands behind very many others: the store names the first ones only. */
const needsOf = ({ build }: RunRecord, graph: Graph | undefined): Pick<WaitingLane, 'tasks' | 'requires'> => ({
  tasks: graph === undefined ? [] : codeFrom(graph, 0),
  requires: build === undefined ? [] : [buildCapability(build)],
})

const laneOf = (
  lanes: readonly WaitingLane[],
  runId: string,
): { readonly lane: WaitingLane; readonly waitedMs: number } | undefined => {
  for (const lane of lanes) {
    const group = lane.groups.find(({ gid }) => gid === runId)
    if (group !== undefined) return { lane, waitedMs: group.waitedMs }
  }
  return undefined
}

/** What is the same for all runs, as it was a moment ago. */
interface Look {
  readonly sessions: () => Promise<readonly SessionStatus[]>
  readonly paused: () => Promise<ReadonlySet<string>>
  readonly waitingRuns: () => Promise<readonly WaitingLane[]>
}

const looks = new WeakMap<Inspect, { readonly look: Look; readonly until: number }>()

function lookOf(inspect: Inspect, now: () => number): Look {
  const known = looks.get(inspect)
  if (known !== undefined && known.until > now()) return known.look
  const look = {
    sessions: once(async () => (await inspect.sessions()).filter(({ role }) => role !== 'observer')),
    paused: once(
      async () => new Set((await inspect.queues()).flatMap(({ queue, isPaused }) => (isPaused ? [queue] : []))),
    ),
    waitingRuns: once(() => inspect.waiting(RUNS)),
  }
  looks.set(inspect, { look, until: now() + LOOK_MS })
  return look
}

function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let asked: Promise<T> | undefined
  return () => (asked ??= ask())
}

const at = (ms: number): Date => new Date(ms)
const startOf = ({ startedAt, createdAt }: RunRecord): Date => at(startedAt ?? createdAt)

const namesOf = (tasks: readonly string[]): { readonly tasks?: readonly string[] } =>
  tasks.length === 0 ? {} : { tasks: tasks.map(describeCode) }

/** Capabilities as their users named them; where there are none of these, what the others stand for. */
const wordsFor = (requires: readonly string[]): readonly string[] => {
  const own = ownOf(requires)
  return own === 'all' || own.length === 0 ? requires.map(describeRequirement) : own
}

/** Undefined where the store does not keep it. */
async function graphOr(load: () => Promise<Graph>): Promise<Graph | undefined> {
  try {
    return await load()
  } catch (error) {
    if (error instanceof GraflowError && error.code === 'NO_GRAPH') return undefined
    throw error
  }
}
