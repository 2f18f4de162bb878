/** Tasks of a worker that does not know those of fault.tasks.ts. */
import { task } from 'graflow'
import { note } from '../support/ledger.js'

export const elsewhere = task('elsewhere', (n: number) => {
  note('elsewhere', { n })
  return n
})
