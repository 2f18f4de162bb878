/** Workers that meet what they do not know, cannot read or cannot send; whose clock is wrong, whose name is taken, who have much to do. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { deflateSync } from 'node:zlib'
import { each, par } from 'graflow'
import { gated, limited, retried, returning, slow, strayRejection, strayThrow } from '../faults/fault.tasks.js'
import { failureOf } from '../support/captured-errors.js'
import { monotonicMs } from '../support/ledger.js'
import { workerHere } from '../support/local-worker.js'
import { type Stage, useStage } from '../support/redis-stage.js'
import { until } from '../support/waits.js'

const open = useStage(join(__dirname, '../faults/fault.tasks.ts'))

async function graphKey(stage: Stage): Promise<string> {
  const [key] = await stage.redis.keys(stage.keys.graph('*'))
  if (key === undefined) throw new Error('expected a graph in the store')
  return key
}

describe('a worker', () => {
  it.each([
    ['throws in a timer', strayThrow],
    ['rejects a promise that nobody looks at', strayRejection],
  ])('FT-W19: whose task %s ends, and what else it had is started elsewhere', async (_, stray) => {
    const stage = await open()
    const a = await stage.worker('a', { gracefulShutdownTimeoutMs: 1_000 })
    const client = await stage.client()
    const run = await client.start(each(gated), [{ n: 0, gate: 'go' }])
    await stage.ledger.until('start')
    const strays = await client.start(each(stray).settled(), [{ n: 1, gate: 'never' }])
    const { code } = await a.ends(10_000)
    expect(code).not.toBe(0)
    expect(a.output).toMatch(/thrown in a timer|rejected, and nobody looks/)
    await strays.cancel()
    await workerHere(stage, 'b', [gated])
    stage.ledger.open('go')
    expect(await run.result()).toEqual([0])
  })

  it('FT-W22: whose clock is an hour off or steps does what all do', async () => {
    const stage = await open()
    const nodeFlags = ['--import', pathToFileURL(join(__dirname, '../faults/clock-shim.mjs')).href]
    const env = { CLOCK_SHIFT_MS: '3600000' }
    const workers = await Promise.all([
      stage.worker('ahead', { nodeFlags, env, maxConcurrentTasks: 2 }),
      stage.worker('behind', { nodeFlags, env: { CLOCK_SHIFT_MS: '-3600000' }, maxConcurrentTasks: 2 }),
      stage.worker('stepping', { nodeFlags, env: { ...env, CLOCK_STEPS: '1' }, maxConcurrentTasks: 2 }),
    ])
    const client = await stage.client()
    const startedAt = monotonicMs()
    const numbers = Array.from({ length: 30 }, (_, n) => n)
    const [values, limitedValues, gatedRun] = await Promise.all([
      client.run(each(retried), numbers),
      client.run(each(limited), numbers),
      client.start(each(gated), [{ n: 99, gate: 'go' }]),
    ])
    expect([values, limitedValues]).toEqual([numbers, numbers])
    expect(monotonicMs() - startedAt).toBeLessThan(5_000)
    const starts = stage.ledger.notes('start').filter(({ details }) => details['n'] !== 99)
    expect(starts).toHaveLength(90)
    // a session outlives its time to live, whatever its process thinks the time is
    await until(() => monotonicMs() - startedAt > 4_000, 'more than a session’s time to live')
    stage.ledger.open('go')
    expect(await gatedRun.result()).toEqual([99])
    expect(stage.ledger.notes('start').filter(({ details }) => details['n'] === 99)).toHaveLength(1)
    expect(workers.every(({ isRunning }) => isRunning)).toBe(true)
  }, 30_000)

  it('FT-W24: that meets a store of another version does not start, and says why', async () => {
    const stage = await open()
    await (await stage.client()).close()
    await stage.redis.hset(stage.keys.main, 'v', 999)
    const worker = stage.spawnWorker('old')
    const { code } = await worker.ends(10_000)
    expect(code).toBe(1)
    expect(worker.output).toContain('999')
    const error = await failureOf(stage.client())
    expect(error.code).toBe('REDIS_UNSUITABLE')
    expect(error.message).toContain('999')
  })

  it('FT-W24: that is granted a record it cannot read does not run it, and goes on with others', async () => {
    const stage = await open()
    const client = await stage.client()
    const run = await client.start(each(gated), [{ n: 0 }])
    const gid = `${run.id}/0`
    await until(async () => (await run.status()).groups[0]?.ready === 1, 'the group is dispatched')
    const spec = await stage.redis.hgetBuffer(stage.keys.group(gid), 'g')
    const newer = spec?.toString('latin1').replace('"rule":"first-failure"', '"rule":"quorum-of-3!"') ?? ''
    expect(newer).toContain('quorum')
    await stage.redis.hset(stage.keys.group(gid), 'g', Buffer.from(newer, 'latin1'))
    const worker = await workerHere(stage, 'old', [gated])
    expect(await client.run(each(gated), [{ n: 1 }])).toEqual([1])
    expect(stage.ledger.notes('start').map(({ details }) => details['n'])).toEqual([1])
    expect(['ready', 'busy']).toContain(worker.state)
    await run.cancel()
  })

  it('FT-Q1, X16: that meets groups whose state, head, branch table or type is garbage goes on with others, and those runs fail with a reason', async () => {
    const stage = await open()
    const client = await stage.client()
    const { redis, keys } = stage
    const spoils: Readonly<Record<string, (key: string) => Promise<unknown>>> = {
      state: (key) => redis.hset(key, 's', 'o 1 ? garbage'),
      head: (key) => redis.hset(key, 'h', Buffer.from([0xff, 0, 9, 10, 1])),
      'branch table': (key) => redis.hset(key, 'd', 'short'),
      type: (key) => redis.multi().del(key).rpush(key, 'a list').exec(),
    }
    const spoiled = Object.entries(spoils).map(async ([what, spoil]) => {
      const run = await client.start(each(gated), [{ n: 0 }])
      await until(async () => (await run.status()).groups[0]?.ready === 1, 'the group is dispatched')
      await spoil(keys.group(`${run.id}/0`))
      return { what, run }
    })
    const runs = await Promise.all(spoiled)
    const worker = await workerHere(stage, 'a', [gated])
    expect(await client.run(each(gated), [{ n: 1 }])).toEqual([1])
    const ends = await Promise.all(
      runs.map(async ({ what, run }) => {
        const error = await failureOf(run.result())
        return [what, `${error.code} ${error.message}`]
      }),
    )
    const isSaid: unknown = expect.stringMatching(/^INTEGRITY .*cannot be read/)
    expect(ends).toEqual(Object.keys(spoils).map((what) => [what, isSaid]))
    expect(stage.ledger.notes('start').map(({ details }) => details['n'])).toEqual([1])
    expect(['ready', 'busy']).toContain(worker.state)
  })

  it('FT-W25, X13: that finds no graph waits for it, and the producer sends it again; no attempt is spent', async () => {
    const stage = await open()
    const client = await stage.client()
    const run = await client.start(each(gated), [{ n: 0 }, { n: 1 }])
    await until(async () => (await run.status()).groups[0]?.ready === 2, 'the group is dispatched')
    await stage.redis.del(await graphKey(stage))
    await workerHere(stage, 'a', [gated])
    expect(await run.result()).toEqual([0, 1])
    expect(stage.ledger.notes('start').map(({ details }) => details['attempt'])).toEqual([1, 1])
    expect(await stage.redis.pttl(await graphKey(stage))).toBeGreaterThan(0)
  })

  it('FT-W26: that finds another graph than its name says refuses it: the branch fails, and nothing of it runs', async () => {
    const stage = await open()
    const client = await stage.client()
    const run = await client.start(each(gated), [{ n: 0 }])
    await until(async () => (await run.status()).groups[0]?.ready === 1, 'the group is dispatched')
    await stage.redis.set(await graphKey(stage), deflateSync('{"v":1}'), 'KEEPTTL')
    const worker = await workerHere(stage, 'a', [gated])
    const error = await failureOf(run.result())
    expect(error.code).toBe('GROUP_FAILED')
    expect(error.message).toMatch(/graph/i)
    expect(stage.ledger.notes('start')).toEqual([])
    expect(['ready', 'busy']).toContain(worker.state)
  })

  it('FT-W27, S9: whose task returns what cannot be sent fails that branch with the path, and lives', async () => {
    const stage = await open()
    const worker = await workerHere(stage, 'a', [returning])
    const client = await stage.client()
    const kinds = ['symbol', 'function', 'cycle', 'class', 'large', 'fine']
    const outcomes = await client.run(each(returning).settled(), kinds)
    const codes = outcomes.map((outcome) =>
      outcome.status === 'succeeded' ? outcome.value : JSON.stringify(outcome.error.details) + outcome.error.message,
    )
    expect(outcomes.map(({ status }) => status)).toEqual([...kinds.slice(0, 5).map(() => 'failed'), 'succeeded'])
    expect(codes[0]).toContain('x')
    for (const text of codes.slice(0, 4)) expect(text).toMatch(/NOT_SERIALISABLE|serialis|symbol|function|cycle|URL/)
    expect(codes[4]).toMatch(/1048576|LIMIT/)
    expect(['ready', 'busy']).toContain(worker.state)
  })

  it('FT-W28: with 5 000 branches to come holds few of them', async () => {
    const stage = await open()
    const worker = await stage.worker('a', { maxConcurrentTasks: 16 })
    const client = await stage.client()
    const rssMb = (): number => {
      const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${worker.pid}/status`, 'utf8'))
      return Number(line?.[1]) / 1024
    }
    await client.run(each(slow), [{ n: 0, filling: '' }])
    const before = rssMb()
    // 15 MB of inputs in all
    const items = Array.from({ length: 5_000 }, (_, n) => ({ n, filling: 'x'.repeat(3_000) }))
    const run = await client.start(each(slow), items)
    let most = { running: 0, rss: 0 }
    const watch = setInterval(() => {
      most = { ...most, rss: Math.max(most.rss, rssMb()) }
      void run.status().then(({ groups }) => {
        most = { ...most, running: Math.max(most.running, groups[0]?.running ?? 0) }
      })
    }, 100)
    try {
      expect(await run.result()).toEqual(items.map(({ n }) => n))
    } finally {
      clearInterval(watch)
    }
    expect(most.running).toBeGreaterThanOrEqual(16)
    expect(most.running).toBeLessThan(600)
    expect(most.rss - before).toBeLessThan(60)
  }, 60_000)

  it('FT-W29: whose id another has: both work, one warning is given, and neither fences the other', async () => {
    const stage = await open()
    const first = await stage.worker('twin', { maxConcurrentTasks: 1 })
    const second = await stage.worker('twin', { maxConcurrentTasks: 1 })
    const client = await stage.client()
    const run = await client.start(each(gated), [
      { n: 0, gate: 'go' },
      { n: 1, gate: 'go' },
    ])
    const starts = await stage.ledger.until('start', 2)
    expect(new Set(starts.map(({ pid }) => pid))).toEqual(new Set([first.pid, second.pid]))
    await until(
      () => /twin.*(already|another|same|two)|(already|another|same|two).*twin/i.test(first.output + second.output),
      'a warning',
    )
    stage.ledger.open('go')
    expect(await run.result()).toEqual([0, 1])
    expect(await client.run(par(gated, gated), { n: 2 })).toEqual([2, 2])
    expect(stage.ledger.notes('start')).toHaveLength(4)
    const warnings = (first.output + second.output).match(/"level":(40|"warn")/g) ?? []
    expect(warnings.length).toBeLessThanOrEqual(2) // one each at most
  })
})
