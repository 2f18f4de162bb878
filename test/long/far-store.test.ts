/**
 * Redis far away: each answer of it comes 120 ms later, more than any answer is good for, to clients and workers alike. Whatever a process
 * decides by what it has heard must be decided all the same.
 */
import type { Graflow } from 'graflow'
import { asks, beside, forks, group, nested, retries, rounds } from './far-store.tasks.js'
import { useStage } from '../support/redis-stage.js'
import { startRelay } from '../support/relay.js'
import { until } from '../support/waits.js'

const DELAY_MS = 120
const open = useStage(`${__dirname}/far-store.tasks.ts`)
const INPUT = [1, 2, 3]
const ALL = {
  start: (on: Graflow) => [
    ...[on.start(group, INPUT), on.start(retries, INPUT), on.start(nested, INPUT)],
    ...[on.start(forks, INPUT), on.start(rounds, INPUT), on.start(beside, INPUT)],
  ],
  submit: (on: Graflow) => [
    ...[on.submit(group, INPUT), on.submit(retries, INPUT), on.submit(nested, INPUT)],
    ...[on.submit(forks, INPUT), on.submit(rounds, INPUT), on.submit(beside, INPUT)],
  ],
}

describe('a Redis that is far away', () => {
  const far = async (): Promise<Graflow> => {
    const stage = await open()
    const relay = await startRelay({ port: stage.server.port, delayMs: DELAY_MS })
    stage.onEnd(() => relay.stop())
    const url = `redis://127.0.0.1:${relay.port}`
    const graflow = await stage.client({}, url)
    await stage.worker('far', { url, queues: ['default', 'far'] })
    return graflow
  }

  it.each(['start', 'submit'] as const)(
    'runs all that a flow can have in it (%s)',
    async (how) => {
      const graflow = await far()
      const results = (await Promise.all(ALL[how](graflow))).map((run) => run.result() as Promise<unknown>)
      expect(await Promise.all(results)).toEqual([12, 9, 8, 12, 6, [6, 12]])
    },
    60_000,
  )

  it('pauses, goes on, cancels and retries', async () => {
    const graflow = await far()
    const run = await graflow.submit(asks, INPUT)
    await until(async () => (await run.status()).state === 'waiting', 'the question')
    expect(await run.pause()).toBe(true)
    expect(await run.signal('approve', 'yes')).toBe(true)
    expect((await run.status()).state).toBe('paused')
    expect(await run.resume()).toBe(true)
    expect(await run.result()).toBe('yes')
    const other = await graflow.submit(asks, INPUT)
    await until(async () => (await other.status()).state === 'waiting', 'the question of the other')
    await other.cancel('enough')
    expect((await other.status()).state).toBe('cancelled')
    expect(await graflow.runs.retry(other.id)).toBe(true)
    expect(await other.signal('approve', 'no')).toBe(true)
    await until(async () => (await other.status()).state === 'completed', 'the end of the retried run')
  }, 60_000)
})
