/** Deadlines hold whoever goes on: all processes at work are killed when three quarters of the time are over, and others have the rest. */
import { join } from 'node:path'
import type { Graflow } from 'graflow'
import { failureOf } from '../support/captured-errors.js'
import { monotonicMs } from '../support/ledger.js'
import { workerHere } from '../support/local-worker.js'
import { endChildren } from '../support/processes.js'
import { useStages, type Stage } from '../support/redis-stage.js'
import { elapse, within } from '../support/waits.js'
import { IN_TIME, LATE, TIMEOUT_MS } from '../faults/deadlines.tasks.js'

const TASKS = join(__dirname, '../faults/deadlines.tasks.ts')
const DRIVER = join(__dirname, '../faults/deadline-driver.ts')
const open = useStages(TASKS)
/** Time that began anew would end no sooner than this after the first start. */
const ANEW_MS = TIMEOUT_MS * 1.75

describe('P1: a deadline, where all that are at work are killed before it,', () => {
  let stage: Stage
  let client: Graflow
  /** When the last of them was begun, and when those that run late ended. */
  let begunAt: number
  const ends = new Map<string, { readonly error: Awaited<ReturnType<typeof failureOf>>; readonly at: number }>()
  let before: readonly number[]

  const idOf = (name: string): string => name.replaceAll(' ', '-')
  const endOf = async (name: string): Promise<void> => {
    const run = await client.attach(idOf(name))
    const error = await failureOf(run.result())
    ends.set(name, { error, at: monotonicMs() })
  }

  beforeAll(async () => {
    stage = await open()
    client = await stage.client()
    const worker = await stage.worker('a', { queues: ['default', 'brought'] })
    const driver = stage.spawnScript(DRIVER, [stage.server.url, stage.prefix])
    await driver.said(/started/)
    const late = [...Object.keys(LATE), 'the run']
    const over = Promise.all(late.map(endOf))
    const running = (run: string): boolean =>
      stage.ledger.notes('start').some(({ details }) => details['run'] === idOf(run))
    while (![...late, ...Object.keys(IN_TIME)].every(running)) await elapse(20)
    begunAt = monotonicMs()
    await elapse(500) // so long that its deadline is saved
    stage.ledger.open('early')
    await elapse(TIMEOUT_MS * 0.7)
    before = [...ends.values()].map(({ at }) => at)
    await Promise.all([driver.kill9(), worker.kill9()])
    await workerHere(stage, 'b', [...Object.values(LATE), ...Object.values(IN_TIME)], {
      queues: ['default', 'brought'],
      maxConcurrentTasks: 32,
    })
    await within(3 * TIMEOUT_MS, over, 'the ends')
  }, 60_000)

  afterAll(async () => {
    await stage.end()
    await endChildren()
  })

  it.each(Object.keys(LATE))('of a workflow in, or a group with, %s: is where it was', (name) => {
    const { error, at } = ends.get(name) ?? {}
    expect(before).toEqual([])
    expect(JSON.stringify([error?.code, error?.message, error?.details])).toMatch(
      /(ran|took) longer than its timeoutMs/,
    )
    expect((at ?? Number.POSITIVE_INFINITY) - begunAt).toBeLessThan(ANEW_MS)
  })

  it('of a run: is where it was', () => {
    const { error, at } = ends.get('the run') ?? {}
    expect(error?.code).toBe('RUN_TIMEOUT')
    expect((at ?? Number.POSITIVE_INFINITY) - begunAt).toBeLessThan(ANEW_MS)
  })

  it.each(Object.keys(IN_TIME))('of a workflow in %s: is nothing where it was met', async (name) => {
    const runs = (): number => stage.ledger.notes('start').filter(({ details }) => details['run'] === idOf(name)).length
    await elapse(Math.max(0, begunAt + TIMEOUT_MS - monotonicMs()))
    stage.ledger.open('end')
    const run = await client.attach(idOf(name))
    expect(await within(10_000, run.result(), 'its result')).toBe('early')
    expect(runs()).toBe(4) // its two branches once, what comes after it twice
  })
})
