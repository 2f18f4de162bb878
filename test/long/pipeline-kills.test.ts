/** Pipeline groups while processes are killed: a control plane between two pipelines of one event, and the worker that a pipeline is placed on. */
import { until } from '../support/waits.js'
import { useStage, type Stage } from '../support/redis-stage.js'
import { sharedRedis } from '../support/shared-redis.js'

const stage = useStage(require.resolve('./pipelines.tasks.ts'))

interface Plane {
  readonly url: string
  readonly kill9: () => Promise<unknown>
}

/** A control plane in a process of its own. */
async function plane(own: Stage): Promise<Plane> {
  const child = own.spawnScript(require.resolve('./pipelines.plane.ts'), [own.server.url, own.prefix])
  const [, url = ''] = await child.said(/listens on (\S+)\n/)
  return { url, kill9: () => child.kill9() }
}

async function ask(url: string, method: string, path: string, body?: object): Promise<any> {
  const response = await fetch(`${url}api/v1/cluster/pipeline-groups${path}`, {
    method,
    ...(body !== undefined && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  })
  return response.json()
}

const GROUP = {
  name: 'chain',
  pipelines: [
    { name: 'first', source: 'gated' },
    { name: 'second', source: 'noted >> noted' },
    { name: 'third', source: 'noted' },
  ],
  routes: [
    { from: '_external', to: 'first', eventTypes: ['*'] },
    { from: 'first', to: 'second', eventTypes: ['*'] },
    { from: 'second', to: 'third', eventTypes: ['*'] },
  ],
}

it('an event whose control plane is killed between two pipelines goes through all of them, once', async () => {
  const own = await stage(await sharedRedis())
  await Promise.all(['w-1', 'w-2'].map((id) => own.worker(id)))
  const [lost, other] = [await plane(own), await plane(own)]
  const { id } = await ask(lost.url, 'POST', '', GROUP)
  const events = Array.from({ length: 5 }, (_, n) =>
    ask(lost.url, 'POST', `/${id}/inject`, { eventType: `E${n}`, fields: { n } }),
  )
  const answers = Promise.allSettled(events)
  await own.ledger.until('start', 5)
  await lost.kill9()
  expect((await answers).map(({ status }) => status)).toEqual(Array(5).fill('rejected'))
  expect((await ask(other.url, 'GET', `/${id}`)).status).toBe('running')
  own.ledger.open('go')
  await own.ledger.until('noted', 15)
  const list = async () => (await own.client()).runs.list({ tag: 'pipeline-group:chain', limit: 100 })
  await until(async () => (await list()).items.filter(({ state }) => state === 'completed').length === 15, 'all runs')
  expect((await list()).items).toHaveLength(15)
  const done = own.ledger.notes('noted').map(({ details }) => details['n'])
  expect(done.sort()).toEqual([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4])
  await until(async () => (await own.redis.hkeys(own.keys.documents('injections'))).join() === '#', 'the end of all')
}, 60_000)

it('an event is carried to its end, and its pipeline placed anew, where the worker that it is on is killed', async () => {
  const own = await stage(await sharedRedis())
  const [killed] = await Promise.all(['w-1', 'w-2'].map((id) => own.worker(id)))
  const { url } = await plane(own)
  const group = await ask(url, 'POST', '', {
    name: 'one',
    pipelines: [{ name: 'p', source: 'gated', workerAffinity: 'w-1' }],
  })
  expect(group.placements).toEqual([{ pipeline: 'p', workerId: 'w-1', status: 'running' }])
  const answer = ask(url, 'POST', `/${group.id}/inject`, { eventType: 'E', fields: { n: 1 } })
  await own.ledger.until('start', 1)
  await killed?.kill9()
  own.ledger.open('go')
  expect(await answer).toMatchObject({ routedTo: 'p', workerId: 'w-2', state: 'completed', result: { n: 1 } })
  await until(async () => {
    const { placements } = await ask(url, 'GET', `/${group.id}`)
    return placements[0].workerId === 'w-2'
  }, 'p on w-2')
  await own.worker('w-1')
  await until(async () => (await ask(url, 'GET', `/${group.id}`)).placements[0].workerId === 'w-1', 'p on w-1 again')
}, 60_000)
