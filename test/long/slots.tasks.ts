/** Tasks of slots.test.ts. */
import { each, par, seq, task, workflow, type TaskContext } from 'graflow'
import { mark, openGate, passGate, turn } from '../support/handlers.js'

/** Counts how many of these run at once, and gives the most that this one saw. */
async function together(ctx: Pick<TaskContext, 'channel' | 'signal'>, key: string): Promise<number> {
  const now = await ctx.channel.add(key, 1)
  for (let i = 0; i < 3; i += 1) await turn(ctx.signal)
  await ctx.channel.add(key, -1)
  return now
}
const counted = task('counted', (_: unknown, ctx) => together(ctx, 'in flight'))
const most = task('most', (seen: readonly number[]) => ({ most: Math.max(...seen), count: seen.length }))
export const limited = (concurrency: number) => seq(each(counted).configure({ concurrency }), most)
export const unlimited = seq(each(counted), most)

/** They wait for each other until so many are in flight. */
export const untilTogether = (count: number) =>
  seq(
    each(
      task('until-together', async (_: unknown, ctx) => {
        const now = await ctx.channel.add('in flight', 1)
        if (now === count) await openGate(ctx, 'together')
        await passGate(ctx, 'together')
        await ctx.channel.add('in flight', -1)
        return now
      }),
    ),
    most,
  )

export const innerLimited = seq(
  each(
    seq(
      par(counted, counted),
      most,
      task('of', ({ most: n }: { most: number }) => n),
    ),
  ).configure({ concurrency: 2 }),
  most,
)

/** A chain that fails once in its second step. */
const stumbles = task('stumbles', { retry: { attempts: 2, delayMs: 5 } }, async (seen: number, ctx) => {
  if (ctx.attempt === 1) throw new Error('again')
  return Math.max(seen, await together(ctx, 'in flight'))
})
export const limitedChains = seq(each(seq(counted, stumbles)).configure({ concurrency: 3 }), most)

// ---- nesting
export const leaf = task('leaf', (n: number) => n + 1)
const wrap = (depth: number): typeof nested1 => (depth === 0 ? nested1 : (par(wrap(depth - 1), leaf) as never))
const nested1 = par(leaf, leaf)
export const nestedDeep = wrap(5)
export const forks = task('forks', async (n: number, ctx) => {
  const [x, y] = await ctx.run(par(leaf, seq(leaf, par(leaf, leaf))), n)
  return [x, y] as unknown
})
export const manyForks = each(task('one-fork', async (n: number, ctx) => (await ctx.run(each(leaf), [n, n])).length))
export const twoLevels = each(
  task('two-levels', async (n: number, ctx) =>
    ctx.run(
      task('inner-level', async (m: number, inner): Promise<number> => inner.run(seq(leaf), m)),
      n,
    ),
  ),
)

// ---- who runs first
export const blocker = task('blocker', async (_: unknown, ctx) => {
  mark(ctx, 'blocked')
  await passGate(ctx, 'go')
})
const named = (name: string, priority?: number) =>
  task(name, priority === undefined ? {} : { priority }, (_: unknown, ctx) => {
    mark(ctx, name)
  })
export const low = named('low', -5)
export const plain = named('plain')
export const high = named('high', 7)
export const highest = named('highest', 100)

// ---- waiting frees the slot
export const waitsForOther = task('waits-for-other', async (_: unknown, ctx) => {
  mark(ctx, 'waits')
  await ctx.run(par(opener, leafVoid), undefined)
  await passGate(ctx, 'opened')
  mark(ctx, 'goes on')
})
export const opener = task('opener', async (_: unknown, ctx) => {
  mark(ctx, 'opens')
  await openGate(ctx, 'opened')
})
export const leafVoid = task('leaf-void', () => undefined)
export const retriesLater = task('retries-later', { retry: { attempts: 2, delayMs: 1_000 } }, (_: unknown, ctx) => {
  mark(ctx, `start ${ctx.attempt}`)
  if (ctx.attempt === 1) throw new Error('later')
})
export const other = task('other', (_: unknown, ctx) => {
  mark(ctx, 'other')
})
export const chainRetriesLater = workflow('chain', seq(other, retriesLater))

// ---- deadlines that stand still while a handler waits for its forks
export const waitsInFork = task('waits-in-fork', { timeoutMs: 100 }, async (_: unknown, ctx) => {
  await ctx.run(gate, undefined)
  mark(ctx, 'back')
  await passGate(ctx, 'second')
  return 'in time'
})
const gate = task('gate', async (_: unknown, ctx) => {
  mark(ctx, 'in fork')
  await passGate(ctx, 'first')
})
