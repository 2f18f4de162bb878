/** Tasks of workers that are started as they are in the field. */
import { task } from 'graflow'
import { note, passGate } from '../support/ledger.js'

/** Says that it starts; ends when the gate `go` is open. */
export const held = task('held', async (name: string, ctx) => {
  note('start', { name, attempt: ctx.attempt })
  await passGate('go')
  return name
})
