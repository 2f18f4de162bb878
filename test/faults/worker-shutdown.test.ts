/** Workers that are asked to end: soon, with nothing lost and nothing spent, whatever they are doing. */
import { join } from 'node:path'
import { each } from 'graflow'
import { blocking, gated, stubborn } from './fault.tasks.js'
import { monotonicMs } from '../support/ledger.js'
import { useStages } from '../support/redis-stage.js'
import { until } from '../support/waits.js'

const open = useStages(join(__dirname, 'fault.tasks.ts'))

describe('FT-W20: SIGTERM', () => {
  it.concurrent('while idle: ends at once', async () => {
    await using stage = await open()
    const a = await stage.worker('a')
    a.signal('SIGTERM')
    expect((await a.ends(2_000)).code).toBe(0)
  })

  it.concurrent('FT-D2: after a while without Redis, holding nothing: ends at once', async () => {
    await using stage = await open({})
    const a = await stage.worker('a')
    await stage.server.kill9()
    await a.said(/the store is away/, 10_000)
    // an idle worker asks for work every 5 s, also who has sent no notice
    const from = monotonicMs()
    await until(() => monotonicMs() - from > 6_500, 'a call that is not answered', 10_000)
    a.signal('SIGTERM')
    expect((await a.ends(3_000)).code).toBe(0)
  }, 30_000)

  it.concurrent.each(['SIGTERM', 'SIGINT'] as const)(
    'X10: while a task runs (%s): takes nothing new, finishes the task, ends with 0',
    async (signal) => {
      await using stage = await open()
      const a = await stage.worker('a')
      const client = await stage.client()
      const run = await client.start(each(gated), [{ n: 0, gate: 'go' }])
      await stage.ledger.until('start')
      a.signal(signal)
      await a.said(/drain/i)
      const late = await client.start(each(gated), [{ n: 1 }])
      stage.ledger.open('go')
      expect(await run.result()).toEqual([0])
      expect((await a.ends(5_000)).code).toBe(0)
      expect((await late.status()).groups).toMatchObject([{ ready: 1, running: 0 }])
      expect(stage.ledger.notes('start')).toHaveLength(1)
      await stage.worker('b')
      expect(await late.result()).toEqual([1])
    },
  )

  it.concurrent('X11: while a task does not end: ends after its grace; the task is started elsewhere with its attempt unspent', async () => {
    await using stage = await open()
    const a = await stage.worker('a', { gracefulShutdownTimeoutMs: 1_000 })
    const client = await stage.client()
    const run = await client.start(each(stubborn), [{ n: 0, gate: 'go' }])
    await stage.ledger.until('start')
    const askedAt = performance.now()
    a.signal('SIGTERM')
    const { code, at } = await a.ends(5_000)
    expect(code).toBe(0)
    expect(at - askedAt).toBeGreaterThan(900)
    expect(at - askedAt).toBeLessThan(3_000)
    expect(stage.ledger.notes('signal')).toHaveLength(1)
    expect(a.output).toContain('releases what did not finish within 1000 ms: 1 task (stubborn); others start it again')
    expect((await run.status()).groups).toMatchObject([{ ready: 1, running: 0 }])
    await stage.worker('b')
    stage.ledger.open('go')
    expect(await run.result()).toEqual([0])
    expect(stage.ledger.notes('start').map(({ details }) => details['attempt'])).toEqual([1, 1])
  })

  it.concurrent('while a handler keeps the event loop: is heard when that ends, and its outcome counts', async () => {
    await using stage = await open()
    const a = await stage.worker('a', { gracefulShutdownTimeoutMs: 1_000 })
    const client = await stage.client()
    const run = await client.start(each(blocking), [4_000])
    await stage.ledger.until('start')
    const askedAt = performance.now()
    a.signal('SIGTERM')
    const { code, at } = await a.ends(10_000)
    expect(code).toBe(0)
    expect(at - askedAt).toBeGreaterThan(1_000 + 2_000)
    expect(stage.ledger.notes('end')).toHaveLength(1)
    expect(await run.result()).toEqual([4_000])
  })

  it.concurrent('while a handler keeps the event loop: SIGKILL ends the process, and another starts the task soon', async () => {
    await using stage = await open()
    const workers = await Promise.all(['a', 'b'].map((id) => stage.worker(id, { gracefulShutdownTimeoutMs: 100 })))
    const client = await stage.client()
    const run = await client.start(each(blocking), [3_000])
    const [first] = await stage.ledger.until('start')
    const victim = workers.find(({ pid }) => pid === first?.pid)
    victim?.signal('SIGTERM')
    await victim?.kill9()
    await stage.ledger.until('start', 2)
    expect(stage.ledger.notes('end')).toEqual([])
    expect(await run.result()).toEqual([3_000])
  })

  it.concurrent('twice: ends at once, and loses nothing', async () => {
    await using stage = await open()
    const a = await stage.worker('a')
    const client = await stage.client()
    const run = await client.start(each(stubborn), [{ n: 0, gate: 'go' }])
    await stage.ledger.until('start')
    a.signal('SIGTERM')
    await a.said(/drain/i)
    const askedAt = performance.now()
    a.signal('SIGTERM')
    const { at } = await a.ends(2_000)
    expect(at - askedAt).toBeLessThan(1_000)
    expect(a.output).toContain('worker a ends at once, and releases 1 task (stubborn); others start it again')
    await stage.worker('b')
    stage.ledger.open('go')
    expect(await run.result()).toEqual([0])
    expect(stage.ledger.notes('start')).toHaveLength(2)
  })

  it.concurrent('while Redis is away: ends within its grace', async () => {
    await using stage = await open()
    const proxy = await stage.proxy()
    const a = await stage.worker('a', { url: proxy.url, gracefulShutdownTimeoutMs: 1_000 })
    const client = await stage.client()
    const run = await client.start(each(stubborn), [{ n: 0, gate: 'go' }])
    await stage.ledger.until('start')
    proxy.refuse()
    expect(proxy.killAll()).toBeGreaterThan(0)
    const askedAt = performance.now()
    a.signal('SIGTERM')
    const { code, at } = await a.ends(5_000)
    expect(code).toBe(0)
    expect(at - askedAt).toBeLessThan(1_400) // with room for a busy machine
    await stage.worker('b')
    stage.ledger.open('go')
    expect(await run.result()).toEqual([0])
  })

  it.concurrent('while Redis does not answer and nothing runs: ends at once', async () => {
    await using stage = await open()
    const proxy = await stage.proxy()
    const a = await stage.worker('a', { url: proxy.url, gracefulShutdownTimeoutMs: 1_000 })
    proxy.freeze()
    const askedAt = performance.now()
    a.signal('SIGTERM')
    const { code, at } = await a.ends(5_000)
    expect(code).toBe(0)
    expect(at - askedAt).toBeLessThan(1_400) // the time of the question whether it is there, with room for a busy machine
  })
})

describe('FT-W21: SIGTERM with much in advance', () => {
  it.concurrent('gives back what was granted and not started, and spends no attempt', async () => {
    await using stage = await open()
    const a = await stage.worker('a', { maxConcurrentTasks: 2 })
    const client = await stage.client()
    // short tasks make the worker take more than it has slots for
    const short = Array.from({ length: 1_000 }, (_, n) => ({ n }))
    await client.run(each(gated), short)
    const items = Array.from({ length: 150 }, (_, n) => ({ n: 1_000 + n, gate: 'go' }))
    const held = async (): Promise<number> => (await client.queues.get('default'))?.running ?? 0
    // for 100 ms: then what could not start is given back anyway; so it is looked for without a rest, from before the start
    let most = 0
    const seen = (async () => {
      for (const from = monotonicMs(); most <= 2 && monotonicMs() - from < 10_000; ) most = await held()
    })()
    const run = await client.start(each(gated), items)
    await seen
    expect(most).toBeGreaterThan(2)
    a.signal('SIGTERM')
    await a.said(/drain/i)
    await until(async () => (await held()) === 2, 'what was not started is given back')
    stage.ledger.open('go')
    expect((await a.ends(5_000)).code).toBe(0)
    const startedAt = monotonicMs()
    await stage.worker('b')
    expect(await run.result()).toEqual(items.map(({ n }) => n))
    const starts = stage.ledger.notes('start').slice(1_000)
    expect(starts.map(({ details }) => details['attempt'])).toEqual(items.map(() => 1))
    expect(starts.filter(({ at }) => at > startedAt)).toHaveLength(148)
  })
})
