/** Commands on many runs: counted, done in the background, told by any server, and taken over from one that is gone. */
import { task, waitFor, workflow } from 'graflow'
import type { BulkOptions } from '../../lib/producer/operator-types.js'
import { BulkJobs } from '../../lib/server/bulk-jobs.js'
import { openPlane, type TestPlane } from '../support/control-plane.js'
import { turn, until } from '../support/waits.js'

const asks = workflow('asks', waitFor('go').to(task('echo', (given: unknown) => given)))
let plane: TestPlane
beforeEach(async () => {
  plane = await openPlane({ tasks: [asks], serve: { apiKeys: ['operate:the-operate-key', 'admin:the-admin-key'] } })
})
afterEach(() => plane.close())

const admin = { 'x-api-key': 'the-admin-key' }
async function waiting(count: number, tag = 'many'): Promise<void> {
  const runs = await Promise.all(
    Array.from({ length: count }, () => plane.graflow.submit('asks', undefined, { tags: [tag] })),
  )
  for (const run of runs)
    for await (const event of run.events()) if (event.type === 'run:state' && event.to === 'waiting') break
}

describe('a command on many runs', () => {
  it('counts first, then does it, and tells how far it has come', async () => {
    await waiting(3)
    await waiting(1, 'other')
    const command = { action: 'cancel', filter: { tag: 'many' } }
    const counted = await plane.ask('POST', '/api/v1/runs/bulk', { ...command, dryRun: true }, admin)
    expect([counted.status, counted.json]).toEqual([200, { action: 'cancel', matched: 3, isMore: false, dryRun: true }])
    const done = await plane.ask('POST', '/api/v1/runs/bulk?wait=10000', { ...command, reason: 'enough' }, admin)
    expect([done.status, done.json]).toEqual([
      202,
      expect.objectContaining({ status: 'done', matched: 3, done: 3, failed: 0 }),
    ])
    const { json } = await plane.ask('GET', `/api/v1/bulk-jobs/${done.json.id}`, undefined, admin)
    expect(json).toEqual(done.json)
    const left = await plane.graflow.runs.list({ state: 'waiting' })
    expect(left.items).toHaveLength(1)
  })

  it('finds runs by their error and by what they wait for', async () => {
    await waiting(2)
    const [first] = (await plane.graflow.runs.list()).items
    await plane.graflow.runs.cancel(first?.id ?? '', 'a wrong order')
    const ask = (filter: object, dryRun?: true) =>
      plane.ask('POST', '/api/v1/runs/bulk?wait=10000', { action: 'delete', filter, dryRun }, admin)
    const count = async (filter: object) => (await ask(filter, true)).json.matched
    expect([await count({ why: ['signal'] }), await count({ error: 'CANCELLED' })]).toEqual([1, 1])
    expect([await count({ why: ['timer'] }), await count({ message: 'right' })]).toEqual([0, 0])
    expect((await ask({ message: 'wrong order' })).json).toMatchObject({ status: 'done', done: 1, matched: 1 })
    const list = async (query: string) => (await plane.ask('GET', `/api/v1/${query}`, undefined, admin)).json
    expect((await list('runs?why=timer,signal')).items).toHaveLength(1)
    expect((await list('waits?why=timer')).items).toEqual([])
    expect((await list('runs?why=signl')).detail).toContain('query: why')
  })

  it('deletes only for a key that may, and nothing by a filter that names nothing', async () => {
    const ask = (body: unknown, key: string) => plane.ask('POST', '/api/v1/runs/bulk', body, { 'x-api-key': key })
    const command = { action: 'delete', filter: { tag: 'many' } }
    expect((await ask(command, 'the-operate-key')).json).toMatchObject({ code: 'FORBIDDEN' })
    expect((await ask({ ...command, filter: {} }, 'the-admin-key')).json).toMatchObject({ code: 'INVALID_OPTION' })
    expect((await ask({ ...command, filter: { stat: 'x' } }, 'the-admin-key')).json).toMatchObject({
      code: 'INVALID_OPTION',
    })
  })

  it('is not begun where the store is too full to keep it', async () => {
    await waiting(1)
    const write = jest.spyOn(plane.services.session.store, 'writeDocuments')
    write.mockResolvedValue({ status: 'backpressure' })
    const command = { action: 'cancel', filter: { tag: 'many' } }
    const refused = await plane.ask('POST', '/api/v1/runs/bulk?wait=10000', command, admin)
    expect([refused.status, refused.json.code]).toEqual([503, 'BACKPRESSURE'])
    write.mockRestore()
    expect((await plane.ask('GET', '/api/v1/bulk-jobs', undefined, admin)).json.items).toEqual([])
    expect((await plane.graflow.runs.list({ state: 'waiting' })).items).toHaveLength(1)
  })

  it('is not looked at any more once it is over, also where that was while its progress was written', async () => {
    const { services } = plane
    const { store } = services.session
    let end = (): void => undefined
    let progress = (): void => undefined
    const cancel = (_: unknown, { onProgress }: Required<BulkOptions>): Promise<number> => {
      progress = () => onProgress({ done: 1, matched: 1, failed: 0, cursor: undefined })
      return new Promise((resolve) => (end = () => resolve(0)))
    }
    const runs = { cancel } as unknown as typeof services.graflow.runs
    const jobs = new BulkJobs({ ...services, graflow: { ...services.graflow, runs } })
    const { id } = await jobs.start('cancel', { tag: 'many' }, undefined)
    const { documents: read } = store.inspect
    let written = (): void => undefined
    const reads = jest.spyOn(store.inspect, 'documents').mockImplementationOnce(async (...asked) => {
      await new Promise<void>((resolve) => (written = resolve))
      return read(...asked)
    })
    progress()
    end()
    await until(async () => (await jobs.get(id)).status === 'done', 'the end of the command')
    written()
    await turn()
    const before = reads.mock.calls.length
    progress()
    await turn()
    expect(reads.mock.calls.length).toBe(before)
    reads.mockRestore()
    jobs.close()
  })

  it('is taken over from a server that is gone, where it had come to', async () => {
    await waiting(2)
    const { services } = plane
    const job = {
      ...{ id: 'left', action: 'cancel', filter: { tag: 'many' }, status: 'running', done: 5, matched: 6, failed: 1 },
      ...{ createdAt: new Date().toISOString(), owner: 'a session that is gone' },
    }
    const document = { name: 'left', bytes: Buffer.from(JSON.stringify(job)) }
    await services.session.store.writeDocuments({ collection: 'bulk-jobs', nonce: 'n', put: [document], remove: [] })
    const jobs = new BulkJobs(services)
    await jobs.takeOver()
    expect(await jobs.settled('left', 10_000, new AbortController().signal)).toMatchObject({
      status: 'done',
      done: 7,
      matched: 8,
      failed: 1,
    })
    jobs.close()
  })

  it('is stopped by a person', async () => {
    const { services } = plane
    const job = {
      ...{ id: 'long', action: 'retry', filter: { tag: 'many' }, status: 'running', done: 0, matched: 0, failed: 0 },
      ...{ createdAt: new Date().toISOString(), owner: services.session.id },
    }
    const document = { name: 'long', bytes: Buffer.from(JSON.stringify(job)) }
    await services.session.store.writeDocuments({ collection: 'bulk-jobs', nonce: 'n', put: [document], remove: [] })
    const stopped = await plane.ask('POST', '/api/v1/bulk-jobs/long/stop', undefined, admin)
    expect(stopped.json).toEqual({ id: 'long', changed: true })
    const { json } = await plane.ask('GET', '/api/v1/bulk-jobs', undefined, admin)
    expect(json.items).toEqual([
      expect.objectContaining({ id: 'long', status: 'stopped', endedAt: expect.any(String) }),
    ])
  })
})
