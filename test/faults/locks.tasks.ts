/** Tasks of locks.test.ts: handlers that keep a lock in one process while others, in other processes, want it. */
import { task, type GraflowError, type TaskContext } from 'graflow'
import { isOpened, note, passGate } from '../support/ledger.js'
import { block } from '../support/waits.js'

/** So much that a busy machine is not late. */
const LEASE_MS = 400

const codeOf = (attempt: Promise<unknown>): Promise<string> =>
  attempt.then(
    () => 'no error',
    (error: unknown) => String((error as Partial<GraflowError>).code),
  )

/** Keeps its event loop for longer than the lease, until the gate `taken` opens, and goes on as if nothing had been. */
async function stands(ctx: TaskContext): Promise<object> {
  let write = ''
  const end = await codeOf(
    ctx.channel.lock('a', { leaseMs: 150 }, async ({ fence, signal }) => {
      note('held', { fence })
      while (!isOpened('taken')) block(20)
      write = await codeOf(ctx.channel.set('value', 'of the one that stood still'))
      note('woke', { isAborted: signal.aborted, read: await ctx.channel.get('value') })
    }),
  )
  await ctx.channel.set('after', 'written without a lock')
  return { write, end }
}

async function takes(ctx: TaskContext): Promise<object> {
  await passGate('held', ctx.signal)
  return ctx.channel.lock('a', { waitMs: 10_000 }, async ({ fence }) => {
    await ctx.channel.set('value', 'of the one that took it')
    note('taken', { fence })
    await passGate('woke', ctx.signal)
    return { fence }
  })
}

/** Works for longer than the lease, and stands still nowhere. */
const works = (ctx: TaskContext): Promise<object> =>
  ctx.channel.lock('a', { leaseMs: LEASE_MS }, async ({ signal }) => {
    note('works')
    await passGate('waited', signal)
    await ctx.channel.set('value', 'of the one that works')
    return { isAborted: signal.aborted }
  })

async function waits(ctx: TaskContext): Promise<object> {
  await passGate('works', ctx.signal)
  const end = await codeOf(ctx.channel.lock('a', { waitMs: 3 * LEASE_MS }, () => undefined))
  note('waited')
  return { end }
}

const ROLES = { stands, takes, works, waits }

export const contends = task('contends', (role: keyof typeof ROLES, ctx) => ROLES[role](ctx))

export const reads = task('reads', async (ends: readonly object[], { channel }) => ({
  ends,
  value: (await channel.get('value')) as string,
  after: (await channel.get('after')) as string | undefined,
}))

/** Notes that it has the lock, which it keeps until the gate opens. */
export const keeps = task('keeps', async (n: number, ctx) => {
  note('start', { n })
  return ctx.channel.lock('a', { leaseMs: 600_000, waitMs: 20_000 }, async ({ fence }) => {
    note('in', { n, fence })
    await passGate('go', ctx.signal)
    return n
  })
})
