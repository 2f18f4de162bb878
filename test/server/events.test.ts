/** Streams of events: what they tell, and that nothing is missing or doubled when a reader comes back, to this server or another. */
import { Redis } from 'ioredis'
import { each, task, waitFor, workflow, type Graflow } from 'graflow'
import { Worker } from 'graflow/worker'
import { openPlane, type TestPlane } from '../support/control-plane.js'
import { type EventReader, readEvents } from '../support/event-reader.js'
import { freshPrefix, privateRedis, sharedRedis } from '../support/shared-redis.js'

const count = task('count', (n: number) => Array.from({ length: n }, (_, i) => i))
const square = task('square', (n: number) => n * n)
const asks = workflow(
  'asks',
  count
    .to(each(square))
    .to(waitFor('go'))
    .to(task('echo', (given: unknown) => given)),
)
const quick = workflow('quick', square)
const TASKS = [asks, quick]

describe.each(['embedded', 'redis'] as const)('events of the control plane (%s)', (store) => {
  const ends: (() => unknown)[] = []
  let planes: readonly [TestPlane, TestPlane]
  let graflow: Graflow

  beforeEach(async () => {
    if (store === 'embedded') {
      const plane = await openPlane({ tasks: TASKS })
      planes = [plane, plane]
    } else {
      const { url } = await sharedRedis()
      const keyPrefix = freshPrefix()
      const worker = new Worker({ redisUrl: url, keyPrefix, tasks: [...TASKS], logLevel: 'silent' })
      await worker.start()
      ends.push(() => worker.stop())
      planes = [await openPlane({ keyPrefix }, url), await openPlane({ keyPrefix }, url)]
    }
    for (const plane of new Set(planes)) ends.push(() => plane.close())
    graflow = planes[1].graflow
  })
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end()
  })

  const open = async (plane: TestPlane, path: string, lastId?: string): Promise<EventReader> => {
    const headers = lastId === undefined ? {} : { 'last-event-id': lastId }
    const response = await plane.app.request(`/api/v1${path}`, { headers })
    const reader = readEvents(response)
    ends.push(() => {
      reader.close()
    })
    return reader
  }
  const states = (reader: EventReader, runId: string): readonly string[] =>
    reader.events.flatMap(({ event, data }) => (event === 'run:state' && data.runId === runId ? [data.to] : []))

  it('tell each state of each run, and pauses of queues', async () => {
    const reader = await open(planes[0], '/events')
    await reader.until(({ event }) => event === 'ready')
    const run = await graflow.submit('quick', 3)
    await run.result()
    await graflow.queues.pause('q', { ahead: true })
    await reader.until(({ event }) => event === 'queue:paused')
    expect(states(reader, run.id)).toEqual(['pending', 'running', 'completed'])
    expect(reader.events.find(({ event }) => event === 'run:state')?.data).toMatchObject({
      ...{ type: 'run:state', runId: run.id, workflow: 'quick', at: expect.any(String) },
    })
    expect(reader.events.at(-1)?.data).toMatchObject({ queue: 'q' })
  })

  it('go on behind the last event at another server, with what happened while nobody listened', async () => {
    const first = await open(planes[0], '/events')
    await first.until(({ event }) => event === 'ready')
    const before = await graflow.submit('quick', 1)
    await first.until(({ data }) => data.runId === before.id && data.to === 'completed')
    first.close()
    const meanwhile = await graflow.submit('quick', 2)
    await meanwhile.result()
    const second = await open(planes[1], '/events', first.lastId())
    await second.until(({ data }) => data.runId === meanwhile.id && data.to === 'completed')
    const after = await graflow.submit('quick', 3)
    await second.until(({ data }) => data.runId === after.id && data.to === 'completed')
    expect(states(second, before.id)).toEqual([])
    for (const { id } of [meanwhile, after]) expect(states(second, id)).toEqual(['pending', 'running', 'completed'])
  })

  it('say where something may be missing, and refuse what is no position', async () => {
    const reader = await open(planes[0], '/events', '1-1')
    const { id } = await reader.until(({ event }) => event === 'reset')
    expect(id).toMatch(/^\d+-\d+$/)
    const { json } = await planes[0].ask('GET', '/api/v1/events', undefined, { 'last-event-id': 'x' })
    expect(json).toMatchObject({ code: 'INVALID_OPTION', details: { option: 'last-event-id' } })
  })

  it('of a run tell its life, each thing once, across two servers', async () => {
    const run = await graflow.submit('asks', 3)
    const first = await open(planes[0], `/runs/${run.id}/events`)
    await first.until(({ event, data }) => event === 'run:state' && data.to === 'waiting')
    await first.until(({ event, data }) => event === 'run:waits' && data.waits[0]?.signal === 'go')
    first.close()
    await graflow.runs.signal(run.id, 'go', 7)
    await run.result()
    const second = await open(planes[1], `/runs/${run.id}/events`, first.lastId())
    await second.ended
    const told = [...first.events, ...second.events].filter(
      ({ event }) => event !== 'status' && event !== 'group:progress',
    )
    const words = told.map(({ event, data }) =>
      [event, data.to ?? data.path, data.status].filter((word) => word !== undefined).join(' '),
    )
    expect(words.filter((word) => word.startsWith('step:settled'))).toEqual([
      'step:settled 0 succeeded',
      'step:settled 3 succeeded',
    ])
    const waiting = words.indexOf('run:state waiting')
    for (const word of ['step:settled 0 succeeded', 'group:released 1'])
      expect([word, words.indexOf(word) < waiting]).toEqual([word, true])
    // while it works it may wait for a worker for a moment, which is told as well
    const asked = told.findIndex(({ event, data }) => event === 'run:waits' && data.waits[0]?.signal === 'go')
    expect(asked).toBeGreaterThan(waiting)
    for (const word of ['group:dispatched 1', 'group:released 1', 'run:state completed', 'end'])
      expect([word, words.filter((one) => one === word)]).toEqual([word, [word]])
    expect(second.events.at(-1)).toMatchObject({ event: 'end', data: { state: 'completed' } })
    const again = await open(planes[0], `/runs/${run.id}/events`, second.lastId())
    expect(again.status).toBe(204)
    const whole = await open(planes[0], `/runs/${run.id}/events`)
    await whole.ended
    const withoutState = ({ event }: { event: string }): boolean => event !== 'status'
    expect(whole.events.filter(withoutState).map(({ data }) => data)).toEqual(
      [...first.events, ...second.events].filter(withoutState).map(({ data }) => data),
    )
    expect(whole.events.find(({ event }) => event === 'status')?.data).toMatchObject({ id: run.id, state: 'completed' })
  })

  it('of a run that is retried go on for who follows it, and end for others', async () => {
    const run = await graflow.submit('quick', 2)
    await run.result()
    const follower = await open(planes[0], `/runs/${run.id}/events?follow=true`)
    await follower.until(({ event, data }) => event === 'run:state' && data.to === 'completed')
    expect(await graflow.runs.retry(run.id, { from: '0' })).toBe(true)
    await follower.until(({ event, data }) => event === 'run:state' && data.from === 'completed')
    await graflow.runs.delete(run.id)
    await follower.ended
    expect(follower.events.at(-1)?.event).toBe('run:deleted')
  })

  it('of a run reach who comes late, however much there is', async () => {
    const run = await graflow.submit('quick', 2)
    await run.result()
    let after: string | undefined
    for (let n = 0; n < 9; n += 1) {
      const events = [{ type: 'run:progress', runId: run.id, n, message: 'x'.repeat(200_000) }]
      const bytes = { events: Buffer.from(JSON.stringify(events)), seen: Buffer.from('{}') }
      const answer = await planes[0].services.session.store.appendRunEvents({
        ...{ runId: run.id, after, ...bytes, keptMs: 60_000 },
      })
      after = answer.status === 'ok' ? answer.position : undefined
    }
    const reader = await open(planes[0], `/runs/${run.id}/events`)
    await reader.ended
    expect(reader.events.flatMap(({ data }) => data.n ?? [])).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8])
    expect(reader.events.at(-1)?.event).toBe('end')
  })

  it('of a run cost its workers nothing, and its server one look for all who watch', async () => {
    const run = await graflow.submit('asks', 2)
    const [plane] = planes
    let looks = 0
    const { runs } = plane.services.graflow
    const get = runs.get.bind(runs)
    Object.assign(runs, { get: (id: string) => ((looks += 1), get(id)) })
    const readers = await Promise.all(Array.from({ length: 100 }, () => open(plane, `/runs/${run.id}/events`)))
    await Promise.all(
      readers.map((reader) => reader.until(({ event, data }) => event === 'run:waits' && data.waits.length > 0)),
    )
    expect(looks).toBeLessThan(30)
    if (store === 'redis') {
      const redis = new Redis((await sharedRedis()).url)
      const channels = await redis.pubsub('CHANNELS', `*act*${run.id}`)
      await redis.quit()
      expect(channels).toEqual([])
    }
    for (const reader of readers) reader.close()
  })
})

it('events tell those that listen that the store was emptied, and what happens from then on', async () => {
  const { url } = await privateRedis()
  const plane = await openPlane({ keyPrefix: freshPrefix() }, url)
  const reader = readEvents(await plane.app.request('/api/v1/events'))
  const admin = new Redis(url)
  try {
    await reader.until(({ event }) => event === 'ready')
    await plane.graflow.queues.pause('before', { ahead: true })
    await reader.until(({ data }) => data.queue === 'before')
    await admin.flushall()
    await reader.until(({ event }) => event === 'reset')
    await plane.graflow.queues.pause('after', { ahead: true })
    await reader.until(({ data }) => data.queue === 'after')
  } finally {
    reader.close()
    admin.disconnect()
    await plane.close()
  }
})
