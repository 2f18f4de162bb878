/**
 * One connection to Redis, as all of ours are made: it reconnects by itself for as long as it is open, repeats no command by itself, and
 * leaves no error event without a listener. The sender of a command decides what to repeat.
 */
import { Redis } from 'ioredis'
import type { Random } from '../../time.js'
import type { RedisTarget } from './address.js'

/** Between two attempts to connect: doubled each time, within these. */
const FIRST_DELAY_MS = 50
const LONGEST_DELAY_MS = 1_000

export interface ConnectionOptions {
  readonly target: RedisTarget
  /** What it says of itself in CLIENT LIST. */
  readonly name: string
  /** One attempt to connect takes this long at most. */
  readonly connectTimeoutMs: number
  readonly random: Random
  /** What the connection last met; the next attempt follows by itself. */
  readonly onError: (error: Error) => void
}

/** Makes a connection that is opened by its `connect()` or its first command. */
export function makeConnection({ target, name, connectTimeoutMs, random, onError }: ConnectionOptions): Redis {
  const redis = new Redis({
    ...(target.path !== undefined
      ? { path: target.path }
      : { host: target.host ?? 'localhost', port: target.port ?? 6379 }),
    ...(target.family !== undefined && { family: target.family }),
    ...(target.username !== undefined && { username: target.username }),
    ...(target.password !== undefined && { password: target.password }),
    ...(target.isTls && { tls: {} }),
    db: target.db,
    connectionName: name,
    connectTimeout: connectTimeoutMs,
    keepAlive: 10_000,
    lazyConnect: true,
    disableClientInfo: true, // two commands a connection, which Redis 7.0 does not know
    // a command that was on its way may have been done: the shard that sent it repeats it, knowing that
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    enableOfflineQueue: false,
    maxRetriesPerRequest: null,
    maxLoadingRetryTime: FIRST_DELAY_MS, // a Redis that loads its file says a second, however small the file
    retryStrategy: (times) => backoffMs(times - 1, random),
  })
  redis.on('error', (error: Error) => onError(withoutCommand(error)))
  hush(redis)
  return redis
}

/**
 * The library hangs the command on the error of a reply, and Redis repeats the arguments of a command that it does not know: where that is
 * AUTH, the password would be printed with the error.
 */
export function withoutCommand<E extends Error>(error: E): E {
  Reflect.deleteProperty(error, 'command')
  const { message, stack } = error
  if (!ARGUMENTS.test(message)) return error
  error.message = message.replace(ARGUMENTS, '')
  if (stack !== undefined) error.stack = stack.replace(message, error.message)
  return error
}

const ARGUMENTS = /, with args beginning with: .*$/s

type Answered = (error: Error | null | undefined, reply?: unknown) => void

/**
 * Two things that ioredis writes to the console in its own words, and that change nothing: a password that this Redis does not ask for, and a
 * user that may not read INFO, which is told later, as is an INFO that was renamed. The renewal thread does the same.
 */
function hush(redis: Redis): void {
  const quiet = (name: 'auth' | 'info', isHarmless: RegExp): void => {
    const ask = redis[name].bind(redis) as (...args: unknown[]) => Promise<unknown> // of all its forms, the one that ioredis calls
    const asked = (...args: unknown[]): Promise<unknown> => {
      const done = args.at(-1)
      if (typeof done !== 'function') return ask(...args)
      return ask(...args.slice(0, -1), (error: Error | null | undefined, reply: unknown) => {
        const isQuiet = error instanceof Error && isHarmless.test(error.message)
        ;(done as Answered)(isQuiet ? null : error, isQuiet ? '' : reply)
      })
    }
    Object.defineProperty(redis, name, { value: asked })
  }
  quiet('auth', NOT_ASKED_FOR)
  quiet('info', /NOPERM|unknown command/)
}

const NOT_ASKED_FOR = /no password is set|without any password configured for the default user/

/** How long to wait before attempt n + 1, n from 0: growing, and never the same for all who wait. */
export function backoffMs(attempt: number, random: Random): number {
  const most = Math.min(FIRST_DELAY_MS * 2 ** Math.min(attempt, 10), LONGEST_DELAY_MS)
  return Math.ceil(most * (0.5 + random() / 2))
}
