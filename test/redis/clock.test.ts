/** The clock of the server goes back by an hour, as the scripts see it: nothing that is planned is due sooner or later for that. */
import type { Backend } from '../../lib/backend/backend.js'
import { useBackend } from '../support/redis-stage.js'
import { sharedRedis } from '../support/shared-redis.js'
import { worldOn } from '../support/world.js'

const HOUR_MS = 3_600_000

const stage = useBackend()

/** A store that has seen a time an hour ahead, and with that a step back. */
async function stepped() {
  const { backend, redis, tag } = await stage(await sharedRedis())
  const main = `${tag}:m`
  await redis.hset(main, 'ahead', HOUR_MS)
  const world = await worldOn(backend)
  const holder = await world.start('run')
  await backend.sweep('w')
  await redis.hset(main, 'ahead', 0)
  return { world, holder, redis, tag, main }
}

describe('a clock that goes back', () => {
  it('is noticed by the first call that plans something, which plans it for when it is due', async () => {
    const { world, holder, redis, tag, main } = await stepped()
    const seen = Number(await redis.hget(main, 'seen'))
    await world.backend.open(world.openRequest('timed', { timeoutMs: 60_000 }))
    await world.dispatch(holder, 'run/0', { timeoutMs: 60_000 })
    await world.take()
    const planned = await redis.zrange(`${tag}:due`, 0, -1, 'WITHSCORES')
    expect(planned.filter((_, i) => i % 2 === 1).map((at) => Number(at) >= seen + 60_000)).toEqual([true, true])
  })

  it.each<[string, (backend: Backend) => Promise<unknown>]>([
    ['a sweep that comes too early', (backend) => backend.sweep('w')],
    ['a renewal', (backend) => backend.session({ kind: 'renew', session: 'w', ttlMs: 60_000 })],
  ])('is noticed by %s', async (_, call) => {
    const { world, redis, main } = await stepped()
    await call(world.backend)
    expect(Number(await redis.hget(main, 'ahead'))).toBeGreaterThan(HOUR_MS - 60_000)
  })
})
