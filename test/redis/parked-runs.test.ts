/** What a run leaves in Redis while it only waits, and what becomes of it when keys of it are lost. */
import type { Holder, Park, WaitRequest } from '../../lib/backend/backend.js'
import { EMPTY_BYTES, packOne } from '../../lib/values/packed-items.js'
import { useBackend } from '../support/redis-stage.js'
import { sharedRedis } from '../support/shared-redis.js'
import { bytes, type World, worldOn } from '../support/world.js'

const stage = useBackend()
const HOUR_MS = 3_600_000
/** Roughly: what lists, sets and dictionaries need for it is not in its keys. */
const MOST_BYTES = 1_400

async function scene() {
  const { backend, redis, tag } = await stage(await sharedRedis())
  const world = await worldOn(backend)
  const keysOfRun = async (): Promise<string[]> =>
    (await redis.keys('*'))
      .filter((key) => key.startsWith(tag) && /:run(:|$)/.test(key))
      .map((key) => key.slice(tag.length + 1))
  const forcedSweeps = async (): Promise<void> => {
    for (let sweeps = 0; sweeps < 4; sweeps++) {
      await redis.hdel(`${tag}:m`, 'sweepAt', 'fixedAt') // the next sweep is not too early
      await backend.sweep('w')
    }
  }
  return { world, redis, tag, keysOfRun, forcedSweeps }
}

const waitFor = (place: string, facts: Partial<WaitRequest> = {}): WaitRequest => ({
  ...{ place, address: 'ok', onDue: bytes('late'), isRepeated: false },
  ...facts,
})

const parkRun = async (world: World, park: Park): Promise<void> =>
  parkHeld(world, await world.start('run', { ifLost: 'take-over' }), park)

async function parkHeld(world: World, { gid, token }: Holder, park: Park): Promise<void> {
  const range = { gid, token, indexes: [0], kinds: ['parked'] as const, values: packOne(EMPTY_BYTES), parks: [park] }
  expect(await world.backend.settle({ session: 'driver', ranges: [range] })).toEqual(['ok'])
}

const signal = (world: World) =>
  world.backend.signal({ runId: 'run', address: 'ok', payload: bytes('yes'), nonce: world.nonce() })
const stateOf = async (world: World) => (await world.backend.inspect.run('run'))?.state
const takeRun = async (world: World) =>
  world.names(await world.take(1, { queues: ['runs'], capabilities: ['layout:4'] }))

describe('a run that only waits', () => {
  it('T9: is its record, its waits and one string, and whole again once it is woken', async () => {
    const { world, redis, tag, keysOfRun } = await scene()
    await parkRun(world, { wait: waitFor('1', { dueMs: HOUR_MS }) })
    expect((await keysOfRun()).sort()).toEqual(['p:run', 'r:run', 'u:run'])
    const sizes = await Promise.all(['p', 'r', 'u'].map((part) => redis.call('MEMORY', 'USAGE', `${tag}:${part}:run`)))
    expect(sizes.reduce((sum: number, size) => sum + Number(size), 0)).toBeLessThan(MOST_BYTES)
    await signal(world)
    expect((await keysOfRun()).filter((key) => /^[bp]/.test(key)).sort()).toEqual(['b:run', 'b:run:r'])
    expect(await redis.lrange(`${tag}:r:run:k`, 0, -1)).toEqual(['run'])
    expect(await takeRun(world)).toEqual(['run#0'])
  })

  it('waits after a retry behind a group of before, and keeps its list of groups', async () => {
    const { world, redis, tag } = await scene()
    const holder = await world.start('run', { ifLost: 'take-over' })
    await world.dispatch(holder, 'run/0', { size: 1 })
    await world.settle(await world.takeOne(), 'succeeded')
    await world.step(holder, { retire: ['run/0'], end: { state: 'failed', value: bytes('no') } })
    const request = { runId: 'run', nonce: world.nonce() }
    await world.liveUntil(async () => (await world.backend.reopen(request)) === 'ok')
    const { token } = await world.takeOne(1, { queues: ['runs'], capabilities: ['layout:4'] })
    await parkHeld(world, { gid: 'run', index: 0, token }, { wait: waitFor('1') })
    expect(await redis.lrange(`${tag}:r:run:k`, 0, -1)).toEqual(['run', 'run/0'])
    await signal(world)
    expect(await takeRun(world)).toEqual(['run#0'])
  })

  it('leaves nothing behind when it is cancelled and past its retention', async () => {
    const { world, redis, tag } = await scene()
    const { gid, token } = await world.start('run', { ifLost: 'take-over', retentionMs: 1 })
    const parks = [{ wait: waitFor('1', { dueMs: HOUR_MS }) }]
    const range = { gid, token, indexes: [0], kinds: ['parked'] as const, values: packOne(EMPTY_BYTES), parks }
    await world.backend.settle({ session: 'driver', ranges: [range] })
    const cancel = { kind: 'cancel-run', runId: 'run', reason: 'r', value: bytes('v') } as const
    expect(await world.backend.control(cancel)).toBe('ok')
    expect(await redis.zcard(`${tag}:wake`)).toBe(0)
    await world.liveUntil(async () => (await stateOf(world)) === undefined)
    expect((await redis.keys('*')).filter((key) => key.startsWith(tag) && /:[bpru]:run/.test(key))).toEqual([])
  })

  it('is woken at its time after the list of times was lost', async () => {
    const { world, redis, tag, forcedSweeps } = await scene()
    await parkRun(world, { wait: waitFor('1', { dueMs: 400 }), dueMs: HOUR_MS })
    await redis.del(`${tag}:wake`)
    await forcedSweeps()
    expect(await redis.zcard(`${tag}:wake`)).toBe(2)
    await world.liveUntil(async () => (await stateOf(world)) === 'pending')
    expect(await world.backend.inspect.output('run', '1/!')).toEqual(bytes('dlate'))
  })

  it('is made ready where its waits are lost, and keeps the signal that found nobody', async () => {
    const { world, redis, tag, forcedSweeps } = await scene()
    await parkRun(world, { wait: waitFor('1') })
    await redis.del(`${tag}:u:run`)
    expect(await signal(world)).toBe('ok')
    await forcedSweeps()
    expect(await stateOf(world)).toBe('pending')
    const [grant] = await world.take(1, { queues: ['runs'] })
    const holder = { gid: 'run', index: 0, token: grant?.token ?? '' }
    const value = bytes('syes')
    expect(await world.step(holder, { wait: waitFor('1') })).toMatchObject({ wait: { status: 'answered', value } })
  })

  it('keeps its graph for longer than its sleep', async () => {
    const { world, redis, tag } = await scene()
    await parkRun(world, { wait: waitFor('1', { dueMs: 100 * HOUR_MS }) })
    await world.backend.getGraph('graph')
    await world.backend.hasGraph('graph')
    expect(await redis.ttl(`${tag}:g:graph`)).toBeGreaterThan(100 * 3_600)
  })
})
