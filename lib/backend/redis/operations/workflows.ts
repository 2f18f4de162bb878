/** Workflows by their names, as workers registered them: JSON, read back field by field, so that garbage is as if it were not there. */
import { GraflowError } from '../../../errors.js'
import type { StoredWorkflow } from '../../backend.js'
import { listOf, textOf, type Reply } from '../replies.js'
import type { Store } from '../store.js'

/** Registers a workflow under its name; repeating it is safe. */
export async function putWorkflow(
  { shard, keys }: Store,
  { name, ...facts }: StoredWorkflow,
): Promise<'ok' | 'backpressure'> {
  try {
    await shard.command('HSET', keys.workflows, name, JSON.stringify(facts))
    return 'ok'
  } catch (error) {
    if (error instanceof GraflowError && error.code === 'BACKPRESSURE') return 'backpressure'
    throw error
  }
}

/** The workflow of this name; undefined where there is none. */
export async function workflow({ shard, keys }: Store, name: string): Promise<StoredWorkflow | undefined> {
  const found = await shard.command('HGET', keys.workflows, name)
  return found === null ? undefined : read(name, found)
}

/** Names of all workflows that are registered. */
export const workflowNames = async ({ shard, keys }: Store): Promise<readonly string[]> =>
  listOf(await shard.command('HKEYS', keys.workflows)).map(textOf)

function read(name: string, reply: Reply): StoredWorkflow | undefined {
  let facts: unknown
  try {
    facts = JSON.parse(textOf(reply))
  } catch {
    return undefined
  }
  if (typeof facts !== 'object' || facts === null) return undefined
  const { graph, timeoutMs, pin, buildId, inputSchema, isInputExact, needsInput } = facts as Readonly<
    Record<string, unknown>
  > // whatever they hold: each is looked at
  if (typeof graph !== 'string') return undefined
  return {
    ...{ name, graph },
    ...(typeof timeoutMs === 'number' && { timeoutMs }),
    ...(pin === true && { pin }),
    ...(typeof buildId === 'string' && { buildId }),
    ...(typeof inputSchema === 'string' && { inputSchema }),
    ...(isInputExact === true && { isInputExact }),
    ...(needsInput === true && { needsInput }),
  }
}
