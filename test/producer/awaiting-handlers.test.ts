/** Handlers that wait for runs which they began by the client: served where they are known, and told. */
import { each, seq, task, type AnyNode, type EventOf, type Graflow, type Run } from 'graflow'
import { describeOnBothStores } from '../support/both-stores.js'
import { turn, within } from '../support/waits.js'

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

  /** The same calls, from a handler that has gone on since it was called. */
  const later = {
    runs: task('runsLater', async (n: number) => {
      await turn()
      return (await graflow.run(each(inc), [n]))[0]
    }),
    deep: task('runsDeep', { timeoutMs: 60_000 }, async (n: number) => {
      const inner = async (): Promise<number | undefined> => {
        await turn()
        return (await graflow.run(each(inc), [n]))[0]
      }
      return (await Promise.all([inner(), turn().then(inner)]))[1]
    }),
    starts: task('startsLater', async (n: number) => {
      await turn()
      const run = await graflow.start(each(inc), [n])
      await turn()
      return (await (await graflow.attach(run.id, each(inc))).result())[0]
    }),
    submits: task('submitsLater', async (n: number) => {
      await turn()
      return (await (await graflow.submit(each(inc), [n])).result())[0]
    }),
    reads: task('readsLater', async (n: number) => {
      await turn()
      const run = await graflow.submit(each(inc), [n])
      for await (const { outcome } of run.branches()) if (outcome.status === 'succeeded') return outcome.value as number
      return undefined
    }),
  } as const satisfies Record<string, AnyNode>

  it.each([...Object.values(begun), ...Object.values(later)])(
    'gives its slot to others meanwhile, and says so once: %s',
    async (outer) => {
      graflow = await open([inc, ...Object.values(begun), ...Object.values(later)], { maxConcurrentTasks: 2 })
      const told: EventOf<'log'>[] = []
      graflow.events.subscribe('log', (event) => told.push(event))
      const run = graflow.run(each(outer as typeof runs), ITEMS)
      expect(await within(15_000, run, 'all handlers to end')).toEqual(ITEMS.map((n) => n + 1))
      const warnings = told.filter(({ message }) => message.includes('ctx.run(flow, input)'))
      expect(warnings).toMatchObject([{ level: 'warn', path: expect.stringMatching(/^0\//) }])
      expect(await graflow.run(seq(inc, inc), 1)).toBe(3)
    },
  )

  it('gives its slot to others for a run that others began, too', async () => {
    let tellBegun = (): void => undefined
    let give = (_run: Run<number[]>): void => undefined
    const hasBegun = new Promise<void>((resolve) => (tellBegun = resolve))
    const given = new Promise<Run<number[]>>((resolve) => (give = resolve))
    const waits = task('waits', async () => {
      tellBegun()
      return (await (await given).result())[0]
    })
    graflow = await open([inc, waits], { maxConcurrentTasks: 2 })
    const run = graflow.run(each(waits), ITEMS)
    await within(15_000, hasBegun, 'a handler')
    give(await graflow.start(each(inc), [1]))
    expect(await within(15_000, run, 'all handlers to end')).toEqual(ITEMS.map(() => 2))
  })

  it('without being known, as from the callback of a timer, is told when all slots stand still for 5 s', async () => {
    const unseen = task(
      'unseen',
      (n: number) =>
        new Promise<number[]>((resolve, reject) => {
          setImmediate(() => void graflow.run(each(inc), [n]).then(resolve, reject))
        }),
    )
    graflow = await open([inc, unseen], { maxConcurrentTasks: 2 })
    const told = new Promise<string>((resolve) => {
      graflow.events.subscribe('log', ({ level, message }) => {
        if (level === 'warn' && message.includes('ctx.run')) resolve(message)
      })
    })
    const run = await graflow.start(each(unseen), ITEMS)
    expect(await within(9_000, told, 'a warning')).toContain('all slots of this process')
    await run.cancel()
  })
})
