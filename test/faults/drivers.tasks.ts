/** A run of four steps for tests that kill its driver: nested groups, a loop, forks of a handler, and groups with chains. Each start is noted. */
import { again, done, each, loop, par, task, type TaskContext } from 'graflow'
import { note, passGate } from '../support/ledger.js'

const started = (ctx: TaskContext): void => {
  note('start', { run: ctx.runId, task: ctx.taskName, path: ctx.path })
}

/** The driver's own steps: they may start again, if it is killed before it could save what they gave. */
export const DRIVER_STEPS: readonly string[] = ['prepare', 'sum', 'judge', 'fork', 'last']

const prepare = task('prepare', (n: number, ctx) => {
  started(ctx)
  return n + 1
})

export const twice = task('twice', (n: number, ctx) => {
  started(ctx)
  return n * 2
})

const pair = task('pair', (n: number, ctx) => {
  started(ctx)
  return [n, n + 1]
})

const square = task('square', (n: number, ctx) => {
  started(ctx)
  return n * n
})

const sum = task('sum', ([one, many]: readonly [number, readonly number[]], ctx) => {
  started(ctx)
  return many.reduce((total, n) => total + n, one)
})

const judge = task('judge', ([a, b]: readonly [number, number], ctx) => {
  started(ctx)
  return a + b > 10_000 ? done(a + b) : again(a + b)
})

const fork = task('fork', async (n: number, ctx) => {
  started(ctx)
  const squares = await ctx.run(each(square), [n, n + 1])
  return squares.reduce((total, square) => total + square, await ctx.run(twice, n))
})

const last = task('last', ({ chain, plain }: { readonly chain: number; readonly plain: number }, ctx) => {
  started(ctx)
  return [chain, plain]
})

/** `n` of a number: nested groups, then a loop of groups, then forks, then a group with a chain. */
export const journey = prepare
  .to(par(twice, pair.to(each(square))))
  .to(sum)
  .to(loop(par(twice, square).to(judge), { maxCycles: 5 }))
  .to(fork)
  .to(par({ chain: twice.to(twice), plain: twice }))
  .to(last)

/** Waits for its gate. */
export const held = task('held', async ({ n, gate }: { readonly n: number; readonly gate: string }, ctx) => {
  started(ctx)
  await passGate(gate, ctx.signal)
  return n
})

const total = task('total', (numbers: readonly number[], ctx) => {
  started(ctx)
  return numbers.reduce((all, n) => all + n, 0)
})

export const waitAndTotal = each(held).to(total)

const one = task('one', (_: number, ctx) => {
  started(ctx)
  return 1
})

const after = task('after', (n: number, ctx) => {
  started(ctx)
  return n
})

/** A step that waits, then another one. */
export const waitThenOn = held.to(after)

/** As many branches as it is told to, in a group that begins at once. */
export const bulk = each(one).to(total)
