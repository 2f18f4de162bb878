/** What operators see and do in code: runs, their values, queues, workers and waits. */
import { type Graflow, type Page, par, type RunListOptions, type RunSummary, workflow } from 'graflow'
import { failureOf } from '../support/captured-errors.js'
import { describeOnBackends, openGateOf } from '../support/backends.js'
import { until } from '../support/waits.js'
import { asks, double, fragile, held, looped, orders, refunds, sums } from './operators.tasks.js'

const idsOf = ({ items }: Page<RunSummary>): string[] => items.map(({ id }) => id)

async function pagesOf(graflow: Graflow, options: RunListOptions): Promise<string[]> {
  const ids: string[] = []
  for (let cursor: string | undefined; ; ) {
    const page = await graflow.runs.list({ ...options, ...(cursor !== undefined && { cursor }) })
    ids.push(...idsOf(page))
    if (page.cursor === undefined) return ids
    cursor = page.cursor
  }
}

describeOnBackends('lists of runs', (open) => {
  it('O4: are by state, workflow, tag and time, newest first, and page by page', async () => {
    const graflow = await open()
    const tag = `list-${graflow.instanceId}`
    const began = Date.now() - 1
    const good = await graflow.start(orders, 1, { tags: [tag, 'good'], priority: 7, queue: 'default' })
    await good.result()
    const bad = await graflow.start(refunds, -1, { tags: [tag] })
    await failureOf(bad.result())
    const asking = await graflow.submit(asks, 2, { tags: [tag] })
    await until(async () => (await asking.status()).state === 'waiting', 'the question')
    const over = await graflow.submit(asks, 3, { tags: [tag] })
    await over.cancel('enough')
    expect(idsOf(await graflow.runs.list({ tag }))).toEqual([over.id, asking.id, bad.id, good.id])
    expect(await pagesOf(graflow, { tag, limit: 1 })).toEqual([over.id, asking.id, bad.id, good.id])
    expect(idsOf(await graflow.runs.list({ tag, workflow: 'asks' }))).toEqual([over.id, asking.id])
    expect(idsOf(await graflow.runs.list({ tag, state: 'waiting' }))).toEqual([asking.id])
    expect(idsOf(await graflow.runs.list({ tag, state: ['failed', 'cancelled'] }))).toEqual([over.id, bad.id])
    expect(idsOf(await graflow.runs.list({ tag, until: new Date(began) }))).toEqual([])
    expect(idsOf(await graflow.runs.list({ tag, since: began, state: 'completed' }))).toEqual([good.id])
    const { items } = await graflow.runs.list({ tag })
    expect(items[0]).toMatchObject({ state: 'cancelled', workflow: 'asks', error: { code: 'CANCELLED' } })
    expect(items[2]?.error?.message).toContain('no -1')
    expect(items[3]).toMatchObject({ tags: [tag, 'good'], priority: 7, queue: 'default', retries: 0 })
    expect(await good.status()).toMatchObject({ tags: [tag, 'good'], driver: undefined })
    expect(await graflow.runs.get(good.id)).toMatchObject({ id: good.id, state: 'completed' })
    expect(await graflow.runs.get('nobody')).toBeUndefined()
    const wrongs = [
      { state: 'runing' },
      { state: 5 },
      { since: 'yesterday' },
      { limit: 0 },
      { cursor: '?' },
      { tga: 'x' },
    ]
    for (const wrong of [...wrongs, null, 'x'])
      expect(await failureOf(graflow.runs.list(wrong as never))).toMatchObject({ code: 'INVALID_OPTION' })
  })

  it('O4: are by the error that runs ended with, and by what they wait for', async () => {
    const graflow = await open()
    const tag = `sift-${graflow.instanceId}`
    const tags = [tag]
    const bad: string[] = []
    for (const n of [-1, -2, 1, -10]) {
      const run = await graflow.start(refunds, n, { tags })
      await run.result().catch(() => bad.unshift(run.id))
    }
    const group = await graflow.start(par(fragile, double), -7, { tags })
    await failureOf(group.result())
    const over = await graflow.submit(asks, 3, { tags })
    const asking = await graflow.submit(asks, 2, { tags })
    await until(async () => (await asking.status()).state === 'waiting', 'the question')
    await over.cancel('enough')
    const found = (filter: RunListOptions) => pagesOf(graflow, { tag, ...filter })
    expect(await found({ error: 'TASK_FAILED' })).toEqual([group.id, ...bad])
    expect(await found({ error: 'GROUP_FAILED' })).toEqual([group.id])
    expect(await found({ error: 'Error', limit: 1 })).toEqual([group.id, ...bad])
    expect(await found({ error: 'CANCELLED' })).toEqual([over.id])
    expect(await found({ error: 'TASK_FAIL' })).toEqual([])
    expect(await found({ message: 'NO -1', limit: 2 })).toEqual([bad[0], bad[2]])
    expect(await found({ message: 'no -1', error: 'CANCELLED' })).toEqual([])
    expect(await found({ message: 'no -1', until: Date.now() - 3_600_000 })).toEqual([])
    expect(await found({ error: 'TASK_FAILED', state: 'running' })).toEqual([])
    expect(await found({ why: 'signal' })).toEqual([asking.id])
    expect(await found({ why: ['timer', 'busy'] })).toEqual([])
    expect(await found({ why: 'signal', state: ['failed', 'waiting'] })).toEqual([asking.id])
    expect(await found({ why: 'signal', error: 'CANCELLED' })).toEqual([])
    const waits = (await graflow.waits.list({ why: ['signal', 'timer'], limit: 200 })).items
    expect(waits.find(({ runId }) => runId === asking.id)).toMatchObject({ why: 'signal' })
    expect((await graflow.waits.list({ why: 'graph' })).items).toEqual([])
    for (const wrong of [{ why: 'signals' }, { why: [] }, { error: '' }, { error: 5 }, { message: 'x'.repeat(300) }])
      expect(await failureOf(graflow.runs.list(wrong as never))).toMatchObject({ code: 'INVALID_OPTION' })
    expect(await failureOf(graflow.waits.list({ why: 'signals' } as never))).toMatchObject({
      message: expect.stringContaining('did you mean "signal"?'),
    })
    expect(await graflow.runs.delete({ tag, message: 'no -1' })).toBe(2)
    expect(await graflow.runs.cancel({ tag, why: 'timer' })).toBe(0)
    expect(await graflow.runs.cancel({ tag, why: 'signal' })).toBe(1)
    expect(await graflow.runs.delete({ tag, error: 'CANCELLED' })).toBe(2)
    expect(await found({})).toHaveLength(3)
  })

  it('give the flow of a run, and what each step and branch got and gave', async () => {
    const graflow = await open()
    const run = await graflow.start(sums, 3)
    await run.result()
    const graph = await graflow.runs.graph(run.id)
    expect([graph.hash, graph.toMermaid(), graph.toSvg()]).toEqual([
      workflow('sums', sums).hash,
      sums.toMermaid(),
      sums.toSvg(),
    ])
    const input = (path: string) => graflow.runs.value(run.id, path, 'input')
    const output = (path: string) => graflow.runs.value(run.id, path, 'output')
    expect(await Promise.all(['', '0', '1', '1/2', '2', '3', '3/twice'].map(input))).toEqual([
      3,
      3,
      [0, 1, 2],
      2,
      [0, 2, 4],
      6,
      6,
    ])
    expect(await output('')).toEqual({ same: 6, twice: 12 })
    expect(await Promise.all(['0', '1', '1/2', '2', '3/twice'].map(output))).toEqual([[0, 1, 2], [0, 2, 4], 4, 6, 12])
    for (const path of ['9', '1/3', '1/99', '3/no', '0/0'])
      for (const read of [input, output])
        expect([path, await failureOf(read(path))]).toMatchObject([path, { code: 'RESULT_NOT_FOUND' }])
    expect(await failureOf(graflow.runs.value('nobody', '', 'input'))).toMatchObject({ code: 'RUN_NOT_FOUND' })
    const cycles = await graflow.start(looped, 1)
    expect(await cycles.result()).toBe(3)
    const passes = ['1/1', '1/2'].map((path) => graflow.runs.value(cycles.id, path, 'input'))
    expect(await Promise.all(passes)).toEqual([2, 3])
  })

  it('pass a priority and a queue on to the work of the run', async () => {
    const graflow = await open()
    const run = await graflow.submit(held, [1], { queue: 'nobody-serves', priority: 9 })
    if (graflow.instanceId === '') throw new Error('expected a client')
    const waitsThere = async () => ((await graflow.queues.get('nobody-serves'))?.ready ?? 0) > 0
    openGateOf(run, 'open')
    // the embedded engine serves every queue
    const isEmbedded = (await graflow.workers.list()).items.length === 0
    if (!isEmbedded) await until(waitsThere, 'its branch in that queue')
    if (isEmbedded) expect(await run.result()).toEqual([1])
    else await run.cancel()
  })
})

describeOnBackends('commands on runs', (open) => {
  it('O1: retry, cancel and delete all that match a filter, and say how many; repeated they find nothing', async () => {
    const graflow = await open()
    const tag = `bulk-${graflow.instanceId}`
    const runs = []
    for (let i = 0; i < 9; i += 1)
      runs.push(await graflow.submit(i < 5 ? orders : asks, i < 5 ? -1 : 1, { tags: [tag] }))
    const count = async (state: 'failed' | 'waiting') => (await graflow.runs.list({ tag, state })).items.length
    await until(
      async () => (await count('failed')) === 5 && (await count('waiting')) === 4,
      'five failures, four questions',
    )
    for (const run of runs) openGateOf(run, 'mended')
    const told: number[] = []
    expect(await graflow.runs.retry({ tag }, { onProgress: ({ done }) => told.push(done) })).toBe(5)
    expect(told).toEqual([5])
    expect(await Promise.all(runs.slice(0, 5).map((run) => run.result()))).toEqual([-2, -2, -2, -2, -2])
    expect(await graflow.runs.retry({ tag, state: 'failed' })).toBe(0)
    expect(await graflow.runs.cancel({ tag }, { reason: 'all of them' })).toBe(4)
    expect(await graflow.runs.cancel({ tag })).toBe(0)
    expect((await failureOf(runs[7]?.result() ?? Promise.resolve())).message).toContain('all of them')
    expect(await graflow.runs.delete({ tag, workflow: 'asks' })).toBe(4)
    expect(await graflow.runs.delete({ tag })).toBe(5)
    expect(await graflow.runs.delete({ tag })).toBe(0)
    expect(await graflow.runs.list({ tag })).toEqual({ items: [] })
    for (const none of [{}, { state: [] }])
      expect(await failureOf(graflow.runs.delete(none))).toMatchObject({ code: 'INVALID_OPTION' })
  })

  it('reach a run by its id', async () => {
    const graflow = await open()
    const run = await graflow.submit(asks, 1)
    await until(async () => (await run.status()).state === 'waiting', 'the question')
    expect(await graflow.runs.pause(run.id)).toBe(true)
    expect((await graflow.runs.get(run.id))?.state).toBe('paused')
    expect(await graflow.runs.resume(run.id)).toBe(true)
    expect((await graflow.waits.list()).items.filter(({ runId }) => runId === run.id)).toMatchObject([
      { why: 'signal', details: { signal: 'ok' }, path: '1' },
    ])
    expect(await graflow.runs.signal(run.id, 'ok', 'yes')).toBe(true)
    expect(await run.result()).toBe('yes')
    expect(await graflow.runs.cancel(run.id)).toBe(false)
    expect(await failureOf(graflow.runs.cancel('nobody'))).toMatchObject({ code: 'RUN_NOT_FOUND' })
  })
})

describeOnBackends('queues', (open) => {
  it('O6: a paused queue gives nothing, until it is resumed', async () => {
    const graflow = await open()
    expect(await graflow.queues.pause('default')).toBe(true)
    expect(await graflow.queues.pause('default')).toBe(false)
    const run = await graflow.submit(held, [1, 2])
    openGateOf(run, 'open')
    await until(async () => (await graflow.queues.get('default'))?.ready === 2, 'two branches that wait')
    expect(await graflow.queues.get('default')).toMatchObject({ isPaused: true, running: 0 })
    expect((await graflow.queues.list()).items.map(({ name }) => name)).toContain('default')
    expect(await graflow.queues.resume('default')).toBe(true)
    expect(await run.result()).toEqual([1, 2])
    expect(await failureOf(graflow.queues.pause('a b'))).toMatchObject({ code: 'INVALID_NAME' })
    expect(await failureOf(graflow.queues.pause('default', { ahed: true } as never))).toMatchObject({
      code: 'INVALID_OPTION',
    })
    expect(await graflow.run(double, 2)).toBe(4)
  })

  it('O6: one that nobody knows is paused only ahead, and is gone once it is resumed', async () => {
    const graflow = await open()
    const { queues } = graflow
    const isEmbedded = (await graflow.workers.list()).items.length === 0
    const names = async () => (await queues.list()).items.map(({ name }) => name)
    if (!isEmbedded) {
      const error = await failureOf(queues.pause('defualt'))
      expect([error.code, error.message]).toEqual([
        'QUEUE_NOT_FOUND',
        expect.stringContaining('did you mean "default"?'),
      ])
      expect(await failureOf(queues.resume('defualt'))).toMatchObject({ code: 'QUEUE_NOT_FOUND' })
      expect(await names()).not.toContain('defualt')
    }
    expect(await queues.pause('later', { ahead: true })).toBe(true)
    expect(await queues.get('later')).toMatchObject({ isPaused: true, ready: 0 })
    expect(await queues.pause('later')).toBe(false)
    expect(await queues.resume('later')).toBe(true)
    expect(await names()).not.toContain('later')
    expect(await queues.resume('default')).toBe(false)
  })
})
