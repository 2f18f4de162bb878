/** Tasks of announced-events.test.ts. */
import { each, par, seq, task } from 'graflow'
import { note, passGate } from '../support/ledger.js'

const steps = task('steps', (n: number, ctx) => {
  for (let step = 1; step <= 50; step += 1) ctx.progress(step / 50, `${n}:${step}`)
  return n
})
export const manySteps = each(steps)

const flaky = task('flaky', { retry: { attempts: 2 } }, (n: number, ctx) => {
  if (ctx.attempt === 1) throw new RangeError('not yet', { cause: new TypeError('why') })
  return n
})
export const flakyPair = par(flaky, flaky)

const held = task('held', async (n: number, ctx) => {
  note('started')
  await passGate('first', ctx.signal)
  for (let i = 0; ; i += 1) {
    ctx.progress(0, `held ${i}`)
    const isOver = await Promise.race([
      passGate('second', ctx.signal).then(() => true),
      new Promise<false>((resolve) => setTimeout(resolve, 20, false)),
    ])
    if (isOver) return n
  }
})
const local = task('local', (n: number, ctx) => {
  ctx.progress(1, 'local')
  return n
})
export const heldPair = seq(local, par(held, held))

export const inner = each(task('square', (n: number) => n * n))
const outer = task('outer', (n: number, ctx) => ctx.run(inner, [n, n + 1]))
export const nested = par(outer, outer)
