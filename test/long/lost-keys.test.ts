/**
 * Any one key of a running system is deleted, cut off, or of another type. What can be made anew is, and the run gives its result; who waits for
 * what is truly gone is told; and the next run is as quick as ever.
 */
import type { Redis } from 'ioredis'
import { keysOf } from '../../lib/backend/redis/keys.js'
import { endingAfter, endSystems, keysLike, type Loss, runUnderWay, type System, system, withSystems } from './lost.js'

/** Nothing lies under these: two are channels, and some are written only in other flows. */
const NOT_HERE = new Set(['activity', 'alive', 'channelLocks', 'packed', 'waits'])

/** What there is of each kind of key, in patterns of names. */
const patterns = Object.entries(keysOf('T'))
  .filter(([name]) => !NOT_HERE.has(name))
  .map(([name, key]): [string, string] => [
    name,
    typeof key === 'string' ? key.slice(1) : (Reflect.apply(key, undefined, ['*', '*']) as string).slice(1),
  ])

afterAll(endSystems)

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

/** What nothing but a hint, a list of work or an index lies under: it can be made anew. */
const REMADE =
  /^(main|lanes|lane|delayed|sessions|bases|waiting|broken|lost|inbox|idempotency|runs|pins|workflows|due|purge|wakes|todo|deadLetters|quarantine|lead|nodes|about): /

/** What is lost, how, and how the run under way ended: all of it at once, since the systems serve every test of this file. */
let losses: Promise<ReadonlyMap<string, readonly string[]>> | undefined

async function loseEverything(): Promise<ReadonlyMap<string, readonly string[]>> {
  const told = new Map(Object.keys(LOSSES).map((how): [string, string[]] => [how, []]))
  const left = patterns.flatMap(([name, pattern]) => Object.keys(LOSSES).map((how) => ({ name, pattern, how })))
  await withSystems(left, async (own, { name, pattern, how }) => {
    told.get(how)?.push(`${name}: ${await endingAfter(own, `${name} was ${how}`, pattern, LOSSES[how] as Loss)}`)
  })
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
    expect(await endingAfter(own, 'tables', ':b:*:d', LOSSES['of another type'] as Loss)).toBe('an error: INTEGRITY')
    expect(await own.stage.redis.type(own.stage.keys.broken)).toBe('hash')
  })
})

const keys = keysOf('T')
const PATTERNS = {
  group: keys.group('*'),
  run: keys.run('*'),
  session: keys.session('*'),
  owned: keys.owned('*'),
  main: keys.main,
}

/** Fields that differ in a number or a name only are one kind. */
const kindOf = (field: string): string => field.replace(/^([nfyc]:).*/, '$1').replace(/\d+/g, '#')

interface LossOfField {
  readonly what: string
  readonly pattern: string
  readonly lose: Loss
}

/** Every kind of field that there is while a run is under way. */
async function lossesOf({ stage, client }: System): Promise<LossOfField[]> {
  const run = await runUnderWay(client)
  const losses: LossOfField[] = []
  for (const [name, key] of Object.entries(PATTERNS)) {
    const pattern = key.slice(1)
    const fields = await Promise.all(
      (await keysLike(stage, pattern)).map((found) => stage.redis.hkeys(found).catch(() => [])),
    )
    for (const kind of new Set(fields.flat().map(kindOf)))
      losses.push({
        what: `${name}: ${kind} was lost`,
        pattern,
        lose: async (redis, found) => {
          const lost = (await redis.hkeys(found).catch(() => [])).filter((field) => kindOf(field) === kind)
          if (lost.length > 0) await redis.hdel(found, ...lost)
        },
      })
  }
  await run.result()
  return losses
}

describe('a field of a running system', () => {
  it('that is lost stops neither its run nor the next in silence, whichever it is', async () => {
    const own = await system()
    const losses = await lossesOf(own)
    expect(losses.length).toBeGreaterThan(30)
    const told: string[] = []
    await withSystems(losses, async (one, { what, pattern, lose }) => {
      told.push(`${what}: ${await endingAfter(one, what, pattern, lose)}`)
    })
    expect(told.filter((line) => line.includes('another result'))).toEqual([])
    // what only says who has what is made anew
    const remade = /^(group: (t#|d|w|need|k#)|run: (driver|startedAt|opener)|session|owned|main): ?/
    expect(told.filter((line) => remade.test(line) && !line.endsWith(': its result'))).toEqual([])
    expect(told).toContain('group: t# was lost: its result')
  }, 240_000)
})
