/** Tasks of the process tests, in TypeScript that only a compiler can read. */
import { each, seq, task, workflow } from 'graflow'
import { note, passGate } from '../support/ledger.js'

export const double = task('double', (n: number): number => n * 2)
const hidden = task('hidden', (all: readonly number[]) => all.length)
/** Reachable only from here: `hidden`. */
export const counted = workflow('counted', seq(each(double), hidden))

/** Notes its attempt; then its own process throws where nobody can catch it, the first time; others wait for the gate. */
export const bombs = task('bombs', async (n: number, ctx) => {
  note('start', { n, attempt: ctx.attempt })
  if (n === 0 && ctx.attempt === 1) {
    await passGate('bomb')
    setTimeout(() => {
      throw new Error('thrown in a timer')
    })
    await new Promise(() => undefined)
  }
  if (ctx.attempt === 1) await passGate('others', ctx.signal)
  return n
})
