/**
 * Where a task stands whose result is asked for: in the graphs around the handler that asks, the innermost first; else in a flow that some handler of
 * the run brought. Hides how the graphs of those flows are found: by their groups in the store, or by what a detour says of itself.
 */
import type { Inspector } from '../backend/backend.js'
import { GraflowError } from '../errors.js'
import type { Expression } from '../flow/expression.js'
import type { Graph } from '../graph/graph.js'
import { pathsOf, staticPath } from '../graph/locate.js'
import { decode } from '../values/codec.js'
import { linkIn } from './result-links.js'

/** A graph and where its root stands: `''` is the run's own, else a flow that a handler brought to `run`, `next` or `goto`. */
export interface Layer {
  readonly graph: Graph
  readonly base: string
}

/** Where a task or node stands, in the run. */
export interface Place {
  readonly path: string
  /** Undefined where only the path is known. */
  readonly layer?: Layer
}

/** A handler that asks. */
export interface Asker {
  /** Its path in the run: inside an each or loop it means its own item and pass. */
  readonly path: string
  /** The graphs around it that are known here, the innermost first, without the run's own. */
  readonly layers: readonly Layer[]
  /** Outputs that are not in the store yet. */
  readonly saved: () => Iterable<readonly [path: string, output: Uint8Array]>
}

/** Where flows that handlers brought are looked up. */
export interface RunFlows {
  readonly inspect: Inspector
  readonly runId: string
  readonly load: (hash: string) => Promise<Graph>
}

const MARKED = /^.*\/[~+][^/]*(?=\/|$)/u

/** The flow that a handler brought, in which a path stands: the store has its graph with each of its groups. */
export async function layerAt({ inspect, runId, load }: RunFlows, path: string): Promise<Layer | undefined> {
  const base = MARKED.exec(path)?.[0]
  if (base === undefined) return undefined
  for (const group of await inspect.groups(runId)) {
    if (baseOf(group, runId) === base) return { graph: await load(group.graph), base }
  }
  return undefined
}

/** Where the root of the graph stands that a group is dispatched from. */
function baseOf({ gid, node }: { readonly gid: string; readonly node: string }, runId: string): string {
  const segments = gid.slice(runId.length + 1).split('/')
  return segments.slice(0, segments.length - (node === '' ? 0 : node.split('/').length)).join('/')
}

/** @throws GraflowError RESULT_NOT_FOUND for a path that the run's graph cannot have */
export function knownPath(graph: Graph, path: string): string {
  if (!path.includes('~') && !path.includes('+') && staticPath(graph, path) === undefined) {
    throw new GraflowError(
      'RESULT_NOT_FOUND',
      `the flow has no node at "${path}"; node.toMermaid() shows what it has`,
      { details: { path } },
    )
  }
  return path
}

/**
 * Where the task or workflow may stand, the likeliest place first; there is at least one.
 * @throws GraflowError RESULT_NOT_FOUND, RESULT_AMBIGUOUS with the paths
 */
export async function placesOf(
  flows: RunFlows,
  graph: Graph,
  target: Expression,
  asker: Asker | undefined,
): Promise<readonly Place[]> {
  const name = target.kind === 'task' || target.kind === 'workflow' ? target.name : undefined
  if (name === undefined) throw notFound(`a ${target.kind}`)
  const at = asker?.path ?? ''
  const places: Place[] = []
  for (const layer of [...(asker?.layers ?? []), { graph, base: '' }]) {
    const paths = pathsOf(layer.graph, name).map((path) => forAsker(below(layer.base, path), at))
    if (paths.length > 1 || paths[0]?.includes('*') === true) {
      if (places.length === 0) throw ambiguous(name, paths)
    } else if (paths[0] !== undefined) places.push({ path: paths[0], layer })
  }
  if (places.length > 0) return places
  const nearest = nearestTo(at, await broughtPlaces(flows, name, asker))
  const [only, ...more] = nearest
  if (only === undefined) throw notFound(`task "${name}", which is not in it, nor in a flow that a handler ran`, name)
  if (more.length === 0 && !only.path.includes('*')) return nearest
  throw ambiguous(
    name,
    nearest.map(({ path }) => path),
  )
}

/** Where it stands in flows that handlers brought, with the numbers of the asker's items and passes. */
async function broughtPlaces(
  { inspect, runId, load }: RunFlows,
  name: string,
  asker: Asker | undefined,
): Promise<readonly Place[]> {
  const at = asker?.path ?? ''
  const places = new Map<string, Place>()
  const add = (base: string, paths: readonly string[], layer?: Layer): void => {
    for (const own of paths) {
      const path = forAsker(below(base, own), at)
      // A fork that failed, and its fresh one for the next attempt, are one: the latest counts.
      places.set(path.replaceAll(/(\/~\d+)\.\d+/g, '$1'), { path, ...(layer !== undefined && { layer }) })
    }
  }
  const addLink = (base: string, output: Uint8Array): void => {
    if (/\/\+[^/]*$/u.test(base)) add(base, linkIn(decode(output))?.tasks?.[name] ?? [])
  }
  const { paths, values } = await inspect.saved(runId, '')
  for (const [i, base] of paths.entries()) addLink(base, values.bytes.subarray(values.ends[i - 1] ?? 0, values.ends[i]))
  for (const [base, output] of asker?.saved() ?? []) addLink(base, output)
  const seen = new Set([''])
  for (const group of await inspect.groups(runId)) {
    const base = baseOf(group, runId)
    if (seen.has(base)) continue
    seen.add(base)
    const graph = await load(group.graph)
    add(base, pathsOf(graph, name), { graph, base })
  }
  return [...places.values()]
}

/** Those that share the longest way with the asker: its own forks, then those of its own item. */
function nearestTo(at: string, places: readonly Place[]): readonly Place[] {
  const own = at.split('/')
  const shared = (path: string): number => {
    const segments = path.split('/')
    const differs = segments.findIndex((segment, i) => segment !== own[i])
    return differs < 0 ? segments.length : differs
  }
  const most = places.reduce((max, { path }) => Math.max(max, shared(path)), 0)
  return places.filter(({ path }) => shared(path) === most)
}

const below = (base: string, path: string): string => (base === '' ? path : `${base}/${path}`)

/** The path with the asker's item and pass numbers, as far as both stand inside the same each or loop. */
function forAsker(path: string, asker: string): string {
  if (!path.includes('*')) return path
  const own = asker.split('/')
  const segments = path.split('/')
  for (let i = 0; i < segments.length; i += 1) {
    if (segments[i] === '*') segments[i] = own[i] ?? '*'
    else if (segments[i] !== own[i]) break
  }
  return segments.join('/')
}

const notFound = (got: string, name?: string): GraflowError =>
  new GraflowError('RESULT_NOT_FOUND', `expected a task of this flow, or a path, got ${got}`, { details: { name } })

/** Paths that a message names. */
export const MOST_PATHS = 20

function ambiguous(name: string, paths: readonly string[]): GraflowError {
  const shown = paths.slice(0, MOST_PATHS)
  const more = paths.length > MOST_PATHS ? ', and more' : ''
  return new GraflowError(
    'RESULT_AMBIGUOUS',
    `task "${name}" stands at ${shown.join(', ')}${more}: ask for the result by path (with a number for each *)`,
    { details: { name, paths: shown } },
  )
}
