/**
 * The objects that users hold: a frozen wrapper around an expression, with the methods of the language. It hides how a node carries its
 * expression; the other rooms ask `expressionOf`.
 *
 * The classes are untyped: types.ts says which nodes fit together, and the checks in make.ts enforce it at run time.
 */
import { GraflowError, lookingAt } from '../errors.js'
import type { PolicyJoin } from './collect.js'
import { describe, isThenable } from '../describe.js'
import {
  type EachExpression,
  EXPRESSION,
  type Expression,
  type GroupExpression,
  isNode,
  type TaskExpression,
  type WaitExpression,
  type WorkflowExpression,
} from './expression.js'
import { makeBeside, makeConfigured, makeJoined, makePolicy, makeSequence } from './make.js'
import { checkEachOptions, checkGroupOptions } from './options.js'
import { print } from './print.js'

const INSPECT = Symbol.for('nodejs.util.inspect.custom')
/** What a terminal can take. */
const LONGEST_INSPECTED = 200

/** What nodes need of the graph room, which stands to the right of this one and is put in by `useDrawing`. */
export interface Drawing {
  /** sha-256 of the graph's canonical bytes, 64 hex digits. */
  hash(expression: Expression): string
  mermaid(expression: Expression): string
  svg(expression: Expression): string
}

let drawing: Drawing | undefined

/** Gives nodes their hash and pictures. Called once, by lib/index.ts; calling it again replaces what was given. */
export function useDrawing(given: Drawing): void {
  drawing = given
}

function theDrawing(): Drawing {
  if (drawing === undefined) {
    throw new GraflowError(
      'INTERNAL',
      'no drawing is installed: hash, toMermaid and toSvg need graflow itself, not a file inside it',
    )
  }
  return drawing
}

/** A flow, as an object. Every method returns another; none changes this one. */
export class FlowNode {
  readonly [EXPRESSION]: Expression

  constructor(expression: Expression) {
    this[EXPRESSION] = expression
    Object.freeze(this)
  }

  to(next: unknown): FlowNode {
    return nodeOf(makeSequence(this[EXPRESSION], expressionOf(next, 'to')))
  }

  with(other: unknown): FlowNode {
    return nodeOf(makeBeside(this[EXPRESSION], expressionOf(other, 'with')))
  }

  toString(): string {
    return print(this[EXPRESSION])
  }

  toMermaid(): string {
    return theDrawing().mermaid(this[EXPRESSION])
  }

  toSvg(): string {
    return theDrawing().svg(this[EXPRESSION])
  }

  /** `a >> b` and `a | b` outside of a text would quietly be numbers. */
  [Symbol.toPrimitive](hint: 'string' | 'number' | 'default'): string {
    if (hint !== 'number') return this.toString()
    throw new GraflowError(
      'INVALID_NODE',
      `a flow is no number: >> and | join nodes in a text only, flow('a >> b', { a, b }); in code take a.to(b) and a.with(b)`,
    )
  }

  [INSPECT](): string {
    const expression = this[EXPRESSION]
    if (expression.kind === 'task') return `Task<${expression.name}>`
    if (expression.kind === 'workflow') return `Workflow<${expression.name}>`
    const text = this.toString()
    return `Node<${text.length <= LONGEST_INSPECTED ? text : `${text.slice(0, LONGEST_INSPECTED - 1)}…`}>`
  }
}

class TaskNode extends FlowNode {
  declare readonly [EXPRESSION]: TaskExpression

  get kind(): 'task' {
    return 'task'
  }
  get name(): string {
    return this[EXPRESSION].name
  }
  get options(): TaskExpression['options'] {
    return this[EXPRESSION].options
  }
}

class WaitNode extends FlowNode {
  declare readonly [EXPRESSION]: WaitExpression

  get kind(): 'wait' {
    return 'wait'
  }
  get name(): string {
    return this[EXPRESSION].name
  }
  get options(): WaitExpression['options'] {
    return this[EXPRESSION].options
  }
}

/** A group of any kind. Joins that its kind cannot have are refused by make.ts. */
class GroupNode extends FlowNode {
  declare readonly [EXPRESSION]: GroupExpression | EachExpression

  get kind(): 'group' {
    return 'group'
  }
  settled(): FlowNode {
    return nodeOf(makeJoined(this[EXPRESSION], { kind: 'settled' }))
  }
  atLeast(count: number): FlowNode {
    return nodeOf(makeJoined(this[EXPRESSION], { kind: 'atLeast', count }))
  }
  critical(...members: readonly string[]): FlowNode {
    return nodeOf(makeJoined(this[EXPRESSION], { kind: 'critical', members }))
  }
  first(): FlowNode {
    return nodeOf(makeJoined(this[EXPRESSION], { kind: 'first' }))
  }
  join(policy: unknown): FlowNode {
    return nodeOf(makeJoined(this[EXPRESSION], demandPolicy(policy)))
  }
  configure(options: unknown): FlowNode {
    const group = this[EXPRESSION]
    const check = group.kind === 'each' ? checkEachOptions : checkGroupOptions
    return nodeOf(makeConfigured(group, check(group.options, options)))
  }
}

/** Hashing takes the whole graph, so it is done when asked and once. */
const hashes = new WeakMap<Expression, string>()

class WorkflowNode extends FlowNode {
  declare readonly [EXPRESSION]: WorkflowExpression

  get kind(): 'workflow' {
    return 'workflow'
  }
  get name(): string {
    return this[EXPRESSION].name
  }
  get options(): WorkflowExpression['options'] {
    return this[EXPRESSION].options
  }
  get hash(): string {
    const expression = this[EXPRESSION]
    const hash = hashes.get(expression) ?? theDrawing().hash(expression)
    hashes.set(expression, hash)
    return hash
  }
}

const nodes = new WeakMap<Expression, FlowNode>()

/** The node around an expression; always the same one for the same expression. */
export function nodeOf(expression: Expression): FlowNode {
  const found = nodes.get(expression)
  if (found !== undefined) return found
  const node = wrap(expression)
  nodes.set(expression, node)
  return node
}

function wrap(expression: Expression): FlowNode {
  switch (expression.kind) {
    case 'task':
      return new TaskNode(expression)
    case 'group':
    case 'each':
      return new GroupNode(expression)
    case 'workflow':
      return new WorkflowNode(expression)
    case 'wait':
      return new WaitNode(expression)
    case 'sequence':
    case 'choose':
    case 'loop':
    case 'later':
      return new FlowNode(expression)
    default:
      return expression satisfies never
  }
}

/**
 * The expression inside a node.
 * @param asked who wants it, for the message: `seq, argument 2`
 * @throws GraflowError INVALID_NODE for anything that is no flow, with what was probably meant
 */
export function expressionOf(node: unknown, asked = 'graflow'): Expression {
  if (isNode(node)) return lookingAt(asked, 'INVALID_NODE', () => (node as unknown as FlowNode)[EXPRESSION])
  throw new GraflowError('INVALID_NODE', `${asked}: expected a flow, got ${describe(node)}${adviceFor(node)}`)
}

/** Advice for a value that is no flow, to append to its description; empty when there is none. */
export function adviceFor(value: unknown): string {
  if (typeof value === 'function') return `: a function becomes a flow by task('name', fn); if it makes one, call it`
  try {
    return adviceFromInside(value)
  } catch {
    return '' // a getter or proxy that throws
  }
}

function adviceFromInside(value: unknown): string {
  if (isThenable(value)) return ': await it first'
  if (Array.isArray(value)) return ': spread it, as in seq(...nodes) or par(...nodes)'
  if (value === undefined) return ': is it exported under this name, and is no import circular?'
  if (typeof value === 'string') return `: a text becomes a flow by flow('a >> b', { a, b })`
  if (typeof value === 'number')
    return ': if it came from a >> b or a | b, these work in texts only; in code take a.to(b) and a.with(b)'
  if (typeof value === 'object' && value !== null && Object.values(value).some(isNode)) {
    return ': a record of flows becomes one by par({ … })'
  }
  return ''
}

/** What `policy` returned, which is its own kind of join. @throws GraflowError INVALID_OPTION, INVALID_NAME */
const demandPolicy = (policy: unknown): PolicyJoin => lookingAt('join', 'INVALID_OPTION', () => policyJoinOf(policy))

function policyJoinOf(policy: unknown): PolicyJoin {
  if (typeof policy === 'object' && policy !== null && 'kind' in policy && policy.kind === 'policy') {
    // Its type is public, so it may be written by hand.
    const { name, decide } = policy as Readonly<Record<string, unknown>>
    return makePolicy(name, decide)
  }
  const advice = typeof policy === 'function' ? `; a function becomes one by policy('name', fn)` : ''
  throw new GraflowError('INVALID_OPTION', `join takes a policy, got ${describe(policy)}${advice}`, {
    details: { option: 'policy' },
  })
}
