/**
 * Tasks of the tests about options of tasks, wherever a task stands; run in worker processes. What they are given says which case of a test
 * they belong to, for cases that share workers.
 */
import { each, par, seq, task } from 'graflow'
import { note, passGate } from '../support/ledger.js'
import { block } from '../support/waits.js'

export const leaf = task('leaf', { queue: 'gpu' }, (n: number) => n + 1)
export const viaTask = task('via-task', { queue: 'gpu' }, (n: number, ctx) => ctx.run(leaf, n))
export const viaEach = task('via-each', { queue: 'gpu' }, async (n: number, ctx) => (await ctx.run(each(leaf), [n]))[0])
export const viaPar = task(
  'via-par',
  { queue: 'gpu' },
  async (n: number, ctx) => (await ctx.run(par(leaf, leaf), n))[0],
)

const where = (name: string, queue: string) =>
  task(name, { queue }, (n: number) => {
    note(name, { n })
    return n
  })
export const left = where('left', 'left')
export const right = where('right', 'right')

const noted = (name: string, priority: number) =>
  task(name, { priority }, (n: number) => {
    note(name, { n })
    return n
  })
export const plain = task('plain', (n: number) => n)
export const low = noted('low', -5)
export const urgent = noted('urgent', 5)

/** Ends its worker, once the gate is open. */
export const poison = task('poison', { maxLosses: 0 }, async (n: number) => {
  note('poison', { n })
  await passGate('poison')
  process.kill(process.pid, 'SIGKILL')
  return n
})
export const placedPoison = task('placed-poison', { queue: 'gpu', maxLosses: 0 }, async (n: number) => {
  note('placed-poison', { n })
  await passGate('placed-poison')
  process.kill(process.pid, 'SIGKILL')
  return n
})
/** Its first start keeps the event loop, much longer than it may. */
export const blocks = task('blocks', { timeoutMs: 300, retry: { attempts: 2 } }, (n: number, ctx) =>
  blockOnce(n, ctx.attempt),
)
function blockOnce(n: number, attempt: number): number {
  note('blocks', { n, attempt })
  if (attempt === 1) {
    block(6_000)
    note('blocks no more', { n })
  }
  return n
}
/** The same in what follows its first pass, and behind a flow that it waited for. */
export const blocksAgain = task('blocks-again', { timeoutMs: 300, retry: { attempts: 2 } }, (n: number, ctx) => {
  if (ctx.cycle === 1) return ctx.again(n)
  return blockOnce(n, ctx.attempt)
})
export const blocksLater = task('blocks-later', { timeoutMs: 300, retry: { attempts: 2 } }, async (n: number, ctx) => {
  await ctx.run(par(plain), n)
  return blockOnce(n, ctx.attempt)
})
export const routed = task('routed', { queue: 'elsewhere' }, async (n: number, ctx) => {
  note('routed', { n })
  await passGate('routed', ctx.signal)
  return n
})
/** Fails always, but for its second start, which ends its worker once the gate is open. */
export const declines = task('declines', { retry: { attempts: 3, delayMs: 10 } }, async (n: number, ctx) => {
  note('declines', { n, attempt: ctx.attempt })
  if (ctx.attempt === 2) {
    await passGate('declines')
    process.kill(process.pid, 'SIGKILL')
  }
  throw new Error('declined')
})
export const RETRY_DELAY_MS = 2_000
/** Fails once, and its next start is some time later. */
export const later = task(
  'later',
  { maxLosses: 0, retry: { attempts: 2, delayMs: RETRY_DELAY_MS } },
  (n: number, ctx) => {
    note('later', { n, attempt: ctx.attempt, at: Date.now() })
    if (ctx.attempt === 1) throw new Error('not yet')
    return n
  },
)
export const forksLater = task('forks-later', (n: number, ctx) => ctx.run(seq(plain, later), n))
export const forksPoison = task('forks-poison', (n: number, ctx) => ctx.run(poison, n))
export const forksBlocks = task('forks-blocks', (n: number, ctx) => ctx.run(blocks, n))
export const forksDeclines = task('forks-declines', (n: number, ctx) => ctx.run(declines, n))
export const always = task('always', () => 'yes' as const)

export const held = task('held', async (n: number, ctx) => {
  note('held', { n })
  await passGate('held', ctx.signal)
  note('held is over', { n })
  return n
})
export const after = task('after', (n: number) => {
  note('after', { n })
  return n
})
