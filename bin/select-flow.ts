/** Which flow of some task modules is meant: by the name of a workflow, a task or an export, or the only one that it can be. */
import { GraflowError } from '../lib/errors.js'
import type { Expression } from '../lib/flow/expression.js'
import { nodeOf } from '../lib/flow/node.js'
import { didYouMean } from '../lib/nearest.js'
import type { LoadedModule } from '../lib/modules/task-modules.js'

/** A flow of a module. */
export interface Named {
  readonly name: string
  readonly expression: Expression
  readonly node: ReturnType<typeof nodeOf>
}

/** All flows that modules export, each once, in order; a workflow or task by its own name, others by that of their export. */
export function flowsOf(modules: readonly LoadedModule[]): readonly Named[] {
  const found = new Map<Expression, Named>()
  for (const { exported = new Map<string, Expression>() } of modules) {
    for (const [given, expression] of exported) {
      const name = expression.kind === 'workflow' || expression.kind === 'task' ? expression.name : given
      if (!found.has(expression)) found.set(expression, { name, expression, node: nodeOf(expression) })
    }
  }
  return [...found.values()]
}

/** @throws GraflowError INVALID_OPTION with the names that there are */
export function selectFlow(modules: readonly LoadedModule[], wanted: string | undefined, flag = '--workflow'): Named {
  const all = flowsOf(modules)
  const names = [...new Set(all.map(({ name }) => name))]
  if (wanted !== undefined) {
    const byExport = modules.map(({ exported }) => exported?.get(wanted)).find((one) => one !== undefined)
    const found = all.find(({ name }) => name === wanted) ?? all.find(({ expression }) => expression === byExport)
    if (found !== undefined) return found
    throw invalid(
      `${flag}: expected one of ${names.join(', ')}, got ${JSON.stringify(wanted)}${didYouMean(wanted, names)}`,
    )
  }
  const workflows = all.filter(({ expression }) => expression.kind === 'workflow')
  const composed = all.filter(({ expression }) => expression.kind !== 'task')
  for (const candidates of [workflows, composed, all]) {
    const [only] = candidates
    if (only !== undefined && candidates.length === 1) return only
    if (candidates.length > 1) break
  }
  if (all.length === 0) throw invalid('expected a module that exports a task, flow or workflow, got only policies')
  throw invalid(`expected ${flag} NAME, since there are several flows: ${names.join(', ')}`)
}

const invalid = (message: string): GraflowError => new GraflowError('INVALID_OPTION', message)
