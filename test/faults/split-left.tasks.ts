/** Tasks of a worker that does not know those of split-right.tasks.ts, and some that go on with those. */
import { declareTask, par, seq, task } from 'graflow'
import { note, passGate } from '../support/ledger.js'

export interface Walk {
  readonly steps: readonly string[]
  readonly gate?: string
}

const right = declareTask<Walk, Walk>('right')
const stepped = ({ steps, ...rest }: Walk, step: string): Walk => ({ ...rest, steps: [...steps, step] })

export const left = task('left', (walk: Walk) => {
  note('left')
  return stepped(walk, 'left')
})
export const gatedLeft = task('gated-left', async (walk: Walk, ctx) => {
  note('gated-left', { attempt: ctx.attempt })
  if (walk.gate !== undefined) await passGate(walk.gate, ctx.signal)
  return stepped(walk, 'gated-left')
})
export const pick = task('pick', ({ steps }: Walk): 'left' | 'right' => (steps.length === 0 ? 'right' : 'left'))

export const forks = task('forks', async (walk: Walk, ctx) => [
  await ctx.run(seq(left, right), walk),
  await ctx.run(par(left, right), walk),
])
export const goesOn = task('goes-on', (walk: Walk, ctx) => ctx.next(seq(right, par(right, left)), walk))
export const leaves = task('leaves', (walk: Walk, ctx) => ctx.goto(right, walk))
export const makesOwn = task('makes-own', async (walk: Walk, ctx) => {
  const own = task('own', (given: Walk) => stepped(given, 'own'))
  return ctx.run(own, walk)
})
