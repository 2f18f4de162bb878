/**
 * Errors as plain, bounded data, so that the message, type, stack and cause of what a handler threw reach the producer unchanged,
 * whatever class it was and wherever it ran.
 */
import { isNativeError } from 'node:util/types'
import { ERROR_CODES, GraflowError, type ErrorCode } from '../errors.js'

/** What travels. `code` is any string or number a library put on its error, not only ours. */
export interface ErrorRecord {
  readonly name: string
  readonly message: string
  readonly stack?: string
  readonly code?: string | number
  /** JSON-like data only. */
  readonly details?: Readonly<Record<string, unknown>>
  readonly cause?: ErrorRecord
  readonly errors?: readonly ErrorRecord[]
  /** True for a GraflowError: it comes back as one. */
  readonly isGraflow?: true
  readonly isNotRetryable?: true
}

const MAX_TEXT = 8 * 1024
const MAX_DEPTH = 8
const MAX_ERRORS = 100

const cut = (text: string, max = MAX_TEXT): string =>
  (text.length <= max ? text : `${text.slice(0, max)}… (${text.length - max} characters more)`).toWellFormed()

/** Details keep what JSON keeps, so that one bad field of a foreign error cannot spoil the report of the failure. */
function plain(value: unknown, depth: number): unknown {
  if (value instanceof Error || isNativeError(value)) return errorToRecord(value, depth + 1)
  switch (typeof value) {
    case 'string':
      return cut(value)
    case 'number':
    case 'boolean':
      return value
    case 'bigint':
      return value.toString()
    case 'object':
      if (value === null) return null
      if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString()
      if (depth >= MAX_DEPTH) return '…'
      if (Array.isArray(value)) return value.slice(0, MAX_ERRORS).map((item) => plain(item, depth + 1))
      return plainRecord(value as Record<string, unknown>, depth)
    default:
      return undefined
  }
}

function plainRecord(value: Record<string, unknown>, depth: number): Record<string, unknown> {
  const result: Record<string, unknown> = {}
  for (const key of Object.keys(value).slice(0, MAX_ERRORS)) {
    const item = plain(value[key], depth + 1)
    if (item !== undefined && key !== '__proto__') result[cut(key, 256)] = item
  }
  return result
}

/** Reads a property that a hostile or odd error may make throw. */
function property(error: object, key: string): unknown {
  try {
    return (error as Record<string, unknown>)[key]
  } catch {
    return undefined // a getter that throws: the error is reported without this property
  }
}

/** Anything thrown, as data. What is no Error is described in the message. Bounded in text, depth and count. */
export function errorToRecord(thrown: unknown, depth = 0): ErrorRecord {
  if (!(thrown instanceof Error || isNativeError(thrown)))
    return { name: 'Error', message: cut(`thrown: ${describe(thrown)}`) }
  const code = property(thrown, 'code')
  const details = property(thrown, 'details')
  const cause = property(thrown, 'cause')
  const errors = property(thrown, 'errors')
  const stack = property(thrown, 'stack')
  return {
    name: cut(textOf(property(thrown, 'name'), 'Error'), 256),
    message: cut(textOf(property(thrown, 'message'), '')),
    ...(typeof stack === 'string' && { stack: cut(stack) }),
    ...((typeof code === 'string' || typeof code === 'number') && {
      code: typeof code === 'string' ? cut(code, 256) : code,
    }),
    ...(typeof details === 'object' && details !== null && !Array.isArray(details)
      ? { details: plainRecord(details as Record<string, unknown>, depth) }
      : {}),
    ...(cause !== undefined && cause !== null && depth < MAX_DEPTH && { cause: errorToRecord(cause, depth + 1) }),
    ...(Array.isArray(errors) && errors.length > 0 && depth < MAX_DEPTH
      ? { errors: errors.slice(0, MAX_ERRORS).map((error) => errorToRecord(error, depth + 1)) }
      : {}),
    ...(thrown instanceof GraflowError && { isGraflow: true as const }),
    ...(property(thrown, 'retryable') === false &&
      !(thrown instanceof GraflowError) && { isNotRetryable: true as const }),
  }
}

/** A name or message may be anything that somebody assigned. */
const textOf = (value: unknown, fallback: string): string =>
  typeof value === 'string' ? value : value === undefined ? fallback : describe(value)

function describe(thrown: unknown): string {
  if (typeof thrown === 'string') return thrown
  try {
    // undefined for a function, a symbol and undefined itself
    const json = JSON.stringify(thrown) as string | undefined
    return json ?? String(thrown)
  } catch {
    return Object.prototype.toString.call(thrown) // a cycle or a throwing toJSON: say at least what kind of thing it was
  }
}

const isErrorCode = (code: unknown): code is ErrorCode => typeof code === 'string' && Object.hasOwn(ERROR_CODES, code)

/** An Error again: a GraflowError if it was one, else an Error with the same name, message, stack, code, details, cause and errors. */
export function errorFromRecord(record: ErrorRecord): Error {
  const cause = record.cause === undefined ? undefined : errorFromRecord(record.cause)
  const errors = record.errors?.map(errorFromRecord)
  if (record.isGraflow === true && isErrorCode(record.code)) {
    return new GraflowError(record.code, record.message, {
      ...(cause !== undefined && { cause }),
      ...(record.details !== undefined && { details: record.details }),
      ...(errors !== undefined && { errors }),
      ...(record.stack !== undefined && { stack: record.stack }),
    })
  }
  const error = new Error(record.message, cause === undefined ? undefined : { cause })
  const own: Record<string, unknown> = {
    name: record.name,
    stack: record.stack,
    code: record.code,
    details: record.details,
    errors,
    ...(record.isNotRetryable === true && { retryable: false }),
  }
  for (const [key, value] of Object.entries(own)) {
    if (value !== undefined)
      Object.defineProperty(error, key, {
        value,
        configurable: true,
        writable: true,
        enumerable: key !== 'stack' && key !== 'name',
      })
  }
  return error
}
