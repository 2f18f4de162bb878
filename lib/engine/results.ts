/** Results of finished nodes of a run, by task or by path: saved outputs, and outcomes of groups. */
import type { Inspector } from '../backend/backend.js'
import { GraflowError } from '../errors.js'
import type { Expression } from '../flow/expression.js'
import type { Graph, GraphNode } from '../graph/graph.js'
import { nodeAt, pathsOf, staticPath } from '../graph/locate.js'
import { decode } from './codec.js'
import { decodeItem } from './packing.js'

/**
 * What the task, or the node at a path, gave.
 * @param local outputs that are not in the store yet
 * @param asker the place in the run of the handler that asks: inside an each or loop it means its own item and pass
 * @throws GraflowError RESULT_NOT_FOUND, RESULT_AMBIGUOUS with the paths, RESULT_NOT_READY; a failed branch's own error
 */
export async function readResult(
  inspect: Inspector,
  graph: Graph,
  runId: string,
  target: string | Expression,
  local: (path: string) => Uint8Array | undefined = () => undefined,
  asker = '',
): Promise<unknown> {
  const path = typeof target === 'string' ? knownPath(graph, target) : onlyPath(graph, target, asker)
  const own = local(path)
  if (own !== undefined) return decode(own)
  const saved = await inspect.output(runId, path)
  if (saved !== undefined) return decode(saved)
  const branch = branchOf(graph, path)
  if (branch !== undefined) {
    const found = await readBranch(inspect, `${runId}/${branch.group}`, branch.index)
    if (found !== undefined) return found.value
  }
  // A placed step is a group of one at its own path.
  const one = await readBranch(inspect, `${runId}/${path}`, 0)
  if (one !== undefined && nodeAt(graph, staticPath(graph, path) ?? path)?.kind === 'task') return one.value
  throw new GraflowError('RESULT_NOT_READY', `the node at ${path} of run ${runId} has no result (yet)`, {
    details: { runId, path },
  })
}

function knownPath(graph: Graph, path: string): string {
  if (!path.includes('~') && !path.includes('+') && staticPath(graph, path) === undefined) {
    throw new GraflowError(
      'RESULT_NOT_FOUND',
      `the flow has no node at "${path}"; node.toMermaid() shows what it has`,
      { details: { path } },
    )
  }
  return path
}

function onlyPath(graph: Graph, target: Expression, asker: string): string {
  const name = target.kind === 'task' || target.kind === 'workflow' ? target.name : undefined
  const paths = name === undefined ? [] : pathsOf(graph, name)
  const [path, ...others] = paths
  if (name === undefined || path === undefined) {
    throw new GraflowError(
      'RESULT_NOT_FOUND',
      `expected a task of this flow, or a path, got ${name === undefined ? `a ${target.kind}` : `task "${name}", which is not in it`}`,
      {
        details: { name },
      },
    )
  }
  const place = others.length > 0 ? path : placeFor(graph, path, asker)
  if (others.length > 0 || place.includes('*')) {
    throw new GraflowError(
      'RESULT_AMBIGUOUS',
      `task "${name}" stands at ${paths.join(', ')}: ask for the result by path (with a number for each *)`,
      {
        details: { name, paths },
      },
    )
  }
  return place
}

/** The static path with the asker's item and pass numbers, as far as both stand inside the same each or loop. */
function placeFor(graph: Graph, path: string, asker: string): string {
  const own = asker.split('/')
  const ownStatic = (staticPath(graph, asker) ?? '').split('/')
  const segments = path.split('/')
  for (let i = 0; i < segments.length && segments[i] === ownStatic[i]; i += 1) segments[i] = own[i] ?? '*'
  return segments.join('/')
}

/** The group and index of a path that is a branch. */
function branchOf(graph: Graph, path: string): { readonly group: string; readonly index: number } | undefined {
  const cut = path.lastIndexOf('/')
  if (cut < 0) return undefined
  const group = path.slice(0, cut)
  const segment = path.slice(cut + 1)
  const at = staticPath(graph, group)
  const node: GraphNode | undefined = at === undefined ? undefined : nodeAt(graph, at)
  if (node?.kind === 'each' || (node?.kind === 'group' && node.keys === undefined))
    return { group, index: Number(segment) }
  if (node?.kind === 'group') return { group, index: node.keys?.indexOf(segment) ?? -1 }
  return undefined
}

async function readBranch(
  inspect: Inspector,
  gid: string,
  index: number,
): Promise<{ readonly value: unknown } | undefined> {
  for (let after = 0; ; ) {
    const page = await inspect.outcomes(gid, after)
    if (page === undefined) return undefined
    for (const chunk of page.chunks) {
      const i = chunk.indexes.indexOf(index)
      if (i < 0) continue
      if (chunk.kinds[i] === 'succeeded') return { value: decodeItem(chunk.values, i) }
      if (chunk.kinds[i] === 'failed') throw decodeItem(chunk.values, i)
      return undefined
    }
    if (page.withdrawn !== undefined || page.next === after) return undefined
    after = page.next
  }
}
