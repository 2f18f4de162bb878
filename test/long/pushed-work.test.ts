/** Small groups of quick tasks are pushed to workers that wait: what that saves, and what becomes of them when the worker is not there. */
import { join } from 'node:path'
import { each, type Graflow } from 'graflow'
import { gated } from '../faults/fault.tasks.js'
import { monotonicMs } from '../support/ledger.js'
import { type Stage, useStage } from '../support/redis-stage.js'
import { until } from '../support/waits.js'

const open = useStage(join(__dirname, '../faults/fault.tasks.ts'))

/** Whether the worker waits and has told that the task is quick: only then is it pushed groups of it. */
async function isReady({ redis, prefix }: Stage, worker: string): Promise<boolean> {
  const waiting = await redis.zrangebyscore(`{${prefix}:0}:wait`, 0, '+inf')
  const session = waiting.find((name) => name.startsWith(`${worker}:`))
  if (session === undefined) return false
  const [, , , , quick] = ((await redis.hget(`{${prefix}:0}:wi:${session}`, 'wait')) ?? '').split('\t')
  return quick?.includes(',gated,') === true
}

/** A worker that has found the task quick, which on a busy machine takes some starts; the number of the next item. */
async function warm(stage: Stage, worker: string): Promise<{ client: Graflow; n: number }> {
  const client = await stage.client()
  let n = 0
  await until(async () => {
    expect(await client.run(each(gated), [{ n }])).toEqual([n])
    n += 1
    return isReady(stage, worker)
  }, `${worker} waits for quick tasks`)
  return { client, n }
}

describe('a worker that knows a task to be quick', () => {
  it('is pushed small groups of it, each once', async () => {
    const stage = await open({})
    await stage.worker('a')
    const { client, n: first } = await warm(stage, 'a')
    for (let n = 0; n < 100; n += 1) expect(await client.run(each(gated), [{ n }])).toEqual([n])
    const [inbox = ''] = await stage.redis.keys(`{${stage.prefix}:0}:in:a:*`)
    const pushed = (await stage.redis.xrange(inbox, '-', '+')).filter(([, fields]) => fields.includes('granted'))
    expect(pushed.length).toBeGreaterThan(50) // some are fetched, when its room is used up
    expect(stage.ledger.notes('start')).toHaveLength(first + 100)
  })
})

describe('an idle worker', () => {
  it('that stands still does not keep a group that it was pushed from others', async () => {
    const stage = await open()
    const a = await stage.worker('a')
    const { client, n } = await warm(stage, 'a')
    const b = await stage.worker('b')
    await a.freeze()
    const began = monotonicMs()
    expect(await client.run(each(gated), [{ n }])).toEqual([n])
    expect(monotonicMs() - began).toBeGreaterThan(1_500) // it was pushed
    // its session may have expired a moment before, which counts as a loss: then it is the second start
    expect(stage.ledger.notes('start').at(-1)).toMatchObject({ pid: b.pid })
    a.thaw()
  })

  it('that was killed a moment ago is pushed nothing', async () => {
    const stage = await open()
    const a = await stage.worker('a')
    const { client, n } = await warm(stage, 'a')
    const b = await stage.worker('b')
    await a.kill9()
    const numberOfAlive = async (): Promise<number> => (await stage.redis.pubsub('CHANNELS', '*:alive:a:*')).length
    await until(async () => (await numberOfAlive()) === 0, 'Redis has seen the end of its connection')
    expect(await client.run(each(gated), [{ n }])).toEqual([n])
    expect(stage.ledger.notes('start').at(-1)).toMatchObject({ pid: b.pid, details: { attempt: 1 } })
  })
})
