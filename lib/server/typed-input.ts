/**
 * Values that come as JSON with what JSON cannot say of them, as typed-values.ts writes them: dates, large integers, maps, sets, bytes. So what was shown of a
 * run can be sent again as it was.
 */
import { describe } from '../describe.js'
import { GraflowError } from '../errors.js'
import type { ValueTypes } from './typed-values.js'

/** As deep as values are written. */
const MOST_DEPTH = 100

/** @throws GraflowError INVALID_OPTION for a type that is none, that does not fit what stands at its place, or whose place is not there */
export function typedInput(input: unknown, types: ValueTypes): unknown {
  const reader = new Reader(types)
  const found = reader.at('', input, 0)
  const [missed] = Object.keys(types).filter((pointer) => !reader.met.has(pointer))
  if (missed !== undefined) throw refused(missed, 'the input has no such place')
  return found
}

const refused = (pointer: string, why: string): GraflowError =>
  new GraflowError('INVALID_OPTION', `types: at ${JSON.stringify(pointer)}: ${why}`, {
    details: { option: 'types', pointer },
  })

const NUMBERS: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
  '-0': -0,
}

const ARRAYS = {
  ...{ Int8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array },
  ...{ Float32Array, Float64Array, BigInt64Array, BigUint64Array },
} as const

/** How each type is written: its own keys are the types that there are. */
const FORMS: Readonly<Record<string, string>> = {
  ...{ Date: 'an ISO date or null', bigint: 'a text of digits', number: `one of ${Object.keys(NUMBERS).join(', ')}` },
  ...{ Set: 'a list', Map: 'an object, or a list of pairs', undefined: 'null' },
  ...Object.fromEntries(
    ['bytes', 'ArrayBuffer', 'DataView', ...Object.keys(ARRAYS)].map((name) => [name, 'base64 of whole elements']),
  ),
}

class Reader {
  readonly met = new Set<string>()
  readonly #types: ReadonlyMap<string, string>
  /** Keys of records that have no value, by the pointer of the record. */
  readonly #undefined = new Map<string, string[]>()

  constructor(types: ValueTypes) {
    this.#types = new Map(Object.entries(types))
    for (const [pointer, type] of this.#types) {
      const cut = pointer.lastIndexOf('/')
      if (type !== 'undefined' || cut < 0) continue
      const key = pointer
        .slice(cut + 1)
        .replaceAll('~1', '/')
        .replaceAll('~0', '~')
      const parent = pointer.slice(0, cut)
      this.#undefined.set(parent, [...(this.#undefined.get(parent) ?? []), key])
    }
  }

  at(pointer: string, value: unknown, depth: number): unknown {
    if (depth > MOST_DEPTH) throw refused(pointer, `the input is nested more than ${MOST_DEPTH} deep`)
    const type = this.#types.get(pointer)
    if (type !== undefined) this.met.add(pointer)
    const plain =
      type === 'Date' || typeof value !== 'object' || value === null ? value : this.#inside(pointer, value, depth)
    return type === undefined ? plain : this.#as(pointer, type, plain)
  }

  #inside(pointer: string, value: object, depth: number): unknown {
    if (Array.isArray(value)) return value.map((one, i) => this.at(`${pointer}/${i}`, one, depth + 1))
    const found: Record<string, unknown> = {}
    // a key such as __proto__ is one like any other
    const set = (key: string, one: unknown): unknown =>
      Object.defineProperty(found, key, { value: one, enumerable: true, configurable: true, writable: true })
    for (const [key, one] of Object.entries(value))
      set(key, this.at(`${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`, one, depth + 1))
    for (const key of this.#undefined.get(pointer) ?? []) {
      this.met.add(`${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`)
      set(key, undefined)
    }
    return found
  }

  #as(pointer: string, type: string, value: unknown): unknown {
    const form = Object.hasOwn(FORMS, type) ? FORMS[type] : undefined
    if (form === undefined)
      throw refused(pointer, `expected one of ${Object.keys(FORMS).join(', ')}, got ${describe(type)}`)
    const found = typed(type, value)
    if (found === undefined && type !== 'undefined')
      throw refused(pointer, `expected ${form} for ${type}, got ${describe(value)}`)
    return found
  }
}

/** Undefined where it is none. */
function typed(type: string, value: unknown): unknown {
  switch (type) {
    case 'Date':
      return dateOf(value)
    case 'bigint':
      return typeof value === 'string' && /^-?\d{1,4096}$/.test(value) ? BigInt(value) : undefined
    case 'number':
      return typeof value === 'string' ? NUMBERS[value] : undefined
    case 'Set':
      return Array.isArray(value) ? new Set<unknown>(value) : undefined
    case 'Map':
      return mapOf(value)
    case 'undefined':
      return undefined
    default:
      return typeof value === 'string' ? bytesOf(type, value) : undefined
  }
}

function dateOf(value: unknown): Date | undefined {
  if (value === null) return new Date(Number.NaN)
  const date = typeof value === 'string' ? new Date(value) : undefined
  return date === undefined || Number.isNaN(date.getTime()) ? undefined : date
}

function mapOf(value: unknown): ReadonlyMap<unknown, unknown> | undefined {
  if (!Array.isArray(value))
    return typeof value === 'object' && value !== null ? new Map(Object.entries(value)) : undefined
  const isPair = (one: unknown): one is [unknown, unknown] => Array.isArray(one) && one.length === 2
  return value.every(isPair) ? new Map(value) : undefined
}

function bytesOf(type: string, base64: string): unknown {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) return undefined
  const bytes = Uint8Array.from(Buffer.from(base64, 'base64'))
  if (type === 'bytes') return bytes
  if (type === 'ArrayBuffer') return bytes.buffer
  if (type === 'DataView') return new DataView(bytes.buffer)
  const Made = Object.hasOwn(ARRAYS, type) ? ARRAYS[type as keyof typeof ARRAYS] : undefined // its own key
  return Made === undefined || bytes.length % Made.BYTES_PER_ELEMENT !== 0 ? undefined : new Made(bytes.buffer)
}
