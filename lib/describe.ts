/**
 * Says what a value is, in the words of an error message: short, and without its contents when they are long. The one place for it. It never
 * throws, whatever the value does when it is looked at, since the message must arrive.
 */

import { isNativeError } from 'node:util/types'

/**
 * Where a flow carries its expression (flow/expression.ts). Registered, so that a flow made by one copy of this package is a flow to another:
 * a task module and the worker that loads it may each have their own. The number is the version of the expressions' form.
 */
export const EXPRESSION = Symbol.for('graflow.expression.1')

const LONGEST_QUOTE = 60
const HIDDEN = 'a value that cannot be looked at'

/**
 * `"x"`, `3`, `true`, `undefined`, `null`, `3n`, `a function`, `the function f`, `a symbol`, `a promise`, `an array of 3`,
 * `an instance of Map`, `a flow`, `an object with a, b`, `an empty object`. Never throws.
 */
export function describe(value: unknown): string {
  try {
    return described(value)
  } catch {
    return HIDDEN // a proxy that answers nothing
  }
}

/** The text in double quotes, escaped, cut to a readable length. One that may be an address with a password in it is not shown. */
export function quote(text: string): string {
  return mayHoldPassword(text) ? UNSHOWN : JSON.stringify(clip(text))
}

/**
 * Whether there is an address in the text with a user's name or password, or what may be the rest of one. Looks at each character a few times
 * at most: the text may be a value of a run, of any length.
 */
export function mayHoldPassword(text: string): boolean {
  const at = text.indexOf('@')
  if (at < 0) return false
  const scheme = text.indexOf('://')
  if (scheme >= 0 && scheme < text.lastIndexOf('@')) return true
  const before = text.slice(0, at)
  return before.includes(':') && !/\s/.test(before)
}

/** Instead of what is not shown. */
export const UNSHOWN = 'a text (not shown: it may hold a password)'

/** What a thrown value says: the message of an Error, a text as it is, anything else described. Never throws. */
export function messageOf(thrown: unknown): string {
  try {
    if (typeof thrown === 'string') return thrown
    const message: unknown =
      typeof thrown === 'object' && thrown !== null && 'message' in thrown ? thrown.message : undefined
    return typeof message === 'string' ? message : describe(thrown)
  } catch {
    return HIDDEN
  }
}

/** The same with the error's name, for log lines: `TypeError: x is not a function`. Never throws. */
export function describeError(thrown: unknown): string {
  try {
    return isNativeError(thrown) ? String(thrown) : messageOf(thrown)
  } catch {
    return HIDDEN
  }
}

/** Whether awaiting it would wait. */
export const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && typeof (value as { readonly then?: unknown }).then === 'function'

function described(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return quote(value)
    case 'number':
      return Object.is(value, -0) ? '-0' : String(value)
    case 'bigint':
      return clip(`${value}n`)
    case 'boolean':
    case 'undefined':
      return String(value)
    case 'symbol':
      return 'a symbol'
    case 'function':
      return describedFunction(value)
    case 'object':
      return value === null ? 'null' : describedObject(value)
    default:
      return typeof value
  }
}

function describedFunction(value: object): string {
  const name = ownValue(value, 'name')
  return typeof name === 'string' && name !== '' ? `the function ${clip(name)}` : 'a function'
}

function describedObject(value: object): string {
  const prototype = Object.getPrototypeOf(value) as object | null
  // Array.prototype is an array itself, in every realm; the prototype of a subclass is none.
  if (Array.isArray(value) && Array.isArray(prototype)) return `an array of ${value.length}`
  if (EXPRESSION in value) return 'a flow'
  if (isThenable(value)) return 'a promise'
  const maker = prototype === null ? undefined : ownValue(prototype, 'constructor')
  const name = typeof maker === 'function' ? ownValue(maker, 'name') : undefined
  if (typeof name === 'string' && name !== '' && name !== 'Object') return `an instance of ${clip(name)}`
  if (prototype !== null && name !== 'Object') return 'an object with a prototype'
  const keys = Object.keys(value)
  if (keys.some(mayHoldPassword)) return 'an object'
  return keys.length === 0 ? 'an empty object' : `an object with ${clip(keys.join(', '))}`
}

/** A property's value, without calling an accessor. */
const ownValue = (object: object, key: string): unknown => Object.getOwnPropertyDescriptor(object, key)?.value

function clip(text: string): string {
  return text.length <= LONGEST_QUOTE ? text : `${text.slice(0, LONGEST_QUOTE - 1)}…`
}
