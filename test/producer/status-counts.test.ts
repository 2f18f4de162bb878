/** What `status()` counts: steps and branches, each once. */
import { connect, each, par, seq, task, type AnyNode } from 'graflow'

const p = task('p', (x: number) => x)
const q = task('q', { queue: 'default' }, (x: number) => x + 1)
const fork = task('fork', async (x: number, ctx): Promise<number> => ctx.run(seq(p, q), x))

describe('status() counts', () => {
  it.each<[what: string, flow: AnyNode, total: number]>([
    ['steps and branches', seq(p, par(p, p)), 3],
    ['a branch that is handed on once', par(seq(p, q)), 2],
    ['a step whose handler dispatches as what it dispatches', fork, 2],
    [
      'items',
      seq(
        task('list', () => [1, 2]),
        each(p),
      ),
      3,
    ],
  ])('%s', async (_what, flow, total) => {
    await using graflow = await connect({ logLevel: 'silent' })
    const run = await graflow.start(flow as typeof p, 1)
    await run.result()
    expect(await run.status()).toMatchObject({ done: total, withdrawn: 0, total })
  })

  it('what was withdrawn, as done, and by itself', async () => {
    await using graflow = await connect({ logLevel: 'silent' })
    const never = task('never', (_: number, { signal }): Promise<number> => {
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
    })
    const run = await graflow.start(seq(p, par(p, never, never).first()), 1)
    await run.result()
    expect(await run.status()).toMatchObject({ done: 4, withdrawn: 2, total: 4 })
  })
})
