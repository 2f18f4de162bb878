/** Tasks of the scripts of this folder: they take a while, or until a file is there, and note every start. */
import { existsSync } from 'node:fs'
import { each, seq, task, workflow } from 'graflow'

interface Nap {
  readonly n: number
  readonly ms: number
  /** It also takes until this file is there. */
  readonly gate?: string
}

const nap = task('nap', async ({ n, ms, gate }: Nap, ctx) => {
  await ctx.channel.append('starts', n)
  do await new Promise((resolve) => setTimeout(resolve, ms))
  while (gate !== undefined && !existsSync(gate))
  return { n, attempt: ctx.attempt }
})

const starts = task('starts', async (ended: readonly { readonly n: number; readonly attempt: number }[], ctx) => ({
  ended,
  starts: (await ctx.channel.list('starts')) as readonly number[],
}))

/** Gives what ended, and the numbers of all starts. */
export const naps = workflow('naps', seq(each(nap), starts))

export const napsOf = (count: number, ms: number, gate?: string): readonly Nap[] =>
  Array.from({ length: count }, (_, n) => ({ n, ms, ...(gate !== undefined && { gate }) }))
