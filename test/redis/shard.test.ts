/** The connection: what it takes for an answer, what it repeats, and what it says when there is no Redis to be had. */
import { createServer, type Server } from 'node:net'
import { once } from 'node:events'
import { Redis } from 'ioredis'
import { Shard, SHARD_DEFAULTS, type ShardOptions } from '../../lib/backend/redis/shard.js'
import { monotonicClock } from '../../lib/time.js'
import { FaultProxy } from '../support/fault-proxy.js'
import { freePort } from '../support/redis-server.js'
import { freshPrefix, privateRedis, sharedRedis } from '../support/shared-redis.js'
import { until } from '../support/waits.js'

const shards: Shard[] = []
const clients: Redis[] = []
const servers: Server[] = []
const proxies: FaultProxy[] = []
afterEach(async () => {
  for (const shard of shards.splice(0)) shard.close()
  for (const client of clients.splice(0)) client.disconnect()
  for (const server of servers.splice(0)) server.close()
  for (const proxy of proxies.splice(0)) await proxy.stop()
})

const openShard = async (address: string, options: Partial<ShardOptions> = {}): Promise<Shard> => {
  const keyPrefix = freshPrefix()
  const shard = await Shard.open({
    ...SHARD_DEFAULTS,
    clock: monotonicClock,
    random: Math.random,
    keyPrefix,
    address,
    ...options,
  })
  shards.push(shard)
  return shard
}

const client = (socket: string): Redis => {
  const redis = new Redis(socket)
  redis.on('error', () => undefined)
  clients.push(redis)
  return redis
}

const proxied = async (port: number): Promise<FaultProxy> => {
  const proxy = await FaultProxy.start({ port })
  proxies.push(proxy)
  return proxy
}

const text = (reply: unknown): string => String(reply)

describe('opening a shard', () => {
  it('says within 5 s that nothing listens, without the password', async () => {
    const port = await freePort()
    const began = performance.now()
    await expect(openShard(`redis://ada:secret@127.0.0.1:${port}`)).rejects.toMatchObject({
      code: 'REDIS_UNAVAILABLE',
      message: expect.stringMatching(/redis:\/\/127\.0\.0\.1:\d+ within 3 s, got a refusal: nothing listens there/),
    })
    expect(performance.now() - began).toBeLessThan(5_000)
  })

  it('says within 5 s that a server answers nothing', async () => {
    const server = createServer(() => undefined).listen(0, '127.0.0.1')
    servers.push(server)
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('expected a port')
    const began = performance.now()
    await expect(openShard(`redis://127.0.0.1:${address.port}`)).rejects.toMatchObject({ code: 'REDIS_UNAVAILABLE' })
    expect(performance.now() - began).toBeLessThan(5_000)
  })

  it.each([
    ['another kind of server', 'HTTP/1.1 400 Bad Request\r\n\r\n', 'an answer that no Redis gives'],
    ['a cluster that is down', '-CLUSTERDOWN The cluster is down\r\n', 'CLUSTERDOWN'],
  ])(
    'says within 5 s, and plainly, that there is %s',
    async (_, answer, says) => {
      const server = createServer((socket) => {
        socket.on('error', () => undefined)
        socket.on('data', (bytes) => {
          const asked = bytes.toString().match(/^\*\d/gm)?.length ?? 1
          const isCluster = answer.startsWith('-')
          // as a Redis does that is down: it is there, and answers no command for a key
          const reply = /info/i.test(bytes.toString()) && isCluster ? '$20\r\nredis_version:7.0.0\n\r\n' : answer
          socket.write(isCluster ? reply.repeat(asked) : reply)
        })
      }).listen(0, '127.0.0.1')
      servers.push(server)
      await once(server, 'listening')
      const address = server.address()
      if (address === null || typeof address === 'string') throw new Error('expected a port')
      const began = performance.now()
      await expect(openShard(`redis://127.0.0.1:${address.port}`)).rejects.toMatchObject({
        code: 'REDIS_UNAVAILABLE',
        message: expect.stringContaining(says),
      })
      expect(performance.now() - began).toBeLessThan(5_000)
    },
    10_000,
  )

  it('connects when the server comes up meanwhile', async () => {
    const server = await privateRedis()
    await server.kill9()
    const opening = openShard(server.url)
    await server.restart()
    expect(text(await (await opening).command('PING'))).toBe('PONG')
  })

  it('refuses a wrong password at once', async () => {
    const server = await privateRedis({ password: 'right' })
    const began = performance.now()
    await expect(openShard(server.url.replace('right', 'wrong'))).rejects.toMatchObject({
      code: 'REDIS_UNSUITABLE',
      message: expect.stringContaining('WRONGPASS'),
    })
    expect(performance.now() - began).toBeLessThan(2_000)
    expect(text(await (await openShard(server.url)).command('PING'))).toBe('PONG')
  })

  it('refuses a certificate that nobody vouches for', async () => {
    const server = await privateRedis({ tls: true })
    await expect(openShard(server.tlsUrl)).rejects.toMatchObject({
      code: 'REDIS_UNSUITABLE',
      message: expect.stringMatching(/self-signed certificate/),
    })
  })

  it('refuses a database that is not there, rather than take the first', async () => {
    const server = await privateRedis()
    await expect(openShard(`${server.url}/99`)).rejects.toMatchObject({
      code: 'REDIS_UNSUITABLE',
      message: expect.stringMatching(/expected database 99/),
    })
    expect(text(await (await openShard(`${server.url}/3`)).command('PING'))).toBe('PONG')
  })

  it('FT-D21: refuses a Redis that may evict, unless told to accept it', async () => {
    const server = await privateRedis({ config: { 'maxmemory-policy': 'allkeys-lru' } })
    await expect(openShard(server.url)).rejects.toMatchObject({
      code: 'REDIS_UNSUITABLE',
      message: expect.stringContaining('expected maxmemory-policy noeviction, got allkeys-lru'),
    })
    expect(text(await (await openShard(server.url, { allowEviction: true })).command('PING'))).toBe('PONG')
  })

  it('refuses what is not ours under its prefix', async () => {
    const server = await sharedRedis()
    const redis = client(server.socket)
    const keyPrefix = freshPrefix()
    await redis.set(`{${keyPrefix}:0}:m`, 'something else')
    await expect(openShard(server.url, { keyPrefix })).rejects.toMatchObject({
      code: 'REDIS_UNSUITABLE',
      message: expect.stringContaining('choose another key prefix'),
    })
    await redis.del(`{${keyPrefix}:0}:m`)
    await redis.hset(`{${keyPrefix}:0}:m`, 'v', '99')
    await expect(openShard(server.url, { keyPrefix })).rejects.toMatchObject({
      code: 'REDIS_UNSUITABLE',
      message: expect.stringContaining('expected version 3 of what lies under'),
    })
  })

  it('refuses a replica', async () => {
    const [master, server] = [await privateRedis(), await privateRedis()]
    await client(server.socket).replicaof('127.0.0.1', master.port)
    await expect(openShard(server.url)).rejects.toMatchObject({
      code: 'REDIS_UNSUITABLE',
      message: expect.stringContaining('connect to its master'),
    })
  })
})

describe('calling', () => {
  it('sends the calls of one turn together and answers each', async () => {
    const shard = await openShard((await sharedRedis()).unixUrl)
    const replies = await Promise.all(Array.from({ length: 2_000 }, (_, i) => shard.command('ECHO', i)))
    expect(replies.map(text)).toEqual(Array.from({ length: 2_000 }, (_, i) => String(i)))
  })

  it('carries bytes as they are', async () => {
    const shard = await openShard((await sharedRedis()).unixUrl)
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i)
    expect(await shard.command('ECHO', bytes.subarray(10))).toEqual(Buffer.from(bytes.subarray(10)))
  })

  it('FT-D16: loads a script that Redis has forgotten, among calls that it knows', async () => {
    const server = await privateRedis()
    const redis = client(server.socket)
    const shard = await openShard(server.unixUrl)
    for (let i = 0; i < 50; i++) {
      const flush = redis.call('FUNCTION', 'FLUSH')
      const answers = await Promise.all([
        shard.call('queues', []),
        shard.command('ECHO', i),
        shard.call('sessions', ['nobody']),
        shard.call('queues', []),
      ])
      expect(answers).toMatchObject([[expect.any(Number), expect.anything(), [], []], Buffer.from(String(i)), [], {}])
      await flush
    }
  })

  it('FT-D7: repeats a call whose reply was lost', async () => {
    const server = await privateRedis()
    const proxy = await proxied(server.port)
    const shard = await openShard(proxy.url)
    for (const kind of ['cut-before', 'cut-inside-request', 'swallow-reply', 'cut-inside-reply'] as const) {
      const fault = proxy.arm(kind, 'INCR')
      expect(Number(await shard.command('INCR', kind))).toBe(
        kind === 'cut-before' || kind === 'cut-inside-request' ? 1 : 2,
      )
      expect(fault.fired).toBe(1)
    }
  })

  it('FT-D8: gives a connection up that answers nothing, and asks on another', async () => {
    const server = await privateRedis()
    const proxy = await proxied(server.port)
    const shard = await openShard(proxy.url, { commandTimeoutMs: 200 })
    const fault = proxy.arm('hold-reply', 'ECHO')
    const began = performance.now()
    expect(text(await shard.command('ECHO', 'heard'))).toBe('heard')
    expect(fault.fired).toBe(1)
    expect(performance.now() - began).toBeGreaterThan(190)
  })

  it('does not take a busy event loop for a silent Redis', async () => {
    const shard = await openShard((await sharedRedis()).unixUrl, { commandTimeoutMs: 100 })
    const id = Number(await shard.command('CLIENT', 'ID'))
    const call = shard.command('ECHO', 'heard')
    await new Promise((resolve) => setImmediate(resolve))
    for (const end = performance.now() + 300; performance.now() < end; );
    expect(text(await call)).toBe('heard')
    expect(Number(await shard.command('CLIENT', 'ID'))).toBe(id)
  })

  it('X19, FT-D1: waits for a server that restarts, with many calls on their way', async () => {
    const server = await privateRedis({ persistence: 'always' })
    const shard = await openShard(server.url)
    const calls = Array.from({ length: 200 }, (_, i) => shard.command('SET', `key-${i}`, i))
    await server.kill9()
    calls.push(...Array.from({ length: 200 }, (_, i) => shard.command('SET', `more-${i}`, i)))
    await server.restart()
    expect((await Promise.all(calls)).map(text)).toEqual(calls.map(() => 'OK'))
    expect(Number(await shard.command('DBSIZE'))).toBe(401)
  })

  it('FT-D17: asks again while Redis is busy with somebody else’s script', async () => {
    const server = await privateRedis({ config: { 'busy-reply-threshold': '50' } })
    const shard = await openShard(server.unixUrl)
    const redis = client(server.socket)
    const endless = client(server.socket).eval('while true do end', 0)
    const call = shard.command('ECHO', 'heard')
    while (!(await redis.ping().catch(String)).includes('BUSY'));
    await redis.script('KILL')
    await expect(endless).rejects.toThrow(/killed/)
    expect(text(await call)).toBe('heard')
  })

  it('gives a call up that ends every connection', async () => {
    const server = await privateRedis()
    const proxy = await proxied(server.port)
    const shard = await openShard(proxy.url, { retryForMs: 500 })
    const fault = proxy.arm('cut-before', 'ECHO', { times: 1_000 })
    await expect(shard.command('ECHO', 'heard')).rejects.toMatchObject({
      code: 'REDIS_UNSUITABLE', // the next time would be the same
      message: expect.stringContaining('closed every connection on which this was asked'),
    })
    expect(fault.fired).toBeGreaterThan(1)
    expect(text(await shard.command('PING'))).toBe('PONG')
  })

  it('says that Redis is unavailable when its patience is over', async () => {
    const server = await privateRedis()
    const shard = await openShard(server.url, { retryForMs: 500 })
    await server.kill9()
    const calls = [shard.command('ECHO', 'lost'), shard.call('sweep', [])]
    for (const call of calls) {
      await expect(call).rejects.toMatchObject({
        code: 'REDIS_UNAVAILABLE',
        message: expect.stringContaining(server.url),
      })
    }
    await server.restart()
    // its patience is as short as before, and a pause between two attempts to connect may be longer
    await until(
      () =>
        shard.command('PING').then(
          (reply) => text(reply) === 'PONG',
          () => false,
        ),
      'it answers again',
    )
  })

  it('FT-D20: says that Redis is full to a call that adds work, and lets the others through', async () => {
    const server = await privateRedis()
    const shard = await openShard(server.unixUrl)
    await client(server.socket).config('SET', 'maxmemory', '1mb')
    await expect(shard.call('channel-write', ['run'])).rejects.toMatchObject({ code: 'BACKPRESSURE' })
    await expect(shard.command('SET', 'key', 'value')).rejects.toMatchObject({ code: 'BACKPRESSURE' })
    expect(await shard.call('channel-read', ['run', 'keys'])).toMatchObject([Buffer.from('GONE')])
  })

  it('says that a key holds another type', async () => {
    const server = await sharedRedis()
    const shard = await openShard(server.unixUrl)
    // of a run, which nothing but its own writes could make anew
    await shard.command('SET', shard.keys.channels('run'), 'no hash')
    await shard.command('HSET', shard.keys.run('run'), 'state', 'running')
    await expect(shard.call('channel-read', ['run', 'keys'])).rejects.toMatchObject({ code: 'INTEGRITY' })
    await expect(shard.command('HGETALL', shard.keys.channels('run'))).rejects.toMatchObject({ code: 'INTEGRITY' })
  })

  it('fails calls on their way, and later ones, with CLOSED once it is closed', async () => {
    const server = await sharedRedis()
    const shard = await openShard(server.unixUrl)
    const call = shard.command('ECHO', 'late')
    shard.close()
    shard.close()
    await expect(call).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(shard.command('PING')).rejects.toMatchObject({ code: 'CLOSED' })
  })

  it('FT-D10: answers every call while its connections are killed', async () => {
    const server = await sharedRedis()
    const shard = await openShard(server.unixUrl)
    const redis = client(server.socket)
    const calls: Promise<unknown>[] = []
    for (let i = 0; i < 20; i++) {
      for (let j = 0; j < 20; j++) calls.push(shard.command('ECHO', `${i}-${j}`))
      await redis.client('KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    }
    expect((await Promise.all(calls)).map(text)).toEqual(
      Array.from({ length: 400 }, (_, k) => `${Math.floor(k / 20)}-${k % 20}`),
    )
  })
})
