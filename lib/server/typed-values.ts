/**
 * Values of runs for HTTP: as JSON by the same rules as all answers (plain-json.ts), and beside it what each place was before where JSON has no form
 * for it. Bounded: what is left out is told. Errors keep their stacks here, for people who look for a fault.
 */

/** What stands at a place of a value, by its JSON pointer (RFC 6901; '' is all of it), where it is no plain JSON. `omitted`: it was too large. */
export type ValueTypes = Readonly<Record<string, string>>

/** A value as JSON, and what JSON cannot say of it. */
export interface TypedValue {
  readonly value: unknown
  readonly types: ValueTypes
  /** Something was left out or cut, since it was too large. */
  readonly truncated?: true
}

/** Values inside a value, characters in all its texts, and in one. */
interface Bounds {
  readonly parts: number
  readonly characters: number
  readonly text: number
}
const MOST: Bounds = { parts: 20_000, characters: 1_000_000, text: 256 * 1024 }
/** Of one item of a list, and of one field of a status in a stream. */
const OF_ITEM: Bounds = { parts: 500, characters: 16 * 1024, text: 2 * 1024 }
const OF_FIELD: Bounds = { parts: 8_000, characters: 150_000, text: 64 * 1024 }
const MOST_DEPTH = 100
const MOST_ERRORS = 100
const MOST_STACK = 16 * 1024

/** The value of a handler or run, decoded. */
export function typedValue(value: unknown): TypedValue {
  const walk = new Walk()
  const found = walk.at('', value, 0)
  return { value: found ?? null, types: walk.types, ...(walk.isTruncated && { truncated: true }) }
}

/** The same, whole, however large it is: for a worker that is to work on it. */
export function wholeValue(value: unknown): TypedValue {
  const walk = new Walk({ isWhole: true })
  const found = walk.at('', value, 0)
  return { value: found ?? null, types: walk.types }
}

/** The same without the types: for answers whose shape is known. Errors in it have stacks. */
export const plainValue = (value: unknown): unknown => new Walk().at('', value, 0)

/**
 * Each item of a page, in bounds of its own: none is left out for the size of others, since the cursor stands behind it. Its errors say what happened,
 * without stacks, causes and what the branches of a group gave.
 */
export const listedItems = (items: readonly unknown[]): readonly unknown[] =>
  items.map((item) => new Walk({ isBrief: true, most: OF_ITEM }).at('', item, 0))

/** Each field in bounds of its own, so that a large one takes nothing from others. @param isSmall for one frame of a stream */
export const plainFields = (value: object, isSmall = false): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    Object.entries(value).map(([key, field]) => [key, new Walk({ most: isSmall ? OF_FIELD : MOST }).at('', field, 0)]),
  )

/** What is known of any error; a field may be a getter of its class. */
const read = (error: Error) => {
  const { stack, cause } = error
  const { code, details, errors, retryable } = error as {
    readonly [K in 'code' | 'details' | 'errors' | 'retryable']?: unknown
  }
  return { stack, cause, code, details, errors, retryable }
}

const NOTHING_MORE = { stack: undefined, cause: undefined, errors: undefined }

function withoutOutcomes(details: unknown): unknown {
  if (typeof details !== 'object' || details === null) return details
  return Object.fromEntries(Object.entries(details).filter(([key]) => key !== 'outcomes'))
}

class Walk {
  readonly types: Record<string, string> = Object.create(null) as Record<string, string>
  isTruncated = false
  readonly #isWhole: boolean
  readonly #isBrief: boolean
  readonly #most: Bounds
  #parts = 0
  #characters = 0

  constructor({ isWhole = false, isBrief = false, most = MOST } = {}) {
    this.#isWhole = isWhole
    this.#isBrief = isBrief
    this.#most = most
  }

  get #isFull(): boolean {
    return !this.#isWhole && (this.#parts > this.#most.parts || this.#characters > this.#most.characters)
  }

  at(pointer: string, value: unknown, depth: number): unknown {
    this.#parts += 1
    if (this.#isFull || (depth > MOST_DEPTH && !this.#isWhole)) return this.#omit(pointer)
    switch (typeof value) {
      case 'string':
        return this.#text(pointer, value)
      case 'number':
        return this.#number(pointer, value)
      case 'bigint':
        return this.#as(pointer, 'bigint', value.toString())
      case 'object':
        return value === null ? null : this.#object(pointer, value, depth)
      case 'undefined':
        this.types[pointer] = 'undefined'
        return undefined
      case 'boolean':
        return value
      default:
        return this.#omit(pointer)
    }
  }

  #text(pointer: string, text: string): string {
    this.#characters += text.length
    if (text.length <= this.#most.text || this.#isWhole) return text
    this.isTruncated = true
    return this.#as(pointer, 'omitted', text.slice(0, this.#most.text))
  }

  #number(pointer: string, number: number): unknown {
    if (Number.isFinite(number) && !Object.is(number, -0)) return number
    return this.#as(pointer, 'number', Object.is(number, -0) ? '-0' : String(number))
  }

  #object(pointer: string, value: object, depth: number): unknown {
    if (value instanceof Date)
      return this.#as(pointer, 'Date', Number.isNaN(value.getTime()) ? null : value.toISOString())
    if (value instanceof Error) return this.#as(pointer, 'Error', this.#error(pointer, value, depth))
    if (value instanceof Map) return this.#map(pointer, value as ReadonlyMap<unknown, unknown>, depth)
    if (value instanceof Set)
      return this.#as(pointer, 'Set', this.#list(pointer, [...(value as ReadonlySet<unknown>)], depth))
    if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return this.#bytes(pointer, value)
    if (Array.isArray(value)) return this.#list(pointer, value, depth)
    return this.#record(pointer, Object.entries(value), depth)
  }

  #list(pointer: string, items: readonly unknown[], depth: number): unknown[] {
    const found: unknown[] = []
    for (let i = 0; i < items.length; i += 1) {
      if (this.#isFull) {
        this.#omit(pointer)
        break
      }
      found.push(this.at(`${pointer}/${i}`, items[i], depth + 1) ?? null)
    }
    return found
  }

  #record(pointer: string, entries: readonly (readonly [string, unknown])[], depth: number): Record<string, unknown> {
    const found: Record<string, unknown> = {}
    for (const [key, value] of entries) {
      if (this.#isFull) {
        this.#omit(pointer)
        break
      }
      this.#characters += key.length
      const inner = this.at(`${pointer}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`, value, depth + 1)
      // a key such as __proto__ is one like any other
      Object.defineProperty(found, key, { value: inner, enumerable: true, configurable: true, writable: true })
    }
    return found
  }

  #map(pointer: string, map: ReadonlyMap<unknown, unknown>, depth: number): unknown {
    const entries = [...map]
    const isRecord = entries.every(([key]) => typeof key === 'string')
    return this.#as(
      pointer,
      'Map',
      isRecord ? this.#record(pointer, entries as [string, unknown][], depth) : this.#list(pointer, entries, depth),
    )
  }

  #bytes(pointer: string, value: ArrayBufferView | ArrayBuffer): unknown {
    const bytes = ArrayBuffer.isView(value)
      ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
      : Buffer.from(value)
    const name = value.constructor.name
    const type = name === 'Buffer' || name === 'Uint8Array' ? 'bytes' : name
    const text = bytes.subarray(0, this.#isWhole ? undefined : this.#most.text).toString('base64')
    this.#characters += text.length
    if (bytes.length > this.#most.text && !this.#isWhole) this.isTruncated = true
    return this.#as(pointer, type, text)
  }

  #error(pointer: string, error: Error, depth: number): Record<string, unknown> {
    const { name, message } = error
    const { code, retryable, ...given } = read(error)
    const details = this.#isBrief ? withoutOutcomes(given.details) : given.details
    const { stack, cause, errors } = this.#isBrief ? NOTHING_MORE : given
    const isThere = (value: unknown): boolean =>
      value !== undefined && !(typeof value === 'object' && value !== null && Object.keys(value).length === 0)
    const facts: [string, unknown][] = [
      ['name', name],
      ...(code === undefined ? [] : [['code', code] satisfies [string, unknown]]),
      ['message', message],
      ...(retryable === undefined ? [] : [['retryable', retryable] satisfies [string, unknown]]),
      ...(isThere(details) ? [['details', details] satisfies [string, unknown]] : []),
      ...(typeof stack === 'string' ? [['stack', stack.slice(0, MOST_STACK)] satisfies [string, unknown]] : []),
      ...(cause === undefined ? [] : [['cause', cause] satisfies [string, unknown]]),
      ...(Array.isArray(errors) && errors.length > 0
        ? [['errors', errors.slice(0, MOST_ERRORS)] satisfies [string, unknown]]
        : []),
    ]
    return this.#record(pointer, facts, depth)
  }

  #as<T>(pointer: string, type: string, value: T): T {
    this.types[pointer] = type
    return value
  }

  #omit(pointer: string): null {
    this.isTruncated = true
    return this.#as(pointer, 'omitted', null)
  }
}
