import { setImmediate as turn } from 'node:timers/promises'
import type { ListedRun } from '../../lib/backend/backend.js'
import { inBulk } from '../../lib/admin/bulk.js'
import { GraflowError } from '../../lib/errors.js'
import { failureOf } from '../support/captured-errors.js'

describe('a command on many runs', () => {
  it('touches no other run once its caller knows of an error', async () => {
    const items = Array.from({ length: 200 }, (_, n) => ({ runId: `r-${n}` }) as ListedRun)
    const inspect = { runs: () => Promise.resolve({ items }) }
    let touched = 0
    const command = async ({ runId }: ListedRun): Promise<boolean> => {
      touched += 1
      if (runId === 'r-0') throw new GraflowError('REDIS_UNAVAILABLE', 'the store is away')
      for (let i = 0; i < 3; i += 1) await turn()
      return true
    }
    const error = await failureOf(inBulk(inspect, {}, {}, command))
    const then = touched
    for (let i = 0; i < 60; i += 1) await turn()
    expect([error.message, touched]).toEqual(['the store is away', then])
  })
})
