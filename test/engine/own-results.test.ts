/** Inside an each or a loop, a handler that asks for the result of a task means that of its own item and pass. */
import { again, connect, done, each, loop, par, seq, task, type AnyNode, type Graflow } from 'graflow'
import { describeOnBothStores } from '../support/both-stores.js'
import { failureOf } from '../support/captured-errors.js'
import { finished } from '../support/runs.js'

describe('ctx.result inside an each or a loop', () => {
  let graflow: Graflow

  beforeEach(async () => {
    graflow = await connect()
  })
  afterEach(() => graflow.close())

  const double = task('double', (n: number) => n * 2)

  it('gives the result of the same item', async () => {
    const both = task('both', async (n: number, ctx) => [n, await ctx.result(double)])
    const increment = task('increment', (n: number) => n + 1)

    expect(await graflow.run(each(seq(double, increment, both)), [1, 10])).toEqual([
      [3, 2],
      [21, 20],
    ])
  })

  it('gives the result of the same pass', async () => {
    const next = task('next', async (n: number, ctx) => {
      const own = await ctx.result(double)
      return n < 10 ? again(n) : done(own)
    })

    expect(await graflow.run(loop(seq(double, next), { maxCycles: 10 }), 1)).toBe(16)
  })

  it('gives it inside a fork, too', async () => {
    const ask = task('ask', async (_: number, ctx) => ctx.result(double))
    const fork = task('fork', async (n: number, ctx) => (await ctx.run(par(ask), n))[0])

    expect(await graflow.run(each(seq(double, fork)), [1, 10])).toEqual([2, 20])
  })

  it('is ambiguous from outside, with the paths', async () => {
    const after = task('after', async (_: number[], ctx) => ctx.result(double))

    await expect(graflow.run(seq(each(double), after), [1, 2])).rejects.toMatchObject({
      code: 'TASK_FAILED',
      cause: { code: 'RESULT_AMBIGUOUS', details: { paths: ['0/*'] } },
    })
  })
})

describeOnBothStores('results of tasks in flows that handlers brought', (open) => {
  const double = task('double', (n: number) => n * 2)
  const outer = task('outer', (n: number) => n + 100)
  const asks = task('asks', async (_: unknown, ctx) => [await ctx.result(double), await ctx.result(outer)])
  const askDouble = task('ask-double', async (_: unknown, ctx) => ctx.result(double))
  const forks = task('forks', (n: number, ctx) => ctx.run(seq(double, asks), n))
  const forksItems = task('forks-items', (n: number, ctx) => ctx.run(each(seq(double, asks)), [n, n + 1]))
  const forksAsker = task('forks-asker', (n: number, ctx) => ctx.run(each(asks), [n]))
  const forksDeep = task('forks-deep', (n: number, ctx) => ctx.run(seq(double, forksAsker), n))
  const nextsDeep = task('nexts-deep', (n: number, ctx) => ctx.next(seq(double, forksAsker), n))
  const asksFork = task('asks-fork', async (n: number, ctx) => {
    await ctx.run(double, n)
    return ctx.result(double)
  })
  const nexts = task('nexts', (n: number, ctx) => {
    ctx.next(double, n)
    return n
  })
  const twice = task('twice', async (n: number, ctx) => {
    await ctx.run(double, n)
    await ctx.run(double, n + 1)
    return ctx.result(double)
  })
  const dispatched = par(askDouble)
  const all = [
    outer,
    forks,
    forksItems,
    forksDeep,
    nextsDeep,
    asksFork,
    nexts,
    twice,
    asks,
    askDouble,
    double,
    forksAsker,
  ]

  it('are found inside the flow, with those around it', async () => {
    const graflow = await open(all)
    const both = async (node: AnyNode): Promise<unknown> => {
      const flow = seq(outer, node as typeof forks)
      const [branch] = await graflow.run(par(flow), 1)
      expect(await graflow.run(flow, 1)).toEqual(branch)
      return branch
    }
    expect(await both(forks)).toEqual([202, 101])
    expect(await both(forksItems)).toEqual([
      [202, 101],
      [204, 101],
    ])
    expect(await both(forksDeep)).toEqual([[202, 101]])
    expect(await both(nextsDeep)).toEqual([[202, 101]])
  })

  it('are found by the handler that ran the flow, and by what follows it', async () => {
    const graflow = await open(all)
    expect(await graflow.run(each(asksFork), [1, 2])).toEqual([2, 4])
    expect(await graflow.run(seq(nexts, askDouble), 1)).toBe(2)
    expect(await graflow.run(seq(nexts, dispatched), 1)).toEqual([2])
    expect(await graflow.run(each(seq(nexts, askDouble)), [1, 2])).toEqual([2, 4])
  })

  it('are found by the handle of the run, unless they are several', async () => {
    const graflow = await open(all)
    for (const node of [asksFork, nexts]) expect(await (await finished(graflow, node, 3)).result(double)).toBe(6)
    await expect(graflow.run(twice, 1)).rejects.toMatchObject({
      cause: { code: 'RESULT_AMBIGUOUS', details: { paths: ['0/~1/0', '0/~2/0'] } },
    })
    const run = await finished(graflow, each(asksFork), [1, 2])
    expect((await failureOf(run.result(double))).details['paths']).toEqual(['0/0/~1/0', '0/1/~1/0'])
    expect((await failureOf(run.result(outer))).code).toBe('RESULT_NOT_FOUND')
  })
})
