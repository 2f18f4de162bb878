/**
 * The text form of a flow, read at run time. The grammar is print.ts's without the calls; lib/flow/text-types.ts is the same for the
 * compiler. A stack of open brackets instead of recursion, so that no text overflows it.
 */
import { type ErrorCode, GraflowError } from '../errors.js'
import { quote } from './describe.js'
import type { Expression } from './expression.js'
import { makeEach, makeGroup, sequenceOf } from './make.js'

/** Brackets inside each other. The same as for flows, so that a text that is too deep is said to be so where it is. */
const DEEPEST_BRACKETS = 64
/** Of a long line this much is shown around the caret. */
const SHOWN_COLUMNS = 100

/** An error about a place in the text: the message, then the line and a caret under the place. */
export function errorAt(code: ErrorCode, text: string, position: number, message: string, cause?: unknown): GraflowError {
  return new GraflowError(code, `${message.replace('{at}', placeOf(text, position))}\n${caretUnder(text, position)}`, {
    details: { text, position },
    ...(cause !== undefined && { cause }),
  })
}

/** What the parser is given for each name in the text; an undefined answer does not occur: it throws an error that says why. */
export type Resolve = (name: string, position: number) => Expression

interface Bracket {
  readonly openedAt: number
  /** Finished branches of this bracket. */
  readonly branches: Expression[]
  /** The branch that is being read. */
  steps: Expression[]
}

// Names are what ECMAScript calls letters and digits, with $ because it stands in names of variables.
const TOKEN = /(?<space>\s+)|(?<name>\$\{\d+\}|[\p{L}\p{N}_$.-]+)|(?<operator>>>|[|()*])/uy

/**
 * The flow that the text means.
 * @throws GraflowError FLOW_SYNTAX with the position and a caret, LIMIT_EXCEEDED, DUPLICATE_TASK, and what `resolve` throws
 */
export function parse(text: string, resolve: Resolve): Expression {
  const syntax = (position: number, message: string): GraflowError => errorAt('FLOW_SYNTAX', text, position, message)
  const outer: Bracket[] = []
  let bracket: Bracket = { openedAt: 0, branches: [], steps: [] }
  // What was just read, when it can be followed by an operator; undefined when a name or bracket has to come.
  let atom: Expression | undefined
  let position = 0

  const closeBranch = (): void => {
    const branch = sequenceOf(bracket.steps)
    if (branch !== undefined) bracket.branches.push(branch)
    bracket.steps = []
  }
  const closeBracket = (): Expression => {
    closeBranch()
    const [only, second] = bracket.branches
    return only !== undefined && second === undefined ? only : makeGroup(bracket.branches)
  }
  const takeAtom = (): void => {
    if (atom !== undefined) bracket.steps.push(atom)
    atom = undefined
  }

  while (position < text.length) {
    TOKEN.lastIndex = position
    const { space, name, operator } = TOKEN.exec(text)?.groups ?? {}
    if (space !== undefined) {
      position += space.length
      continue
    }
    if (atom === undefined) {
      if (name !== undefined) {
        atom = resolve(name, position)
      } else if (operator === '(') {
        if (outer.length >= DEEPEST_BRACKETS) {
          throw errorAt('LIMIT_EXCEEDED', text, position, `brackets may be nested ${DEEPEST_BRACKETS} deep, {at} is one more`)
        }
        outer.push(bracket)
        bracket = { openedAt: position, branches: [], steps: [] }
      } else {
        throw syntax(position, wanted('a name or a bracket', text, position))
      }
    } else {
      switch (operator) {
        case '*':
          atom = makeEach(atom)
          break
        case '>>':
          takeAtom()
          break
        case '|':
          takeAtom()
          closeBranch()
          break
        case ')': {
          takeAtom()
          const inner = closeBracket()
          const enclosing = outer.pop()
          if (enclosing === undefined) throw syntax(position, 'the bracket {at} closes nothing')
          bracket = enclosing
          atom = inner
          break
        }
        default:
          throw syntax(position, wanted('>> or |', text, position))
      }
    }
    position += (name ?? operator ?? '').length
  }
  if (atom === undefined) {
    throw syntax(text.length, text.trim() === '' ? 'the text is empty: write the names of nodes, joined by >> and |' : wanted('a name or a bracket', text, position))
  }
  if (outer.length > 0) throw syntax(bracket.openedAt, 'the bracket {at} is not closed')
  takeAtom()
  return closeBracket()
}

/** What should stand there, what does, and what may have been meant. */
function wanted(what: string, text: string, position: number): string {
  const rest = text.slice(position)
  const hint =
    [
      [/^\)/u, 'brackets need something between them, and operators something on both sides'],
      [/^(?:->|=>|>(?!>)|\|>)/u, 'one after the other is written >>'],
      [/^(?:\|\||&)/u, 'side by side is written with one |'],
      [/^[,;]/u, 'one after the other is written >>, side by side |'],
      [/^\w+\(|^\.\w+\(|^\(/u, 'calls such as par(…) and .settled() cannot be written in text: give their result a name beside it'],
      [/^["'`]/u, 'names are written without quotes'],
    ].find(([pattern]) => (pattern as RegExp).test(rest))?.[1] ?? ''
  const got = rest === '' ? 'the text ends' : `got ${quote([...rest][0] ?? '')}`
  return `${what} is missing {at}, ${got}${hint === '' ? '' : `: ${hint}`}`
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
