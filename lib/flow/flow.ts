/** Flows written as text. */
import { GraflowError, lookingAt } from '../errors.js'
import { describe, quote } from '../describe.js'
import { isNode } from './expression.js'
import { didYouMean } from '../nearest.js'
import { adviceFor, expressionOf, nodeOf } from './node.js'
import { CALLS_HINT, errorAt, parse } from './parse.js'
import type { FlowOf, FlowText } from './text-types.js'
import type { AnyNode } from './types.js'

/** So many names are listed when one is unknown. */
const LISTED_NAMES = 20

/**
 * The flow written as text, typed from the text itself: `flow('a >> (b | c*) >> d', { a, b, c, d })`. `>>` is one after the other and
 * binds tighter than `|`, side by side; `*` is for each; brackets nest. Names are keys of the record.
 *
 * Also a template tag, flow`${a} >> ${b}`, whose type is Node<any, any>: a tag does not see its text at compile time.
 *
 * @example
 * const words = task('words', (text: string) => text.split(' '))
 * const count = task('count', (all: string[]) => all.length)
 * const shout = task('shout', (word: string) => word.toUpperCase())
 * // Node<string, [number, string[]]>
 * String(flow('words >> (count | shout*)', { words, count, shout })) // → 'words >> (count | shout*)'
 *
 * @throws GraflowError FLOW_SYNTAX, UNKNOWN_NAME, with a caret under the place; INVALID_NODE, DUPLICATE_TASK, LIMIT_EXCEEDED
 */
export function flow<const S extends string | TemplateStringsArray, const E extends object>(
  text: FlowText<S, E>,
  names: E,
  ...more: S extends string ? [] : readonly AnyNode[]
): FlowOf<S, E>
export function flow(text: unknown, ...rest: readonly unknown[]): unknown {
  if (typeof text === 'string') return lookingAt('flow', 'INVALID_NODE', () => fromText(text, rest[0]))
  if (lookingAt('flow', 'INVALID_NODE', () => Array.isArray(text) && 'raw' in text))
    return fromTemplate(text as readonly string[], rest)
  throw new GraflowError(
    'FLOW_SYNTAX',
    `flow takes a text and the names in it, flow('a >> b', { a, b }), got ${describe(text)}`,
  )
}

function fromText(text: string, names: unknown): unknown {
  if (typeof names !== 'object' || names === null || isNode(names)) {
    throw new GraflowError(
      'UNKNOWN_NAME',
      `flow needs the names in its text beside it, as in flow('a >> b', { a, b }); got ${describe(names)}`,
      { details: { text } },
    )
  }
  const record = names as Readonly<Record<string, unknown>>
  return nodeOf(
    parse(text, (name, position) => {
      if (!Object.hasOwn(record, name))
        throw errorAt('UNKNOWN_NAME', text, position, unknownName(text, name, position, Object.keys(record)))
      const value = record[name]
      if (!isNode(value)) {
        throw errorAt('INVALID_NODE', text, position, `${quote(name)} {at} is ${notAFlow(value)}`)
      }
      return expressionOf(value)
    }),
  )
}

function fromTemplate(strings: readonly string[], holes: readonly unknown[]): unknown {
  // A hole stands in the text as ${0}, ${1} …: what errors show, and what the parser reads as a name.
  const text = strings.map((part, i) => (i < holes.length ? `${part}\${${i}}` : part)).join('')
  return nodeOf(
    parse(text, (name, position) => {
      const number = /^\$\{(\d+)\}$/u.exec(name)?.[1]
      if (number === undefined) {
        throw errorAt(
          'UNKNOWN_NAME',
          text,
          position,
          `unknown name ${quote(name)} {at}; in a template every node is a \${…}`,
        )
      }
      const value = holes[Number(number)]
      if (!isNode(value)) throw errorAt('INVALID_NODE', text, position, `the value {at} is ${notAFlow(value)}`)
      return expressionOf(value)
    }),
  )
}

const notAFlow = (value: unknown): string => `no flow, it is ${describe(value)}${adviceFor(value)}`

function unknownName(text: string, name: string, position: number, names: readonly string[]): string {
  if (/^\s*\(/u.test(text.slice(position + name.length))) return `unknown name ${quote(name)} {at}: ${CALLS_HINT}`
  const listed = names.slice(0, LISTED_NAMES).join(', ')
  const more = names.length > LISTED_NAMES ? ` and ${names.length - LISTED_NAMES} more` : ''
  const beside =
    names.length === 0 ? 'there are no names beside the text' : `the names beside the text are ${listed}${more}`
  return `unknown name ${quote(name)} {at}${didYouMean(name, names)}; ${beside}`
}
