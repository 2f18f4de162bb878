/** Labels: what people know the items of an each by is shown wherever one of its branches is. */
import { declareTask, each, seq, task, waitFor, type BranchOutcome, type Run, type RunEvent } from 'graflow'
import { z } from 'zod'
import { describeOnBothStores } from '../support/both-stores.js'
import { failureOf } from '../support/captured-errors.js'
import { Gate } from '../support/gate.js'
import { until } from '../support/waits.js'

interface Order {
  readonly id: string
  readonly customer: { readonly name: string }
}
const orders = (...ids: readonly string[]): Order[] => ids.map((id) => ({ id, customer: { name: `Mrs. ${id}` } }))

async function outcomesOf(run: Run<unknown>): Promise<BranchOutcome[]> {
  const found: BranchOutcome[] = []
  for await (const branch of run.branches()) found.push(branch)
  return found.sort((a, b) => a.index - b.index)
}
const shown = (branches: readonly BranchOutcome[]): string[] =>
  branches.map(({ path, label, status }) => `${path} ${label ?? '-'} ${status}`)

/** Reads the events of a run until it is over. */
async function eventsOf(run: Run<unknown>): Promise<RunEvent[]> {
  const events: RunEvent[] = []
  for await (const event of run.events()) events.push(event)
  return events
}
const labelsIn = (events: readonly RunEvent[], type: RunEvent['type']): string[] =>
  events
    .flatMap((event) =>
      event.type === type && 'label' in event && 'path' in event ? [`${event.path} ${event.label ?? '-'}`] : [],
    )
    .sort()

describeOnBothStores('labels of branches', (open) => {
  const ship = task('ship', ({ id }: Order) => {
    if (id === 'bad') throw new Error('no such street')
    return id
  })
  const shipAll = each(ship).configure({ label: 'customer.name', concurrency: 1 })

  it('are in branches() and errors, also of branches that never started', async () => {
    const graflow = await open([ship])
    const run = await graflow.start(shipAll, orders('bad', 'b', 'c'))

    const error = await failureOf(run.result())
    const branches = await outcomesOf(run)
    expect(shown(branches)).toEqual(['0/0 Mrs. bad failed', '0/1 Mrs. b skipped', '0/2 Mrs. c skipped'])
    expect(branches[1]?.outcome).toMatchObject({
      error: { message: 'branch 0/1 (Mrs. b) is skipped', details: { label: 'Mrs. b' } },
    })
    expect(error.message).toContain('ship[0] (Mrs. bad) failed: task "ship" (at 0/0, Mrs. bad) failed: no such street')
    expect(error.details['outcomes']).toMatchObject([
      { member: 'ship[0]', label: 'Mrs. bad', status: 'failed' },
      { member: 'ship[1]', label: 'Mrs. b', status: 'skipped', message: expect.stringContaining('ship[1] (Mrs. b)') },
      { member: 'ship[2]', label: 'Mrs. c', status: 'skipped' },
    ])
    expect(error.cause).toMatchObject({ code: 'TASK_FAILED', details: { label: 'Mrs. bad', path: '0/0' } })
  })

  it('are in events, and in what handlers say', async () => {
    const gate = new Gate()
    const slow = task('slow', { retry: { attempts: 2 } }, async ({ id }: Order, ctx) => {
      ctx.progress(0.5, `half of ${id}`)
      await gate.pass()
      if (ctx.attempt === 1 && id === 'b') throw new Error('once')
      return id
    })
    const graflow = await open([slow])
    const run = await graflow.start(each(slow).configure({ label: 'id' }), orders('a', 'b'))
    const reading = eventsOf(run)
    await until(async () => (await run.status()).progress.length === 2, 'both handlers')
    const { progress } = await run.status()
    expect(progress.map(({ path, label }) => `${path} ${label ?? '-'}`).sort()).toEqual(['0/0 a', '0/1 b'])
    gate.open()
    expect(await run.result()).toEqual(['a', 'b'])
    const events = await reading
    expect(labelsIn(events, 'branch:settled')).toEqual(['0/0 a', '0/1 b'])
    expect(labelsIn(events, 'branch:retrying')).toEqual(['0/1 b'])
    expect(events.find(({ type }) => type === 'branch:retrying')).toMatchObject({ index: 1 })
  })

  it('are in events and errors of tasks inside a branch of several', async () => {
    const flaky = task('flaky', { retry: { attempts: 2 } }, (word: string, ctx) => {
      if (ctx.attempt === 1 || word === 'bad') throw new Error(`no ${word}`)
      return word
    })
    const chain = seq(
      task('id-of', ({ id }: Order) => id),
      flaky,
    )
    const graflow = await open([chain])
    const run = await graflow.start(each(chain).settled().configure({ label: 'id' }), orders('a', 'bad'))
    const reading = eventsOf(run)
    const [, failed] = await run.result()
    expect(failed).toMatchObject({ error: { details: { label: 'bad', path: '0/1/1' } } })
    const events = await reading
    expect(labelsIn(events, 'branch:retrying')).toEqual(['0/0/1 a', '0/1/1 bad'])
    expect(labelsIn(events, 'branch:settled')).toEqual(['0/0 a', '0/1 bad'])
  })

  it('are in dead letters, decisions by hand and reports', async () => {
    const graflow = await open([ship])
    const run = await graflow.start(seq(shipAll), orders('a', 'bad'))
    await failureOf(run.result())

    const { items } = await graflow.deadLetters.list()
    expect(items).toMatchObject([{ path: '0/1', index: 1, label: 'Mrs. bad', task: 'ship' }])
    expect(await graflow.deadLetters.get(items[0]?.id ?? '')).toMatchObject({ label: 'Mrs. bad' })
    const { data, toHtml } = await graflow.runs.report(run.id)
    expect(data.groups[0]?.branches.map(({ label }) => label)).toEqual(['Mrs. a', 'Mrs. bad'])
    expect(data.failures).toMatchObject([{ path: '0/1', label: 'Mrs. bad' }])
    expect(data.critical.map(({ title }) => title).join()).toMatch(/ship \(Mrs\. (?:a|bad)\)/)
    expect(toHtml()).toContain('Mrs. bad')
    await graflow.runs.settle(run.id, '0/1', { succeed: 'by hand' })
    await until(async () => (await run.status()).state === 'completed', 'the end')
    expect((await run.status()).byHand).toMatchObject([{ path: '0/1', label: 'Mrs. bad', as: 'succeeded' }])
    expect(shown(await outcomesOf(run))).toEqual(['0/0 Mrs. a succeeded', '0/1 Mrs. bad succeeded'])
  })

  it('are in waits, of the innermost labelled item around', async () => {
    const given = task('given', (_: unknown, ctx) => ctx.runId.length)
    const ask = seq(
      task('ready', (order: Order) => order),
      waitFor('ok'),
      given,
    )
    const graflow = await open([ask])
    const run = await graflow.start(each(ask).configure({ label: 'id' }), orders('a', 'b'))
    await until(async () => (await graflow.waits.of(run.id)).length === 2, 'both questions')

    const waits = [...(await graflow.waits.of(run.id))].sort((a, b) => a.path.localeCompare(b.path))
    expect(waits).toMatchObject([
      { path: '0/0/1', label: 'a', why: 'signal' },
      { path: '0/1/1', label: 'b', why: 'signal' },
    ])
    expect((await graflow.waits.list()).items.map(({ label }) => label).sort()).toEqual(['a', 'b'])
    expect((await run.status()).waits.map(({ label }) => label).sort()).toEqual(['a', 'b'])
    await run.cancel('enough')
  })

  it('are there for branches that were refused', async () => {
    const input = z.object({ id: z.string().max(3), customer: z.object({ name: z.string() }) })
    const checked = declareTask('ship', { input, output: z.string() })
    const graflow = await open([ship])
    const run = await graflow.start(each(checked).settled().configure({ label: 'id' }), orders('far too long', 'ok'))
    const reading = eventsOf(run)
    await run.result()
    expect(shown(await outcomesOf(run))).toEqual(['0/0 far too long failed', '0/1 ok succeeded'])
    expect(labelsIn(await reading, 'branch:settled')).toEqual(['0/0 far too long', '0/1 ok'])
  })

  it('are kept for groups of more than one part, from packed items, too', async () => {
    const number = task('number', (count: number) => Array.from({ length: count }, (_, n) => ({ n })))
    const half = task('half', ({ n }: { n: number }) => n / 2)
    const graflow = await open([number, half])
    const run = await graflow.start(seq(number, each(half).configure({ label: 'n' })), 2_500)
    await run.result()
    const branches = await outcomesOf(run)
    expect(branches).toHaveLength(2_500)
    expect(branches.filter(({ index, label }) => label !== String(index))).toEqual([])
  })

  it('are absent where an item has nothing that makes one', async () => {
    const loose = task('loose', (item: { readonly id?: unknown }) => typeof item.id)
    const graflow = await open([loose])
    const run = await graflow.start(each(loose).configure({ label: 'id' }), [{}, { id: { deep: 1 } }, { id: 7n }])
    await run.result()
    expect(shown(await outcomesOf(run))).toEqual(['0/0 - succeeded', '0/1 - succeeded', '0/2 7 succeeded'])
  })

  it('are those of the items, after a retry from an earlier step, too', async () => {
    let suffix = ''
    const make = task('make', (ids: readonly string[]) => orders(...ids.map((id) => id + suffix)))
    const graflow = await open([make, ship])
    const run = await graflow.start(seq(make, shipAll), ['x', 'y'])
    await run.result()
    suffix = '2'
    await graflow.runs.retry(run.id, { from: '0' })
    await until(async () => (await run.status()).state === 'completed', 'the second end')
    expect(shown(await outcomesOf(run))).toEqual(['1/0 Mrs. x2 succeeded', '1/1 Mrs. y2 succeeded'])
  })
})

it('is an error that says so: labels that are none', () => {
  expectInvalid(
    () => each(task('a', (n: { id: string }) => n)).configure({ label: '' as 'id' }),
    'configure: label must be',
  )
  expectInvalid(() => each(task('a', (n: { id: string }) => n)).configure({ label: 'id..x' as 'id' }), 'label must be')
})

function expectInvalid(make: () => unknown, message: string): void {
  expect(make).toThrow(expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining(message) }))
}
