/** Small cases that the language decides: joins over nothing, names that two members have, cycles inside loops. */
import { again, done, each, loop, par, policy, seq, task, type AnyNode } from 'graflow'
import { describeOnBothStores } from '../support/both-stores.js'
import { failureOf } from '../support/captured-errors.js'

describeOnBothStores('a join', (open) => {
  const id = task('id', (n: number) => n)
  const odd = task('odd', (n: number) => {
    if (n === 1) throw new Error('odd')
    return n
  })

  it('over no items: settled and policies get the empty list, atLeast and first fail', async () => {
    const count = policy('count', (outcomes: readonly unknown[]) => outcomes.length)
    const counted = each(id).join(count)
    const none = task('none', (): number[] => [])
    const graflow = await open([id, counted, none])
    expect(await graflow.run(each(id).settled(), [])).toEqual([])
    expect(await graflow.run(counted, [])).toBe(0)
    for (const flow of [each(id).atLeast(1), each(id).first()] as const) {
      expect(await failureOf(graflow.run(flow as AnyNode as typeof counted, []))).toMatchObject({
        code: 'GROUP_FAILED',
      })
      const branch = par(seq(none, flow as AnyNode as typeof counted))
      expect(await failureOf(graflow.run(branch))).toMatchObject({ code: 'GROUP_FAILED' })
    }
  })

  it('critical of a name that two members have makes both critical', async () => {
    const second = seq(
      task('other', () => 1),
      id,
    )
    const graflow = await open([id, odd, second])
    const both = par(odd, second, odd).critical('odd')
    const error = await failureOf(graflow.run(both as AnyNode as typeof id, 1))
    expect(error).toMatchObject({
      code: 'GROUP_FAILED',
      message: expect.stringContaining('critical branches odd, odd did not succeed'),
    })
  })
})

describeOnBothStores('ctx.cycle', (open) => {
  it('is the pass of the loop, and the number of the start after again, inside a loop as elsewhere', async () => {
    const seen: number[] = []
    const twice = task('twice', (n: number, ctx) => {
      seen.push(ctx.cycle)
      return seen.length % 2 === 1 ? ctx.again(n) : n
    })
    const turn = task('turn', (n: number, ctx) => {
      seen.push(ctx.cycle * 10)
      return ctx.cycle < 2 ? again(n) : done(n)
    })
    const graflow = await open([twice, turn])
    await graflow.run(loop(seq(twice, turn), { maxCycles: 3 }), 1)
    expect(seen).toEqual([1, 2, 10, 2, 20])
  })
})
