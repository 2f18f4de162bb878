/** A handler that is started again finds the groups of its earlier starts; where it asks for another one in the place of one of them, it fails. */
import { each, par, seq, task, type AnyNode, type GraflowError, type Task } from 'graflow'
import { describeOnBothStores } from '../support/both-stores.js'
import { failureOf } from '../support/captured-errors.js'

/** The error itself, or the one inside it, of this code. */
function within(error: unknown, code: string): GraflowError | undefined {
  const { code: own, cause, errors = [] } = (error ?? {}) as Partial<GraflowError>
  if (own === code) return error as GraflowError
  for (const inner of [cause, ...errors]) {
    const found = inner === error || inner === undefined ? undefined : within(inner, code)
    if (found !== undefined) return found
  }
  return undefined
}

describeOnBothStores('a handler that forks something else when it is started again', (open) => {
  const one = task('one', (n: number) => n)
  const two = task('two', (n: number) => n)
  let started = 0
  const results: unknown[] = []
  /** Succeeds with its first fork, then fails; forks the second when it is started again. */
  const changes = (
    name: string,
    first: () => [AnyNode, unknown],
    second: () => [AnyNode, unknown],
  ): Task<number, number> =>
    task(name, { retry: { attempts: 3 } }, async (n: number, ctx) => {
      started += 1
      const [flow, input] = (ctx.attempt === 1 ? first : second)()
      const got = await ctx.run(flow as typeof one, input as number)
      results.push(got)
      if (ctx.attempt === 1) throw new Error('once more')
      return n
    })
  const ones = (n: number): [AnyNode, unknown] => [each(one), Array.from({ length: n }, (_, i) => i)]
  const ways = {
    'the same': changes(
      'the-same',
      () => ones(2),
      () => ones(2),
    ),
    'another number of items': changes(
      'more',
      () => ones(2),
      () => ones(3),
    ),
    'the same flow with other items': changes(
      'other-items',
      () => ones(2),
      () => [each(one), [7, 8]],
    ),
    'another task': changes(
      'other-task',
      () => [par(one), 1],
      () => [par(two), 1],
    ),
  }
  const places = (flow: Task<number, number>): readonly (readonly [string, AnyNode, unknown])[] => [
    ['a step', flow, 1],
    ['a branch', each(flow), [1]],
    ['a step of a chain', par(seq(one, flow)), 1],
  ]

  it.each(Object.entries(ways))('gets %s: what it got before, or fails where that cannot be', async (what, flow) => {
    const graflow = await open([one, two, flow])
    for (const [, node, input] of places(flow)) {
      started = 0
      results.length = 0
      const end = graflow.run(node as typeof one, input as number)
      if (what.startsWith('the same')) {
        await end
        expect(started).toBe(2)
        expect(results[1]).toEqual(results[0])
        continue
      }
      const error = within(await failureOf(end), 'NON_DETERMINISTIC')
      expect(error?.message).toMatch(
        /^expected at \S+~1\S* the group of an earlier start, got another flow or number of items/u,
      )
      expect(error?.retryable).toBe(false)
      // it is no use to start it a third time
      expect(started).toBe(2)
    }
  })
})
