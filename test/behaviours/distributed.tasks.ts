/** Tasks of distributed.test.ts. */
import { each, par, seq, task, workflow } from 'graflow'
import { mark, untilAborted } from '../support/handlers.js'

const quick = task('quick', (n: number) => n + 1)
export const quickPair = par(quick, quick)

const endless = task('endless', async (_: unknown, ctx) => {
  mark(ctx, 'running')
  try {
    return await untilAborted(ctx)
  } finally {
    mark(ctx, `stopped: ${(ctx.signal.reason as { readonly code: string }).code}`)
  }
})
export const slowGroup = seq(par(endless, endless).configure({ timeoutMs: 1_000, name: 'slow' }), quick as never)

const tagged = task('tagged', async ({ tag, n }: { tag: string; n: number }, ctx) => {
  await ctx.channel.append('tags', tag)
  return `${tag}${n}`
})
const tags = task('tags', async (values: string[], ctx) => ({
  values,
  tags: [...new Set(await ctx.channel.list('tags'))] as unknown[],
}))
export const crossTalk = workflow('cross-talk', seq(each(tagged), tags))

export const inOrder = each(
  task('in-order', (n: number, ctx) => {
    mark(ctx, String(n))
    return n
  }),
)
