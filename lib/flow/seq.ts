/** One node after the other. */
import { GraflowError } from '../errors.js'
import { sequenceOf } from './make.js'
import { expressionOf, nodeOf } from './node.js'
import type { CheckSteps, Flow, In, Last, Node, Out } from './types.js'

/**
 * One after the other: `a >> b >> c`. What one gives, the next takes. Sequences inside are put in their place, so
 * `seq(a, seq(b, c))` is `seq(a, b, c)`; `seq(a)` is `a`.
 *
 * @example
 * const words = task('words', (text: string) => text.split(' '))
 * const count = task('count', (all: string[]) => all.length)
 * String(seq(words, count)) // → 'words >> count'
 *
 * @throws GraflowError INVALID_NODE, DUPLICATE_TASK
 */
export function seq<const T extends readonly unknown[]>(
  ...nodes: T extends CheckSteps<T> ? T : CheckSteps<T>
): Node<In<Flow<T[0]>>, Out<Flow<Last<T>>>>
export function seq(...nodes: readonly unknown[]): unknown {
  const sequence = sequenceOf(nodes.map((node, i) => expressionOf(node, `seq, argument ${i + 1}`)))
  if (sequence === undefined) throw new GraflowError('INVALID_NODE', 'seq needs at least one node: seq(a, b, c)')
  return nodeOf(sequence)
}
