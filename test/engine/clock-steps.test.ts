/** The wall clock is set forward or back while work is under way: durations are measured by one that never steps. */
import { connect, each, par, seq, task, workflow, type Graflow } from 'graflow'
import { type Clock, manualClock, systemClock } from 'graflow/testing'

const HOUR_MS = 3_600_000

/** A clock whose date is set by `step` while its time goes on as ever. */
function steppingClock(): { readonly clock: Clock; readonly step: (ms: number) => void } {
  let aheadMs = 0
  const clock: Clock = { ...systemClock, now: () => systemClock.now() + aheadMs }
  return {
    clock,
    step: (ms) => {
      aheadMs += ms
    },
  }
}

describe.each([
  ['forward', HOUR_MS],
  ['back', -HOUR_MS],
])('a wall clock that is set an hour %s', (_, ms) => {
  const { clock, step } = steppingClock()
  const inTime = task('in-time', { timeoutMs: 60_000 }, async (n: number) => {
    step(ms)
    await new Promise((resolve) => setImmediate(resolve))
    return n
  })
  const forks = task('forks', { timeoutMs: 60_000 }, async (n: number, ctx) => {
    step(ms)
    return ctx.run(inTime, n)
  })
  let graflow: Graflow
  beforeAll(async () => {
    graflow = await connect({ clock, tasks: [inTime], logLevel: 'silent' })
  })
  afterAll(() => graflow.close())

  it.each([
    ['a step', () => graflow.run(inTime, 1), 1],
    ['a branch', () => graflow.run(each(inTime), [1, 2]), [1, 2]],
    ['beside others', () => graflow.run(par(inTime, forks), 1), [1, 1]],
    ['in a chain', () => graflow.run(each(seq(inTime, inTime)), [1]), [1]],
    ['a handler that forks', () => graflow.run(each(forks), [1]), [1]],
    [
      'a workflow with a time limit',
      () => graflow.run(workflow('limited', each(forks)), [1], { timeoutMs: 60_000 }),
      [1],
    ],
    ['a group with a time limit', () => graflow.run(each(inTime).configure({ timeoutMs: 60_000 }), [1]), [1]],
    ['a submitted run', async () => (await graflow.submit(each(inTime), [1], { timeoutMs: 60_000 })).result(), [1]],
  ])('does not end %s before its time', async (_, run, expected) => {
    expect(await run()).toEqual(expected)
  })

  it('makes no duration of events negative or an hour long', async () => {
    const durations: number[] = []
    graflow.events.subscribe('group:released', ({ durationMs }) => durations.push(durationMs))
    graflow.events.subscribe('branches:settled', ({ tasks }) => {
      durations.push(...tasks.map(({ durationMs }) => durationMs))
    })
    await graflow.run(each(inTime), [1, 2])
    expect(durations).not.toHaveLength(0)
    for (const durationMs of durations) {
      expect(durationMs).toBeGreaterThanOrEqual(0)
      expect(durationMs).toBeLessThan(60_000)
    }
  })

  it('is what people are shown of what happens after it', async () => {
    const run = await graflow.start(inTime, 1)
    await run.result()
    const { endedAt } = await run.status()
    expect(Math.abs((endedAt?.getTime() ?? 0) - clock.now())).toBeLessThan(60_000)
  })
})

it('a wall clock that is set forward makes no retry come early', async () => {
  const manual = manualClock(1_000_000)
  let aheadMs = 0
  const clock: Clock = { ...manual, elapsed: () => manual.now(), now: () => manual.now() + aheadMs }
  await using graflow = await connect({ clock, logLevel: 'silent' })
  const at: number[] = []
  const fails = task('fails', { retry: { attempts: 2, delayMs: 5_000, jitter: 0 } }, () => {
    at.push(manual.now())
    if (at.length === 1) throw new Error('once')
    return 'done'
  })
  const run = await graflow.start(each(fails), [1])
  const result = run.result()
  while (at.length === 0) await new Promise((resolve) => setImmediate(resolve))
  aheadMs = HOUR_MS
  await run.status() // the store is asked, and sees the new date
  while (at.length < 2) {
    await new Promise((resolve) => setImmediate(resolve))
    manual.advance(500)
  }
  await result
  expect((at[1] ?? 0) - (at[0] ?? 0)).toBeGreaterThanOrEqual(5_000)
})
