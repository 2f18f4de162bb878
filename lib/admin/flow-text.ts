/**
 * Flows written as text over the names that a deployment knows: the tasks of its live workers, those of registered workflows, and what this process
 * has itself. Hides where names come from: a task without a handler here becomes a declared one, whose options are those of the worker that runs it.
 */
import type { Backend } from '../backend/backend.js'
import { describe, quote } from '../describe.js'
import type { Engine } from '../engine/engine.js'
import { GraflowError } from '../errors.js'
import type { Expression } from '../flow/expression.js'
import { makeTask } from '../flow/make.js'
import { nodeOf } from '../flow/node.js'
import { CALLS_HINT, errorAt, parse } from '../flow/parse.js'
import type { AnyNode } from '../flow/types.js'
import { didYouMean } from '../nearest.js'
import { isTaskName } from '../session/cluster-events.js'

/** What compiling needs of a session. */
export interface FlowTextServices {
  readonly backend: Pick<Backend, 'inspect'>
  readonly engine: Pick<Engine, 'registry' | 'graphs'>
}

/** A text is as long at most: it becomes a graph of as many nodes. */
const MOST_CHARACTERS = 64 * 1024
/** Names that a message lists. */
const LISTED = 20
/** Registered workflows whose tasks are looked at where no live worker knows a name. */
const MOST_WORKFLOWS = 200

/**
 * The flow that a text means, such as `ingest >> (a | b*) >> store`. A name is that of a task, or of a workflow whose code is in this process.
 * @param what begins messages, such as `flow`
 * @throws GraflowError FLOW_SYNTAX, UNKNOWN_NAME, with the place and a caret; DUPLICATE_TASK, LIMIT_EXCEEDED; INVALID_OPTION for what is no text
 */
export async function flowOfText(services: FlowTextServices, text: unknown, what = 'flow'): Promise<AnyNode> {
  if (typeof text !== 'string' || text.length > MOST_CHARACTERS) {
    const got = typeof text === 'string' ? `one of ${text.length} characters` : describe(text)
    const fault = `${what}: expected the text of a flow, such as "a >> (b | c)", of at most ${MOST_CHARACTERS} characters, got ${got}`
    throw new GraflowError('INVALID_OPTION', fault, { details: { option: what } })
  }
  return nodeOf(expressionIn(text, await namesFor(services, text))) as unknown as AnyNode // of any types: the text says which tasks it has
}

/**
 * The flow that a text means which was compiled before: whoever knew its tasks then may be gone now.
 * @param tasks names that it has, beside those that this process knows
 */
export const flowOfKnownText = (
  { engine: { registry } }: { readonly engine: Pick<Engine, 'registry'> },
  text: string,
  tasks: readonly string[],
): Expression => expressionIn(text, expressionsOf(registry, tasks))

function expressionIn(text: string, names: ReadonlyMap<string, Expression>): Expression {
  return parse(text, (name, position) => {
    const found = names.get(name)
    if (found !== undefined) return found
    throw errorAt('UNKNOWN_NAME', text, position, unknownName(text, name, position, [...names.keys()].sort()))
  })
}

/** The expression of each name that the text may use. */
async function namesFor(services: FlowTextServices, text: string): Promise<ReadonlyMap<string, Expression>> {
  const { registry } = services.engine
  const live = [...(await liveTasks(services))]
  const names = expressionsOf(registry, live)
  const isKnown = (name: string): boolean => names.has(name)
  if (wordsOf(text).every(isKnown)) return names
  // where workers are scaled to none, what they registered is known all the same
  return expressionsOf(registry, [...live, ...(await registeredTasks(services))])
}

/** What this process knows, and these tasks. */
function expressionsOf(registry: Engine['registry'], tasks: Iterable<string>): ReadonlyMap<string, Expression> {
  const names = new Map<string, Expression>(registry.workflows)
  const own = registry.codeOf('')
  for (const task of [...registry.taskNames(), ...tasks])
    names.set(task, own.task(task) ?? names.get(task) ?? makeTask(task, { options: {} }))
  return names
}

/** Names of the tasks that live workers know. */
export async function liveTasks({ backend }: Pick<FlowTextServices, 'backend'>): Promise<ReadonlySet<string>> {
  const sessions = await backend.inspect.sessions()
  return new Set(sessions.flatMap(({ tasks }) => (tasks === 'all' ? [] : tasks.filter(isTaskName))))
}

/** Names of the tasks of workflows that workers have registered. */
async function registeredTasks({ backend, engine }: FlowTextServices): Promise<ReadonlySet<string>> {
  const names = (await backend.inspect.workflowNames()).slice(0, MOST_WORKFLOWS)
  const graphs = await Promise.all(
    names.map(async (name) => {
      const stored = await backend.inspect.workflow(name)
      return stored === undefined ? undefined : engine.graphs.load(stored.graph).catch(() => undefined) // its graph may be gone
    }),
  )
  return new Set(graphs.flatMap((graph) => (graph === undefined ? [] : Object.keys(graph.tasks))))
}

const wordsOf = (text: string): readonly string[] => text.match(/[\p{L}\p{N}_$.-]+/gu) ?? []

function unknownName(text: string, name: string, position: number, known: readonly string[]): string {
  if (/^\s*\(/u.test(text.slice(position + name.length))) return `unknown name ${quote(name)} {at}: ${CALLS_HINT}`
  const listed = known.slice(0, LISTED).join(', ')
  const more = known.length > LISTED ? ` and ${known.length - LISTED} more` : ''
  const which = known.length === 0 ? 'no worker is there, and no workflow is registered' : `known are ${listed}${more}`
  return `expected the name of a task that a worker knows, got ${quote(name)} {at}${didYouMean(name, known)}; ${which}`
}
