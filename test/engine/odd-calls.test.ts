/** Calls that JavaScript may make: refused with what is wrong, or understood as they were meant. */
import { connect, par, seq, task, type Graflow } from 'graflow'
import { failureOf } from '../support/captured-errors.js'
import { failureOfRun } from '../support/runs.js'

describe('a call that the types would refuse', () => {
  let graflow: Graflow
  beforeEach(async () => {
    graflow = await connect({ logLevel: 'silent' })
  })
  afterEach(() => graflow.close())

  it('of a channel is INVALID_OPTION: an unknown option of a write, a schema that is none', async () => {
    const codes = task('codes', async (_: unknown, ctx) => {
      const code = (call: () => unknown): Promise<unknown> =>
        (async () => call())().then(
          () => 'none',
          (error: unknown) => (error as { code: unknown }).code,
        )
      return Promise.all([
        code(() => ctx.channel.set('k', 1, { ttl: 5 } as never)),
        code(() => ctx.channel.append('l', 1, 5 as never)),
        code(() => ctx.channel(5 as never)),
        code(() => ctx.channel<{ k: number }>().set('k', 1, { ttlMs: 1_000 })),
      ])
    })
    expect(await graflow.run(codes, 0)).toEqual(['INVALID_OPTION', 'INVALID_OPTION', 'INVALID_OPTION', 'none'])
  })

  it('of ctx.cancel without a reason says that none was given, as that of the run does', async () => {
    const cancels = task('cancels', (_: unknown, ctx) => (ctx.cancel as () => never)())
    expect((await failureOfRun(graflow, cancels, 0)).message).toContain('was cancelled: no reason given')
  })

  it.each(['cluster', 'sentinels'])('of connect with { %s } is NOT_AVAILABLE', async (option) => {
    const error = await failureOf(connect({ [option]: ['redis://127.0.0.1:1'] } as never))
    expect(error).toMatchObject({ code: 'NOT_AVAILABLE', details: { option } })
  })
})

describe('what is told of a start', () => {
  it('is the attempt in lines of ctx.log, and the kind of a branch that is no task', async () => {
    await using graflow = await connect({ logLevel: 'silent' })
    const attempts: unknown[] = []
    graflow.events.subscribe('log', ({ path, attempt }) => attempts.push([path, attempt]))
    const logs = task('logs', { retry: { attempts: 2 } }, (n: number, ctx) => {
      ctx.log.info('here')
      if (ctx.attempt === 1) throw new Error('once')
      return n
    })
    const run = await graflow.start(par(logs, seq(logs, logs)), 1)
    const names: string[] = []
    for await (const { task } of run.branches()) names.push(task)
    expect(names.sort()).toEqual(['(sequence)', 'logs'])
    expect(attempts).toContainEqual(['0/0', 1])
    expect(attempts).toContainEqual(['0/1/0', 2])
  })
})
