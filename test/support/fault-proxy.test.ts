/** The fault proxy itself: that each fault does to a real Redis and a real client just what it says, and counts it. */
import { once } from 'node:events'
import fc from 'fast-check'
import { Redis, type RedisOptions } from 'ioredis'
import { FaultProxy, sha1 } from './fault-proxy.js'
import { argsOf, Frames } from './resp.js'
import { freshPrefix, sharedRedis } from './shared-redis.js'
import { until } from './waits.js'

let proxy: FaultProxy
let direct: Redis
let key: string
const clients: Redis[] = []

/** A client behind the proxy that neither connects again nor repeats anything, unless told to. */
function client(options: RedisOptions = {}): Redis {
  const redis = new Redis({ host: '127.0.0.1', port: proxy.port, retryStrategy: () => null, ...options })
  redis.on('error', () => undefined)
  clients.push(redis)
  return redis
}

/** Unlike `once`, whatever errors come before it. */
const event = (redis: Redis, name: 'close' | 'end'): Promise<void> =>
  new Promise((resolve) => redis.once(name, resolve))

beforeEach(async () => {
  const server = await sharedRedis()
  proxy = await FaultProxy.start({ port: server.port })
  direct = new Redis({ path: server.socket })
  key = freshPrefix()
})
afterEach(async () => {
  // one that has ended would set a timer to end once more
  for (const redis of clients.splice(0)) if (redis.status !== 'end') redis.disconnect()
  await direct.quit()
  await proxy.stop()
})

describe('the proxy without faults', () => {
  it('passes everything on as it is: pipelines, scripts, big and binary values, errors', async () => {
    const redis = client()
    const big = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i % 256))
    await redis.set(key, big)
    expect((await redis.getBuffer(key))?.equals(big)).toBe(true)
    const replies = await redis
      .pipeline()
      .incr(`${key}:n`)
      .get('none')
      .lpush(`${key}:n`, 'x')
      .eval('return {1, {2, {"three", false}}, {}}', 0)
      .exec()
    expect(replies?.map(([error, reply]) => error?.message.slice(0, 9) ?? reply)).toEqual([
      1,
      null,
      'WRONGTYPE',
      [1, [2, ['three', null]], []],
    ])
    const transaction = await redis.multi().incr(`${key}:n`).incr(`${key}:n`).exec()
    expect(transaction).toEqual([
      [null, 2],
      [null, 3],
    ])
  })

  it('passes messages to subscribers', async () => {
    const subscriber = client()
    await subscriber.subscribe(key, `${key}:other`)
    const heard = once(subscriber, 'message')
    await direct.publish(key, 'hello')
    expect(await heard).toEqual([key, 'hello'])
    await subscriber.unsubscribe(key)
  })

  it('passes blocking reads', async () => {
    const redis = client()
    const popped = redis.blpop(key, 5)
    await direct.rpush(key, 'x')
    expect(await popped).toEqual([key, 'x'])
  })

  it('closes the other side when one closes', async () => {
    const redis = client()
    await redis.ping()
    expect(proxy.connections).toBe(1)
    const ended = once(redis, 'end')
    await redis.quit()
    await ended
    await until(() => proxy.connections === 0, 'the end of the other side')
    expect(proxy.accepted).toBe(1)
  })
})

describe('a fault at a command', () => {
  it.each([
    ['cut-before', 0],
    ['cut-inside-request', 0],
    ['swallow-reply', 1],
    ['cut-inside-reply', 1],
  ] as const)('%s: the client sees a lost connection, and Redis has executed it %d times', async (kind, executed) => {
    const redis = client()
    const fault = proxy.arm(kind, 'INCR')
    const others = redis.pipeline().set(key, 'a').incr(`${key}:n`).set(key, 'b').exec()
    const replies = await others.catch(() => 'rejected')
    await fault.whenFired()
    expect(fault.fired).toBe(1)
    const isLost = typeof replies === 'string' || replies?.[1]?.[0] instanceof Error
    expect(isLost).toBe(true)
    expect(await direct.get(key)).toBe('a') // what was before is done, what came after was never sent
    expect(Number(await direct.get(`${key}:n`))).toBe(executed)
  })

  it('answers first what came before it on this connection', async () => {
    const redis = client()
    const fault = proxy.arm('swallow-reply', 'INCR')
    const before = redis.blpop(key, 5)
    const lost = redis.incr(`${key}:n`).catch(String)
    await direct.rpush(key, 'x')
    expect(await before).toEqual([key, 'x'])
    expect(await lost).toContain('closed')
    expect(fault.fired).toBe(1)
  })

  it('hits a client that connects again and repeats as often as it is told', async () => {
    const redis = client({ retryStrategy: () => 1 })
    const fault = proxy.arm('swallow-reply', 'INCR', { times: 2, skip: 1 })
    expect(await redis.incr(key)).toBe(1)
    expect(await redis.incr(key)).toBe(4) // executed three times: two replies were lost
    expect(fault.fired).toBe(2)
    expect(await redis.incr(key)).toBe(5)
  })

  it('is found by the hash of a script, and waits for its execution when Redis does not know it yet', async () => {
    const redis = client()
    const script = `return redis.call('INCR', KEYS[1])`
    const fault = proxy.arm('swallow-reply', sha1(script))
    await direct.script('FLUSH')
    await expect(redis.evalsha(sha1(script), 1, key)).rejects.toThrow('NOSCRIPT')
    expect(fault.fired).toBe(0)
    await expect(redis.eval(script, 1, key)).rejects.toThrow('closed')
    expect(fault.fired).toBe(1)
    expect(await direct.get(key)).toBe('1')
  })

  it('is found by the name of a function, and waits for its execution likewise', async () => {
    const redis = client()
    const fault = proxy.arm('swallow-reply', 'add_one')
    await expect(redis.call('FCALL', 'add_one', 1, key)).rejects.toThrow('Function not found')
    expect(fault.fired).toBe(0)
    const callback = `function(KEYS) return redis.call('INCR', KEYS[1]) end`
    await direct.call('FUNCTION', 'LOAD', `#!lua name=adding\nredis.register_function('add_one', ${callback})`)
    await expect(redis.call('FCALL', 'add_one', 1, key)).rejects.toThrow('closed')
    expect(fault.fired).toBe(1)
    expect(await direct.get(key)).toBe('1')
  })

  it('is found by a question about the arguments', async () => {
    const redis = client()
    const fault = proxy.arm('cut-before', (args) => args.some((arg) => arg.toString() === 'poison'))
    await redis.set(key, 'good')
    await expect(redis.set(key, 'poison')).rejects.toThrow('closed')
    expect(fault.fired).toBe(1)
  })

  it('holds a request: nothing is executed until it is released', async () => {
    const redis = client()
    const fault = proxy.arm('hold-request', 'INCR')
    const answered = redis.incr(key)
    await fault.whenFired()
    expect(await direct.get(key)).toBeNull()
    fault.release()
    expect(await answered).toBe(1)
  })

  it('holds a reply: executed, and the client does not know', async () => {
    const redis = client()
    const fault = proxy.arm('hold-reply', 'INCR')
    const answered = redis.incr(key)
    await fault.whenFired()
    expect(await direct.get(key)).toBe('1')
    fault.release()
    expect(await answered).toBe(1)
  })

  it('does nothing once it is disarmed', async () => {
    const fault = proxy.arm('cut-before', 'INCR')
    fault.disarm()
    expect(await client().incr(key)).toBe(1)
    expect(fault.fired).toBe(0)
  })

  it('says so when it did not fire in time', async () => {
    await expect(proxy.arm('cut-before', 'INCR').whenFired(1, 20)).rejects.toThrow('cut-before to fire 1 times')
  })
})

describe('faults in the traffic', () => {
  it('delays', async () => {
    const redis = client()
    await redis.ping()
    proxy.traffic.delayMs = 30
    const startedAt = performance.now()
    await redis.ping()
    expect(performance.now() - startedAt).toBeGreaterThan(55)
  })

  it('sends a byte at a time', async () => {
    proxy.traffic.chunkBytes = 1
    const redis = client()
    await redis.set(key, 'x'.repeat(500))
    expect(await redis.get(key)).toBe('x'.repeat(500))
  })

  it('freezes, and delivers after that what was on its way', async () => {
    const redis = client()
    await redis.ping()
    proxy.freeze()
    const answered = redis.incr(key)
    const late = client() // is taken, and hears nothing
    const connected = once(late, 'connect')
    await connected
    await direct.ping()
    expect(await direct.get(key)).toBeNull()
    proxy.thaw()
    expect(await answered).toBe(1)
    expect(await late.ping()).toBe('PONG')
  })

  it('kills all connections at once', async () => {
    const all = [client(), client(), client()]
    await Promise.all(all.map((redis) => redis.ping()))
    const ended = Promise.all(all.map((redis) => event(redis, 'end')))
    expect(proxy.killAll()).toBe(3)
    await ended
  })

  it('refuses who connects, until it does not', async () => {
    proxy.refuse()
    const redis = client({ retryStrategy: () => 5 })
    await event(redis, 'close')
    proxy.refuse(false)
    expect(await redis.ping()).toBe('PONG')
  })
})

describe('frames', () => {
  const value: fc.Memo<Buffer> = fc.memo((depth) =>
    fc.oneof(
      fc
        .constantFrom('+OK\r\n', '-ERR no\r\n', ':42\r\n', '$-1\r\n', '*-1\r\n', '_\r\n', '#t\r\n', ',1.5\r\n')
        .map((text) => Buffer.from(text)),
      fc
        .uint8Array({ maxLength: 20 })
        .map((bytes) => Buffer.concat([Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n')])),
      ...(depth > 1
        ? [
            fc
              .array(value(), { maxLength: 3 })
              .map((all) => Buffer.concat([Buffer.from(`*${all.length}\r\n`), ...all])),
            fc
              .array(fc.tuple(value(), value()), { maxLength: 2 })
              .map((all) => Buffer.concat([Buffer.from(`%${all.length}\r\n`), ...all.flat()])),
            fc.tuple(value(), value(), value()).map((all) => Buffer.concat([Buffer.from('|1\r\n'), ...all])),
          ]
        : []),
    ),
  )

  it('are found again however the bytes come', () => {
    fc.assert(
      fc.property(fc.array(value(3), { minLength: 1, maxLength: 5 }), fc.array(fc.nat(200)), (all, cuts) => {
        const frames = new Frames()
        const bytes = Buffer.concat(all)
        const ends = [...cuts.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length]
        const found = ends.flatMap((end, i) => frames.push(Buffer.from(bytes.subarray(ends[i - 1] ?? 0, end))))
        expect(found.map(String)).toEqual(all.map(String))
      }),
    )
  })

  it('of a request hold its arguments', () => {
    const request = Buffer.from('*3\r\n$3\r\nSET\r\n$3\r\na\r\n\r\n$0\r\n\r\n')
    expect(argsOf(request).map(String)).toEqual(['SET', 'a\r\n', ''])
    expect(argsOf(Buffer.from('PING  x\r\n')).map(String)).toEqual(['PING', 'x'])
  })
})
