/** What a leader does in Redis that a store in a process does not need. */
import type { TendAnswer } from '../../lib/backend/backend.js'
import { keysOf } from '../../lib/backend/redis/keys.js'
import { useBackend, type StagedBackend } from '../support/redis-stage.js'
import { sharedRedis } from '../support/shared-redis.js'
import { worldOn, bytes, type World } from '../support/world.js'

const stage = useBackend()

interface Janitored extends StagedBackend {
  readonly world: World
  /** Walks through the store; how many things were changed. */
  walk(kind: 'graphs' | 'orphans'): Promise<number>
  keysWith(part: string): Promise<string[]>
}

async function janitored(): Promise<Janitored> {
  const staged = await stage(await sharedRedis())
  const { backend, redis, tag } = staged
  const world = await worldOn(backend)
  await backend.lead({ kind: 'stand', session: 'w', ttlMs: 60_000 })
  return {
    ...staged,
    world,
    walk: async (kind) => {
      let count = 0
      let cursor: string | undefined = ''
      while (cursor !== undefined) {
        const answer: TendAnswer = await backend.tend({ kind, session: 'w', term: 1, cursor })
        if (answer.status !== 'ok') throw new Error('expected that it leads')
        count += answer.count
        cursor = answer.cursor
      }
      return count
    },
    keysWith: async (part) => (await redis.keys(`${tag}:*`)).filter((key) => key.includes(part)).sort(),
  }
}

/** A run with groups, outputs, a channel with a list and an idempotency key. */
async function fullRun(world: World, runId: string): Promise<void> {
  const holder = await world.start(runId, { idempotencyKey: `key of ${runId}` })
  await world.dispatch(holder, `${runId}/0`, { size: 2 })
  await world.dispatch(holder, `${runId}/1`, { size: 40 })
  const paths = ['2']
  await world.step(holder, { save: { paths, values: { bytes: bytes('x'), ends: new Uint32Array([1]) } } })
  const write = { nonce: world.nonce(), key: 'a:v' } as const
  await world.backend.channel(runId, holder, { kind: 'append', item: bytes('x'), ...write })
}

describe('the janitor', () => {
  it('deletes what belongs to runs whose record is gone, and nothing of others', async () => {
    const { world, redis, tag, walk, keysWith } = await janitored()
    for (const runId of ['user:4', 'user:42', 'user:42:b']) await fullRun(world, runId)
    const before = await keysWith('user')
    expect(await walk('orphans')).toBe(0)
    expect(await keysWith('user')).toEqual(before)
    const keys = keysOf(tag)
    await redis.del(keys.run('user:42'))
    const ofIt = before.filter((key) => /user:42(?!:b)/.test(key))
    expect(ofIt.length).toBeGreaterThan(7)
    expect(await walk('orphans')).toBe(ofIt.length - 1)
    expect(await keysWith('user')).toEqual(before.filter((key) => !ofIt.includes(key)))
    expect(await world.backend.inspect.run('user:4')).toMatchObject({ state: 'running' })
    expect(await redis.get(keys.idempotency('key of user:42:b'))).toBe('user:42:b')
  })

  it('keeps graphs of runs that have not ended, and lets go those of others', async () => {
    const { world, redis, tag, walk } = await janitored()
    const keys = keysOf(tag)
    for (const graph of ['used', 'over', 'forever']) await world.backend.putGraph(graph, bytes(graph))
    await world.start('a', { graph: 'used' })
    await world.start('b', { graph: 'used' })
    await world.start('c', { graph: 'forever' })
    const over = await world.start('d', { graph: 'over' })
    await world.step(over, { end: { state: 'completed', value: bytes('') } })
    for (const graph of ['used', 'over']) await redis.expire(keys.graph(graph), 1_000)
    await redis.persist(keys.graph('forever'))
    expect(await walk('graphs')).toBe(1)
    expect(await redis.ttl(keys.graph('used'))).toBeGreaterThan(80_000)
    expect(await redis.ttl(keys.graph('over'))).toBeLessThanOrEqual(1_000)
    expect(await redis.ttl(keys.graph('forever'))).toBe(-1)
  })
})
