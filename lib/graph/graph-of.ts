/**
 * From a flow to its graph: leaves out the code (handlers, schemas, what policies do), keeps the names, and checks what is left.
 * Promises that whatever it returns can be stored, and that parseGraph takes it where it is loaded.
 */
import { GraflowError } from '../errors.js'
import { tasksOf } from '../flow/collect.js'
import type { Expression, Join } from '../flow/expression.js'
import type { TaskOptions } from '../flow/node-options.js'
import { type Graph, type GraphJoin, type GraphNeeds, type GraphNode, graphVersion, noteNeeds } from './graph.js'
import { GRAPH_LIMITS } from './limits.js'
import { checkGraph } from './validate.js'

/** A sequence stands between any two of the nodes that count as nesting, at most. */
const DEEPEST = 2 * GRAPH_LIMITS.nesting + 2

const graphs = new WeakMap<Expression, Graph>()

/**
 * The graph of a flow, made once for each expression; frozen. A workflow at the root contributes its body only, and options are
 * only those that were given.
 * Errors: NOT_SERIALISABLE (code among the options), LIMIT_EXCEEDED (nesting, branches, nodes), DUPLICATE_TASK (two tasks or two
 * policies with one name); and, for expressions that no combinator makes, INVALID_NODE, INVALID_OPTION, INVALID_NAME, EMPTY_GROUP,
 * JOIN_IMPOSSIBLE. `details.path` is the place in the graph, `root.steps[1].options.name`.
 */
export function graphOf(expression: Expression): Graph {
  let graph = graphs.get(expression)
  if (graph === undefined) {
    graph = checkGraph(new Translation().graph(expression))
    graphs.set(expression, graph)
  }
  return graph
}

/** One flow on its way. An expression that stands in several places is translated once, so that sharing cannot explode. */
class Translation {
  readonly #done = new Map<Expression, GraphNode>()
  #depth = 0
  readonly #needs: GraphNeeds = { waits: false, labels: false }

  /** Data in the form of a graph, not checked yet. */
  graph(expression: Expression): unknown {
    const root = this.#node(expression.kind === 'workflow' ? expression.body : expression)
    const tasks = Object.create(null) as Record<string, TaskOptions>
    for (const [name, { options }] of tasksOf(expression)) tasks[name] = given(options)
    return { version: graphVersion(this.#needs), tasks, root }
  }

  #node(expression: Expression): GraphNode {
    const done = this.#done.get(expression)
    if (done !== undefined) return done
    // the check that follows counts nesting exactly; this one keeps the recursion short until then
    if (this.#depth > DEEPEST)
      throw new GraflowError(
        'LIMIT_EXCEEDED',
        `a flow may have ${DEEPEST} nodes inside one another, sequences included`,
      )
    this.#depth += 1
    const node = this.#translate(expression)
    noteNeeds(this.#needs, node)
    this.#depth -= 1
    this.#done.set(expression, node)
    return node
  }

  #translate(expression: Expression): GraphNode {
    switch (expression.kind) {
      case 'task':
        return { kind: 'task', name: expression.name }
      case 'sequence':
        return { kind: 'sequence', steps: expression.steps.map((step) => this.#node(step)) }
      case 'group': {
        const branches = expression.branches.map((branch) => this.#node(branch))
        const rest = { branches, join: joinOf(expression.join), options: given(expression.options) }
        return expression.keys === undefined
          ? { kind: 'group', ...rest }
          : { kind: 'group', keys: expression.keys, ...rest }
      }
      case 'each': {
        const body = this.#node(expression.body)
        // an each's join is never critical, and its translation has the same kind
        const join = joinOf(expression.join) as Exclude<GraphJoin, { kind: 'critical' }>
        return { kind: 'each', body, join, options: given(expression.options) }
      }
      case 'choose': {
        const decide = this.#node(expression.decide)
        return {
          kind: 'choose',
          decide,
          cases: expression.cases.map(([key, node]) => [key, this.#node(node)] as const),
        }
      }
      case 'loop':
        return { kind: 'loop', body: this.#node(expression.body), maxCycles: expression.maxCycles }
      case 'workflow': {
        const { name } = expression
        const { pin: _, ...options } = expression.options // says something of runs, nothing of the graph
        return { kind: 'workflow', name, body: this.#node(expression.body), options: given(options) }
      }
      case 'wait': {
        const { name, options, schema } = expression
        return { kind: 'wait', name, options: given(options), isChecked: schema !== undefined }
      }
      case 'later': {
        const { body, when } = expression
        const time = typeof when === 'number' ? { ms: when } : { due: { kind: 'task', name: when.name } as const }
        return { kind: 'later', body: this.#node(body), ...time }
      }
      default:
        return unknownKind(expression)
    }
  }
}

function joinOf(join: Join): GraphJoin {
  return join.kind === 'policy' ? { kind: 'policy', name: join.name } : given(join)
}

/** A copy without what is undefined, and with 0 for -0, which JSON does not know. Whatever else JSON cannot say is left to the check. */
function given<T>(value: T): T {
  if (Object.is(value, -0)) return 0 as T
  if (typeof value !== 'object' || value === null || !isPlainRecord(value)) return value
  const copy: Record<string, unknown> = {}
  for (const [key, field] of Object.entries(value)) {
    if (field !== undefined)
      Object.defineProperty(copy, key, { value: given(field), enumerable: true, configurable: true })
  }
  return copy as T
}

function isPlainRecord(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}

function unknownKind(expression: never): never {
  const kind = (expression as { readonly kind?: unknown } | undefined)?.kind
  throw new GraflowError('INVALID_NODE', `expected a flow, got something of the kind ${String(kind)}`)
}
