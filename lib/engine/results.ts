/** Results of finished nodes of a run, by task or by path: saved outputs, outcomes of branches, and groups as their joins give them. */
import type { Inspector, OutcomesPage, RunRecord } from '../backend/backend.js'
import { GraflowError } from '../errors.js'
import type { Expression } from '../flow/expression.js'
import type { EachNode, Graph, GraphNode, GroupNode } from '../graph/graph.js'
import { groupSegment, nodeAt, pathUnder, staticPath, stepsOf } from '../graph/locate.js'
import { decode } from '../values/codec.js'
import { plainOutput } from './directives.js'
import { GroupOutcomes } from './group-outcomes.js'
import { namesOf, termsOfGroup } from './group-plan.js'
import { joinResult } from './joins.js'
import { linkIn } from './result-links.js'
import {
  knownPath,
  layerAt,
  MOST_PATHS,
  placesOf,
  type Asker,
  type Layer,
  type Place,
  type RunFlows,
} from './result-paths.js'
import { decodeItem } from '../values/value-lists.js'
import { failureWithin, failureOfBranch } from './failure-within.js'

/** Where results are looked for. */
interface Source extends Layer {
  readonly inspect: Inspector
  readonly runId: string
  /** Outputs that are not in the store yet. */
  readonly local: (path: string) => Uint8Array | undefined
}

/** Undefined: there is none (yet). */
type Found = { readonly value: unknown } | undefined

/**
 * What the task, or the node at a path, gave. A group gives what its join makes of its branches' outcomes, a workflow or sequence what its
 * last step gave, a choose what its chosen case gave, a loop what its last pass gave.
 * @param graph the run's own
 * @param local outputs that are not in the store yet
 * @throws GraflowError RESULT_NOT_FOUND, RESULT_AMBIGUOUS with the paths; RESULT_NOT_READY while it may still come; why the node failed, if
 * it did
 */
export async function readResult(
  flows: RunFlows,
  graph: Graph,
  target: string | Expression,
  local: (path: string) => Uint8Array | undefined = () => undefined,
  asker?: Asker,
): Promise<unknown> {
  const { inspect, runId } = flows
  const places: readonly Place[] =
    typeof target === 'string' ? [{ path: knownPath(graph, target) }] : await placesOf(flows, graph, target, asker)
  const sources: { readonly source: Source; readonly path: string }[] = []
  for (const { path, layer } of places) {
    const source: Source = {
      inspect,
      runId,
      local,
      ...((layer ?? (await layerAt(flows, path))) || { graph, base: '' }),
    }
    const found = await find(source, path)
    if (found !== undefined) return found.value
    sources.push({ source, path })
  }
  // What is nearest is what is meant.
  const { source, path } = sources[0] as (typeof sources)[number] // there is at least one place
  await throwFailureAt(source, path)
  const run = await inspect.run(runId)
  if (run === undefined || run.endedAt !== undefined) {
    // it may have come, and the run have ended, between the two looks
    const late = await find(source, path)
    if (late !== undefined) return late.value
    await throwFailureAt(source, path)
    const end = failureOf(run)
    const arose = failureWithin(end, path)
    if (arose !== undefined) throw arose
    const failure = end === undefined ? undefined : failureOfBranch(end, branchOf(source, path))
    if (failure !== undefined) throw failure
    throw await neverReady(source, graph, path, run?.state, end)
  }
  throw new GraflowError('RESULT_NOT_READY', `the node at ${path} of run ${runId} has no result yet`, {
    details: { runId, path },
  })
}

/** The node at a path of the run; undefined where it stands in another graph. */
function nodeIn({ graph, base }: Layer, path: string): GraphNode | undefined {
  const own = ownPath(base, path)
  if (own === '' && base !== '') return { kind: 'sequence', steps: stepsOf(graph) }
  return own === undefined ? undefined : nodeAt(graph, staticPath(graph, own) ?? own)
}

/** A path of the run as one of the graph that stands at `base`. */
function ownPath(base: string, path: string): string | undefined {
  if (base === '') return path
  if (path === base) return ''
  return path.startsWith(`${base}/`) ? path.slice(base.length + 1) : undefined
}

async function find(source: Source, path: string): Promise<Found> {
  const { inspect, runId, local } = source
  const saved = local(path) ?? (await inspect.output(runId, path))
  if (saved !== undefined) return keptOf(source, decode(saved))
  const branch = branchOf(source, path)
  if (branch !== undefined) {
    const found = await readBranch(source, branch.group, branch.index)
    if (found !== undefined) return found
  }
  const node = nodeIn(source, path)
  return node === undefined ? undefined : findOf(source, path, node)
}

async function keptOf(source: Source, output: unknown): Promise<Found> {
  const link = linkIn(output)
  if (link === undefined) return { value: plainOutput(output) }
  const found = await find(source, link.path)
  return link.isDone ? doneBy(found) : found
}

/** Of a node of which nothing is kept under its own path. */
async function findOf(source: Source, path: string, node: GraphNode): Promise<Found> {
  switch (node.kind) {
    case 'task': // a routed step is a group of one at its own path
      return readBranch(source, path, 0)
    case 'wait':
      return undefined
    case 'group':
    case 'each':
      return readGroup(source, path, node)
    case 'workflow':
    case 'later':
      return find(source, pathUnder(path, 'w'))
    case 'sequence':
      return find(source, pathUnder(path, node.steps.length - 1))
    case 'choose':
      for (const [key] of node.cases) {
        const found = await find(source, pathUnder(path, key))
        if (found !== undefined) return found
      }
      return undefined
    case 'loop':
      return findLoop(source, path)
    default:
      return node satisfies never
  }
}

/**
 * What the loop gave: what its last pass, which is the highest that gave anything, says with `done`. Passes are tried in steps that double,
 * then halve, since only the loop's own start knows how many there were.
 */
async function findLoop(source: Source, path: string): Promise<Found> {
  const pass = (k: number): Promise<Found> => find(source, pathUnder(path, k))
  let last = await pass(1)
  if (last === undefined) return undefined
  let known = 1
  let beyond = 2
  for (let next = await pass(beyond); next !== undefined; next = await pass(beyond)) {
    last = next
    known = beyond
    beyond *= 2
  }
  while (beyond - known > 1) {
    const middle = Math.floor((known + beyond) / 2)
    const found = await pass(middle)
    if (found === undefined) beyond = middle
    else {
      last = found
      known = middle
    }
  }
  return doneBy(last)
}

/** What a pass says is the result of its loop. */
function doneBy(pass: Found): Found {
  const said = pass?.value as { readonly kind?: unknown; readonly value?: unknown } | null | undefined
  return said?.kind === 'done' ? { value: said.value } : undefined
}

/** @throws GraflowError why a branch failed that the path stands in, if it failed at the path or inside it */
async function throwFailureAt(source: Source, path: string): Promise<void> {
  for (let at = path; at !== ''; at = at.slice(0, Math.max(0, at.lastIndexOf('/')))) {
    const branch = branchOf(source, at)
    if (branch === undefined) continue
    try {
      await readBranch(source, branch.group, branch.index)
    } catch (thrown) {
      if (at === path) throw thrown
      const arose = failureWithin(thrown, path)
      if (arose !== undefined) throw arose
    }
  }
}

/** What a run failed with. */
function failureOf(run: RunRecord | undefined): GraflowError | undefined {
  if (run?.state !== 'failed' || run.value === undefined || run.value.length === 0) return undefined
  const error = decode(run.value)
  return error instanceof GraflowError ? error : undefined
}

/** The group and index of a path that is a branch. */
function branchOf(source: Layer, path: string): { readonly group: string; readonly index: number } | undefined {
  // A flow that a handler brought may be a group of one as a whole.
  if (path === source.base && path !== '') return { group: path, index: 0 }
  const cut = path.lastIndexOf('/')
  if (cut < 0) return undefined
  const group = path.slice(0, cut)
  const segment = path.slice(cut + 1)
  const node = nodeIn(source, group)
  if (node?.kind === 'each' || (node?.kind === 'group' && node.keys === undefined))
    return { group, index: Number(segment) }
  if (node?.kind === 'group') return { group, index: node.keys?.indexOf(segment) ?? -1 }
  return undefined
}

/** What the join makes of a released group. One that was withdrawn was never joined. */
async function readGroup(source: Source, path: string, node: GroupNode | EachNode): Promise<Found> {
  const { join } = node
  const groupOutcomes = await readGroupOutcomes(source, path, node)
  if (groupOutcomes === undefined || join.kind === 'policy') return undefined
  const { succeeded } = groupOutcomes
  return { value: joinResult({ ...namesOf(node, path), path, join, outcomes: groupOutcomes.outcomes(), succeeded }) }
}

/** All outcomes of a group that has released; undefined for any other. */
async function readGroupOutcomes(
  source: Source,
  path: string,
  node: GroupNode | EachNode,
): Promise<GroupOutcomes | undefined> {
  let groupOutcomes: GroupOutcomes | undefined
  for (let after = 0; ; ) {
    const page = await source.inspect.outcomes(`${source.runId}/${path}`, after)
    if (page?.state !== 'released') return undefined
    groupOutcomes ??= new GroupOutcomes({
      ...namesOf(node, path),
      spec: { ...termsOfGroup(source.graph, node, false), size: page.size },
    })
    groupOutcomes.add(page)
    if (page.withdrawn !== undefined) return groupOutcomes
    if (page.next === after) return undefined
    after = page.next
  }
}

async function readBranch(source: Source, path: string, index: number): Promise<Found> {
  for (let after = 0; ; ) {
    const page = await source.inspect.outcomes(`${source.runId}/${path}`, after)
    if (page === undefined) return undefined
    for (const chunk of page.chunks) {
      const i = chunk.indexes.indexOf(index)
      if (i < 0) continue
      if (chunk.kinds[i] === 'succeeded') return { value: plainOutput(decodeItem(chunk.values, i)) }
      const isSilent = chunk.values.ends[i] === (chunk.values.ends[i - 1] ?? 0)
      if ((chunk.kinds[i] === 'failed' || chunk.kinds[i] === 'dead') && !isSilent) throw decodeItem(chunk.values, i)
      return failedBranch(source, path, index)
    }
    if (page.withdrawn?.indexes.includes(index) === true) return failedBranch(source, path, index)
    if (page.withdrawn !== undefined || page.next === after) return undefined
    after = page.next
  }
}

/** Of a branch that ended without a word of its own, as when its workers died. @throws GraflowError why it failed, once its group is over */
async function failedBranch(source: Source, path: string, index: number): Promise<undefined> {
  const node = nodeIn(source, path)
  const groupOutcomes =
    node?.kind === 'group' || node?.kind === 'each' ? await readGroupOutcomes(source, path, node) : undefined
  const outcome = groupOutcomes?.outcomes()[index]
  if (outcome !== undefined && outcome.status !== 'succeeded') throw outcome.error
  return undefined
}

/** The run is over, and the node has no result: which have one. */
async function neverReady(
  source: Source,
  whole: Graph,
  path: string,
  state: string | undefined,
  cause: GraflowError | undefined,
): Promise<GraflowError> {
  const { inspect, runId } = source
  const node = nodeIn(source, path)
  const paths = [...(await pathsWithResult(inspect, whole, runId))].sort()
  const isPolicy = (node?.kind === 'group' || node?.kind === 'each') && node.join.kind === 'policy'
  const why = isPolicy
    ? `policy "${node.join.name}" at ${path} has made no decision, or one larger than limits.resultBytes, which is not kept`
    : `the node at ${path} has none, and never will: it did not run to its end, or its result is past its retention`
  const shown = paths.slice(0, MOST_PATHS).join(', ')
  const more = paths.length > MOST_PATHS ? ' and more' : ''
  return new GraflowError(
    'RESULT_NOT_FOUND',
    `run ${runId} is ${state ?? 'gone'}${cause === undefined ? '' : ` (${cause.message})`}: ${why}; there are results at: ${shown === '' ? 'no path' : shown}${more}`,
    { ...(cause !== undefined && { cause }), details: { runId, path, paths: paths.slice(0, MOST_PATHS) } },
  )
}

/** Of a run with many results those of its first groups, each with all that it has: an error message names no more. */
async function pathsWithResult(inspect: Inspector, graph: Graph, runId: string): Promise<ReadonlySet<string>> {
  const { paths } = await inspect.saved(runId, '')
  const found = new Set(paths.filter((path) => !path.includes('/!'))) // marks are no results
  for (const { gid, state } of await inspect.groups(runId)) {
    if (found.size > MOST_PATHS) break
    const path = gid.slice(runId.length + 1)
    const node = nodeAt(graph, staticPath(graph, path) ?? path)
    if (node?.kind !== 'group' && node?.kind !== 'each') {
      if (state === 'released' && node?.kind === 'task') found.add(path)
      continue
    }
    if (state === 'released' && node.join.kind !== 'policy') found.add(path)
    for (let after = 0; found.size <= MOST_PATHS; ) {
      const page: OutcomesPage | undefined = await inspect.outcomes(gid, after)
      if (page === undefined) break
      for (const { indexes, kinds } of page.chunks) {
        for (const [i, index] of indexes.entries()) {
          if (kinds[i] === 'succeeded')
            found.add(pathUnder(path, node.kind === 'each' ? index : groupSegment(node, index)))
        }
      }
      if (page.withdrawn !== undefined || page.next === after) break
      after = page.next
    }
  }
  return found
}
