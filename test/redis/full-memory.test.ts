/** A Redis whose memory is full: whatever makes room is done all the same. */
import { each, seq, task, waitFor, workflow } from 'graflow'
import type { EventSink } from '../../lib/server/event-sink.js'
import { PrefixEvents } from '../../lib/server/prefix-events.js'
import { RunWatch } from '../../lib/server/run-watch.js'
import { openPlane, type TestPlane } from '../support/control-plane.js'
import { workerHere } from '../support/local-worker.js'
import { useStage } from '../support/redis-stage.js'
import { sharedRedis } from '../support/shared-redis.js'
import { until } from '../support/waits.js'

const quick = workflow(
  'quick',
  task('quick-task', (n: number) => n),
)
const asks = workflow('asks', waitFor('never'))
const fails = workflow(
  'fails',
  each(
    task('boom', (): never => {
      throw new Error('no')
    }),
  ),
)
const many = workflow('many', seq(each(task('one', (n: number) => n)), waitFor('never')))

describe('a Redis whose memory is full', () => {
  const stage = useStage()
  let plane: TestPlane | undefined
  afterEach(async () => {
    await plane?.close()
    plane = undefined
  })

  it('does all that makes room: cancels, deletes, purges, tears down, and lets workers go', async () => {
    const own = await stage(await sharedRedis())
    await workerHere(own, 'w-1', [quick, asks, fails, many])
    plane = await openPlane({ keyPrefix: own.prefix }, own.server.url)
    const { graflow, ask } = plane
    const start = (name: string, id: string, tags: readonly string[] = []): Promise<unknown> =>
      graflow.submit(name, name === 'many' ? [1, 2, 3] : name === 'fails' ? [1] : 1, { id, tags })
    const stateOf = async (id: string): Promise<string | undefined> => (await graflow.runs.get(id))?.state
    for (const id of ['done', 'also-done']) await start('quick', id)
    for (const id of ['waits', 'also-waits']) await start('asks', id)
    for (const id of ['a', 'b', 'c']) await start('asks', `cancel-${id}`, ['cancel'])
    for (const id of ['a', 'b', 'c']) await start('many', `delete-${id}`, ['delete'])
    for (const id of ['x', 'y']) await start('fails', `fails-${id}`)
    const waiting = ['waits', 'also-waits', 'cancel-a', 'cancel-b', 'cancel-c', 'delete-a', 'delete-b', 'delete-c']
    for (const id of ['done', 'also-done'])
      await until(async () => (await stateOf(id)) === 'completed', `${id} to complete`)
    for (const id of waiting) await until(async () => (await stateOf(id)) === 'waiting', `${id} to wait`)
    for (const id of ['fails-x', 'fails-y']) await until(async () => (await stateOf(id)) === 'failed', `${id} to fail`)
    const group = await graflow.deployments.deploy({
      name: 'g',
      pipelines: ['asks', 'quick'].map((source) => ({ name: source, source })),
      routes: [
        { from: '_external', to: 'asks', eventTypes: ['*'] },
        { from: 'asks', to: 'quick', eventTypes: ['*'] },
      ],
    })
    const event = await graflow.deployments.inject(group.id, { eventType: 'Go' }, { waitMs: 0 })
    const registered = await ask('POST', '/api/v1/cluster/workers/register', { workerId: 'http', tasks: ['one'] })
    const [letter] = (await graflow.deadLetters.list()).items
    await own.redis.config('SET', 'maxmemory', 1)
    try {
      expect((await ask('POST', '/api/v1/runs', { workflow: 'asks' })).json.code).toBe('BACKPRESSURE')
      const command = { 'idempotency-key': 'once' }
      expect((await ask('DELETE', '/api/v1/runs/done', undefined, command)).status).toBe(204)
      expect(await graflow.runs.delete('also-done')).toBe(true)
      expect((await ask('POST', '/api/v1/runs/waits/cancel', {}, command)).json).toMatchObject({ changed: true })
      expect(await graflow.runs.cancel('also-waits')).toBe(true)
      for (const action of ['cancel', 'delete']) {
        const bulk = await ask(
          'POST',
          '/api/v1/runs/bulk?wait=20000',
          { action, filter: { tag: action } },
          {
            'idempotency-key': action,
          },
        )
        expect([bulk.status, bulk.json.status, bulk.json.done]).toEqual([202, 'done', 3])
      }
      expect(await graflow.deadLetters.delete(letter?.id ?? '')).toBe(true)
      expect(await graflow.deadLetters.purge()).toBe(1)
      const id = String(registered.json.id)
      expect((await ask('POST', `/api/v1/cluster/workers/${id}/deregister`, {})).status).toBe(200)
      expect((await ask('DELETE', `/api/v1/cluster/pipeline-groups/${group.id}`)).status).toBe(204)
      expect(await graflow.runs.cancel(event.runId)).toBe(true)
      const injections = async () => (await own.redis.hkeys(own.keys.documents('injections'))).join()
      await until(async () => (await injections()) === '#', 'the event to be over')
      expect(await graflow.workers.drain('w-1')).toBe(true)
      await until(async () => (await graflow.workers.get('w-1')) === undefined, 'the worker to have left')
    } finally {
      await own.redis.config('SET', 'maxmemory', 0)
    }
    expect(await Promise.all(['waits', 'also-waits', 'cancel-a', 'cancel-b', 'cancel-c'].map(stateOf))).toEqual(
      Array(5).fill('cancelled'),
    )
    const gone = ['done', 'also-done', 'delete-a', 'delete-b', 'delete-c']
    expect(await Promise.all(gone.map(stateOf))).toEqual(gone.map(() => undefined))
    expect((await graflow.deadLetters.list()).items).toEqual([])
    expect(await graflow.deployments.get(group.id)).toBeUndefined()
  })

  it('is watched as any other: what happens is told, and of one run its status', async () => {
    const own = await stage(await sharedRedis())
    await workerHere(own, 'w-1', [asks])
    plane = await openPlane({ keyPrefix: own.prefix }, own.server.url)
    const { graflow, services } = plane
    const { id } = await graflow.submit('asks')
    await until(async () => (await graflow.runs.get(id))?.state === 'waiting', 'the run to wait')
    const log = jest.fn()
    const told: string[] = []
    const sink = (name: string): EventSink => ({
      ...{ isOpen: true, hasRoom: true, room: async () => undefined, end: () => told.push(`${name} is over`) },
      push: (bytes) => {
        for (const [, event] of Buffer.from(bytes)
          .toString()
          .matchAll(/^event: (\S+)$/gm))
          told.push(`${name} ${event}`)
      },
    })
    const all = new PrefixEvents(services)
    const watch = new RunWatch(id, { ...services, log }, all)
    await own.redis.config('SET', 'maxmemory', 1)
    try {
      all.watch(sink('all'), undefined)
      watch.add(sink('run'), { after: '0', skip: 0 }, true)
      await until(() => told.includes('all ready') && told.includes('run status'), 'both to be told how it is')
      expect(told).toContain('run reset')
      await graflow.runs.cancel(id)
      await until(() => told.includes('all run:state') && told.includes('run is over'), 'both to be told of the end')
      expect(log.mock.calls.map(([level]) => level)).toEqual(['warn'])
    } finally {
      watch.close()
      all.close()
      await own.redis.config('SET', 'maxmemory', 0)
    }
  })
})
