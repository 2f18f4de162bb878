/** Large values go beside the scripts: they arrive as others do, also where Redis does not take them that way, and nothing of them stays. */
import type { Redis } from 'ioredis'
import { pack } from '../../lib/values/packed-items.js'
import { type StagedBackend, useBackend } from '../support/redis-stage.js'
import { sharedRedis } from '../support/shared-redis.js'
import { until } from '../support/waits.js'
import { bytes, texts, type World, worldOn } from '../support/world.js'

const stage = useBackend()

/** 20 KB that begin with this. */
const large = (text: string): string => `${text} `.padEnd(20_000, 'and so on ')
const packedLarge = (...all: readonly string[]) => pack(all.map((text) => bytes(large(text))))
const outcomesOf = (...all: readonly string[]): readonly string[] => all.map((text) => `succeeded:${large(text)}`)

async function scene(): Promise<StagedBackend & { readonly world: World }> {
  const staged = await stage(await sharedRedis())
  return { ...staged, world: await worldOn(staged.backend) }
}

/** Keys of the stage, without its tag. */
const keysIn = async (redis: Redis, tag: string): Promise<readonly string[]> =>
  (await redis.keys(`${tag.replace(/[{}]/g, '?')}:*`)).map((key) => key.slice(tag.length + 1)).sort()

describe('large values', () => {
  it('arrive as they were sent, and have left no upload', async () => {
    const { world, redis, tag } = await scene()
    const holder = await world.start('run', { input: bytes(large('run')) })
    const spec = world.spec('run/0', { size: 4 })
    expect(await world.step(holder, { group: { spec, from: 0, inputs: packedLarge('a', 'b') } })).toEqual({
      ...{ status: 'ok', fill: 2 },
    })
    expect(await world.step(holder, { group: { spec, from: 2, inputs: packedLarge('c', 'd') } })).toEqual({
      ...{ status: 'ok', fill: 4 },
    })
    const first = await world.takeOne(1)
    const second = await world.takeOne(1)
    const third = await world.takeOne(2)
    expect([first, second, third].flatMap(({ inputs }) => texts(inputs))).toEqual(['a', 'b', 'c', 'd'].map(large))
    await world.settle(first, 'succeeded', [0], { values: packedLarge('A') })
    await world.settle(third, 'succeeded', [2, 3], { values: packedLarge('C', 'D') })
    await world.settle(second, 'succeeded', [1], { values: pack([bytes('B')]) })
    const [a, c, d] = outcomesOf('A', 'C', 'D')
    expect(await world.outcomes('run/0')).toEqual([a, 'succeeded:B', c, d])
    const end = { state: 'completed', value: bytes(large('end')) } as const
    expect(await world.step(holder, { retire: ['run/0'], end })).toMatchObject({ status: 'ok' })
    expect(await world.step(holder, { retire: ['run/0'], end })).toEqual({ status: 'done' })
    const other = { ...end, value: bytes(large('another end')) }
    expect(await world.step(holder, { end: other })).toEqual({ status: 'fenced' })
    expect((await world.backend.inspect.run('run'))?.value).toEqual(end.value)
    expect(await world.outcomes('run')).toEqual(outcomesOf('end'))
    expect(await world.outcomes('run/0')).toEqual([a, 'succeeded:B', c, d])
    // those of repeated steps, which nobody moves
    for (const key of await redis.keys(`*:up:*`)) expect(await redis.pttl(key)).toBeGreaterThan(0)
    expect(await keysIn(redis, tag)).not.toContainEqual(expect.stringMatching(/^b:run\/0:i/))
  })

  it('have the times of their branches behind them, which releases without times pass over', async () => {
    const { world, redis, tag } = await scene()
    await world.dispatch(await world.start('run'), 'run/0', { size: 2 })
    const grant = await world.takeOne(1)
    const times = new Uint8Array([1, 2, 3])
    const range = world.range(grant, 'succeeded', [0], { values: packedLarge('A'), times })
    expect(await world.settleRange(range)).toBe('ok')
    const value = Buffer.from(bytes(large('A')))
    expect(await redis.getBuffer(`${tag}:b:run/0:o1`)).toEqual(Buffer.concat([value, times]))
    expect((await redis.hgetBuffer(`${tag}:b:run/0:o`, '1'))?.length).toBe(13) // its head alone: they read no values in it
    expect(await world.outcomes('run/0')).toEqual(outcomesOf('A'))
  })

  it('stay through a repair, and are deleted by it where nobody knows of them any more', async () => {
    const { world, backend, redis, tag } = await scene()
    const ended = await world.start('ended')
    const end = { state: 'completed', value: bytes(large('end')) } as const
    expect(await world.step(ended, { end })).toMatchObject({ status: 'ok' })
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 2 })
    const grant = await world.takeOne(1)
    await world.settle(grant, 'succeeded', [0], { values: packedLarge('A') })
    await redis.mset(`${tag}:b:gone/0:o1`, 'outcomes', `${tag}:b:gone/0:i0`, 'inputs')
    await redis.del(`${tag}:m`)
    await until(async () => {
      await backend.sweep('driver')
      return (await redis.hget(`${tag}:m`, 'fixedAt')) !== null
    }, 'a repair')
    expect((await backend.inspect.run('ended'))?.value).toEqual(end.value)
    await world.settle(await world.takeOne(1), 'succeeded', [1], { values: packedLarge('B') })
    expect(await world.outcomes('run/0')).toEqual(outcomesOf('A', 'B'))
    expect((await keysIn(redis, tag)).filter((key) => key.startsWith('b:gone'))).toEqual([])
  })

  it('end a run that is cancelled by its own driver', async () => {
    const { world, backend } = await scene()
    const holder = await world.start('run')
    const end = { state: 'cancelled', value: bytes(large('why')) } as const
    expect(await world.step(holder, { end })).toMatchObject({ status: 'ok' })
    expect(await backend.inspect.run('run')).toMatchObject({ state: 'cancelled', value: end.value })
    expect(await world.step(holder, { end })).toEqual({ status: 'done' })
  })

  it('go with their script where they have not come before it', async () => {
    const { world, backend, redis } = await scene()
    const holder = await world.start('run')
    await redis.config('SET', 'maxmemory', 1)
    try {
      const end = { state: 'completed', value: bytes(large('end')) } as const
      expect(await world.step(holder, { end })).toMatchObject({ status: 'ok' })
      expect((await backend.inspect.run('run'))?.value).toEqual(end.value)
      const opened = await backend.open(world.openRequest('other', { session: 'driver', input: bytes(large('run')) }))
      expect(opened).toEqual({ status: 'backpressure' })
    } finally {
      await redis.config('SET', 'maxmemory', 0)
    }
  })

  it('are counted when memory is full', async () => {
    const { world, redis } = await scene()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 2 })
    const grant = await world.takeOne()
    await redis.config('SET', 'maxmemory', 1)
    try {
      expect(await world.settle(grant, 'succeeded', [0, 1], { values: packedLarge('A', 'B') })).toBe('ok')
      expect(await world.outcomes('run/0')).toEqual(outcomesOf('A', 'B'))
      const spec = world.spec('run/1', { size: 1 })
      expect(await world.step(holder, { group: { spec, from: 0, inputs: packedLarge('a') } })).toEqual({
        status: 'backpressure',
      })
    } finally {
      await redis.config('SET', 'maxmemory', 0)
    }
  })

  it('are counted branch by branch where only some are still held', async () => {
    const { world } = await scene()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 3 })
    const grant = await world.takeOne()
    expect(await world.settle(grant, 'succeeded', [1], { values: pack([bytes('first')]) })).toBe('ok')
    expect(await world.settle(grant, 'succeeded', [0, 1, 2], { values: packedLarge('A', 'B', 'C') })).toBe('ok')
    const [a, c] = outcomesOf('A', 'C')
    expect(await world.outcomes('run/0')).toEqual([a, 'succeeded:first', c])
    expect(await world.settle(grant, 'succeeded', [0, 1, 2], { values: packedLarge('A', 'B', 'C') })).toBe('dup')
  })

  it('of branches that came back, or that all share, are granted like others', async () => {
    const { world } = await scene()
    const holder = await world.start('run')
    const spec = world.spec('run/0', { size: 3 })
    await world.step(holder, { group: { spec, from: 0, inputs: packedLarge('a', 'b', 'c') } })
    await world.settle(await world.takeOne(2), 'released')
    expect(texts((await world.takeOne()).inputs)).toEqual(['a', 'b', 'c'].map(large))
    const shared = world.spec('run/1', { size: 2, shared: true })
    await world.step(holder, { group: { spec: shared, from: 0, inputs: packedLarge('both') } })
    expect(texts((await world.takeOne(1)).inputs)).toEqual([large('both')])
    expect(texts((await world.takeOne(1)).inputs)).toEqual([large('both')])
  })

  it('that are lost stop their group, and those who wait for it are told', async () => {
    const { world, redis, tag } = await scene()
    const holder = await world.start('run')
    const spec = world.spec('run/0', { size: 1 })
    await world.step(holder, { group: { spec, from: 0, inputs: packedLarge('a') } })
    await redis.del(`${tag}:b:run/0:i0`)
    expect(await world.take()).toEqual([])
    await expect(world.outcomes('run/0')).rejects.toMatchObject({ code: 'INTEGRITY' })
    await world.dispatch(holder, 'run/1', { size: 1 })
    await world.settle(await world.takeOne(), 'succeeded', [0], { values: packedLarge('A') })
    await redis.del(`${tag}:b:run/1:o1`)
    await expect(world.outcomes('run/1')).rejects.toMatchObject({ code: 'INTEGRITY' })
  })

  it('go with their run', async () => {
    const { world, redis, tag } = await scene()
    const holder = await world.start('run', { retentionMs: 1, input: bytes(large('run')) })
    const spec = world.spec('run/0', { size: 2 })
    await world.step(holder, { group: { spec, from: 0, inputs: packedLarge('a', 'b') } })
    await world.settle(await world.takeOne(1), 'succeeded', [0], { values: packedLarge('A') })
    await world.step(holder, { end: { state: 'completed', value: bytes(large('end')) } })
    const left = async (): Promise<readonly string[]> =>
      (await keysIn(redis, tag)).filter((key) => /^[br]:run/.test(key))
    await until(async () => {
      await world.backend.sweep('driver')
      return (await left()).length === 0
    }, 'all keys of the run to be deleted')
  })
})
