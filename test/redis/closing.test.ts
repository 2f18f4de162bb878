/** What is left to sweeps where more groups are to be closed than one call of a script may close. */
import { useBackend } from '../support/redis-stage.js'
import { sharedRedis } from '../support/shared-redis.js'
import { worldOn } from '../support/world.js'

const stage = useBackend()
/** MOST_GROUPS in part-closing.lua. */
const MOST_GROUPS = 96

it('a branch that is over with very many open groups closes some of them, and sweeps the others', async () => {
  const { backend, redis, tag } = await stage(await sharedRedis())
  const world = await worldOn(backend)
  const driver = await world.start('run')
  await world.dispatch(driver, 'run/0', { size: 2 })
  const grant = await world.takeOne(1)
  const count = MOST_GROUPS + 20
  const gids = Array.from({ length: count }, (_, i) => `run/0/0/${i}`)
  const holder = { gid: 'run/0', index: 0, token: grant.token }
  await Promise.all(gids.map((gid) => world.dispatch(holder, gid, { size: 1, depth: 2 })))
  const withdrawn = async () =>
    (await world.backend.inspect.groups('run')).filter(({ state }) => state === 'withdrawn').length
  await world.settle(grant, 'succeeded')
  expect(await withdrawn()).toBe(MOST_GROUPS)
  await world.liveUntil(async () => (await withdrawn()) === count)
  expect(await redis.llen(`${tag}:todo`)).toBe(0)
  expect(await world.queue()).toEqual({ ready: 1, delayed: 0, granted: 0 })
  expect(world.names(await world.take())).toEqual(['run/0#1'])
})
