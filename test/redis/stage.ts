/** What the tests of the Redis backend share: backends that are closed after the test, and waiting for something to be so. */
import { Redis } from 'ioredis'
import type { Backend, SessionInfo } from '../../lib/backend/backend.js'
import { openRedisBackend, type RedisBackendOptions } from '../../lib/backend/redis/redis-backend.js'
import type { RedisServer } from '../support/redis-server.js'
import { freshPrefix } from '../support/shared-redis.js'

const POLL_MS = 5

export const infoOf = (baseId: string): SessionInfo => ({
  baseId,
  hostname: 'host',
  pid: 1,
  role: 'worker',
  queues: ['default'],
  capabilities: [],
  tasks: ['task'],
  metadata: {},
})

/** A backend, the tag of its keys, and a client that looks at them. */
export interface Staged {
  readonly backend: Backend
  readonly tag: string
  readonly redis: Redis
}

const closing: (() => Promise<void> | void)[] = []

/** To be called in afterEach. */
export async function closeAll(): Promise<void> {
  for (const close of closing.splice(0).reverse()) await close()
}

export async function stage(server: RedisServer, options: Partial<RedisBackendOptions> = {}): Promise<Staged> {
  const keyPrefix = freshPrefix()
  const backend = await openRedisBackend({ address: server.unixUrl, keyPrefix, ...options })
  const redis = new Redis(server.socket)
  redis.on('error', () => undefined)
  closing.push(
    () => redis.disconnect(),
    () => backend.close(),
  )
  return { backend, tag: `{${keyPrefix}:0}`, redis }
}

/** Resolves when it is so; fails when it does not come about. */
export async function until(what: string, isSo: () => boolean | Promise<boolean>, mostMs = 8_000): Promise<void> {
  const late = performance.now() + mostMs
  while (!(await isSo())) {
    if (performance.now() > late) throw new Error(`expected within ${mostMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

/** Keeps this thread busy, so that no event is handled. */
export function block(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end; );
}
