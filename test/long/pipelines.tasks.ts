/** Tasks of test/long/pipeline-kills.test.ts; what they do they note in the ledger. */
import { task } from 'graflow'
import { note, passGate } from '../support/ledger.js'

export const gated = task('gated', async (event: { n: number }, ctx) => {
  note('start', { ...event })
  await passGate('go', ctx.signal)
  return event
})

export const noted = task('noted', (event: { n: number }) => {
  note('noted', { ...event })
  return event
})
