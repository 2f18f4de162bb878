/** What `status()` counts: steps and branches, each once. */
import { connect, each, par, seq, task, type AnyNode, type Run } from 'graflow'
import { Worker } from 'graflow/worker'
import { manualClock } from '../../lib/time.js'
import { useStage } from '../support/redis-stage.js'
import { sharedRedis } from '../support/shared-redis.js'
import { until } from '../support/waits.js'

const useRedis = useStage()

const p = task('p', (x: number) => x)
const q = task('q', { queue: 'default' }, (x: number) => x + 1)
const fork = task('fork', async (x: number, ctx): Promise<number> => ctx.run(seq(p, q), x))

describe('status() counts', () => {
  it.each<[what: string, flow: AnyNode, total: number]>([
    ['steps and branches', seq(p, par(p, p)), 3],
    ['a branch that is handed on once', par(seq(p, q)), 2],
    ['a step whose handler dispatches as what it dispatches', fork, 2],
    [
      'items',
      seq(
        task('list', () => [1, 2]),
        each(p),
      ),
      3,
    ],
  ])('%s', async (_what, flow, total) => {
    await using graflow = await connect({ logLevel: 'silent' })
    const run = await graflow.start(flow as typeof p, 1)
    await run.result()
    expect(await run.status()).toMatchObject({ done: total, withdrawn: 0, total })
  })

  it('what was withdrawn, as done, and by itself', async () => {
    await using graflow = await connect({ logLevel: 'silent' })
    const never = task('never', (_: number, { signal }): Promise<number> => {
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
    })
    const run = await graflow.start(seq(p, par(p, never, never).first()), 1)
    await run.result()
    expect(await run.status()).toMatchObject({ done: 4, withdrawn: 2, total: 4 })
  })
})

describe('status() counts of a run whose groups are deleted', () => {
  const item = task('item', (x: number) => x)
  const routed = task('routed', { queue: 'q' }, (x: number) => x)
  const double = task('double', ([x]: readonly number[]) => [x ?? 0, 1])
  const dispatches = task('dispatches', async (x: number, ctx): Promise<number> => {
    await ctx.run(par(item, item), x)
    return x
  })
  const flow = seq(dispatches, par(seq(item, routed), routed), double, each(item))

  it('stay what they were, embedded', async () => {
    const clock = manualClock()
    await using graflow = await connect({ logLevel: 'silent', clock })
    const run = await graflow.start(flow, 1)
    await run.result()
    await expectKept(run, () => {
      clock.advance(600_001)
      return Promise.resolve()
    })
  })

  it('stay what they were, on Redis', async () => {
    const stage = await useRedis(await sharedRedis())
    const graflow = await stage.client()
    const worker = new Worker({
      ...{ redisUrl: stage.server.url, keyPrefix: stage.prefix, logLevel: 'silent' },
      ...{ queues: ['default', 'q'], tasks: [item, routed, double, dispatches] },
    })
    await worker.start()
    stage.onEnd(() => worker.stop())
    const run = await graflow.submit(flow, 1)
    await run.result()
    await expectKept(run, async () => {
      await stage.redis.zadd(stage.keys.purge, 0, `p ${run.id}`)
    })
  })
})

async function expectKept(run: Run<unknown>, passTime: () => Promise<void>): Promise<void> {
  const { done, withdrawn, total, groups } = await run.status()
  expect(groups.length).toBeGreaterThan(0)
  expect(total).toBeGreaterThan(6)
  await passTime()
  await until(async () => (await run.status()).groups.length === 0, 'the groups are deleted')
  expect(await run.status()).toMatchObject({ done, withdrawn, total })
}
