/** Processes that drive runs and are gone: another goes on, and what is finished is not done again. */
import { join } from 'node:path'
import { declareTask, each, seq, task, type Graflow } from 'graflow'
import type { Backend, RunRecord } from '../../lib/backend/backend.js'
import { failureOf } from '../support/captured-errors.js'
import { monotonicMs } from '../support/ledger.js'
import { workerHere } from '../support/local-worker.js'
import type { Child } from '../support/processes.js'
import { type Stage, useStage } from '../support/redis-stage.js'
import { until } from '../support/waits.js'
import { DriverKills, type Kill, nameOf } from '../faults/driver-kills.js'
import { held, twice, waitAndTotal, waitThenOn } from '../faults/drivers.tasks.js'

const open = useStage(join(__dirname, '../faults/drivers.tasks.ts'))
const DRIVER = join(__dirname, '../faults/driver.ts')
/** As of a worker that is killed: 200 ms after a sweep missed it, and a look every 300 ms. */
const TAKEN_OVER_MS = 1_000

const items = [1, 2, 3].map((n) => ({ n, gate: 'go' }))

/** A process that drives the run `r` of items that wait; all of them are started. */
async function driverOf(stage: Stage, how: 'start' | 'run'): Promise<Child> {
  const args = [stage.server.url, stage.prefix, 'r', how, 'waitAndTotal', JSON.stringify(items)]
  const driver = stage.spawnScript(DRIVER, args)
  await stage.ledger.until('start', items.length)
  await untilSeen(stage)
  return driver
}

/** Resolves once the store has seen the client's connection, whose end it then notices at once. */
async function untilSeen(stage: Stage): Promise<void> {
  const backend = await stage.backend()
  await until(async () => {
    const client = (await backend.inspect.sessions()).find(({ role }) => role === 'client')
    return (await stage.redis.hget(stage.keys.session(client?.session ?? ''), 'alive')) === '1'
  }, 'the driver is seen')
}

const startsOf = (stage: Stage): unknown[] =>
  stage.ledger
    .notes('start')
    .map(({ details }) => details['path'])
    .sort()

/** How the run is once this is so, and how long that took. */
async function recordWhen(
  stage: Stage,
  isSo: (record: RunRecord) => boolean,
  opened?: Backend,
): Promise<{ readonly record: RunRecord; readonly tookMs: number }> {
  const began = monotonicMs()
  const backend = opened ?? (await stage.backend())
  let record: RunRecord | undefined
  await until(async () => {
    record = await backend.inspect.run('r')
    return record !== undefined && isSo(record)
  }, 'the run is so')
  if (record === undefined) throw new Error('expected the run')
  return { record, tookMs: monotonicMs() - began }
}

describe('a driver that is killed', () => {
  it('P1, FT-P4: of a started run, while its branches work: a worker goes on within a second, and no branch runs again', async () => {
    const stage = await open()
    await workerHere(stage, 'w', [waitAndTotal])
    const driver = await driverOf(stage, 'start')
    const backend = await stage.backend()
    await driver.kill9()
    const { tookMs } = await recordWhen(stage, ({ driver: by }) => by?.startsWith('w:') === true, backend)
    expect(tookMs).toBeLessThan(TAKEN_OVER_MS)
    stage.ledger.open('go')
    const client = await stage.client()
    expect(await (await client.attach('r', waitAndTotal)).result()).toBe(6)
    expect(startsOf(stage)).toEqual(['0/0', '0/1', '0/2', '1'])
  }, 30_000)

  it('P2: of a submitted run: another worker goes on within a second', async () => {
    const stage = await open()
    const a = await stage.worker('a', { maxConcurrentTasks: 4 })
    const client = await stage.client()
    const run = await client.submit(waitAndTotal, items, { id: 'r' })
    await stage.ledger.until('start', items.length)
    await workerHere(stage, 'b', [waitAndTotal])
    const backend = await stage.backend()
    await a.kill9()
    const { tookMs } = await recordWhen(stage, ({ driver: by }) => by?.startsWith('b:') === true, backend)
    expect(tookMs).toBeLessThan(TAKEN_OVER_MS)
    stage.ledger.open('go')
    expect(await run.result()).toBe(6)
  }, 30_000)

  it('P3, P5, FT-P8, FT-P12, FT-P15: of a run that is left behind: of those that resume it one drives, the others stand by and go on when that one is gone', async () => {
    const stage = await open()
    await workerHere(stage, 'w', [held])
    const driver = await driverOf(stage, 'run')
    await driver.kill9()
    const { record: left } = await recordWhen(stage, ({ state }) => state === 'abandoned')
    expect(left.driver).toBeUndefined()
    const first = await stage.client()
    const other = each(held)
      .settled()
      .to(task('all', (outcomes: readonly unknown[]) => outcomes.length))
    expect(await failureOf(first.resume('r', other))).toMatchObject({ code: 'GRAPH_MISMATCH', details: { runId: 'r' } })
    const backend = await stage.backend()
    expect(await backend.inspect.run('r')).toEqual(left)

    const clients = new Map<string, Graflow>()
    for (const name of ['a', 'b', 'c']) clients.set(name, await stage.client({ instanceId: name }))
    const runs = await Promise.all([...clients.values()].map((client) => client.resume('r', waitAndTotal)))
    const { driver: by = '' } = (await backend.inspect.run('r')) ?? {}
    const driving = by.slice(0, 1)
    expect([...clients.keys()]).toContain(driving)
    await clients.get(driving)?.close()
    clients.delete(driving)
    const { record } = await recordWhen(stage, ({ driver: next }) => next !== undefined && next !== by)
    expect([...clients.keys()]).toContain(record.driver?.slice(0, 1))
    stage.ledger.open('go')
    const results = await Promise.allSettled(runs.map((run) => run.result()))
    expect(results.map((result) => (result.status === 'fulfilled' ? result.value : 'closed')).sort()).toEqual([
      6,
      6,
      'closed',
    ])
    expect(startsOf(stage)).toEqual(['0/0', '0/1', '0/2', '1'])
  }, 30_000)
})

/** Some of those of test/long/driver-kills.test.ts. */
const SOME_KILLS: readonly Kill[] = [
  { how: 'start', call: 'step', number: 3, point: 'with its reply lost' },
  { how: 'run', call: 'step', number: 4, point: 'before it is sent' },
  { how: 'run', call: 'step', number: 5, point: 'just after it' },
]

describe('P1, FT-P1, FT-P2, FT-P6: a driver of four steps with groups, a loop and forks', () => {
  it.each(SOME_KILLS.map((kill): [string, Kill] => [nameOf(kill), kill]))(
    'that is killed at %s',
    async (_, kill) => {
      const kills = await DriverKills.on(await open(), kill.how)
      await kills.expectSame(kill, await kills.undisturbed())
    },
    30_000,
  )
})

describe('a driver that lives', () => {
  it('FT-P9: and was taken for dead while it stood still changes nothing when it goes on, and gets the result', async () => {
    const stage = await open()
    await workerHere(stage, 'w', [waitAndTotal])
    const driver = await driverOf(stage, 'start')
    await driver.freeze()
    await recordWhen(stage, ({ driver: by }) => by?.startsWith('w:') === true)
    driver.thaw()
    stage.ledger.open('go')
    await driver.said(/result 6/)
    expect(startsOf(stage)).toEqual(['0/0', '0/1', '0/2', '1'])
  }, 30_000)

  it('FT-P9: starts no step when it goes on: its session is over by then', async () => {
    const stage = await open()
    const args = [stage.server.url, stage.prefix, 'r', 'start', 'waitThenOn', JSON.stringify(items[0])]
    const driver = stage.spawnScript(DRIVER, args)
    await stage.ledger.until('start')
    const [{ pid } = { pid: 0 }] = stage.ledger.notes('start')
    await untilSeen(stage)
    await workerHere(stage, 'w', [waitThenOn])
    await driver.freeze()
    await recordWhen(stage, ({ driver: by }) => by?.startsWith('w:') === true)
    stage.ledger.open('go')
    await recordWhen(stage, ({ state }) => state === 'completed')
    driver.thaw() // its first step ends now
    await driver.said(/result 1/)
    const by = stage.ledger.notes('start').map(({ pid: of, details }) => [of === pid, details['path']])
    expect(by).toEqual([
      [true, '0'],
      [false, '0'],
      [false, '1'],
    ])
  }, 30_000)

  it('FT-P18: keeps its run from those that resume it', async () => {
    const stage = await open()
    await workerHere(stage, 'w', [held])
    const driving = await stage.client({ instanceId: 'driving' })
    const run = await driving.start(waitAndTotal, items, { id: 'r' })
    await stage.ledger.until('start', items.length)
    const resumed = await (await stage.client()).resume('r', waitAndTotal)
    const { record } = await recordWhen(stage, ({ state }) => state === 'running')
    expect(record.driver).toMatch(/^driving:/)
    stage.ledger.open('go')
    expect(await Promise.all([run.result(), resumed.result()])).toEqual([6, 6])
  }, 30_000)

  it('leaves a step that it had dispatched to the worker that has it, also where that worker takes the run over', async () => {
    const stage = await open()
    await workerHere(stage, 'w', [held.to(twice)])
    const client = await stage.client()
    const [item] = items
    await client.start(
      seq(declareTask<typeof held>('held'), declareTask<typeof twice>('twice')),
      item ?? { n: 1, gate: 'go' },
      { id: 'r' },
    )
    await stage.ledger.until('start', 1)
    await client.close()
    await recordWhen(stage, ({ driver: by }) => by?.startsWith('w:') === true)
    stage.ledger.open('go')
    expect(await (await (await stage.client()).attach('r')).result()).toBe(2)
    expect(startsOf(stage)).toEqual(['0', '1'])
  }, 30_000)
})
