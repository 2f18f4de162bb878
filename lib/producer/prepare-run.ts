/** From what a client is asked to run to the request that opens it: checked, encoded and named. Nothing is sent. */
import { describe, messageOf } from '../describe.js'
import { createHash, hash as hashOnce } from 'node:crypto'
import type { OpenRequest, RunTerms } from '../backend/backend.js'
import { together } from '../backend/reserved.js'
import type { Engine } from '../engine/engine.js'
import { beginsWithGroup, codeFrom, highestPriority, layoutFor, tasksInPlace } from '../engine/routing.js'
import { isInThread, notInAModule } from '../engine/start-task.js'
import { GraflowError, lookingAt } from '../errors.js'
import { tasksOf } from '../flow/collect.js'
import type { Expression } from '../flow/expression.js'
import type { BranchGraph } from '../graph/branch-graph.js'
import type { Graph } from '../graph/graph.js'
import { graphOf } from '../graph/graph-of.js'
import { checkOptions, RUN_OPTIONS } from '../options.js'
import type { Session } from '../session/open-session.js'
import { encode } from '../values/codec.js'
import { pinTo } from './builds.js'
import { isDistant } from './follow-run.js'
import type { RunOptions } from './types.js'

/** A flow as a run needs it: that of an expression, or one that is known by its graph only. */
export interface FlowToRun {
  readonly graph: Graph
  /** Undefined where no code of it is here. */
  readonly expression: Expression | undefined
  /** The name of a workflow, and what it says of its runs. */
  readonly workflow?: string
  readonly timeoutMs?: number | undefined
  readonly pin?: boolean | undefined
  /** The build that it is pinned to where the client has none. */
  readonly buildId?: string | undefined
  /** The worker that is to drive it, where any worker may. */
  readonly affinity?: string
}

/** The flow of an expression. */
export function flowToRun(expression: Expression): FlowToRun {
  const graph = graphOf(expression)
  if (expression.kind !== 'workflow') return { graph, expression }
  const { timeoutMs, pin } = expression.options
  return { graph, expression, workflow: expression.name, timeoutMs, pin }
}

/** A run that can be opened. */
export interface PreparedRun {
  readonly request: OpenRequest
  readonly expression: Expression | undefined
  readonly graph: Graph
  readonly workflow: string | undefined
  readonly timeoutMs: number | undefined
  /** Cancels the run. */
  readonly signal: AbortSignal | undefined
  /** Whether the first thing that its driver does is to dispatch a group. */
  readonly beginsWithGroup: boolean
}

/** Drivers that a run may lose before it has failed. */
const DRIVER_MAX_LOSSES = 1_000

/** Who drives a run: this process, whose caller waits for nothing else than its result; this process; any worker. */
export type Where = 'driven at once' | 'driven here' | 'driven anywhere'

/**
 * @param retentionMs how long record and results are kept after the end
 * @throws GraflowError INVALID_OPTION, CANCELLED, NOT_AVAILABLE, NOT_SERIALISABLE, LIMIT_EXCEEDED
 */
export function prepareRun(
  { engine, backend, id: session, newId, buildId }: Session,
  flow: FlowToRun,
  [input, options]: readonly [input?: unknown, options?: RunOptions],
  where: Where,
  retentionMs: number,
): PreparedRun {
  const given = checkOptions<RunOptions>('run', RUN_OPTIONS, options)
  const { signal } = given
  if (signal !== undefined) lookingAt('run: signal', 'INVALID_OPTION', () => refuseAborted(signal))
  // Elsewhere there are workers, and what this process cannot start goes to them.
  const { graph, expression, workflow } = flow
  if (!isDistant(backend) && expression !== undefined) refuseThreads(expression, engine)
  const hash = engine.graphs.keep(graph)
  const bytes = encode(input, 'the input of the run', engine.parts.limits.sharedInputBytes, 'sharedInputBytes')
  const timeoutMs = given.timeoutMs ?? flow.timeoutMs
  const pinned = (given.pin ?? flow.pin) === true ? pinTo(buildId ?? flow.buildId) : undefined
  const requires = together(layoutFor(graph), pinned?.requires ?? [])
  const tags = tagsOf(given.tags)
  const terms = termsOf(given)
  const request: OpenRequest = {
    runId: given.id ?? newId(),
    ...(workflow !== undefined && { workflow }),
    graph: hash,
    digest: digestOf(hash, bytes),
    ...(given.idempotencyKey !== undefined && { idempotencyKey: given.idempotencyKey }),
    input: bytes,
    ...(where === 'driven anywhere' ? flow.affinity !== undefined && { affinity: flow.affinity } : { session }),
    ifLost: given.ifLost ?? (where === 'driven at once' ? 'abandon' : 'take-over'),
    nonce: newId(),
    tasks: codeFrom(graph, 0),
    ...(requires.length > 0 && { requires }),
    ...(pinned !== undefined && { build: pinned.build }),
    priority: given.priority ?? highestPriority(graph, ownTasks(graph)),
    ...(tags.length > 0 && { tags }),
    ...(terms !== undefined && { terms }),
    maxLosses: DRIVER_MAX_LOSSES,
    timeoutMs: timeoutMs ?? 0,
    retentionMs,
  }
  // A flow over an empty list dispatches nothing: what comes next runs at once.
  const isEmptyList = Array.isArray(input) && input.length === 0
  return {
    ...{ request, expression, graph, workflow, timeoutMs, signal },
    beginsWithGroup: beginsWithGroup(graph.root) && !isEmptyList,
  }
}

const MOST_TAGS = 32
/** As long as a name, and no control character: lists of tags have a line each. */
const TAG = /^[^\p{Cc}\p{Zl}\p{Zp}]{1,128}$/u

/** Each once. @throws GraflowError INVALID_OPTION */
function tagsOf(given: readonly string[] = []): readonly string[] {
  const tags = [...new Set<unknown>(given)]
  const wrong = tags.find((tag) => typeof tag !== 'string' || !TAG.test(tag))
  if (wrong === undefined && tags.length <= MOST_TAGS) return tags as string[] // each is a text
  const got = tags.length > MOST_TAGS ? `${tags.length} tags` : describe(wrong)
  throw new GraflowError(
    'INVALID_OPTION',
    `run: tags: expected at most ${MOST_TAGS} texts of 1 to 128 characters without control characters, got ${got}`,
    { details: { option: 'tags' } },
  )
}

/** Undefined where nothing is asked. */
function termsOf({ queue, priority, durability }: RunOptions): RunTerms | undefined {
  const terms: RunTerms = {
    ...(queue !== undefined && { queue }),
    ...(priority !== undefined && { priority }),
    ...(durability !== undefined && durability !== 'async' && { durability }),
  }
  return Object.keys(terms).length === 0 ? undefined : terms
}

/** Work that the store has kept, to be run by itself. */
export interface StoredWork extends BranchGraph {
  readonly input: Uint8Array
  readonly idempotencyKey?: string
}

/** The request for a run of stored work, which any worker drives. */
export function prepareStored(
  { engine, newId }: Pick<Session, 'engine' | 'newId'>,
  { graph, workflow, timeoutMs, input, idempotencyKey }: StoredWork,
  retentionMs: number,
): OpenRequest {
  const hash = engine.graphs.keep(graph)
  const requires = layoutFor(graph)
  return {
    runId: newId(),
    ...(workflow !== undefined && { workflow }),
    graph: hash,
    digest: digestOf(hash, input),
    ...(idempotencyKey !== undefined && { idempotencyKey }),
    input,
    ifLost: 'take-over',
    nonce: newId(),
    tasks: codeFrom(graph, 0),
    ...(requires.length > 0 && { requires }),
    priority: highestPriority(graph, ownTasks(graph)),
    maxLosses: DRIVER_MAX_LOSSES,
    timeoutMs: timeoutMs ?? 0,
    retentionMs,
  }
}

/** Why a signal was aborted, as text. */
export const reasonOf = (signal: AbortSignal): string => messageOf(signal.reason)

function refuseAborted(signal: AbortSignal): void {
  if (!signal.aborted) return
  throw new GraflowError('CANCELLED', `the run was not started: its signal is aborted: ${reasonOf(signal)}`, {
    cause: signal.reason,
  })
}

/** Running such a task inline would block what it asked not to block. @throws GraflowError NOT_AVAILABLE */
function refuseThreads(expression: Expression, { parts: { threads } }: Engine): void {
  for (const { name, options } of tasksOf(expression).values()) {
    if (isInThread(options) && threads?.has(name) !== true) throw notInAModule(name)
  }
}

/** Below this, copying an input is faster than making an object that hashes it piece by piece. */
const MOST_COPIED_BYTES = 16 * 1024

/** Names flow and input: runs of one id are the same run where both are. @param hash of the graph */
export function digestOf(hash: string, input: Uint8Array): string {
  const text = Buffer.from(hash)
  if (input.length > MOST_COPIED_BYTES) return createHash('sha256').update(text).update(input).digest('hex')
  return hashOnce('sha256', Buffer.concat([text, input]))
}

const ownTasksOf = new WeakMap<Graph, readonly string[]>()

/** Names of the tasks that a run's driver starts itself, sorted; found once a graph. */
function ownTasks(graph: Graph): readonly string[] {
  let names = ownTasksOf.get(graph)
  if (names === undefined) ownTasksOf.set(graph, (names = [...tasksInPlace(graph, graph.root)].sort()))
  return names
}
