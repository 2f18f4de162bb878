/**
 * Values as bytes, and back: what tasks take and give, whichever process they run in. MessagePack (msgpackr) plus Date, Map, Set,
 * bigint and typed arrays. Two promises on top of the library: a value either arrives equal or is refused with NOT_SERIALISABLE and
 * its path, never silently changed; and an Error arrives as an Error.
 */
import { isNativeError } from 'node:util/types'
import { addExtension, Packr, RESET_BUFFER_MODE, REUSE_BUFFER_MODE } from 'msgpackr'
import { GraflowError } from '../errors.js'
import { describe } from '../flow/describe.js'
import { errorFromRecord, errorToRecord, type ErrorRecord } from './error-record.js'
import { type Limits } from '../options.js'

/** Stands in the bytes for what MessagePack has no word for; never seen by users. */
class Carried {
  constructor(
    readonly what: 'map' | 'error' | 'minus zero' | 'typed array',
    readonly data: unknown,
  ) {}
}

const EXTENSION_TYPE = 0x47
addExtension({
  Class: Carried,
  type: EXTENSION_TYPE,
  write: (carried: Carried) => [carried.what, carried.data],
  read: (data: unknown): unknown => {
    if (!Array.isArray(data) || data.length !== 2) throw new TypeError('malformed carried value')
    const [what, content] = data as [unknown, unknown]
    switch (what) {
      case 'map':
        return new Map(content as [unknown, unknown][])
      case 'error':
        return errorFromRecord(content as ErrorRecord)
      case 'minus zero':
        return -0
      case 'typed array':
        return typedArray(content as [name: string, bytes: Uint8Array])
      default:
        throw new TypeError(`unknown carried value ${String(what)}`)
    }
  },
})

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

type Path = { readonly parent: Path; readonly step: string } | undefined

const pathText = (path: Path): string => {
  const steps: string[] = []
  for (let at = path; at !== undefined; at = at.parent) steps.push(at.step)
  return steps.reverse().join('')
}

const refuse = (path: Path, got: string, advice: string): never => {
  const place = `value${pathText(path)}`
  throw new GraflowError('NOT_SERIALISABLE', `${place} cannot be carried: it is ${got}; ${advice}`, {
    details: { path: place },
  })
}

const keyStep = (key: string): string => (/^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`)

/** Deeper than this the careful walk looks, which also knows cycles. */
const FAST_DEPTH = 32

/** True for plain data that needs neither a stand-in nor an error: most values, seen without allocating anything. */
function isPlainData(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case 'number':
      return value !== 0 || 1 / value > 0
    case 'string':
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
    if (prototype !== Array.prototype) return false
    for (let i = 0; i < value.length; i += 1) {
      const item: unknown = value[i]
      if (item === undefined || !isPlainData(item, depth + 1)) return false
    }
    return value.length > 0 ? Object.keys(value).length === value.length : Object.keys(value).length === 0
  }
  if (prototype !== Object.prototype) return prototype === Date.prototype
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
      return value === 0 && 1 / value < 0 ? new Carried('minus zero', null) : value
    case 'string':
      return value.isWellFormed()
        ? value
        : refuse(path, 'a string with a lone surrogate', 'send text that is valid Unicode, or bytes')
    case 'boolean':
    case 'undefined':
    case 'bigint':
      return value
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

function checkedObject(value: object, path: Path, depth: number, above: readonly object[]): unknown {
  if (depth > MAX_DEPTH) return refuse(path, `nested deeper than ${MAX_DEPTH}`, 'flatten it')
  if (above.includes(value)) return refuse(path, 'a cycle (it contains itself)', 'break the cycle')
  const within = [...above, value]
  const prototype: unknown = Object.getPrototypeOf(value)
  if (Array.isArray(value)) {
    // The prototype of arrays is an array, in every realm; that of a subclass is not.
    if (!Array.isArray(prototype)) return refuse(path, 'an array of a class of its own', 'send a plain array')
    return checkedArray(value, path, depth, within)
  }
  // A root prototype, of whatever realm: node:vm and test runners have their own Object.prototype.
  if (prototype === null || Object.getPrototypeOf(prototype) === null)
    return checkedRecord(value as Record<string, unknown>, path, depth, within)
  if (value instanceof Date && prototype === Date.prototype) return value
  if (value instanceof Map && prototype === Map.prototype) {
    const entries = [...value].map(([key, item], i) => [
      checked(key, { parent: path, step: `<key ${i}>` }, depth + 1, within),
      checked(item, { parent: path, step: `<value ${i}>` }, depth + 1, within),
    ])
    return new Carried('map', entries)
  }
  if (value instanceof Set && prototype === Set.prototype) {
    const items: readonly unknown[] = [...value]
    const carried = items.map((item, i) => checked(item, { parent: path, step: `<item ${i}>` }, depth + 1, within))
    return carried.every((item, i) => item === items[i]) ? value : new Set(carried)
  }
  if (value instanceof Error || isNativeError(value)) return new Carried('error', errorToRecord(value))
  if (ArrayBuffer.isView(value)) {
    if (prototype === Uint8Array.prototype) return value
    // A Buffer reads and prints in ways that a Uint8Array does not: it stays one.
    const known = prototype === Buffer.prototype ? 'Buffer' : TYPED_ARRAY_NAMES.get(value.constructor)
    if (known !== undefined)
      return new Carried('typed array', [known, new Uint8Array(value.buffer, value.byteOffset, value.byteLength)])
  }
  return refuse(path, describe(value), 'send a plain object')
}

function checkedArray(value: readonly unknown[], path: Path, depth: number, within: readonly object[]): unknown {
  let copy: unknown[] | undefined
  for (let i = 0; i < value.length; i += 1) {
    const item = value[i]
    if (item === undefined && !(i in value))
      return refuse({ parent: path, step: `[${i}]` }, 'a hole in an array', 'fill it')
    // Numbers and strings, the bulk of most arrays, need no path.
    const carried =
      typeof item === 'number' && item !== 0 ? item : checked(item, { parent: path, step: `[${i}]` }, depth + 1, within)
    if (carried !== item && !Number.isNaN(item)) copy ??= [...value]
    if (copy !== undefined) copy[i] = carried
  }
  if (Object.keys(value).length !== value.length) {
    const extra = Object.keys(value).find((key) => !/^\d+$/.test(key)) ?? ''
    return refuse(
      { parent: path, step: keyStep(extra) },
      'a named property of an array',
      'send a plain object or a plain array',
    )
  }
  return copy ?? value
}

function checkedRecord(value: Record<string, unknown>, path: Path, depth: number, within: readonly object[]): unknown {
  let copy: Record<string, unknown> | undefined
  for (const key of Object.keys(value)) {
    const at = { parent: path, step: keyStep(key) }
    if (key === '__proto__') return refuse(at, 'a key that changes prototypes', 'rename it')
    if (!key.isWellFormed()) return refuse(at, 'a key with a lone surrogate', 'send text that is valid Unicode')
    const item = value[key]
    const carried = checked(item, at, depth + 1, within)
    if (carried !== item && !Number.isNaN(item)) copy ??= { ...value }
    if (copy !== undefined) copy[key] = carried
  }
  if (Object.getOwnPropertySymbols(value).length > 0)
    return refuse(path, 'an object with symbol keys', 'use string keys')
  return copy ?? value
}

const NO_OBJECTS: readonly object[] = Object.freeze([])

/** Takes bytes that are someone else's: it must copy `source[start .. end]` before it returns. */
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

function pack(value: unknown): Shared {
  const carried = isPlainData(value, 0) ? value : checked(value, undefined, 0, NO_OBJECTS)
  const shared = packr.pack(carried, SHARED_BUFFER) as Buffer & Shared // what REUSE_BUFFER_MODE gives
  if (isLeftBehind(shared)) packr.useBuffer(Buffer.allocUnsafeSlow(FIRST_BUFFER_BYTES))
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

/** The error for something larger than its limit. */
export const tooLarge = (what: string, bytes: number, maxBytes: number, option?: keyof Limits): GraflowError =>
  new GraflowError(
    'LIMIT_EXCEEDED',
    `${what} must be at most ${maxBytes} bytes when packed, got ${bytes}: pass a reference to where the data is${option === undefined ? '' : `, or raise limits.${option}`}`,
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
    return packr.unpack(view, range)
  } catch (cause) {
    throw new GraflowError(
      'INTEGRITY',
      `expected a packed value of ${end - start} bytes, got something that does not decode`,
      { cause },
    )
  }
}
