/** Flows that wait, for tests whose processes end meanwhile. Each start is noted. */
import { later, par, seq, task, waitFor, type TaskContext } from 'graflow'
import { note } from '../support/ledger.js'

const started = (ctx: TaskContext): void => note('start', { task: ctx.taskName, run: ctx.runId })

const first = task('first', (n: number, ctx) => {
  started(ctx)
  return n
})

const then = task('then', (value: unknown, ctx) => {
  started(ctx)
  return value
})

const slow = task('slow', (n: number, ctx) => {
  started(ctx)
  return n * 2
})

/** Its input, so many milliseconds later. */
const sleeping = (ms: number) => seq(first, later(then, ms))

export const SLEEP_MS = 1_500
export const soon = sleeping(SLEEP_MS)

export const asked = seq(first, par(waitFor('ok'), slow), then)

/** Sleeps, then asks; both are noted when they are over. */
const sleeper = task('sleeper', async (ms: number, ctx) => {
  started(ctx)
  await ctx.sleep(ms)
  note('slept', { losses: ctx.attempt - 1 })
  return ctx.waitFor('ok')
})
export const handled = par({ sleeper, slow: seq(first, slow) })
