/** Two versions of a flow at once: what counts as the same run, and which build takes what. */
import { par, seq, task, workflow, type AnyNode } from 'graflow'
import { describeOnBothStores } from '../support/both-stores.js'
import { failureOf } from '../support/captured-errors.js'

const first = task('first', (n: number) => n + 1)
const second = task('second', (n: number) => n * 2)
const patient = task('second', { retry: { attempts: 3 }, timeoutMs: 60_000 }, (n: number) => n * 2)
const third = task('third', (n: number) => n - 1)
const before = seq(first, second)
/** The same with other options: another hash, one shape. */
const retrying = seq(first, patient)
const longer = seq(first, second, third)
const other = seq(second, first)

describeOnBothStores('a release that changes a flow', (open, _name, another) => {
  const tasks: readonly AnyNode[] = [first, second, third]

  it('V1: with a retry more attaches to the run, and gets it by its id and key', async () => {
    const graflow = await open(tasks)
    const run = await graflow.start(before, 1, { id: 'order', idempotencyKey: 'key' })
    const newer = await another()
    expect(await (await newer.attach('order', retrying)).result()).toBe(4)
    for (const options of [{ id: 'order' }, { idempotencyKey: 'key' }]) {
      for (const call of ['start', 'submit'] as const) {
        const known = await newer[call](retrying, 1, options)
        expect([known.id, await known.result()]).toEqual([run.id, 4])
      }
    }
    expect((await failureOf(newer.start(retrying, 2, { id: 'order' }))).code).toBe('RUN_EXISTS')
    expect((await failureOf(newer.start(other, 1, { idempotencyKey: 'key' }))).code).toBe('RUN_EXISTS')
  })

  it('V2: with a step more has another shape, and gets the run of a workflow by its key', async () => {
    const graflow = await open(tasks)
    const run = await graflow.submit(workflow('billing', before), 1, { idempotencyKey: 'key' })
    expect(await run.result()).toBe(4)
    const newer = await another()
    const changed = workflow('billing', longer)
    for (const call of [newer.attach(run.id, changed), newer.resume(run.id, changed)])
      expect(await failureOf(call)).toMatchObject({ code: 'GRAPH_MISMATCH', details: { runId: run.id } })
    for (const call of ['start', 'submit'] as const) {
      const known = await newer[call](changed, 1, { idempotencyKey: 'key' })
      expect([known.id, await known.result()]).toEqual([run.id, 4])
    }
    expect(await newer.run(changed, 1, { idempotencyKey: 'key' })).toBe(4)
    for (const [flow, input] of [
      [changed, 2],
      [workflow('other', longer), 1],
      [longer, 1],
    ] as const)
      expect((await failureOf(newer.start(flow, input, { idempotencyKey: 'key' }))).code).toBe('RUN_EXISTS')
  })

  it('V2: with a step more in a flow that is no workflow, is another flow', async () => {
    const graflow = await open(tasks)
    await graflow.start(before, 1, { idempotencyKey: 'key' })
    const newer = await another()
    for (const flow of [longer, seq(first, par(second, third)), workflow('named', longer)] as const)
      expect((await failureOf(newer.start(flow as typeof before, 1, { idempotencyKey: 'key' }))).code).toBe(
        'RUN_EXISTS',
      )
  })
})
