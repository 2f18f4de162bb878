import { connect, each, par, seq, task, type GraflowError } from 'graflow'
import type { Inspector, RunRecord } from '../../lib/backend/backend.js'
import { encode } from '../../lib/values/codec.js'
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
    const load = () => Promise.reject(new Error('nothing else has a graph'))
    const flows = { inspect: inspect as Inspector, runId: 'run', load }
    expect(await readResult(flows, graphOf(expression), expressionOf(double))).toBe(42)
  })

  it('that never comes is refused with paths of the first groups, of each all that it has', async () => {
    await using graflow = await connect()
    const same = (n: number): number => n
    const parts = par({ price: task('price', same), stock: task('stock', { requires: ['disk'] }, same) })
    const end = task('end', () => Promise.reject(new Error('no')))
    const run = await graflow.start(
      each(seq(parts, end)).settled(),
      Array.from({ length: 12 }, (_, i) => i),
    )
    await run.result()
    expect(await run.result('0/11/0/price')).toBe(11)
    const { details, message } = await run.result('0/99/0/price').then(
      () => Promise.reject(new Error('has a result')),
      (error: unknown) => error as GraflowError,
    )
    const paths = details['paths'] as readonly string[]
    expect(paths).toHaveLength(20)
    const stocks = paths.filter((path) => path.endsWith('/stock'))
    expect(stocks.length).toBeGreaterThan(5)
    expect(paths).toEqual(expect.arrayContaining(stocks.map((path) => path.replace('stock', 'price'))))
    expect(message).toMatch(/, \S+ and more$/)
  })
})
