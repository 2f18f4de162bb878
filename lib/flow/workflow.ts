/** Giving a flow a public name. */
import type { WorkflowOptions } from './node-options.js'
import { makeWorkflow } from './make.js'
import { checkName } from './names.js'
import { expressionOf, nodeOf } from './node.js'
import { checkWorkflowOptions } from './options.js'
import type { AnyNode, In, OrSay, Out, Workflow } from './types.js'

/**
 * A flow with a public name: it can be deployed, submitted by name, and nested in another flow, whose text shows the name.
 *
 * @example
 * const double = task('double', (n: number) => n * 2)
 * const fourfold = workflow('fourfold', seq(double, double), { timeoutMs: 60_000 })
 * String(each(fourfold)) // → 'fourfold*'
 *
 * @throws GraflowError INVALID_NAME, INVALID_NODE, INVALID_OPTION, NOT_SERIALISABLE, LIMIT_EXCEEDED (nesting)
 */
export function workflow<const N extends string, const B extends AnyNode, const G = B>(
  name: N,
  node: B | OrSay<G>,
  options?: WorkflowOptions,
): Workflow<In<B>, Out<B>, N>
export function workflow(name: unknown, node: unknown, options?: unknown): unknown {
  const checked = checkName('workflow', name)
  return nodeOf(
    makeWorkflow(checked, expressionOf(node, `workflow "${checked}"`), checkWorkflowOptions(checked, options)),
  )
}
