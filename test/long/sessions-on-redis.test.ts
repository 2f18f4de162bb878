import type { Redis } from 'ioredis'
import { declareTask, each, par, seq, task } from 'graflow'
import { keysOf, tagOf } from '../../lib/backend/redis/keys.js'
import { failureOf } from '../support/captured-errors.js'
import { localWorker, loggedClient } from '../support/local-worker.js'
import { monitor } from '../support/monitor.js'
import { useStage } from '../support/redis-stage.js'
import { privateRedis, sharedRedis } from '../support/shared-redis.js'
import { elapse, until } from '../support/waits.js'

const stageOn = useStage()

/** A task that ends when it is told to, and counts its starts. */
function gate() {
  let open: () => void = () => undefined
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  const starts: number[] = []
  const wait = task('wait', async (n: number) => {
    starts.push(n)
    await opened
    return n * 2
  })
  // What a client has: it knows the tasks' names only, and so runs none of them.
  return { wait, declared: declareTask<number, number>('wait'), starts, open }
}

const double = task('double', (n: number) => n * 2)
const doubled = declareTask<number, number>('double')

describe('a run of one group on Redis', () => {
  /** Calls by command since the last time, without what sessions, sweeps and idle workers ask. */
  async function counter(admin: Redis): Promise<() => Promise<Record<string, number>>> {
    const read = async (): Promise<Map<string, number>> => {
      const stats = await admin.info('commandstats')
      return new Map(
        [...stats.matchAll(/cmdstat_([^:]+):calls=(\d+)/g)].map(([, name, calls]) => [name ?? '', Number(calls)]),
      )
    }
    let before = await read()
    return async () => {
      const now = await read()
      const counts = [...now].map(([name, calls]): [string, number] => [name, calls - (before.get(name) ?? 0)])
      before = now
      return Object.fromEntries(counts.filter(([, calls]) => calls > 0))
    }
  }

  it('watches nothing while nobody listens, and everything when somebody does', async () => {
    const stage = await stageOn(await privateRedis())
    const { redis: admin } = stage
    await localWorker(stage, 'w', [double])
    const { graflow } = await loggedClient(stage)
    const flow = each(doubled)
    expect(await graflow.run(flow, [1, 2])).toEqual([2, 4])
    const alive = keysOf(tagOf(stage.prefix)).alive('*')
    await until(async () => (await admin.pubsub('CHANNELS', alive)).length === 2, 'both are seen to be alive')
    const count = await counter(admin)
    for (let i = 0; i < 20; i += 1) expect(await graflow.run(flow, [1, 2])).toEqual([2, 4])
    const { subscribe = 0, unsubscribe = 0, fcall = 0 } = await count()
    expect([subscribe, unsubscribe]).toEqual([0, 0])
    // open with the group, settle; an acquire now and then, a step where the two branches are settled apart, sweeps
    expect(fcall / 20).toBeGreaterThanOrEqual(2)
    expect(fcall / 20).toBeLessThanOrEqual(7)
    const states: string[] = []
    const off = graflow.events.subscribe('run:state', ({ from, to }) => states.push(`${from} → ${to}`))
    expect(await graflow.run(flow, [3])).toEqual([6])
    off()
    expect(states).toEqual(['pending → running', 'running → completed'])
    // once; and once more where the connection for it was still being made
    expect([1, 2]).toContain((await count())['subscribe'])
  })

  it('announces nothing while nobody listens, from the first group on', async () => {
    const stage = await stageOn(await privateRedis())
    const { redis: admin } = stage
    await localWorker(stage, 'w', [double])
    const { graflow } = await loggedClient(stage)
    expect(await graflow.run(each(doubled), [1])).toEqual([2])
    const sent: string[] = []
    let marked: () => void = () => undefined
    const mark = new Promise<void>((resolve) => (marked = resolve))
    const end = await monitor(stage.server, ({ command, argument, isFromScript }) => {
      if (!isFromScript) sent.push(command)
      if (argument === 'mark') marked()
    })
    for (let i = 0; i < 5; i += 1) expect(await graflow.run(each(doubled), [i])).toEqual([i * 2])
    await admin.echo('mark')
    await mark
    end()
    expect(sent.filter((name) => name === 'FCALL').length).toBeGreaterThan(5)
    expect(sent).not.toContain('PUBLISH')
  })

  it('tells of a pause and its end to who listens, also from another client', async () => {
    const stage = await stageOn(await sharedRedis())
    const { wait, declared, starts, open } = gate()
    await localWorker(stage, 'w', [wait])
    const [{ graflow: driver }, { graflow: other }] = [await loggedClient(stage), await loggedClient(stage)]
    const run = await driver.start(each(declared), [1])
    await until(() => starts.length === 1, 'the branch is started')
    const states: string[] = []
    driver.events.subscribe('run:state', ({ from, to }) => states.push(`${from} → ${to}`))
    const attached = await other.attach(run.id)
    const seen: string[] = []
    const events = (async () => {
      for await (const event of attached.events())
        if (event.type === 'run:state') seen.push(`${event.from} → ${event.to}`)
    })()
    const isTold = (what: string): boolean => states.includes(what) && seen.includes(what)
    await until(async () => {
      // Paused anew, in case a subscription was still on its way.
      await attached.resume()
      await attached.pause()
      await elapse(20) // what comes and goes within a moment is not told
      return isTold('running → paused')
    }, 'the pause is told')
    await attached.resume()
    await until(() => isTold('paused → running'), 'its end is told')
    open()
    expect([await run.result(), await attached.result()]).toEqual([[2], [2]])
    await events
    for (const told of [states, seen]) {
      expect(told).toContain('running → paused')
      expect(told).toContain('paused → running')
      expect(told.at(-1)).toMatch(/ → completed$/)
    }
  })
})

describe('a store that goes away', () => {
  it.each(['always', 'everysec'] as const)(
    'X19, FT-D1, FT-D2: a Redis (%s) that is away for 3 s while branches are done: the run completes, each is counted once',
    async (persistence) => {
      const server = await privateRedis({ persistence })
      const stage = await stageOn(server)
      const { wait, declared, starts, open } = gate()
      const worker = await localWorker(stage, 'w', [wait])
      const settled = { succeeded: 0, failed: 0 }
      worker.emitter.subscribe('branches:settled', ({ succeeded, failed }) => {
        settled.succeeded += succeeded
        settled.failed += failed
      })
      const { graflow } = await loggedClient(stage)
      const run = await graflow.start(
        seq(
          each(declared),
          task('sum', (all: number[]) => all.reduce((a, b) => a + b)),
        ),
        [1, 2, 3],
      )
      await until(() => starts.length === 3, 'all are started')
      await server.kill9()
      open()
      await elapse(3_000) // how long it is away is what is tested
      await server.restart()
      expect(await run.result()).toBe(12)
      expect([starts.length, settled]).toEqual([3, { succeeded: 3, failed: 0 }])
    },
    30_000,
  )

  it('is told of by idle processes once, and once that it is back', async () => {
    const server = await privateRedis()
    const stage = await stageOn(server)
    const worker = await localWorker(stage, 'w', [double])
    const { graflow, log } = await loggedClient(stage)
    const workersLog: typeof log = []
    worker.emitter.subscribe('log', (event) => workersLog.push(event))
    const told = (of: typeof log, level: string, text: string) =>
      of.filter((event) => event.level === level && event.message.startsWith(text)).length
    await server.kill9()
    const isAway = (of: typeof log) => told(of, 'warn', 'the store is away') === 1
    await until(() => isAway(log) && isAway(workersLog), 'both say that it is away', 8_000)
    expect([told(log, 'info', 'the store answers again'), told(workersLog, 'info', 'the store answers again')]).toEqual(
      [0, 0],
    )
    await server.restart()
    const isBack = (of: typeof log) => told(of, 'info', 'the store answers again') === 1
    await until(() => isBack(log) && isBack(workersLog), 'both say that it is back')
    expect(await graflow.run(each(doubled), [1])).toEqual([2])
    expect([log, workersLog].map((of) => [isAway(of), isBack(of)])).toEqual([
      [true, true],
      [true, true],
    ])
  }, 30_000)

  it('FT-D16: that has forgotten its scripts and connections: nobody notices', async () => {
    const stage = await stageOn(await privateRedis())
    const { redis: admin } = stage
    await localWorker(stage, 'w', [double])
    const { graflow } = await loggedClient(stage)
    const results: unknown[] = []
    for (let i = 0; i < 10; i += 1) {
      const result = graflow.run(seq(each(doubled), each(doubled)), [i])
      await admin.script('FLUSH')
      await admin.function('FLUSH')
      await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
      results.push(await result)
    }
    expect(results).toEqual(Array.from({ length: 10 }, (_, i) => [i * 4]))
  }, 20_000)

  it('FT-D22: that was emptied: the run fails with the reason, nothing hangs, and everybody registers again', async () => {
    const stage = await stageOn(await privateRedis())
    const { redis: admin } = stage
    const { wait, declared, starts, open } = gate()
    const worker = await localWorker(stage, 'w', [wait])
    const lost: string[] = []
    worker.emitter.subscribe('worker:lost', ({ workerId }) => lost.push(workerId))
    const log: string[] = []
    worker.emitter.subscribe('log', ({ message }) => log.push(message))
    const { graflow } = await loggedClient(stage)
    const run = await graflow.start(each(declared), [1])
    await until(() => starts.length === 1, 'the branch is started')
    await admin.flushall()
    const failure = await failureOf(run.result())
    expect(failure.code).toBe('RUN_NOT_FOUND')
    expect(failure.message).toContain('the store has lost its data')
    await until(() => lost.length === 1 && worker.session.state === 'registered', 'the worker registers again')
    await until(() => log.some((line) => line.includes('seems to have lost its data')), 'the log says why')
    expect(log.filter((line) => line.includes('for dead'))).toEqual([
      expect.stringMatching(/the store took w for dead: (its 1 grant is|what it held is) reclaimed; registering again/),
    ])
    open()
    expect(await graflow.run(each(declared), [4])).toEqual([8])
  }, 20_000)
})

describe('a graph that the store has lost', () => {
  it('X13, FT-W25: between dispatch and acquire is uploaded again within a second or so, and no attempt is spent', async () => {
    const stage = await stageOn(await sharedRedis())
    const { redis: admin } = stage
    const keys = keysOf(tagOf(stage.prefix))
    const attempts: number[] = []
    const work = task('work', (n: number, ctx) => {
      attempts.push(ctx.attempt)
      return n
    })
    const { graflow } = await loggedClient(stage)
    const run = await graflow.start(each(declareTask<number, number>('work')), [7])
    await until(async () => (await run.status()).total === 1, 'the group is dispatched')
    const graphs = await admin.keys(keys.graph('*'))
    expect(graphs).toHaveLength(1)
    await admin.del(...graphs)
    const startedAt = Date.now()
    await localWorker(stage, 'w', [work])
    expect(await run.result()).toEqual([7])
    expect(Date.now() - startedAt).toBeLessThan(3_000)
    expect(attempts).toEqual([1])
  })

  it('FT-W26: or holds in another form: nothing of it is executed', async () => {
    const stage = await stageOn(await sharedRedis())
    const { redis: admin } = stage
    const keys = keysOf(tagOf(stage.prefix))
    let starts = 0
    const work = task('work', (n: number) => {
      starts += 1
      return n
    })
    const { graflow } = await loggedClient(stage)
    const run = await graflow.start(each(declareTask<number, number>('work')), [7])
    await until(async () => (await run.status()).total === 1, 'the group is dispatched')
    const [graph = ''] = await admin.keys(keys.graph('*'))
    await admin.setrange(graph, 12, '?')
    await localWorker(stage, 'w', [work])
    const failure = await failureOf(run.result())
    expect(failure.code).toBe('GROUP_FAILED')
    expect(failure.errors.map((error) => (error as { code?: string }).code)).toEqual(['INTEGRITY'])
    expect(starts).toBe(0)
  })

  it('X12: 100 runs of one graph upload it once', async () => {
    const stage = await stageOn(await privateRedis())
    const { redis: admin } = stage
    const keys = keysOf(tagOf(stage.prefix))
    await localWorker(stage, 'w', [double])
    const { graflow } = await loggedClient(stage)
    const flow = par(doubled, doubled)
    const results = await Promise.all(Array.from({ length: 100 }, (_, i) => graflow.run(flow, i)))
    expect(results).toEqual(Array.from({ length: 100 }, (_, i) => [i * 2, i * 2]))
    expect(await admin.keys(keys.graph('*'))).toHaveLength(1)
  })
})

describe('a session that somebody ended', () => {
  it('of a client that starts a run before it knows: the session is opened again first', async () => {
    const stage = await stageOn(await sharedRedis())
    await localWorker(stage, 'w', [double])
    const { graflow } = await loggedClient(stage)
    const store = await stage.backend()
    for (let i = 0; i < 3; i += 1) {
      const own = (await store.inspect.sessions()).find(({ role }) => role === 'client')
      await store.session({ kind: 'close', session: own?.session ?? '' })
      const started =
        i === 1 ? graflow.start(each(doubled), [i]).then((run) => run.result()) : graflow.run(each(doubled), [i])
      expect(await started).toEqual([i * 2])
    }
  })

  it('of a client: its run is not driven here any more, which is told, and goes on in a worker', async () => {
    const stage = await stageOn(await sharedRedis())
    const { wait, declared, starts, open } = gate()
    await localWorker(stage, 'w', [wait])
    const { graflow, log } = await loggedClient(stage)
    const run = await graflow.start(each(declared), [1])
    await until(() => starts.length === 1, 'the branch is started')
    const store = await stage.backend()
    const own = (await store.inspect.sessions()).find(({ role }) => role === 'client')
    await store.session({ kind: 'close', session: own?.session ?? '' })
    const told = (text: string): boolean => log.some(({ message }) => message.includes(text))
    await until(() => told('registering again') && told('is not driven here any more'), 'the client is told')
    open()
    expect(await run.result()).toEqual([2])
    expect(starts).toEqual([1])
    // and the client works
    expect(await graflow.run(each(declared), [2])).toEqual([4])
  }, 20_000)
})
