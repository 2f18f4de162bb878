/** Tasks to try a deployment with: some wait, some fail and are tried again. Plain JavaScript, so that any image takes them. */
import { setTimeout as sleep } from 'node:timers/promises'
import { each, seq, task, workflow } from 'graflow'

/** Waits as a request to a service would. */
export const read = task('read', async ({ id, ms }, ctx) => {
  await sleep(ms, undefined, { signal: ctx.signal })
  return { id, size: (id * 7919) % 1000 }
})

/** Every 50th item fails at its first start. */
export const check = task('check', { retry: { attempts: 3, delayMs: 500, jitter: 0.5 } }, ({ id, size }, ctx) => {
  if (id % 50 === 0 && ctx.attempt === 1) throw new Error(`item ${id} was not readable`)
  return size
})

export const total = task('total', (sizes) => sizes.reduce((sum, size) => sum + size, 0))

/** Reads and checks each item, and adds up their sizes. */
export const burst = workflow('burst', seq(each(seq(read, check)), total))
