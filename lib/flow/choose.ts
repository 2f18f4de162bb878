/** Choosing what runs by a decision made at run time. */
import { GraflowError, lookingAt } from '../errors.js'
import { describe } from '../describe.js'
import { isNode } from './expression.js'
import { makeChoose } from './make.js'
import { expressionOf, nodeOf } from './node.js'
import { recordOf } from './record.js'
import type { CheckCases, CheckDecide, Flow, In, Meet, MeetRecord, Node, Outs } from './types.js'

/**
 * Runs `decide`, which returns one of the keys, then the case with that key, on the same input. A key that is no case fails with
 * NO_SUCH_CASE.
 *
 * @example
 * const level = task('level', (n: number) => (n > 9 ? 'high' : 'low'))
 * const alert = task('alert', (n: number) => `${n}!`)
 * const note = task('note', (n: number) => `${n}`)
 * String(choose(level, { high: alert, low: note })) // → 'choose(level, {high: alert, low: note})'
 *
 * @throws GraflowError INVALID_NODE, INVALID_NAME (a key), EMPTY_GROUP, DUPLICATE_TASK
 */
export function choose<const D, const C>(
  decide: CheckDecide<D> extends D ? D : CheckDecide<D>,
  cases: C extends CheckCases<Flow<D>, C> ? C : CheckCases<Flow<D>, C>,
): Node<Meet<In<Flow<D>>, MeetRecord<C>>, Outs<C>[keyof C]>
export function choose(decide: unknown, cases: unknown): unknown {
  const decision = expressionOf(decide, 'choose, the decision')
  if (typeof cases !== 'object' || cases === null || isNode(cases) || isList(cases)) {
    throw new GraflowError(
      'INVALID_NODE',
      `choose takes a record of cases, { high: a, low: b }, got ${describe(cases)}`,
    )
  }
  return nodeOf(makeChoose(decision, recordOf('choose', 'case key', cases as Readonly<Record<string, unknown>>)))
}

const isList = (cases: object): boolean => lookingAt('choose', 'INVALID_NODE', () => Array.isArray(cases))
