/** Whatever ends a part of a run gets through, also where the part waits for a policy or keeps the event loop. */
import { each, par, policy, seq, task, workflow, type AnyNode } from 'graflow'
import { describeOnBothStores } from '../support/both-stores.js'
import { failureOf } from '../support/captured-errors.js'
import { block, within } from '../support/waits.js'

const TIMEOUT_MS = 50

describeOnBothStores('while a policy decides', (open) => {
  const a = task('a', (n: number) => n)
  const b = task('b', (n: number) => n)
  const forks = (flow: AnyNode) => task('forks', (n: number, ctx) => ctx.run(flow as typeof a, n))
  const nexts = (flow: AnyNode) => task('nexts', (n: number, ctx) => ctx.next(flow as typeof a, n))
  const places: readonly (readonly [string, (flow: AnyNode) => AnyNode])[] = [
    ['of the run itself', (flow) => flow],
    ['of a sequence', (flow) => seq(a, flow as typeof a)],
    ['of a branch', (flow) => par(flow as typeof a, b)],
    ['of a fork', forks],
    ['of a detour', nexts],
  ]
  /** A policy that never decides, and when it has begun. */
  const asked = () => {
    let begin = (): void => undefined
    const begun = new Promise<void>((resolve) => {
      begin = resolve
    })
    const ask = policy('ask', () => {
      begin()
      return new Promise(() => undefined)
    })
    return { begun, flow: par(a, b).join(ask) as AnyNode }
  }

  it.each(places)('%s, a cancel ends it', async (_, place) => {
    const { begun, flow } = asked()
    const graflow = await open([a, b, flow, place(flow)])
    const run = await graflow.start(place(flow) as typeof a, 1)
    await within(5_000, begun, 'the decision to begin')
    await run.cancel('enough')
    expect(await within(5_000, failureOf(run.result()), 'the end')).toMatchObject({ code: 'CANCELLED' })
  })

  it.each(places)('%s, the deadline of the run ends it', async (_, place) => {
    const { flow } = asked()
    const graflow = await open([a, b, flow, place(flow)])
    const error = await within(5_000, failureOf(graflow.run(place(flow) as typeof a, 1, { timeoutMs: 500 })), 'the end')
    expect(error).toMatchObject({ code: 'RUN_TIMEOUT' })
  })

  it.each(places)('%s, the deadlines of a workflow and of the group end it', async (_, place) => {
    const { flow } = asked()
    const bounded = [
      workflow('bounded', flow, { timeoutMs: TIMEOUT_MS }),
      (flow as unknown as { configure(options: object): AnyNode }).configure({ timeoutMs: TIMEOUT_MS }),
    ]
    const graflow = await open([a, b, flow, place(flow)])
    for (const node of bounded) {
      const error = await within(5_000, failureOf(graflow.run(seq(a, place(node) as typeof a), 1)), 'the end')
      expect(JSON.stringify(error)).toMatch(/TIMEOUT/)
    }
  })
})

describeOnBothStores('the timeoutMs of a workflow', (open) => {
  const slow = task(
    'slow',
    (_: number, ctx) => new Promise((_resolve, reject) => ctx.signal.addEventListener('abort', reject)),
  )
  const blocking = task('blocking', (n: number) => {
    block(2 * TIMEOUT_MS)
    return n
  })
  const bounded = (of: AnyNode): AnyNode => workflow('bounded', of, { timeoutMs: TIMEOUT_MS })
  const places: readonly (readonly [string, (flow: AnyNode) => AnyNode])[] = [
    ['run itself', (flow) => flow],
    [
      'a step',
      (flow) =>
        seq(
          flow as typeof slow,
          task('after', () => 1),
        ),
    ],
    [
      'a branch',
      (flow) =>
        par(
          flow as typeof slow,
          task('beside', () => 1),
        ),
    ],
    ['given to ctx.run', (flow) => task('runs', (n: number, ctx) => ctx.run(flow as typeof slow, n))],
    [
      'in what is given to ctx.run',
      (flow) => task('runs', (_: number, ctx) => ctx.run(each(flow as typeof slow), [1])),
    ],
    ['given to ctx.next', (flow) => task('nexts', (n: number, ctx) => ctx.next(flow as typeof slow, n))],
    ['given to ctx.goto', (flow) => task('gotos', (n: number, ctx) => ctx.goto(flow as typeof slow, n))],
  ]

  it.each(places)('holds: %s', async (_, place) => {
    const flows = [slow, blocking].map((of) => place(bounded(of)))
    const graflow = await open([slow, blocking, flows[0] as AnyNode])
    for (const flow of flows) {
      const error = await within(5_000, failureOf(graflow.run(flow as typeof slow, 1)), 'the end')
      expect(JSON.stringify(error)).toMatch(/TIMEOUT/)
    }
  })
})
