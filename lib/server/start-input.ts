/**
 * Looks at the input of a run before it is started, so that a mistake is the caller's error and no run that fails: by the schemas of the tasks that get it
 * where their code is in this process, else by the JSON Schema that workers have registered with a workflow, where that refuses nothing that they take.
 */
import { describe } from '../describe.js'
import type { StoredWorkflow } from '../backend/backend.js'
import { faultsIn, faultsOf, type Issue, unlessSlow } from '../engine/schemas.js'
import { GraflowError } from '../errors.js'
import { expressionOf } from '../flow/node.js'
import { inputsOf, type TakenInput } from '../graph/input-schema.js'
import { schemaOfText } from '../producer/answer-forms.js'
import type { RunOptions } from '../producer/types.js'
import type { ServerServices } from './services.js'

type Services = Pick<ServerServices['session'], 'backend' | 'engine'>

/** Faults that are told. */
const MOST_FAULTS = 20
/** Items that are looked at before others get a turn. */
const AT_ONCE = 1_000

/**
 * @param what the name of a workflow, or a flow
 * @throws GraflowError INVALID_INPUT
 */
export async function checkStart(
  services: Services,
  what: unknown,
  input: unknown,
  options: RunOptions,
): Promise<void> {
  const issues = await unlessSlow(services.engine.parts.clock, faultsOfInput(services, what, input), [])
  if (issues.length === 0) return
  // a run that is there already is given: its input was looked at when it was started
  if (await isThere(services.backend, options)) return
  const of = typeof what === 'string' ? `workflow "${what}"` : 'the flow'
  const details = { issues, ...(typeof what === 'string' && { workflow: what }) }
  throw new GraflowError('INVALID_INPUT', `the input of ${of} does not fit its schema: ${faultsOf(issues)}`, {
    details,
  })
}

/** Whether a run has the id or the idempotency key. */
async function isThere({ inspect }: Services['backend'], { id, idempotencyKey }: RunOptions): Promise<boolean> {
  if (id !== undefined && (await inspect.run(id)) !== undefined) return true
  return idempotencyKey !== undefined && (await inspect.runOfKey(idempotencyKey)) !== undefined
}

async function faultsOfInput(services: Services, what: unknown, input: unknown): Promise<readonly Issue[]> {
  const issues: Issue[] = []
  for (const taken of await takenBy(services, what)) {
    await look(taken, input, '', issues)
    if (issues.length > 0) break
  }
  return issues
}

async function takenBy({ backend, engine: { registry } }: Services, what: unknown): Promise<readonly TakenInput[]> {
  if (typeof what !== 'string') return inputsOf(expressionOf(what))
  const own = registry.workflows.get(what)
  if (own !== undefined) return inputsOf(own)
  const stored = await backend.inspect.workflow(what)
  return stored === undefined ? [] : takenByStored(stored)
}

async function takenByStored({
  inputSchema,
  isInputExact,
  needsInput,
}: StoredWorkflow): Promise<readonly TakenInput[]> {
  if (inputSchema === undefined || isInputExact !== true) return []
  const schema = await schemaOfText(inputSchema)
  return schema === undefined ? [] : [{ schema, lists: 0, ...(needsInput !== true && { isOptional: true }) }]
}

async function look(taken: TakenInput, value: unknown, at: string, issues: Issue[]): Promise<void> {
  const { schema, lists, isOptional = false } = taken
  if (value === undefined && isOptional) return
  if (lists === 0) {
    // what the schema itself throws, the run meets
    const found = await faultsIn(schema, value).catch(() => [])
    issues.push(
      ...found.map(({ path, message }) => ({ path: [at, path].filter((part) => part !== '').join('.'), message })),
    )
    return
  }
  if (!Array.isArray(value)) {
    issues.push({ path: at, message: `expected a list, got ${describe(value)}` })
    return
  }
  for (const [i, item] of value.entries()) {
    if (issues.length >= MOST_FAULTS) return
    if (i % AT_ONCE === AT_ONCE - 1) await new Promise((resolve) => setImmediate(resolve))
    await look({ schema, lists: lists - 1 }, item, at === '' ? `${i}` : `${at}.${i}`, issues)
  }
}
