/**
 * Corruptions: one record of a run is garbage, of every kind and in every way. The run may fail, with a reason; the other run, sweeps,
 * acquires and cancelling do not.
 */
import type { Redis } from 'ioredis'
import type { Grant } from '../../lib/backend/backend.js'
import { pack, slice } from '../../lib/values/packed-items.js'
import type { Keys } from '../../lib/backend/redis/keys.js'
import { Stage } from '../support/redis-stage.js'
import { sharedRedis } from '../support/shared-redis.js'
import { elapse } from '../support/waits.js'
import { bytes, type World, worldOn } from '../support/world.js'

/** Delayed branches are due after so long. */
const DELAY_MS = 20
/** No sweep is skipped because of the one before. */
const SWEEP_GAP_MS = 110

/** So many places at once: they spend their time waiting. */
const AT_ONCE = 16

interface Scene {
  readonly world: World
  readonly redis: Redis
  readonly keys: Keys
  readonly held: readonly Grant[]
}

/** A run `a` with groups of every layout, of which branches are held, over, delayed, given back and waiting; and a healthy run `b`. */
async function play(test: (scene: Scene) => Promise<void>): Promise<void> {
  const stage = new Stage(await sharedRedis())
  try {
    const world = await worldOn(await stage.backend({ address: stage.server.unixUrl }))
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
      const [one = 0, two = 1, three = 2, four = 3, five = 4, six = 5] = grant.indexes
      await world.settle(grant, 'succeeded', [one])
      await world.settle(grant, 'retry', [two], { delaysMs: [DELAY_MS] })
      await world.settle(grant, 'released', [three])
      const holder = { gid: grant.spec.gid, index: four, token: grant.token }
      await world.dispatch(holder, `${grant.spec.gid}/${four}/0`, { size: 2, depth: 2 })
      const place = `${grant.spec.gid.slice(2)}/w`
      const wait = { place, address: place, dueMs: DELAY_MS, onDue: bytes('due'), isRepeated: false }
      await world.settle(grant, 'parked', [five, six], { parks: [{ wait, dueMs: DELAY_MS }, { dueMs: DELAY_MS }] })
    }
    await world.dispatch(b, 'b/small', { size: 5 })
    await world.dispatch(b, 'b/large', { size: 40 })
    await test({ world, redis: stage.redis, keys: stage.keys, held })
  } finally {
    await stage.end()
  }
}

/** A key, or one field of a hash. */
interface Place {
  readonly key: string
  readonly field?: string
}
type Corruption = (redis: Redis, place: Place) => Promise<unknown>

const CORRUPTIONS: Readonly<Record<string, Corruption>> = {
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

async function change(redis: Redis, { key, field }: Place, corrupt: (value: Buffer) => Uint8Array): Promise<void> {
  switch (await redis.type(key)) {
    case 'hash':
      for (const [name, value] of Object.entries(await redis.hgetallBuffer(key)))
        if (field === undefined || name === field) await redis.hset(key, name, Buffer.from(corrupt(value)))
      return
    case 'string':
      await redis.set(key, Buffer.from(corrupt((await redis.getBuffer(key)) ?? Buffer.alloc(0))))
      return
    case 'list':
      for (const [i, value] of (await redis.lrangeBuffer(key, 0, -1)).entries())
        await redis.lset(key, i, Buffer.from(corrupt(value)))
      return
    default:
  }
}

const GROUPS = ['a/small', 'a/large', 'a/shared', 'a/parts'] as const
/** What there may be of the run. */
const places = (keys: Keys): Place[] => [
  ...[keys.run('a'), keys.waits('a'), keys.runGroups('a'), keys.group('a'), keys.children('a')].map((key) => ({ key })),
  ...['s', 'h', 'd', 't1'].map((field) => ({ key: keys.group('a'), field })),
  ...GROUPS.flatMap((gid) => [
    ...[keys.group(gid), keys.table(gid), keys.segment(gid, 0), keys.segment(gid, 1), keys.requeued(gid)].map(
      (key) => ({ key }),
    ),
    ...[keys.outcomes(gid), keys.children(gid)].map((key) => ({ key })),
    ...['s', 'h', 'g', 'd', 'segs', 't1', 'w', 'q4'].map((field) => ({ key: keys.group(gid), field })),
  ]),
]

/** Those of `places` that there are in a scene, by number: what is not there cannot be corrupted. */
async function numbersThere(isFieldToo: boolean): Promise<readonly number[]> {
  const found: number[] = []
  await play(async ({ redis, keys }) => {
    for (const [at, { key, field }] of places(keys).entries()) {
      if (field !== undefined && !isFieldToo) continue
      const isThere = field === undefined ? await redis.exists(key) : await redis.hexists(key, field)
      if (isThere === 1) found.push(at)
    }
  })
  return found
}

describe('corruptions of a run’s records', () => {
  it.each(Object.keys(CORRUPTIONS))(
    'one that is %s fails no other run',
    async (name) => {
      const corrupt = CORRUPTIONS[name]
      const there = await numbersThere(name !== 'of another type')
      let corrupted = 0
      const one = (at: number): Promise<void> =>
        play(async (scene) => {
          const { world, redis, keys, held } = scene
          const place = places(keys)[at]
          if (place === undefined || corrupt === undefined) return
          const { key, field } = place
          const isThere = field === undefined ? await redis.exists(key) : await redis.hexists(key, field)
          if (isThere === 0) return
          await corrupt(redis, place)
          corrupted += 1
          const label = `${key.slice(keys.main.length - 1)} ${field ?? ''}`
          await elapse(DELAY_MS)
          const refused: string[] = []
          const ask = async (what: string, call: () => Promise<unknown>): Promise<void> => {
            await call().catch((error: unknown) => refused.push(`${what}: ${String(error)}`))
          }
          for (let turn = 0; turn < 2; turn += 1) {
            await ask('sweep', () => world.backend.sweep('driver'))
            await elapse(SWEEP_GAP_MS)
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
      for (let from = 0; from < there.length; from += AT_ONCE)
        await Promise.all(there.slice(from, from + AT_ONCE).map(one))
      expect(corrupted).toBe(there.length)
      expect(corrupted).toBeGreaterThan(20)
    },
    60_000,
  )

  it('what a session settles counts, part by part, when the list of what it holds is gone', () =>
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
