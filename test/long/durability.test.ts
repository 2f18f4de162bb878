/** Runs that wait for the disk of Redis, or for a replica. */
import { connect, seq, task, type Graflow } from 'graflow'
import { failureOf } from '../support/captured-errors.js'
import { Stage } from '../support/redis-stage.js'
import { privateRedis, sharedRedis } from '../support/shared-redis.js'
import { until } from '../support/waits.js'

const double = task('double', (n: number) => n * 2)
let open: (() => void) | undefined
const held = task('held', async (n: number) => {
  await new Promise<void>((resolve) => {
    open = resolve
  })
  return n
})
const clients: Graflow[] = []
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close()
})

async function clientOf(url?: string): Promise<Graflow> {
  const client = await (url === undefined ? connect({ logLevel: 'silent' }) : connect(url, { logLevel: 'silent' }))
  clients.push(client)
  return client
}

describe('durability', () => {
  it('is refused where the store cannot give it, by a start and before anything is there', async () => {
    const redis = await clientOf((await sharedRedis()).url)
    const embedded = await clientOf()
    const refused = async (client: Graflow, durability: 'fsync' | 'replica') =>
      (await failureOf(client.start(double, 1, { durability, id: 'refused' }))).message
    expect(await refused(embedded, 'fsync')).toMatch(/^run: durability: fsync is not available: the embedded store/)
    expect(await refused(embedded, 'replica')).toMatch(/connect to a Redis$/)
    expect(await refused(redis, 'fsync')).toMatch(/expected a Redis with appendonly yes/)
    expect(await refused(redis, 'replica')).toMatch(/expected a Redis with a replica/)
    expect(await failureOf(redis.attach('refused'))).toMatchObject({ code: 'RUN_NOT_FOUND' })
    expect(await failureOf(redis.start(double, 1, { durability: 'disk' as never }))).toMatchObject({
      code: 'INVALID_OPTION',
    })
    expect(await embedded.run(double, 2, { durability: 'async' })).toBe(4)
  })

  it('fsync needs no more where Redis writes to its disk before it answers', async () => {
    const client = await clientOf((await privateRedis({ persistence: 'always' })).url)
    expect(await client.run(seq(double, double), 1, { durability: 'fsync' })).toBe(4)
  })

  it('replica waits until one has what the run has written, and says so meanwhile', async () => {
    const server = await privateRedis()
    const replica = await privateRedis({ config: { replicaof: `127.0.0.1 ${server.port}` } })
    const client = await clientOf(server.url)
    const stage = new Stage(server)
    await until(async () => (await stage.redis.info('replication')).includes('state=online'), 'a replica')
    await stage.end()
    const run = await client.start(seq(double, held), 2, { durability: 'replica' })
    await until(async () => open !== undefined, 'the handler')
    const said: string[] = []
    client.events.subscribe('log', ({ message }) => said.push(message))
    await replica.freeze()
    open?.()
    let isOver = false
    const result = run.result().finally(() => {
      isOver = true
    })
    await until(async () => said.some((line) => line.includes('waits until its writes are on a replica')), 'a log line')
    expect([isOver, (await run.status()).state]).toEqual([false, 'completed'])
    expect(await failureOf(client.start(double, 1, { durability: 'replica' }))).toMatchObject({ code: 'NOT_DURABLE' })
    replica.thaw()
    expect(await result).toBe(4)
  }, 30_000)
})
