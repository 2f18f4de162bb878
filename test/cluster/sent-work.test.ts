/** Small groups of quick tasks are sent to workers that wait: what that saves, and what becomes of them when the worker is not there. */
import { each } from 'graflow'
import { gated } from '../faults/fault.tasks.js'
import { until, useStage, type Stage } from '../faults/stage.js'
import { monotonicMs } from '../support/ledger.js'

const open = useStage()

const callsOf = async ({ redis }: Stage): Promise<number> =>
  Number(/cmdstat_fcall:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1] ?? 0)

describe('a worker that knows a task to be quick', () => {
  it('is sent small groups of it: a run takes three calls', async () => {
    const stage = await open({})
    await stage.worker('a')
    const client = await stage.client()
    for (let n = 0; n < 5; n += 1) expect(await client.run(each(gated), [{ n }])).toEqual([n])
    await stage.redis.config('RESETSTAT')
    const began = monotonicMs()
    for (let n = 0; n < 100; n += 1) expect(await client.run(each(gated), [{ n }])).toEqual([n])
    const calls = await callsOf(stage)
    const sweeps = ((monotonicMs() - began) / 1_000) * 30
    // open with its group, settle, and the end; one in sixteen asks for more
    expect(calls / 100).toBeLessThanOrEqual(3.3 + sweeps / 100)
    expect(stage.ledger.notes('start')).toHaveLength(105)
  })
})

describe('an idle worker', () => {
  it('that stands still keeps a group that it was sent from others for no longer than two sweeps after two seconds', async () => {
    const stage = await open()
    const a = await stage.worker('a')
    const client = await stage.client()
    for (let n = 0; n < 5; n += 1) expect(await client.run(each(gated), [{ n }])).toEqual([n])
    const b = await stage.worker('b')
    await a.freeze()
    const began = monotonicMs()
    expect(await client.run(each(gated), [{ n: 5 }])).toEqual([5])
    expect(monotonicMs() - began).toBeGreaterThan(1_500) // it was sent
    expect(monotonicMs() - began).toBeLessThan(4_000)
    expect(stage.ledger.notes('start').at(-1)).toMatchObject({ pid: b.pid, details: { attempt: 1 } })
    a.thaw()
  })

  it('that was killed a moment ago is sent nothing', async () => {
    const stage = await open()
    const a = await stage.worker('a')
    const client = await stage.client()
    for (let n = 0; n < 5; n += 1) expect(await client.run(each(gated), [{ n }])).toEqual([n])
    const b = await stage.worker('b')
    await a.kill9()
    const numberOfAlive = async (): Promise<number> => (await stage.redis.pubsub('CHANNELS', '*:alive:a:*')).length
    await until(async () => (await numberOfAlive()) === 0, 'Redis has seen the end of its connection')
    expect(await client.run(each(gated), [{ n: 5 }])).toEqual([5])
    expect(stage.ledger.notes('start').at(-1)).toMatchObject({ pid: b.pid, details: { attempt: 1 } })
  })
})
