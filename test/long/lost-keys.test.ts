/**
 * Any one key of a running system is deleted, cut off, or of another type. What can be made anew is, and the run gives its result; who waits for
 * what is truly gone is told; and the next run is as quick as ever.
 */
import { each, seq } from 'graflow'
import type { Redis } from 'ioredis'
import { keysOf } from '../../lib/backend/redis/keys.js'
import { Stage } from '../support/redis-stage.js'
import { sharedRedis } from '../support/shared-redis.js'
import { until, within } from '../support/waits.js'
import { itemOf, sum, work } from './lost.tasks.js'

const flow = seq(each(work), sum)
const items = Array.from({ length: 48 }, (_, n) => itemOf(n))
const total = items.reduce((all, { n }) => all + n, 0)

/** Nothing lies under these: two are channels, and some are written only in other flows. */
const NOT_HERE = new Set(['activity', 'alive', 'channelLocks', 'packed', 'waits'])

/** What there is of each kind of key, in patterns of names. */
const patterns = Object.entries(keysOf('T'))
  .filter(([name]) => !NOT_HERE.has(name))
  .map(([name, key]): [string, string] => [
    name,
    typeof key === 'string' ? key.slice(1) : (Reflect.apply(key, undefined, ['*', '*']) as string).slice(1),
  ])

type Loss = (redis: Redis, key: string) => Promise<unknown>

const LOSSES: Readonly<Record<string, Loss>> = {
  deleted: (redis, key) => redis.del(key),
  'cut off': cutOff,
  'of another type': async (redis, key) => {
    const isList = (await redis.type(key)) === 'list'
    const change = redis.multi().del(key) // at once: whoever works here may make it anew
    return (isList ? change.set(key, 'another type') : change.rpush(key, 'another type')).exec()
  },
}

async function cutOff(redis: Redis, key: string): Promise<unknown> {
  const half = (size: number): number => Math.ceil(size / 2)
  switch (await redis.type(key)) {
    case 'hash': {
      const fields = await redis.hkeys(key)
      // it may have ended since its type was read: nothing of it is left to cut
      return fields.length === 0 ? undefined : redis.hdel(key, ...fields.slice(0, half(fields.length)))
    }
    case 'zset':
      return redis.zremrangebyrank(key, 0, half(await redis.zcard(key)) - 1)
    case 'list':
      return redis.ltrim(key, half(await redis.llen(key)), -1)
    case 'stream':
      return redis.xtrim(key, 'MAXLEN', 0)
    case 'string': {
      const value = await redis.getBuffer(key)
      return redis.set(key, value?.subarray(0, value.length / 2) ?? '')
    }
    default:
      return undefined
  }
}

/** Losses tried at the same time, each in a system of its own: most of the time of a loss is waiting for its repair. */
const AT_ONCE = 6

const stages: Stage[] = []
afterAll(async () => {
  for (const stage of stages) await stage.end()
})

async function system() {
  const stage = new Stage(await sharedRedis(), require.resolve('./lost.tasks.ts'))
  stages.push(stage)
  await Promise.all(['one', 'two'].map((id) => stage.worker(id, { maxConcurrentTasks: 4 })))
  return { stage, client: await stage.client() }
}

/** Loses every key of a pattern while a run is under way; how that run ends. The next one must give its result. */
async function endingAfter({ stage, client }: Awaited<ReturnType<typeof system>>, pattern: string, lose: Loss) {
  const run = await client.start(flow, items)
  const result = run.result().then(
    ({ n }) => (n === total ? 'its result' : `another result: ${n}`),
    (error: unknown) => `an error: ${(error as { code?: string }).code ?? String(error)}`,
  )
  await until(async () => {
    const [group] = (await run.status()).groups
    return (group?.succeeded ?? 0) >= 4
  }, 'work')
  const tag = stage.keys.main.slice(0, -2)
  // a key that is one of its kind is harmed also where it is not there at the moment
  const found = pattern.includes('*')
    ? await stage.redis.keys(`${tag.replace(/[*?[\]\\]/g, '\\$&')}${pattern}`)
    : [`${tag}${pattern}`]
  const own = pattern.startsWith(':r:') || pattern.startsWith(':b:')
  for (const key of found.filter((key) => !own || key.includes(run.id))) await lose(stage.redis, key)
  const ending = await within(45_000, result, `a result or an error after the loss of ${pattern}`)
  const next = await within(
    45_000,
    client.run(flow, [1, 2, 3].map(itemOf)),
    `the next run after the loss of ${pattern}`,
  )
  expect([pattern, next.n]).toEqual([pattern, 6])
  return ending
}

/** What nothing but a hint, a list of work or an index lies under: it can be made anew. */
const REMADE =
  /^(main|lanes|lane|delayed|sessions|bases|waiting|broken|lost|inbox|idempotency|runs|pins|workflows|due|purge|wakes|todo|deadLetters|quarantine|lead|nodes|about): /

/** What is lost, how, and how the run under way ended: all of it at once, since the systems serve every test of this file. */
let losses: Promise<ReadonlyMap<string, readonly string[]>> | undefined

async function loseEverything(): Promise<ReadonlyMap<string, readonly string[]>> {
  const told = new Map(Object.keys(LOSSES).map((how): [string, string[]] => [how, []]))
  const left = patterns.flatMap(([name, pattern]) => Object.keys(LOSSES).map((how) => ({ name, pattern, how })))
  const loseAll = async (own: Awaited<ReturnType<typeof system>>): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const ending = await endingAfter(own, next.pattern, LOSSES[next.how] as Loss)
      told.get(next.how)?.push(`${next.name}: ${ending}`)
    }
  }
  const all: Promise<void>[] = []
  for (let i = 0; i < AT_ONCE; i += 1) all.push(loseAll(await system())) // one by one: many processes at once start slowly
  await Promise.all(all)
  return told
}

describe('a key of a running system', () => {
  it.each(Object.keys(LOSSES))(
    'that is %s stops neither its run nor the next in silence, whichever it is',
    async (how) => {
      losses ??= loseEverything()
      const told = (await losses).get(how) ?? []
      expect(told).toHaveLength(patterns.length)
      expect(told.filter((line) => REMADE.test(line) && !line.endsWith(': its result'))).toEqual([])
      expect(told.filter((line) => line.includes('another result'))).toEqual([])
    },
    240_000,
  )

  it('that is truly gone is told, also where the list of what is broken is of another type', async () => {
    const own = await system()
    await LOSSES['of another type']?.(own.stage.redis, own.stage.keys.broken)
    expect(await endingAfter(own, ':b:*:d', LOSSES['of another type'] as Loss)).toBe('an error: INTEGRITY')
    expect(await own.stage.redis.type(own.stage.keys.broken)).toBe('hash')
  })
})
