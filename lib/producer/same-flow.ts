/**
 * Whether a flow that is given is that of a run which is there, whatever release started the run. For `attach` and `resume` the shapes decide,
 * since they look into the run by its paths. For an id or key that is used again the name of the workflow decides, or the shape of a flow that is none.
 */
import type { OpenAnswer, OpenRequest, RunRecord } from '../backend/backend.js'
import type { Engine } from '../engine/engine.js'
import { fullStore } from '../engine/graph-store.js'
import { GraflowError } from '../errors.js'
import type { Expression } from '../flow/expression.js'
import type { Graph } from '../graph/graph.js'
import { graphOf } from '../graph/graph-of.js'
import { shapeOf } from '../graph/shape.js'
import { digestOf, type PreparedRun } from './prepare-run.js'

type Graphs = Engine['graphs']

/** @throws GraflowError GRAPH_MISMATCH where the flow has another shape than the run's */
export async function checkFlow(graphs: Graphs, what: string, run: RunRecord, expression: Expression): Promise<void> {
  const { runId, graph: hash } = run
  const graph = graphOf(expression)
  const given = graphs.keep(graph)
  if (given === hash || (await hasShape(graphs, hash, graph))) return
  throw new GraflowError(
    'GRAPH_MISMATCH',
    `run "${runId}" was started with a flow of another shape than ${what} was given (names, structure, joins and conditions make the shape; ` +
      'options do not): leave the flow out, or give that one',
    { details: { runId, graph: hash, given } },
  )
}

/** One that the store keeps no more cannot be compared. */
async function hasShape(graphs: Graphs, hash: string, graph: Graph): Promise<boolean> {
  const stored = await graphs.load(hash).catch(() => undefined)
  return stored !== undefined && shapeOf(stored) === shapeOf(graph)
}

/**
 * The answer of the store to an opening; `exists` in place of `conflict` where the run that is there has the same flow and input, in the words of
 * another release. The store compares digests of both, so this costs something only where these differ.
 */
export async function orKnown(
  { backend, graphs }: { readonly backend: Engine['parts']['backend']; readonly graphs: Graphs },
  answer: OpenAnswer,
  { request, graph }: Pick<PreparedRun, 'request' | 'graph'>,
): Promise<OpenAnswer> {
  if (answer.status !== 'conflict') return answer
  const { runId } = answer
  const run = await backend.inspect.run(runId)
  if (run === undefined || run.digest !== digestOf(run.graph, request.input)) return answer
  const isSame =
    run.workflow === request.workflow && (run.workflow !== undefined || (await hasShape(graphs, run.graph, graph)))
  return isSame ? { status: 'exists', runId } : answer
}

/** The run that an opening led to. @throws GraflowError why it led to none */
export function openedRun(answer: OpenAnswer, { runId, session = '' }: OpenRequest): string {
  switch (answer.status) {
    case 'ok':
      return runId
    case 'exists':
      return answer.runId
    case 'conflict':
      throw new GraflowError(
        'RUN_EXISTS',
        `run "${answer.runId}" exists with another flow or input: take another id or idempotencyKey, or attach to it`,
        { details: { runId: answer.runId } },
      )
    case 'nosession':
      throw new GraflowError('INTERNAL', `session ${session} is gone`)
    case 'backpressure':
      throw fullStore('the run')
    default:
      return answer satisfies never
  }
}
