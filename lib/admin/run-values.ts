/**
 * What stands at a path of a run went in and came out. Inputs of groups are deleted once their outcomes were read: then an input is worked out from what
 * gave it, as the flow says.
 */
import type { Inspector, RunRecord } from '../backend/backend.js'
import { describe } from '../describe.js'
import { outcomeOfRun } from '../engine/driver.js'
import type { Engine } from '../engine/engine.js'
import { readResult } from '../engine/results.js'
import { knownPath } from '../engine/result-paths.js'
import { GraflowError } from '../errors.js'
import type { Graph, GraphNode } from '../graph/graph.js'
import { nodeAt, pathUnder, staticPath, stepsOf } from '../graph/locate.js'
import { decode } from '../values/codec.js'

/** One run of which values are asked. */
interface Asked {
  readonly engine: Engine
  readonly inspect: Inspector
  readonly record: RunRecord
  readonly graph: Graph
}

/** @throws GraflowError as `runs.value` */
export async function readValue(
  engine: Engine,
  record: RunRecord,
  path: string,
  which: 'input' | 'output',
): Promise<unknown> {
  const { inspect } = engine.parts.backend
  const asked: Asked = { engine, inspect, record, graph: await engine.graphs.load(record.graph) }
  if (which === 'input' && path !== '') knownPath(asked.graph, path)
  return which === 'output' ? outputAt(asked, path) : inputAt(asked, path)
}

async function outputAt({ engine, record, graph }: Asked, path: string): Promise<unknown> {
  if (path !== '') return readResult(engine.flowsOf(record.runId), graph, path)
  if (record.endedAt === undefined) {
    throw new GraflowError('RESULT_NOT_READY', `run ${record.runId} has not ended`, {
      details: { runId: record.runId },
    })
  }
  const outcome = outcomeOfRun(record)
  if ('error' in outcome) throw outcome.error
  return outcome.value
}

async function inputAt(asked: Asked, path: string): Promise<unknown> {
  const kept = await keptInput(asked, path)
  if (kept !== undefined) return decode(kept)
  const cut = path.lastIndexOf('/')
  const [above, segment] = cut < 0 ? ['', path] : [path.slice(0, cut), path.slice(cut + 1)]
  const parent = nodeOf(asked.graph, above)
  if (path === '' || parent === undefined || nodeOf(asked.graph, path) === undefined) throw notKept(asked, path)
  switch (parent.kind) {
    case 'sequence':
      return segment === '0' ? inputAt(asked, above) : outputAt(asked, pathUnder(above, Number(segment) - 1))
    case 'each':
      return itemOf(asked, path, await inputAt(asked, above), Number(segment))
    case 'loop':
      return segment === '1'
        ? inputAt(asked, above)
        : passedOn(await outputAt(asked, pathUnder(above, Number(segment) - 1)))
    case 'group':
    case 'choose':
    case 'workflow':
    case 'later':
      return inputAt(asked, above)
    case 'task':
    case 'wait':
      throw notKept(asked, path)
    default:
      return parent satisfies never
  }
}

/** Of the run, of a branch, of a par, or of a step that was dispatched as a group of one. */
async function keptInput({ inspect, record, graph }: Asked, path: string): Promise<Uint8Array | undefined> {
  const { runId } = record
  if (path === '') return inspect.input(runId, 0)
  const cut = path.lastIndexOf('/')
  const above = path.slice(0, Math.max(0, cut))
  const group = cut < 0 ? undefined : nodeOf(graph, above)
  const segment = path.slice(cut + 1)
  const index = group?.kind === 'group' && group.keys !== undefined ? group.keys.indexOf(segment) : Number(segment)
  if ((group?.kind === 'group' || group?.kind === 'each') && index >= 0) {
    const found = await inspect.input(`${runId}/${above}`, index)
    if (found !== undefined) return found
  }
  // the branches of a par share its input; those of an each have one item of it
  return nodeOf(graph, path)?.kind === 'each' ? undefined : inspect.input(`${runId}/${path}`, 0)
}

/** At a path of the run; '' is the sequence that every root is read as. */
function nodeOf(graph: Graph, path: string): GraphNode | undefined {
  if (path === '') return { kind: 'sequence', steps: stepsOf(graph) }
  const known = staticPath(graph, path)
  return known === undefined ? undefined : nodeAt(graph, known)
}

function itemOf(asked: Asked, path: string, items: unknown, index: number): unknown {
  if (!Array.isArray(items)) throw notKept(asked, path)
  if (index < items.length) return items[index]
  const { runId } = asked.record
  throw new GraflowError(
    'RESULT_NOT_FOUND',
    `run "${runId}" has no branch ${index} at ${path}: its group has ${items.length}`,
    { details: { runId, path } },
  )
}

/** What `again` was given. */
function passedOn(said: unknown): unknown {
  const { kind, next } = (said ?? {}) as { readonly kind?: unknown; readonly next?: unknown }
  return kind === 'again' ? next : said
}

const notKept = ({ record: { runId } }: Asked, path: string): GraflowError =>
  new GraflowError(
    'NOT_KEPT',
    `the input at ${describe(path)} of run "${runId}" is not kept, or there is no such step or branch`,
    { details: { runId, path } },
  )
