/** Going round until the last task says that it is done. */
import { makeLoop } from './make.js'
import { expressionOf, nodeOf } from './node.js'
import { checkLoopOptions } from './options.js'
import type { Again, CheckBody, Done, Flow, In, Node, Out, ResultOf } from './types.js'

/**
 * Runs `body` until its last task returns `done(value)`; after `again(next)` it runs once more, with `next`. Past `maxCycles` passes it
 * fails with CYCLE_LIMIT.
 *
 * @example
 * // Node<number, string>
 * const counting = loop(task('count', (n: number) => (n < 3 ? again(n + 1) : done('three'))), { maxCycles: 10 })
 * String(counting) // → 'loop(count, {maxCycles: 10})'
 *
 * @throws GraflowError INVALID_NODE, INVALID_OPTION
 */
export function loop<const B>(
  body: CheckBody<B> extends B ? B : CheckBody<B>,
  options: { readonly maxCycles: number },
): Node<In<Flow<B>>, ResultOf<Out<Flow<B>>>>
export function loop(body: unknown, options: unknown): unknown {
  return nodeOf(makeLoop(expressionOf(body, 'loop'), checkLoopOptions(options).maxCycles))
}

/** Returned by the last task of a loop: once more, with `next` as the input. */
export function again<S>(next: S): Again<S> {
  return Object.freeze({ kind: 'again', next })
}

/** Returned by the last task of a loop: the end, with `value` as the result. */
export function done<V>(value: V): Done<V> {
  return Object.freeze({ kind: 'done', value })
}
