/** What every process hears of the others, from the store. */
import { join } from 'node:path'
import { task } from 'graflow'
import { Worker, WorkerPool } from 'graflow/worker'
import { failureOf } from '../support/captured-errors.js'
import { workerHere } from '../support/local-worker.js'
import { type Stage, useStage } from '../support/redis-stage.js'
import { until } from '../support/waits.js'
import type { CLUSTER_EVENTS, Events } from '../../lib/events.js'

const open = useStage(join(__dirname, 'announced.tasks.ts'))
const add = task('add', (n: number) => n + 1)

/** What these events tell from now on, in words. */
function told(events: Events): string[] {
  const seen: string[] = []
  const note =
    (name: (typeof CLUSTER_EVENTS)[number]) =>
    (event: object): void => {
      const { workerId, leaderId, reason } = event as Partial<Record<string, string>>
      seen.push(`${name} ${workerId ?? leaderId ?? ''}${reason === undefined ? '' : ` ${reason}`}`)
    }
  events.subscribe('worker:registered', note('worker:registered'))
  events.subscribe('worker:deregistered', note('worker:deregistered'))
  events.subscribe('worker:stale', note('worker:stale'))
  events.subscribe('leader:changed', note('leader:changed'))
  return seen
}

const untilTold = (seen: readonly string[], what: string): Promise<void> =>
  until(
    () => seen.includes(what),
    () => `${what} is told; so far ${seen.join(', ')}`,
    30_000,
  )

/** Resolves once so many processes hear what happens: what happens before, they miss. */
const untilHeardBy = (stage: Stage, count: number): Promise<void> =>
  until(async () => {
    const [, subscribers] = await stage.redis.pubsub('NUMSUB', stage.keys.activity('#'))
    return Number(subscribers) >= count
  }, `${count} listen`)

const plain = (
  stage: Stage,
): { readonly redisUrl: string; readonly keyPrefix: string; readonly logLevel: 'silent' } => ({
  ...{ redisUrl: stage.server.url, keyPrefix: stage.prefix },
  logLevel: 'silent',
})

describe('events of the processes of a store', () => {
  it('come to every process that listens, whichever they happen in, once', async () => {
    const stage = await open()
    const client = await stage.client()
    const elsewhere = told(client.events)
    const worker = new Worker({
      ...plain(stage),
      workerId: 'a',
      tasks: [add],
      metadata: { zone: 'eu-1' },
      buildId: 'b1',
    })
    const own = told(worker.events)
    const facts: object[] = []
    client.events.subscribe('worker:registered', (event) => facts.push(event))
    await untilHeardBy(stage, 1)
    await worker.start()
    await untilHeardBy(stage, 2)
    await untilTold(elsewhere, 'leader:changed a')
    expect(facts[0]).toMatchObject({ workerId: 'a', tasks: ['add'], buildId: 'b1', isReturned: false })
    expect(facts[0]).toMatchObject({ metadata: { zone: 'eu-1', buildId: 'b1' }, capabilities: [] })
    await workerHere(stage, 'b', [add])
    await untilTold(own, 'worker:registered b')
    await worker.stop()
    await untilTold(elsewhere, 'leader:changed b')
    await untilTold(elsewhere, 'worker:deregistered a stopped')
    const about = (seen: readonly string[], id: string): readonly string[] =>
      seen.filter((line) => line.includes(` ${id}`))
    const life = ['worker:registered a', 'leader:changed a', 'worker:deregistered a stopped']
    expect(about(elsewhere, 'a')).toEqual(life)
    expect(about(own, 'a')).toEqual(life)
    expect(about(elsewhere, 'b')).toEqual(['worker:registered b', 'leader:changed b'])
  }, 30_000)

  it('tell of a worker that was killed when nothing was heard of it for long, and once more when it is dead', async () => {
    const stage = await open()
    const client = await stage.client()
    const seen = told(client.events)
    await untilHeardBy(stage, 1)
    const times = { heartbeatIntervalMs: 100, staleAfterMs: 300, deadAfterMs: 900 }
    await workerHere(stage, 'chief', [], { role: 'leader', ...times })
    const mortal = await stage.worker('mortal')
    await untilTold(seen, 'worker:registered mortal')
    expect(await client.workers.get('mortal')).toMatchObject({ id: 'mortal', pid: mortal.pid, isLeader: false })
    await mortal.kill9()
    await untilTold(seen, 'worker:deregistered mortal dead')
    const life = ['worker:registered mortal', 'worker:stale mortal', 'worker:deregistered mortal dead']
    expect(seen.filter((line) => line.includes(' mortal'))).toEqual(life)
    expect(await client.workers.get('mortal')).toMatchObject({ state: 'dead', inFlight: 0, pid: mortal.pid })
  }, 60_000)

  it('come from a pool once', async () => {
    const stage = await open()
    const pool = new WorkerPool({ ...plain(stage), workerId: 'pool', tasks: [add], workers: 3, role: 'worker' })
    const seen = told(pool.events)
    await pool.start()
    await untilHeardBy(stage, 3)
    const other = await workerHere(stage, 'other', [add])
    await untilTold(seen, 'leader:changed other')
    await other.stop()
    await untilTold(seen, 'worker:deregistered other stopped')
    await pool.stop()
    expect(seen.filter((line) => line.includes(' other'))).toEqual([
      ...['worker:registered other', 'leader:changed other', 'worker:deregistered other stopped'],
    ])
    for (const id of ['pool-1', 'pool-2', 'pool-3'])
      expect(seen.filter((line) => line.includes(id))).toEqual([
        ...[`worker:registered ${id}`, `worker:deregistered ${id} stopped`],
      ])
  }, 30_000)
})

describe('the list of workers', () => {
  it('has who is there, in pages, and who leads', async () => {
    const stage = await open()
    const client = await stage.client()
    expect(await client.workers.list()).toEqual({ items: [] })
    const leader = { role: 'leader', capabilities: ['gpu'], queues: ['default', 'q'], hostname: 'far' } as const
    await workerHere(stage, 'a', [add], leader)
    await workerHere(stage, 'b', [add], { role: 'worker' })
    const first = await client.workers.list({ limit: 1 })
    expect(first.items).toMatchObject([{ id: 'a', role: 'leader', isLeader: true, hostname: 'far', tasks: ['add'] }])
    expect(first.items).toMatchObject([{ queues: ['default', 'q', 'runs'], capabilities: ['gpu'], state: 'ready' }])
    const second = await client.workers.list({ limit: 1, cursor: first.cursor ?? '' })
    expect(second.items.map(({ id, isLeader }) => [id, isLeader])).toEqual([['b', false]])
    expect(second.cursor).toBeUndefined()
    expect(await client.workers.get('c')).toBeUndefined()
    const { registeredAt, seenAt } = (await client.workers.get('b')) ?? {}
    expect(Math.abs((registeredAt?.getTime() ?? 0) - Date.now())).toBeLessThan(30_000)
    expect(Math.abs((seenAt?.getTime() ?? 0) - Date.now())).toBeLessThan(30_000)
  }, 30_000)

  it.each([{ limit: 0 }, { limit: 1_001 }, { cursor: 5 as never }, { size: 5 } as never, null as never])(
    'refuses %p',
    async (page) => {
      const stage = await open()
      const client = await stage.client()
      expect(await failureOf(client.workers.list(page))).toMatchObject({ code: 'INVALID_OPTION' })
    },
  )
})
