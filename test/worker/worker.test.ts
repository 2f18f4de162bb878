/** Workers as objects, on a store in this process. */
import { each, GraflowError, par, policy, seq, task, type TaskContext } from 'graflow'
import type { Worker, WorkerOptions } from '../../worker/index.js'
import { failureOf, thrown } from '../support/captured-errors.js'
import { WorkerPool } from '../../worker/index.js'
import { Gate } from '../support/gate.js'
import { SharedStore } from '../support/shared-store.js'
import { elapse } from '../support/waits.js'

const add = task('add', (n: number) => n + 1)
const total = task('total', (all: readonly number[]) => all.reduce((a, b) => a + b, 0))
const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i)

let store: SharedStore
beforeEach(() => {
  store = new SharedStore()
})
afterEach(() => store.end())

/** A task that waits at a gate and says with what attempt it was started. */
function gated(name = 'gated', options: { readonly queue?: string } = {}) {
  const gate = new Gate()
  const starts: { readonly attempt: number; readonly n: number }[] = []
  const node = task(name, options, async (n: number, ctx: TaskContext) => {
    starts.push({ attempt: ctx.attempt, n })
    await gate.pass(ctx.signal)
    return n
  })
  return { gate, starts, node }
}

/** A task that adds one and counts its starts. */
function counted(name: string) {
  let starts = 0
  const node = task(name, (n: number) => {
    starts += 1
    return n + 1
  })
  return { node, starts: () => starts }
}

describe('a worker', () => {
  it('runs what a client dispatches, and counts it', async () => {
    const client = await store.client()
    const fails = task('fails', () => {
      throw new Error('no')
    })
    const worker = await store.started({ tasks: [add, total, fails] })
    expect(await client.run(each(add).to(total), upTo(1_000))).toBe(500_500)
    await failureOf(
      client.run(
        par(add, fails, add)
          .settled()
          .to(total as never),
        1,
      ),
    ).catch(() => undefined)
    expect([worker.tasksProcessed, worker.tasksSucceeded, worker.tasksFailed]).toEqual([1_003, 1_002, 1])
  })

  it('X18: counts three that succeed and one that fails, and the time they took', async () => {
    const client = await store.client()
    const moody = task('moody', async (n: number) => {
      await elapse(5)
      if (n === 3) throw new Error('no')
      return n
    })
    const worker = await store.started({ tasks: [moody] })
    await client.run(each(moody).settled(), [0, 1, 2, 3])
    expect([worker.tasksProcessed, worker.tasksSucceeded, worker.tasksFailed]).toEqual([4, 3, 1])
    expect(worker.totalExecutionTimeMs).toBeGreaterThan(0)
  })

  it('X18: counts a branch once that asks for other workers than its group', async () => {
    const client = await store.client()
    const tax = task('tax', (n: number) => n)
    const stock = task('stock', { queue: 'far', requires: ['disk'] }, (n: number) => {
      if (n === 3) throw new Error('no')
      return n
    })
    const flow = par(add, stock, tax)
    const here = await store.started({ tasks: [flow] })
    const far = await store.started({ tasks: [flow], queues: ['far'], capabilities: ['disk'] })
    const counts = (worker: Worker) => [worker.tasksProcessed, worker.tasksSucceeded, worker.tasksFailed]
    const run = await client.start(flow, 2)
    expect(await run.result()).toEqual([3, 2, 2])
    expect([counts(here), counts(far)]).toEqual([
      [2, 2, 0],
      [1, 1, 0],
    ])
    expect(await run.status()).toMatchObject({ done: 3, total: 3 })
    await client.run(flow.settled(), 3)
    expect([counts(here), counts(far)]).toEqual([
      [4, 4, 0],
      [2, 1, 1],
    ])
  })

  it('drives runs that nobody waits for', async () => {
    const client = await store.client()
    await store.started({ tasks: [seq(add, par(add, add), total)] })
    const run = await client.submit(seq(add, par(add, add), total), 1)
    expect(await run.result()).toBe(6)
  })

  it('drives them with one slot, which they give back at every barrier', async () => {
    const client = await store.client()
    const flow = seq(add, par(add, add), total)
    await store.started({ tasks: [flow], maxConcurrentTasks: 1 })
    const runs = await Promise.all([1, 2, 3].map((n) => client.submit(flow, n)))
    expect(await Promise.all(runs.map((run) => run.result()))).toEqual([6, 8, 10])
  })

  it('runs no more at once than it may', async () => {
    const client = await store.client()
    const { gate, node } = gated()
    const worker = await store.started({ tasks: [node], maxConcurrentTasks: 3 })
    const result = client.run(each(node), upTo(10))
    await gate.reached(3)
    expect(worker.inFlight).toBe(3)
    gate.open()
    expect(await result).toEqual(upTo(10))
    expect(gate.most).toBe(3)
  })

  it('runs no more of a queue than that may have in flight, and others beside it', async () => {
    const client = await store.client()
    const gpu = gated('on-gpu', { queue: 'gpu' })
    const plain = gated('plain')
    const worker = await store.started({
      tasks: [gpu.node, plain.node],
      maxConcurrentTasks: 6,
      queues: ['default', 'gpu:2'],
    })
    const onGpu = client.run(each(gpu.node), upTo(7))
    const others = client.run(each(plain.node), upTo(7))
    await Promise.all([gpu.gate.reached(2), plain.gate.reached(4)])
    expect(worker.inFlight).toBe(6)
    gpu.gate.open()
    plain.gate.open()
    expect(await Promise.all([onGpu, others])).toEqual([upTo(7), upTo(7)])
    expect(gpu.gate.most).toBe(2)
  })

  it('acquires short tasks ahead, and starts them in their order', async () => {
    const client = await store.client()
    const order: number[] = []
    const notes = task('notes', (n: number) => {
      order.push(n)
      return n
    })
    await store.started({ tasks: [notes], maxConcurrentTasks: 1 })
    expect(await client.run(each(notes), upTo(5_000))).toEqual(upTo(5_000))
    expect(order).toEqual(upTo(5_000))
  })

  it('releases what it acquired ahead of tasks that turn out to be long', async () => {
    const client = await store.client()
    const gate = new Gate()
    const started: number[] = []
    const turns = task('turns', async (n: number) => {
      started.push(n)
      if (n >= 100) await gate.pass()
      return n
    })
    const first = await store.started({ tasks: [turns], maxConcurrentTasks: 1, workerId: 'first' })
    const result = client.run(each(turns), upTo(104))
    await gate.reached(1)
    // The first worker has one of the long ones in its slot, and some behind it: the second gets these, one after the other.
    const second = await store.started({ tasks: [turns], maxConcurrentTasks: 3, workerId: 'second' })
    await gate.reached(4)
    expect([first.inFlight, second.inFlight]).toEqual([1, 3])
    gate.open()
    expect(await result).toEqual(upTo(104))
    expect(started).toHaveLength(104)
  })

  it('tells its states, and joins and leaves', async () => {
    const client = await store.client()
    const worker = store.worker({ tasks: [add], workerId: 'w', capabilities: ['gpu'] })
    const seen: string[] = []
    worker.events.subscribe('worker:state', ({ from, to }) => seen.push(`${from} → ${to}`))
    worker.events.subscribe('worker:registered', ({ workerId, capabilities }) =>
      seen.push(`${workerId} ${capabilities.join()}`),
    )
    worker.events.subscribe('worker:deregistered', ({ reason }) => seen.push(reason))
    expect(worker.state).toBe('registering')
    await worker.start()
    expect(worker.state).toBe('ready')
    await client.run(each(add), [1])
    await worker.stop()
    expect(worker.state).toBe('stopped')
    expect(seen).toEqual([
      'w gpu',
      'registering → ready',
      'ready → busy',
      'busy → ready',
      'ready → draining',
      'stopped',
      'draining → stopped',
    ])
  })

  it.each<[string, Partial<WorkerOptions>, readonly string[]]>([
    ['by default', {}, ['default', 'runs']],
    ['beside another queue', { queues: ['default', 'gpu:2'] }, ['default', 'gpu', 'runs']],
    ['unless it is told not to', { driveRuns: false }, ['default']],
    ['of another queue only when it is told to', { queues: ['gpu'] }, ['gpu']],
    ['and here it is', { queues: ['gpu'], driveRuns: true }, ['gpu', 'runs']],
    ['by their name', { queues: ['runs'] }, ['runs']],
  ])('takes submitted runs where it serves the queue default, %s', async (_, options, queues) => {
    await store.started({ tasks: [add], ...options })
    expect(await store.backend.inspect.sessions()).toMatchObject([{ queues }])
  })

  it.each<[string, WorkerOptions['limits']]>([
    ['an object', { resultBytes: 2_097_152, branches: 7 }],
    ['pairs with units', ['resultBytes=2mb', 'branches=7']],
    ['pairs in other letters', ['resultBytes=2048KB', ' branches=7 ']],
  ])('takes limits as %s', async (_, limits) => {
    const big = task('big', (n: number) => 'x'.repeat(n))
    await store.started({ tasks: [big], ...(limits !== undefined && { limits }) })
    const client = await store.client()
    const run = await client.submit(big, 2_000_000)
    expect(await run.result()).toHaveLength(2_000_000)
    const wide = await client.submit(each(big), Array<number>(8).fill(1))
    expect((await failureOf(wide.result())).message).toContain('at most 7 branches')
  })

  it.each<[string, unknown, string]>([
    ['a name that there is not', ['resultBtes=4mb'], '(did you mean "resultBytes"?)'],
    ['a name that all objects have', ['constructor=4'], 'worker: limits: constructor: there is no such option'],
    ['no pair', ['4mb'], 'worker: limits: expected a pair such as resultBytes=4mb, got "4mb"'],
    ['a unit that there is not', ['resultBytes=4tb'], 'expected a pair such as resultBytes=4mb'],
    ['bytes of what is counted', ['branches=4mb'], 'branches is a number of branches, without mb'],
    ['too little', ['branches=0'], 'worker: limits: branches: expected an integer of at least 1'],
    ['a text in an object', { resultBytes: '4mb' }, 'worker: limits: resultBytes: expected an integer'],
    ['no limits', 4, 'worker: limits: options are an object'],
  ])('refuses limits with %s', (_, limits, says) => {
    const error = thrown(() => store.worker({ tasks: [add], limits: limits as never }))
    expect(error.code).toBe('INVALID_OPTION')
    expect(error.message).toContain(says)
  })

  it('says of itself what it was told', async () => {
    await store.started({
      ...{ tasks: [add], workerId: 'w', queues: ['a', 'b:2'], capabilities: ['gpu'], buildId: '7', role: 'worker' },
      metadata: { zone: 'eu-1' },
    })
    expect(await store.backend.inspect.sessions()).toMatchObject([
      {
        baseId: 'w',
        role: 'worker',
        queues: ['a', 'b'],
        capabilities: ['gpu', 'layout:4', 'layout:5', 'build:7'],
        tasks: ['add'],
      },
    ])
    const [session] = await store.backend.inspect.sessions()
    expect([session?.metadata, session?.buildId]).toEqual([{ zone: 'eu-1', buildId: '7' }, '7'])
  })

  it('takes nothing as an observer', async () => {
    const client = await store.client()
    const observer = await store.started({ role: 'observer' })
    const run = await client.start(each(add), [1])
    await new Promise((resolve) => setImmediate(resolve))
    const worker = await store.started({ tasks: [add] })
    expect(await run.result()).toEqual([2])
    expect([observer.tasksProcessed, worker.tasksProcessed]).toEqual([0, 1])
  })

  it.each<[string, object, string, string]>([
    ['no tasks', {}, 'INVALID_OPTION', 'worker: tasks: expected at least one task module'],
    ['a queue with a bad number', { queues: ['gpu:0'] }, 'INVALID_OPTION', 'for two at once, got "gpu:0"'],
    ['a queue with a bad name', { queues: ['g p'] }, 'INVALID_OPTION', 'got "g p"'],
    ['a capability that is no name', { capabilities: ['a,b'] }, 'INVALID_OPTION', 'got "a,b"'],
    ['metadata without a value', { metadata: ['zone'] }, 'INVALID_OPTION', 'got "zone"'],
    ['too few at once', { maxConcurrentTasks: 0 }, 'INVALID_OPTION', 'from 1 to 100000 (branches), got 0'],
    ['another option', { maxConcurrent: 1 }, 'INVALID_OPTION', 'there is no such option'],
    [
      'an address of something else',
      { redisUrl: 'http://x' },
      'INVALID_OPTION',
      'expected an address: redis://host:6379',
    ],
    ['a lease that is too short', { leaderTtlMs: 10 }, 'INVALID_OPTION', 'leaderTtlMs: expected an integer from 1000'],
  ])('refuses %s', (_what, options, code, says) => {
    const error = thrown(() =>
      store.worker({
        ...('tasks' in options ? {} : { tasks: [add] }),
        ...options,
        ...(Object.keys(options).length === 0 && { tasks: [] }),
      }),
    )
    expect(error).toBeInstanceOf(GraflowError)
    expect(error.code).toBe(code)
    expect(error.message).toContain(says)
  })

  it('refuses two different tasks of one name', async () => {
    const worker = store.worker({ tasks: [add, task('add', (n: number) => n - 1)] })
    expect(await failureOf(worker.start())).toMatchObject({ code: 'DUPLICATE_TASK', details: { task: 'add' } })
  })

  it('cannot be started again', async () => {
    const worker = await store.started({ tasks: [add] })
    await worker.stop()
    const other = store.worker({ tasks: [add] })
    await other.stop()
    expect((await failureOf(other.start())).code).toBe('CLOSED')
  })
})

describe('a worker that is stopped', () => {
  it('X10: takes nothing new, and finishes what runs', async () => {
    const client = await store.client()
    const { gate, node, starts } = gated()
    const worker = await store.started({ tasks: [node] })
    const first = await client.start(each(node), [1])
    await gate.reached(1)
    const stopped = worker.stop(60_000)
    const late = await client.start(each(node), [2])
    await elapse(20)
    gate.open()
    await stopped
    expect(await first.result()).toEqual([1])
    expect(starts).toEqual([{ attempt: 1, n: 1 }])
    await store.started({ tasks: [node] })
    expect(await late.result()).toEqual([2])
  })

  it('X11: releases what does not finish in time, with its attempt unspent and its signal fired', async () => {
    const client = await store.client()
    const { gate, node, starts } = gated()
    const worker = await store.started({ tasks: [node] })
    const run = await client.start(each(node), [1])
    await gate.reached(1)
    await worker.stop(20)
    expect(gate.waiting).toBe(0)
    gate.open()
    await store.started({ tasks: [node] })
    expect(await run.result()).toEqual([1])
    expect(starts).toEqual([
      { attempt: 1, n: 1 },
      { attempt: 1, n: 1 },
    ])
  })

  it('FT-W21: releases what it acquired ahead, unspent', async () => {
    const client = await store.client()
    const gate = new Gate()
    const attempts: number[] = []
    const turns = task('turns', async (n: number, ctx) => {
      attempts.push(ctx.attempt)
      if (n === 50) await gate.pass()
      return n
    })
    const worker = await store.started({ tasks: [turns], maxConcurrentTasks: 1 })
    const run = await client.start(each(turns), upTo(200))
    await gate.reached(1)
    const stopped = worker.stop(60_000)
    const other = await store.started({ tasks: [turns], workerId: 'other' })
    gate.open()
    await stopped
    expect(await run.result()).toEqual(upTo(200))
    expect(worker.tasksProcessed + other.tasksProcessed).toBe(200)
    expect(attempts).toEqual(upTo(200).map(() => 1))
  })

  it('hands a run it drives to another worker as soon as that waits at a barrier', async () => {
    const client = await store.client()
    const { gate, node } = gated('remote', { queue: 'far' })
    const before = counted('before')
    const flow = seq(before.node, par(node, node), total)
    const driver = await store.started({ tasks: [flow], workerId: 'driver' })
    const far = await store.started({ tasks: [node], queues: ['far'], workerId: 'far' })
    const run = await client.submit(flow, 1)
    await gate.reached(2)
    await driver.stop(60_000)
    await store.started({ tasks: [flow], workerId: 'next' })
    gate.open()
    expect(await run.result()).toBe(4)
    expect(far.tasksProcessed).toBe(2)
    expect(before.starts()).toBe(1)
  })

  it('releases a branch of several steps with what it has done, so that the next worker goes on behind that', async () => {
    const client = await store.client()
    const { gate, node } = gated('remote', { queue: 'far' })
    const before = counted('before')
    const flow = each(seq(before.node, node)).to(total)
    const first = await store.started({ tasks: [flow], workerId: 'first' })
    await store.started({ tasks: [node], queues: ['far'], workerId: 'far' })
    const run = await client.start(flow, [1, 2])
    await gate.reached(2)
    await first.stop(10)
    await store.started({ tasks: [flow], workerId: 'next' })
    gate.open()
    expect(await run.result()).toBe(5)
    expect(before.starts()).toBe(2)
  })

  it('stops within about 2 s after its time although the store is away and a handler hangs', async () => {
    const client = await store.client()
    const gate = new Gate()
    const hangs = task('hangs', () => gate.pass())
    const worker = await store.started({ tasks: [hangs] })
    await client.start(each(hangs), [1])
    await gate.reached(1)
    const lost = (): Promise<never> => Promise.reject(new GraflowError('REDIS_UNAVAILABLE', 'away'))
    store.backend.settle = lost
    store.backend.session = lost
    const startedAt = performance.now()
    await worker.stop(100)
    expect(performance.now() - startedAt).toBeLessThan(2_100)
    Reflect.deleteProperty(store.backend, 'session')
  })
})

describe('what is left in hand', () => {
  it('is named when the worker is told to end at once, task by task', async () => {
    const client = await store.client()
    const { gate, node } = gated('waits')
    const other = gated('waits-too')
    const worker = await store.started({ tasks: [node, other.node], maxConcurrentTasks: 4 })
    const lines: string[] = []
    worker.events.subscribe('log', ({ level, message }) => lines.push(`${level}: ${message}`))
    await client.start(each(node), [1, 2])
    await client.start(each(other.node), [1])
    await Promise.all([gate.reached(2), other.gate.reached(1)])
    await worker.abandon(500)
    expect(lines).toContain(
      `warn: worker ${worker.workerId} ends at once, and releases 3 tasks (waits 2 times, waits-too); others start it again`,
    )
  })

  it('is told as nothing where it is nothing', async () => {
    const worker = await store.started({ tasks: [add] })
    const lines: string[] = []
    worker.events.subscribe('log', ({ level, message }) => lines.push(`${level}: ${message}`))
    await worker.abandon(500)
    expect(lines).toContain(`warn: worker ${worker.workerId} ends at once, it has nothing in hand`)
  })
})

describe('a worker that is given undefined for redisUrl', () => {
  const said = async (options: object): Promise<readonly string[]> => {
    const worker = store.worker({ tasks: [add], workerId: 'w', ...options })
    const lines: string[] = []
    worker.events.subscribe('log', ({ level, message }) => lines.push(`${level}: ${message}`))
    await worker.start()
    return lines.filter((line) => line.includes('redisUrl'))
  }

  it('says which Redis it takes instead; one that is given nothing, or a host, says nothing', async () => {
    expect(await said({ redisUrl: undefined })).toEqual([
      expect.stringMatching(
        /^warn: worker w was given undefined for redisUrl .*, so it takes redis:\/\/localhost:6379; /,
      ),
    ])
    expect(await said({})).toEqual([])
    expect(await said({ redisUrl: undefined, redisHost: 'there' })).toEqual([])
  })
})

describe('logs of a worker in code', () => {
  const written: string[] = []
  let write: jest.SpyInstance
  beforeEach(() => {
    written.length = 0
    write = jest.spyOn(process.stderr, 'write').mockImplementation((line) => written.push(String(line)) > 0)
  })
  afterEach(() => write.mockRestore())

  it('are text without logFormat, and JSON, one object a line, with it', async () => {
    const options = { tasks: [add], logLevel: 'info' } as const
    const plain = await store.started({ ...options, workerId: 'plain' })
    const structured = await store.started({ ...options, workerId: 'structured', logFormat: 'json' })
    await Promise.all([plain.stop(0), structured.stop(0)])
    const lines = written.flatMap((text) => text.trim().split('\n')).filter((line) => line.includes('is ready'))
    expect(lines[0]).toMatch(/^\d{4}-\d\d-\d\dT\S+ info {2}worker plain is ready/)
    expect(JSON.parse(lines[1] ?? '')).toMatchObject({
      ...{ level: 'info', workerId: 'structured', pid: process.pid, time: expect.any(String) },
      msg: expect.stringContaining('worker structured is ready'),
    })
    expect(thrown(() => store.worker({ tasks: [add], logFormat: 'xml' as never })).message).toContain(
      'logFormat: expected one of auto, json, text',
    )
  })
})

describe('a join policy', () => {
  const most = policy('most', (all: readonly { readonly status: string }[]) => `${all.length} outcomes`)

  it('that is exported alone, or stands in the option tasks, is known to a worker that drives a run', async () => {
    const client = await store.client()
    await store.started({ tasks: [add, most] })
    const run = await client.submit(par(add, add).join(most), 1)
    expect(await run.result()).toBe('2 outcomes')
  })

  it('is waited for by a run while no worker knows it', async () => {
    const client = await store.client()
    await store.started({ tasks: [add] })
    const run = await client.submit(par(add, add).join(most), 1)
    await store.started({ tasks: [add, most] })
    expect(await run.result()).toBe('2 outcomes')
  })

  it('whose name another has is refused', async () => {
    const other = policy('most', () => 'others')
    const worker = store.worker({ tasks: [add, most, other] })
    expect(await failureOf(worker.start())).toMatchObject({ code: 'DUPLICATE_TASK', details: { policy: 'most' } })
  })
})

describe('a pool of workers', () => {
  it.each([undefined, null, 'p'])('refuses %p for its options', (given) => {
    expect(thrown(() => new WorkerPool(given as never))).toMatchObject({ code: 'INVALID_OPTION' })
  })

  it('starts, scales and stops, and sums up what its workers did', async () => {
    const client = await store.client()
    const pool = store.pool({ workers: 2, tasks: [add], workerId: 'p' })
    await pool.start()
    expect(await client.run(each(add), upTo(500))).toEqual(upTo(501).slice(1))
    await pool.scale(4)
    expect(pool.workers.map(({ workerId }) => workerId)).toEqual(['p-1', 'p-2', 'p-3', 'p-4'])
    await pool.scale(1)
    expect(pool.size).toBe(1)
    expect(await client.run(each(add), upTo(500))).toEqual(upTo(501).slice(1))
    expect([pool.tasksProcessed, pool.tasksSucceeded, pool.tasksFailed]).toEqual([1_000, 1_000, 0])
    await pool.stop()
    expect(pool.size).toBe(0)
    expect(pool.tasksProcessed).toBe(1_000)
    expect((await failureOf(pool.scale(1))).code).toBe('CLOSED')
  })

  it('tells what happens in all of them, in those to come, too, until nobody listens', async () => {
    const client = await store.client()
    const pool = store.pool({ workers: 1, tasks: [add], workerId: 'p' })
    const states: string[] = []
    const settled = new Map<string, number>()
    const off = pool.events.subscribe('worker:state', ({ workerId, to }) => states.push(`${workerId} ${to}`))
    pool.events.subscribe('branches:settled', ({ workerId, succeeded }) => {
      settled.set(workerId, (settled.get(workerId) ?? 0) + succeeded)
    })
    await pool.start()
    await pool.scale(2)
    expect(await client.run(each(add), upTo(500))).toHaveLength(500)
    expect([...settled.values()].reduce((a, b) => a + b, 0)).toBe(500)
    await pool.scale(1)
    const ofSecond = states.filter((state) => state.startsWith('p-2')).map((state) => state.slice(4))
    expect([ofSecond[0], ...ofSecond.slice(-2)]).toEqual(['ready', 'draining', 'stopped'])
    off()
    const count = states.length
    await pool.stop()
    expect(states).toHaveLength(count)
    expect(thrown(() => pool.events.subscribe('worker:born' as never, () => undefined)).code).toBe('INVALID_NAME')
  })

  it.each([-1, 1.5, 1_001])('refuses %d workers', (workers) => {
    expect(thrown(() => store.pool({ workers, tasks: [add] })).message).toContain('expected an integer from 0 to 1000')
  })
})
