/** Channels past their time to live, which nobody reads again: both stores free what they occupy while the run goes on. */
import type { ChannelRequest } from '../../lib/backend/backend.js'
import { Channels } from '../../lib/backend/kernel/channels.js'
import { useBackend } from '../support/redis-stage.js'
import { sharedRedis } from '../support/shared-redis.js'
import { bytes, worldOn } from '../support/world.js'

const WRITES = 200
/** Of those that are past their time, some are still there. */
const MOST_LEFT = WRITES / 2

const write = (i: number, ttlMs: number): ChannelRequest => ({
  ...{ kind: 'set', key: `key-${i}`, nonce: `n${i}`, value: { kind: 'value', bytes: bytes('x'.repeat(100)) }, ttlMs },
})

it('are dropped by the kernel', () => {
  const channels = new Channels()
  for (let i = 0; i < WRITES; i += 1) channels.apply(write(i, 10), 0)
  const full = channels.bytes
  channels.apply({ kind: 'set', key: 'kept', nonce: 'k', value: { kind: 'number', number: 1 } }, 0)
  for (let i = 0; i < WRITES; i += 1) channels.apply(write(WRITES + i, 1_000), 20)
  expect(channels.bytes).toBeLessThan(full * 1.5)
  expect(channels.apply({ kind: 'get', key: 'kept' }, 20)).toMatchObject({ value: { number: 1 } })
})

const stage = useBackend()

it('are dropped in Redis', async () => {
  const { backend, redis, tag } = await stage(await sharedRedis())
  const world = await worldOn(backend)
  const holder = await world.start('run')
  for (let i = 0; i < WRITES; i += 1) await backend.channel('run', holder, write(i, 1))
  await backend.channel('run', holder, { kind: 'append', key: 'list', item: bytes('a'), nonce: 'l', ttlMs: 1 })
  await backend.channel('run', holder, { kind: 'add', key: 'kept', number: 1, nonce: 'k' })
  for (let i = 0; i < WRITES; i += 1) await backend.channel('run', holder, write(WRITES + i, 60_000))
  expect(await redis.hlen(`${tag}:r:run:ch`)).toBeLessThan(WRITES + MOST_LEFT)
  expect(await redis.hlen(`${tag}:r:run:cx`)).toBeLessThan(WRITES + MOST_LEFT)
  expect(await backend.channel('run', undefined, { kind: 'get', key: 'kept' })).toMatchObject({ value: { number: 1 } })
})
