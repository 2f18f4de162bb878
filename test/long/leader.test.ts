/** A leader that is gone, stands still or leaves: another leads, in a later term, and what recovers work does not wait for it. */
import { join } from 'node:path'
import { each } from 'graflow'
import type { Backend, Lead } from '../../lib/backend/backend.js'
import { failureOf } from '../support/captured-errors.js'
import { freeze } from '../support/freeze.js'
import { monotonicMs } from '../support/ledger.js'
import { workerHere } from '../support/local-worker.js'
import { useStage } from '../support/redis-stage.js'
import { until } from '../support/waits.js'
import { held, twice, waitAndTotal } from '../faults/drivers.tasks.js'

const open = useStage(join(__dirname, '../faults/drivers.tasks.ts'))

/** Who leads, once somebody of these does. */
async function leadOf(backend: Backend, ...leaders: readonly string[]): Promise<Lead> {
  let lead: Lead | undefined
  await until(
    async () => {
      lead = await backend.inspect.lead()
      return lead !== undefined && leaders.includes(lead.leaderId)
    },
    `one of ${leaders.join()} leads`,
    30_000,
  )
  if (lead === undefined) throw new Error('expected a leader')
  return lead
}

describe('a leader', () => {
  it('FT-R1: that is killed together with a worker is followed within its lease and a second, and their work goes on meanwhile', async () => {
    const stage = await open()
    const backend = await stage.backend()
    const flags = ['--leader-ttl-ms', '10000']
    const leader = await stage.worker('a', { flags, maxConcurrentTasks: 2 })
    expect(await leadOf(backend, 'a')).toMatchObject({ term: 1 })
    const other = await stage.worker('b', { flags, maxConcurrentTasks: 2 })
    const client = await stage.client()
    Object.assign(process.env, stage.ledger.env) // it is driven here
    const run = await client.start(
      waitAndTotal,
      [1, 2, 3].map((n) => ({ n, gate: 'go' })),
    )
    await stage.ledger.until('start', 3)
    await workerHere(stage, 'c', [waitAndTotal], { maxConcurrentTasks: 4 })
    const began = monotonicMs()
    await Promise.all([leader.kill9(), other.kill9()])
    expect(await leadOf(backend, 'c')).toMatchObject({ term: 2 })
    expect(monotonicMs() - began).toBeLessThan(11_000)
    stage.ledger.open('go')
    expect(await run.result()).toBe(6)
  }, 60_000)

  it('FT-R2: that stood still past its lease finds another in its place, in a later term, and stands behind it', async () => {
    const stage = await open()
    const backend = await stage.backend()
    const old = await stage.worker('old', { flags: ['--leader-ttl-ms', '1000'] })
    const { term } = await leadOf(backend, 'old')
    await freeze(old.pid)
    const worker = await workerHere(stage, 'new', [twice], { leaderTtlMs: 1_000 })
    const terms: number[] = []
    worker.onBecameLeader((now) => terms.push(now))
    expect(await leadOf(backend, 'new')).toMatchObject({ term: term + 1 })
    await until(() => worker.isLeader, 'it knows')
    process.kill(old.pid, 'SIGCONT')
    await old.said(/old leads no more/)
    expect(worker.isLeader).toBe(true)
    expect(terms).toEqual([term + 1])
    await worker.stop()
    expect(worker.isLeader).toBe(false)
    expect(await leadOf(backend, 'old')).toMatchObject({ term: term + 2 })
  }, 60_000)

  it('FT-R2: is one of many that stand, again and again', async () => {
    const stage = await open()
    const terms: number[] = []
    const clients = await Promise.all(
      ['a', 'b', 'c', 'd', 'e'].map((instanceId) => stage.client({ instanceId, role: 'auto', leaderTtlMs: 60_000 })),
    )
    for (const client of clients) client.onBecameLeader((term) => terms.push(term))
    for (let left = clients.length; left > 0; left -= 1) {
      await until(() => clients.some(({ isLeader }) => isLeader), 'one leads')
      const leading = clients.filter(({ isLeader }) => isLeader)
      expect(leading).toHaveLength(1)
      await leading[0]?.close()
    }
    expect(terms).toEqual([1, 2, 3, 4, 5])
  }, 60_000)

  it('takes work as other workers do, and none where it has no tasks', async () => {
    const stage = await open()
    const idle = await workerHere(stage, 'idle', [], { role: 'leader', leaderTtlMs: 60_000 })
    expect([idle.isLeader, idle.isRunning]).toEqual([true, true])
    await workerHere(stage, 'w', [twice], { role: 'worker' })
    const client = await stage.client()
    expect(await client.run(each(twice), [1, 2])).toEqual([2, 4])
    expect(idle.tasksProcessed).toBe(0)
    await idle.stop()
    expect([idle.isLeader, idle.isRunning]).toEqual([false, false])
    await workerHere(stage, 'able', [held, twice], { role: 'leader', leaderTtlMs: 60_000 })
    expect(await client.run(each(twice), [1, 2])).toEqual([2, 4])
  }, 30_000)

  it('does not start where another leads and it must', async () => {
    const stage = await open()
    await workerHere(stage, 'first', [], { role: 'leader', leaderTtlMs: 60_000 })
    const error = await failureOf(workerHere(stage, 'second', [twice], { role: 'leader', leaderTtlMs: 1_000 }))
    expect(error).toMatchObject({ code: 'NOT_LEADER', details: { leaderId: 'first' } })
    expect(error.message).toContain('first leads, in term 1')
  }, 30_000)
})
