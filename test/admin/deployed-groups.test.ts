/** Pipeline groups in the store: those that cannot be read, and many that are placed anew at once. */
import { task } from 'graflow'
import { openPlane, type TestPlane } from '../support/control-plane.js'
import { until } from '../support/waits.js'

const GROUPS = '/api/v1/cluster/pipeline-groups'
let plane: TestPlane
beforeEach(async () => {
  plane = await openPlane({ tasks: [task('a', (n: number) => n)] })
})
afterEach(() => plane.close())

const deploy = (name: string, workerAffinity?: string) =>
  plane.ask('POST', GROUPS, {
    name,
    pipelines: [{ name: 'p', source: 'a', ...(workerAffinity && { workerAffinity }) }],
  })

it('are torn down where they cannot be read, and their names are free again', async () => {
  const { id } = (await deploy('one')).json
  const put = [{ name: `spec:${id}`, bytes: Buffer.from('{"v":2}') }]
  await plane.services.session.store.writeDocuments({
    ...{ collection: 'pipeline-groups', nonce: 'n', put, remove: [] },
  })
  const refused = await deploy('one')
  expect([refused.json.code, refused.json.detail]).toEqual(['INTEGRITY', expect.stringContaining('tear it down')])
  expect((await plane.ask('DELETE', `${GROUPS}/${id}`)).status).toBe(204)
  expect((await plane.ask('DELETE', `${GROUPS}/${id}`)).status).toBe(404)
  expect((await deploy('one')).status).toBe(201)
})

it('are placed anew in one write, however many a worker comes back for', async () => {
  const { store } = plane.services.session
  for (let i = 0; i < 12; i += 1) await deploy(`group-${i}`, 'other')
  const info = { baseId: 'other', role: 'worker' as const, hostname: 'h', pid: 1, metadata: {} }
  const serves = { queues: ['runs'], capabilities: [], tasks: ['a'] }
  await store.session({ kind: 'open', session: 'other:1', ttlMs: 60_000, info: { ...info, ...serves } })
  const writes = jest.spyOn(store, 'writeDocuments')
  const seen = async (): Promise<readonly string[]> =>
    (await plane.ask('GET', `${GROUPS}?limit=200`)).json.items.map((group: any) => group.placements[0].workerId)
  // the workers of a moment ago may still be known
  await until(async () => (await seen()).every((id) => id === 'other'), 'the groups on the other worker')
  expect(await seen()).toHaveLength(12)
  expect(writes.mock.calls.length).toBe(1)
})
