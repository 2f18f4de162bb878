/** A run of four steps for two releases at once; each start is noted with the release that makes it. Nothing in it is newer than the older one. */
import { each, par, seq, task, type TaskContext } from 'graflow'
import { isOpened, note, passGate } from '../support/ledger.js'

const started = ({ runId, taskName, path }: TaskContext): void => {
  note('start', { run: runId, task: taskName, path, release: process.env['RELEASE'] ?? 'none' })
}

export const begin = task('begin', (n: number, ctx) => {
  started(ctx)
  return [n, n + 1, n + 2]
})

const hold = task('hold', async (n: number, ctx) => {
  started(ctx)
  await passGate('go', ctx.signal)
  return n * 2
})

export const quick = task('quick', (n: number, ctx) => {
  started(ctx)
  return n + 1
})

export const fork = task('fork', async (numbers: readonly number[], ctx) => {
  started(ctx)
  return ctx.run(each(quick), numbers)
})

export const total = task('total', (lists: readonly (readonly number[])[], ctx) => {
  started(ctx)
  return lists.flat().reduce((sum, n) => sum + n, 0)
})

export const keep = task('keep', (numbers: readonly number[], ctx) => {
  started(ctx)
  return numbers
})

export const asNumbers = task('as-numbers', (value: unknown, ctx) => {
  started(ctx)
  return value as readonly number[]
})

/** `6n + 6`, added up before and after one more each: `12n + 15`. */
export const trip = seq(begin, each(hold), par(fork, keep), total)
export const tripOf = (n: number): number => 12 * n + 15

/** Fails for even numbers until the gate is open. */
const frail = task('frail', (n: number, ctx) => {
  started(ctx)
  if (n % 2 === 0 && !isOpened('mended')) throw new Error('not mended')
  return n
})

/** `[n, n + 1, n + 2]`, once it is mended. */
export const frailTrip = seq(begin, each(frail), keep)
