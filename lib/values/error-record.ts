/**
 * Errors as plain, bounded data, so that the message, type, stack and cause of what a handler threw reach the producer unchanged,
 * whatever class it was and wherever it ran.
 */
import { isNativeError } from 'node:util/types'
import { messageOf as textIn } from '../describe.js'
import { ERROR_CODES, GraflowError, type ErrorCode, type GraflowErrorOptions } from '../errors.js'
import {
  isOverCause,
  languageErrorOf,
  newError,
  overCause,
  withoutStack,
  type LanguageErrorName,
} from './error-classes.js'

/** What travels. `code` is any string or number a library put on its error, not only ours. */
export interface ErrorRecord {
  /** The nearest class of the language; absent for Error itself. */
  readonly kind?: LanguageErrorName
  readonly name: string
  readonly message: string
  readonly stack?: string
  readonly code?: string | number
  /** Plain data, bounded. */
  readonly details?: Readonly<Record<string, unknown>>
  readonly cause?: ErrorRecord
  /** A cause that is no Error: plain data, as it was. */
  readonly causeValue?: unknown
  /** Errors that it sums up, or, of an AggregateError, whatever its members were. */
  readonly errors?: readonly (ErrorRecord | MemberValue)[]
  /** Further own properties, such as a status: plain data, bounded. */
  readonly fields?: Readonly<Record<string, unknown>>
  /** True for a GraflowError: it comes back as one. */
  readonly isGraflow?: true
  readonly isNotRetryable?: true
  /** True where its stack is that of its cause, under its own name and message. */
  readonly isOverCause?: true
}

/** A member of an AggregateError that is no Error. */
interface MemberValue {
  readonly value: unknown
}

const MAX_TEXT = 8 * 1024
/** Of a message the end is kept too: behind the words of everything above, it says what really happened. */
const MAX_TAIL = 2 * 1024
const MAX_DEPTH = 8
const MAX_ERRORS = 100
/** Of the reason that a caller gives for cancelling a run: it stands in its record, its error and its events, and people read it. */
const MAX_REASON = 4 * 1024
/** How far down the innermost cause is looked for. */
const MAX_CAUSES = 1_000

/** What is left of the room for one error with all that hangs on it: depth and breadth alone would allow 100 to the power of 8. */
export interface Room {
  errors: number
  values: number
}

/** The room for any error, and what it is cut down to step by step as long as it takes too many bytes: the last always fits. */
export const ROOMS: readonly Readonly<Room>[] = [
  { errors: 1_000, values: 20_000 },
  { errors: 24, values: 200 },
  { errors: 5, values: 20 },
  { errors: 2, values: 3 },
]

const cut = (text: string, max = MAX_TEXT): string =>
  (text.length <= max ? text : `${text.slice(0, max)}… (${text.length - max} characters more)`).toWellFormed()

const cutMessage = (text: string): string =>
  text.length <= MAX_TEXT
    ? text.toWellFormed()
    : `${cut(text.slice(0, -MAX_TAIL), MAX_TEXT - MAX_TAIL)} …${text.slice(-MAX_TAIL)}`.toWellFormed()

/**
 * What hangs on an error, as plain data: equal where it is small, cut with `…` and how much where it is large, and described where it cannot
 * be carried, so that one bad field of a foreign error cannot spoil the report of the failure.
 */
function plain(value: unknown, depth: number, room: Room): unknown {
  room.values -= 1
  switch (typeof value) {
    case 'string':
      return room.values < 0 ? '…' : cut(value)
    case 'number':
    case 'boolean':
    case 'bigint':
      return value
    case 'object':
      if (value === null) return null
      return depth >= MAX_DEPTH || room.values <= 0 ? '…' : plainObject(value, depth, room)
    default:
      return undefined
  }
}

function plainObject(value: object, depth: number, room: Room): unknown {
  if (isError(value)) return errorFromRecord(recordOf(value, depth + 1, room))
  if (value instanceof Date) return new Date(value.getTime())
  const plainItem = (item: unknown): unknown => plain(item, depth + 1, room)
  if (Array.isArray(value)) return firstOf(value.length, Array.from(value.slice(0, MAX_ERRORS), plainItem))
  if (value instanceof Set) return new Set(firstOf(value.size, [...value].slice(0, MAX_ERRORS).map(plainItem)))
  if (value instanceof Map) {
    const entries = [...value].slice(0, MAX_ERRORS).map(([key, item]) => [plainItem(key), plainItem(item)] as const)
    return new Map(value.size > entries.length ? [...entries, ['…', `${value.size - entries.length} more`]] : entries)
  }
  if (ArrayBuffer.isView(value))
    return value.byteLength <= MAX_TEXT && value instanceof Uint8Array ? value.slice() : `… (${value.byteLength} bytes)`
  const record = plainRecord(value, depth, room)
  return Object.keys(record).length > 0 || isPlainPrototype(value) ? record : textOfObject(value)
}

/** The items that are kept, with how many are not. */
const firstOf = (size: number, items: readonly unknown[]): readonly unknown[] =>
  size > items.length ? [...items, `… (${size - items.length} more)`] : items

function isPlainPrototype(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/** An instance that shows nothing of itself, such as a URL: what it says as a text. */
function textOfObject(value: unknown): string {
  try {
    return cut(String(value))
  } catch {
    return Object.prototype.toString.call(value)
  }
}

function plainRecord(
  value: object,
  depth: number,
  room: Room,
  without: ReadonlySet<string> = NOTHING,
): Record<string, unknown> {
  const result: Record<string, unknown> = {}
  const keys = Object.keys(value).filter((key) => !without.has(key))
  for (const key of keys.slice(0, MAX_ERRORS)) {
    const item = plain(property(value, key), depth + 1, room)
    if (item !== undefined && key !== '__proto__') result[cut(key, 256)] = item
  }
  if (keys.length > MAX_ERRORS) result['…'] = `${keys.length - MAX_ERRORS} more`
  return result
}

const NOTHING: ReadonlySet<string> = new Set()
/** What a record has a place of its own for. */
const OWN_PLACES: ReadonlySet<string> = new Set([
  ...['name', 'message', 'stack', 'code', 'details', 'cause', 'errors', 'retryable'],
])

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

/** What was thrown, if asking for its class is safe, else an Error in its place: a proxy may throw at that, where nobody catches it. */
export function askable(thrown: unknown): unknown {
  try {
    Object.getPrototypeOf(Object(thrown))
    return thrown
  } catch {
    return new Error(UNREADABLE)
  }
}

/** The message that the record of anything thrown has; never throws. */
export function messageOf(thrown: unknown): string {
  try {
    return isError(thrown)
      ? cutMessage(textOf(property(thrown, 'message'), ''))
      : cutMessage(`thrown: ${contentOf(thrown)}`)
  } catch {
    return UNREADABLE
  }
}

const UNREADABLE = 'thrown: something that cannot be looked at'

/** The reason that a caller gave for an end, as a text of bounded length; never throws. */
export const reasonText = (why: unknown): string => cut(textIn(why), MAX_REASON)

/** Whether what was thrown says that another start would not go better; never throws. */
export const isFinalByItself = (thrown: unknown): boolean =>
  typeof thrown === 'object' && thrown !== null && property(thrown, 'retryable') === false

/** Anything thrown, as data; never throws. What is no Error is described in the message. Bounded in text, depth and count. */
export function errorToRecord(thrown: unknown, room = ROOMS[0]): ErrorRecord {
  try {
    return recordOf(thrown, 0, { errors: 1, values: 0, ...room })
  } catch {
    return { name: 'Error', message: UNREADABLE }
  }
}

function recordOf(thrown: unknown, depth: number, room: Room): ErrorRecord {
  room.errors -= 1
  if (!isError(thrown)) {
    return {
      name: 'Error',
      message: messageOf(thrown),
      ...(isFinalByItself(thrown) && { isNotRetryable: true as const }),
    }
  }
  const code = property(thrown, 'code')
  const details = property(thrown, 'details')
  const cause = property(thrown, 'cause')
  const errors = property(thrown, 'errors')
  const isOver = isOverCause(thrown) && isError(cause)
  const stack = isOver ? undefined : property(thrown, 'stack')
  const hasRoom = depth < MAX_DEPTH && room.errors > 0
  const isGraflow = thrown instanceof GraflowError
  const kind = isGraflow ? 'Error' : languageErrorOf(thrown)
  const name = cut(textOf(property(thrown, 'name'), 'Error'), 256)
  const record: Mutable<ErrorRecord> = kind === 'Error' ? { name, message: '' } : { kind, name, message: '' }
  record.message = messageOf(thrown)
  if (typeof stack === 'string') record.stack = cut(stack)
  if (typeof code === 'string') record.code = cut(code, 256)
  else if (typeof code === 'number') record.code = code
  if (typeof details === 'object' && details !== null && !Array.isArray(details))
    record.details = plainRecord(details, depth, room)
  if (hasRoom) addCause(record, cause, depth + 1, room)
  if (Array.isArray(errors) && errors.length > 0 && hasRoom) record.errors = memberRecords(errors, depth, room)
  if (!isGraflow) {
    const fields = plainRecord(thrown, depth, room, OWN_PLACES)
    if (Object.keys(fields).length > 0) record.fields = fields
  }
  if (isGraflow) record.isGraflow = true
  if (isOver) record.isOverCause = true
  if (!isGraflow && isFinalByItself(thrown)) record.isNotRetryable = true
  return record
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** Members of an error that sums up others; what is no Error and can be carried stays what it is. */
function memberRecords(errors: readonly unknown[], depth: number, room: Room): (ErrorRecord | MemberValue)[] {
  const kept = errors.slice(0, Math.max(0, Math.min(MAX_ERRORS, room.errors)))
  const records = kept.map((error) => {
    const value = isError(error) ? undefined : plain(error, depth + 1, room)
    return value === undefined ? recordOf(error, depth + 1, room) : { value }
  })
  return errors.length > kept.length ? [...records, { value: `… (${errors.length - kept.length} more)` }] : records
}

/** A cause in the record of its error. What is neither an Error nor plain data, such as a function, is described. */
function addCause(record: Mutable<ErrorRecord>, cause: unknown, depth: number, room: Room): void {
  if (cause === undefined || cause === null) return
  const at = causeAt(cause, depth)
  const value = isError(at) ? undefined : plain(at, depth, room)
  if (value === undefined) record.cause = recordOf(at, depth, room)
  else record.causeValue = value
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

/** A name or message may be anything: a user's code can assign it. */
const textOf = (value: unknown, fallback: string): string =>
  typeof value === 'string' ? value : value === undefined ? fallback : contentOf(value)

/** The content of what was thrown, which is its message: as it is, or as JSON. */
function contentOf(thrown: unknown): string {
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

/** An Error again: a GraflowError if it was one, else of its class of the language, with the same name, message, stack and properties. */
export function errorFromRecord(record: ErrorRecord): Error {
  const { name, message, code, details, fields, kind = 'Error' } = record
  const cause = record.cause === undefined ? record.causeValue : errorFromRecord(record.cause)
  const errors = record.errors?.map((member) => ('value' in member ? member.value : errorFromRecord(member)))
  const own: Record<string, unknown> = { ...fields, name, message }
  // What has no stack of its own gets none of ours.
  if (record.isOverCause !== true) own['stack'] = record.stack ?? `${name}: ${message}`
  if (code !== undefined) own['code'] = code
  if (details !== undefined) own['details'] = details
  if (cause !== undefined) own['cause'] = cause
  if (errors !== undefined) own['errors'] = errors
  if (record.isNotRetryable === true) own['retryable'] = false
  return record.isGraflow === true ? graflowErrorOf(own) : newError(kind, own)
}

/** A GraflowError with these properties, without a stack that of its cause; an Error where its code is none that this version knows. */
export function graflowErrorOf(own: Readonly<Record<string, unknown>>): Error {
  const { code, message, cause, details, errors, stack } = own
  if (!isErrorCode(code) || typeof message !== 'string') return newError('Error', own)
  const options: Mutable<GraflowErrorOptions> = {}
  if (cause !== undefined) options.cause = cause
  if (typeof details === 'object' && details !== null)
    options.details = details as NonNullable<GraflowErrorOptions['details']>
  if (Array.isArray(errors)) options.errors = errors.filter(isError)
  if (typeof stack === 'string') options.stack = stack
  const make = (): GraflowError => new GraflowError(code, message, options)
  if (typeof stack === 'string') return withoutStack(make)
  return isError(cause) ? overCause(cause, make) : make()
}
