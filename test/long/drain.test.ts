/** A worker process that an operator asks to leave. */
import { Stage } from '../support/redis-stage.js'
import { sharedRedis } from '../support/shared-redis.js'
import { until } from '../support/waits.js'
import { flow } from './drain.tasks.js'

it('O6: drained, a worker takes nothing new, finishes what it has, and ends; another goes on', async () => {
  const stage = new Stage(await sharedRedis(), require.resolve('./drain.tasks.ts'))
  try {
    const [one, client] = await Promise.all([stage.worker('one'), stage.client()])
    const run = await client.submit(flow, [1])
    await until(async () => (await run.status()).groups[0]?.running === 1, 'a branch in hand')
    expect(await client.workers.drain('nobody')).toBe(false)
    expect(await client.workers.drain('one')).toBe(true)
    await one.said(/was asked to leave/)
    await one.said(/is draining: 1 in flight/)
    const later = await client.submit(flow, [2])
    for (const { id } of [run, later]) stage.ledger.open(`${id} open`)
    expect(await one.exited).toMatchObject({ code: 0 })
    expect((await later.status()).state).toBe('pending')
    await stage.worker('two')
    expect([await run.result(), await later.result()]).toEqual([[1], [2]])
    expect(await client.workers.drain('one')).toBe(false)
  } finally {
    await stage.end()
  }
}, 60_000)
