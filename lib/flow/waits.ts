/** Waiting for time and for people. Nothing is held meanwhile: the run is in the store alone, and goes on wherever there is a process for it. */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { GraflowError } from '../errors.js'
import { describe } from '../describe.js'
import type { Expression } from './expression.js'
import { makeLater, makeTask, makeWait } from './make.js'
import { DUE } from './names.js'
import { checkName } from './names.js'
import { expressionOf, nodeOf } from './node.js'
import { checkDelay, checkWaitOptions } from './options.js'
import type { Payload, WaitOptions } from './wait-options.js'
import type { AnyNode, In, Node, OrSay, Out, Wait } from './types.js'

/**
 * Waits for a signal: gives the payload that somebody sends with `run.signal(name, payload)`. The first signal counts, also one that came before
 * the wait. Inside an `each`, every item waits for its own, by the number of the item. The input is not used.
 *
 * @example
 * // Wait<unknown, 'approve'>
 * const approve = waitFor('approve', { timeoutMs: 86_400_000, prompt: { title: 'Approve the order?', choices: ['yes', 'no'] } })
 * String(approve) // → "waitFor('approve', {timeoutMs: 86400000})"
 *
 * @throws GraflowError INVALID_NAME, INVALID_OPTION, NOT_SERIALISABLE
 */
export function waitFor<const N extends string, S extends StandardSchemaV1 = never, const T = never>(
  name: N,
  options?: WaitOptions<S, T>,
): Wait<Payload<S, T>, N>
export function waitFor(name: unknown, options?: unknown): unknown {
  const checked = checkName('signal', name)
  return nodeOf(makeWait(checked, checkWaitOptions(`waitFor "${checked}"`, options)))
}

/**
 * The same node, started later: after so many milliseconds from when its turn comes, or at the date that a function of its input gives. That
 * function becomes a task of the flow, called `<name of the node>.due`.
 *
 * @example
 * const remind = task('remind', (order: { id: string, due: Date }) => `order ${order.id} is due`)
 * String(later(remind, 86_400_000)) // → 'later(remind, 86400000)'
 * String(later(remind, (order) => order.due)) // → 'later(remind, remind.due)'
 *
 * @throws GraflowError INVALID_NODE, INVALID_OPTION; DUPLICATE_TASK where two functions of one flow get the same name, as those of two chains: then
 * give each node a name, as in `later(workflow('remind-again', remind), …)`
 */
export function later<const N extends AnyNode, const G = N>(
  node: N | OrSay<G>,
  when: number | ((input: In<N>) => Date),
): Node<In<N>, Out<N>>
export function later(node: unknown, when: unknown): unknown {
  const body = expressionOf(node, 'later')
  if (typeof when !== 'function') return nodeOf(makeLater(body, checkDelay('later: the delay', when)))
  const due = checkName('task', `${labelOf(body)}${DUE}`)
  return nodeOf(makeLater(body, makeTask(due, { options: NO_OPTIONS }, dueOf(when as When, due))))
}

const NO_OPTIONS = Object.freeze({})

type When = (input: unknown) => unknown

/** By the name of the task. */
const handlers = new WeakMap<When, Map<string, (input: unknown) => number>>()

/** The handler of a function that gives a date: one function, used twice for nodes of one name, is one task. */
function dueOf(when: When, due: string): (input: unknown) => number {
  let known = handlers.get(when)
  if (known === undefined) handlers.set(when, (known = new Map<string, (input: unknown) => number>()))
  let handler = known.get(due)
  if (handler === undefined) known.set(due, (handler = (input) => timeOf(when(input), due)))
  return handler
}

function labelOf(body: Expression): string {
  return 'name' in body ? body.name : body.kind
}

/** Milliseconds since the epoch. */
function timeOf(date: unknown, due: string): number {
  if (date instanceof Date && !Number.isNaN(date.getTime())) return date.getTime()
  throw new GraflowError(
    'INVALID_OPTION',
    `${due}: the function given to later must return a valid Date, got ${describe(date)}`,
    { details: { option: 'when' } },
  )
}
