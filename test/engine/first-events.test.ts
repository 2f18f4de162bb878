/** Whoever starts a run and then subscribes misses nothing, however fast the run is. */
import { connect, each, task, type Graflow, type Run } from 'graflow'

describe('the events of a run that was just started', () => {
  let graflow: Graflow

  beforeEach(async () => {
    graflow = await connect()
  })
  afterEach(() => graflow.close())

  const flow = each(task('echo', (n: number) => n))
  const told = async (run: Run<number[]>): Promise<string[]> => {
    const types: string[] = []
    for await (const event of run.events()) types.push(event.type === 'run:state' ? event.to : event.type)
    return types
  }
  const all = ['running', 'group:dispatched', 'branch:started', 'branch:settled', 'group:released', 'completed']

  it('are all told', async () => {
    expect(await told(await graflow.start(flow, [1]))).toEqual(all)
  })

  it('are all told of a submitted one', async () => {
    expect(await told(await graflow.submit(flow, [1]))).toEqual(all)
  })

  it('are its end alone when it is cancelled before it began', async () => {
    const handlers: number[] = []
    const run = await graflow.start(
      task('never', (n: number) => {
        handlers.push(n)
      }),
      1,
    )
    const ended = run.result().catch((error: unknown) => error)
    expect(await run.cancel('changed my mind')).toBe(true)
    expect(await ended).toMatchObject({ code: 'CANCELLED', details: { reason: 'changed my mind' } })
    // The driver looks once more in its first turn, and finds the run over.
    await new Promise((resolve) => {
      setImmediate(resolve)
    })
    expect(handlers).toEqual([])
  })
})
