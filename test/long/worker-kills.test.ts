/** Workers that are killed, at every step of what they do with a branch: nothing is lost, and nothing arrives twice. */
import { join } from 'node:path'
import { each } from 'graflow'
import { gated, hungry, poison } from '../faults/fault.tasks.js'
import { monotonicMs } from '../support/ledger.js'
import { workerHere } from '../support/local-worker.js'
import { type Child, endChildren } from '../support/processes.js'
import { script, useStage } from '../support/redis-stage.js'
import { elapse, until } from '../support/waits.js'

const open = useStage(join(__dirname, '../faults/fault.tasks.ts'))
/** Until another starts what a killed worker had: 200 ms after a sweep missed it, a sweep every 150 ms. */
const TAKEN_OVER_MS = 1_000

describe('a worker that is killed', () => {
  it('FT-W1: while it waits for work: new work wakes another', async () => {
    const stage = await open()
    const a = await stage.worker('a')
    await workerHere(stage, 'b', [gated])
    const client = await stage.client()
    await a.kill9()
    const startedAt = monotonicMs()
    expect(await client.run(each(gated), [{ n: 0 }, { n: 1 }])).toEqual([0, 1])
    const starts = stage.ledger.notes('start')
    expect(starts.map(({ pid }) => pid)).toEqual([process.pid, process.pid])
    expect((starts[1]?.at ?? Infinity) - startedAt).toBeLessThan(TAKEN_OVER_MS)
  })

  it('FT-W2: after it was told of work and before it took any: another is told', async () => {
    const stage = await open()
    const proxy = await stage.proxy()
    const a = await stage.worker('a', { url: proxy.url })
    const client = await stage.client()
    const b = await stage.worker('b')
    await b.freeze() // so that it is a who is told first
    const told = proxy.arm('hold-request', script('acquire'))
    const result = client.run(each(gated), [{ n: 0 }])
    await told.whenFired()
    b.thaw()
    expect(stage.ledger.notes('start')).toEqual([])
    await a.kill9()
    expect(await result).toEqual([0])
    expect(stage.ledger.notes('start')).toMatchObject([{ pid: b.pid, details: { attempt: 1 } }])
  })

  it('FT-W3: after its acquire was executed, without having heard of it: the next one starts as attempt 2', async () => {
    const stage = await open()
    const proxy = await stage.proxy()
    const a = await stage.worker('a', { url: proxy.url })
    const client = await stage.client()
    // Its first acquires are over, each of which writes since when it waits: the next one is that of the run.
    const waits = async (): Promise<string> => String(await stage.redis.zrange(stage.keys.waiting, 0, -1, 'WITHSCORES'))
    await until(async () => {
      const before = await waits()
      await elapse(200)
      return before !== '' && before === (await waits())
    }, 'a to wait for work')
    const fault = proxy.arm('hold-reply', script('acquire'), { skip: 1 }) // the first brings only what the group asks of a worker
    const run = await client.start(each(gated), [{ n: 0 }])
    await fault.whenFired()
    expect((await run.status()).groups[0]?.running).toBe(1)
    await a.kill9() // soon: a worker that hears nothing for long connects anew and asks again
    expect(stage.ledger.notes('start')).toEqual([])
    await workerHere(stage, 'b', [gated])
    expect(await run.result()).toEqual([0])
    expect(stage.ledger.notes('start')).toMatchObject([{ pid: process.pid, details: { attempt: 2 } }])
  })

  it('FT-W5, FT-W7, X5: in the middle of a task: another starts it within a second, with the same key and a larger fence, and it is counted once', async () => {
    const stage = await open()
    const client = await stage.client()
    let workers: Child[] = await Promise.all([stage.worker('w0'), stage.worker('w1')])
    const rounds = 3
    for (let round = 0; round < rounds; round += 1) {
      const gate = `round-${round}`
      const run = await client.start(each(gated), [{ n: round, gate }])
      const first = (await stage.ledger.until('start', 2 * round + 1)).at(-1)
      const victim = workers.find(({ pid }) => pid === first?.pid)
      const killedAt = monotonicMs()
      await victim?.kill9()
      const second = (await stage.ledger.until('start', 2 * round + 2)).at(-1)
      expect(workers.filter((worker) => worker !== victim).map(({ pid }) => pid)).toEqual([second?.pid])
      expect((second?.at ?? Infinity) - killedAt).toBeLessThan(TAKEN_OVER_MS)
      expect(second?.details['key']).toBe(first?.details['key'])
      expect(Number(second?.details['fence'])).toBeGreaterThan(Number(first?.details['fence']))
      expect([first?.details['attempt'], second?.details['attempt']]).toEqual([1, 2])
      stage.ledger.open(gate)
      expect(await run.result()).toEqual([round])
      workers = workers.filter((worker) => worker !== victim)
      if (round < rounds - 1) workers.push(await stage.worker(`w${round + 2}`))
    }
    expect(stage.ledger.notes('end')).toHaveLength(rounds)
  }, 40_000)

  it('FT-W8: after its settle was executed, without having heard of it: nothing runs again', async () => {
    const stage = await open()
    const proxy = await stage.proxy()
    const a = await stage.worker('a', { url: proxy.url })
    const client = await stage.client()
    const run = await client.start(each(gated), [{ n: 0 }, { n: 1 }, { n: 2, gate: 'go' }])
    await stage.ledger.until('end', 2)
    await until(async () => (await run.status()).done === 2, 'two are settled')
    const fault = proxy.arm('hold-reply', script('settle'))
    stage.ledger.open('go')
    await fault.whenFired()
    await a.kill9()
    await workerHere(stage, 'b', [gated])
    expect(await run.result()).toEqual([0, 1, 2])
    expect((await run.status()).groups).toMatchObject([{ succeeded: 3, width: 3 }])
    expect(await client.run(each(gated), [{ n: 3 }])).toEqual([3])
    expect(stage.ledger.notes('start').map(({ details }) => details['n'])).toEqual([0, 1, 2, 3])
  })

  it('FT-W9: just after its settle: nothing runs again', async () => {
    const stage = await open()
    const a = await stage.worker('a')
    const client = await stage.client()
    const run = await client.start(each(gated), [{ n: 0 }, { n: 1 }])
    expect(await run.result()).toEqual([0, 1])
    await a.kill9()
    await workerHere(stage, 'b', [gated])
    expect(await client.run(each(gated), [{ n: 2 }])).toEqual([2])
    expect(stage.ledger.notes('start').map(({ details }) => details['n'])).toEqual([0, 1, 2])
    expect((await run.status()).state).toBe('completed')
  })

  it('FT-W17, X6: by the task itself, again and again: the branch is dead, a dead letter is written, the others succeed', async () => {
    const stage = await open()
    const client = await stage.client()
    let crashes = 0
    const over = new AbortController()
    const supervise = async (id: string): Promise<void> => {
      while (!over.signal.aborted) {
        const worker = stage.spawnWorker(id, { maxConcurrentTasks: 1 })
        const { signal } = await worker.exited
        if (signal === 'SIGKILL') crashes += 1
      }
    }
    const supervised = Promise.all(['a', 'b'].map(supervise))
    const numbers = Array.from({ length: 10 }, (_, n) => n)
    const outcomes = await client.run(each(poison).settled(), numbers)
    expect(crashes).toBe(4) // maxLosses is 3
    over.abort()
    await endChildren()
    await supervised
    expect(outcomes.map(({ status }) => status)).toEqual(numbers.map((n) => (n === 5 ? 'dead' : 'succeeded')))
    const starts = stage.ledger.notes('start').map(({ details }) => details)
    expect(starts.filter(({ n }) => n === 5).map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4])
  }, 40_000)
})

describe('a worker that runs out of memory', () => {
  it('FT-W18: another starts its task as when it had been killed', async () => {
    const stage = await open()
    const a = await stage.worker('a', { nodeFlags: ['--max-old-space-size=64'], isAborting: true })
    const client = await stage.client()
    const result = client.run(each(hungry), [1])
    const [first] = await stage.ledger.until('start')
    expect(first).toMatchObject({ pid: a.pid, details: { attempt: 1 } })
    expect(await a.ends(15_000)).toMatchObject({ code: null, signal: 'SIGABRT' })
    const diedAt = monotonicMs()
    await stage.worker('b')
    expect(await result).toEqual([1])
    const [, second] = await stage.ledger.until('start', 2)
    expect(second?.details).toMatchObject({ attempt: 2, key: first?.details['key'] })
    expect((second?.at ?? Infinity) - diedAt).toBeLessThan(10_000)
  }, 40_000)
})

describe('a worker that lives', () => {
  it('FT-W4: and did not get the reply to its acquire starts what it was granted, at once and once', async () => {
    const stage = await open()
    const proxy = await stage.proxy()
    await workerHere(stage, 'a', [gated], { redisUrl: proxy.url })
    const client = await stage.client()
    const fault = proxy.arm('swallow-reply', script('acquire'))
    const startedAt = monotonicMs()
    expect(await client.run(each(gated), [{ n: 0 }, { n: 1 }])).toEqual([0, 1])
    expect(fault.fired).toBe(1)
    const starts = stage.ledger.notes('start')
    expect(starts.map(({ details }) => details['attempt'])).toEqual([1, 1])
    expect((starts[1]?.at ?? Infinity) - startedAt).toBeLessThan(2_500) // a session lives for 3 s
  })
})
