/** Tasks of bad-input.test.ts. */
import { task, type AnyNode, type GraflowError, type TaskContext } from 'graflow'

export const echo = task('echo', (input: unknown) => input)
export const large = task('large', (length: number) => 'x'.repeat(length))
export const count = task('count', (n: number) => Array.from({ length: n }, (_, i) => i))
export const texts = task('texts', (n: number) => Array.from({ length: n }, (_, i) => `${i}`.padEnd(10_000)))
/** Forks itself `depth` times, one below the other. */
export const nest = task(
  'nest',
  async (depth: number, ctx: TaskContext<number>): Promise<number> =>
    depth === 0 ? 0 : 1 + (await ctx.run(nest, depth - 1)),
)

const codeOf = async (call: () => unknown): Promise<unknown> => {
  try {
    await call()
    return 'no error'
  } catch (error) {
    const { code, message } = error as GraflowError
    return [code, message]
  }
}
/** What the context says to nonsense. */
export const nonsense = task('nonsense', async (_: unknown, ctx) => ({
  progress: await codeOf(() => ctx.progress(1.5)),
  progressNaN: await codeOf(() => ctx.progress(Number.NaN)),
  run: await codeOf(() => ctx.run('echo' as unknown as typeof echo, 1)),
  next: await codeOf(() => ctx.next({} as AnyNode)),
  goto: await codeOf(() => ctx.goto(undefined as unknown as AnyNode)),
  result: await codeOf(() => ctx.result(null as unknown as AnyNode)),
  unknown: await codeOf(() => ctx.result(echo)),
}))
export const runsFunction = task('runs-function', (_: unknown, ctx) => ctx.run(echo, { call: () => 1 }))
export const runsLarge = task('runs-large', (length: number, ctx) => ctx.run(echo, 'x'.repeat(length)))
export const finishesFunction = task('finishes-function', (_: unknown, ctx) => ctx.finish({ call: () => 1 }))
export const againFunction = task('again-function', (_: unknown, ctx) => ctx.again({ call: () => 1 }))
export const nextFunction = task('next-function', (_: unknown, ctx) => ctx.next(echo, { call: () => 1 }))
