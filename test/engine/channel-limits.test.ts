/** A channel is shared state, not a store of files: what is written is bounded, and a refused write changes nothing. */
import { connect, each, par, seq, task, type GraflowError } from 'graflow'

describe('a channel value', () => {
  it.each([
    ['a text', 'x'.repeat(200)],
    ['a list', Array.from({ length: 200 }, (_, i) => i)],
  ])('larger than resultBytes is refused, and the one before stays: %s', async (_, large) => {
    await using graflow = await connect({ limits: { resultBytes: 100 } })
    const write = task('write', async (_: unknown, ctx) => {
      await ctx.channel.set('kept', 'small')
      const code = await ctx.channel.set('kept', large).catch((error: unknown) => (error as GraflowError).code)
      return [code, await ctx.channel.get('kept')]
    })

    expect(await graflow.run(write)).toEqual(['LIMIT_EXCEEDED', 'small'])
  })
})

describe('what is larger than its limit', () => {
  const large = 'x'.repeat(200)
  const same = task('same', (value: unknown) => value)
  const grow = task('grow', () => large)
  const fork = task('fork', (_: unknown, ctx) => ctx.run(same, large))
  const set = task('set', (_: unknown, ctx) => ctx.channel.set('k', large))
  const append = task('append', (_: unknown, ctx) => ctx.channel.append('k', large))
  const finish = task('finish', (_: unknown, ctx) => ctx.finish(large))
  it.each([
    ['sharedInputBytes', 'the input of a run', same, large],
    ['sharedInputBytes', 'the input of a par', seq(grow, par(same, same)), 0],
    ['itemBytes', 'an item of an each', each(same), [large]],
    ['itemBytes', 'the input of a fork', fork, 0],
    ['itemBytes', 'a channel item', append, 0],
    ['resultBytes', 'a result in a sequence', grow, 0],
    ['resultBytes', 'the result of a branch', par(grow, same), 0],
    ['resultBytes', 'a channel value', set, 0],
    ['runResultBytes', 'the result of a run', grow, 0],
    ['runResultBytes', 'a value given to finish', finish, 0],
    ['branches', 'a group', each(same), [1, 2, 3]],
  ] as const)('is told with limits.%s: %s', async (option, _, flow, input) => {
    await using graflow = await connect({ limits: { [option]: option === 'branches' ? 2 : 100 } })
    let error: unknown = await graflow.run(flow as typeof same, input).catch((thrown: unknown) => thrown)
    while ((error as GraflowError).code !== 'LIMIT_EXCEEDED') error = (error as GraflowError).cause
    expect((error as GraflowError).details['option']).toBe(`limits.${option}`)
    expect((error as GraflowError).message).toContain(`, or raise limits.${option}`)
  })
})
