/** Which names are allowed. One rule for all rooms, so that a name that is good in code is good in a text, a key and a URL. */
import { GraflowError } from '../errors.js'
import { describe, quote } from '../describe.js'

/** What can have a name. */
export type NameKind =
  | 'task'
  | 'workflow'
  | 'group'
  | 'policy'
  | 'branch key'
  | 'case key'
  | 'worker'
  | 'queue'
  | 'capability'
  | 'run'
  | 'signal'

/** What the function given to `later` is called, behind the name of its node. */
export const DUE = '.due'

const LONGEST_NAME = 128
/** Beyond this it is no misspelt name but something else, and is not looked into. */
const LONGEST_TEXT = 256
const WITHOUT_DOT: ReadonlySet<NameKind> = new Set<NameKind>(['queue', 'capability', 'run'])

/** The option that a place ends with: of `task "score": retry.delayMs`, `retry.delayMs`. */
export function optionOf(at: string): string {
  return at.slice(at.lastIndexOf(' ') + 1)
}

/**
 * The name itself, checked: 1 to 128 letters, digits, `_` and `-`; a dot too, but not for queues, capabilities and runs.
 * @param at of an option, where it stands, such as `task "score": queue`
 * @throws GraflowError INVALID_NAME; LIMIT_EXCEEDED past 256 characters
 */
export function checkName(kind: NameKind, name: unknown, at?: string): string {
  const dot = WITHOUT_DOT.has(kind) ? '' : '.'
  const rule = `${at === undefined ? '' : `${at}: `}the name of a ${kind} has 1 to ${LONGEST_NAME} characters of A-Z a-z 0-9 _ -${dot && ` ${dot}`}`
  const where = at === undefined ? {} : { option: optionOf(at) }
  if (typeof name !== 'string') {
    const advice =
      at === undefined && typeof name === 'function' ? ': the name comes first, as in task("name", fn)' : ''
    throw new GraflowError('INVALID_NAME', `${rule}, got ${describe(name)}${advice}`, { details: { kind, ...where } })
  }
  const details = { kind, name: name.slice(0, LONGEST_TEXT), ...where }
  if (name.length > LONGEST_TEXT) {
    throw new GraflowError('LIMIT_EXCEEDED', `${rule}, got ${name.length}: ${quote(name)}`, { details })
  }
  const wrong = (dot ? /[^A-Za-z0-9_.-]/u : /[^A-Za-z0-9_-]/u).exec(name)
  if (wrong !== null) {
    const good = name.replace(dot ? /[^A-Za-z0-9_.-]+/gu : /[^A-Za-z0-9_-]+/gu, '-')
    throw new GraflowError(
      'INVALID_NAME',
      `${rule}, got ${quote(name)} with ${quote(wrong[0])} at ${wrong.index}; try ${quote(good)}`,
      {
        details,
      },
    )
  }
  if (name === '') throw new GraflowError('INVALID_NAME', `${rule}, got an empty one`, { details })
  if (name.length > LONGEST_NAME)
    throw new GraflowError('INVALID_NAME', `${rule}, got ${name.length}: ${quote(name)}`, { details })
  // Results and options are looked up by name in plain objects, where this name would change the prototype.
  if (name === '__proto__')
    throw new GraflowError('INVALID_NAME', `"__proto__" cannot be the name of a ${kind}: take another`, { details })
  return name
}
