/** Queues of which a worker may have only so many branches in flight: they are all used, at once, and never more of them. */
import { each, par, seq, task, type AnyNode } from 'graflow'
import { Worker } from 'graflow/worker'
import { monotonicMs } from '../support/ledger.js'
import { type Stage, useStage } from '../support/redis-stage.js'
import { elapse } from '../support/waits.js'

const open = useStage()
const LIMIT = 2
const NUMBERS = [1, 2, 3, 4, 5, 6]

/** How many parts of handlers of one queue are under way, and how many there were at most. */
class Count {
  now = 0
  most = 0

  async part<T>(value: T): Promise<T> {
    this.now += 1
    this.most = Math.max(this.most, this.now)
    await elapse(15) // time in which others could begin
    this.now -= 1
    return value
  }
}

async function serve(stage: Stage, tasks: readonly AnyNode[], queues: readonly string[], slots = 16): Promise<void> {
  const worker = new Worker({
    ...{ redisUrl: stage.server.url, keyPrefix: stage.prefix, tasks, queues, maxConcurrentTasks: slots },
    logLevel: 'silent',
  })
  stage.onEnd(() => worker.stop(100))
  await worker.start()
}

describe('a queue with a limit', () => {
  it.each([
    ['gpu:1', 1, 16],
    ['gpu:2', 2, 16],
    ['gpu:2', 2, 2],
  ])('%s is asked at once when a branch of it is over, with %i of %i slots', async (queue, limit, slots) => {
    const stage = await open()
    const count = new Count()
    const work = task('work', { queue: 'gpu' }, (n: number) => count.part(n))
    await serve(stage, [work], [queue], slots)
    const client = await stage.client()
    const begunAt = monotonicMs()
    expect(await client.run(each(work), NUMBERS)).toEqual(NUMBERS)
    expect(monotonicMs() - begunAt).toBeLessThan(2_000)
    // again, now that the task is known to be quick and may come without being asked for
    for (let i = 0; i < 5; i += 1) await client.run(each(work), NUMBERS)
    expect(monotonicMs() - begunAt).toBeLessThan(4_500)
    expect(count.most).toBe(limit)
  })

  it('leaves its slots to other queues, and takes turns with them', async () => {
    const stage = await open()
    const [limited, other] = [new Count(), new Count()]
    const gpu = task('gpu', { queue: 'gpu' }, (n: number) => limited.part(n))
    const cpu = task('cpu', (n: number) => other.part(n))
    await serve(stage, [gpu, cpu], ['default', 'gpu:1'], 4)
    const client = await stage.client()
    const begunAt = monotonicMs()
    const many = Array.from({ length: 40 }, (_, n) => n)
    await Promise.all([client.run(each(gpu), NUMBERS), client.run(each(cpu), many)])
    expect(monotonicMs() - begunAt).toBeLessThan(2_500)
    expect([limited.most, other.most > 1]).toEqual([1, true])
  })

  describe('holds it for what goes on', () => {
    const count = new Count()
    const plain = task('plain', (n: number) => n)
    const same = task('same', { queue: 'gpu' }, (n: number) => count.part(n))
    const forks = task('forks', { queue: 'gpu' }, async (n: number, ctx) => {
      await count.part(n)
      await ctx.run(plain, n)
      return count.part(n)
    })
    const forksSame = task('forks-same', { queue: 'gpu' }, async (n: number, ctx) => {
      await ctx.run(each(same), [n])
      return count.part(n)
    })
    const flaky = task(
      'flaky',
      { queue: 'gpu', retry: { attempts: 2, delayMs: 20, factor: 1, jitter: 0 } },
      async (n: number, ctx) => {
        await count.part(n)
        if (ctx.attempt < 2) throw new Error('once')
        return n
      },
    )
    const chained = seq(same, flaky, same)
    const spread = task('spread', { queue: 'gpu' }, async (n: number) => [await count.part(n)])
    const sum = task('sum', { queue: 'gpu' }, (ns: readonly number[]) => count.part(ns[0] ?? 0))
    const nested = seq(spread, each(plain), sum)
    const tasks = [plain, same, forks, forksSame, flaky, spread, sum]

    it.each<[string, (client: Awaited<ReturnType<Stage['client']>>) => Promise<unknown>, unknown]>([
      ['after ctx.run', (client) => client.run(each(forks), NUMBERS), NUMBERS],
      ['after ctx.run of its own queue', (client) => client.run(each(forksSame), NUMBERS), NUMBERS],
      ['after a retry', (client) => client.run(each(flaky), NUMBERS), NUMBERS],
      [
        'after a retry inside a chain',
        (client) => client.run(each(chained).configure({ queue: 'gpu' }), NUMBERS),
        NUMBERS,
      ],
      ['after an inner group', (client) => client.run(each(nested).configure({ queue: 'gpu' }), NUMBERS), NUMBERS],
      [
        'beside others',
        (client) => client.run(each(par(forks, flaky)), [1, 2]),
        [
          [1, 1],
          [2, 2],
        ],
      ],
    ])('%s', async (_, run, expected) => {
      const stage = await open()
      await serve(stage, tasks, ['default', `gpu:${LIMIT}`])
      const client = await stage.client()
      count.most = 0
      const begunAt = monotonicMs()
      expect(await run(client)).toEqual(expected)
      expect(monotonicMs() - begunAt).toBeLessThan(4_000)
      expect([count.now, count.most]).toEqual([0, LIMIT])
    })
  })
})
