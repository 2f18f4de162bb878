/** Inside an each or a loop, a handler that asks for the result of a task means that of its own item and pass. */
import { again, connect, done, each, loop, par, seq, task, type Graflow } from 'graflow'

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
