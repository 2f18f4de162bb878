/** Sessions that a thread keeps alive: whatever this thread does, they are renewed; when they are not, it is said. */
import { Worker as Thread } from 'node:worker_threads'
import { openRedisBackend } from '../../lib/backend/redis/redis-backend.js'
import { type StagedBackend, useBackend } from '../support/redis-stage.js'
import { privateRedis, sharedRedis } from '../support/shared-redis.js'
import { block, until } from '../support/waits.js'
import { infoOf } from '../support/world.js'

const stage = useBackend()

const TTL_MS = 300

const open = async ({ backend }: StagedBackend, ttlMs = TTL_MS): Promise<void> => {
  await backend.session({ kind: 'open', session: 's', ttlMs, info: infoOf('s') })
}
const expiry = async ({ redis, tag }: StagedBackend): Promise<number> => Number(await redis.zscore(`${tag}:w`, 's'))
const now = async ({ redis }: StagedBackend): Promise<number> => {
  const [seconds, micros] = await redis.time()
  return Number(seconds) * 1_000 + Number(micros) / 1_000
}
const subscribers = async ({ redis, tag }: StagedBackend): Promise<number> =>
  Number((await redis.pubsub('NUMSUB', `${tag}:alive:s`))[1])

describe('keeping a session alive', () => {
  it('takes one thread for all sessions of the process, and two connections for those of one store', async () => {
    const threads = async (): Promise<number> => {
      const probe = new Thread('', { eval: true })
      const { threadId } = probe
      await probe.terminate()
      return threadId
    }
    const server = await privateRedis()
    const staged = await stage(server)
    const before = await threads()
    const others = await Promise.all(Array.from({ length: 3 }, () => stage(server)))
    const same = await openRedisBackend({ address: server.unixUrl, keyPrefix: staged.tag.slice(1, -3) })
    const backends = [staged.backend, same, ...others.map(({ backend }) => backend)]
    const kept = await Promise.all(
      backends.map(async (backend, i) => {
        await backend.session({ kind: 'open', session: `s${i}`, ttlMs: TTL_MS, info: infoOf(`s${i}`) })
        const one = backend.keepAlive(`s${i}`, { ttlMs: TTL_MS, onLost: () => undefined })
        await one.ready
        return one
      }),
    )
    expect((await threads()) - before).toBe(2) // this look's own, and the one that renews
    const clients = String(await staged.redis.client('LIST'))
    expect([...clients.matchAll(/name=graflow-(renewal|alive)/g)]).toHaveLength(2 * 4)
    await backends[0]?.close()
    const renewedAt = kept.map((one) => one.lastRenewedAt)
    await until(() => kept.every((one, i) => i === 0 || one.lastRenewedAt > (renewedAt[i] ?? 0)), 'the others go on')
    await Promise.all(kept.map((one) => one.stop()))
    await same.close()
  })

  it('FT-W10: renews it while the event loop is blocked', async () => {
    const staged = await stage(await sharedRedis())
    await open(staged)
    const lost: string[] = []
    const kept = staged.backend.keepAlive('s', { ttlMs: TTL_MS, onLost: (what) => lost.push(what) })
    const before = kept.lastRenewedAt
    await until(() => kept.lastRenewedAt > before, 'the first renewal')
    block(4 * TTL_MS)
    expect((await expiry(staged)) - (await now(staged))).toBeGreaterThan(0)
    expect(kept.lastRenewedAt - before).toBeGreaterThan(3 * TTL_MS)
    expect(lost).toEqual([])
    await kept.stop()
  })

  it('is subscribed for it as long as it is kept, and renews no more after that', async () => {
    const staged = await stage(await sharedRedis())
    await open(staged)
    const kept = staged.backend.keepAlive('s', { ttlMs: TTL_MS, onLost: () => undefined })
    await until(async () => (await subscribers(staged)) === 1, 'a subscription')
    await kept.stop()
    await kept.stop()
    expect(await subscribers(staged)).toBe(0)
    const last = await expiry(staged)
    await until(async () => (await now(staged)) > last + TTL_MS, 'the end of its time')
    expect(await expiry(staged)).toBe(last)
  })

  const ended = async ({ redis }: StagedBackend, type: 'pubsub' | 'normal'): Promise<number> =>
    Number(await redis.call('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes'))

  it('renews it no more when it is stopped just after its thread has ended by itself', async () => {
    const staged = await stage(await sharedRedis())
    await open(staged)
    const post = jest.spyOn(Thread.prototype, 'postMessage')
    const lost: string[] = []
    const kept = staged.backend.keepAlive('s', { ttlMs: TTL_MS, onLost: (what) => lost.push(what) })
    const thread = post.mock.contexts[0] as Thread
    post.mockRestore()
    await kept.ready
    await thread.terminate()
    await kept.stop()
    const last = await expiry(staged)
    await until(async () => (await now(staged)) > last + TTL_MS, 'the end of its time')
    expect(await expiry(staged)).toBe(last)
    await staged.backend.session({ kind: 'close', session: 's' })
    expect(lost).toEqual([])
  })

  it('FT-R7: is not taken for dead while it cannot be subscribed, as long as it is renewed', async () => {
    const staged = await stage(await privateRedis())
    await open(staged, 3_000)
    const lost: string[] = []
    const kept = staged.backend.keepAlive('s', { ttlMs: 3_000, onLost: (what) => lost.push(what) })
    await kept.ready
    await staged.redis.call('ACL', 'SETUSER', 'default', 'resetchannels') // ends connections that are subscribed, too
    await until(async () => (await subscribers(staged)) === 0, 'no subscription')
    const from = performance.now()
    let swept = 0
    await until(async () => {
      swept += (await staged.backend.sweep('s')).status === 'ok' ? 1 : 0
      return performance.now() - from > 600
    }, 'three times what it takes a dead one')
    expect(swept).toBeGreaterThan(1)
    expect(await staged.redis.hget(`${staged.tag}:wi:s`, 'alive')).toBe('0')
    expect(await expiry(staged)).toBeGreaterThan(await now(staged))
    await staged.redis.call('ACL', 'SETUSER', 'default', 'allchannels')
    await ended(staged, 'normal')
    await until(async () => {
      return (await subscribers(staged)) === 1 && (await staged.redis.hget(`${staged.tag}:wi:s`, 'alive')) === '1'
    }, 'its end would be noticed again')
    expect(lost).toEqual([])
    await kept.stop()
  })

  it('FT-R7: is back before it is taken for dead when all its connections end at once', async () => {
    const staged = await stage(await privateRedis())
    await open(staged, 3_000)
    const lost: string[] = []
    const kept = staged.backend.keepAlive('s', { ttlMs: 3_000, onLost: (what) => lost.push(what) })
    await kept.ready
    for (let i = 0; i < 5; i += 1) {
      expect(await ended(staged, 'pubsub')).toBe(1)
      expect(await ended(staged, 'normal')).toBeGreaterThan(0)
      await until(async () => {
        await staged.backend.sweep('s')
        return (await subscribers(staged)) === 1 && (await staged.redis.hget(`${staged.tag}:wi:s`, 'alive')) === '1'
      }, 'a subscription')
    }
    expect(await expiry(staged)).toBeGreaterThan(await now(staged))
    expect(lost).toEqual([])
    await kept.stop()
  })

  it('says that the session is gone, and lets it be', async () => {
    const staged = await stage(await sharedRedis())
    await open(staged)
    const lost: string[] = []
    staged.backend.keepAlive('s', { ttlMs: TTL_MS, onLost: (what) => lost.push(what) })
    await until(async () => (await subscribers(staged)) === 1, 'a subscription')
    await staged.backend.session({ kind: 'close', session: 's' })
    await until(() => lost.length === 1, 'the news')
    expect(lost).toEqual(['session'])
    await until(async () => (await subscribers(staged)) === 0, 'no subscription')
    await open(staged)
    const again = staged.backend.keepAlive('s', { ttlMs: TTL_MS, onLost: (what) => lost.push(what) })
    const before = again.lastRenewedAt
    await until(() => again.lastRenewedAt > before, 'a renewal')
    expect(lost).toEqual(['session'])
  })

  it('keeps no thread and no connection for sessions that are gone', async () => {
    const staged = await stage(await privateRedis())
    await open(staged)
    const lost: string[] = []
    const kept = staged.backend.keepAlive('s', { ttlMs: TTL_MS, onLost: (what) => lost.push(what) })
    await kept.ready
    await staged.backend.session({ kind: 'close', session: 's' })
    await until(() => lost.length === 1, 'the news')
    await kept.stop()
    const ours = async (): Promise<string> => String(await staged.redis.client('LIST'))
    await until(async () => !/name=graflow-(renewal|alive)/.test(await ours()), 'no connection')
  })

  it('FT-D8: says once that the store is away for longer than the session lives, and goes on', async () => {
    const server = await privateRedis()
    const staged = await stage(server, { commandTimeoutMs: 100 })
    await open(staged)
    const lost: string[] = []
    const kept = staged.backend.keepAlive('s', { ttlMs: TTL_MS, onLost: (what) => lost.push(what) })
    const before = kept.lastRenewedAt
    await until(() => kept.lastRenewedAt > before, 'the first renewal')
    await server.freeze()
    await until(() => lost.length > 0, 'the news')
    const frozenAt = kept.lastRenewedAt
    server.thaw()
    await until(() => kept.lastRenewedAt > frozenAt, 'a renewal')
    expect(lost).toEqual(['store'])
  })

  it('FT-D16: goes on when Redis has forgotten its scripts', async () => {
    const server = await privateRedis()
    const staged = await stage(server)
    await open(staged)
    const lost: string[] = []
    const kept = staged.backend.keepAlive('s', { ttlMs: TTL_MS, onLost: (what) => lost.push(what) })
    for (let i = 0; i < 3; i++) {
      const before = kept.lastRenewedAt
      await staged.redis.call('FUNCTION', 'FLUSH')
      await until(() => kept.lastRenewedAt > before, 'a renewal')
    }
    expect(lost).toEqual([])
  })

  it('lets a session go whose process has hung for too long', async () => {
    const staged = await stage(await sharedRedis(), { stallLimitMs: 1_500 })
    await open(staged)
    const lost: string[] = []
    const kept = staged.backend.keepAlive('s', { ttlMs: TTL_MS, onLost: (what) => lost.push(what) })
    const before = kept.lastRenewedAt
    await until(() => kept.lastRenewedAt > before, 'the first renewal')
    block(2_500)
    await until(() => lost.length > 0, 'the news')
    expect(lost).toEqual(['session'])
    expect(await subscribers(staged)).toBe(0)
  })

  it('has nothing to do for a session without end', async () => {
    const staged = await stage(await sharedRedis())
    const kept = staged.backend.keepAlive('s', { ttlMs: Infinity, onLost: () => undefined })
    expect(kept.lastRenewedAt).toBe(Infinity)
    await kept.stop()
  })

  it('costs about a command a second where a session lives three', async () => {
    const server = await privateRedis()
    const staged = await stage(server)
    await open(staged, 3_000)
    staged.backend.listen('s', () => undefined)
    const kept = staged.backend.keepAlive('s', { ttlMs: 3_000, onLost: () => undefined })
    const before = kept.lastRenewedAt
    await until(() => kept.lastRenewedAt > before, 'the first renewal')
    const calls = async (): Promise<number> => {
      const stats = await staged.redis.info('commandstats')
      // what scripts call is not sent
      const sent = [
        ...stats.matchAll(/^cmdstat_(fcall|xread|xinfo\|stream|ping|client\|unblock|subscribe):calls=(\d+)/gm),
      ]
      return sent.reduce((sum, [, , count]) => sum + Number(count), 0)
    }
    const first = await calls()
    const from = performance.now()
    await until(() => performance.now() - from > 6_000, 'six seconds')
    expect((await calls()) - first).toBeLessThanOrEqual(9)
  })
})

describe('a process whose connection is gone', () => {
  /** A session that was seen subscribed and is not any more. */
  const killed = async ({ backend, redis, tag }: StagedBackend): Promise<void> => {
    await backend.session({ kind: 'open', session: 'killed', ttlMs: 60_000, info: infoOf('killed') })
    await redis.hset(`${tag}:wi:killed`, 'alive', '1')
  }
  const isThere = async ({ redis, tag }: StagedBackend): Promise<boolean> =>
    (await redis.zscore(`${tag}:w`, 'killed')) !== null
  const missedAt = async ({ redis, tag }: StagedBackend): Promise<number> =>
    Number(await redis.hget(`${tag}:wi:killed`, 'alive'))

  it('is taken for dead 200 ms after it was missed, however short before that another swept', async () => {
    const staged = await stage(await sharedRedis())
    await killed(staged)
    expect(await staged.backend.sweep('s')).toMatchObject({ status: 'ok', nextDueMs: 200 })
    const missed = await missedAt(staged)
    await until(async () => (await now(staged)) > missed + 120, 'the middle')
    await staged.backend.sweep('s')
    expect(await isThere(staged)).toBe(true)
    await until(async () => (await now(staged)) > missed + 201, 'the time')
    await staged.backend.sweep('s')
    expect(await isThere(staged)).toBe(false)
  })

  it('is looked at again in time by who is idle', async () => {
    const staged = await stage(await sharedRedis())
    await open(staged, 3_000)
    const kept = staged.backend.keepAlive('s', { ttlMs: 3_000, onLost: () => undefined })
    await kept.ready
    await killed(staged)
    let missed = 0
    await until(async () => (missed = await missedAt(staged)) > 1, 'it is missed')
    await until(async () => !(await isThere(staged)), 'it is gone')
    // the next renewal after the one that missed it comes after 900 ms at the soonest
    expect((await now(staged)) - missed).toBeLessThan(800)
    await kept.stop()
  })

  it.each(['start', 'submit'] as const)(
    'P2: is missed as soon as its first second, with a run by %s in hand',
    async (how) => {
      const staged = await stage(await privateRedis())
      const { backend, redis, tag } = staged
      await open(staged, 3_000)
      backend.listen('s', () => undefined)
      const kept = backend.keepAlive('s', { ttlMs: 3_000, onLost: () => undefined })
      await kept.ready
      await killed(staged)
      const ask = { max: 1, queues: ['runs'], capabilities: [] }
      await backend.acquire({ ...ask, session: 's', nonce: 'n', queues: ['default'] })
      await redis.hdel(`${tag}:wi:killed`, 'alive') // not missed yet
      await until(async () => (await redis.hget(`${tag}:m`, 'idle')) === '-1', 'a look while nobody holds anything')
      const before = kept.lastRenewedAt
      await until(() => kept.lastRenewedAt > before, 'a renewal')
      const lookedAt = kept.lastRenewedAt
      await redis.hset(`${tag}:wi:killed`, 'alive', '1')
      await backend.open({
        ...{ runId: 'run', graph: 'g', digest: 'd', input: Buffer.from('i'), nonce: 'r', tasks: [], maxLosses: 3 },
        ...{ timeoutMs: 0, retentionMs: 60_000, ...(how === 'start' && { session: 'killed' }) },
      })
      if (how === 'submit')
        expect(await backend.acquire({ ...ask, session: 'killed', nonce: 'q' })).toMatchObject({
          grants: [{ spec: { gid: 'run' } }],
        })
      await until(() => kept.lastRenewedAt > lookedAt, 'a look for it')
      // the next renewal comes after 900 ms at the soonest where nobody holds anything
      expect(kept.lastRenewedAt - lookedAt).toBeLessThan(700)
      await until(async () => !(await isThere(staged)), 'it is gone')
      await kept.stop()
    },
  )
})

describe('ping', () => {
  it('resolves where Redis answers, and says soon when it does not', async () => {
    const server = await privateRedis()
    const { backend } = await stage(server, { commandTimeoutMs: 200 })
    await backend.ping()
    await server.freeze()
    const began = performance.now()
    await expect(backend.ping()).rejects.toMatchObject({ code: 'REDIS_UNAVAILABLE' })
    expect(performance.now() - began).toBeLessThan(2_000)
    server.thaw()
    await until(
      () =>
        backend.ping().then(
          () => true,
          () => false,
        ),
      'an answer',
    )
  })
})
