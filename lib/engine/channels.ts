/** A run's shared state as handlers see it: values through the codec, numbers that can be added to, lists; the store keeps them. */
import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Backend, ChannelAnswer, ChannelRequest, ChannelValue } from '../backend/backend.js'
import { byteLength } from '../values/packed-items.js'
import { GraflowError } from '../errors.js'
import type { Channel, ChannelAccess, WriteOptions } from '../flow/context.js'
import { decode, encode, tooLarge } from '../values/codec.js'
import type { Cancellation } from './cancellation.js'
import { refusalOf, type Execution } from './execution.js'
import { fullStore } from './graph-store.js'
import { type Limits } from '../options.js'
import { ValueWriter, valuesOf } from '../values/value-lists.js'

const LONGEST_KEY = 256

function checkKey(key: unknown): string {
  if (typeof key !== 'string' || key.length === 0 || key.length > LONGEST_KEY || !key.isWellFormed()) {
    const got = typeof key === 'string' ? `${key.length} characters` : typeof key
    throw new GraflowError(
      'INVALID_NAME',
      `a channel's key must be a text of 1 to ${LONGEST_KEY} characters, got ${got}`,
    )
  }
  return key
}

function ttlOf(options: WriteOptions | undefined): { readonly ttlMs?: number } {
  const ttlMs = options?.ttlMs
  if (ttlMs === undefined) return {}
  if (!Number.isSafeInteger(ttlMs) || ttlMs < 1) {
    throw new GraflowError(
      'INVALID_OPTION',
      `ttlMs must be an integer of at least 1 (milliseconds), got ${String(ttlMs)}`,
    )
  }
  return { ttlMs }
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

type Given<K extends ChannelRequest['kind'], A = ChannelAnswer> = A extends {
  readonly status: 'ok'
  readonly kind: infer Own
}
  ? K extends Own
    ? A
    : never
  : never

/**
 * The channel of the run that `execution` belongs to, for one start. Writes are refused once the start is aborted (another may be under
 * way) or the branch is not held any more.
 */
export function channelOf(
  backend: Backend,
  execution: Execution,
  cancel: Cancellation,
  limits: Pick<Limits, 'itemBytes' | 'resultBytes'>,
  newNonce: () => string,
): ChannelAccess {
  const { runId, holder } = execution.facts

  async function ask<K extends ChannelRequest['kind']>(
    request: ChannelRequest & { readonly kind: K },
  ): Promise<Given<K>> {
    const answer = await backend.channel(runId, holder, request)
    switch (answer.status) {
      case 'ok':
        return answer as Given<K> // a request is answered with its own kind
      case 'type': {
        const key = 'key' in request ? request.key : ''
        throw new GraflowError(
          'CHANNEL_TYPE',
          `channel key "${key}" holds a ${answer.found}, which ${request.kind} cannot work on: use another key, or delete it first`,
          {
            details: { key, operation: request.kind, found: answer.found },
          },
        )
      }
      case 'fenced':
        throw refusalOf(execution)
      case 'backpressure':
        throw fullStore('the channel write')
      default:
        return answer satisfies never
    }
  }

  /** A handler that goes on past its deadline mostly does not wait for its writes any more, and the process must live. */
  function write<A extends unknown[], T>(writing: (...args: A) => Promise<T>): (...args: A) => Promise<T> {
    return (...args) => {
      if (cancel.reason === undefined) return writing(...args)
      const refused = Promise.reject<T>(cancel.reason)
      refused.catch(() => undefined)
      return refused
    }
  }

  const channel: Channel<Record<string, unknown>> = {
    async get(key) {
      const { value } = await ask({ kind: 'get', key: checkKey(key) })
      return value === undefined ? undefined : loaded(value)
    },
    set: write(async (key, value, options) => {
      await ask({ kind: 'set', key: checkKey(key), value: stored(value, limits), ...ttlOf(options) })
    }),
    async has(key) {
      return (await ask({ kind: 'get', key: checkKey(key) })).value !== undefined
    },
    delete: write(async (key) => {
      return (await ask({ kind: 'delete', key: checkKey(key) })).isDeleted
    }),
    async keys() {
      return [...(await ask({ kind: 'keys' })).keys]
    },
    append: write(async (key, item, options) => {
      return (
        await ask({
          kind: 'append',
          key: checkKey(key),
          item: encode(item, 'a channel item', limits.itemBytes, 'itemBytes'),
          nonce: newNonce(),
          ...ttlOf(options),
        })
      ).length
    }),
    prepend: write(async (key, item, options) => {
      return (
        await ask({
          kind: 'prepend',
          key: checkKey(key),
          item: encode(item, 'a channel item', limits.itemBytes, 'itemBytes'),
          nonce: newNonce(),
          ...ttlOf(options),
        })
      ).length
    }),
    async list(key) {
      const { value } = await ask({ kind: 'get', key: checkKey(key) })
      if (value === undefined) return []
      if (value.kind !== 'list') {
        throw new GraflowError(
          'CHANNEL_TYPE',
          `channel key "${key}" holds a ${value.kind}, which list cannot work on: use get`,
          {
            details: { key, operation: 'list', found: value.kind },
          },
        )
      }
      return loaded(value) as never[] // the items are of the type that the user's schema says
    },
    add: write(async (key, n, options) => {
      if (typeof n !== 'number' || !Number.isFinite(n)) {
        throw new GraflowError('INVALID_OPTION', `add takes a finite number, got ${String(n)}`)
      }
      return (await ask({ kind: 'add', key: checkKey(key), number: n, nonce: newNonce(), ...ttlOf(options) })).number
    }),
  }
  // A typed channel is the same channel: a schema only tells the compiler what is in it.
  const typed = <T>(_schema?: StandardSchemaV1<unknown, T>): Channel<T> => channel as unknown as Channel<T>
  return Object.assign(typed, channel) as ChannelAccess
}
