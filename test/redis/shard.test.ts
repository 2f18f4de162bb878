/** The connection: what it takes for an answer, what it repeats, and what it says when there is no Redis to be had. */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { once } from 'node:events'
import { Redis } from 'ioredis'
import { LAYOUT } from '../../lib/backend/reserved.js'
import { Shard, SHARD_DEFAULTS, type ShardOptions } from '../../lib/backend/redis/shard.js'
import { monotonicClock } from '../../lib/time.js'
import { failureOf } from '../support/captured-errors.js'
import { FaultProxy } from '../support/fault-proxy.js'
import { freePort } from '../support/redis-server.js'
import { freshPrefix, privateRedis, sharedRedis } from '../support/shared-redis.js'
import { block, elapse, until } from '../support/waits.js'

const shards: Shard[] = []
const clients: Redis[] = []
const servers: Server[] = []
const sockets: Socket[] = []
const proxies: FaultProxy[] = []
afterEach(async () => {
  for (const shard of shards.splice(0)) shard.close()
  for (const client of clients.splice(0)) client.disconnect()
  for (const socket of sockets.splice(0)) socket.destroy()
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

/** Somebody who is no Redis; its host and port. */
async function listening(onSocket: (socket: Socket) => void): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    onSocket(socket)
  }).listen(0, '127.0.0.1')
  servers.push(server)
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('expected a port')
  return `127.0.0.1:${address.port}`
}

/** The same to every command. */
const answering =
  (answer: string) =>
  (socket: Socket): void => {
    socket.on('data', (bytes) => socket.write(answer.repeat(bytes.toString().match(/^\*\d/gm)?.length ?? 1)))
  }

/** Who stands still takes as many connections as its system keeps for it, and then no more. */
async function fillBacklog(port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => undefined)
    sockets.push(socket)
    const isTaken = await Promise.race([once(socket, 'connect').then(() => true), elapse(300).then(() => false)])
    if (!isTaken) return
  }
}

const text = (reply: unknown): string => String(reply)

describe('opening a shard', () => {
  // Together: each waits for three seconds or more.
  it('says within 5 s, and plainly, what is at the address instead, without the password', async () => {
    const frozen = await privateRedis({ config: { 'tcp-backlog': '1' } })
    const cluster = await privateRedis({ password: 'secret', config: { 'cluster-enabled': 'yes' } })
    const empty = await privateRedis()
    await frozen.freeze()
    await fillBacklog(frozen.port)
    const cases: readonly (readonly [address: string, says: string])[] = [
      [`127.0.0.1:${await freePort()}`, 'got a refusal: nothing listens there'],
      [await listening(() => undefined), 'got a connection on which nothing is answered'],
      [`127.0.0.1:${frozen.port}`, 'got no connection: the host is not there, something on the way drops'],
      [await listening((socket) => socket.end()), 'got a connection that was closed from there'],
      [await listening(answering('HTTP/1.1 400 Bad Request\r\n\r\n')), 'got an answer that no Redis gives'],
      [await listening((socket) => socket.write('SSH-2.0-OpenSSH_9.2\r\n')), 'got an answer that no Redis gives'],
      [await listening(answering('-LOADING Redis is loading the dataset in memory\r\n')), 'got LOADING'],
      [`127.0.0.1:${cluster.port}`, 'to answer within 4.5 s, got CLUSTERDOWN: its cluster is not whole'],
    ]
    const met = await Promise.all(
      cases.map(async ([address]) => {
        const began = performance.now()
        const { code, message } = await failureOf(openShard(`redis://default:secret@${address}`))
        return { code, message, isInTime: performance.now() - began < 5_000 }
      }),
    )
    frozen.thaw()
    expect(met).toEqual(
      cases.map(([address, says]) => ({
        code: 'REDIS_UNAVAILABLE',
        message: expect.stringMatching(new RegExp(`redis://${address} .*${says}(?!.*secret)`)),
        isInTime: true,
      })),
    )
    expect((await failureOf(openShard(`unix://${empty.folder}/no.sock`))).message).toContain(
      'got no socket at that path',
    )
  }, 20_000)

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

  it('V4: writes its layout beside the version that releases before it look at', async () => {
    const server = await sharedRedis()
    const redis = client(server.socket)
    const keyPrefix = freshPrefix()
    const main = `{${keyPrefix}:0}:m`
    await redis.hset(main, 'v', '3')
    await openShard(server.url, { keyPrefix })
    expect(await redis.hmget(main, 'v', 'layout')).toEqual(['3', `${LAYOUT}`])
    await redis.hset(main, 'layout', `${LAYOUT + 1}`)
    await openShard(server.url, { keyPrefix })
    expect(await redis.hget(main, 'layout')).toBe(`${LAYOUT + 1}`)
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
    block(300)
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
