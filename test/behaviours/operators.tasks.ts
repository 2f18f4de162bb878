/** Tasks of operators.test.ts. */
import { each, loop, again, done, par, seq, task, waitFor, workflow } from 'graflow'
import { isOpenedByTest, passGate } from '../support/handlers.js'

export const double = task('double', (n: number) => n * 2)
export const add = task('add', (numbers: readonly number[]) => numbers.reduce((sum, n) => sum + n, 0))
/** Fails until the gate `mended` of its run is open. */
export const fragile = task('fragile', (n: number, ctx) => {
  if (n < 0 && !isOpenedByTest(ctx, 'mended')) throw new Error(`no ${n}`)
  return n
})
export const gated = task('gated', async (n: number, ctx) => {
  await passGate(ctx, 'open')
  return n
})
const countUp = task('count-up', (n: number) => (n < 3 ? again(n + 1) : done(n)))
export const list = task('list', (n: number) => Array.from({ length: n }, (_, i) => i))

export const orders = workflow('orders', seq(fragile, double))
export const refunds = workflow('refunds', seq(fragile, double))
export const asks = workflow('asks', seq(double, waitFor('ok')))
export const sums = seq(list, each(double), add, par({ same: fragile, twice: double }))
export const looped = seq(double, loop(countUp, { maxCycles: 9 }))
export const held = workflow('held', each(gated))
