/** Tasks of the scripts of this folder: they take a while, and note every start. */
import { each, seq, task, workflow } from 'graflow'

interface Nap {
  readonly n: number
  readonly ms: number
}

const nap = task('nap', async ({ n, ms }: Nap, ctx) => {
  await ctx.channel.append('starts', n)
  await new Promise((resolve) => setTimeout(resolve, ms))
  return { n, attempt: ctx.attempt }
})

const starts = task('starts', async (ended: readonly { readonly n: number; readonly attempt: number }[], ctx) => ({
  ended,
  starts: (await ctx.channel.list('starts')) as readonly number[],
}))

/** Gives what ended, and the numbers of all starts. */
export const naps = workflow('naps', seq(each(nap), starts))

export const napsOf = (count: number, ms: number): readonly Nap[] =>
  Array.from({ length: count }, (_, n) => ({ n, ms }))
