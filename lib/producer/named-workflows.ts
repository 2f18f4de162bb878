/** Finds a workflow by its name: among the flows that this process has seen, else among those that workers have registered in the store. */
import type { Backend } from '../backend/backend.js'
import type { Engine } from '../engine/engine.js'
import { GraflowError } from '../errors.js'
import { didYouMean } from '../nearest.js'
import { flowToRun, type FlowToRun } from './prepare-run.js'

/** @throws GraflowError WORKFLOW_NOT_FOUND, with the name that was probably meant */
export async function workflowNamed(
  inspect: Pick<Backend['inspect'], 'workflow' | 'workflowNames'>,
  { registry, graphs }: Pick<Engine, 'registry' | 'graphs'>,
  name: string,
): Promise<FlowToRun> {
  const own = registry.workflows.get(name)
  if (own !== undefined) return flowToRun(own)
  const stored = await inspect.workflow(name)
  if (stored === undefined) {
    const known = [...new Set([...registry.workflows.keys(), ...(await inspect.workflowNames())])].sort()
    const which = known.length === 0 ? 'none is known' : `known are ${some(known)}`
    throw notFound(
      name,
      `there is no workflow "${name}"${didYouMean(name, known)}: ${which}; a worker registers those of its task modules, ` +
        'and connect({ tasks }) those that it is given',
    )
  }
  const { graph: hash, timeoutMs, pin, buildId } = stored
  try {
    const graph = await graphs.load(hash)
    return { graph, expression: undefined, workflow: name, timeoutMs, pin, buildId }
  } catch (error) {
    if (!(error instanceof GraflowError) || error.code !== 'NO_GRAPH') throw error
    throw notFound(name, `no worker has had workflow "${name}" for a day, so its graph is gone: start one that has it`)
  }
}

/** Names that a message has. */
const MOST_NAMES = 8

const some = (names: readonly string[]): string =>
  `${names.slice(0, MOST_NAMES).join(', ')}${names.length > MOST_NAMES ? `, and ${names.length - MOST_NAMES} more` : ''}`

const notFound = (workflow: string, message: string): GraflowError =>
  new GraflowError('WORKFLOW_NOT_FOUND', message, { details: { workflow } })
