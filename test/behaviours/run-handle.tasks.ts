/** Tasks of run-handle.test.ts. */
import { choose, each, loop, par, policy, seq, task, again, done, workflow, type GraflowError } from 'graflow'
import { mark, passGate, untilAborted } from '../support/handlers.js'

export const add = task('add', (n: number) => n + 1)
export const twice = task('twice', (n: number) => n * 2)
export const text = task('text', (n: number) => `n = ${n}`)
export const broken = task('broken', (): number => {
  throw new RangeError('broken')
})
export const pair = par({ left: add, right: twice })
export const mixed = seq(
  add,
  pair,
  task('sum', ({ left, right }: { left: number; right: number }) => left + right),
)
export const tell = task('tell', (n: unknown) => `told ${JSON.stringify(n)}`)
export const whichOf = choose(
  task('which', (n: number) => (n > 3 ? 'high' : 'low')),
  { high: text, low: twice },
)
export const forking = task('forking', async (n: number, ctx) => {
  const forked = await ctx.run(par(add, seq(add, twice)), n)
  return forked[0] + (await ctx.run(twice, n))
})
export const judged = par(add, broken).join(
  policy('how-many', (outcomes: readonly { readonly status: string }[]) => {
    const count = outcomes.filter(({ status }) => status === 'succeeded').length
    return `${count === 1 ? 'one' : count} of ${outcomes.length}`
  }),
)
export const counted = loop(
  seq(
    add,
    task('round', (n: number) => (n < 3 ? again(n) : done(n))),
  ),
  { maxCycles: 5 },
)
export const overItems = each(seq(add, twice))

/** Runs until it is not wanted any more, and tells why. */
export const endless = task('endless', async (_: unknown, ctx) => {
  mark(ctx, 'running')
  try {
    return await untilAborted(ctx)
  } finally {
    const { code, message } = ctx.signal.reason as GraflowError
    mark(ctx, `stopped: ${code}: ${message}`)
  }
})
export const endlessStep = seq(add, endless as never)
export const endlessPair = seq(add, par(endless, add))

/** Holds its slot until the test has seen what it wants to see. */
export const gated = task('gated', async (n: number, ctx) => {
  mark(ctx, `started ${n}`)
  await passGate(ctx, `gate ${n}`)
  mark(ctx, `ended ${n}`)
  return n
})
export const started = each(
  task('started', (n: number, ctx) => {
    mark(ctx, `started ${n}`)
    return n
  }),
)

export const flaky = task('flaky', { retry: { attempts: 2 } }, (n: number, ctx) => {
  ctx.progress(0.5, 'half')
  if (ctx.attempt === 1) throw new Error('again')
  return n
})
export const eventful = workflow(
  'eventful',
  seq(add, par({ one: flaky, two: add }).configure({ name: 'both' }), text as never),
)

export const slow = workflow('slow', endless, { timeoutMs: 1_000 })
export const slowInside = workflow(
  'outer',
  seq(add, workflow('slow-inside', seq(add, endless as never), { timeoutMs: 1_000 })),
)
export const slowGroupInside = seq(add, workflow('slow-group', par(endless, endless), { timeoutMs: 1_000 }))
/** Cancels the run with what is no text, as code without types can. */
export const cancelsAtLength = task('cancels-at-length', (_: number, ctx) => ctx.cancel('why '.repeat(400_000)))
export const cancelsOddly = task('cancels-oddly', (_: number, ctx) => ctx.cancel(Object.create(null) as never))
