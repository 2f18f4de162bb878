/** Behaviours that there are only with several processes: which worker does what, and what is left in Redis. */
import { par, seq, type AnyNode, type Graflow } from 'graflow'
import { Redis } from 'ioredis'
import {
  a,
  atMostOneFailure,
  b,
  c,
  double,
  final,
  long,
  onGpu,
  pair,
  threeParts,
  unserved,
  x,
  y,
} from './on-redis.tasks.js'
import { Worker, type WorkerOptions } from 'graflow/worker'
import { RedisPlace } from '../support/backends.js'
import { failureOf } from '../support/captured-errors.js'
import { Child } from '../support/processes.js'
import { freshPrefix, sharedRedis } from '../support/shared-redis.js'
import { until } from '../support/waits.js'

const place = new RedisPlace(__filename)
const clients: Graflow[] = []
let redis: Redis

beforeAll(async () => {
  redis = new Redis({ path: (await sharedRedis()).socket })
})
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()))
  await Promise.all(workersHere.splice(0).map((worker) => worker.stop()))
  await place.afterTest()
})
afterAll(async () => {
  redis.disconnect()
  await place.afterAll()
})

const own = async (client: Promise<Graflow>): Promise<Graflow> => {
  clients.push(await client)
  return client
}
/** A client with the two workers that the tests of this file share. */
const open = (): Promise<Graflow> => own(place.open())
/** A client under a prefix of its own. */
const connectTo = (prefix: string, options = {}): Promise<Graflow> => own(place.connect(prefix, options))

const workersHere: Worker[] = []
/** A worker in this process, for what needs no other one. */
async function workerHere(keyPrefix: string, tasks: readonly AnyNode[], options: WorkerOptions = {}): Promise<void> {
  const { url: redisUrl } = await sharedRedis()
  const worker = new Worker({ redisUrl, keyPrefix, tasks: [...tasks], logLevel: 'silent', ...options })
  workersHere.push(worker)
  await worker.start()
}

const keysOf = async (prefix: string): Promise<string[]> => redis.keys(`{${prefix}:0}:*`)

describe('on worker processes', () => {
  it('X1: three branches on two processes are executed once each, and what follows gets all results', async () => {
    const prefix = freshPrefix()
    await Promise.all(['w1', 'w2'].map((id) => place.worker({ id, keyPrefix: prefix, maxConcurrentTasks: 1 })))
    const graflow = await connectTo(prefix)
    const marks: string[] = []
    const workers = new Set<string>()
    graflow.events.subscribe('run:progress', ({ message = '' }) => marks.push(message))
    graflow.events.subscribe('branch:settled', ({ workerId }) => workers.add(workerId))
    expect(await graflow.run(threeParts, [1, 2, 3])).toBe(14)
    expect(marks.sort()).toEqual(['part 1', 'part 2', 'part 3'])
    expect([...workers].sort()).toEqual(['w1', 'w2'])
  })

  it('X3: with no worker a group fails at its timeoutMs, and after retention no key is left of its run', async () => {
    const prefix = freshPrefix()
    const graflow = await connectTo(prefix, { retentionMs: 1_000 })
    const before = performance.now()
    const run = await graflow.start(unserved, undefined)
    const error = await failureOf(run.result())
    const tookMs = performance.now() - before
    expect(error.code).toBe('GROUP_TIMEOUT')
    expect(error.details).toMatchObject({ group: '0', name: 'slow', timeoutMs: 1_000 })
    expect(tookMs).toBeGreaterThanOrEqual(990)
    expect(tookMs).toBeLessThan(2_000)
    expect((await run.status()).groups).toMatchObject([{ path: '0', state: 'withdrawn', width: 2, withdrawn: 2 }])
    const isLeft = async (): Promise<boolean> => (await keysOf(prefix)).some((key) => key.includes(run.id))
    expect(await isLeft()).toBe(true)
    await until(async () => !(await isLeft()), 'no key of the run')
    expect((await failureOf(run.status())).code).toBe('RUN_NOT_FOUND')
    expect(await redis.zrange(`{${prefix}:0}:runs`, 0, -1)).toEqual([])
  })

  // 45 s would show no more: a session lives for 3 s without being renewed.
  it('X4: a branch that takes longer than a session would live unrenewed succeeds, in its first attempt', async () => {
    const graflow = await open()
    expect(await graflow.run(par(long, double), 5_000)).toEqual([1, 10_000])
  })

  it('X12: 100 runs of one graph have one key for it, and one upload', async () => {
    const prefix = freshPrefix()
    await workerHere(prefix, [pair])
    const graflow = await connectTo(prefix)
    const { socket } = await sharedRedis()
    const monitor = new Child({ name: 'monitor', command: 'redis-cli', args: ['-s', socket, 'monitor'] })
    await monitor.said(/OK/)
    const inputs = Array.from({ length: 100 }, (_, i) => i)
    expect(await Promise.all(inputs.map((n) => graflow.run(pair, n)))).toEqual(inputs.map((n) => [2 * n, 2 * n]))
    expect((await keysOf(prefix)).filter((key) => key.includes('}:g:'))).toHaveLength(1)
    await redis.echo('all was said')
    await monitor.said(/all was said/)
    await monitor.kill9()
    expect(monitor.output.match(/"SET" "[^"]*\}:g:/g)).toHaveLength(1)
  })

  it('X17: two prefixes on one Redis see nothing of each other', async () => {
    const [one, other] = [freshPrefix(), freshPrefix()]
    await Promise.all([one, other].map((keyPrefix) => workerHere(keyPrefix, [pair], { workerId: 'only' })))
    const [first, second] = [await connectTo(one), await connectTo(other)]
    const runs = await Promise.all([first, second].map((graflow) => graflow.start(pair, 1, { id: 'same' })))
    for (const run of runs) expect(await run.result()).toEqual([2, 2])
    const third = await first.start(pair, 2, { id: 'mine' })
    await third.result()
    expect((await failureOf(second.attach('mine'))).code).toBe('RUN_NOT_FOUND')
    expect((await keysOf(other)).some((key) => key.includes('mine'))).toBe(false)
    expect((await keysOf(one)).some((key) => key.includes('mine'))).toBe(true)
  })

  it('X20: a branch that requires a capability runs on a worker that has it, and on no other', async () => {
    const prefix = freshPrefix()
    await Promise.all([
      workerHere(prefix, [onGpu], { workerId: 'plain' }),
      workerHere(prefix, [onGpu], { workerId: 'gpu', capabilities: ['gpu'] }),
    ])
    const graflow = await connectTo(prefix)
    const workers: string[] = []
    graflow.events.subscribe('branch:started', ({ workerId }) => workers.push(workerId))
    const items = Array.from({ length: 50 }, (_, i) => i)
    expect(await graflow.run(onGpu, items)).toEqual(items)
    expect(workers).toEqual(items.map(() => 'gpu'))
  })
})

/** An error with all that hangs on it, without what depends on where and when: stacks, and the run's id. */
function fieldsOf(value: unknown): unknown {
  if (value instanceof Error) {
    const { name, message, code, details, cause, errors } = value as Error & Partial<Record<string, unknown>>
    return fieldsOf({ isError: true, name, message, code, details, cause, errors })
  }
  if (Array.isArray(value)) return value.map(fieldsOf)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, item]) => key !== 'stack' && key !== 'runId' && item !== undefined)
      .map(([key, item]) => [key, fieldsOf(item)]),
  )
}

describe('a failure', () => {
  const all = { onFailure: 'wait' } as const
  const flows: readonly (readonly [string, AnyNode])[] = [
    ['strict', par(a, b, c).configure(all)],
    ['strict, nested and chained', par(seq(a, b), par(c, x).configure(all)).configure(all)],
    ['settled', seq(par(a, b, x).settled(), final)],
    ['atLeast', par(a, b, x, y).atLeast(2)],
    ['critical', par({ must: x, also: a, may: b }).critical('must', 'also').configure(all)],
    ['first', par(b, x, y).first()],
    ['a policy', par(a, b, x).join(atMostOneFailure)],
  ]
  it('J8, X21: has the same fields from a worker as in this process, under every rule', async () => {
    const { connect } = await import('graflow')
    const graflow = await open()
    const here = await own(connect({ logLevel: 'silent' }))
    for (const [what, flow] of flows) {
      const outcomes = await Promise.all(
        [here, graflow].map((client) =>
          client.run(flow, '' as never).then(
            (value: unknown) => value,
            (error: unknown) => error,
          ),
        ),
      )
      const [embedded, distant] = outcomes.map(fieldsOf)
      expect([what, distant]).toEqual([what, embedded])
      expect([what, JSON.stringify(distant)]).toEqual([what, expect.stringContaining('is broken')])
    }
  })

  it('X21: keeps type, message, stack, code and cause of what a worker’s handler threw', async () => {
    const graflow = await open()
    const error = await failureOf(graflow.run(par(a, b), ''))
    const thrown = (error.cause as Error).cause as Error
    expect(thrown).toMatchObject({ name: 'RangeError', message: 'b is broken', code: 'E_B' })
    expect(thrown.stack).toMatch(/RangeError: b is broken\n.*joins\.tasks/s)
  })
})
