/**
 * The canonical text of a flow. Equal flows have equal texts; of the operators alone, the text parses back to an equal flow.
 *
 * text     = branch { " | " branch }                 a tuple group at the top of a text, or of an argument
 * branch   = atom { " >> " atom }
 * atom     = name | atom "*" | "(" text ")" | call
 * call     = par, choose, loop, waitFor or later with its arguments; or a group with .settled(), .configure({…}) and the like behind it
 *
 * Sequences are walked, not recursed into; the rest is at most as deep as flows may be nested.
 */
import type { EachExpression, Expression, GroupExpression, Join } from './expression.js'
import type { EachOptions } from './node-options.js'

/** A group's options, in the order in which they are printed. */
const OPTION_ORDER = [
  'timeoutMs',
  'queue',
  'concurrency',
  'name',
  'onFailure',
  'label',
] as const satisfies readonly (keyof EachOptions)[]

/** The text of a flow. A workflow shows its body when it is printed itself, and its name inside another flow. */
export function print(expression: Expression): string {
  return printTop(expression.kind === 'workflow' ? expression.body : expression)
}

function printTop(expression: Expression): string {
  return isOperatorGroup(expression) && isPlain(expression)
    ? expression.branches.map(printBranch).join(' | ')
    : printBranch(expression)
}

function printBranch(expression: Expression): string {
  return expression.kind === 'sequence' ? expression.steps.map(printAtom).join(' >> ') : printAtom(expression)
}

function printAtom(expression: Expression): string {
  switch (expression.kind) {
    case 'task':
    case 'workflow':
      return expression.name
    case 'sequence':
      return `(${printBranch(expression)})`
    case 'group':
      return `${printMembers(expression)}${printJoin(expression.join)}${printOptions(expression)}`
    case 'each':
      return `${printBody(expression.body)}*${printJoin(expression.join)}${printOptions(expression)}`
    case 'choose':
      return `choose(${[printTop(expression.decide), printRecord(expression.cases)].join(', ')})`
    case 'loop':
      return `loop(${printTop(expression.body)}, {maxCycles: ${expression.maxCycles}})`
    case 'wait':
      return `waitFor('${expression.name}'${expression.options.timeoutMs === undefined ? '' : `, {timeoutMs: ${expression.options.timeoutMs}}`})`
    case 'later':
      return `later(${printTop(expression.body)}, ${typeof expression.when === 'number' ? expression.when : expression.when.name})`
    default:
      return expression satisfies never
  }
}

/** Whether it is written with `|`. A group of one is not: in a text, brackets around one branch are that branch. */
function isOperatorGroup(expression: Expression): expression is GroupExpression {
  return expression.kind === 'group' && expression.keys === undefined && expression.branches.length > 1
}

/** Whether nothing stands behind the group. */
function isPlain(group: GroupExpression | EachExpression): boolean {
  return group.join.kind === 'strict' && Object.keys(group.options).length === 0
}

function printMembers(group: GroupExpression): string {
  const { keys, branches } = group
  if (keys !== undefined) return `par(${printRecord(branches.map((branch, i) => [keys[i] ?? '', branch]))})`
  if (isOperatorGroup(group)) return `(${branches.map(printBranch).join(' | ')})`
  return `par(${branches.map(printTop).join(', ')})`
}

/** `(a >> b)*`, `a*`, `a**`: brackets where the star would bind to less than the body. */
function printBody(body: Expression): string {
  const isClosed = body.kind !== 'each' && body.kind !== 'group' ? true : isPlain(body)
  return isClosed ? printAtom(body) : `(${printAtom(body)})`
}

function printRecord(entries: readonly (readonly [key: string, node: Expression])[]): string {
  return `{${entries.map(([key, node]) => `${key}: ${printTop(node)}`).join(', ')}}`
}

function printJoin(join: Join): string {
  switch (join.kind) {
    case 'strict':
      return ''
    case 'settled':
    case 'first':
      return `.${join.kind}()`
    case 'atLeast':
      return `.atLeast(${join.count})`
    case 'critical':
      return `.critical(${join.members.map((member) => `'${member}'`).join(', ')})`
    case 'policy':
      return `.join(${join.name})`
    default:
      return join satisfies never
  }
}

function printOptions(group: GroupExpression | EachExpression): string {
  const options: EachOptions = group.options
  const set = OPTION_ORDER.flatMap((key) => {
    const value = options[key]
    return value === undefined ? [] : [`${key}: ${typeof value === 'string' ? quoted(value) : value}`]
  })
  return set.length === 0 ? '' : `.configure({${set.join(', ')}})`
}

/** Names need no more; the key of an item may have any characters. */
const quoted = (text: string): string => (/['\\\p{Cc}]/u.test(text) ? JSON.stringify(text) : `'${text}'`)
