/** The server that tests and benchmarks run against: that it is private, breaks on request, and never outlives who started it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Redis, type RedisOptions } from 'ioredis'
import { compiled } from './compiled.js'
import { isAlive } from './processes.js'
import { RedisServer } from './redis-server.js'
import { freshPrefix, privateRedis, sharedRedis } from './shared-redis.js'
import { until } from './waits.js'

const clients: Redis[] = []
function client(server: RedisServer, options: RedisOptions = {}): Redis {
  const redis = new Redis({ path: server.socket, retryStrategy: () => null, ...options })
  redis.on('error', () => undefined)
  clients.push(redis)
  return redis
}
afterEach(() => {
  // one that has ended would set a timer to end once more
  for (const redis of clients.splice(0)) if (redis.status !== 'end') redis.disconnect()
})

describe('a private redis-server', () => {
  it('answers on its port and on its socket', async () => {
    const server = await sharedRedis()
    await client(server).set('key', 'value')
    const overTcp = new Redis(server.url)
    clients.push(overTcp)
    expect(await overTcp.get('key')).toBe('value')
    expect(server.unixUrl).toBe(`unix://${server.socket}`)
    expect(await client(server).config('GET', 'appendonly')).toEqual(['appendonly', 'no'])
  })

  it('is one for all tests of a file, with a prefix for each', async () => {
    expect(await sharedRedis()).toBe(await sharedRedis())
    expect(freshPrefix()).not.toBe(freshPrefix())
  })

  it.each([
    ['none', null],
    ['everysec', 'value'],
    ['always', 'value'],
  ] as const)('with persistence %s has after kill -9 and restart, on the same port, %p', async (persistence, found) => {
    const server = await privateRedis({ persistence })
    const { url, pid } = server
    await client(server).set('key', 'value')
    await server.kill9()
    expect(isAlive(pid)).toBe(false)
    await server.restart()
    expect(server.url).toBe(url)
    expect(server.pid).not.toBe(pid)
    expect(await client(server).get('key')).toBe(found)
  })

  it('asks for its password', async () => {
    const server = await privateRedis({ password: 'p@ss/word' })
    await expect(client(server).get('key')).rejects.toThrow('NOAUTH')
    const known = new Redis(server.url)
    clients.push(known)
    expect(await known.ping()).toBe('PONG')
  })

  it('speaks TLS to those who trust its certificate, and to nobody else', async () => {
    const server = await privateRedis({ tls: true })
    const port = server.tlsPort ?? 0
    const trusting = new Redis({ host: '127.0.0.1', port, tls: { ca: readFileSync(server.caFile) } })
    expect(await trusting.ping()).toBe('PONG')
    await trusting.quit()
    const wary = new Redis({ host: '127.0.0.1', port, tls: {}, retryStrategy: () => null, lazyConnect: true })
    const met = new Promise<Error>((resolve) => wary.on('error', resolve))
    await expect(wary.connect()).rejects.toThrow()
    expect((await met).message).toContain('self-signed')
  })

  it('stands still while frozen, and goes on', async () => {
    const server = await privateRedis()
    const redis = client(server)
    await redis.ping()
    await server.freeze()
    const answered = redis.incr('n')
    const settled = await Promise.race([answered, new Promise((resolve) => setTimeout(resolve, 30, 'nothing'))])
    expect(settled).toBe('nothing')
    server.thaw()
    expect(await answered).toBe(1)
  })

  it('leaves nothing when it is stopped, frozen or not', async () => {
    const server = await RedisServer.start()
    await server.freeze()
    await server.stop()
    await server.stop()
    expect(isAlive(server.pid)).toBe(false)
    expect(existsSync(server.folder)).toBe(false)
  })

  it('ends and leaves nothing when who started it is killed', async () => {
    const module = compiled(join(__dirname, 'redis-server.ts'))
    const code = `
      const { RedisServer } = await import(${JSON.stringify(module)})
      const server = await RedisServer.start()
      console.log(JSON.stringify({ pid: server.pid, folder: server.folder }))
      setInterval(() => {}, 1000)`
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
    const { pid, folder } = JSON.parse(line) as { pid: number; folder: string }
    expect(isAlive(pid)).toBe(true)
    child.kill('SIGKILL')
    await until(() => !isAlive(pid) && !existsSync(folder), 'the end of the server', 5_000)
  })

  it('says what the server said when it does not start', async () => {
    await expect(RedisServer.start({ config: { 'no-such-directive': '1' } })).rejects.toThrow('no-such-directive')
  })
})
