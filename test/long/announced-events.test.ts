/** Events of branches that run in other processes: a client that listens hears them, and nobody pays where no one does. */
import { join } from 'node:path'
import { connect, type ConnectOptions, type Graflow, type RunEvent } from 'graflow'
import { Redis } from 'ioredis'
import { Ledger } from '../support/ledger.js'
import { endChildren, startWorker } from '../support/processes.js'
import { freshPrefix, sharedRedis } from '../support/shared-redis.js'
import { flakyPair, heldPair, manySteps, nested } from '../session/announced.tasks.js'

const prefix = freshPrefix()
const ledger = new Ledger()
const clients: Graflow[] = []

beforeAll(async () => {
  const { url } = await sharedRedis()
  const tasks = join(__dirname, '../session/announced.tasks.ts')
  const worker = { tasks, url, keyPrefix: prefix, env: ledger.env }
  await Promise.all(['one', 'two'].map((id) => startWorker({ ...worker, id })))
}, 30_000)
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()))
})
afterAll(async () => {
  await endChildren()
  ledger.remove()
})

async function open(options: ConnectOptions = {}): Promise<Graflow> {
  const { url } = await sharedRedis()
  const client = await connect(url, { keyPrefix: prefix, logLevel: 'silent', ...options })
  clients.push(client)
  return client
}

/** What is published of runs under the prefix from now on. */
async function published(): Promise<{ readonly kinds: () => string[]; readonly end: () => void }> {
  const { socket } = await sharedRedis()
  const redis = new Redis({ path: socket })
  const kinds: string[] = []
  redis.on('pmessage', (_: string, __: string, message: string) => kinds.push(message.split(' ', 1)[0] ?? ''))
  await redis.psubscribe(`{${prefix}:0}:act:*`)
  return { kinds: () => kinds, end: () => redis.disconnect() }
}

describe('events of branches in worker processes', () => {
  it.each(['run', 'submit'] as const)(
    'all reach a client that listens before a run begins (%s), in order, before its result',
    async (how) => {
      const graflow = await open()
      const seen = new Map<string, string[]>()
      let events = 0
      graflow.events.subscribe('run:progress', ({ path, message = '' }) => {
        seen.set(path, [...(seen.get(path) ?? []), message])
      })
      graflow.events.subscribe('branch:started', () => {
        events += 1
      })
      graflow.events.subscribe('branch:settled', ({ status, workerId, at }) => {
        events += 1
        expect([status, /^(one|two)$/.test(workerId), at instanceof Date]).toEqual(['succeeded', true, true])
      })
      const items = Array.from({ length: 40 }, (_, n) => n)
      if (how === 'run') await graflow.run(manySteps, items)
      else await (await graflow.submit(manySteps, items)).result()
      expect(seen.size).toBe(items.length)
      for (const [path, messages] of seen) {
        const n = path.split('/').at(-1)
        expect(messages).toEqual(Array.from({ length: 50 }, (_, i) => `${n}:${i + 1}`))
      }
      expect(events).toBe(2 * items.length)
    },
  )

  it('carry errors of retries, and reach run.events() before it ends', async () => {
    const graflow = await open()
    const run = await graflow.start(flakyPair, 1)
    const events: RunEvent[] = []
    for await (const event of run.events()) events.push(event)
    const retrying = events.filter((event) => event.type === 'branch:retrying')
    expect(retrying.map(({ path, attempt }) => [path, attempt]).sort()).toEqual([
      ['0/0', 1],
      ['0/1', 1],
    ])
    expect(retrying[0]?.error.message).toContain('not yet')
    expect(retrying[0]?.error.cause).toMatchObject({ name: 'RangeError', message: 'not yet' })
    expect(events.filter(({ type }) => type === 'branch:settled')).toHaveLength(2)
    expect(events.at(-1)).toMatchObject({ type: 'run:state', to: 'completed' })
  })

  it('reach a process that has only attached to the run, with those of its driver, and not twice', async () => {
    const driver = await open()
    const own: string[] = []
    driver.events.subscribe('run:progress', ({ message = '' }) => own.push(message))
    const run = await driver.start(heldPair, 1)
    await ledger.until('started', 2)
    const other = await (await open()).attach(run.id)
    const seen: RunEvent[] = []
    let progress = 0
    ledger.open('first')
    for await (const event of other.events()) {
      seen.push(event)
      // a new run is taken for unwatched by its driver, for a moment
      if (event.type === 'run:progress' && (progress += 1) === 80) ledger.open('second')
    }
    const of = (type: RunEvent['type']): RunEvent[] => seen.filter((event) => event.type === type)
    expect(of('branch:settled')).toHaveLength(2)
    expect(of('group:released')).toHaveLength(1)
    expect(seen.at(-1)).toMatchObject({ type: 'run:state', to: 'completed' })
    expect(own.filter((message) => message === 'local')).toHaveLength(1)
    expect(await run.result()).toEqual([1, 1])
  })

  it('of groups that a branch opens are told, too', async () => {
    const graflow = await open()
    const dispatched: number[] = []
    graflow.events.subscribe('group:dispatched', ({ width }) => dispatched.push(width))
    expect(await graflow.run(nested, 2)).toEqual([
      [4, 9],
      [4, 9],
    ])
    expect(dispatched).toEqual([2, 2, 2])
  })

  it('are not even sent where nobody listens', async () => {
    const graflow = await open()
    const { kinds, end } = await published()
    try {
      await graflow.run(
        manySteps,
        Array.from({ length: 100 }, (_, n) => n),
      )
      // its group goes with the run: nobody can wait for it before
      expect(new Set(kinds())).toEqual(new Set(['settled', 'state']))
      graflow.events.subscribe('run:progress', () => undefined)
      await graflow.run(manySteps, [1, 2, 3])
      expect(kinds()).toContain('events')
    } finally {
      end()
    }
  })
})
