/** Groups: nodes that workers run side by side, joined at a barrier. Methods of the returned group set its join. */
import { lookingAt } from '../errors.js'
import { makeEach, makeGroup, makePolicy } from './make.js'
import { isNode } from './expression.js'
import { expressionOf, nodeOf } from './node.js'
import { recordOf } from './record.js'
import type { AnyNode, CheckBranches, EachGroup, Flow, In, JoinPolicy, NoNode, Out, Par } from './types.js'

/**
 * Branches side by side, all with the same input: `a | b | c`, or a record of them, `par({ x: a, y: b })`. The result has their shape.
 * As it is, the group is strict: when a branch has failed and will not be retried, the others are cancelled and the group fails.
 *
 * @example
 * const shout = task('shout', (word: string) => word.toUpperCase())
 * const measure = task('measure', (word: string) => word.length)
 * String(par(shout, measure)) // → 'shout | measure'
 * String(par({ loud: shout, long: measure })) // → 'par({loud: shout, long: measure})'
 *
 * @throws GraflowError EMPTY_GROUP, INVALID_NODE, INVALID_NAME (a key), DUPLICATE_TASK, LIMIT_EXCEEDED
 */
export function par<const T extends readonly unknown[]>(
  ...branches: T extends CheckBranches<T> ? T : CheckBranches<T>
): Par<T>
export function par(...branches: readonly unknown[]): unknown {
  const [record] = branches
  if (branches.length === 1 && !isNode(record) && isRecord(record)) {
    const entries = recordOf('par', 'branch key', record)
    return nodeOf(
      makeGroup(
        entries.map(([, branch]) => branch),
        entries.map(([key]) => key),
      ),
    )
  }
  return nodeOf(makeGroup(branches.map((branch, i) => expressionOf(branch, `par, argument ${i + 1}`))))
}

/**
 * `node` for every item of an array, of any length: `node*`. Over no items it gives `[]` at once.
 *
 * @example
 * // EachGroup<number, number>, a Node<readonly number[], number[]>
 * const squares = each(task('square', (n: number) => n * n))
 * String(squares) // → 'square*'
 *
 * @throws GraflowError INVALID_NODE, LIMIT_EXCEEDED (nesting)
 */
export function each<const N>(node: N extends AnyNode ? N : NoNode<N>): EachGroup<In<Flow<N>>, Out<Flow<N>>>
export function each(node: unknown): unknown {
  return nodeOf(makeEach(expressionOf(node, 'each')))
}

/**
 * A named decision for `.join`: it gets every outcome, in the shape of the group, and what it returns is the group's result. It may be async. It
 * runs in the driver's process. Another process that takes over the run finds it by its name.
 *
 * @example
 * const good = policy('good', (all: readonly Outcome<unknown>[]) => all.filter((o) => o.status === 'succeeded').length)
 * const half = task('half', (n: number) => n / 2)
 * String(each(half).join(good)) // → 'half*.join(good)'
 *
 * @throws GraflowError INVALID_NAME, INVALID_OPTION
 */
export function policy<const Outs, R>(name: string, decide: (outcomes: Outs) => R | Promise<R>): JoinPolicy<Outs, R> {
  // An expression stores policies untyped; this is the same object with its types.
  return makePolicy(name, decide) as JoinPolicy<Outs, R>
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false
  return lookingAt('par', 'INVALID_NODE', () => {
    if (Array.isArray(value)) return false
    return Object.getPrototypeOf(value) === Object.prototype || Object.values(value).some(isNode)
  })
}
