/** Workers over HTTP beside workers that interpret flows: who takes what, where neither knows all. */
import { declareTask, each, par, seq, task } from 'graflow'
import { failureOf } from '../support/captured-errors.js'
import { RemoteStage } from '../support/remote-stage.js'

const resize = declareTask<number, number>('resize')

describe('beside workers that interpret flows, a worker over HTTP', () => {
  let stage: RemoteStage
  beforeEach(async () => {
    stage = await RemoteStage.open('redis')
  })
  afterEach(() => stage.end())

  it('X15: takes no branch of more than one task: another takes it, and hands each task on', async () => {
    const { id } = await stage.register({ tasks: ['resize', 'sharpen'] })
    const sharpen = declareTask<number, number>('sharpen')
    await stage.worker({ tasks: [task('other', () => 0)] })
    const run = await stage.graflow.start(each(seq(resize, sharpen)), [1])
    const first = await stage.take(id, { waitMs: 20_000 })
    expect(first).toMatchObject({ task: 'resize', input: 1 })
    await stage.remote.complete(id, [{ token: first.token, result: 2 }])
    const second = await stage.take(id)
    expect(second).toMatchObject({ task: 'sharpen', input: 2 })
    await stage.remote.complete(id, [{ token: second.token, result: 4 }])
    expect(await run.result()).toEqual([4])
  })

  it('X15: is handed the tasks of a group that nobody knows all tasks of', async () => {
    const { id } = await stage.register()
    const twice = task('twice', (n: number) => 2 * n)
    await stage.worker({ tasks: [twice] })
    const run = await stage.graflow.start(par(resize, declareTask<number, number>('twice')), 3)
    const own = await stage.take(id, { waitMs: 20_000 })
    expect(own).toMatchObject({ task: 'resize', input: 3, path: '0/0' })
    await stage.remote.complete(id, [{ token: own.token, result: 5 }])
    expect(await run.result()).toEqual([5, 6])
  })

  it('FT-W23: is asked for a task that nobody knows: it fails with NO_HANDLER, which names it', async () => {
    await stage.register()
    const missing = declareTask<number, number>('missing')
    const failure = await failureOf(stage.graflow.run(each(missing), [1]))
    expect(failure.message).toContain('remote (queues: default; tasks: resize')
  }, 30_000)
})
