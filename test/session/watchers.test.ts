/** Who watches runs: in one database of a Redis and not another, and as many of them as people like. */
import { each, task } from 'graflow'
import { Worker } from 'graflow/worker'
import { type Stage, useStage } from '../support/redis-stage.js'
import { Gate } from '../support/gate.js'

const open = useStage()

async function serve(stage: Stage, redisUrl: string, work: ReturnType<typeof task>, workerId: string): Promise<void> {
  const worker = new Worker({
    ...{ redisUrl, keyPrefix: stage.prefix, tasks: [work], workerId, logLevel: 'silent' as const },
  })
  stage.onEnd(() => worker.stop(100))
  await worker.start()
}

describe('who watches a run', () => {
  it('in one database hears nothing of a run with its id in another', async () => {
    const stage = await open()
    const gate = new Gate()
    const work = task('work', async (n: number) => {
      await gate.pass()
      return n
    })
    const urls = [0, 3].map((db) => `${stage.server.url}/${db}`)
    for (const [i, url] of urls.entries()) await serve(stage, url, work as never, `worker-${i}`)
    const clients = await Promise.all(urls.map((url) => stage.client({}, url)))
    const heard = clients.map((client) => {
      const workers = new Set<string>()
      client.events.subscribe('branch:started', ({ workerId }) => workers.add(workerId))
      client.events.subscribe('branch:settled', ({ workerId }) => workers.add(workerId))
      return workers
    })
    const runs = await Promise.all(clients.map((client) => client.start(each(work), [1, 2, 3], { id: 'same' })))
    gate.open()
    await Promise.all(runs.map((run) => run.result()))
    expect(heard.map((workers) => [...workers])).toEqual([['worker-0'], ['worker-1']])
  })

  it('may watch many, and start many with one signal, without a warning', async () => {
    const warnings: string[] = []
    const note = ({ message }: Error): void => void warnings.push(message)
    process.on('warning', note)
    const stage = await open()
    const work = task('work', (n: number) => n)
    await serve(stage, stage.server.url, work as never, 'w')
    const client = await stage.client()
    const { signal } = new AbortController()
    const runs = await Promise.all(Array.from({ length: 30 }, () => client.start(each(work), [1], { signal })))
    await Promise.all(
      runs.map(async (run) => {
        for await (const _ of run.events());
      }),
    )
    await new Promise((resolve) => setImmediate(resolve))
    process.off('warning', note)
    expect(warnings).toEqual([])
  })

  it('with a signal of many runs cancels all that go on, and none that are over', async () => {
    const stage = await open()
    const client = await stage.client()
    const controller = new AbortController()
    const over = await client.start(
      task('quick', (n: number) => n),
      1,
      { signal: controller.signal },
    )
    expect(await over.result()).toBe(1)
    const waits = task('waits', async (n: number, ctx) => {
      await new Promise<void>((resolve) => ctx.signal.addEventListener('abort', () => resolve()))
      return n
    })
    const runs = await Promise.all(
      Array.from({ length: 3 }, () => client.start(waits, 1, { signal: controller.signal })),
    )
    controller.abort('enough')
    for (const run of runs) await expect(run.result()).rejects.toMatchObject({ code: 'CANCELLED' })
    expect((await over.status()).state).toBe('completed')
  })
})
