/** Repairs of the hints, one by one; what they make anew in a running system, test/long/lost-keys.test.ts tells. */
import type { Redis } from 'ioredis'
import { useBackend } from '../support/redis-stage.js'
import { sharedRedis } from '../support/shared-redis.js'
import { infoOf, worldOn } from '../support/world.js'

const stage = useBackend()

async function scene() {
  const staged = await stage(await sharedRedis())
  await staged.backend.session({ kind: 'open', session: 'w', ttlMs: 60_000, info: infoOf('w') })
  await staged.backend.sweep('w')
  return staged
}

/** The name under which Redis keeps a script. */
async function functionOf(redis: Redis, script: string): Promise<string> {
  const libraries = JSON.stringify(await redis.call('FUNCTION', 'LIST'))
  return new RegExp(`graflow_${script}_[0-9a-f]{40}`).exec(libraries)?.[0] ?? ''
}

describe('a repair', () => {
  it('begins another epoch each time, also within the millisecond of the one before', async () => {
    const { redis, tag } = await scene()
    const [sweep, main] = [await functionOf(redis, 'sweep'), `${tag}:m`]
    const calls = redis.multi()
    for (let i = 0; i < 50; i++) calls.call('FCALL', sweep, 1, main, 'repair').hget(main, 'epoch')
    const answers = (await calls.exec())?.map(([error, answer]) => error?.message ?? answer) ?? []
    const epochs = answers.filter((_, i) => i % 2 === 1)
    expect(answers.filter((_, i) => i % 2 === 0)).toEqual(epochs.map(() => ['OK', 0, 0, -1]))
    expect(new Set(epochs).size).toBe(50)
  })

  it('counts the sessions of a base id anew, where the record of one was lost and written again', async () => {
    const { backend, redis, tag } = await scene()
    await redis.del(`${tag}:wi:w`)
    await backend.session({ kind: 'open', session: 'w', ttlMs: 60_000, info: infoOf('w') })
    await redis.hdel(`${tag}:m`, 'sweepAt') // the next sweep is not too early
    await backend.sweep('w')
    expect(await redis.hgetall(`${tag}:wb`)).toEqual({ w: '1' })
  })
})

describe('the walk of a repair', () => {
  it('counts and places a group also when it has met a group below it first', async () => {
    const { backend, redis, tag } = await scene()
    const world = await worldOn(backend)
    const runs = Array.from({ length: 12 }, (_, i) => `r${i}`) // the order of a walk is the server's: not all have the same
    for (const run of runs) await backend.open(world.openRequest(run))
    await world.join('leaving')
    for (const { spec, token } of await world.take(100, { queues: ['runs'], session: 'leaving' }))
      await world.dispatch({ gid: spec.gid, index: 0, token }, `${spec.gid}/0`, { queue: 'later' })
    await backend.session({ kind: 'close', session: 'leaving' })
    await redis.del(...(await redis.keys(`${tag}:q:*`)))
    for (let sweeps = 0; sweeps < 4; sweeps++) {
      await redis.hdel(`${tag}:m`, 'sweepAt') // the next sweep is not too early
      await backend.sweep('w')
    }
    expect(world.names(await world.take(100, { queues: ['runs'] })).sort()).toEqual(
      runs.map((run) => `${run}#0`).sort(),
    )
  })
})

describe('the list of what a session holds', () => {
  it('is made anew from what the session says that it holds, as far as that is so', async () => {
    const { backend, redis, tag } = await scene()
    const world = await worldOn(backend)
    await world.dispatch(await world.start('a'), 'a/0', { size: 10 })
    const [whole, part, over] = [await world.takeOne(2), await world.takeOne(3), await world.takeOne(2)]
    await world.join('other')
    const foreign = await world.takeOne(1, { session: 'other' })
    await world.settle(part, 'succeeded', [3])
    await world.settle(over, 'succeeded')
    const held = await redis.hgetall(`${tag}:o:w`)
    await redis.del(`${tag}:o:w`)
    const grants = [whole, part, over, foreign].map(({ token }) => ({ gid: 'a/0', token }))
    const named = { kind: 'confirm', session: 'w', grants: [...grants, { gid: 'a/7', token: '1.x' }] } as const
    for (let times = 0; times < 2; times++) expect(await backend.session(named)).toEqual({ status: 'ok' })
    expect(await redis.hgetall(`${tag}:o:w`)).toEqual(held)
    expect(Object.values(held).sort()).toEqual(['2', '2'])
  })
})

describe('a grant whose record is lost', () => {
  /** A group of which two branches are held under one token; the record of that grant is gone from now on. */
  async function lost() {
    const { backend, redis, tag } = await scene()
    const world = await worldOn(backend)
    const root = await world.start('a', { ifLost: 'take-over' })
    await world.dispatch(root, 'a/0', { size: 3, timeoutMs: 1, attempts: 2 })
    await world.join('holder')
    const held = await world.takeOne(2, { session: 'holder' })
    const records = (await redis.hkeys(`${tag}:b:a/0`)).filter((name) => /^t\d+$/.test(name))
    expect(await redis.hdel(`${tag}:b:a/0`, ...records)).toBe(1)
    const sweeps = async (): Promise<void> => {
      for (let times = 0; times < 4; times++) {
        await redis.hdel(`${tag}:m`, 'sweepAt') // the next sweep is not too early
        await backend.sweep('w')
      }
    }
    return { backend, redis, tag, world, root, held, sweeps }
  }
  const all = ['a/0#0', 'a/0#1', 'a/0#2']

  it('is met when it is settled: that is refused, and its branches are ready again with the next sweep', async () => {
    const { world, held, sweeps, redis, tag } = await lost()
    await redis.del(`${tag}:due`)
    expect(await world.settle(held, 'succeeded')).toBe('fenced')
    await sweeps()
    expect(world.names(await world.take(10))).toEqual(all)
  })

  it('is met when its session is gone', async () => {
    const { backend, world, sweeps, redis, tag } = await lost()
    await redis.del(`${tag}:due`)
    await backend.session({ kind: 'close', session: 'holder' })
    await sweeps()
    expect(world.names(await world.take(10))).toEqual(all)
  })

  it('is met when its deadline has passed', async () => {
    const { world, sweeps, redis, tag, held } = await lost()
    await redis.zadd(`${tag}:due`, 'XX', 1, ...(await redis.zrange(`${tag}:due`, 0, 0)))
    await sweeps()
    expect(world.names(await world.take(10)).sort()).toEqual(all)
    expect(await world.settle(held, 'succeeded')).toBe('fenced')
  })

  it('is met when the holder of the branch takes another step, or another process asks for the run', async () => {
    const { backend, world, root, sweeps, redis, tag } = await lost()
    await redis.hdel(`${tag}:b:a`, 't1')
    await expect(world.dispatch(root, 'a/1')).rejects.toThrow('step answered fenced')
    await sweeps()
    expect(world.names(await world.take(10, { queues: ['runs'] }))).toEqual(['a#0'])
    await redis.hdel(`${tag}:b:a`, 't2')
    const asked = { session: 'w', nonce: 'n', runId: 'a' }
    expect((await backend.take(asked)).status).toBe('held')
    await sweeps()
    expect((await backend.take(asked)).status).toBe('ok')
  })
})

describe('the list of branches that are ready again', () => {
  it.each(['lost', 'cut off'])('may be %s: the table of branches knows them', async (how) => {
    const { backend, redis, tag } = await scene()
    const world = await worldOn(backend)
    await world.dispatch(await world.start('a'), 'a/0', { size: 8 })
    const held = await world.takeOne(6)
    await world.settle(held, 'released', [1, 2, 3, 5])
    const list = `${tag}:b:a/0:r`
    expect(await redis.llen(list)).toBe(4)
    await (how === 'lost' ? redis.del(list) : redis.ltrim(list, 2, -1))
    const first = world.names(await world.take(3))
    const rest = world.names(await world.take(10))
    expect([first.length, ...[...first, ...rest].sort()]).toEqual([3, ...[1, 2, 3, 5, 6, 7].map((n) => `a/0#${n}`)])
  })
})

describe('the table of branches', () => {
  /** Its group has all its branches in flight, or all but one; none of them needs its input any more. */
  it.each([
    ['3 branches', { size: 3 }, 3],
    ['40 branches', { size: 40 }, 40],
    ['40 branches with one input, not all of them taken', { size: 40, shared: true }, 39],
  ])('of %s is lost: whoever waits for the group is told', async (_, facts, taken) => {
    const { backend, redis, tag } = await scene()
    const world = await worldOn(backend)
    await world.dispatch(await world.start('a'), 'a/0', facts)
    const held = await world.takeOne(taken)
    await redis.hdel(`${tag}:b:a/0`, 'd')
    await redis.del(`${tag}:b:a/0:d`)
    expect(await world.settle(held, 'succeeded')).toBe('gone')
    await expect(backend.inspect.outcomes('a/0', 0)).rejects.toMatchObject({ code: 'INTEGRITY' })
  })
})

describe('a group that cannot be read', () => {
  /** A group of which three branches are held one by one, and one waits; the table of its branches is of another type from now on. */
  async function hurt() {
    const { backend, redis, tag } = await scene()
    const world = await worldOn(backend)
    await world.dispatch(await world.start('a'), 'a/0', { size: 40 })
    const held = [await world.takeOne(1), await world.takeOne(1), await world.takeOne(1)] as const
    const table = `${tag}:b:a/0:d`
    await redis.multi().del(table).rpush(table, 'another type').exec()
    return { world, redis, tag, held }
  }

  it('takes other groups of its lane out of the counters only until the next sweep, however often it is met', async () => {
    const { world, redis, tag, held } = await hurt()
    expect(await world.settle(held[0], 'succeeded')).toBe('gone')
    await world.dispatch(await world.start('b'), 'b/0', { size: 5 })
    expect(await world.settle(held[1], 'succeeded')).toBe('gone')
    expect(await world.settle(held[2], 'succeeded')).toBe('gone')
    for (let sweeps = 0; sweeps < 4; sweeps++) {
      await redis.hdel(`${tag}:m`, 'sweepAt') // the next sweep is not too early
      await world.backend.sweep('w')
    }
    expect(world.names(await world.take(40))).toEqual(['b/0#0', 'b/0#1', 'b/0#2', 'b/0#3', 'b/0#4'])
  })
})

describe('a lane', () => {
  it('in which a group stands that is not counted is found by the next sweep', async () => {
    const { backend, redis, tag } = await scene()
    const world = await worldOn(backend)
    await world.dispatch(await world.start('a'), 'a/0', { size: 5 })
    const main = `${tag}:m`
    const lane = (await redis.hkeys(main)).find((name) => /^c:(?!b045c0f56cce)/.test(name))?.slice(2) ?? ''
    await redis.hset(main, { act: ',', [`c:${lane}`]: '0', [`n:${lane}`]: '0', ready: '0' })
    expect(await world.take()).toEqual([])
    for (let sweeps = 0; sweeps < 4; sweeps++) {
      await redis.hdel(main, 'sweepAt') // the next sweep is not too early
      await backend.sweep('w')
    }
    expect(world.names(await world.take())).toHaveLength(5)
  })
})

describe('the renewal of a session', () => {
  /** Of another type, and what the answers of the next two renewals begin with. */
  async function renewedTwice(name: string) {
    const { redis, tag } = await scene()
    const renew = ['FCALL', await functionOf(redis, 'session'), 1, `${tag}:m`, 'renew', 'w', 60_000, 1] as const
    const key = `${tag}:${name}`
    await redis.multi().del(key).set(key, 'another type').exec()
    const words: unknown[] = []
    for (let i = 0; i < 2; i++) {
      words.push([await redis.call(...renew)].flat()[0])
      await redis.hdel(`${tag}:m`, 'sweepAt') // the next sweep is not too early
    }
    return { words, type: await redis.type(key), expiry: await redis.zscore(`${tag}:w`, 'w') }
  }

  it.each(['m', 'w', 'wb', 'in:w', 'lost', 'due', 'purge', 'todo'])(
    'goes on while T:%s is of another type, which is over then',
    async (name) => {
      expect(await renewedTwice(name)).toEqual({
        words: ['OK', 'OK'],
        type: expect.not.stringMatching('string'),
        expiry: expect.stringMatching(/^\d+$/),
      })
    },
  )

  it.each(['d', 'wait', 'l', 'runs', 'bad', 'quar', 'dead', 'o:w'])(
    'goes on while T:%s is of another type, which it does not need',
    async (name) => {
      expect(await renewedTwice(name)).toMatchObject({ words: ['OK', 'OK'], expiry: expect.stringMatching(/^\d+$/) })
    },
  )
})
