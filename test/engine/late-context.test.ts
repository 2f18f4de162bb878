/** A context that outlives its handler: what it says of why it does nothing any more. */
import { connect, par, task, type GraflowError, type TaskContext } from 'graflow'

const kept: TaskContext<number>[] = []
const keeps = task('keeps', (n: number, ctx: TaskContext<number>) => {
  kept.push(ctx)
  return n
})
const messageOf = (doing: Promise<unknown> | undefined): Promise<unknown> | undefined =>
  doing?.then(
    () => 'done',
    (error: unknown) => [(error as GraflowError).code, (error as GraflowError).message],
  )

describe('a context after its end', () => {
  it.each([
    ['a run', keeps],
    ['a branch', par(keeps, keeps)],
  ])('says that it is over, not that somebody else holds it: of %s', async (_, flow) => {
    await using graflow = await connect()
    kept.length = 0
    await graflow.run(flow as typeof keeps, 1)
    const over = ['FENCED', expect.stringMatching(/^the branch of run \S+ is over: its ctx works only while /)]
    expect(await messageOf(kept[0]?.channel.set('k', 1))).toEqual(over)
    expect(await messageOf(kept[0]?.run(keeps, 1))).toEqual(over)
  })
})
