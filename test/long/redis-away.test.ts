/** Redis that stalls, crashes and comes back, and everybody else being away. */
import { join } from 'node:path'
import { each } from 'graflow'
import { gated, steady, stubborn } from '../faults/fault.tasks.js'
import { monotonicMs } from '../support/ledger.js'
import { script, useStages } from '../support/redis-stage.js'
import { until } from '../support/waits.js'

const open = useStages(join(__dirname, '../faults/fault.tasks.ts'))
const PRODUCER = join(__dirname, '../faults/producer.ts')
const SESSION_TTL_MS = 3_000
const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i)

describe('a producer that is killed', () => {
  it.concurrent('FT-P7: between the upload of its graph and its first group leaves a graph that expires, and nothing else', async () => {
    await using stage = await open()
    const proxy = await stage.proxy()
    const graphs = () => stage.redis.keys(stage.keys.graph('*'))
    let isUploaded = false
    const fault = proxy.arm('hold-request', (args) => isUploaded && isStep(args))
    const isStep = script('step')
    const upload = proxy.arm('hold-reply', (args) => {
      const isGraph = args.some((arg) => arg.toString('latin1').startsWith(stage.keys.graph('')))
      isUploaded ||= isGraph
      return isGraph
    })
    upload.release()
    const producer = stage.spawnScript(PRODUCER, [proxy.url, stage.prefix, '3'])
    await producer.said(/connected/)
    await fault.whenFired()
    const [graph] = await graphs()
    await producer.kill9()
    expect(graph).toBeDefined()
    expect(await stage.redis.pttl(graph ?? '')).toBeGreaterThan(0)
    expect(await stage.redis.pttl(graph ?? '')).toBeLessThanOrEqual(24 * 3_600_000)
    expect((await stage.redis.keys(stage.keys.group('*'))).filter((key) => /\/\d+$/.test(key))).toEqual([])
  })

  it.concurrent('P2a: leaves an abandoned run: whoever starts it again or attaches is told once that nobody drives it, and can cancel it', async () => {
    await using stage = await open()
    const producer = stage.spawnScript(PRODUCER, [stage.server.url, stage.prefix, '2', 'r'])
    await producer.said(/run r/)
    await producer.kill9()
    const client = await stage.client()
    const warnings: string[] = []
    client.events.subscribe('log', ({ level, message, runId }) => {
      if (message.startsWith('nobody drives')) warnings.push(`${level} ${String(runId)} ${message}`)
    })
    const items = [0, 1].map((n) => ({ n, gate: 'go' }))
    const again = await client.start(each(gated), items, { id: 'r', idempotencyKey: 'r' })
    const outcome = again.result().catch((error: unknown) => error)
    await until(() => warnings.length > 0, 'a warning', 20_000)
    expect((await again.status()).state).toBe('abandoned')
    expect(warnings).toEqual([
      expect.stringMatching(
        /^warn r nobody drives run r: .* with resume, or until a worker comes .* until its retention ends/,
      ),
    ])
    const waitsAsWell = again.result().catch((error: unknown) => error)
    const attached = await client.attach('r')
    const attachedOutcome = attached.result().catch((error: unknown) => error)
    await until(() => warnings.length > 1, 'a warning of the handle that was attached', 20_000)
    expect(await attached.cancel('it was abandoned')).toBe(true)
    for (const end of [outcome, waitsAsWell, attachedOutcome]) expect(await end).toMatchObject({ code: 'CANCELLED' })
    expect(warnings).toHaveLength(2)
  }, 30_000)
})

describe('everybody away', () => {
  it.concurrent('FT-R5: all workers and the producer for longer than a session: whoever comes goes on after a grace, and no branch is dead', async () => {
    await using stage = await open()
    const a = await stage.worker('a')
    const producer = stage.spawnScript(PRODUCER, [stage.server.url, stage.prefix, '5'])
    const [, runId = ''] = await producer.said(/run (\S+)/)
    await stage.ledger.until('start', 5)
    await Promise.all([a.kill9(), producer.kill9()])
    const diedAt = monotonicMs()
    await until(() => monotonicMs() - diedAt > 2 * SESSION_TTL_MS, 'a long silence')
    stage.ledger.open('go')
    const b = await stage.worker('b')
    const starts = (await stage.ledger.until('start', 10)).slice(5)
    expect(starts.map(({ pid }) => pid)).toEqual(starts.map(() => b.pid))
    expect(starts.map(({ details }) => details['attempt'])).toEqual([2, 2, 2, 2, 2])
    const backend = await stage.backend()
    await until(async () => (await backend.inspect.groups(runId))[0]?.succeeded === 5, 'the group is done')
    expect(await backend.inspect.deadLetters(9)).toEqual([])
    await until(async () => (await backend.inspect.run(runId))?.state === 'completed', 'the worker ends the run')
  }, 40_000)
})

describe('Redis', () => {
  it.concurrent('FT-R6: that stands still for longer than sessions live costs nobody a lease', async () => {
    await using stage = await open({})
    const workers = await Promise.all([stage.worker('a'), stage.worker('b')])
    const client = await stage.client()
    const run = await client.start(
      each(stubborn),
      numbers(20).map((n) => ({ n, gate: 'go' })),
    )
    await stage.ledger.until('start', 20)
    await stage.redis.call('DEBUG', 'SLEEP', '8')
    const wokeAt = monotonicMs()
    await until(() => monotonicMs() - wokeAt > SESSION_TTL_MS + 1_500, 'time for a false alarm')
    stage.ledger.open('go')
    expect(await run.result()).toEqual(numbers(20))
    expect(stage.ledger.notes('start')).toHaveLength(20)
    expect(workers.every(({ isRunning }) => isRunning)).toBe(true)
  }, 40_000)

  // has much to do, so it is alone
  it.each([
    ['FT-D1, X19', 'always'],
    ['FT-D2', 'everysec'],
  ] as const)(
    '%s: that crashes under load and restarts, with appendfsync %s: nothing acknowledged is lost',
    async (_, persistence) => {
      await using stage = await open({ persistence })
      const workers = await Promise.all([
        stage.worker('a', { maxConcurrentTasks: 2 }),
        stage.worker('b', { maxConcurrentTasks: 2 }),
      ])
      const client = await stage.client()
      const count = 600
      const run = await client.start(each(steady), numbers(count))
      await stage.ledger.until('end', 100)
      const { done } = await run.status()
      await stage.server.kill9()
      await stage.server.restart()
      const upAt = monotonicMs()
      expect((await run.status()).done).toBeGreaterThanOrEqual(done)
      expect(await run.result()).toEqual(numbers(count))
      const starts = stage.ledger.notes('start')
      // no worker waits for long, for whatever it had in hand when Redis came back
      for (const { pid } of workers) {
        const times = [upAt, ...starts.filter((start) => start.pid === pid && start.at > upAt).map(({ at }) => at)]
        expect(times.length).toBeGreaterThan(20)
        expect(Math.max(...times.slice(1).map((at, i) => at - (times[i] ?? 0)))).toBeLessThan(1_000)
      }
      expect((await run.status()).groups).toMatchObject([{ succeeded: count, width: count }])
      // only what was in flight may have run twice
      expect(starts.length - count).toBeLessThan(100)
      expect(await client.run(each(gated), [{ n: 1 }])).toEqual([1])
    },
    40_000,
  )
})
