/** Events of pipeline groups whose process was lost: what was deleted meanwhile stays away, and groups that cannot be read are told of once. */
import { task, type Graflow, type PipelineGroupSpec } from 'graflow'
import type { Backend } from '../../lib/backend/backend.js'
import { Gate } from '../support/gate.js'
import { workerHere } from '../support/local-worker.js'
import { useStage } from '../support/redis-stage.js'
import { sharedRedis } from '../support/shared-redis.js'
import { SharedStore } from '../support/shared-store.js'
import { until } from '../support/waits.js'

interface Place {
  readonly store: Backend
  client(): Promise<Graflow>
}

const chain = (name: string): PipelineGroupSpec => ({
  name,
  pipelines: ['quick', 'slow', 'last'].map((source) => ({ name: source, source })),
  routes: [
    { from: '_external', to: 'quick', eventTypes: ['Go'] },
    { from: '_external', to: 'slow', eventTypes: ['Slow'] },
    { from: 'quick', to: 'slow', eventTypes: ['*'] },
    { from: 'slow', to: 'last', eventTypes: ['*'] },
  ],
})

describe.each(['kernel', 'redis'] as const)('events of a lost process, on %s,', (name) => {
  const stage = useStage()
  const ends: (() => Promise<unknown>)[] = []
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end()
  })

  const open = async (): Promise<Place & { readonly gate: Gate; readonly counts: Map<string, number> }> => {
    const gate = new Gate()
    const counts = new Map<string, number>()
    const counted = <T>(key: string, value: T): T => (counts.set(key, (counts.get(key) ?? 0) + 1), value)
    const tasks = [
      task('quick', () => counted('quick', 1)),
      task('slow', async () => counted('slow', await gate.pass().then(() => 2))),
      task('last', () => counted('last', 3)),
    ]
    if (name === 'redis') {
      const own = await stage(await sharedRedis())
      await workerHere(own, 'w-1', tasks)
      const { backend } = await own.backend().then((backend) => ({ backend }))
      return { store: backend, client: () => own.client(), gate, counts }
    }
    const shared = new SharedStore()
    ends.push(() => shared.end())
    await shared.started({ tasks, workerId: 'w-1' })
    return { store: shared.backend, client: () => shared.client(), gate, counts }
  }

  const kept = async ({ inspect }: Backend, collection = 'injections'): Promise<number> =>
    (await inspect.documentNames(collection)).length
  const started = async (store: Backend): Promise<number> => {
    const all = Array.from({ length: 16 }, (_, i) => kept(store, `injections-started-${i}`))
    return (await Promise.all(all)).reduce((sum, one) => sum + one, 0)
  }
  const idsOf = async (graflow: Graflow, pipeline: string): Promise<readonly string[]> =>
    (await graflow.runs.list({ tag: `pipeline:${pipeline}` })).items.map(({ id }) => id)
  /** Another process carries on what is there, until all of it is through. */
  const carriedOn = async (store: Backend, other: Graflow, meanwhile: () => void): Promise<void> => {
    const stop = other.deployments.carryOn()
    meanwhile()
    await until(async () => (await kept(store)) === 0, 'the end of the event')
    stop()
    expect(await started(store)).toBe(0)
  }

  it('do not come back where their run was deleted while nobody carried them', async () => {
    const { store, client, gate, counts } = await open()
    const [lost, other] = [await client(), await client()]
    const { id } = await lost.deployments.deploy(chain('one'))
    const { runId } = await lost.deployments.inject(id, { eventType: 'Slow' }, { waitMs: 0 })
    await until(async () => (await started(store)) === 1, 'it to be known that the run was started')
    await lost.close()
    expect(await other.runs.delete(runId)).toBe(true)
    await carriedOn(store, other, () => undefined)
    expect((await other.runs.list()).items).toEqual([])
    gate.open()
    expect(counts.get('last')).toBeUndefined()
  })

  it('go on behind a run that was deleted', async () => {
    const { store, client, gate, counts } = await open()
    const [lost, other] = [await client(), await client()]
    const { id } = await lost.deployments.deploy(chain('two'))
    const key = { idempotencyKey: 'once', waitMs: 0 }
    const { runId } = await lost.deployments.inject(id, { eventType: 'Go' }, key)
    await until(async () => (await idsOf(other, 'slow')).length === 1, 'the second run')
    await lost.close()
    expect(await other.runs.delete(runId)).toBe(true)
    const again = await other.deployments.inject(id, { eventType: 'Go' }, key)
    expect(again.deliveries[0]).toMatchObject({
      routedTo: 'quick',
      state: 'cancelled',
      error: { code: 'RUN_NOT_FOUND' },
    })
    await carriedOn(store, other, () => {
      gate.open()
    })
    expect([await idsOf(other, 'quick'), (await idsOf(other, 'last')).length]).toEqual([[], 1])
    expect(Object.fromEntries(counts)).toEqual({ quick: 1, slow: 1, last: 1 })
  })

  it('wait for a group that cannot be read, which is said once, until it has changed', async () => {
    const { store, client, gate } = await open()
    const [lost, other] = [await client(), await client()]
    const { id } = await lost.deployments.deploy(chain('three'))
    for (let n = 0; n < 3; n += 1) await lost.deployments.inject(id, { eventType: 'Slow' }, { waitMs: 0 })
    await lost.close()
    const named = `spec:${id}`
    const [spec = new Uint8Array(0)] = (await store.inspect.documents('pipeline-groups', [named])).documents
    const write = (bytes: Uint8Array): Promise<unknown> =>
      store.writeDocuments({
        ...{ collection: 'pipeline-groups', nonce: `n${bytes.length}`, put: [{ name: named, bytes }], remove: [] },
      })
    await write(Buffer.from('{"v":2}'))
    const warnings: string[] = []
    other.events.subscribe('log', ({ level, message }) => {
      if (level === 'warn') warnings.push(message)
    })
    const names = () => store.inspect.documentNames('injections')
    const stop = other.deployments.carryOn()
    await until(() => warnings.length > 0, 'a warning')
    const parked = new Set(await names())
    // each event of another group that is taken up shows that there was a look
    const fine = await other.deployments.deploy(chain('four'))
    for (let n = 0; n < 2; n += 1) {
      const more = await client()
      await more.deployments.inject(fine.id, { eventType: 'Slow' }, { waitMs: 0 })
      const before = new Set(await names())
      await more.close()
      await until(async () => (await names()).some((one) => !before.has(one)), 'the next look')
    }
    expect((await names()).filter((one) => parked.has(one))).toHaveLength(3)
    expect(warnings).toEqual([expect.stringContaining(`pipeline group ${id} cannot be read`)])
    await write(Buffer.from('{"v":3, "other": true}'))
    await until(() => warnings.length > 1, 'a warning of what it is now')
    gate.open()
    await write(spec)
    await until(async () => (await kept(store)) === 0, 'the end of all')
    expect(warnings).toHaveLength(2)
    stop()
  })
})
