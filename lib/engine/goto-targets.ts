/**
 * Where a handler may go to: anywhere but out of its group, which waits for its branch. Looks through the graphs around the handler, from
 * the one that it stands in to the run's own; a fork is a group of one.
 */
import { GraflowError } from '../errors.js'
import { tasksOf } from '../flow/collect.js'
import type { Expression } from '../flow/expression.js'
import type { Graph } from '../graph/graph.js'
import { nodeAt, pathsOf, staticPath } from '../graph/locate.js'
import { runPathOf, type Frame, type GraphInUse } from './execution.js'

/** A graph around the handler. */
interface Layer {
  readonly graph: Graph
  /** What a goto may not leave, as a static path; undefined: it may go anywhere in this graph. */
  readonly branch: string | undefined
}

/**
 * @param path of the handler, in the frame's graph
 * @throws GraflowError GOTO_ACROSS_BARRIER where one of the tasks stands outside of the handler's branch, in the innermost graph that has it
 */
export async function checkGoto(
  frame: Frame,
  path: string,
  expression: Expression,
  graphOfRun: (runId: string) => Promise<Graph>,
): Promise<void> {
  const { facts } = frame.execution
  if (facts.depth === 0 && frame.use.base === '') return
  let unfound: readonly string[] = [...tasksOf(expression).keys()]
  for await (const { graph, branch } of layers(frame.use, path, () => graphOfRun(facts.runId))) {
    const here = unfound.filter((task) => pathsOf(graph, task).length > 0)
    const outside = here.filter((task) => branch !== undefined && !pathsOf(graph, task).some(isInside(branch)))
    if (outside.length > 0) throw acrossBarrier(runPathOf(frame.use, path), outside)
    unfound = unfound.filter((task) => !here.includes(task))
    if (unfound.length === 0) return
  }
}

const isInside =
  (branch: string) =>
  (path: string): boolean =>
    path === branch || path.startsWith(`${branch}/`)

async function* layers(use: GraphInUse, path: string, graphOfRun: () => Promise<Graph>): AsyncGenerator<Layer> {
  let at: { readonly use: GraphInUse; readonly path: string } = { use, path }
  let isLeft = false
  for (;;) {
    const own = staticPath(at.use.graph, at.path)
    const branch: string | undefined = isLeft ? own : branchAround(at.use.graph, own)
    yield { graph: at.use.graph, branch }
    if (at.use.base === '') return
    const cut = at.use.base.lastIndexOf('/')
    isLeft ||= branch !== undefined || at.use.base.startsWith('~', cut + 1)
    if (at.use.outer === undefined) break
    at = at.use.outer
  }
  // What is between is known in other processes only; the run's own graph is known everywhere.
  const graph = await graphOfRun()
  const own = staticPath(graph, at.use.base.split(/\/[~+]/, 1)[0] ?? '')
  yield { graph, branch: isLeft || at.use.base.includes('/~') ? own : branchAround(graph, own) }
}

/** The branch of the innermost group around a path; undefined outside of any. */
function branchAround(graph: Graph, path: string | undefined): string | undefined {
  const segments = (path ?? '').split('/')
  for (let end = segments.length - 1; end > 0; end -= 1) {
    const { kind } = nodeAt(graph, segments.slice(0, end).join('/')) ?? {}
    if (kind === 'group' || kind === 'each') return segments.slice(0, end + 1).join('/')
  }
  return undefined
}

function acrossBarrier(path: string, tasks: readonly string[]): GraflowError {
  const target = tasks.join(', ')
  return new GraflowError(
    'GOTO_ACROSS_BARRIER',
    `${path} cannot go to ${target}: it stands outside this branch, and one branch cannot leave its group; return a value and let the node after the group decide`,
    { details: { path, target } },
  )
}
