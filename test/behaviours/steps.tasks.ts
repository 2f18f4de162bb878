/** Tasks of steps.test.ts: a run whose last step fails, one that is retried, one that hangs until the test lets it go. */
import { each, seq, task, type TaskContext } from 'graflow'
import { isOpenedByTest, mark, passGate } from '../support/handlers.js'

export const list = task('list', async (size: number) => Array.from({ length: size }, (_, n) => n))
const twice = task('twice', async (n: number, ctx) => {
  ctx.progress((n + 1) / 1_000, `item ${n}`)
  return n * 2
})
const sum = task('sum', async (numbers: readonly number[], ctx: TaskContext): Promise<number> => {
  if (!isOpenedByTest(ctx, 'mended')) throw new RangeError('no sum')
  return numbers.reduce((all, n) => all + n, 0)
})
export const failing = seq(list, each(twice), sum)

const flaky = task('flaky', { retry: { attempts: 3 } }, async (n: number, ctx) => {
  if (ctx.attempt < 3) throw new RangeError(`try ${ctx.attempt}`)
  return n
})
export const retried = seq(
  list,
  each(twice),
  task('count', async (numbers: readonly number[]) => numbers.length),
  flaky,
)

const hang = task('hang', async (n: number, ctx) => {
  ctx.progress(0.25, 'a quarter')
  mark(ctx, 'hanging')
  await passGate(ctx, 'go')
  ctx.progress(1, 'all')
  return n
})
const one = task('one', async (n: number) => n)
export const hanging = seq(one, hang, one)

const inFlow = task('in-flow', async (n: number, ctx) => ctx.next(one, n))
export const many = seq(
  inFlow,
  task('loops', async (n: number) => n),
)
