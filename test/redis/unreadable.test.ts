/** Single records that cannot be read, and what goes on beside them. test/long/corruptions.test.ts has all records, one after the other. */
import { keysOf } from '../../lib/backend/redis/keys.js'
import { useBackend } from '../support/redis-stage.js'
import { sharedRedis } from '../support/shared-redis.js'
import { bytes, worldOn } from '../support/world.js'

const stage = useBackend()

async function scene() {
  const { backend, redis, tag } = await stage(await sharedRedis())
  return { world: await worldOn(backend), redis, keys: keysOf(tag) }
}

/** A worker holds both branches of `run/0`, and the branch of `run/0/0/0`, which the first of them has opened and which cannot be read. */
async function aboveUnreadable() {
  const { world, redis, keys } = await scene()
  const driver = await world.start('run')
  await world.dispatch(driver, 'run/0', { size: 2 })
  const grant = await world.takeOne()
  await world.dispatch({ gid: 'run/0', index: 0, token: grant.token }, 'run/0/0/0', { size: 1, depth: 2 })
  await world.takeOne()
  await redis.hset(keys.group('run/0/0/0'), 's', 'cut off')
  return { world, grant }
}

describe('a group that cannot be read', () => {
  it('leaves the branch that opened it, and its neighbours, to be granted again', async () => {
    const { world, grant } = await aboveUnreadable()
    expect(await world.settle(grant, 'released')).toBe('ok')
    expect(world.names(await world.take())).toEqual(['run/0#0', 'run/0#1'])
  })

  it('lets the branch that opened it be parked', async () => {
    const { world, grant } = await aboveUnreadable()
    const wait = { place: '0/0/w', address: 'ok', onDue: bytes('late'), isRepeated: false }
    expect(await world.settle(grant, 'parked', [0], { parks: [{ wait }] })).toBe('ok')
    expect(await world.settle(grant, 'succeeded', [1])).toBe('ok')
  })

  it('does not keep a repeated acquire from the other grants', async () => {
    const { world, redis, keys } = await scene()
    const driver = await world.start('run')
    await world.dispatch(driver, 'run/0')
    await world.dispatch(driver, 'run/1')
    const request = world.acquireRequest()
    await world.backend.acquire(request)
    await redis.hset(keys.group('run/0'), 's', 'cut off')
    expect(await world.backend.acquire(request)).toMatchObject({ status: 'ok', grants: [{ spec: { gid: 'run/1' } }] })
  })
})

describe('an operation that meets what cannot be read', () => {
  it('leaves nothing of a decision', async () => {
    const { world, redis, keys } = await scene()
    const driver = await world.start('run')
    await world.dispatch(driver, 'run/0')
    await world.takeOne()
    await redis.hset(keys.group('run/0'), 't1', 'no grant')
    const decision = { nonce: 'n', path: '0/0', as: 'succeeded', gid: 'run/0', index: 0, value: bytes('x') } as const
    expect(await world.backend.decide('run', decision)).toBe('gone')
    expect(await world.backend.inspect.run('run')).toMatchObject({ byHand: [] })
  })

  it('leaves nothing of a reopening', async () => {
    const { world, redis, keys } = await scene()
    const driver = await world.start('run')
    await world.step(driver, { end: { state: 'failed', value: bytes('no') } })
    await redis.hdel(keys.group('run'), 'g')
    expect(await world.backend.reopen({ runId: 'run', nonce: 'n' })).toBe('not-kept')
    const record = await world.backend.inspect.run('run')
    expect(record).toMatchObject({ state: 'failed', value: bytes('no'), retries: 0 })
  })

  it('lists the dead letters beside one that cannot be read', async () => {
    const { world, redis, keys } = await scene()
    const driver = await world.start('run')
    await world.dispatch(driver, 'run/0', { size: 1 })
    await world.settle(await world.takeOne(), 'failed')
    await redis.xadd(keys.deadLetters, '*', 'gid', 'run/1')
    expect(await world.backend.inspect.deadLetters(10)).toMatchObject([{ gid: 'run/0' }])
  })
})
