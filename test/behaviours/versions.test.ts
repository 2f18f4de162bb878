/** Two versions of a flow at once: what counts as the same run, and which build takes what. */
import { connect, each, par, seq, task, workflow, type AnyNode, type Graflow } from 'graflow'
import { describeOnBothStores } from '../support/both-stores.js'
import { failureOf } from '../support/captured-errors.js'
import { Gate } from '../support/gate.js'
import { workerHere } from '../support/local-worker.js'
import { useStage, type Stage } from '../support/redis-stage.js'
import { until } from '../support/waits.js'

const first = task('first', (n: number) => n + 1)
const second = task('second', (n: number) => n * 2)
const patient = task('second', { retry: { attempts: 3 }, timeoutMs: 60_000 }, (n: number) => n * 2)
const third = task('third', (n: number) => n - 1)
const before = seq(first, second)
/** The same with other options: another hash, one shape. */
const retrying = seq(first, patient)
const longer = seq(first, second, third)
const other = seq(second, first)

describeOnBothStores('a release that changes a flow', (open, _name, another) => {
  const tasks: readonly AnyNode[] = [first, second, third]

  it('V1: with a retry more attaches to the run, and gets it by its id and key', async () => {
    const graflow = await open(tasks)
    const run = await graflow.start(before, 1, { id: 'order', idempotencyKey: 'key' })
    const newer = await another()
    expect(await (await newer.attach('order', retrying)).result()).toBe(4)
    for (const options of [{ id: 'order' }, { idempotencyKey: 'key' }]) {
      for (const call of ['start', 'submit'] as const) {
        const known = await newer[call as 'start'](retrying, 1, options)
        expect([known.id, await known.result()]).toEqual([run.id, 4])
      }
    }
    expect((await failureOf(newer.start(retrying, 2, { id: 'order' }))).code).toBe('RUN_EXISTS')
    expect((await failureOf(newer.start(other, 1, { idempotencyKey: 'key' }))).code).toBe('RUN_EXISTS')
  })

  it('V2: with a step more has another shape, and gets the run of a workflow by its key', async () => {
    const graflow = await open(tasks)
    const run = await graflow.submit(workflow('billing', before), 1, { idempotencyKey: 'key' })
    expect(await run.result()).toBe(4)
    const newer = await another()
    const changed = workflow('billing', longer)
    for (const call of [newer.attach(run.id, changed), newer.resume(run.id, changed)])
      expect(await failureOf(call)).toMatchObject({ code: 'GRAPH_MISMATCH', details: { runId: run.id } })
    for (const call of ['start', 'submit'] as const) {
      const known = await newer[call as 'start'](changed, 1, { idempotencyKey: 'key' })
      expect([known.id, await known.result()]).toEqual([run.id, 4])
    }
    expect(await newer.run(changed, 1, { idempotencyKey: 'key' })).toBe(4)
    for (const [flow, input] of [
      [changed, 2],
      [workflow('other', longer), 1],
      [longer, 1],
    ] as const)
      expect((await failureOf(newer.start(flow, input, { idempotencyKey: 'key' }))).code).toBe('RUN_EXISTS')
  })

  it('V2: with a step more in a flow that is no workflow, is another flow', async () => {
    const graflow = await open(tasks)
    await graflow.start(before, 1, { idempotencyKey: 'key' })
    const newer = await another()
    for (const flow of [longer, seq(first, par(second, third)), workflow('named', longer)] as const)
      expect((await failureOf(newer.start(flow as typeof before, 1, { idempotencyKey: 'key' }))).code).toBe(
        'RUN_EXISTS',
      )
  })
})

/** What each build has: the same names, and handlers that tell which build ran them. */
function flowsOf(build: string, gate = new Gate()) {
  const who = task('who', () => build)
  const held = task('held', async (_: unknown, ctx) => {
    await gate.pass(ctx.signal)
    return build
  })
  const forks = task('forks', (n: number, ctx) => ctx.run(each(who), [n, n]))
  const twice = task('twice', (n: number) => [n, n])
  const report = task('report', (found: readonly unknown[]) => [...new Set([build, ...found.flat(3)])])
  /** Steps, branches, nested groups, forks: all that a run can make. */
  const all = seq(par(each(who), each(forks), each(seq(twice, each(who)))), report)
  return { held, all, holding: seq(each(held), report), gate }
}

const buildsOf = async (graflow: Graflow): Promise<Record<string, { workers: number; runs: number }>> => {
  const { items } = await graflow.builds.list()
  return Object.fromEntries(items.map(({ buildId, ...counts }) => [buildId, counts]))
}

describe('two builds of workers', () => {
  const open = useStage()
  const [one, two] = ['1.0', '2.0+b'] as const
  const clientOf = (stage: Stage, buildId: string): Promise<Graflow> => stage.client({ buildId })

  it('V3: never do work of runs that are pinned to the other, and share the rest', async () => {
    const stage = await open()
    for (const build of [one, two, two]) {
      const { all, held } = flowsOf(build)
      await workerHere(stage, `${build.replace('+', '-')}-${Math.random()}`, [all, held], { buildId: build })
    }
    const [first, second] = [await clientOf(stage, one), await clientOf(stage, two)]
    const ran = async (graflow: Graflow, build: string, pin?: boolean): Promise<readonly unknown[]> => {
      const { all } = flowsOf(build)
      const options = pin === undefined ? {} : { pin }
      const runs = [await graflow.start(all, [1, 2, 3, 4], options), await graflow.submit(all, [5, 6], options)]
      return (await Promise.all(runs.map((run) => run.result()))).flat()
    }
    for (let round = 0; round < 5; round += 1) {
      expect(await Promise.all([ran(first, one, true), ran(second, two, true)])).toEqual([
        [one, one],
        [two, two],
      ])
    }
    const pinned = workflow('pinned', flowsOf(one).all, { pin: true })
    expect(await first.run(pinned, [1, 2])).toEqual([one])
    expect((await ran(first, one)).length).toBeGreaterThan(0) // by whichever
    expect(await buildsOf(second)).toEqual({ [one]: { workers: 1, runs: 0 }, [two]: { workers: 2, runs: 0 } })
  })

  it('V3: builds counts to 0: a run waits for its build, whoever else is there, and goes on with it', async () => {
    const stage = await open()
    const { gate, holding } = flowsOf(one)
    const oldWorker = await workerHere(stage, 'old', [holding], { buildId: one })
    const client = await clientOf(stage, one)
    const driver = await clientOf(stage, one)
    await driver.start(holding, [1], { pin: true, id: 'started' })
    await client.submit(holding, [1], { pin: true, id: 'submitted' })
    await gate.reached(2)
    await workerHere(stage, 'new', [flowsOf(two).holding], { buildId: two })
    expect(await buildsOf(client)).toEqual({ [one]: { workers: 1, runs: 2 }, [two]: { workers: 1, runs: 0 } })
    await Promise.all([oldWorker.stop(0), driver.close()])
    await until(async () => (await buildsOf(client))[one]?.workers === 0, 'the last worker of the build to be gone')
    expect((await buildsOf(client))[one]).toEqual({ workers: 0, runs: 2 })
    for (const id of ['started', 'submitted']) {
      const other = await clientOf(stage, two)
      expect(await failureOf(other.resume(id))).toMatchObject({
        code: 'BUILD_MISMATCH',
        details: { runId: id, build: one, mine: two },
      })
      expect((await (await other.attach(id)).status()).state).not.toBe('running')
    }
    const last = flowsOf(one)
    last.gate.open()
    await workerHere(stage, 'again', [last.holding], { buildId: one })
    for (const id of ['started', 'submitted']) expect(await (await client.attach(id, holding)).result()).toEqual([one])
    expect(await buildsOf(client)).toEqual({ [one]: { workers: 1, runs: 0 }, [two]: { workers: 1, runs: 0 } })
  }, 30_000)
})

describe('a run that is pinned in the embedded engine', () => {
  it('V3: counts for the build of its client until it ends, page by page', async () => {
    await using graflow = await connect({ buildId: '7', logLevel: 'silent' })
    const { holding, gate } = flowsOf('7')
    const run = await graflow.submit(holding, [1], { pin: true })
    await gate.reached(1)
    expect(await graflow.builds.list()).toEqual({ items: [{ buildId: '7', workers: 1, runs: 1 }] })
    expect(await graflow.builds.list({ cursor: '7' })).toEqual({ items: [] })
    expect((await failureOf(graflow.builds.list({ limit: 0 }))).code).toBe('INVALID_OPTION')
    gate.open()
    expect(await run.result()).toEqual(['7'])
    expect(await graflow.builds.list()).toEqual({ items: [{ buildId: '7', workers: 1, runs: 0 }] })
  })

  it('V3: needs a client with a build', async () => {
    await using graflow = await connect({ logLevel: 'silent' })
    const error = await failureOf(graflow.start(first, 1, { pin: true }))
    expect(error).toMatchObject({ code: 'INVALID_OPTION', details: { option: 'pin' } })
    expect(error.message).toContain("connect(address, { buildId: '2026.11.2' })")
    expect((await failureOf(graflow.start(workflow('w', first, { pin: true }), 1))).code).toBe('INVALID_OPTION')
    expect(await graflow.run(workflow('w', first, { pin: true }), 1, { pin: false })).toBe(2)
    // Inside another flow the option says nothing, and makes no other graph.
    expect(await graflow.run(seq(workflow('w', first, { pin: true }), second), 1)).toBe(4)
    const nested = (pin: boolean) => workflow('outer', seq(workflow('w', first, { pin }), second)).hash
    expect(nested(true)).toBe(nested(false))
  })
})

describeOnBothStores('a workflow that is submitted by its name', (open, name) => {
  const inner = workflow('inner', second)
  const billing = workflow('billing', seq(first, inner), { timeoutMs: 60_000 })

  it('runs as one that is given, with or without an input', async () => {
    const nothing = workflow(
      'nothing',
      task('nothing', () => 'done'),
    )
    const graflow = await open([billing, nothing])
    const run = await graflow.submit('billing', 1, { idempotencyKey: 'key' })
    expect(await run.result()).toBe(4)
    expect(await run.status()).toMatchObject({ workflow: 'billing', state: 'completed' })
    expect((await graflow.submit('billing', 1, { idempotencyKey: 'key' })).id).toBe(run.id)
    expect((await graflow.submit(billing, 1, { idempotencyKey: 'key' })).id).toBe(run.id)
    expect(await (await graflow.submit('inner', 5)).result()).toBe(10)
    expect(await (await graflow.submit('nothing')).result()).toBe('done')
    const late = await failureOf(graflow.submit('billing', 1, { nosuch: 1 } as never))
    expect(late.code).toBe('INVALID_OPTION')
  })

  it('is WORKFLOW_NOT_FOUND where nobody knows it, with the name that was probably meant', async () => {
    const graflow = await open([billing])
    const error = await failureOf(graflow.submit('biling', 1))
    expect(error).toMatchObject({ code: 'WORKFLOW_NOT_FOUND', details: { workflow: 'biling' } })
    expect(error.message).toContain('(did you mean "billing"?): known are billing, inner')
    expect((await failureOf(graflow.submit('first', 1))).code).toBe('WORKFLOW_NOT_FOUND') // a task is none
  })

  if (name === 'embedded') {
    it('is known once a flow with it was seen', async () => {
      const graflow = await open([])
      expect((await failureOf(graflow.submit('billing', 1))).message).toContain('none is known')
      await graflow.run(seq(billing, second), 1)
      expect(await (await graflow.submit('billing', 1)).result()).toBe(4)
    })
  }
})

describe('a workflow of a worker', () => {
  const open = useStage()

  it('V3: is that of the worker that registered it last, and pinned to its build where it says so', async () => {
    const stage = await open()
    const [{ all: oldAll }, { all: newAll }] = [flowsOf('1'), flowsOf('2')]
    await workerHere(stage, 'old', [workflow('all', oldAll, { pin: true })], { buildId: '1' })
    const client = await stage.client()
    expect(await (await client.submit('all', [1])).result()).toEqual(['1'])
    await workerHere(stage, 'new', [workflow('all', newAll, { pin: true })], { buildId: '2' })
    for (let i = 0; i < 5; i += 1) expect(await (await client.submit('all', [1])).result()).toEqual(['2'])
    expect(await buildsOf(client)).toEqual({ 1: { workers: 1, runs: 0 }, 2: { workers: 1, runs: 0 } })
  })

  it('is told to be gone when its graph is', async () => {
    const stage = await open()
    await workerHere(stage, 'w', [workflow('short', first)])
    const client = await stage.client()
    await stage.redis.del(...(await stage.redis.keys(stage.keys.graph('*'))))
    expect((await failureOf(client.submit('short', 1))).message).toContain(
      'no worker has had workflow "short" for a day',
    )
    await stage.redis.hset(stage.keys.workflows, 'broken', '{', 'odd', '{"graph":1}')
    for (const workflow of ['broken', 'odd'])
      expect((await failureOf(client.submit(workflow, 1))).code).toBe('WORKFLOW_NOT_FOUND')
  })
})
