/** The key of a run's locks: lost, unreadable, and gone with the run. */
import { keysOf } from '../../lib/backend/redis/keys.js'
import { useBackend } from '../support/redis-stage.js'
import { sharedRedis } from '../support/shared-redis.js'
import { until } from '../support/waits.js'
import { bytes, worldOn } from '../support/world.js'

const stage = useBackend()

async function locked(facts: { readonly retentionMs?: number } = {}) {
  const { backend, redis, tag } = await stage(await sharedRedis(), { payloadRetentionMs: 1 })
  const world = await worldOn(backend)
  const holder = await world.start('run', facts)
  const ask = (kind: 'lock' | 'renew' | 'unlock', nonce: string) =>
    backend.lock('run', holder, { kind, key: 'key', nonce, leaseMs: 60_000 })
  await ask('lock', 'a1')
  return { ask, world, holder, redis, key: keysOf(tag).channelLocks('run'), tag }
}

describe('the locks of a run', () => {
  it.each([
    ['lost', (field: string) => [['DEL', field]]],
    ['unreadable', (field: string) => [['HSET', field, 'key', 'nonsense']]],
  ])('that are %s are told to their holder as lost, and can be taken', async (_, commands) => {
    const { ask, redis, key } = await locked()
    expect(await redis.hlen(key)).toBe(1)
    for (const [command = '', ...args] of commands(key)) await redis.call(command, ...args)
    expect(await ask('renew', 'a1')).toEqual({ status: 'lost' })
    expect(await ask('lock', 'a2')).toMatchObject({ status: 'ok' })
    expect(await ask('unlock', 'a2')).toMatchObject({ status: 'ok' })
    expect(await redis.exists(key)).toBe(0)
  })

  it('whose key is of another type are refused, and nothing is written', async () => {
    const { ask, redis, key } = await locked()
    await redis.multi().del(key).set(key, 'text').exec()
    await expect(ask('renew', 'a1')).rejects.toMatchObject({ code: 'INTEGRITY' })
    await expect(ask('lock', 'a2')).rejects.toMatchObject({ code: 'INTEGRITY' })
    expect(await redis.get(key)).toBe('text')
  })

  it('go with the run, also those that nobody gave back', async () => {
    const { world, holder, redis, key, tag } = await locked({ retentionMs: 1 })
    expect(await redis.exists(key)).toBe(1)
    await world.step(holder, { end: { state: 'completed', value: bytes('x') } })
    const isGone = async (): Promise<boolean> => {
      await world.backend.sweep('w')
      return (await redis.keys(`${tag}:r:*`)).length === 0
    }
    await until(isGone, 'the run and its locks to be purged')
  })
})
