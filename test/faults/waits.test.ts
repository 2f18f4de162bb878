/** Runs that wait while their processes end: nothing of what waits is lost, and nothing that is finished is done again. */
import { join } from 'node:path'
import { asked, handled, SLEEP_MS, soon } from './waits.tasks.js'
import type { Child } from '../support/processes.js'
import { type Stage, useStages } from '../support/redis-stage.js'
import { elapse, until } from '../support/waits.js'
import type { Run } from 'graflow'

const open = useStages(join(__dirname, 'waits.tasks.ts'))

const untilState = (run: Run<unknown>, state: string): Promise<void> =>
  until(async () => (await run.status()).state === state, `the run is ${state}`)

const startsOf = (stage: Stage, name: string): number =>
  stage.ledger.notes('start').filter(({ details }) => details['task'] === name).length

const endsSoon = async (worker: Child): Promise<void> => {
  worker.signal('SIGTERM')
  expect((await worker.ends(5_000)).code).toBe(0)
}

describe('runs that wait', () => {
  it.concurrent('T2: keep what the siblings have finished, when their worker is killed before the signal comes', async () => {
    await using stage = await open()
    const a = await stage.worker('a')
    const client = await stage.client()
    const run = await client.submit(asked, 4)
    await untilState(run, 'waiting')
    await a.kill9()
    expect(await run.signal('ok', 'yes')).toBe(true)
    await stage.worker('b')
    expect(await run.result()).toEqual(['yes', 8])
    expect(['first', 'slow', 'then'].map((name) => startsOf(stage, name))).toEqual([1, 1, 1])
  }, 30_000)

  it.concurrent('T7: in a handler: another worker starts it again, and it meets what came meanwhile', async () => {
    await using stage = await open()
    const a = await stage.worker('a', { maxConcurrentTasks: 1 })
    const client = await stage.client()
    const run = await client.submit(handled, 100)
    await stage.ledger.until('slept')
    await until(async () => (await client.waits.of(run.id))[0]?.why === 'signal', 'it asks')
    expect(startsOf(stage, 'slow')).toBe(1) // there is one slot, and the handler has none
    await a.kill9()
    expect(await run.signal('ok', { by: 'Ada' })).toBe(true)
    await stage.worker('b')
    expect(await run.result()).toEqual({ sleeper: { by: 'Ada' }, slow: 200 })
    expect(startsOf(stage, 'sleeper')).toBe(2)
    expect(startsOf(stage, 'slow')).toBe(1)
  }, 30_000)

  it.concurrent('T8: go on when it is time, also where no process was there for the whole sleep', async () => {
    await using stage = await open()
    const a = await stage.worker('a')
    const client = await stage.client()
    const { id } = await client.submit(soon, 7)
    await untilState(await client.attach(id), 'waiting')
    await Promise.all([client.close(), endsSoon(a)])
    const [begun] = stage.ledger.notes('start')
    await elapse(SLEEP_MS)
    const b = await stage.worker('b')
    await stage.ledger.until('start', 2)
    const [, later] = stage.ledger.notes('start')
    expect((later?.at ?? 0) - (begun?.at ?? 0)).toBeGreaterThanOrEqual(SLEEP_MS)
    expect(later?.pid).toBe(b.pid)
    expect(await (await (await stage.client()).attach(id)).result()).toBe(7)
  }, 30_000)

  it.concurrent('are given back by a worker that is asked to end, also where a handler waits: it ends at once, and another goes on', async () => {
    await using stage = await open()
    const a = await stage.worker('a')
    const client = await stage.client()
    const run = await client.submit(handled, 50)
    await until(async () => (await client.waits.of(run.id)).some(({ why }) => why === 'signal'), 'it asks')
    await endsSoon(a)
    const b = await stage.worker('b')
    await until(() => stage.ledger.notes('slept').some(({ pid }) => pid === b.pid), 'it is started again')
    expect(await run.signal('ok', 1)).toBe(true)
    expect(await run.result()).toEqual({ sleeper: 1, slow: 100 })
    expect(stage.ledger.notes('slept').map(({ details }) => details['losses'])).toEqual([0, 0])
  }, 30_000)
})
