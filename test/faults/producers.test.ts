/** Producers that are killed while they dispatch, whose store goes back in time, whose own steps throw, and whose groups are deep. */
import { join } from 'node:path'
import { each, seq, task } from 'graflow'
import { describeOnBothStores } from '../support/both-stores.js'
import { failureOf } from '../support/captured-errors.js'
import { workerHere } from '../support/local-worker.js'
import { script, useStage } from '../support/redis-stage.js'
import { until } from '../support/waits.js'
import { bulk, held, waitAndTotal } from './drivers.tasks.js'

const open = useStage()
const DRIVER = join(__dirname, 'driver.ts')

const twice = task('twice', (n: number) => n * 2)

describe('a producer that is killed while it dispatches a large group', () => {
  it.each([
    ['with the reply to its second part lost', 'hold-reply', 1],
    ['before its third part is sent', 'hold-request', 2],
  ] as const)(
    'FT-P3: %s: another one fills the rest, and the barrier waits for all',
    async (_, kind, number) => {
      const stage = await open()
      const count = 2_100 // in three parts
      await workerHere(stage, 'w', [bulk], { maxConcurrentTasks: 256 })
      const proxy = await stage.proxy()
      const numbers = JSON.stringify(Array.from({ length: count }, (_, n) => n))
      const fault = proxy.arm(kind, script('step'), { skip: number - 1 })
      const driver = stage.spawnScript(DRIVER, [proxy.url, stage.prefix, 'r', 'start', 'bulk', numbers])
      await fault.whenFired()
      await driver.kill9()
      expect(await (await (await stage.client()).attach('r', bulk)).result()).toBe(count)
      const paths = stage.ledger.notes('start').map(({ details }) => details['path'])
      expect([paths.length, new Set(paths).size]).toEqual([count + 1, count + 1]) // and the total, each once
    },
    30_000,
  )
})

describe('a producer whose call to take a run comes late', () => {
  it('FT-P10: after it has given that up: it does not stand by for itself', async () => {
    const stage = await open()
    const client = await stage.client({ instanceId: 'late' })
    const backend = await stage.backend()
    const { id } = await (await stage.client()).submit(twice, 4)
    const [own] = (await backend.inspect.sessions()).filter(({ baseId }) => baseId === 'late')
    expect(await backend.take({ session: own?.session ?? '', nonce: 'late', runId: id })).toMatchObject({
      status: 'ok',
    })
    expect(await (await client.resume(id, twice)).result()).toBe(8)
  })
})

describe('a producer whose store goes back in time', () => {
  it('FT-P11: behind the moment when it took the run: it takes it again', async () => {
    const stage = await open({})
    await workerHere(stage, 'w', [held], { driveRuns: false })
    const items = [1, 2, 3].map((n) => ({ n, gate: 'go' }))
    const first = await stage.client()
    await first.start(waitAndTotal, items, { id: 'r', ifLost: 'abandon' })
    await stage.ledger.until('start', items.length)
    await first.close()
    await stage.redis.save()
    const second = await stage.client({ instanceId: 'second' })
    const run = await second.resume('r', waitAndTotal)
    const backend = await stage.backend()
    const driver = async (): Promise<string | undefined> => (await backend.inspect.run('r'))?.driver
    expect(await driver()).toMatch(/^second:/)
    await stage.server.kill9()
    await stage.server.restart()
    await until(async () => (await driver())?.startsWith('second:') === true, 'the run is taken again')
    stage.ledger.open('go')
    expect(await run.result()).toBe(6)
  }, 30_000)
})

describeOnBothStores('a producer', (openBoth) => {
  it('FT-P14: whose own step throws: the run has failed, what is finished stays, and what it had started is withdrawn', async () => {
    const first = task('first', (n: number) => n + 1)
    let isCancelled = false
    let begun = 0
    const slow = task('slow', async (_: number, ctx) => {
      begun += 1
      await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve, { once: true }))
      isCancelled = true
    })
    const throws = task('throws', async (n: number, ctx) => {
      ctx.run(each(slow), [n, n]).catch(() => undefined)
      await until(() => begun === 2, 'the fork works')
      throw new Error('on purpose')
    })
    const flow = seq(first, throws)
    const graflow = await openBoth([first, slow, throws])
    const run = await graflow.start(flow, 1)
    expect(await failureOf(run.result())).toMatchObject({ code: 'TASK_FAILED', cause: { message: 'on purpose' } })
    expect(await run.result(first)).toBe(2)
    await until(() => isCancelled, 'the fork is withdrawn')
    const { state, groups } = await run.status()
    expect([state, groups.map((group) => group.state)]).toEqual(['failed', ['withdrawn']])
  }, 30_000)

  it('FT-P17: whose groups are three deep, on one worker that runs one branch at a time: they end', async () => {
    const leaf = task('leaf', (n: number) => n + 1)
    const flow = each(each(each(leaf)))
    const graflow = await openBoth([flow], { maxConcurrentTasks: 1 })
    const cube = [0, 1].map(() => [0, 1].map(() => [0, 1]))
    const grown = [0, 1].map(() => [0, 1].map(() => [1, 2]))
    expect(await (await graflow.submit(flow, cube)).result()).toEqual(grown)
  }, 30_000)
})
