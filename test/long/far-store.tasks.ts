/** The tasks of far-store.test.ts. */
import { again, done, each, later, loop, par, seq, task, waitFor } from 'graflow'

const total = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0)

export const twice = task('twice', (n: number) => n * 2)
export const flaky = task('flaky', { retry: { attempts: 2 } }, (n: number, ctx) => {
  if (ctx.attempt === 1) throw new Error('not yet')
  return n + 1
})
export const sum = task('sum', total)
export const forks = task('forks', async (numbers: readonly number[], ctx) =>
  total(await ctx.run(each(twice), numbers)),
)
export const count = task('count', (n: number) => (n < 3 ? again(n + 1) : done(n)))
export const numbers = task('numbers', (n: number) => Array.from({ length: n }, (_, i) => i))
export const placed = task('placed', { queue: 'far' }, (n: number) => n)
export const answered = task('answered', (answer: unknown) => answer)

/** What a flow can have in it. */
export const group = seq(each(twice), sum)
export const retries = seq(each(flaky), sum)
export const nested = seq(each(seq(numbers, each(twice), sum)), sum)
export const rounds = seq(sum, loop(count, { maxCycles: 5 }), later(placed, 20))
export const beside = par(sum, forks)
export const asks = seq(sum, waitFor('approve'), answered)
