/** A channel is shared state, not a store of files: what is written is bounded, and a refused write changes nothing. */
import { connect, task, type GraflowError } from 'graflow'

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
