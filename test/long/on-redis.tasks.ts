/** Tasks of on-redis.test.ts. */
import { each, par, seq, task, type TaskContext } from 'graflow'
import { mark, turn } from '../support/handlers.js'

export * from '../behaviours/joins.tasks.js'

/** The first two wait for each other: they cannot be one after the other in one process. */
async function meet(ctx: TaskContext): Promise<void> {
  if ((await ctx.channel.add('started', 1)) > 2) return
  while (((await ctx.channel.get('started')) as number) < 2) await turn(ctx.signal)
}
const part = task('part', async (n: number, ctx) => {
  mark(ctx, `part ${n}`)
  await meet(ctx)
  return n * n
})
const sum = task('sum', (parts: readonly number[]) => parts.reduce((total, n) => total + n, 0))
export const threeParts = seq(each(part), sum)

const never = task('never', () => 1)
export const unserved = seq(par(never, never).configure({ timeoutMs: 1_000, name: 'slow' }), sum)

export const long = task('long', async (ms: number, ctx) => {
  for (const until = Date.now() + ms; Date.now() < until; ) await turn(ctx.signal, 20)
  return ctx.attempt
})

export const double = task('double', (n: number) => n * 2)
export const pair = par(double, double)

export const onGpu = each(
  task('on-gpu', { requires: ['gpu'] }, async (n: number, ctx) => {
    await turn(ctx.signal)
    return n
  }),
)
