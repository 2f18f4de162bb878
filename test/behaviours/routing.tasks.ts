/** Tasks of routing.test.ts. */
import { declareTask, each, par, seq, task } from 'graflow'
import { mark, passGate } from '../support/handlers.js'

export const start = task('start', (n: number) => n + 1)
export const gpu = task('gpu', { requires: ['gpu', 'cuda'] }, (n: number) => n * 2)
const queued = task('queued', { queue: 'slow' }, (n: number) => n * 3)
const near = task('near', { affinity: 'worker-7', priority: 5 }, (n: number) => n * 5)
const fussy = task(
  'fussy',
  { queue: 'slow', requires: ['gpu'], affinity: 'worker-7', retry: { attempts: 2 } },
  (n: number, ctx) => {
    if (ctx.attempt === 1) throw new Error('again')
    return n * 7
  },
)
export const steps = seq(start, gpu, queued, near, fussy)
export const branches = par({ plain: start, gpu, queued, near, fussy, chain: seq(gpu, queued) })
export const items = each(gpu)
export const chains = each(seq(start, gpu))
export const group = each(start).configure({ queue: 'slow' })

export const declared = declareTask<number, number>('declared')
export const implementation = task('declared', (n: number) => n + 100)
export const declaredPlaced = declareTask<number, number>('declared-placed', { queue: 'slow' })

export const nameOne = task('same-name', (n: number) => `one ${n}`)
export const nameTwo = task('same-name', (n: number) => `two ${n}`)
export const gate = task('gate', async (list: number[], ctx) => {
  mark(ctx, 'at the gate')
  await passGate(ctx, 'go')
  return list
})
