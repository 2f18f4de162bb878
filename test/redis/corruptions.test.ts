/**
 * One record of a run is garbage, of every kind and in every way: the run may fail, with a reason; the other run, sweeps, acquires and
 * cancelling do not.
 */
import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import type { Grant } from '../../lib/backend/backend.js'
import { pack, slice } from '../../lib/values/packed-items.js'
import { openRedisBackend } from '../../lib/backend/redis/redis-backend.js'
import { keysOf, tagOf, type Keys } from '../../lib/backend/redis/keys.js'
import { freshPrefix, sharedRedis } from '../support/shared-redis.js'
import { bytes, type Harness, World } from '../support/world.js'
import { elapse } from '../support/waits.js'

/** Delayed branches are due after so long. */
const DELAY_MS = 20
/** No sweep is skipped because of the one before. */
const SWEEP_GAP_MS = 110

const pause = (ms: number): Promise<void> => elapse(ms)

interface Scene {
  readonly world: World
  readonly redis: Redis
  readonly keys: Keys
  readonly held: readonly Grant[]
}

/** A run `a` with groups of every layout, of which branches are held, over, delayed, given back and waiting; and a healthy run `b`. */
async function play(test: (scene: Scene) => Promise<void>): Promise<void> {
  const server = await sharedRedis()
  const prefix = freshPrefix()
  const backend = await openRedisBackend({ address: server.unixUrl, keyPrefix: prefix })
  const redis = new Redis(server.socket)
  try {
    const harness: Harness = {
      ...{ backend, advance: pause, stall: pause, quiet: () => pause(5), newNonce: () => randomUUID() },
      close: () => Promise.resolve(),
    }
    const world = await World.make(harness)
    const a = await world.start('a')
    const b = await world.start('b')
    await world.dispatch(a, 'a/small', { size: 8, attempts: 9 })
    await world.dispatch(a, 'a/large', { size: 40, attempts: 9 })
    await world.dispatch(a, 'a/shared', { size: 40, shared: true, attempts: 9 })
    const parts = world.spec('a/parts', { size: 40, attempts: 9 })
    const inputs = pack(Array.from({ length: parts.size }, (_, i) => bytes(`i${i}`)))
    await world.step(a, { group: { spec: parts, from: 0, inputs: slice(inputs, 0, 30) } })
    await world.step(a, { group: { spec: parts, from: 30, inputs: slice(inputs, 30, 40) } })
    const held = await world.take(60)
    for (const grant of held) {
      const [one = 0, two = 1, three = 2, four = 3] = grant.indexes
      await world.settle(grant, 'succeeded', [one])
      await world.settle(grant, 'retry', [two], { delaysMs: [DELAY_MS] })
      await world.settle(grant, 'released', [three])
      const holder = { gid: grant.spec.gid, index: four, token: grant.token }
      await world.dispatch(holder, `${grant.spec.gid}/${four}/0`, { size: 2, depth: 2 })
    }
    await world.dispatch(b, 'b/small', { size: 5 })
    await world.dispatch(b, 'b/large', { size: 40 })
    await test({ world, redis, keys: keysOf(tagOf(prefix)), held })
  } finally {
    redis.disconnect()
    await backend.close()
  }
}

/** A key, or one field of a hash. */
interface Place {
  readonly key: string
  readonly field?: string
}
type Harm = (redis: Redis, place: Place) => Promise<unknown>

const HARMS: Readonly<Record<string, Harm>> = {
  'of another type': async (redis, { key }) => {
    const type = await redis.type(key)
    await redis.del(key)
    return type === 'list' ? redis.hset(key, 'a', 'hash') : redis.rpush(key, 'a list')
  },
  gone: (redis, { key, field }) => (field === undefined ? redis.del(key) : redis.hdel(key, field)),
  'cut off': (redis, place) => change(redis, place, (value) => value.subarray(0, Math.floor(value.length / 2))),
  'of huge numbers': (redis, place) => change(redis, place, (value) => Buffer.alloc(value.length, 0xff)),
  'of other numbers': (redis, place) => change(redis, place, (value) => value.map((byte, i) => byte ^ (i * 7))),
}

async function change(redis: Redis, { key, field }: Place, harm: (value: Buffer) => Uint8Array): Promise<void> {
  switch (await redis.type(key)) {
    case 'hash':
      for (const [name, value] of Object.entries(await redis.hgetallBuffer(key)))
        if (field === undefined || name === field) await redis.hset(key, name, Buffer.from(harm(value)))
      return
    case 'string':
      await redis.set(key, Buffer.from(harm((await redis.getBuffer(key)) ?? Buffer.alloc(0))))
      return
    case 'list':
      for (const [i, value] of (await redis.lrangeBuffer(key, 0, -1)).entries())
        await redis.lset(key, i, Buffer.from(harm(value)))
      return
    default:
  }
}

const GROUPS = ['a/small', 'a/large', 'a/shared', 'a/parts'] as const
/** What there may be of the run. */
const places = (keys: Keys): Place[] => [
  ...[keys.run('a'), keys.runGroups('a'), keys.group('a'), keys.children('a')].map((key) => ({ key })),
  ...['s', 'h', 'd', 't1'].map((field) => ({ key: keys.group('a'), field })),
  ...GROUPS.flatMap((gid) => [
    ...[keys.group(gid), keys.table(gid), keys.segment(gid, 0), keys.segment(gid, 1), keys.returned(gid)].map(
      (key) => ({ key }),
    ),
    ...[keys.outcomes(gid), keys.children(gid)].map((key) => ({ key })),
    ...['s', 'h', 'g', 'd', 'segs', 't1'].map((field) => ({ key: keys.group(gid), field })),
  ]),
]

describe('garbage', () => {
  it.each(Object.keys(HARMS))(
    '%s: takes nothing along but its own run',
    async (name) => {
      const harm = HARMS[name]
      const count = places(keysOf('')).length
      let harmed = 0
      const one = (at: number): Promise<void> =>
        play(async (scene) => {
          const { world, redis, keys, held } = scene
          const place = places(keys)[at]
          if (place === undefined || harm === undefined) return
          const { key, field } = place
          const isThere = field === undefined ? await redis.exists(key) : await redis.hexists(key, field)
          if (isThere === 0 || (field !== undefined && name === 'of another type')) return
          await harm(redis, place)
          harmed += 1
          const label = `${key.slice(keys.main.length - 1)} ${field ?? ''}`
          await pause(DELAY_MS)
          const refused: string[] = []
          const ask = async (what: string, call: () => Promise<unknown>): Promise<void> => {
            await call().catch((error: unknown) => refused.push(`${what}: ${String(error)}`))
          }
          for (let turn = 0; turn < 2; turn += 1) {
            await ask('sweep', () => world.backend.sweep('driver'))
            await pause(SWEEP_GAP_MS)
          }
          // healthy and other ranges travel together
          for (let turn = 0; turn < 8; turn += 1) {
            let grants: readonly Grant[] = []
            await ask('acquire', async () => (grants = await world.take(100)))
            if (grants.length === 0) break
            const ranges = grants.map((grant) => world.range(grant, 'succeeded'))
            await ask('settle', () => world.backend.settle({ session: 'w', ranges }))
          }
          for (const grant of held) await ask('settle', () => world.settle(grant, 'succeeded'))
          expect([label, await world.outcomes('b/small')]).toEqual([label, five])
          expect([label, await world.outcomes('b/large')]).toEqual([label, forty])
          await ask('look', () => world.backend.inspect.groups('a'))
          await ask('reconcile', () => world.backend.session({ kind: 'reconcile', session: 'w', known: [] }))
          if (key !== keys.run('a')) {
            const cancel = { kind: 'cancel-run', runId: 'a', reason: 'why', value: bytes('why') } as const
            await ask('cancel', () => world.backend.control(cancel))
          }
          await ask('close', () => world.backend.session({ kind: 'close', session: 'w' }))
          await ask('sweep', () => world.backend.sweep('driver'))
          expect([label, refused]).toEqual([label, key === keys.runGroups('a') ? expect.any(Array) : []])
        })
      for (let place = 0; place < count; place += 6)
        await Promise.all(Array.from({ length: Math.min(6, count - place) }, (_, i) => one(place + i)))
      expect(harmed).toBeGreaterThan(20)
    },
    60_000,
  )

  it('or nothing where a session has what it holds: what it settles counts, part by part', () =>
    play(async ({ world, redis, keys }) => {
      const grants = [...(await world.take(100)), ...(await world.take(100))]
      await redis.del(keys.owned('w'))
      for (const grant of grants) {
        const indexes = [...grant.indexes]
        for (const part of [indexes.splice(0, 1), indexes.splice(0, 2), indexes])
          if (part.length > 0) expect(await world.settle(grant, 'succeeded', part)).toBe('ok')
      }
      expect(await world.outcomes('b/small')).toEqual(five)
      expect(await world.outcomes('b/large')).toEqual(forty)
    }))
})

const five = Array.from({ length: 5 }, (_, i) => `succeeded:v${i}`)
const forty = Array.from({ length: 40 }, (_, i) => `succeeded:v${i}`)
