/** Sends signals into runs, and says which a run waits for. What can be known here is checked here, so that a mistake is the sender's error. */
import type { OpenWait } from '../backend/backend.js'
import { describe } from '../describe.js'
import { waitMark } from '../backend/kept.js'
import { isRepeatedWait } from '../engine/routing.js'
import { fullStore } from '../engine/graph-store.js'
import { addressOf } from '../engine/waits.js'
import { checkPayload, faultsOf, unlessSlow } from '../engine/schemas.js'
import type { WaitAbout } from '../engine/wait-about.js'
import { GraflowError } from '../errors.js'
import { checkName } from '../flow/names.js'
import type { Prompt } from '../flow/node-options.js'
import { checkOptions, RUN_OPTIONS } from '../options.js'
import type { Graph, GraphNode } from '../graph/graph.js'
import { allPaths, nodeAt, staticPath } from '../graph/locate.js'
import { packedOf } from '../values/packed-arrays.js'
import { decode } from '../values/codec.js'
import { nonceFrom } from './nonce-from.js'
import { runNotFound, type HandleServices } from './handle-services.js'
import { checkByForm } from './answer-forms.js'
import type { RunWait, SignalOptions } from './types.js'

type Services = Pick<HandleServices, 'backend' | 'engine'>

/** As `Run.signal`. */
export async function sendSignal(
  { backend, engine }: Services,
  runId: string,
  name: unknown,
  payload: unknown,
  options: SignalOptions = {},
): Promise<boolean> {
  const signal = checkName('signal', name)
  const index = checkIndex(options)
  const { idempotencyKey } = checkOptions<SignalOptions>(
    'signal',
    { idempotencyKey: RUN_OPTIONS.idempotencyKey },
    {
      ...(options.idempotencyKey !== undefined && { idempotencyKey: options.idempotencyKey }),
    },
  )
  const record = await backend.inspect.run(runId)
  if (record === undefined) throw runNotFound(runId)
  const graph = await engine.graphs.load(record.graph)
  const waits = waitsOf(graph, signal)
  checkAddress(signal, graph, waits, index)
  const isChecked = waits.some((path) => isCheckedWait(graph, path))
  const schema = isChecked ? engine.registry.codeOf(runId).wait(signal)?.schema : undefined
  const check = async (): Promise<unknown> => {
    if (schema !== undefined) return checkPayload(schema, payload, signal)
    // of waits of handlers the graph says nothing
    if (isChecked || waits.length === 0) return checkByWait(backend, runId, signal, index, payload)
    return undefined
  }
  const refused = await unlessSlow(engine.parts.clock, whyRefused(check), undefined)
  // with a key it may be a repeat, of what was taken under another schema
  if (refused !== undefined && idempotencyKey === undefined) throw refused.why
  const bytes = packedOf(payload, `the payload of the signal "${signal}"`, engine.parts.limits.itemBytes, 'itemBytes')
  const isLate = record.retries > 0 && (await isAnswered(backend, runId, graph, waits, index))
  // with a key it may be the one that was the answer
  if (isLate && idempotencyKey === undefined) return false
  const answer = await backend.signal({
    ...{ runId, address: addressOf(signal, index), payload: bytes, ...(isLate && { isLate }) },
    ...(refused !== undefined && { isOnlyRepeat: true }),
    nonce: idempotencyKey === undefined ? engine.parts.newId() : nonceFrom(idempotencyKey, signal, `${index ?? ''}`),
  })
  if (refused !== undefined && answer === 'new') throw refused.why
  if (answer === 'gone') throw runNotFound(runId)
  if (answer === 'backpressure') throw fullStore(`the signal "${signal}"`)
  return answer === 'ok'
}

/** Undefined where it is not. */
const whyRefused = (check: () => Promise<unknown>): Promise<{ readonly why: unknown } | undefined> =>
  check().then(
    () => undefined,
    (why: unknown) => ({ why }),
  )

/** Checks a payload by what is kept with the wait that it would answer. Where there is none yet, or it says nothing, whoever waits has the last word. */
async function checkByWait(
  { inspect }: Services['backend'],
  runId: string,
  signal: string,
  index: number | undefined,
  payload: unknown,
): Promise<void> {
  const [next] = await inspect.openWaits(runId, addressOf(signal, index))
  if (next?.about === undefined) return
  const { form, isExact, needsPayload } = decode(next.about) as WaitAbout
  // a schema whose value may be left out has the same form as one that needs it
  if (payload === undefined && needsPayload !== true) return
  if (form !== undefined && isExact === true) await checkByForm(form, payload, signal)
}

/**
 * Whether the only wait for the signal was answered before the run was retried: its answer is kept, and nobody waits for another one. The store
 * knows that only of signals since then.
 */
async function isAnswered(
  { inspect }: Services['backend'],
  runId: string,
  graph: Graph,
  [path, ...others]: readonly string[],
  index = 0,
): Promise<boolean> {
  // one of several waits, of a loop, or of each in each may be still to come
  if (path === undefined || others.length > 0) return false
  const node = nodeAt(graph, path)
  if (node?.kind !== 'wait' || isRepeatedWait(graph, node.name) || path.split('*').length > 2) return false
  const place = path.replace('*', `${index}`)
  // after a payload that the schema refused, it waits for another one
  return (await inspect.output(runId, node.isChecked ? place : waitMark(place))) !== undefined
}

/** The places of the graph where this signal is awaited. */
const waitsOf = (graph: Graph, signal: string): readonly string[] =>
  [...allPaths(graph)].flatMap(([path, node]) => (node.kind === 'wait' && node.name === signal ? [path] : []))

function checkIndex({ index }: SignalOptions): number | undefined {
  if (index === undefined || (Number.isSafeInteger(index) && index >= 0)) return index
  throw new GraflowError(
    'INVALID_OPTION',
    `signal: index must be the number of an item, from 0, got ${describe(index)}`,
    {
      details: { option: 'index' },
    },
  )
}

/** An address that nobody can wait at would be kept for ever. Of signals that handlers wait for nothing is known. */
function checkAddress(signal: string, graph: Graph, waits: readonly string[], index: number | undefined): void {
  if (waits.length === 0) return
  const inEach = waits.filter((path) => isInEach(graph, path))
  if (index === undefined && inEach.length === waits.length) {
    throw new GraflowError(
      'INVALID_OPTION',
      `every item of an each waits for its own signal "${signal}" (at ${inEach.join(', ')}): say which, as in run.signal('${signal}', payload, { index: 0 })`,
      { details: { option: 'index', signal } },
    )
  }
  if (index !== undefined && inEach.length === 0) {
    throw new GraflowError(
      'INVALID_OPTION',
      `the signal "${signal}" is awaited at ${waits.join(', ')}, outside of any each: leave the index out`,
      { details: { option: 'index', signal } },
    )
  }
}

function isCheckedWait(graph: Graph, path: string): boolean {
  const node = nodeAt(graph, path)
  return node?.kind === 'wait' && node.isChecked
}

function isInEach(graph: Graph, path: string): boolean {
  const segments = path.split('/')
  return segments.some((_, length) => length > 0 && nodeAt(graph, segments.slice(0, length).join('/'))?.kind === 'each')
}

/** A wait for time or a signal, as people see it. @param graph of the run, where the store keeps it */
export function describeWait(graph: Graph | undefined, runId: string, wait: OpenWait): RunWait {
  const { address, since, dueAt, about } = wait
  const path = wait.place.replace(/\/!\d+$/u, '') // a payload was refused there, and another one is awaited
  const node = nodeIn(graph, path)
  const handler = /^(.*?)\/~[\d.]+$/u.exec(path)?.[1]
  const task = handler === undefined ? undefined : nodeIn(graph, handler)
  const [signal, index] = address === undefined ? [] : address.split('#')
  const {
    form,
    isExact: _,
    needsPayload: __,
    refused,
    ...asked
  } = about === undefined ? {} : (decode(about) as WaitAbout)
  const prompt = isPrompt(asked) ? asked : node?.kind === 'wait' ? node.options.prompt : undefined
  return {
    ...{ runId, path, count: 1, since: new Date(since), why: address === undefined ? 'timer' : 'signal' },
    ...(task?.kind === 'task' && { task: task.name }),
    details: {
      ...(signal !== undefined && { signal }),
      ...(index !== undefined && { index: Number(index) }),
      ...(dueAt !== undefined && { dueAt: new Date(dueAt) }),
      ...(form !== undefined && prompt === undefined && { schema: form }),
      ...(refused !== undefined && { refused: { message: faultsOf(refused), issues: refused } }),
    },
    ...(prompt !== undefined && { prompt: { ...prompt, ...(form !== undefined && { form }) } }),
  }
}

/** Without a title nobody is asked anything. */
const isPrompt = (asked: Partial<Prompt>): asked is Prompt => asked.title !== undefined

function nodeIn(graph: Graph | undefined, path: string): GraphNode | undefined {
  if (graph === undefined) return undefined
  const known = staticPath(graph, path)
  return known === undefined ? undefined : nodeAt(graph, known)
}
