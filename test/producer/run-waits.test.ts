/** Why runs stand still: each reason where it is the true one, and what it changes to once its cause is gone. */
import { declareTask, each, later, seq, task, waitFor, type AnyNode, type RunWait, type WaitReason } from 'graflow'
import { failureOf } from '../support/captured-errors.js'
import { Gate } from '../support/gate.js'
import { openStore, STORES, type OpenStore } from '../support/waits-worlds.js'
import { until } from '../support/waits.js'

describe.each(STORES)('a wait (%s)', (name) => {
  let store: OpenStore
  beforeEach(async () => {
    store = await openStore(name)
  })
  afterEach(() => store.end())

  /** Waits until these are all the reasons; gives the waits. */
  const reasons = async (
    of: { readonly waits: { of(runId: string): Promise<readonly RunWait[]> } },
    runId: string,
    ...wanted: readonly WaitReason[]
  ): Promise<readonly RunWait[]> => {
    let waits: readonly RunWait[] = []
    await until(
      async () => {
        waits = await of.waits.of(runId)
        return waits.map(({ why }) => why).join() === wanted.join()
      },
      () => `reasons ${wanted.join()}, got ${JSON.stringify(waits)}`,
    )
    return waits
  }
  const work = task('work', (n: number) => n)
  const other = task('other', (n: number) => n)
  const held = (gate: Gate, options = {}): AnyNode =>
    task('held', options, async (n: number, ctx) => {
      await gate.pass(ctx.signal)
      return n
    })

  it('O5: worker becomes task when a worker comes that does not know it, and goes with one that does', async () => {
    const client = await store.client()
    const run = await client.start(each(declareTask<number, number>('work')), [1, 2])
    const [none] = await reasons(client, run.id, 'worker')
    expect(none).toMatchObject({
      ...{ runId: run.id, path: '0', task: 'work', count: 2, since: expect.any(Date) },
      details: { queue: 'default', workers: 0, tasks: ['work'] },
    })
    const status = await run.status()
    expect(status.waits).toEqual([none])
    await store.worker('ignorant', [other])
    const [unknown] = await reasons(client, run.id, 'task')
    expect(unknown).toMatchObject({ task: 'work', details: { queue: 'default', workers: 1, tasks: ['work'] } })
    expect((await client.waits.list()).items).toMatchObject([{ runId: run.id, why: 'task' }])
    await store.worker('knows', [work])
    expect(await run.result()).toEqual([1, 2])
    expect(await client.waits.of(run.id)).toEqual([])
  })

  it('O5: task becomes capability, which names what no worker has, and goes with a worker that has it', async () => {
    const client = await store.client()
    const onGpu = task('on-gpu', { requires: ['gpu'] }, (n: number) => n)
    const run = await client.start(each(onGpu), [1])
    await store.worker('ignorant', [other])
    await reasons(client, run.id, 'task')
    await store.worker('plain', [onGpu])
    const [wait] = await reasons(client, run.id, 'capability')
    expect(wait).toMatchObject({ task: 'on-gpu', details: { requires: ['gpu'], workers: 2 } })
    await store.worker('gpu', [onGpu], { capabilities: ['gpu'] })
    expect(await run.result()).toEqual([1])
  })

  it('O9, O5: worker becomes task of a submitted run, and names the missing steps; never running meanwhile', async () => {
    const client = await store.client()
    const run = await client.submit(seq(work, other), 1)
    const [wait] = await reasons(client, run.id, 'worker')
    expect(wait).toMatchObject({
      path: '',
      task: 'other',
      details: { queue: 'runs', workers: 0, tasks: ['other', 'work'] },
    })
    expect((await run.status()).state).toBe('pending')
    await store.worker('half', [work])
    expect(await reasons(client, run.id, 'task')).toMatchObject([
      { path: '', task: 'other', details: { queue: 'runs', workers: 1, tasks: ['other'] } },
    ])
    expect((await run.status()).state).toBe('pending')
    await store.worker('whole', [work, other])
    expect(await run.result()).toBe(1)
  })

  it('O9, O5: task of a started run whose process is gone while its workers lack one, until a capable one comes', async () => {
    const gate = new Gate()
    const step = held(gate) as typeof work
    const first = await store.client()
    const run = await first.start(seq(step, other), 1)
    await gate.reached(1)
    await store.worker('half', [step])
    await first.close()
    const second = await store.client()
    expect(await reasons(second, run.id, 'task')).toMatchObject([
      { path: '', task: 'other', details: { tasks: ['other'] } },
    ])
    expect(await second.runs.get(run.id)).toMatchObject({ state: expect.stringMatching(/^(pending|abandoned)$/) })
    gate.open()
    await store.worker('whole', [step, other])
    expect(await (await second.attach(run.id)).result()).toBe(1)
  })

  it('O5: driver of a run whose process is gone, until another takes it up', async () => {
    const gate = new Gate()
    const step = held(gate) as typeof work
    const first = await store.client()
    const run = await first.start(step, 1, { ifLost: 'abandon' })
    await gate.reached(1)
    await first.close()
    const second = await store.client()
    await reasons(second, run.id, 'driver')
    gate.open()
    const again = await second.resume(run.id, step)
    expect(await again.result()).toBe(1)
    expect(await second.waits.of(run.id)).toEqual([])
  })

  it('O5: affinity becomes busy once the two seconds of the preferred worker are over', async () => {
    const gate = new Gate()
    const step = held(gate, { affinity: 'one' }) as typeof work
    await store.worker('one', [step], { maxConcurrentTasks: 1 })
    const client = await store.client()
    const run = await client.start(each(step), [1, 2])
    await gate.reached(1)
    const [wait] = await reasons(client, run.id, 'affinity')
    expect(wait).toMatchObject({ count: 1, details: { worker: 'one', dueAt: expect.any(Date) } })
    expect(await reasons(client, run.id, 'busy')).toMatchObject([{ count: 1, details: { workers: 1 } }])
    gate.open()
    expect(await run.result()).toEqual([1, 2])
  })

  it('O5: limit becomes paused with its run, and limit again', async () => {
    const gate = new Gate()
    const step = held(gate) as typeof work
    await store.worker('one', [step], { maxConcurrentTasks: 4 })
    const client = await store.client()
    const run = await client.start(each(step).configure({ concurrency: 1 }), [1, 2, 3])
    await gate.reached(1)
    expect(await reasons(client, run.id, 'limit')).toMatchObject([{ count: 2, details: { limit: 1, running: 1 } }])
    const before = Date.now() - 1_000
    await run.pause()
    const [paused] = await reasons(client, run.id, 'paused')
    expect(paused).toMatchObject({ path: '', count: 1 })
    expect(paused?.since.getTime()).toBeGreaterThan(before)
    await run.resume()
    await reasons(client, run.id, 'limit')
    gate.open()
    expect(await run.result()).toEqual([1, 2, 3])
  })

  it('O6: paused says which queue, and becomes what holds it up behind that', async () => {
    const client = await store.client()
    await client.queues.pause('default')
    const run = await client.start(each(declareTask<number, number>('work')), [1])
    expect(await reasons(client, run.id, 'paused')).toMatchObject([{ path: '0', details: { queue: 'default' } }])
    await store.worker('one', [work])
    await reasons(client, run.id, 'paused')
    await client.queues.resume('default')
    expect(await run.result()).toEqual([1])
  })

  it('O5: busy counts what waits for a slot, and goes with the slot', async () => {
    const gate = new Gate()
    const step = held(gate) as typeof work
    await store.worker('one', [step], { maxConcurrentTasks: 1 })
    const client = await store.client()
    const run = await client.start(each(step), [1, 2, 3])
    await gate.reached(1)
    expect(await reasons(client, run.id, 'busy')).toMatchObject([{ path: '0', task: 'held', count: 2 }])
    gate.open()
    expect(await run.result()).toEqual([1, 2, 3])
    expect(await client.waits.of(run.id)).toEqual([])
  })

  it.each(['branch', 'step', 'chain'] as const)(
    'O5: delay of a %s has its error, and ends with the run',
    async (place) => {
      const failing = task('failing', { retry: { attempts: 2, delayMs: 60_000 } }, (_: number): number => {
        throw new RangeError('not yet')
      })
      const flow = { branch: each(failing), step: seq(other, failing), chain: each(seq(other, failing)) }[place]
      await store.worker('one', [failing, other])
      const client = await store.client()
      const run = await client.submit(flow as AnyNode as typeof failing, (place === 'step' ? 1 : [1]) as number)
      const [wait] = await reasons(client, run.id, 'delay')
      expect(wait).toMatchObject({ path: { branch: '0', step: '1', chain: '0/0/1' }[place], count: 1 })
      // what a chain waits for where it is held is known, but not its error
      if (place !== 'chain') expect(wait?.details.error?.message).toContain('not yet')
      await run.cancel('enough')
      await failureOf(run.result())
      expect(await client.waits.of(run.id)).toEqual([])
    },
  )

  it('O5: timer becomes signal when its time has come, with what a person is asked', async () => {
    const ask = waitFor('ok', { prompt: { title: 'Go on?' } })
    const flow = seq(later(work, 1_500), ask)
    await store.worker('one', [work])
    const client = await store.client()
    const run = await client.submit(flow as AnyNode as typeof work, 1)
    expect(await reasons(client, run.id, 'timer')).toMatchObject([{ path: '0', details: { dueAt: expect.any(Date) } }])
    expect(await reasons(client, run.id, 'signal')).toMatchObject([
      { path: '1', details: { signal: 'ok' }, prompt: { title: 'Go on?' } },
    ])
    await run.signal('ok', 7)
    expect(await run.result()).toBe(7)
  })

  it('O5: graph where the store has lost it', async () => {
    const client = await store.client()
    const run = await client.submit(work, 1)
    await reasons(client, run.id, 'worker')
    if (!(await store.loseGraphs())) return
    const stranger = await store.client()
    expect(await reasons(stranger, run.id, 'graph', 'worker')).toMatchObject([
      { path: '', details: { graph: expect.any(String) } },
      {},
    ])
    await client.runs.cancel(run.id)
    expect(await stranger.waits.of(run.id)).toEqual([])
  })
})
