/** Tasks of drain.test.ts. */
import { each, task } from 'graflow'
import { mark, passGate } from '../support/handlers.js'

const gated = task('gated', async (n: number, ctx) => {
  mark(ctx, 'started')
  await passGate(ctx, 'open')
  return n
})
export const flow = each(gated)
