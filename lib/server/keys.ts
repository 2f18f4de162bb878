/**
 * Who may call: keys, of which only hashes are kept. A key that is given is hashed and compared with all keys, each in a time that does not
 * depend on how much of it is right. Wrong keys from one address are slowed down.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { describe } from '../describe.js'
import { GraflowError } from '../errors.js'
import type { ApiKey } from '../producer/server-types.js'
import { elapsedMs, type Clock } from '../time.js'
import { SCOPES, type Scope } from './scopes.js'

const PLAIN_KEY = /^[\x21-\x2b\x2d-\x7e]{8,512}$/
const SHA256 = /^[0-9a-f]{64}$/i
const NAME = /^[A-Za-z0-9_.-]{1,128}$/

const digestOf = (text: string): Buffer => createHash('sha256').update(text).digest()

/** SHA-256 of a key, as a file of keys has it. */
export const sha256Of = (key: string): string => digestOf(key).toString('hex')

/**
 * Keys as people give them, by their hashes.
 * @param given `KEY`, `scope:KEY`, or an object with a hash
 * @throws GraflowError INVALID_OPTION; never shows a key
 */
export function readKeys(given: readonly unknown[], where: string): readonly ApiKey[] {
  return given.map((one, i) => {
    if (typeof one === 'string') return keyOfText(one, i, where)
    const fault = faultOfKey(one)
    if (fault === undefined) return { ...(one as ApiKey), sha256: (one as ApiKey).sha256.toLowerCase() } // looked at just now
    throw new GraflowError('INVALID_OPTION', `${where}: key ${i + 1}: ${fault}`, { details: { option: 'apiKeys' } })
  })
}

function keyOfText(text: string, i: number, where: string): ApiKey {
  const [, scope = 'admin', key = ''] = /^(?:(read|operate|admin):)?(.*)$/s.exec(text) ?? []
  if (!PLAIN_KEY.test(key)) {
    const fault =
      'expected 8 to 512 visible ASCII characters without a comma, with read:, operate: or admin: before them or not'
    throw new GraflowError('INVALID_OPTION', `${where}: key ${i + 1}: ${fault} (what was given is not shown)`, {
      details: { option: 'apiKeys' },
    })
  }
  return { name: `key-${i + 1}`, scope: scope as Scope, sha256: sha256Of(key) } // the pattern has no other
}

function faultOfKey(one: unknown): string | undefined {
  const form =
    'expected { name, scope, sha256 } or { name, scope, sha256, prefix }, as graflow serve --new-key prints it'
  if (typeof one !== 'object' || one === null || Array.isArray(one)) return `${form}, got ${describe(one)}`
  const { name, scope, sha256, prefix, ...others } = one as Record<string, unknown>
  const [other] = Object.keys(others)
  if (other !== undefined) return `${form}, got also ${JSON.stringify(other)}`
  if (typeof name !== 'string' || !NAME.test(name)) return 'name: expected 1 to 128 characters of A-Z a-z 0-9 _ . -'
  if (!SCOPES.some((known) => known === scope))
    return `scope: expected one of ${SCOPES.join(', ')}, got ${describe(scope)}`
  if (typeof sha256 !== 'string' || !SHA256.test(sha256)) return 'sha256: expected 64 hexadecimal digits'
  if (prefix !== undefined && typeof prefix !== 'string')
    return `prefix: expected a key prefix, got ${describe(prefix)}`
  return undefined
}

/** How many wrong keys an address may send at once, and how soon it may send the next. */
const BURST = 20
const REFILL_MS = 3_000
/** Addresses that are remembered. */
const MOST_ADDRESSES = 10_000

interface Bucket {
  tokens: number
  at: number
}

/** The keys of a server. */
export class KeyRing {
  readonly #keys: readonly (ApiKey & { readonly digest: Buffer })[]
  readonly #keyPrefix: string
  readonly #clock: Clock
  readonly #buckets = new LRUCache<string, Bucket>({ max: MOST_ADDRESSES })
  /** Right keys by the address that they came from: those go on where others guess from the same address. */
  readonly #trusted = new LRUCache<string, true>({ max: MOST_ADDRESSES })

  constructor(keys: readonly ApiKey[], keyPrefix: string, clock: Clock) {
    this.#keys = keys.map((key) => ({ ...key, digest: Buffer.from(key.sha256, 'hex') }))
    this.#keyPrefix = keyPrefix
    this.#clock = clock
  }

  /** Whether there is none, so that all may do all. */
  get isEmpty(): boolean {
    return this.#keys.length === 0
  }

  /**
   * What the key of a request may do.
   * @param given undefined where the request has none
   * @param address where it came from
   * @throws GraflowError UNAUTHORIZED; FORBIDDEN for a key of another prefix; TOO_MANY_REQUESTS
   */
  check(given: string | undefined, address: string): Scope {
    if (this.isEmpty) return 'admin'
    if (given === undefined) throw unauthorized()
    const digest = digestOf(given)
    const client = `${address} ${digest.toString('base64')}`
    const found = this.#find(digest)
    if (found === undefined || this.#trusted.get(client) === undefined) this.#admit(address, found !== undefined)
    if (found === undefined) throw unauthorized()
    this.#trusted.set(client, true)
    if (found.prefix !== undefined && found.prefix !== this.#keyPrefix)
      throw new GraflowError('FORBIDDEN', 'the key is for another key prefix than the one of this server')
    return found.scope
  }

  /** Compares with all, whether one was found or not. */
  #find(digest: Buffer): ApiKey | undefined {
    let found: ApiKey | undefined
    for (const key of this.#keys) if (timingSafeEqual(key.digest, digest)) found = key
    return found
  }

  /** Takes a token for a wrong key. @throws GraflowError TOO_MANY_REQUESTS where none is left, also for a right key that was never seen */
  #admit(address: string, isRight: boolean): void {
    const now = elapsedMs(this.#clock)
    const bucket = this.#buckets.get(address) ?? { tokens: BURST, at: now }
    const tokens = Math.min(BURST, bucket.tokens + (now - bucket.at) / REFILL_MS)
    const isFull = tokens < 1
    this.#buckets.set(address, { tokens: isFull || isRight ? tokens : tokens - 1, at: now })
    if (!isFull) return
    const retryAfterMs = Math.ceil((1 - tokens) * REFILL_MS)
    throw new GraflowError('TOO_MANY_REQUESTS', 'too many wrong keys came from this address', {
      details: { retryAfterMs },
    })
  }
}

const unauthorized = (): GraflowError =>
  new GraflowError('UNAUTHORIZED', 'expected an API key of this server, as x-api-key or as a bearer token')
