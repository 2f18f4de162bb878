/** A run's shared state as handlers see it: values through the codec, numbers that can be added to, lists; the store keeps them. */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Backend, ChannelAnswer, ChannelRequest, ChannelValue } from '../backend/backend.js'
import { byteLength } from '../values/packed-items.js'
import { GraflowError } from '../errors.js'
import type {
  Channel,
  ChannelAccess,
  ChannelCounters,
  ChannelLists,
  ChannelLocks,
  ChannelValues,
  WriteOptions,
} from '../flow/context.js'
import { describe } from '../describe.js'
import { decode, encode, tooLarge } from '../values/codec.js'
import type { Cancellation } from './cancellation.js'
import { refusalOf } from './execution.js'
import { fullStore } from './graph-store.js'
import type { HeldLock, LockingStart } from './held-lock.js'
import type { Locks } from './locks.js'
import { type Limits } from '../options.js'
import { ValueWriter, valuesOf } from '../values/value-lists.js'

const LONGEST_KEY = 256

function checkKey(key: unknown): string {
  if (typeof key !== 'string' || key.length === 0 || key.length > LONGEST_KEY || !key.isWellFormed()) {
    const got = typeof key === 'string' ? `${key.length} characters` : describe(key)
    throw new GraflowError(
      'INVALID_NAME',
      `a channel's key must be a text of 1 to ${LONGEST_KEY} characters, got ${got}`,
    )
  }
  return key
}

function ttlOf(options: WriteOptions | undefined): { readonly ttlMs?: number } {
  if (options === undefined) return {}
  if (typeof options !== 'object' || (options as unknown) === null)
    throw new GraflowError(
      'INVALID_OPTION',
      `a channel write takes options as { ttlMs: 1000 }, got ${describe(options)}`,
    )
  for (const option of Object.keys(options)) {
    if (option === 'ttlMs') continue
    const message = `a channel write has no option ${describe(option)}: its one option is ttlMs (milliseconds)`
    throw new GraflowError('INVALID_OPTION', message, { details: { option } })
  }
  const { ttlMs } = options
  if (ttlMs === undefined) return {}
  if (!Number.isSafeInteger(ttlMs) || ttlMs < 1) {
    throw new GraflowError(
      'INVALID_OPTION',
      `ttlMs must be an integer of at least 1 (milliseconds), got ${describe(ttlMs)}`,
    )
  }
  return { ttlMs }
}

/** JavaScript may pass anything. */
function checkSchema(schema: unknown): void {
  if (schema === undefined) return
  const isObject = (typeof schema === 'object' && schema !== null) || typeof schema === 'function'
  if (isObject && '~standard' in schema) return
  throw new GraflowError(
    'INVALID_OPTION',
    `ctx.channel takes a Standard Schema (zod, valibot, arktype) or nothing, got ${describe(schema)}`,
  )
}

/** An array is a list, so that it can be appended to; a number can be added to; anything else is one opaque value. */
function stored(value: unknown, { resultBytes: maxBytes }: Pick<Limits, 'resultBytes'>): ChannelValue {
  const kept = unbounded(value)
  const bytes = kept.kind === 'value' ? kept.bytes.length : kept.kind === 'list' ? byteLength(kept.items) : 0
  if (bytes > maxBytes) throw tooLarge('a channel value', bytes, maxBytes, 'resultBytes')
  return kept
}

function unbounded(value: unknown): ChannelValue {
  if (typeof value === 'number' && Number.isFinite(value)) return { kind: 'number', number: value }
  if (
    Array.isArray(value) &&
    Array.isArray(Object.getPrototypeOf(value)) &&
    Object.keys(value).length === value.length
  ) {
    const writer = new ValueWriter()
    try {
      for (const item of value as readonly unknown[]) writer.encode(item)
    } catch (error) {
      encode(value) // throws with the item's place in the list
      throw error
    }
    return { kind: 'list', items: writer.take() }
  }
  return { kind: 'value', bytes: encode(value) }
}

function loaded(value: ChannelValue): unknown {
  switch (value.kind) {
    case 'number':
      return value.number
    case 'list':
      return valuesOf(value.items)
    case 'value':
      return decode(value.bytes)
    default:
      return value satisfies never
  }
}

/** The answer to a request of kind `K`. */
type AnswerTo<K extends ChannelRequest['kind'], A = ChannelAnswer> = A extends {
  readonly status: 'ok'
  readonly kind: infer Own
}
  ? K extends Own
    ? A
    : never
  : never

/** What the abilities of a channel have in common: for one start of a handler, sending requests and refusing late writes. */
interface ChannelCalls {
  readonly limits: Pick<Limits, 'itemBytes' | 'resultBytes'>
  readonly newNonce: () => string
  /** @throws GraflowError CHANNEL_TYPE, BACKPRESSURE, LOCK_LOST; why this start may not use the channel any more */
  readonly send: <K extends ChannelRequest['kind']>(
    request: ChannelRequest & { readonly kind: K },
  ) => Promise<AnswerTo<K>>
  /** The same operation, refused once the start was aborted: another start may be under way. */
  readonly asWrite: <A extends unknown[], T>(operation: (...args: A) => Promise<T>) => (...args: A) => Promise<T>
}

type Untyped = Record<string, unknown>

/**
 * The channel of a start's run, for this start. Writes are refused once the start is aborted (another may be under way), the branch is not
 * held any more, or a lock that the start has got lost.
 */
export function channelOf(
  backend: Backend,
  start: LockingStart,
  limits: Pick<Limits, 'itemBytes' | 'resultBytes'>,
  newNonce: () => string,
  locks: Locks,
): ChannelAccess {
  const held = new Set<HeldLock>()
  const calls: ChannelCalls = {
    limits,
    newNonce,
    // A request is answered with its own kind.
    send: ((request: ChannelRequest) => send(backend, start, held, request)) as ChannelCalls['send'],
    asWrite: (operation) => refusedAfter(start.cancel, operation),
  }
  const channel: Channel<Untyped> = {
    ...valuesIn(calls),
    ...listsIn(calls),
    ...countersIn(calls),
    ...locksIn(locks, start, held),
  }
  // A typed channel is the same channel: a schema only tells the compiler what is in it.
  const typed = <T>(schema?: StandardSchemaV1<unknown, T>): Channel<T> => {
    checkSchema(schema)
    return channel as unknown as Channel<T>
  }
  return Object.assign(typed, channel) as ChannelAccess
}

async function send(
  backend: Backend,
  { execution }: LockingStart,
  held: ReadonlySet<HeldLock>,
  request: ChannelRequest,
): Promise<ChannelAnswer & { readonly status: 'ok' }> {
  const { runId, holder } = execution.facts
  const answer = await backend.channel(runId, holder, held.size === 0 ? request : underLocks(request, held))
  switch (answer.status) {
    case 'ok':
      return answer
    case 'type':
      throw wrongType(
        'key' in request ? request.key : '',
        request.kind,
        answer.found,
        'use another key, or delete it first',
      )
    case 'lost':
      throw lost(answer.key, held)
    case 'fenced':
      throw refusalOf(execution)
    case 'backpressure':
      throw fullStore('the channel write')
    default:
      return answer satisfies never
  }
}

/** The request, to be refused where one of the locks is lost. */
function underLocks(request: ChannelRequest, held: ReadonlySet<HeldLock>): ChannelRequest {
  if (request.kind === 'get' || request.kind === 'keys') return request
  for (const { lostBecause } of held) if (lostBecause !== undefined) throw lostBecause
  return { ...request, under: [...held].map(({ inStore }) => inStore) }
}

function lost(key: string, held: ReadonlySet<HeldLock>): Error {
  for (const lock of held) if (lock.inStore.key === key) return lock.lose()
  return new GraflowError('LOCK_LOST', `the lock "${key}" was lost while a write under it was on its way`)
}

const wrongType = (key: string, operation: string, found: string, advice: string): GraflowError =>
  new GraflowError(
    'CHANNEL_TYPE',
    `channel key "${key}" holds a ${found}, which ${operation} cannot work on: ${advice}`,
    { details: { key, operation, found } },
  )

const refusedAfter =
  <A extends unknown[], T>(cancel: Cancellation, operation: (...args: A) => Promise<T>) =>
  (...args: A): Promise<T> => {
    if (cancel.reason === undefined) return operation(...args)
    const refused = Promise.reject<T>(cancel.reason)
    // A handler that goes on past its deadline rarely waits for its writes, and the process must live.
    refused.catch(() => undefined)
    return refused
  }

const valuesIn = ({ send, asWrite, limits, newNonce }: ChannelCalls): ChannelValues<Untyped> => ({
  async get(key) {
    const { value } = await send({ kind: 'get', key: checkKey(key) })
    return value === undefined ? undefined : loaded(value)
  },
  set: asWrite(async (key, value, options) => {
    await send({ kind: 'set', key: checkKey(key), value: stored(value, limits), nonce: newNonce(), ...ttlOf(options) })
  }),
  async has(key) {
    return (await send({ kind: 'get', key: checkKey(key) })).value !== undefined
  },
  delete: asWrite(async (key) => (await send({ kind: 'delete', key: checkKey(key), nonce: newNonce() })).isDeleted),
  async keys() {
    return [...(await send({ kind: 'keys' })).keys]
  },
})

function listsIn({ send, asWrite, limits, newNonce }: ChannelCalls): ChannelLists<Untyped> {
  const insert = (kind: 'append' | 'prepend') =>
    asWrite(async (key: string, item: unknown, options?: WriteOptions) => {
      const bytes = encode(item, 'a channel item', limits.itemBytes, 'itemBytes')
      const { length } = await send({ kind, key: checkKey(key), item: bytes, nonce: newNonce(), ...ttlOf(options) })
      return length
    })
  return {
    append: insert('append'),
    prepend: insert('prepend'),
    async list(key) {
      const { value } = await send({ kind: 'get', key: checkKey(key) })
      if (value === undefined) return []
      if (value.kind !== 'list') throw wrongType(key, 'list', value.kind, 'use get')
      return loaded(value) as never[] // the items are of the type that the user's schema says
    },
  }
}

const countersIn = ({ send, asWrite, newNonce }: ChannelCalls): ChannelCounters<Untyped> => ({
  add: asWrite(async (key, n, options) => {
    if (typeof n !== 'number' || !Number.isFinite(n)) {
      throw new GraflowError('INVALID_OPTION', `add takes a finite number, got ${describe(n)}`)
    }
    return (await send({ kind: 'add', key: checkKey(key), number: n, nonce: newNonce(), ...ttlOf(options) })).number
  }),
})

const locksIn = (locks: Locks, start: LockingStart, held: Set<HeldLock>): ChannelLocks => ({
  lock(key, options, fn) {
    const given = (async () => locks.hold(start, checkKey(key), options, held, fn))()
    // A handler that goes on past its deadline rarely waits for it, and the process must live.
    given.catch(() => undefined)
    return given
  },
})
