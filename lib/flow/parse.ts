/**
 * The text form of a flow, read at run time. The grammar is print.ts's without the calls; lib/flow/text-types.ts is the same for the
 * compiler. A stack of open brackets instead of recursion, so that no text overflows it.
 */
import { type ErrorCode, GraflowError } from '../errors.js'
import { quote } from '../describe.js'
import type { Expression } from './expression.js'
import { FLOW_LIMITS } from './limits.js'
import { makeEach, makeGroup, sequenceOf } from './make.js'

/** Brackets inside each other: as deep as flows, so that the error points at the bracket. */
const DEEPEST_BRACKETS = FLOW_LIMITS.nesting
/** Of a long line this much is shown around the caret. */
const SHOWN_COLUMNS = 100

/** An error about a place in the text: the message, then the line and a caret under the place. */
export function errorAt(
  code: ErrorCode,
  text: string,
  position: number,
  message: string,
  cause?: unknown,
): GraflowError {
  return new GraflowError(code, `${message.replace('{at}', placeOf(text, position))}\n${caretUnder(text, position)}`, {
    details: { text, position },
    ...(cause !== undefined && { cause }),
  })
}

/** Gives the flow of a name in the text, or throws an error that says why there is none. */
export type Resolve = (name: string, position: number) => Expression

interface Token {
  /** Any other character is `unknown`; `end` comes once, last. */
  readonly kind: 'name' | '(' | ')' | '*' | '>>' | '|' | 'unknown' | 'end'
  readonly text: string
  readonly position: number
}

// Names are what ECMAScript calls letters and digits, with $ because it stands in names of variables. ${0} is a hole of a template.
const TOKEN = /(?<space>\s+)|(?<name>\$\{\d+\}|[\p{L}\p{N}_$.-]+)|(?<operator>>>|[|()*])|(?<unknown>.)/suy

function* tokensOf(text: string): Generator<Token> {
  TOKEN.lastIndex = 0
  let position = 0
  while (position < text.length) {
    TOKEN.lastIndex = position
    const { space, name, operator, unknown = '' } = TOKEN.exec(text)?.groups ?? {}
    if (name !== undefined) yield { kind: 'name', text: name, position }
    // The pattern has no operators but these.
    else if (operator !== undefined) yield { kind: operator as Token['kind'], text: operator, position }
    else if (space === undefined) yield { kind: 'unknown', text: unknown, position }
    position += (space ?? name ?? operator ?? unknown).length
  }
  yield { kind: 'end', text: '', position }
}

/** A bracket that is open; the whole text is read as one. */
interface Bracket {
  readonly openedAt: number
  /** Finished branches. */
  readonly branches: Expression[]
  /** Of the branch that is being read. */
  steps: Expression[]
}

const openBracket = (openedAt: number): Bracket => ({ openedAt, branches: [], steps: [] })

function closeBranch(bracket: Bracket): void {
  const branch = sequenceOf(bracket.steps)
  if (branch !== undefined) bracket.branches.push(branch)
  bracket.steps = []
}

/** What stands in the bracket: its one branch, or a group of several. */
function closeBracket(bracket: Bracket): Expression {
  closeBranch(bracket)
  const [only, second] = bracket.branches
  return only !== undefined && second === undefined ? only : makeGroup(bracket.branches)
}

/**
 * The flow that the text means.
 * @throws GraflowError FLOW_SYNTAX with the position and a caret, LIMIT_EXCEEDED, DUPLICATE_TASK, and what `resolve` throws
 */
export function parse(text: string, resolve: Resolve): Expression {
  return new Parser(text, resolve).flow()
}

/** One reading of one text. */
class Parser {
  readonly #text: string
  readonly #resolve: Resolve
  readonly #enclosing: Bracket[] = []
  #bracket = openBracket(0)

  constructor(text: string, resolve: Resolve) {
    this.#text = text
    this.#resolve = resolve
  }

  flow(): Expression {
    // What was just read, if an operator may follow it; undefined when a name or a bracket has to come.
    let atom: Expression | undefined
    for (const token of tokensOf(this.#text)) {
      if (atom === undefined) {
        atom = this.#operand(token)
      } else if (token.kind === 'end') {
        return this.#whole(atom)
      } else {
        atom = this.#operator(token, atom)
      }
    }
    // The last token is the end, which returns or throws above.
    throw new GraflowError('INTERNAL', `the text ${quote(this.#text)} has no end`)
  }

  /** A name gives its flow; a bracket is opened, and an operand has to come still. */
  #operand({ kind, text, position }: Token): Expression | undefined {
    if (kind === 'name') return this.#resolve(text, position)
    if (kind !== '(') throw missing('a name or a bracket', this.#text, position)
    if (this.#enclosing.length >= DEEPEST_BRACKETS) {
      const message = `brackets may be nested ${DEEPEST_BRACKETS} deep, the one {at} is deeper`
      throw errorAt('LIMIT_EXCEEDED', this.#text, position, message)
    }
    this.#enclosing.push(this.#bracket)
    this.#bracket = openBracket(position)
    return undefined
  }

  /** What `atom` has become; undefined when another operand has to come. */
  #operator({ kind, position }: Token, atom: Expression): Expression | undefined {
    switch (kind) {
      case '*':
        return makeEach(atom)
      case '>>':
        this.#bracket.steps.push(atom)
        return undefined
      case '|':
        this.#bracket.steps.push(atom)
        closeBranch(this.#bracket)
        return undefined
      case ')':
        return this.#closed(position, atom)
      case 'name':
      case '(':
      case 'unknown':
      case 'end':
        throw missing('>> or |', this.#text, position)
      default:
        return kind satisfies never
    }
  }

  #closed(position: number, atom: Expression): Expression {
    const outer = this.#enclosing.pop()
    if (outer === undefined) throw errorAt('FLOW_SYNTAX', this.#text, position, 'the bracket {at} closes nothing')
    this.#bracket.steps.push(atom)
    const inside = closeBracket(this.#bracket)
    this.#bracket = outer
    return inside
  }

  #whole(atom: Expression): Expression {
    if (this.#enclosing.length > 0)
      throw errorAt('FLOW_SYNTAX', this.#text, this.#bracket.openedAt, 'the bracket {at} is not closed')
    this.#bracket.steps.push(atom)
    return closeBracket(this.#bracket)
  }
}

/** For a user that writes a call into a text. */
export const CALLS_HINT =
  'calls, such as par(…) and .settled(), are made in code: give what they return a name beside the text'

/** Advice for an unexpected piece of text, by how it begins. */
const HINTS: readonly (readonly [pattern: RegExp, hint: string])[] = [
  [/^(?:->|=>|>(?!>)|\|>)/u, 'one after the other is written >>'],
  [/^&/u, 'side by side is written |'],
  [/^[,;]/u, 'one after the other is written >>, side by side |'],
  [/^["'`]/u, 'names are written without quotes'],
  [/^[(.]/u, CALLS_HINT],
  [/^\|/u, 'side by side is written with one |, and something on both sides'],
  [/^\)/u, 'something has to stand between brackets and behind an operator'],
]

function missing(what: string, text: string, position: number): GraflowError {
  const rest = text.slice(position)
  const isEmpty = text.trim() === ''
  const hint = isEmpty ? 'write names of nodes with >> and | between them' : HINTS.find(([p]) => p.test(rest))?.[1]
  const first = quote(String.fromCodePoint(rest.codePointAt(0) ?? 0))
  const got = isEmpty ? 'the text is empty' : rest === '' ? 'the text ends' : `got ${first}`
  return errorAt(
    'FLOW_SYNTAX',
    text,
    position,
    `${what} is missing {at}, ${got}${hint === undefined ? '' : `: ${hint}`}`,
  )
}

/** `at 8` in a text of one line, `at 2:11` (line and column from 1) in one of several. */
function placeOf(text: string, position: number): string {
  if (!text.includes('\n')) return `at ${position}`
  const before = text.slice(0, position)
  return `at ${before.split('\n').length}:${position - before.lastIndexOf('\n')}`
}

/** The line with the position, indented by two, and a caret under it. */
function caretUnder(text: string, position: number): string {
  const start = text.lastIndexOf('\n', position - 1) + 1
  const end = text.indexOf('\n', position)
  const line = text.slice(start, end === -1 ? undefined : end)
  const column = position - start
  const from = line.length <= SHOWN_COLUMNS ? 0 : Math.max(0, column - SHOWN_COLUMNS / 2)
  const shown = line.slice(from, from + SHOWN_COLUMNS)
  const head = from > 0 ? '…' : ''
  const tail = from + SHOWN_COLUMNS < line.length ? '…' : ''
  // Tabs stay tabs, so that the caret stands where the reader's terminal puts the place.
  const pad = (head + line.slice(from, column)).replace(/[^\t]/gu, ' ')
  return `  ${head}${shown}${tail}\n  ${pad}^`
}
