/** A handler that is started again meets the forks of its earlier attempts: those that succeeded are not run again, a failed one is. */
import { connect, each, par, task, type Graflow } from 'graflow'

describe('a fork of a handler that is started again', () => {
  let graflow: Graflow
  const started: string[] = []

  beforeEach(async () => {
    started.length = 0
    graflow = await connect()
  })
  afterEach(() => graflow.close())

  const steady = task('steady', (n: number) => {
    started.push('steady')
    return n
  })
  const moody = task('moody', (n: number) => {
    started.push('moody')
    if (started.filter((name) => name === 'moody').length < 3) throw new Error('not yet')
    return n * 10
  })
  const forks = task('forks', { retry: { attempts: 3 } }, async (n: number, ctx) => {
    const [one] = await ctx.run(par(steady), n)
    const [ten] = await ctx.run(par(moody), n)
    return one + ten
  })

  it.each([
    ['as a step of the driver', () => graflow.run(forks, 1)],
    ['as a branch', async () => (await graflow.run(each(forks), [1]))[0]],
  ])('is run again where it had failed, and only there, %s', async (_, run) => {
    expect(await run()).toBe(11)
    expect(started).toEqual(['steady', 'moody', 'moody', 'moody'])
  })
})
