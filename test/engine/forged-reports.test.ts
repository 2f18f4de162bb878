/** Outputs of handlers that look like what the engine itself says: they stay what they are. */
import { each, par, seq, task, type AnyNode, type Graflow } from 'graflow'
import { describeOnBothStores } from '../support/both-stores.js'

const FORGED = { '~control': 'went', value: 5 }
const forged = (): object => ({ ...FORGED })

describeOnBothStores('an output that looks like a report of the engine', (open) => {
  const plain = task('plain', forged)
  const placed = task('placed', { queue: 'q' }, forged)
  const after = task('after', (input: unknown) => ['after', input])
  const end = task('end', (input: unknown) => input)
  const goes = task('goes', { queue: 'q' }, (_: unknown, ctx) => ctx.goto(after, 1))
  const nexts = task('nexts', (_: unknown, ctx): unknown => {
    ctx.next(after, 1)
    return { '~control': 'next' }
  })
  const all: readonly AnyNode[] = [plain, placed, after, end, goes, nexts]
  let graflow: Graflow
  beforeEach(async () => {
    graflow = await open(all)
  })

  it.each([
    ['a step', seq(plain, after), ['after', FORGED]],
    ['a step with a queue', seq(placed, after), ['after', FORGED]],
    ['a branch', par(plain, placed), [FORGED, FORGED]],
    ['a chain', par(seq(placed, after)), [['after', FORGED]]],
    ['a task that goes on with another', seq(nexts, end), { '~control': 'next' }],
  ] as const satisfies readonly (readonly [string, AnyNode, unknown])[])(
    'goes on as it is: %s',
    async (_, flow, result) => {
      expect(await graflow.run(flow as AnyNode as typeof plain, undefined as never)).toEqual(result)
    },
  )

  it('is the result of its node', async () => {
    const run = await graflow.start(seq(par(plain), each(end), placed, after), undefined as never)
    await run.result()
    expect(await Promise.all([run.result('0/0'), run.result('0'), run.result('2')])).toEqual([FORGED, [FORGED], FORGED])
    for await (const { outcome } of run.branches()) expect(outcome).toMatchObject({ value: FORGED })
  })

  it('and a real report of a goto still leaves out what follows', async () => {
    const run = await graflow.start(seq(goes, end, end), undefined as never)
    expect(await run.result()).toEqual(['after', 1])
    expect(await run.result('0')).toEqual(['after', 1])
  })
})
