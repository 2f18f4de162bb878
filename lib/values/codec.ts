/**
 * Values as bytes, and back: what tasks take and give, whichever process they run in. MessagePack (msgpackr) carries plain data; stand-ins carry
 * the values that MessagePack has no type for. Two promises: a value either arrives equal or is refused with NOT_SERIALISABLE and its path; and
 * extensions that the application, or another copy of this package, registers with the library have no effect here, because only types of
 * MessagePack itself are written.
 *
 * The file is long because each stand-in is written and read side by side, and a half that changes alone corrupts values.
 */
import { inspect } from 'node:util'
import { isNativeError } from 'node:util/types'
import { Packr, RESET_BUFFER_MODE, REUSE_BUFFER_MODE } from 'msgpackr'
import { GraflowError } from '../errors.js'
import { describe, describeError } from '../describe.js'
import { DEFAULT_LIMITS, type Limits } from '../options.js'
import { isLanguageError, isOverCause, languageErrorOf, newError, type LanguageErrorName } from './error-classes.js'
import { errorFromRecord, errorToRecord, graflowErrorOf, ROOMS, type ErrorRecord, type Room } from './error-record.js'
import { Went } from './went.js'

// Without copyBuffers a byte array would be a view into the packed bytes, which other branches decode, too; and a key called toJSON is
// data here, never a hook.
const packr = new Packr({
  moreTypes: true,
  useRecords: false,
  mapsAsObjects: true,
  variableMapSize: true,
  copyBuffers: true,
  useToJSON: false,
})

/**
 * A stand-in is an array that begins with this text, then a word for what it is, then its content. A value with stand-ins travels as
 * `[STAND_IN, 'root', value]`, so that one without any, as nearly all are, is read without a second look. Arrays of users that begin with
 * the text themselves travel as a stand-in, too.
 */
const STAND_IN = '\u0001g'

/** Whether the value that is being packed has a stand-in; and the room of errors in it that are records of bounded size. Of one call at a time. */
let isAnyStandIn = false
let room: Readonly<Room> | undefined

function standIn(what: string, content: unknown): unknown {
  isAnyStandIn = true
  return [STAND_IN, what, content]
}

/** What a stand-in begins with: an array of three, and the text. */
export const STAND_IN_HEAD = Uint8Array.of(0x93, 0xa0 | STAND_IN.length, ...Buffer.from(STAND_IN))

/** What a packed value with stand-ins begins with. */
export const ROOT_HEAD = Uint8Array.of(...STAND_IN_HEAD, 0xa4, ...Buffer.from('root'))

/** Whether the packed value that begins here has stand-ins: then its parts do not say what they are without it. */
export function hasStandIns(bytes: Uint8Array, at: number): boolean {
  if (bytes[at] !== STAND_IN_HEAD[0]) return false
  for (let i = 1; i < STAND_IN_HEAD.length; i += 1) if (bytes[at + i] !== STAND_IN_HEAD[i]) return false
  return true
}

const beginsAsStandIn = (value: readonly unknown[]): boolean => value[0] === STAND_IN

const MAX_DEPTH = 200

/** The library knows these by their constructors, which a test runner's realm has twice: so they travel by name. */
const TYPED_ARRAYS = {
  Int8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
} as const
const TYPED_ARRAY_NAMES: ReadonlyMap<unknown, string> = new Map(
  Object.entries(TYPED_ARRAYS).map(([name, constructor]) => [constructor, name]),
)

function typedArray([name, bytes]: readonly [name: string, bytes: Uint8Array]): ArrayBufferView {
  if (name === 'Buffer') return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (!Object.hasOwn(TYPED_ARRAYS, name)) throw new TypeError(`unknown typed array ${name}`)
  return new TYPED_ARRAYS[name as keyof typeof TYPED_ARRAYS](new Uint8Array(bytes).buffer)
}

/** The way to a value; a key or an index is put into words only where something is refused. */
type Path = { readonly parent: Path; readonly step: string | number | { readonly key: string } } | undefined

const pathText = (path: Path): string => {
  const steps: string[] = []
  for (let at = path; at !== undefined; at = at.parent) steps.push(stepText(at.step))
  return steps.reverse().join('')
}

/** Errors that were made here, and not by what is looked at. */
const refusals = new WeakSet()

const refuse = (path: Path, got: string, advice: string): never => {
  const place = `value${pathText(path)}`
  const refusal = new GraflowError('NOT_SERIALISABLE', `${place} cannot be carried: it is ${got}; ${advice}`, {
    details: { path: place },
  })
  refusals.add(refusal)
  throw refusal
}

const keyStep = (key: string): string => (/^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`)

function stepText(step: string | number | { readonly key: string }): string {
  if (typeof step === 'string') return step
  return typeof step === 'number' ? `[${step}]` : keyStep(step.key)
}

/** Characters of all texts that this walk has seen, and of the longest. */
let textLength = 0
let longestText = 0

/** Deeper than this the careful walk looks, which also knows cycles. */
const FAST_DEPTH = 32

/** True for plain data that needs neither a stand-in nor an error: most values, seen without allocating anything. */
function isPlainData(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case 'number':
      return value !== 0 || 1 / value > 0
    case 'string':
      textLength += value.length
      if (value.length > longestText) longestText = value.length
      return value.isWellFormed()
    case 'boolean':
    case 'undefined':
      return true
    case 'object':
      return value === null || (depth < FAST_DEPTH && isPlainObject(value, depth))
    default:
      return false
  }
}

function isPlainObject(value: object, depth: number): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (Array.isArray(value)) {
    if (prototype !== Array.prototype || beginsAsStandIn(value)) return false
    for (let i = 0; i < value.length; i += 1) {
      const item: unknown = value[i]
      if (item === undefined || !isPlainData(item, depth + 1)) return false
    }
    return Object.keys(value).length === value.length && Object.getOwnPropertySymbols(value).length === 0
  }
  if (prototype !== Object.prototype) return false
  for (const key of Object.keys(value)) {
    if (key === '__proto__' || !key.isWellFormed() || !isPlainData((value as Record<string, unknown>)[key], depth + 1))
      return false
  }
  return Object.getOwnPropertySymbols(value).length === 0
}

/** Gives back `value` itself when MessagePack carries it as it is, else a copy with stand-ins; refuses what it cannot carry. */
function checked(value: unknown, path: Path, depth: number, above: readonly object[]): unknown {
  switch (typeof value) {
    case 'number':
      return value === 0 && 1 / value < 0 ? standIn('minus zero', null) : value
    case 'string':
      return value.isWellFormed()
        ? value
        : refuse(path, 'a string with a lone surrogate', 'send text that is valid Unicode, or bytes')
    case 'boolean':
    case 'undefined':
      return value
    case 'bigint':
      return BigInt.asIntN(64, value) === value ? value : standIn('bigint', value.toString(16))
    case 'function':
      return refuse(path, 'a function', 'send data; code lives in tasks')
    case 'symbol':
      return refuse(path, 'a symbol', 'send a string')
    case 'object':
      return value === null ? null : checkedObject(value, path, depth, above)
    default:
      return refuse(path, typeof value, 'send data')
  }
}

/** As `lookedAt`; a proxy, or a getter that is read in passing, may throw whatever it likes. */
function checkedObject(value: object, path: Path, depth: number, above: readonly object[]): unknown {
  try {
    return lookedAt(value, path, depth, above)
  } catch (error) {
    if (typeof error === 'object' && error !== null && refusals.has(error)) throw error
    return refuse(path, `something that cannot be looked at (${describeError(error)})`, 'send plain data')
  }
}

function lookedAt(value: object, path: Path, depth: number, above: readonly object[]): unknown {
  if (depth > MAX_DEPTH) return refuse(path, `nested deeper than ${MAX_DEPTH}`, 'flatten it')
  if (above.includes(value)) return refuse(path, 'a cycle (it contains itself)', 'break the cycle')
  const within = [...above, value]
  const prototype: unknown = Object.getPrototypeOf(value)
  if (Array.isArray(value)) {
    // The prototype of arrays is an array, in every realm; that of a subclass is not.
    if (!Array.isArray(prototype)) return refuse(path, 'an array of a class of its own', 'send a plain array')
    const carried = checkedArray(value, path, depth, within)
    return beginsAsStandIn(value) ? standIn('array', carried) : carried
  }
  if (prototype === null)
    return standIn('no prototype', { ...checkedRecord(value as Record<string, unknown>, path, depth, within) })
  // A root prototype, of whatever realm: node:vm and test runners have their own Object.prototype.
  if (Object.getPrototypeOf(prototype) === null)
    return checkedRecord(value as Record<string, unknown>, path, depth, within)
  if (value instanceof Error || isNativeError(value)) return checkedError(value, path, depth, within)
  if (ArrayBuffer.isView(value)) return checkedBytes(value, path, depth, within)
  const content = checkedContent(value, prototype, path, depth, within)
  if (content === undefined) return refuse(path, describe(value), 'send a plain object')
  return withProperties(content, value, value instanceof Went ? NO_KEYS : Object.keys(value), path, depth, within)
}

/** A Date, Map, Set or report of a goto as its stand-in, without further properties of its own; undefined for anything else. */
function checkedContent(
  value: object,
  prototype: unknown,
  path: Path,
  depth: number,
  within: readonly object[],
): unknown {
  if (value instanceof Date && prototype === Date.prototype) return standIn('date', value.getTime())
  if (value instanceof Map && prototype === Map.prototype) {
    const entries = [...value].flatMap(([key, item], i) => [
      checked(key, { parent: path, step: `<key ${i}>` }, depth + 1, within),
      checked(item, { parent: path, step: `<value ${i}>` }, depth + 1, within),
    ])
    return standIn('map', entries)
  }
  if (value instanceof Set && prototype === Set.prototype) {
    const items: readonly unknown[] = [...value]
    return standIn(
      'set',
      items.map((item, i) => checked(item, { parent: path, step: `<item ${i}>` }, depth + 1, within)),
    )
  }
  if (value instanceof Went) return standIn('went', checked(value.value, path, depth + 1, within))
  return undefined
}

/** The content, and what the value has beside it: own properties with these names. */
function withProperties(
  content: unknown,
  value: object,
  keys: readonly string[],
  path: Path,
  depth: number,
  within: readonly object[],
): unknown {
  if (Object.getOwnPropertySymbols(value).length > 0) refuse(path, 'an object with symbol keys', 'use string keys')
  if (keys.length === 0) return content
  const own: Record<string, unknown> = {}
  for (const key of keys) {
    const at = { parent: path, step: { key } }
    if (key === '__proto__' || !key.isWellFormed()) return refuse(at, 'a key that cannot be carried', 'rename it')
    own[key] = checked(readFrom(value, key, at), at, depth + 1, within)
  }
  return standIn('properties', [content, own])
}

/** Above this many elements, looking at all keys of a typed array would cost more than sending it. */
const FEW_ELEMENTS = 64

function checkedBytes(value: ArrayBufferView, path: Path, depth: number, within: readonly object[]): unknown {
  const prototype: unknown = Object.getPrototypeOf(value)
  // A Buffer reads and prints in ways that a Uint8Array does not: it stays one.
  const known =
    prototype === Uint8Array.prototype
      ? 'Uint8Array'
      : prototype === Buffer.prototype
        ? 'Buffer'
        : TYPED_ARRAY_NAMES.get((prototype as { readonly constructor?: unknown } | null)?.constructor)
  if (known === undefined) return refuse(path, describe(value), 'send a plain object')
  const array = value as Uint8Array
  const content =
    known === 'Uint8Array'
      ? array
      : standIn('typed array', [known, new Uint8Array(value.buffer, value.byteOffset, value.byteLength)])
  return withProperties(content, array, namedKeysOf(array), path, depth, within)
}

/** Own properties that are no elements. */
function namedKeysOf(array: Uint8Array): readonly string[] {
  const hasNamed =
    array.length <= FEW_ELEMENTS
      ? Object.keys(array).length > array.length
      : printed(array) !== printed(array.subarray())
  return hasNamed ? Object.keys(array).slice(array.length) : NO_KEYS
}

const NO_KEYS: readonly string[] = Object.freeze([])

/** A typed array without its elements: two of one length differ only where one has named properties. */
const printed = (array: Uint8Array): string =>
  inspect(array, { maxArrayLength: 0, depth: 0, customInspect: false, breakLength: Number.POSITIVE_INFINITY })

/** Keys that an error as a value has beside those of its own. */
const ERROR_KEYS: ReadonlySet<string> = new Set(['name', 'message', 'stack', 'cause', 'errors', 'code', 'details'])

/**
 * An error as a value: all that it has, or refused; one that reports a failure is a record of bounded size. Of a class that is neither
 * JavaScript's nor ours it arrives as an Error with its name.
 */
function checkedError(error: Error, path: Path, depth: number, within: readonly object[]): unknown {
  if (room !== undefined) return standIn('error', boundedRecord(errorToRecord(error, room)))
  if (hasSymbolKeys(error)) return refuse(path, 'an error with symbol keys', 'use string keys')
  const own: Record<string, unknown> = {}
  for (const key of [...ERROR_KEYS, ...Object.keys(error)]) {
    if (key in own || (key === 'stack' && isOverCause(error))) continue
    const at = { parent: path, step: { key } }
    if (!ERROR_KEYS.has(key) && (key === '__proto__' || !key.isWellFormed()))
      return refuse(at, 'a key that cannot be carried', 'rename it')
    const value = readFrom(error, key, at)
    if (value === undefined && !Object.hasOwn(error, key)) continue
    own[key] = checked(value, at, depth + 1, within)
  }
  const kind = error instanceof GraflowError ? 'graflow' : languageErrorOf(error)
  return standIn('error value', [kind, own])
}

/** Those that count as content: Node.js marks its own errors with hidden ones. */
const hasSymbolKeys = (error: Error): boolean =>
  Object.getOwnPropertySymbols(error).some((key) => Object.prototype.propertyIsEnumerable.call(error, key))

/** What a record has is checked already but for what its details and cause carry. */
const boundedRecord = (record: ErrorRecord): unknown =>
  isPlain(record) ? record : checked(record, undefined, 0, NO_OBJECTS)

/** Reads a property; a getter that throws is refused by its place. */
function readFrom(value: object, key: string, at: Path): unknown {
  try {
    return (value as Record<string, unknown>)[key]
  } catch (error) {
    return refuse(at, throwingGetter(error), 'send a plain value')
  }
}

const throwingGetter = (error: unknown): string => `a getter that throws (${describeError(error)})`

/** An item; its path is made only where reading it throws. */
function itemOf(value: readonly unknown[], i: number, path: Path): unknown {
  try {
    return value[i]
  } catch (error) {
    return refuse({ parent: path, step: i }, throwingGetter(error), 'send a plain value')
  }
}

function checkedArray(value: readonly unknown[], path: Path, depth: number, within: readonly object[]): unknown {
  let copy: unknown[] | undefined
  for (let i = 0; i < value.length; i += 1) {
    const item = itemOf(value, i, path)
    if (item === undefined && !(i in value)) return refuse({ parent: path, step: i }, 'a hole in an array', 'fill it')
    // Numbers and strings, the bulk of most arrays, need no path.
    const carried =
      typeof item === 'number' && item !== 0 ? item : checked(item, { parent: path, step: i }, depth + 1, within)
    if (carried !== item && !Number.isNaN(item)) copy ??= [...value]
    if (copy !== undefined) copy[i] = carried
  }
  if (Object.keys(value).length !== value.length) {
    const extra = Object.keys(value).find((key) => !/^\d+$/.test(key)) ?? ''
    return refuse(
      { parent: path, step: { key: extra } },
      'a named property of an array',
      'send a plain object or a plain array',
    )
  }
  if (Object.getOwnPropertySymbols(value).length > 0) refuse(path, 'an array with symbol keys', 'use string keys')
  return copy ?? value
}

function checkedRecord(
  value: Record<string, unknown>,
  path: Path,
  depth: number,
  within: readonly object[],
): Record<string, unknown> {
  let copy: Record<string, unknown> | undefined
  for (const key of Object.keys(value)) {
    const at = { parent: path, step: { key } }
    if (key === '__proto__') return refuse(at, 'a key that changes prototypes', 'rename it')
    if (!key.isWellFormed()) return refuse(at, 'a key with a lone surrogate', 'send text that is valid Unicode')
    const item = readFrom(value, key, at)
    const carried = checked(item, at, depth + 1, within)
    if (carried !== item && !Number.isNaN(item)) copy ??= copyBefore(value, key)
    if (copy !== undefined) copy[key] = carried
  }
  if (Object.getOwnPropertySymbols(value).length > 0) refuse(path, 'an object with symbol keys', 'use string keys')
  return copy ?? value
}

/** The keys before this one, with their values: those behind it may be getters that throw. */
function copyBefore(value: Record<string, unknown>, key: string): Record<string, unknown> {
  const copy: Record<string, unknown> = {}
  for (const before of Object.keys(value)) {
    if (before === key) break
    copy[before] = value[before]
  }
  return copy
}

const NO_OBJECTS: readonly object[] = Object.freeze([])

/** Takes bytes of a buffer that is used again: it must copy `source[start .. end]` before it returns. */
export interface ByteSink {
  push(source: Uint8Array, start: number, end: number): void
}

/** The library's own buffer, and where in it the value is: until the next one is packed. */
type Shared = Uint8Array & { readonly start: number; readonly end: number }

const SHARED_BUFFER = REUSE_BUFFER_MODE | RESET_BUFFER_MODE
const FIRST_BUFFER_BYTES = 8 * 1024
/** A buffer that a value has made larger than this is not used for the next. */
const MOST_BUFFER_BYTES = 1024 * 1024

const isLeftBehind = (shared: Shared): boolean => shared.length > MOST_BUFFER_BYTES

/** What is written for the value: itself where it is plain data. */
function carriedOf(value: unknown, within: Readonly<Room> | undefined): unknown {
  if (isPlain(value)) return value
  isAnyStandIn = false
  room = within
  const carried = checked(value, undefined, 0, NO_OBJECTS)
  return isAnyReplaced() ? [STAND_IN, 'root', carried] : carried
}

/** Asked anew after the value was walked. */
const isAnyReplaced = (): boolean => isAnyStandIn

function isPlain(value: unknown): boolean {
  try {
    return isPlainData(value, 0)
  } catch {
    return false // a getter or proxy that throws: the careful walk says where
  }
}

/** How large the library's buffer is. */
let bufferBytes = 0

function pack(value: unknown, within?: Readonly<Room>): Shared {
  textLength = 0
  longestText = 0
  const carried = carriedOf(value, within)
  // The library lets its buffer grow as it writes, and copies all of it: of texts it is known before. It wants three bytes a character for the next.
  const expected = textLength + (textLength >> 4) + longestText * 2 + FIRST_BUFFER_BYTES
  if (expected > bufferBytes && textLength > FIRST_BUFFER_BYTES) packr.useBuffer(Buffer.allocUnsafeSlow(expected))
  const shared = packr.pack(carried, SHARED_BUFFER) as Buffer & Shared // what REUSE_BUFFER_MODE gives
  bufferBytes = shared.length
  if (isLeftBehind(shared)) {
    bufferBytes = FIRST_BUFFER_BYTES
    packr.useBuffer(Buffer.allocUnsafeSlow(bufferBytes))
  }
  return shared
}

/**
 * A value as bytes. The bytes are the caller's: nothing writes to them later.
 * @param option the limit that `maxBytes` is, for the error
 * @throws GraflowError NOT_SERIALISABLE with the path of what cannot be carried; LIMIT_EXCEEDED above `maxBytes`.
 */
export function encode(
  value: unknown,
  what = 'value',
  maxBytes = Number.POSITIVE_INFINITY,
  option?: keyof Limits,
): Uint8Array {
  const shared = pack(value)
  const length = shared.end - shared.start
  if (length > maxBytes) throw tooLarge(what, length, maxBytes, option)
  const view = shared.subarray(shared.start, shared.end)
  // A buffer that was left behind is this value's alone: no need to have hundreds of megabytes twice.
  if (isLeftBehind(shared) && length * 2 > shared.length) return view
  const bytes = new Uint8Array(length)
  bytes.set(view)
  return bytes
}

/** What reports a failure is no larger: half of what the strictest Redis takes as one value. */
const MOST_FAILURE_BYTES = 512 * 1024

function packFailure(error: unknown): Shared {
  let shared: Shared | undefined
  for (const within of ROOMS) {
    shared = pack(error, within)
    if (shared.end - shared.start <= MOST_FAILURE_BYTES) break
  }
  return shared ?? pack(error)
}

/** As `encode`, for what reports a failure: errors in it are records of bounded size, whatever hangs on them. */
export const encodeFailure = (error: unknown): Uint8Array => new Uint8Array(packed(packFailure(error)))

const packed = (shared: Shared): Uint8Array => shared.subarray(shared.start, shared.end)

/** As `encodeFailure`, into a sink. */
export function encodeFailureTo(sink: ByteSink, error: unknown): number {
  const shared = packFailure(error)
  sink.push(shared, shared.start, shared.end)
  return shared.end - shared.start
}

/**
 * As `encode`, but hands the bytes to `sink`, and says how many they are. More than `maxBytes` are not handed over.
 * @throws GraflowError NOT_SERIALISABLE with the path of what cannot be carried.
 */
export function encodeTo(sink: ByteSink, value: unknown, maxBytes = Number.POSITIVE_INFINITY): number {
  const shared = pack(value)
  const length = shared.end - shared.start
  if (length <= maxBytes) sink.push(shared, shared.start, shared.end)
  return length
}

/** A limit that is lower than by itself was set so, or is what the store takes. */
const orRaise = (option: keyof Limits | undefined, maxBytes: number): string => {
  if (option === undefined) return ''
  const isLower = maxBytes < DEFAULT_LIMITS[option]
  return `, or raise limits.${option}${isLower ? ', and where Redis takes or sends no more, its proto-max-bulk-len or client-output-buffer-limit' : ''}`
}

/** The error for something larger than its limit. */
export const tooLarge = (what: string, bytes: number, maxBytes: number, option?: keyof Limits): GraflowError =>
  new GraflowError(
    'LIMIT_EXCEEDED',
    `${what} must be at most ${maxBytes} bytes when packed, got ${bytes}: pass a reference to where the data is${orRaise(option, maxBytes)}`,
    { details: { what, bytes, maxBytes, ...(option !== undefined && { option: `limits.${option}` }) } },
  )

/**
 * The value in `bytes[start .. end]`, a new one at every call.
 * @throws GraflowError INTEGRITY when the bytes are no value.
 */
export function decode(bytes: Uint8Array, start?: number, end?: number): unknown {
  const view = bytes.subarray(start, end)
  return decodeFrom(view, 0, view.length)
}

/** Read by the library before it reads anything else, so one for all calls will do. */
const range = { start: 0, end: 0 }

/** As `decode`. The library leaves a note on `view`, for the next call: do not keep it for longer than it is read from. */
export function decodeFrom(view: Uint8Array, start: number, end: number): unknown {
  try {
    if (end <= start) throw new RangeError('no bytes') // the library would take an end of 0 for none
    range.start = start
    range.end = end
    const value: unknown = packr.unpack(view, range)
    return Array.isArray(value) && beginsAsStandIn(value) ? revived(value) : value
  } catch (cause) {
    throw new GraflowError(
      'INTEGRITY',
      `expected a packed value of ${end - start} bytes, got something that does not decode`,
      { cause },
    )
  }
}

/** A value with stand-ins as it was before they were put in. It is new, so it is changed in place. */
function revived(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value
  if (!Array.isArray(value)) return revivedRecord(value as Record<string, unknown>)
  if (beginsAsStandIn(value)) return meant(value[1], value[2])
  return revivedItems(value)
}

function revivedItems(items: unknown[]): unknown[] {
  for (let i = 0; i < items.length; i += 1) items[i] = revived(items[i])
  return items
}

function revivedRecord(record: Record<string, unknown>): Record<string, unknown> {
  for (const key of Object.keys(record)) {
    const value = record[key]
    if (typeof value === 'object' && value !== null) record[key] = revived(value)
  }
  return record
}

/** What a stand-in stands for. */
function meant(what: unknown, content: unknown): unknown {
  switch (what) {
    case 'root':
      return revived(content)
    case 'array':
      return revivedItems(content as unknown[])
    case 'map':
      return new Map(pairsOf(revivedItems(content as unknown[])))
    case 'set':
      return new Set(revivedItems(content as unknown[]))
    case 'date':
      return new Date(content as number)
    case 'minus zero':
      return -0
    case 'bigint':
      return bigintOf(content as string)
    case 'no prototype':
      return Object.setPrototypeOf(revivedRecord(content as Record<string, unknown>), null)
    case 'properties': {
      const [inner, own] = content as [unknown, Record<string, unknown>]
      return Object.assign(revived(inner) as object, revivedRecord(own))
    }
    case 'went':
      return new Went(revived(content))
    case 'typed array':
      return typedArray(content as [name: string, bytes: Uint8Array])
    case 'error':
      return errorFromRecord(revived(content) as ErrorRecord)
    case 'error value': {
      const [kind, own] = content as [LanguageErrorName | 'graflow', Record<string, unknown>]
      return errorOf(kind, revivedRecord(own))
    }
    default:
      throw new TypeError(`unknown stand-in ${String(what)}`)
  }
}

function pairsOf(flat: readonly unknown[]): [unknown, unknown][] {
  const pairs: [unknown, unknown][] = []
  for (let i = 0; i < flat.length; i += 2) pairs.push([flat[i], flat[i + 1]])
  return pairs
}

const bigintOf = (hex: string): bigint => (hex.startsWith('-') ? -BigInt(`0x${hex.slice(1)}`) : BigInt(`0x${hex}`))

/** An error as a value again, with all own properties that it had. */
function errorOf(kind: LanguageErrorName | 'graflow', own: Record<string, unknown>): Error {
  if (kind === 'graflow') return graflowErrorOf(own)
  if (!isLanguageError(kind)) throw new TypeError(`unknown class of error ${String(kind)}`)
  return newError(kind, own)
}

/** Gives a value to several starts, a copy each, since handlers may change what they get. */
export function copiesOf(value: unknown): () => unknown {
  if (typeof value !== 'object' || value === null) return () => value
  const bytes = encode(value)
  return () => decode(bytes)
}
