/** Handlers that wait for runs which they began by the client: served where they are known, and told. */
import { each, seq, task, type AnyNode, type EventOf, type Graflow } from 'graflow'
import { describeOnBothStores } from '../support/both-stores.js'
import { within } from '../support/waits.js'

const ITEMS = Array.from({ length: 12 }, (_, i) => i)

describeOnBothStores('a handler that waits for a run of the client', (open) => {
  let graflow: Graflow
  const inc = task('inc', (n: number) => n + 1)
  const runs = task('runs', async (n: number) => (await graflow.run(each(inc), [n]))[0])
  const begun = {
    runs,
    starts: task('starts', async (n: number) => (await (await graflow.start(each(inc), [n])).result())[0]),
    submits: task('submits', async (n: number) => (await (await graflow.submit(each(inc), [n])).result())[0]),
    reads: task('reads', async (n: number) => {
      const run = await graflow.start(each(inc), [n])
      for await (const { outcome } of run.branches()) if (outcome.status === 'succeeded') return outcome.value as number
      return undefined
    }),
    listens: task('listens', async (n: number) => {
      const run = await graflow.start(each(inc), [n])
      for await (const event of run.events()) if (event.type === 'run:state' && event.to === 'completed') break
      return n + 1
    }),
    nests: task('nests', async (n: number) => (await graflow.run(each(runs), [n]))[0]),
  } as const satisfies Record<string, AnyNode>

  it.each(Object.values(begun))('gives its slot to others meanwhile, and says so once: %s', async (outer) => {
    graflow = await open([inc, ...Object.values(begun)], { maxConcurrentTasks: 2 })
    const told: EventOf<'log'>[] = []
    graflow.events.subscribe('log', (event) => told.push(event))
    const run = graflow.run(each(outer as typeof runs), ITEMS)
    expect(await within(15_000, run, 'all handlers to end')).toEqual(ITEMS.map((n) => n + 1))
    const warnings = told.filter(({ message }) => message.includes('ctx.run(flow, input)'))
    expect(warnings).toMatchObject([{ level: 'warn', path: expect.stringMatching(/^0\//) }])
    expect(await graflow.run(seq(inc, inc), 1)).toBe(3)
  })

  it('after it has awaited something else is told when all slots stand still', async () => {
    const later = task('later', async (n: number) => {
      await new Promise((resolve) => setImmediate(resolve))
      return (await graflow.run(each(inc), [n]))[0]
    })
    graflow = await open([inc, later], { maxConcurrentTasks: 2 })
    const told = new Promise<string>((resolve) => {
      graflow.events.subscribe('log', ({ level, message }) => {
        if (level === 'warn' && message.includes('ctx.run')) resolve(message)
      })
    })
    const run = await graflow.start(each(later), ITEMS)
    expect(await within(15_000, told, 'a warning')).toContain('all slots of this process')
    await run.cancel()
  })
})
