/**
 * One renewal thread for all tests of a file. The sessions of a process are renewed by one thread, which is started with the first session
 * and ends with the last. Tests close what they open, so each would start a thread of its own: 40 ms of processor time, more than what many
 * a test does besides. A session of the kit lives as long as the file, and the thread with it.
 */
import { openRedisBackend } from '../../lib/backend/redis/redis-backend.js'
import { beforeServersStop, sharedRedis } from './shared-redis.js'
import { infoOf } from './world.js'

/** Longer than any file takes: nothing is renewed meanwhile. */
const TTL_MS = 3_600_000

let keeper: Promise<unknown> | undefined

/** Lets the thread live until the end of the file: for tests whose own process has sessions. */
export async function keepRenewalThread(): Promise<void> {
  keeper ??= openKeeper()
  await keeper
}

async function openKeeper(): Promise<void> {
  const { unixUrl: address } = await sharedRedis()
  const backend = await openRedisBackend({ address, keyPrefix: 'test:kit' })
  await backend.session({ kind: 'open', session: 'kit', ttlMs: TTL_MS, info: infoOf('kit') })
  backend.keepAlive('kit', { ttlMs: TTL_MS, onLost: () => undefined })
  beforeServersStop(() => backend.close())
}
