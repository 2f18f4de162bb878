/** What a paused run does not start: the next of anything, wherever the handler that has just returned stands. */
import { again, choose, done, each, loop, par, policy, seq, task, workflow, type AnyNode, type Run } from 'graflow'
import { describeOnBothStores } from '../support/both-stores.js'
import { Gate } from '../support/gate.js'
import { elapse, until, within } from '../support/waits.js'

/** Long enough for what would be started wrongly. */
const QUIET_MS = 250

describeOnBothStores('a paused run', (open, _name, another) => {
  const gate = new Gate()
  const begun: string[] = []
  const after: string[] = []
  const hold = async (runId: string): Promise<void> => {
    begun.push(runId)
    await gate.pass()
  }
  const held = task('held', async (n: number, ctx) => {
    await hold(ctx.runId)
    return n
  })
  const decides = task('decides', async (_: number, ctx): Promise<'a'> => {
    await hold(ctx.runId)
    return 'a'
  })
  const placed = task('placed', { queue: 'q' }, async (n: number, ctx) => {
    await hold(ctx.runId)
    return n
  })
  const pay = task('pay', (n: number, ctx) => {
    after.push(ctx.runId)
    return n
  })
  const placedPay = task('placed-pay', { queue: 'q' }, (n: number, ctx) => {
    after.push(ctx.runId)
    return n
  })
  const round = task('round', async (n: number, ctx) => {
    if (ctx.cycle > 1) {
      after.push(ctx.runId)
      return done(n)
    }
    await hold(ctx.runId)
    return again(n)
  })
  const once = (name: string, options: object) =>
    task(name, options, async (n: number, ctx) => {
      if (ctx.cycle > 1) {
        after.push(ctx.runId)
        return n
      }
      await hold(ctx.runId)
      return ctx.again(n)
    })
  const repeats = once('repeats', {})
  const placedRepeats = once('placed-repeats', { queue: 'q' })
  const nexts = task('nexts', async (n: number, ctx) => {
    await hold(ctx.runId)
    return ctx.next(pay, n)
  })
  const goes = task('goes', { queue: 'q' }, async (n: number, ctx) => {
    await hold(ctx.runId)
    return ctx.goto(pay, n)
  })
  const forks = task('forks', async (n: number, ctx) => {
    await hold(ctx.runId)
    return ctx.run(pay, n)
  })
  const forksChain = task('forks-chain', (n: number, ctx) => ctx.run(seq(held, pay), n))
  const fails = task('fails', { retry: { attempts: 2 } }, async (n: number, ctx) => {
    if (ctx.attempt > 1) {
      after.push(ctx.runId)
      return n
    }
    await hold(ctx.runId)
    throw new Error('once more')
  })
  const counts = policy('counts', (outcomes: readonly unknown[]) => outcomes.length)
  const tasks = [
    held,
    decides,
    placed,
    pay,
    placedPay,
    round,
    repeats,
    placedRepeats,
    nexts,
    goes,
    forks,
    forksChain,
    fails,
  ]

  const places: readonly (readonly [string, AnyNode, unknown])[] = [
    ['a step', seq(held, pay), 1],
    ['a step that is dispatched', seq(held, placedPay), 1],
    ['a step after one that is dispatched', seq(placed, pay), 1],
    ['a group', seq(held, par(pay, pay)), 1],
    ['a step of a workflow', workflow('inner', seq(held, pay)), 1],
    ['a step after a policy', seq(par(held).join(counts), pay), 1],
    ['a case', choose(decides, { a: pay }), 1],
    ['a pass of a loop', loop(round, { maxCycles: 3 }), 1],
    ['a pass of a loop in a branch', each(loop(round, { maxCycles: 3 })), [1]],
    ['a step of a chain in a branch', par(seq(held, pay), held), 1],
    ['a start by again', repeats, 1],
    ['a start by again, of a step that is dispatched', placedRepeats, 1],
    ['a start by again, of a branch', each(repeats), [1]],
    ['what next brings', nexts, 1],
    ['what next brings in a branch', each(nexts), [1]],
    ['what goto brings', seq(goes, held), 1],
    ['what goto brings in a branch', each(goes), [1]],
    ['a fork', forks, 1],
    ['a step of a fork', forksChain, 1],
    ['a retry', fails, 1],
    ['a retry of a branch', each(fails), [1]],
    ['a retry in a chain', par(seq(pay, fails)), 1],
  ]

  it('starts nothing, however it would go on', async () => {
    const graflow = await open([...tasks, counts] as readonly AnyNode[], { maxConcurrentTasks: 2 * places.length })
    const runs: Run<unknown>[] = []
    for (const [, flow, input] of places) runs.push(await graflow.start(flow as typeof held, input as number))
    await until(() => runs.every(({ id }) => begun.includes(id)), 'a handler of each run')
    await Promise.all(runs.map((run) => run.pause()))
    after.length = 0
    gate.open()
    await elapse(QUIET_MS)
    const startedBy = (): readonly string[] =>
      places.filter((_, i) => after.includes(runs[i]?.id ?? '')).map(([at]) => at)
    expect(startedBy()).toEqual([])
    await Promise.all(runs.map((run) => run.resume()))
    await within(10_000, Promise.all(runs.map((run) => run.result())), 'the results')
    expect(startedBy()).toEqual(places.map(([at]) => at))
  })

  const ticking = (name: string) => {
    let starts = 0
    const tick = task(name, async (n: number) => {
      starts += 1
      await elapse(1)
      return n < 2_000 ? again(n + 1) : done(n)
    })
    return { flow: loop(tick, { maxCycles: 2_001 }), starts: () => starts }
  }
  const sprint = () => {
    let starts = 0
    let takesMs = 1
    const flow = each(
      task('sprint', async (n: number) => {
        starts += 1
        await elapse(takesMs)
        return n
      }),
    )
    return { flow, starts: () => starts, slow: () => (takesMs = 30) }
  }

  it('starts nothing once pause has resolved, here and wherever it is called', async () => {
    const quick = sprint()
    const graflow = await open([quick.flow, ...tasks], { maxConcurrentTasks: 4 })
    const other = await another()
    const cases = [ticking('tick-here'), ticking('tick-there')]
    const runs: Run<unknown>[] = []
    for (const { flow } of cases) runs.push(await graflow.start(flow, 0))
    const many = await graflow.start(
      quick.flow,
      Array.from({ length: 3_000 }, (_, i) => i),
    )
    await until(() => quick.starts() >= 100 && cases.every(({ starts }) => starts() >= 5), 'starts of each run')
    quick.slow() // so that what was acquired ahead waits for long
    const [here, there] = runs
    const counts = await Promise.all([
      here?.pause().then(() => cases[0]?.starts()),
      other.attach(there?.id ?? '').then(async (run) => (await run.pause(), cases[1]?.starts())),
      many.pause().then(() => quick.starts()),
    ])
    await elapse(QUIET_MS)
    expect([...cases.map(({ starts }) => starts()), quick.starts()]).toEqual(counts)
    await Promise.all([...runs, many].map((run) => run.cancel()))
  })
})
