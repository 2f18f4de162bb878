/** A handler that throws on what a fork failed with is started again, unless that says that another start cannot help. */
import { each, GraflowError, NotRetryableError, par, seq, task, type AnyNode } from 'graflow'
import { describeOnBothStores } from '../support/both-stores.js'
import { failureOf } from '../support/captured-errors.js'

describeOnBothStores('an error thrown on by a handler', (open) => {
  const RETRY = { retry: { attempts: 3 } }
  const throws = (name: string, error: () => Error) =>
    task(name, (): number => {
      throw error()
    })
  const ordinary = throws('ordinary', () => new Error('no'))
  const final = throws('final', () => new NotRetryableError('never'))
  const limit = throws('limit', () => new GraflowError('LIMIT_EXCEEDED', 'too much'))
  const late = throws('late', () => new GraflowError('TIMEOUT', 'too late'))
  const inner = task('inner', (n: number, ctx) => ctx.run(final, n))
  const tasks: AnyNode[] = [ordinary, final, limit, late, inner]

  it.each<[AnyNode, boolean, boolean?]>([
    [ordinary, true],
    [final, false],
    [limit, false],
    [late, true],
    [inner, false],
    [par(ordinary, ordinary), true],
    [par(final, ordinary).configure({ onFailure: 'wait' }), false],
    [each(limit), false, true],
  ])('of %s: %s', async (flow, isRetryable, isList = false) => {
    let starts = 0
    let told: unknown
    const forks = task('forks', RETRY, async (n: number, ctx) => {
      starts += 1
      try {
        return await ctx.run(flow as typeof ordinary, (isList ? [n] : n) as number)
      } catch (error) {
        told = (error as GraflowError).retryable
        throw error
      }
    })
    const graflow = await open([...tasks, forks])
    for (const place of [
      forks,
      par(forks, forks).configure({ onFailure: 'wait' }),
      seq(forks, ordinary),
      par(seq(forks, ordinary)),
    ]) {
      starts = 0
      const error = await failureOf(graflow.run(place as typeof forks, 1))
      expect({ told, starts }).toEqual({
        told: isRetryable,
        starts: (isRetryable ? 3 : 1) * (String(place).includes('|') ? 2 : 1),
      })
      expect(error.retryable).toBe(isRetryable)
    }
  })
})
