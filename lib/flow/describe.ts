/** Says what a value is, in the words of an error message: short, without its contents when they are long. */
import { isNode } from './expression.js'

const LONGEST_QUOTE = 60

/**
 * `the string "x"`, `the number 3`, `a function`, `a promise`, `an array of 3`, `undefined`, `an instance of Map`, `a flow`, `an object with a, b`.
 * Never throws and never calls into the value.
 */
export function describe(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return `the string ${quote(value)}`
    case 'number':
    case 'boolean':
      return `the ${typeof value} ${String(value)}`
    case 'bigint':
      return `the bigint ${quote(String(value)).slice(1, -1)}`
    case 'symbol':
      return 'a symbol'
    case 'undefined':
      return 'undefined'
    case 'function':
      return value.name === '' ? 'a function' : `the function ${clip(value.name)}`
    case 'object':
      return describeObject(value)
    default:
      return typeof value
  }
}

/** The text in double quotes, escaped, cut to a readable length. */
export function quote(text: string): string {
  return JSON.stringify(clip(text))
}

/** Whether awaiting it would wait. */
export function isThenable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}

function describeObject(value: object | null): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return `an array of ${value.length}`
  if (isNode(value)) return 'a flow'
  if (isThenable(value)) return 'a promise'
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== null && prototype !== Object.prototype) {
    const maker: unknown = (prototype as { readonly constructor?: unknown }).constructor
    if (typeof maker === 'function' && maker.name !== '' && maker.name !== 'Object')
      return `an instance of ${clip(maker.name)}`
  }
  const keys = Object.keys(value)
  return keys.length === 0 ? 'an empty object' : `an object with ${clip(keys.join(', '))}`
}

function clip(text: string): string {
  return text.length <= LONGEST_QUOTE ? text : `${text.slice(0, LONGEST_QUOTE - 1)}…`
}
