/** The last hour, and who looks: what the dashboard's first page is made of. */
import { task, workflow } from 'graflow'
import { LastHour, MINUTES, type Minutes } from '../../lib/server/last-hour.js'
import { openPlane, type TestPlane } from '../support/control-plane.js'

const half = workflow(
  'half',
  task('half', (n: number) => {
    if (n % 2 !== 0) throw new Error(`${n} is odd`)
    return n / 2
  }),
)
const sumOf = (minutes: Minutes): Record<string, number> =>
  Object.fromEntries(
    (['started', 'completed', 'failed', 'cancelled'] as const).map((what) => [
      what,
      minutes[what].reduce<number>((sum, value) => sum + (value ?? 0), 0),
    ]),
  )

let plane: TestPlane
beforeEach(async () => {
  plane = await openPlane({ serve: { apiKeys: ['read:the-read-key', 'admin:the-admin-key'] }, tasks: [half] })
})
afterEach(() => plane.close())

const run = (n: number): Promise<unknown> => plane.graflow.run(half, n).catch(() => undefined)
const overview = async (): Promise<Minutes> =>
  (await plane.ask('GET', '/api/v1/overview', undefined, { 'x-api-key': 'the-read-key' })).json.minutes

describe('the overview', () => {
  it('counts the runs of the last hour by the minute: those before the first look, and those after', async () => {
    await run(2)
    await run(3)
    const first = await overview()
    expect(sumOf(first)).toEqual({ started: 2, completed: 1, failed: 1, cancelled: 0 })
    expect(Object.values(first).map((minutes) => minutes.length)).toEqual(Array(5).fill(MINUTES))
    await run(4)
    const { graflow, session } = plane.services
    // another server of the store, which starts now, knows as much: from the log, and from the runs before it began
    expect(sumOf(await new LastHour({ graflow, session }).minutes())).toEqual({
      ...{ started: 3, completed: 2, failed: 1, cancelled: 0 },
    })
  })

  it('counts a run that is retried once more among those that started, as it ends once more', async () => {
    await overview()
    const first = await plane.graflow.submit(half, 3)
    await first.result().catch(() => undefined)
    await plane.graflow.runs.retry(first.id)
    await (await plane.graflow.attach(first.id)).result().catch(() => undefined)
    const { graflow, session } = plane.services
    expect(sumOf(await new LastHour({ graflow, session }).minutes())).toMatchObject({ started: 2, failed: 2 })
  })

  it('says what is not known: the wait of the oldest before anybody looked', async () => {
    const { oldestMs } = await overview()
    expect(oldestMs.at(-1)).toBe(0)
    expect(oldestMs.slice(0, -2)).toEqual(Array(MINUTES - 2).fill(null))
  })

  it('goes on after a look that failed midway, also where events are missing since', async () => {
    const { graflow, session } = plane.services
    let events = 0
    // the first look finds a whole page and fails at the next one; after it there is a gap
    const inspect = {
      ...session.store.inspect,
      events: async (after: string | undefined, limit: number) => {
        events += 1
        const at = await session.store.inspect.now()
        if (events === 2) throw new Error('the store is away')
        const event = { kind: 'run', runId: 'a', workflow: 'w', from: undefined, to: 'pending' } as const
        const isFull = events === 1
        const found = Array.from({ length: isFull ? limit : 1 }, (_, n) => ({ position: `${at}-${n}`, at, event }))
        const last = found.at(-1)!.position
        return { isKept: true, last, next: last, isGap: after !== '0' && !isFull, events: found }
      },
    }
    const store = { keepEvents: async () => undefined, inspect }
    const hour = new LastHour({ graflow, session: { store } as unknown as typeof session }) // all that it asks of it
    await expect(hour.minutes()).rejects.toThrow('the store is away')
    const { started } = await hour.minutes()
    expect(started).toHaveLength(MINUTES)
    // only the minutes of the gap are not known
    expect(started.slice(0, -2)).toEqual(Array(MINUTES - 2).fill(0))
  })

  it('is one look for all who ask at once', async () => {
    const { graflow, session } = plane.services
    const hour = new LastHour({ graflow, session })
    const [a, b] = await Promise.all([hour.minutes(), hour.minutes()])
    expect(a).toBe(b)
  })
})

describe('the server', () => {
  it.each(['read', 'admin'])('tells a key of the scope %s what it may do', async (scope) => {
    const { json } = await plane.ask('GET', '/api/v1/server', undefined, { 'x-api-key': `the-${scope}-key` })
    expect(json).toEqual({ keyPrefix: 'graflow', store: { kind: 'embedded' }, key: { scope } })
  })

  it('needs a key', async () => {
    expect((await plane.ask('GET', '/api/v1/server')).status).toBe(401)
    expect((await plane.ask('GET', '/api/v1/overview')).status).toBe(401)
  })
})
