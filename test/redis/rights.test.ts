/** What a user of Redis must be allowed: the list is that of the code and of the page, and who lacks a part of it is told when it connects. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, each, seq, task } from 'graflow'
import { Worker } from 'graflow/worker'
import { tagOf } from '../../lib/backend/redis/keys.js'
import { commandsCalled, DISPENSABLE, OF_DURABILITY, rulesFor, setUser } from '../../lib/backend/redis/rights.js'
import type { GraflowError } from '../../lib/errors.js'
import { failureOf } from '../support/captured-errors.js'
import { Gate } from '../support/gate.js'
import { localWorker } from '../support/local-worker.js'
import { type Stage, useStage } from '../support/redis-stage.js'
import { freshPrefix, privateRedis } from '../support/shared-redis.js'
import { until } from '../support/waits.js'
import { infoOf } from '../support/world.js'
import { readDoc } from '../repo-rules/doc-table.js'
import { luaTexts } from './lua-sources.js'

const open = useStage()
const work = task('work', (n: number) => n + 1)

let users = 0
/** A user of the stage's server with these rules; the address with which it connects. */
async function userOf(stage: Stage, ...rules: readonly string[]): Promise<string> {
  const name = `user-${(users += 1)}`
  await stage.redis.call('ACL', 'SETUSER', name, 'reset', 'on', '>pw', ...rules)
  return `redis://${name}:pw@127.0.0.1:${stage.server.port}`
}

const refusalOf = async (url: string, keyPrefix: string): Promise<GraflowError> =>
  failureOf(connect(url, { keyPrefix, logLevel: 'silent' }))

describe('the commands that are called', () => {
  const folder = join(__dirname, '../../lib/backend/redis')
  const own = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => /\.(ts|mjs)$/.test(file) && !file.endsWith('rights.ts'))
    .map((file) => readFileSync(join(folder, file), 'utf8'))
  /** Words of capitals in quotes, of which the server knows which are commands. */
  const wordsIn = (texts: Iterable<string>): ReadonlySet<string> =>
    new Set([...texts].flatMap((text) => [...text.matchAll(/'([A-Z]+)'/g)].map(([, word = '']) => word)))
  const rootOf = (name: string): string => name.split('|', 1)[0] ?? name
  const commandsIn = async (texts: Iterable<string>): Promise<readonly string[]> => {
    const stage = await open()
    const known = new Set(((await stage.redis.command('LIST')) as string[]).map((name) => name.toUpperCase()))
    return [...wordsIn(texts)].filter((word) => known.has(word) && !['KEYS', 'READONLY'].includes(word)).sort() // these are answers
  }

  it('are those of the scripts, and of whatever else speaks to Redis', async () => {
    const listed = [...commandsCalled(1), ...DISPENSABLE, ...OF_DURABILITY].map((name) => `'${rootOf(name)}'`)
    expect(await commandsIn([...luaTexts.values(), ...own])).toEqual(await commandsIn(listed))
  })

  it('are written in docs/redis.md, as rules of a user', () => {
    const page = readDoc('redis.md').replace(/ \\\n +/g, ' ')
    expect(page).toContain(setUser('graflow', ['on', '>password', ...rulesFor(tagOf('graflow'))]))
  })
})

describe('a user of Redis', () => {
  it('needs nothing but what is listed', async () => {
    const stage = await open()
    const url = await userOf(stage, ...rulesFor(tagOf(stage.prefix)))
    const client = await stage.client({}, url)
    const lines: string[] = []
    client.events.subscribe('log', ({ message }) => lines.push(message))
    const failing = task('failing', { retry: { attempts: 2, delayMs: 1 } }, () => {
      throw new Error('no')
    })
    await localWorker(stage, 'w', [work, failing], url)
    expect(await client.run(each(work).to(each(work)), [1, 2])).toEqual([3, 4])
    const failed = await client.submit(each(failing), [1])
    expect((await failureOf(failed.result())).code).toBe('GROUP_FAILED')
    expect(
      await client.run(
        each(work),
        Array.from({ length: 2_000 }, (_, n) => n),
      ),
    ).toHaveLength(2_000)
    expect(lines).toEqual([])
    const refused = ((await stage.redis.call('ACL', 'LOG')) as unknown[]).filter((entry) =>
      JSON.stringify(entry).includes(new URL(url).username),
    )
    // a name of a connection is no more than a help for who looks at Redis; its configuration may be hidden
    expect(refused.filter((entry) => !/setname|config\|get/.test(JSON.stringify(entry)))).toEqual([])
  }, 20_000)

  it('FT-D28: that may not call one of them is told which when it connects, in a client and a worker', async () => {
    const stage = await open()
    const denied = commandsCalled()
    const said: unknown[] = []
    for (const name of denied) {
      const url = await userOf(stage, '~*', '&*', '+@all', `-${name.toLowerCase()}`)
      const { code, message } = await refusalOf(url, stage.prefix)
      said.push([code, message.includes(setUser('<user>', [`+${name.toLowerCase()}`])) ? name : message])
    }
    expect(said).toEqual(denied.map((name) => ['REDIS_UNSUITABLE', name]))
    const redisUrl = await userOf(stage, '~*', '&*', '+@all', '-zadd', '-xread')
    const worker = new Worker({ redisUrl, keyPrefix: stage.prefix, tasks: [work], logLevel: 'silent' })
    const { code, message } = await failureOf(worker.start())
    expect([code, message]).toEqual([
      'REDIS_UNSUITABLE',
      expect.stringContaining('the user may not call xread, zadd; ACL SETUSER <user> +xread +zadd'),
    ])
    expect(await stage.redis.keys(`${tagOf(stage.prefix)}:*`)).toEqual([])
  }, 20_000)

  it('that may not use all keys or channels is told the pattern', async () => {
    const stage = await open()
    const tag = tagOf(stage.prefix)
    const rules = [
      [['&*', '~other:*'], `may not use all keys ${tag}:*; ACL SETUSER <user> '~${tag}:*'`],
      [['&*', `~${tag}:[a-m]*`], `may not use all keys ${tag}:*; ACL SETUSER <user> '~${tag}:*'`],
      [['&*', `%R~${tag}:*`], `may not use all keys ${tag}:*; ACL SETUSER <user> '~${tag}:*'`],
      [['~*', 'resetchannels'], `may not use all channels ${tag}:*; ACL SETUSER <user> '&${tag}:*'`],
      [['~*', `&${tag}:act:*`], `may not use all channels ${tag}:*; ACL SETUSER <user> '&${tag}:*'`],
      [['~*', 'resetchannels', '-zadd'], `may not call zadd, may not use all channels ${tag}:*; ACL`],
      [['-zadd'], `may not use all keys ${tag}:*, may not use all channels ${tag}:*; ACL SETUSER <user> '~`],
      [['~*', '&*', '-@pubsub'], 'may not call publish, pubsub|numsub, subscribe, unsubscribe; ACL'],
      [['~*', '&*', '-@write'], `zadd, zrem, may not use all keys ${tag}:*; ACL SETUSER <user> '~${tag}:*' +append`],
    ] as const
    for (const [given, expected] of rules) {
      const { code, message } = await refusalOf(await userOf(stage, '+@all', ...given), stage.prefix)
      expect([code, message]).toEqual(['REDIS_UNSUITABLE', expect.stringContaining(expected)])
    }
    expect(
      await refusalOf(`${await userOf(stage, '~*', '+@all', `&${tag}:act:*`, `&${tag}:alive:*`)}/3`, stage.prefix),
    ).toMatchObject({
      message: expect.stringContaining('may not use all channels'),
    })
  })

  it('whose rights are taken while it is connected is told the command, once in the log, and goes on when it has them again', async () => {
    const stage = await open()
    const url = await userOf(stage, '~*', '&*', '+@all')
    const { username } = new URL(url)
    const client = await stage.client({}, url)
    const log: string[] = []
    client.events.subscribe('log', ({ level, message }) => log.push(`${level} ${message}`))
    const worker = await localWorker(stage, 'w', [work], url)
    worker.emitter.subscribe('log', ({ level, message }) => log.push(`${level} ${message}`))
    // the readers of notices: without them all is slower, and nothing fails
    await stage.redis.call('ACL', 'SETUSER', username, '-xread')
    expect(await client.run(each(work), [1, 2])).toEqual([2, 3])
    await until(() => log.length === 2, 'client and worker say it')
    expect(log).toEqual([expect.stringMatching(/^warn .*\+xread/), log[0]])
    await stage.redis.call('ACL', 'SETUSER', username, '+@all', '-hset')
    const { code, message } = await failureOf(client.run(each(work), [1]))
    expect([code, message]).toEqual(['REDIS_UNSUITABLE', expect.stringContaining('+hset ')])
    await stage.redis.call('ACL', 'SETUSER', username, '+@all')
    expect(await client.run(each(work), [1, 2])).toEqual([2, 3])
    expect(log.filter((line) => line.includes('+xread'))).toHaveLength(2)
  }, 20_000)

  it('who may not call for a moment, just when work ends: its results arrive when it may again', async () => {
    const stage = await open()
    const url = await userOf(stage, '~*', '&*', '+@all')
    const { username } = new URL(url)
    const gate = new Gate()
    const starts: number[] = []
    const held = task('held', async (n: number) => {
      starts.push(n)
      await gate.pass()
      return n
    })
    const { session } = await localWorker(stage, 'w', [held], url)
    const client = await stage.client()
    const [group, driven] = [await client.start(each(held), [1, 2]), await client.submit(seq(held), 3)]
    await gate.reached(3)
    await stage.redis.call('ACL', 'SETUSER', username, '-fcall')
    gate.open()
    await until(() => session.holdings.branchesInFlight === 0, 'the branches have ended')
    await stage.redis.call('ACL', 'LOG', 'RESET')
    const deniedTimes = async (): Promise<number> => {
      const entries = (await stage.redis.call('ACL', 'LOG')) as (string | number)[][]
      return entries.reduce((sum, entry) => sum + Number(entry[1]), 0)
    }
    await until(async () => (await deniedTimes()) > 4, 'its calls are refused')
    await stage.redis.call('ACL', 'SETUSER', username, '+fcall')
    expect([await group.result(), await driven.result()]).toEqual([[1, 2], 3])
    expect(starts.sort()).toEqual([1, 2, 3])
  }, 20_000)

  it('that may not read a record does not take it for damaged', async () => {
    const stage = await open()
    const url = await userOf(stage, '~*', '&*', '+@all')
    const { username } = new URL(url)
    const client = await stage.client()
    const run = await client.start(each(work), [1, 2])
    await until(async () => (await run.status()).groups[0]?.ready === 2, 'the group is dispatched')
    const backend = await stage.backend({ address: url })
    const request = { session: 'w', nonce: 'n', max: 2, queues: ['default'], capabilities: [] }
    await backend.session({ kind: 'open', session: 'w', ttlMs: 60_000, info: { ...infoOf('w'), tasks: ['work'] } })
    // all but groups
    await stage.redis.call('ACL', 'SETUSER', username, 'resetkeys', `~${tagOf(stage.prefix)}:[ac-z]*`)
    const denied = await failureOf(backend.acquire(request))
    expect([denied.code, denied.message]).toEqual(['REDIS_UNSUITABLE', expect.stringContaining('may not use all keys')])
    await stage.redis.call('ACL', 'SETUSER', username, 'allkeys')
    expect(await stage.redis.hgetall(stage.keys.broken)).toEqual({})
    expect(await backend.acquire(request)).toMatchObject({ status: 'ok', grants: [{ indexes: Uint32Array.of(0, 1) }] })
    await run.cancel()
  })
})

describe('a server that has renamed a command', () => {
  let folder = ''
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'graflow-renamed-'))
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  it.each(['ZADD', 'XREAD', 'INFO', 'FCALL', 'FUNCTION', 'AUTH'])(
    'is told which when somebody connects: %s',
    async (renamed) => {
      const secret = 'qZ7x'
      const config = join(folder, `${renamed}.conf`)
      writeFileSync(config, `rename-command ${renamed} ""\n`)
      const server = await privateRedis({ config: { include: config } })
      const url = renamed === 'AUTH' ? server.url.replace('//', `//ada:${secret}@`) : server.url
      const { code, message, cause } = await refusalOf(url, freshPrefix())
      expect([code, message]).toEqual([
        'REDIS_UNSUITABLE',
        expect.stringContaining(`does not know ${renamed.toLowerCase()}; take rename-command for it out`),
      ])
      // Redis repeats the arguments of a command that it does not know
      expect(`${message} ${String(cause)} ${cause instanceof Error ? cause.stack : ''}`).not.toContain(secret)
    },
  )
})
