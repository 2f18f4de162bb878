/** What a reading of metrics costs Redis, in commands, and what one record that cannot be read does to it. */
import type { Backend } from '../../lib/backend/backend.js'
import { Emitter } from '../../lib/events.js'
import { Metrics } from '../../lib/observe/metrics.js'
import { storeSources } from '../../lib/server/store-sources.js'
import { type StagedBackend, useBackend } from '../support/redis-stage.js'
import { sharedRedis } from '../support/shared-redis.js'
import { until } from '../support/waits.js'
import { infoOf, worldOn } from '../support/world.js'

const staged = useBackend()

/** As a worker exports it. */
const metricsOf = (backend: Backend): Metrics => {
  const onLeftOut = (message: string): void => {
    throw new Error(message)
  }
  return new Metrics({
    process: { tasks: [], inFlight: () => 0, graphHits: () => 0, now: () => 0, events: new Emitter(() => 0) },
    store: storeSources(
      'p',
      ['default'],
      (question) => question(backend),
      onLeftOut,
      () => Promise.resolve(undefined),
    ),
  })
}

async function open(): Promise<StagedBackend & { readonly read: () => Promise<string> }> {
  const stage = await staged(await sharedRedis())
  const metrics = metricsOf(stage.backend)
  return { ...stage, read: () => metrics.text().finally(() => metrics.close()) }
}

/** How often Redis carried out each command meanwhile, those included that scripts call. */
async function countedIn(
  { redis }: Pick<StagedBackend, 'redis'>,
  act: () => Promise<unknown>,
): Promise<Readonly<Record<string, number>>> {
  await redis.config('RESETSTAT')
  await act()
  const stats = await redis.info('commandstats')
  const calls = [...stats.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)]
  return Object.fromEntries(
    calls.flatMap(([, name = '', count]) => (name === 'config|resetstat' ? [] : [[name, Number(count)] as const])),
  )
}

describe('a reading of metrics', () => {
  it('costs the same however many workers there are, so that readings of all of them grow with their number only', async () => {
    const stage = await open()
    const { backend, read } = stage
    // none of them listens: nothing but the reading asks Redis for anything
    const join = (session: string, tasks: readonly string[] = []): Promise<unknown> =>
      backend.session({ kind: 'open', session, ttlMs: 60_000, info: { ...infoOf(session), tasks } })
    await join('w')
    await backend.sweep('w')
    const one = await countedIn(stage, read)
    const tasks = Array.from({ length: 100 }, (_, i) => `task-${i}`)
    for (let i = 0; i < 40; i += 1) await join(`w${i}`, tasks)
    await until(async () => (await backend.sweep('w')).status === 'ok', 'a sweep that is not too early')
    const many = await countedIn(stage, read)
    expect(await read()).toContain('graflow_workers{key_prefix="p",queue="default"} 41')
    expect(many).toEqual(one)
    expect(Object.values(one).reduce((sum, count) => sum + count, 0)).toBeLessThan(16)
  }, 20_000)

  it('asks few groups of a lane how long they have waited, and sees the one that others are put before', async () => {
    const stage = await open()
    const { backend } = stage
    const world = await worldOn(backend)
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/low', { size: 1, priority: -5 })
    await world.harness.advance(100)
    for (let i = 0; i < 40; i += 1) await world.dispatch(holder, `run/${i}`, { size: 1 })
    const { hget = 0 } = await countedIn(stage, () => backend.inspect.queues())
    expect(hget).toBeLessThan(14)
    const oldest = (await backend.inspect.queues()).find(({ queue }) => queue === 'default')?.oldestMs
    expect(oldest).toBeGreaterThanOrEqual(99)
  })

  it('says that the store is up though what one session said of itself cannot be read', async () => {
    const { backend, redis, tag, read } = await open()
    const world = await worldOn(backend)
    await world.join('broken')
    await redis.hset(`${tag}:wi:broken`, 'info', '{')
    await backend.sweep('driver')
    expect((await backend.inspect.sessions()).map(({ session }) => session)).toEqual(['w', 'driver'])
    const text = await read()
    expect(text).toContain('graflow_store_up{key_prefix="p"} 1')
    expect(text).toContain('graflow_store_bytes{')
  })
})
