/** Tasks of a worker that does not know those of split-left.tasks.ts. */
import { again, done, policy, task, type Outcome } from 'graflow'
import { note, passGate } from '../support/ledger.js'
import type { Walk } from './split-left.tasks.js'

export const right = task('right', (walk: Walk) => {
  note('right')
  return { ...walk, steps: [...walk.steps, 'right'] }
})
export const gatedRight = task('gated-right', async (walk: Walk, ctx) => {
  note('gated-right', { attempt: ctx.attempt })
  if (walk.gate !== undefined) await passGate(walk.gate, ctx.signal)
  return { ...walk, steps: [...walk.steps, 'gated-right'] }
})
/** Ends a loop in its second pass. */
export const turns = task('turns', (walk: Walk) => {
  const next = { ...walk, steps: [...walk.steps, 'turns'] }
  return next.steps.filter((step) => step === 'turns').length < 2 ? again(next) : done(next)
})
/** How many there were. */
export const counted = policy('counted', (all: readonly Outcome<Walk>[]) => ({ steps: [String(all.length)] }))
