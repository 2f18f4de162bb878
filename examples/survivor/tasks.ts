/** A delivery in five steps, driven by whichever worker has the run. Each step says which process it ran in. */
import { setTimeout as sleep } from 'node:timers/promises'
import { each, seq, task, type TaskContext, workflow } from 'graflow'

export interface Done {
  readonly step: string
  readonly pid: number
  readonly attempt: number
}

const done = (ctx: TaskContext): Done => ({ step: ctx.taskName, pid: process.pid, attempt: ctx.attempt })

export const order = task('order', (_: { id: number }, ctx): readonly Done[] => [done(ctx)])

export const pack = task('pack', (_: number, ctx) => done(ctx))
const packAll = task('parcels', (before: readonly Done[]) => before.flatMap(() => [1, 2, 3]))
const packed = task('packed', async (parcels: readonly Done[], ctx) => [...(await ctx.result(order)), ...parcels])

/** Takes a while, and says where it runs: main.ts kills that process. */
export const drive = task('drive', async (before: readonly Done[], ctx) => {
  ctx.progress(0, String(process.pid))
  await sleep(ctx.attempt === 1 ? 60_000 : 0, undefined, { signal: ctx.signal })
  return [...before, done(ctx)]
})

export const deliver = task('deliver', (before: readonly Done[], ctx) => [...before, done(ctx)])

export const delivery = workflow('delivery', seq(order, packAll, each(pack), packed, drive, deliver))
