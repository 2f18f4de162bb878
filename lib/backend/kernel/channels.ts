/**
 * The channels of one run: values, numbers and lists by key. A key past its time to live is absent from then on; it is dropped when it
 * is next met, or when others are written with a time to live. The caller has checked the holder and the memory already.
 */
import type { ChannelAnswer, ChannelRequest, ChannelValue, LockAnswer } from '../backend.js'
import { itemCount, item as itemOf, pack, type PackedItems } from '../../values/packed-items.js'

/** A list that grows at both ends: `front` is reversed. */
interface StoredList {
  readonly kind: 'list'
  readonly front: Uint8Array[]
  readonly back: Uint8Array[]
}
type Write = Exclude<ChannelRequest, { kind: 'get' | 'keys' }>
/** What a call answered that is not to be done twice. */
type Answer = ChannelAnswer | LockAnswer
type Stored = Exclude<ChannelValue, { kind: 'list' }> | StoredList

interface Entry {
  stored: Stored
  /** Kernel time; undefined: it stays. */
  expiresAt: number | undefined
  bytes: number
}

/** Calls of which a repeat is known. */
const CALLS_REMEMBERED = 1_024
const KEY_BYTES = 64
/** So many keys with a time to live are looked at, in turn, with each that is written: more than one, so that those past it do not pile up. */
const LOOKED_AT = 4

export class Channels {
  readonly #entries = new Map<string, Entry>()
  readonly #answers = new Map<string, Answer>()
  /** Keys that were written with a time to live; those looked at last stand last. */
  readonly #ending = new Set<string>()
  #bytes = 0

  /** What all of it occupies, roughly. */
  get bytes(): number {
    return this.#bytes
  }

  /**
   * Does what is asked. A write whose nonce is repeated answers the same, and writes nothing: others may have written meanwhile.
   */
  apply(request: ChannelRequest, now: number): ChannelAnswer {
    switch (request.kind) {
      case 'get': {
        const entry = this.#live(request.key, now)
        return { status: 'ok', kind: 'get', value: entry === undefined ? undefined : shown(entry.stored) }
      }
      case 'keys': {
        const keys = [...this.#entries.keys()].filter((key) => this.#live(key, now) !== undefined)
        return { status: 'ok', kind: 'keys', keys }
      }
      default:
        return this.once(request.nonce, () => this.#write(request, now))
    }
  }

  #write(request: Write, now: number): ChannelAnswer {
    const answer = this.#writeOne(request, now)
    if (request.kind !== 'delete' && request.ttlMs !== undefined) {
      this.#ending.add(request.key)
      this.#dropEnded(now)
    }
    return answer
  }

  #dropEnded(now: number): void {
    let looks = LOOKED_AT
    for (const key of this.#ending) {
      if (looks === 0) return
      looks -= 1
      this.#ending.delete(key)
      if (this.#live(key, now)?.expiresAt !== undefined) this.#ending.add(key)
    }
  }

  #writeOne(request: Write, now: number): ChannelAnswer {
    switch (request.kind) {
      case 'set': {
        this.#drop(request.key)
        const expiresAt = request.ttlMs === undefined ? undefined : now + request.ttlMs
        this.#entries.set(request.key, { stored: stored(request.value), expiresAt, bytes: 0 })
        this.#grow(request.key, sizeOf(request.value) + KEY_BYTES)
        return { status: 'ok', kind: 'set' }
      }
      case 'delete': {
        const isDeleted = this.#live(request.key, now) !== undefined
        this.#drop(request.key)
        return { status: 'ok', kind: 'delete', isDeleted }
      }
      case 'append':
      case 'prepend':
        return this.#extend(request, now)
      case 'add':
        return this.#add(request, now)
      default:
        return request satisfies never
    }
  }

  #extend(request: Extract<ChannelRequest, { kind: 'append' | 'prepend' }>, now: number): ChannelAnswer {
    const entry = this.#live(request.key, now) ?? this.#create(request.key, { kind: 'list', front: [], back: [] })
    const list = entry.stored
    if (list.kind !== 'list') return { status: 'type', found: list.kind }
    if (request.kind === 'append') list.back.push(request.item)
    else list.front.push(request.item)
    this.#grow(request.key, request.item.length)
    if (request.ttlMs !== undefined) entry.expiresAt = now + request.ttlMs
    return { status: 'ok', kind: request.kind, length: list.front.length + list.back.length }
  }

  #add(request: Extract<ChannelRequest, { kind: 'add' }>, now: number): ChannelAnswer {
    const entry = this.#live(request.key, now) ?? this.#create(request.key, { kind: 'number', number: 0 })
    const held = entry.stored
    if (held.kind !== 'number') return { status: 'type', found: held.kind }
    const number = held.number + request.number
    entry.stored = { kind: 'number', number }
    if (request.ttlMs !== undefined) entry.expiresAt = now + request.ttlMs
    return { status: 'ok', kind: 'add', number }
  }

  /** What `act` answers; what it answered, when the nonce is one of the last calls. A nonce belongs to one kind of call. */
  once<A extends Answer>(nonce: string, act: () => A): A {
    const known = this.#answers.get(nonce)
    if (known !== undefined) return known as A // it was a call of this kind
    const answer = act()
    this.#answers.set(nonce, answer)
    if (this.#answers.size > CALLS_REMEMBERED) {
      for (const oldest of this.#answers.keys()) {
        this.#answers.delete(oldest)
        break
      }
    }
    return answer
  }

  hasAnswered(nonce: string): boolean {
    return this.#answers.has(nonce)
  }

  #create(key: string, empty: Stored): Entry {
    const entry: Entry = { stored: empty, expiresAt: undefined, bytes: 0 }
    this.#entries.set(key, entry)
    this.#grow(key, KEY_BYTES)
    return entry
  }

  #live(key: string, now: number): Entry | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined || entry.expiresAt === undefined || entry.expiresAt > now) return entry
    this.#drop(key)
    return undefined
  }

  #grow(key: string, bytes: number): void {
    const entry = this.#entries.get(key)
    if (entry !== undefined) entry.bytes += bytes
    this.#bytes += bytes
  }

  #drop(key: string): void {
    this.#bytes -= this.#entries.get(key)?.bytes ?? 0
    this.#entries.delete(key)
  }
}

function stored(value: ChannelValue): Stored {
  if (value.kind !== 'list') return value
  return {
    kind: 'list',
    front: [],
    back: Array.from({ length: itemCount(value.items) }, (_, i) => itemOf(value.items, i)),
  }
}

function shown(entry: Stored): ChannelValue {
  if (entry.kind !== 'list') return entry
  const items: PackedItems = pack([...entry.front.toReversed(), ...entry.back])
  return { kind: 'list', items }
}

function sizeOf(value: ChannelValue): number {
  switch (value.kind) {
    case 'value':
      return value.bytes.length
    case 'number':
      return 8
    case 'list':
      return value.items.bytes.length
    default:
      return value satisfies never
  }
}
