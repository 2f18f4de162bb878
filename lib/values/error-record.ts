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
  /** A cause that is no Error: plain data, as it was. */
  readonly causeValue?: unknown
  readonly errors?: readonly ErrorRecord[]
  /** True for a GraflowError: it comes back as one. */
  readonly isGraflow?: true
  readonly isNotRetryable?: true
}

const MAX_TEXT = 8 * 1024
/** Of a message the end is kept too: behind the words of everything above, it says what really happened. */
const MAX_TAIL = 2 * 1024
const MAX_DEPTH = 8
const MAX_ERRORS = 100
/** How far down the innermost cause is looked for. */
const MAX_CAUSES = 1_000

/** What is left of the room for one error with all that hangs on it: depth and breadth alone would allow 100 to the power of 8. */
interface Room {
  errors: number
  values: number
}

const cut = (text: string, max = MAX_TEXT): string =>
  (text.length <= max ? text : `${text.slice(0, max)}… (${text.length - max} characters more)`).toWellFormed()

const cutMessage = (text: string): string =>
  text.length <= MAX_TEXT
    ? text.toWellFormed()
    : `${cut(text.slice(0, -MAX_TAIL), MAX_TEXT - MAX_TAIL)} …${text.slice(-MAX_TAIL)}`.toWellFormed()

/** Details keep what JSON keeps, so that one bad field of a foreign error cannot spoil the report of the failure. */
function plain(value: unknown, depth: number, room: Room): unknown {
  room.values -= 1
  if (value instanceof Error || isNativeError(value)) return recordOf(value, depth + 1, room)
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
      if (depth >= MAX_DEPTH || room.values <= 0) return '…'
      if (Array.isArray(value)) return value.slice(0, MAX_ERRORS).map((item) => plain(item, depth + 1, room))
      return plainRecord(value, depth, room)
    default:
      return undefined
  }
}

function plainRecord(value: object, depth: number, room: Room): Record<string, unknown> {
  const result: Record<string, unknown> = {}
  for (const key of Object.keys(value).slice(0, MAX_ERRORS)) {
    const item = plain(property(value, key), depth + 1, room)
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

/** Whether it is an Error, of this realm or another; asking may call into what was thrown. */
export function isError(thrown: unknown): thrown is Error {
  try {
    return thrown instanceof Error || isNativeError(thrown)
  } catch {
    return false // a proxy that answers nothing
  }
}

/** Anything thrown, as data; never throws. What is no Error is described in the message. Bounded in text, depth and count. */
export function errorToRecord(thrown: unknown): ErrorRecord {
  try {
    return recordOf(thrown, 0, { errors: 1_000, values: 20_000 })
  } catch {
    return { name: 'Error', message: 'thrown: something that cannot be looked at' }
  }
}

function recordOf(thrown: unknown, depth: number, room: Room): ErrorRecord {
  room.errors -= 1
  if (!isError(thrown)) {
    const isNotRetryable = typeof thrown === 'object' && thrown !== null && property(thrown, 'retryable') === false
    return {
      name: 'Error',
      message: cutMessage(`thrown: ${describe(thrown)}`),
      ...(isNotRetryable && { isNotRetryable }),
    }
  }
  const code = property(thrown, 'code')
  const details = property(thrown, 'details')
  const cause = property(thrown, 'cause')
  const errors = property(thrown, 'errors')
  const stack = property(thrown, 'stack')
  const hasRoom = depth < MAX_DEPTH && room.errors > 0
  return {
    name: cut(textOf(property(thrown, 'name'), 'Error'), 256),
    message: cutMessage(textOf(property(thrown, 'message'), '')),
    ...(typeof stack === 'string' && { stack: cut(stack) }),
    ...((typeof code === 'string' || typeof code === 'number') && {
      code: typeof code === 'string' ? cut(code, 256) : code,
    }),
    ...(typeof details === 'object' && details !== null && !Array.isArray(details)
      ? { details: plainRecord(details, depth, room) }
      : {}),
    ...(hasRoom && causeOf(cause, depth + 1, room)),
    ...(Array.isArray(errors) && errors.length > 0 && hasRoom
      ? { errors: errors.slice(0, Math.min(MAX_ERRORS, room.errors)).map((error) => recordOf(error, depth + 1, room)) }
      : {}),
    ...(thrown instanceof GraflowError && { isGraflow: true as const }),
    ...(property(thrown, 'retryable') === false &&
      !(thrown instanceof GraflowError) && { isNotRetryable: true as const }),
  }
}

/** A cause in the record of its error. What is neither an Error nor plain data, such as a function, is described. */
function causeOf(cause: unknown, depth: number, room: Room): Pick<ErrorRecord, 'cause' | 'causeValue'> {
  if (cause === undefined || cause === null) return {}
  const at = causeAt(cause, depth)
  const value = isError(at) ? undefined : plain(at, depth, room)
  return value === undefined ? { cause: recordOf(at, depth, room) } : { causeValue: value }
}

/** The cause itself; at the last depth the innermost one, which matters most. */
function causeAt(cause: unknown, depth: number): unknown {
  let at = cause
  for (let i = 0; depth === MAX_DEPTH && i < MAX_CAUSES && isError(at); i += 1) {
    const inner = property(at, 'cause')
    if (inner === undefined || inner === null) break
    at = inner
  }
  return at
}

/** A name or message may be anything that somebody assigned. */
const textOf = (value: unknown, fallback: string): string =>
  typeof value === 'string' ? value : value === undefined ? fallback : describe(value)

function describe(thrown: unknown): string {
  if (typeof thrown === 'string') return thrown
  if (typeof thrown === 'bigint') return String(thrown)
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
  const cause = record.cause === undefined ? record.causeValue : errorFromRecord(record.cause)
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
    // Where it is put together is nobody's business: what has no stack of its own gets none of ours.
    stack: record.stack ?? `${record.name}: ${record.message}`,
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
