/**
 * The canonical bytes of a graph and its name, their sha-256. Hides the choice of RFC 8785 (JSON Canonicalization Scheme) and what
 * has to be refused before it: JSON drops or rewrites what it cannot say, and a graph must arrive as it was written, or not at all.
 *
 * For what is left, RFC 8785 is JSON.stringify with sorted keys, so it is written here: the package for it can only be imported, and
 * would break every task module that is loaded by require. The tests compare the two.
 */
import { createHash } from 'node:crypto'
import { describe } from '../describe.js'
import { GraflowError } from '../errors.js'
import type { Graph } from './graph.js'

/** Levels of JSON inside one another: five for a choose around a sequence (node, cases, pair, sequence, steps), nested 64 times, fit. */
export const MAX_JSON_DEPTH = 400

const LONE_SURROGATE = /\p{Surrogate}/u
const encoder = new TextEncoder()
const hashes = new WeakMap<Graph, string>()
const carriable = new WeakSet<Graph>()

/** Equal graphs, and only they, have equal text: RFC 8785 JSON. Errors: NOT_SERIALISABLE with the path. */
export function canonicalText(graph: Graph): string {
  if (!carriable.has(graph)) assertCarriable(graph)
  return write(graph)
}

/** The UTF-8 bytes of the canonical text; a new array with each call. Errors: NOT_SERIALISABLE with the path. */
export function canonicalBytes(graph: Graph): Uint8Array {
  return encoder.encode(canonicalText(graph))
}

/**
 * The name of a graph: the sha-256 of its canonical bytes, as 64 lower-case hex digits. The same in every process and directory.
 * Computed once for each graph object. Errors: NOT_SERIALISABLE with the path.
 */
export function graphHash(graph: Graph): string {
  let hash = hashes.get(graph)
  if (hash === undefined) {
    hash = hashOf(canonicalBytes(graph))
    hashes.set(graph, hash)
  }
  return hash
}

/** Lets graphHash answer without computing, for those who have the bytes at hand already. */
export function rememberHash(graph: Graph, hash: string): void {
  hashes.set(graph, hash)
}

/** Lets canonicalText write without looking, for a caller that made a frozen copy of what assertCarriable let through. */
export function rememberCarriable(graph: Graph): void {
  carriable.add(graph)
}

/** The sha-256 of bytes, as 64 lower-case hex digits. */
export function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** A place in data as people write it: `root.steps[1].options.name`, `tasks["fetch-user"].queue`. */
export function placeOf(segments: readonly (string | number)[]): string {
  let place = ''
  for (const segment of segments) {
    if (typeof segment === 'number') place += `[${segment}]`
    else if (!/^[A-Za-z_$][A-Za-z0-9_$]*$/.test(segment)) place += `[${JSON.stringify(segment)}]`
    else place += place === '' ? segment : `.${segment}`
  }
  return place
}

/**
 * Refuses whatever JSON would drop, change or not end on: NOT_SERIALISABLE, with the place in the message and in `details.path`.
 * Reads no accessor. An object that stands in several places is looked at once.
 */
export function assertCarriable(value: unknown): void {
  new CarriableWalk().item(value)
}

/** One look at one value. Each method answers how many levels of lists and records the item has. */
class CarriableWalk {
  readonly #place: (string | number)[] = []
  readonly #open = new Set<object>()
  readonly #levels = new Map<object, number>()

  item(item: unknown): number {
    switch (typeof item) {
      case 'boolean':
        return 0
      case 'string':
        return LONE_SURROGATE.test(item) ? this.#refuse('text with a lone surrogate') : 0
      case 'number':
        if (Object.is(item, -0)) return this.#refuse('-0')
        return Number.isFinite(item) ? 0 : this.#refuse(describe(item))
      case 'object':
        return item === null ? 0 : this.#object(item)
      default:
        return this.#refuse(describe(item))
    }
  }

  #object(item: object): number {
    if (this.#open.has(item)) return this.#refuse('a reference to something around it')
    const known = this.#levels.get(item) ?? 0
    if (this.#place.length + known > MAX_JSON_DEPTH)
      return this.#refuse(`more than ${MAX_JSON_DEPTH} levels inside one another`)
    if (known > 0) return known
    this.#open.add(item)
    const level = 1 + (Array.isArray(item) ? this.#list(item) : this.#record(item))
    this.#open.delete(item)
    this.#levels.set(item, level)
    return level
  }

  #list(list: readonly unknown[]): number {
    if (!Array.isArray(Object.getPrototypeOf(list))) return this.#refuse(describe(list))
    let deepest = 0
    for (let index = 0; index < list.length; index += 1) deepest = Math.max(deepest, this.#property(list, index))
    // a list owns its `length` too
    return Reflect.ownKeys(list).length === list.length + 1 ? deepest : this.#refuse('a list with named properties')
  }

  #record(record: object): number {
    if (!isPlain(record)) return this.#refuse(describe(record))
    let deepest = 0
    for (const key of Reflect.ownKeys(record)) {
      if (typeof key === 'symbol') return this.#refuse(`a record with the key ${String(key)}`)
      if (LONE_SURROGATE.test(key)) return this.#refuse('a record with a key that has a lone surrogate')
      deepest = Math.max(deepest, this.#property(record, key))
    }
    return deepest
  }

  #property(owner: object, key: string | number): number {
    this.#place.push(key)
    const property = Object.getOwnPropertyDescriptor(owner, key)
    if (property === undefined) return this.#refuse('a hole in a list')
    if (!('value' in property)) return this.#refuse('a getter or setter')
    if (property.enumerable !== true) return this.#refuse('a hidden property')
    const level = this.item(property.value)
    this.#place.pop()
    return level
  }

  #refuse(what: string): never {
    const path = placeOf(this.#place)
    const message = `${path === '' ? 'a graph' : path} must be plain data (text, finite numbers, booleans, null, lists, records), got ${what}`
    throw new GraflowError('NOT_SERIALISABLE', message, { details: { path, got: what } })
  }
}

/** Keys in the order of their UTF-16 units, which is sort()'s own; text and numbers as ECMAScript writes them. */
function write(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(write).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const record = value as Readonly<Record<string, unknown>>
  const fields = Object.keys(record)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${write(record[key])}`)
  return `{${fields.join(',')}}`
}

/** Made by braces, JSON.parse or Object.create(null), in whatever realm: tests and sandboxes have an Object of their own. */
function isPlain(record: object): boolean {
  const prototype = Object.getPrototypeOf(record) as object | null
  return prototype === null || (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf'))
}
