/** Locks whose holder stands still, or dies, while another process wants them. */
import { join } from 'node:path'
import { each, seq, type Graflow } from 'graflow'
import { monotonicMs } from '../support/ledger.js'
import type { Child } from '../support/processes.js'
import { Stage } from '../support/redis-stage.js'
import { sharedRedis } from '../support/shared-redis.js'
import { contends, keeps, reads } from './locks.tasks.js'

/** How soon the branches of a killed worker are taken back, and a waiting handler asks again. */
const SOON_MS = 2_000

describe('a lock', () => {
  /** Two workers with a slot each, so that two branches are in two processes; the last test kills one. */
  let stage: Stage
  let workers: readonly Child[]
  let client: Graflow

  beforeAll(async () => {
    stage = new Stage(await sharedRedis(), join(__dirname, 'locks.tasks.ts'))
    workers = await Promise.all(['a', 'b'].map((id) => stage.worker(id, { maxConcurrentTasks: 1 })))
    client = await stage.client()
  }, 30_000)
  afterAll(() => stage.end())

  it('C8: is lost to a worker whose event loop stood still past the lease: another takes it, and what the first writes is refused', async () => {
    const run = await client.start(seq(each(contends), reads), ['stands', 'takes'])
    const [held] = await stage.ledger.until('held')
    stage.ledger.open('held')
    const [taken] = await stage.ledger.until('taken')
    expect(taken?.pid).not.toBe(held?.pid)
    expect(Number(taken?.details['fence'])).toBeGreaterThan(Number(held?.details['fence']))
    stage.ledger.open('taken')
    const [woke] = await stage.ledger.until('woke')
    expect(woke?.details).toEqual({ isAborted: true, read: 'of the one that took it' })
    stage.ledger.open('woke')
    expect(await run.result()).toEqual({
      ends: [{ write: 'LOCK_LOST', end: 'LOCK_LOST' }, { fence: taken?.details['fence'] }],
      value: 'of the one that took it',
      after: 'written without a lock',
    })
  }, 30_000)

  it('C7, C8: is renewed while its holder works for longer than the lease: another process waits in vain', async () => {
    const run = await client.start(seq(each(contends), reads), ['works', 'waits'])
    const [works] = await stage.ledger.until('works')
    stage.ledger.open('works')
    const [waited] = await stage.ledger.until('waited')
    expect(waited?.pid).not.toBe(works?.pid)
    stage.ledger.open('waited')
    expect(await run.result()).toMatchObject({
      ends: [{ isAborted: false }, { end: 'LOCK_TIMEOUT' }],
      value: 'of the one that works',
    })
  }, 30_000)

  it('C8: of a killed worker is free for others as soon as its branch is taken back, however long the lease', async () => {
    const run = await client.start(each(keeps), [0, 1])
    await stage.ledger.until('start', 2)
    const [first] = await stage.ledger.until('in')
    const killedAt = monotonicMs()
    await workers.find(({ pid }) => pid === first?.pid)?.kill9()
    const [, second] = await stage.ledger.until('in', 2)
    expect(second?.pid).not.toBe(first?.pid)
    expect((second?.at ?? Infinity) - killedAt).toBeLessThan(SOON_MS)
    stage.ledger.open('go')
    expect(await run.result()).toEqual([0, 1])
    expect(stage.ledger.notes('in')).toHaveLength(3)
  }, 30_000)
})
