/** Tasks of by-hand.test.ts: some fail until the test has mended the cause. All starts are noted in the run, whoever makes them. */
import { each, par, seq, task, workflow, type TaskContext } from 'graflow'
import { isOpenedByTest, mark, passGate } from '../support/handlers.js'

const note = (ctx: TaskContext, text: string): Promise<number> => ctx.channel.append('log', text)

/** Fails for `fails` until the gate `mended` of the run is open. */
export const fragile = task('fragile', async (input: { n: number; fails?: boolean }, ctx) => {
  await note(ctx, `fragile ${input.n}`)
  if (input.fails === true && !isOpenedByTest(ctx, 'mended')) throw new Error(`no ${input.n}`)
  return input.n * 2
})

export const list = task('list', async (size: number, ctx) => {
  await note(ctx, 'list')
  return Array.from({ length: size }, (_, n) => (n === 3 ? { n, fails: true } : { n }))
})

export const total = task('total', async (numbers: readonly number[], ctx) => {
  await note(ctx, 'total')
  return numbers.reduce((sum, n) => sum + n, 0)
})

/** What came of it, and all starts so far, in order of text. */
export const withLog = task('with-log', async (result: unknown, ctx) => ({
  result,
  log: (await ctx.channel.list('log')).map(String).sort(),
}))

export const sums = seq(list, each(fragile).configure({ onFailure: 'wait' }), total, withLog)

const broken = task('broken', async (_: number): Promise<number> => {
  throw new Error('always')
})
const one = task('one', async (n: number) => n)
const items = task('items', async (n: number) => [[{ n: 1 }], [{ n, fails: true }]])
const howMany = task('how-many', async (outcomes: readonly unknown[], ctx) => {
  await note(ctx, 'how-many')
  return outcomes.length
})

/** A group that is passed with a failed branch, beside branches of which one fails in a group of its own. */
export const nested = seq(
  par({
    settled: seq(par(broken, one).settled(), howMany),
    sums: seq(items, each(seq(each(fragile), total)).configure({ onFailure: 'wait' })),
  }).configure({ onFailure: 'wait' }),
  withLog,
)

/** Waits for the gate `go`. */
export const hang = task('hang', async (_: number, ctx) => {
  mark(ctx, 'hanging')
  await passGate(ctx, 'go')
  return 'worker'
})

export const beside = par({ quick: one, slow: hang })
export const settled = par({ quick: one, slow: hang }).settled()
export const echo = task('echo', async (value: unknown) => value)
export const hangingStep = seq(one, hang, echo)
const elsewhere = task('elsewhere', { queue: 'default' }, async (_: number, ctx): Promise<number> => {
  mark(ctx, 'hanging')
  await passGate(ctx, 'go')
  return -1
})
/** Its second step is dispatched, wherever the run is driven. */
export const routedStep = seq(one, elsewhere, echo)
const refuses = task('refuses', async (_: number): Promise<number> => {
  throw new Error('never')
})
export const refused = seq(one, refuses, withLog)
/** A branch that fails while another hangs; and a chain that does. */
export const failsBeside = par({ refused: refuses, chain: seq(one, refuses, echo), slow: hang }).settled()
/** A chain in a branch, whose first step hangs. */
export const hangingChain = each(seq(hang, echo))
const endless = task('endless', (_: number, ctx): Promise<number> => {
  return new Promise((_resolve, reject) => ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason)))
})
/** A branch whose workflow runs out of time in its second step, after its end was written down; and one that hangs. */
export const lateBeside = par({
  late: workflow('late', seq(one, endless, echo), { timeoutMs: 300 }),
  slow: hang,
}).settled()
