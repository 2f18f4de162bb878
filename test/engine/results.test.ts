import { seq, task } from 'graflow'
import type { Inspector, RunRecord } from '../../lib/backend/backend.js'
import { encode } from '../../lib/engine/codec.js'
import { readResult } from '../../lib/engine/results.js'
import { expressionOf } from '../../lib/flow/node.js'
import { graphOf } from '../../lib/graph/graph-of.js'

describe('a result', () => {
  it('that comes with the end of the run, between the look for it and the look at the run, is found', async () => {
    const double = task('double', (n: number) => 2 * n)
    const half = task('half', (n: number) => n / 2)
    const expression = expressionOf(seq(double, half))
    let isOver = false
    const inspect: Partial<Inspector> = {
      output: async () => (isOver ? encode(42) : undefined),
      outcomes: async () => undefined,
      run: async () => {
        isOver = true
        return { endedAt: 1, state: 'completed' } as RunRecord // nothing else is asked for
      },
    }
    expect(await readResult(inspect as Inspector, graphOf(expression), 'run', expressionOf(double))).toBe(42)
  })
})
