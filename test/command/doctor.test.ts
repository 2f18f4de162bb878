/** `graflow doctor`, against real servers that are each wrong in one way: it finds that, and what it says to change mends it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { once } from 'node:events'
import { type AddressInfo, connect as dial } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { CHECKS, diskOf, type Finding, ofInfo } from '../../lib/backend/redis/server-findings.js'
import type { Host } from '../../bin/host.js'
import { keysOf, tagOf } from '../../lib/backend/redis/keys.js'
import { rulesFor } from '../../lib/backend/redis/rights.js'
import { readDoc, tableRows } from '../repo-rules/doc-table.js'
import { command } from '../support/command.js'
import { freePort, type RedisServer, type RedisServerOptions } from '../support/redis-server.js'
import { startRelay } from '../support/relay.js'
import { freshPrefix, privateRedis } from '../support/shared-redis.js'
import { until } from '../support/waits.js'

const ends: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

interface Patient {
  readonly server: RedisServer
  readonly redis: Redis
}

/** A server in good order, except for what is said. */
async function patient(
  config: Readonly<Record<string, string>> = {},
  options: RedisServerOptions = {},
): Promise<Patient> {
  const server = await privateRedis({ persistence: 'everysec', ...options, config: { maxmemory: '128mb', ...config } })
  const redis = new Redis({ path: server.socket, disconnectTimeout: 10 })
  redis.on('error', () => undefined) // a server that is wrong may refuse this connection, too
  ends.push(async () => {
    redis.disconnect()
    await server.stop()
  })
  return { server, redis }
}

/** A file with directives that the server does not take as arguments. */
function configFile(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'graflow-doctor-'))
  ends.push(async () => rmSync(folder, { recursive: true }))
  const path = join(folder, 'own.conf')
  writeFileSync(path, `${text}\n`)
  return path
}

const keyPrefix = freshPrefix()

/** What is found by one look, by check, without what depends on how busy this machine is. */
async function look(
  url: string,
  host: Partial<Host> = {},
): Promise<{ readonly code: number; readonly findings: readonly Finding[] }> {
  const { code, out, err } = await command(
    ['doctor', '--json', '--redis-url', url, '--redis-key-prefix', keyPrefix],
    {},
    host,
  )
  if (err !== '') throw new Error(err)
  return { code, findings: (JSON.parse(out) as { readonly findings: readonly Finding[] }).findings }
}

/** What is not as it should be, of the checks that are meant. */
async function faults(url: string, checks: readonly string[], host: Partial<Host> = {}): Promise<readonly Finding[]> {
  const { findings } = await look(url, host)
  return findings.filter(({ check, level }) => checks.includes(check) && level !== 'ok')
}

describe('graflow doctor', () => {
  it('finds nothing wrong with a server in good order, in every check, with exit code 0', async () => {
    const { server } = await patient()
    const { code, findings } = await look(server.url)
    expect(code).toBe(0)
    expect([...new Set(findings.map(({ check }) => check))]).toEqual(Object.keys(CHECKS))
    const quick = findings.filter(({ check }) => check !== 'latency' && check !== 'disk')
    expect(quick.filter(({ level }) => level !== 'ok')).toEqual([])
    const { out } = await command(['doctor', '--redis-url', server.url, '--redis-key-prefix', keyPrefix])
    expect(out).toMatch(
      /^CHECK +RESULT +FOUND\nconnection +ok +Redis at redis:\/\/127\.0\.0\.1:\d+ answers\nversion +ok +redis 7/,
    )
    expect(out).toMatch(/\n\d errors?, \d warnings?, \d+ fine\n$/)
  })

  it('leaves nothing behind but a key that expires', async () => {
    const { server, redis } = await patient()
    await look(server.url)
    const keys = await redis.keys('*')
    expect(keys.filter((key) => !key.endsWith(':up:doctor'))).toEqual([])
    await until(async () => (await redis.dbsize()) === 0, 'the end of the key')
  })

  it.each<[what: string, config: Readonly<Record<string, string>>, check: string, level: string, found: RegExp]>([
    ['that evicts', { 'maxmemory-policy': 'allkeys-lru' }, 'eviction', 'error', /noeviction, got allkeys-lru/],
    ['without persistence', { appendonly: 'no' }, 'persistence', 'warning', /nothing is on disk/],
    [
      'with snapshots only',
      { appendonly: 'no', save: '3600 1' },
      'persistence',
      'warning',
      /snapshots only \(save 3600 1\)/,
    ],
    ['whose file is written when it likes', { appendfsync: 'no' }, 'persistence', 'warning', /half a minute/],
    ['without a bound of its memory', { maxmemory: '0' }, 'memory', 'warning', /maxmemory is not set/],
    ['with little memory', { maxmemory: '32mb' }, 'memory', 'warning', /of 32 MiB are used: that is little/],
  ])('tells of a server %s, and what it says to change mends it', async (_, config, check, level, found) => {
    const { server, redis } = await patient(config)
    const [fault, ...others] = await faults(server.url, [
      'version',
      'eviction',
      'persistence',
      'memory',
      'clients',
      'clock',
    ])
    expect(others).toEqual([])
    expect(fault).toMatchObject({ check, level, found: expect.stringMatching(found) })
    // CONFIG SET alone is gone with the next start
    const [, name = '', value = ''] =
      /^CONFIG SET (\S+) (\w+), and for the next start put "\1 \2" where its configuration stands$/.exec(
        fault?.change ?? '',
      ) ?? []
    await redis.config('SET', name, value)
    // a server that writes its first append-only file does not end
    const isWritten = async (): Promise<boolean> =>
      /aof_rewrite_in_progress:0[^]*aof_rewrite_scheduled:0/.test(await redis.info('persistence'))
    await until(isWritten, 'the append-only file')
    expect(await faults(server.url, [check])).toEqual([])
  })

  it('ends with exit code 1 for an error, and with --strict for a warning', async () => {
    const { server, redis } = await patient({ appendonly: 'no' })
    const codeOf = async (...flags: readonly string[]): Promise<number> =>
      (await command(['doctor', '--redis-url', server.url, ...flags])).code
    expect([await codeOf(), await codeOf('--strict')]).toEqual([0, 1])
    await redis.config('SET', 'maxmemory-policy', 'allkeys-lru')
    expect(await codeOf()).toBe(1)
  })

  it('tells of memory that is nearly full, and of clients', async () => {
    const { server, redis } = await patient({ maxmemory: '64mb', maxclients: '10' })
    await redis.setrange('large', 55 * 1024 * 1024, 'x')
    const others = Array.from({ length: 7 }, () => dial(server.socket))
    ends.push(async () => {
      for (const socket of others) socket.destroy()
    })
    await until(async () => /connected_clients:8/.test(await redis.info('clients')), 'eight clients')
    expect(await faults(server.url, ['memory', 'clients'])).toEqual([
      {
        ...{ check: 'memory', level: 'warning' },
        found: expect.stringMatching(/^5\d of 64 MiB are used/),
        change: expect.stringContaining('raise maxmemory'),
      },
      {
        ...{ check: 'clients', level: 'warning' },
        found: '9 of 10 clients are connected',
        change: expect.stringContaining('raise maxclients'),
      },
    ])
  })

  it('tells of an old version', async () => {
    const { server } = await patient()
    // the server that there is, but for the version that it says
    const change = (bytes: Buffer): Buffer =>
      Buffer.from(
        bytes
          .toString('latin1')
          .replace(
            /redis_version:(\S+)/,
            (_, version: string) => `redis_version:6.2.${'9'.repeat(version.length - 4)}`,
          ),
        'latin1',
      )
    const relay = await startRelay({ port: server.port, change })
    ends.push(() => relay.stop())
    expect(await faults(`redis://127.0.0.1:${relay.port}`, ['version'])).toEqual([
      {
        ...{ check: 'version', level: 'error' },
        found: expect.stringMatching(/^expected Redis 7\.0 or newer, got 6\.2\.9+$/),
        change: 'update the server',
      },
    ])
  })

  it('tells of a replica', async () => {
    const { server, redis } = await patient()
    await redis.replicaof('127.0.0.1', 1)
    expect(await faults(server.url, ['version'])).toEqual([
      {
        ...{ check: 'version', level: 'error' },
        found: expect.stringContaining('got a replica'),
        change: 'connect to its master',
      },
    ])
  })

  it('tells of rights that are missing, and the rules that it names give them', async () => {
    const { server, redis } = await patient()
    const allowed = rulesFor(tagOf(keyPrefix)).filter((rule) => rule !== '+zadd' && !rule.startsWith('&'))
    await redis.call('ACL', 'SETUSER', 'ada', 'on', '>pw', ...allowed)
    const url = `redis://ada:pw@127.0.0.1:${server.port}`
    const { code, findings } = await look(url)
    expect(code).toBe(1)
    const fault = findings.find(({ check }) => check === 'rights')
    expect(fault).toMatchObject({
      level: 'error',
      found: expect.stringMatching(/^the user may not call zadd, may not use all channels /),
    })
    const rules = (fault?.change ?? '').replaceAll("'", '').split(' ').slice(3)
    await redis.call('ACL', 'SETUSER', 'ada', ...rules)
    expect(await faults(url, ['rights', 'commands', 'data'])).toEqual([])
  })

  it('tells of commands that are renamed', async () => {
    const { server } = await patient({ include: configFile('rename-command ZADD ""') })
    expect(await faults(server.url, ['commands', 'rights'])).toEqual([
      {
        ...{ check: 'commands', level: 'error' },
        found: 'the server does not know zadd',
        change: expect.stringContaining('take rename-command for it out'),
      },
    ])
    const all = await patient({ include: configFile('rename-command INFO ""') })
    const found = await faults(all.server.url, ['version', 'commands'])
    expect(found.map(({ check, level }) => [check, level])).toEqual([
      ['version', 'unknown'],
      ['commands', 'error'],
    ])
  })

  it('tells of a slow network', async () => {
    const { server } = await patient()
    const relay = await startRelay({ port: server.port, delayMs: 8 })
    ends.push(() => relay.stop())
    expect(await faults(`redis://127.0.0.1:${relay.port}`, ['latency'])).toEqual([
      {
        ...{ check: 'latency', level: 'warning' },
        found: expect.stringMatching(/^a reply takes \d/),
        change: expect.stringContaining('nearer'),
      },
    ])
  })

  it('tells of a slow disk', async () => {
    const { server, redis } = await patient()
    await redis.call('DEBUG', 'AOF-FLUSH-SLEEP', '60000')
    const found = await faults(server.url, ['disk'])
    await redis.call('DEBUG', 'AOF-FLUSH-SLEEP', '0')
    expect(found).toEqual([
      {
        ...{ check: 'disk', level: 'warning' },
        found: expect.stringMatching(/^a write takes \d+ ms, a reply /),
        change: expect.stringContaining('faster disk'),
      },
    ])
  })

  it('tells of a disk that takes nothing', async () => {
    const { server, redis } = await patient()
    mkdirSync(join(server.folder, 'dump.rdb')) // no snapshot can be put there
    await redis.bgsave()
    await until(
      async () => /rdb_last_bgsave_status:err/.test(await redis.info('persistence')),
      'the failure of the snapshot',
    )
    // nothing asked for that snapshot, so writes are taken
    const fault = { check: 'persistence', change: expect.stringContaining('make room') }
    expect(await faults(server.url, ['persistence', 'disk'])).toEqual([
      { ...fault, level: 'warning', found: 'the last snapshot failed (rdb_last_bgsave_status)' },
    ])
    await redis.config('SET', 'save', '3600 1')
    ends.push(() => redis.config('SET', 'save', '')) // else it cannot save at its end, and does not end
    const [refused, disk] = await faults(server.url, ['persistence', 'disk'])
    expect(refused).toEqual({
      ...fault,
      level: 'error',
      found: expect.stringContaining('so Redis refuses every write'),
    })
    expect(disk).toMatchObject({ check: 'disk', level: 'error' })
    await redis.config('SET', 'stop-writes-on-bgsave-error', 'no')
    expect(await faults(server.url, ['persistence', 'disk'])).toMatchObject([{ level: 'warning' }])
  })

  it('tells of a node of a Cluster', async () => {
    const { server } = await patient({ 'cluster-enabled': 'yes', 'cluster-port': String(await freePort()) })
    expect(await faults(server.url, ['host'])).toEqual([
      {
        ...{ check: 'host', level: 'error', found: 'expected one server, got a node of a Cluster' },
        change: expect.stringContaining('cluster-enabled no'),
      },
    ])
  })

  it('tells of a clock that is off', async () => {
    const { server } = await patient()
    const found = await faults(server.url, ['clock'], { now: () => Date.now() + 90_000 })
    expect(found).toEqual([
      {
        ...{ check: 'clock', level: 'warning' },
        found: expect.stringMatching(/^the clock of Redis is (89\.\d|90\.0) s behind/),
        change: expect.stringContaining('NTP'),
      },
    ])
  })

  it('tells of what lies under the prefix and is not ours, or of another release', async () => {
    const { server, redis } = await patient()
    const { main } = keysOf(tagOf(keyPrefix))
    await redis.hset(main, 'v', '99')
    expect(await faults(server.url, ['data'])).toMatchObject([
      { level: 'error', found: expect.stringMatching(/expected version \d+ .* got 99/) },
    ])
    await redis.del(main)
    await redis.set(main, 'text')
    expect(await faults(server.url, ['data'])).toMatchObject([
      { level: 'error', found: expect.stringContaining('got another type') },
    ])
  })

  it('tells why it cannot connect, and what to do', async () => {
    const { server } = await patient({}, { password: 'pw' })
    const http = createServer((_, response) => response.end()).listen(0, '127.0.0.1')
    await once(http, 'listening')
    ends.push(() => new Promise((resolve) => http.close(resolve)))
    const said = async (url: string): Promise<unknown> => {
      const { code, findings } = await look(url)
      return [
        code,
        findings.map(({ check, level, found, change }) => `${check} ${level} ${found}; ${change ?? ''}`).join(),
      ]
    }
    expect(await said('redis://127.0.0.1:1')).toEqual([
      1,
      expect.stringMatching(/^connection error .*ECONNREFUSED.*--redis-url$/),
    ])
    expect(await said(`redis://127.0.0.1:${server.port}`)).toEqual([
      1,
      expect.stringMatching(/^connection error .*refuses us: .*NOAUTH.*asks for a password/),
    ])
    expect(await said(`redis://:wrong@127.0.0.1:${server.port}`)).toEqual([
      1,
      expect.stringMatching(/WRONGPASS.*check the user and the password/),
    ])
    expect(await said(`redis://127.0.0.1:${(http.address() as AddressInfo).port}`)).toEqual([
      1,
      expect.stringMatching(/another kind of server/),
    ])
  })

  describe('judges what a server says of itself', () => {
    const MIB = 1024 * 1024
    const good = { redis_version: '7.4.0', redis_mode: 'standalone', aof_enabled: '1', maxclients: '100' }
    type Facts = Readonly<Record<string, string | number>>
    const asMap = (facts: Facts): ReadonlyMap<string, string> =>
      new Map(Object.entries(facts).map(([name, value]) => [name, String(value)]))
    const told = (check: string, info: Facts, config: Facts = {}): readonly string[] =>
      ofInfo(asMap({ ...good, ...info }), asMap(config))
        .filter((finding) => finding.check === check)
        .map(({ level, found, change = '' }) => `${level}: ${found}: ${change}`)
    const disk = (info: Facts, config: Facts, writeMs = 1): string => {
      const asked = { writeMs, replyMs: 1, shown: (ms: number) => `${ms} ms` }
      const { level, found, change = '' } = diskOf({ info: asMap(info), config: asMap(config) }, asked)
      return `${level}: ${found}: ${change}`
    }

    it('asks for two thirds of the machine, for more where more is used, and for another machine where that is too much', () => {
      const used = (mib: number): readonly string[] =>
        told('memory', { used_memory: mib * MIB, total_system_memory: 3_000 * MIB, maxmemory: 0 })
      expect(used(100)).toEqual([expect.stringMatching(/CONFIG SET maxmemory 2000mb, /)])
      expect(used(1_500)).toEqual([expect.stringMatching(/CONFIG SET maxmemory 2250mb, /)])
      expect(used(1_900)).toEqual([
        expect.stringMatching(/: give the machine more memory: 1900 of its 3000 MiB are used/),
      ])
      expect(used(10)).not.toEqual([expect.stringContaining('CONFIG REWRITE')])
      const file = { config_file: '/etc/redis/redis.conf', maxmemory: 0 }
      expect(told('memory', file)).toEqual([expect.stringMatching(/, and for the next start CONFIG REWRITE$/)])
    })

    it('takes a failed rewrite and a failed snapshot for warnings, as long as writes are taken', () => {
      expect(told('persistence', { aof_last_bgrewrite_status: 'err' })).toEqual([
        expect.stringMatching(/^warning: .* rewrite/),
      ])
      expect(told('persistence', { rdb_last_bgsave_status: 'err' })).toEqual([expect.stringMatching(/^warning: /)])
      const both = { rdb_last_bgsave_status: 'err', aof_last_write_status: 'err' }
      expect(told('persistence', both, { save: '60 1', 'stop-writes-on-bgsave-error': 'yes' })).toEqual([
        ...[expect.stringMatching(/^error: .*aof_last_write_status/), expect.stringMatching(/^error: .*snapshot/)],
      ])
    })

    it('tells of a Sentinel, and on what a server runs', () => {
      expect(told('host', { redis_mode: 'sentinel' })).toEqual([expect.stringMatching(/^error: .*got a Sentinel/)])
      expect(told('host', { os: 'Linux 6.1 x86_64' }, { save: '' })).toEqual(['ok: standalone, on Linux 6.1 x86_64: '])
      expect(told('host', {})).toEqual([expect.stringContaining('its configuration cannot be read')])
    })

    it('blames the disk only where there is a file, and asks for everysec only where it is not set', () => {
      const slow = 100
      expect(disk({ aof_enabled: 0 }, {}, slow)).toMatch(/^warning: .*it is not the disk: look at SLOWLOG GET/)
      expect(disk({ aof_enabled: 1 }, { appendfsync: 'everysec' }, slow)).toMatch(
        /: put the append-only file on a faster disk$/,
      )
      expect(disk({ aof_enabled: 1 }, { appendfsync: 'always' }, slow)).toMatch(
        /faster disk, or CONFIG SET appendfsync everysec/,
      )
    })

    it('forgets a write that waited for the disk long ago', () => {
      const delayed = (count: number, hours: number): string =>
        disk(
          { aof_enabled: 1, aof_delayed_fsync: count, uptime_in_seconds: hours * 3_600 },
          { appendfsync: 'everysec' },
        )
      expect(delayed(1, 48)).toMatch(/^ok: /)
      expect(delayed(100, 48)).toMatch(/^warning: 100 writes have waited for the disk in 48\.0 hours/)
    })
  })

  it('has its checks in docs/command.md', () => {
    const told = Object.entries(CHECKS).map(([check, looksAt]) => [`\`${check}\``, looksAt])
    expect(tableRows(readDoc('command.md'), 'doctor')).toEqual(told)
  })
})
