/** Options of a task hold wherever it stands: alone in its branch, beside others, in a chain, forked by a handler, as a step of a run. */
import { join } from 'node:path'
import { choose, each, par, seq, workflow, type AnyNode, type Graflow, type GraflowError, type Outcome } from 'graflow'
import {
  always,
  blocks,
  blocksAgain,
  blocksLater,
  after,
  declines,
  forksBlocks,
  forksDeclines,
  forksLater,
  forksPoison,
  held,
  later,
  leaf,
  left,
  low,
  placedPoison,
  plain,
  poison,
  RETRY_DELAY_MS,
  right,
  routed,
  urgent,
  viaEach,
  viaPar,
  viaTask,
} from './task-options.tasks.js'
import { workerHere } from '../support/local-worker.js'
import { useStage, type Stage } from '../support/redis-stage.js'
import { freshPrefix } from '../support/shared-redis.js'
import { elapse, until } from '../support/waits.js'
import { failureOf } from '../support/captured-errors.js'

const open = useStage(join(__dirname, 'task-options.tasks.ts'))
const elsewhere = join(__dirname, '../faults/other.tasks.ts')

type Started = ReturnType<Graflow['start']>
const start = (client: Graflow, node: AnyNode, input: unknown): Started => client.start(node, input as never)
const submit = (client: Graflow, node: AnyNode, input: unknown): Started => client.submit(node, input as never)
const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i)

describe('the queue of a task', () => {
  it('is where it waits, and events name the task: run, and by ctx.run of the task, of an each, of a par', async () => {
    const stage = await open()
    await workerHere(stage, 'gpu', [leaf, viaTask, viaEach, viaPar], { queues: ['gpu'] })
    const tasksOf = async (node: AnyNode): Promise<readonly string[]> => {
      const client = await stage.client()
      const tasks = new Set<string>()
      client.events.subscribe('branch:started', ({ task }) => tasks.add(task))
      expect(await client.run(node, 1 as never)).toBe(2)
      return [...tasks].sort()
    }
    expect(await Promise.all([leaf, viaTask, viaEach, viaPar].map(tasksOf))).toEqual([
      ['leaf'],
      ['leaf', 'via-task'],
      ['leaf', 'via-each'],
      ['leaf', 'via-par'],
    ])
  })

  it('is where it runs in a par of several with a queue of its own, whose worker knows them or does not', async () => {
    const stage = await open()
    const [ofLeft, ofRight] = await Promise.all([
      stage.worker('left', { queues: ['left'] }),
      stage.worker('right', { queues: ['right'] }),
      stage.worker('knows', { queues: ['knows'] }),
      stage.worker('does-not', { queues: ['does-not'], tasks: elsewhere }),
    ])
    const client = await stage.client()
    const doors = ['knows', 'does-not']
    const runs = doors.map((queue, n) => client.run(par(left, right).configure({ queue }), n))
    expect(await Promise.all(runs)).toEqual([
      [0, 0],
      [1, 1],
    ])
    expect(stage.ledger.notes('left').map(({ pid }) => pid)).toEqual([ofLeft.pid, ofLeft.pid])
    expect(stage.ledger.notes('right').map(({ pid }) => pid)).toEqual([ofRight.pid, ofRight.pid])
  })
})

describe('the priority of a task', () => {
  const ways: readonly (readonly [string, (client: Graflow, node: typeof low, n: number) => Started])[] = [
    ['alone', (client, node, n) => start(client, par(node), n)],
    ['beside another', (client, node, n) => start(client, par(node, plain), n)],
    ['in a chain', (client, node, n) => start(client, par(seq(plain, node)), n)],
    ['in a chain of an each', (client, node, n) => start(client, each(seq(plain, node)), [n])],
    ['as a step of a submitted run', (client, node, n) => submit(client, seq(plain, node), n)],
  ]

  it('counts alone, beside another, in chains, and as a step of a submitted run', async () => {
    const stage = await open()
    const orderOf = async (way: (typeof ways)[number][1], n: number): Promise<readonly string[]> => {
      const keyPrefix = freshPrefix()
      const client = await stage.client({ keyPrefix })
      for (const node of [low, low, urgent]) await way(client, node, n)
      await workerHere(stage, 'late', [low, urgent, plain], { maxConcurrentTasks: 1, keyPrefix })
      const ofWay = (): readonly string[] =>
        stage.ledger.notes().flatMap(({ what, details }) => (details['n'] === n ? [what] : []))
      await until(() => ofWay().length >= 3, 'three tasks to run')
      return ofWay()
    }
    const orders = await Promise.all(ways.map(([, way], n) => orderOf(way, n)))
    expect(Object.fromEntries(ways.map(([name], n) => [name, orders[n]]))).toEqual(
      Object.fromEntries(ways.map(([name]) => [name, ['urgent', 'low', 'low']])),
    )
  })
})

/** Where a task may stand, with what forks it; its input is the number of the place. */
const places: readonly (readonly [
  string,
  (client: Graflow, node: typeof plain, forks: typeof plain, n: number) => Started,
])[] = [
  ['alone', (client, node, _, n) => start(client, par(node), n)],
  ['beside another', (client, node, _, n) => start(client, par(node, plain), n)],
  ['in a chain', (client, node, _, n) => start(client, each(seq(plain, node)), [n])],
  ['forked by a handler', (client, _, forks, n) => start(client, par(forks), n)],
  ['as a step of a submitted run', (client, node, _, n) => submit(client, seq(plain, node), n)],
  [
    'in a case of a submitted run',
    (client, node, _, n) => submit(client, seq(plain, choose(always, { yes: node })), n),
  ],
]

const as = (node: AnyNode): typeof plain => node as typeof plain
const codesOf = (error: unknown): readonly unknown[] =>
  error instanceof Error ? [(error as Partial<GraflowError>).code, ...codesOf(error.cause)] : []

/** What was observed of each place, and what is expected of all. */
const byPlace = <T>(seen: readonly T[]): Readonly<Record<string, T | undefined>> =>
  Object.fromEntries(places.map(([place], n) => [place, seen[n]]))
const everywhere = <T>(expected: T): Readonly<Record<string, T | undefined>> => byPlace(places.map(() => expected))

/** Of the handlers of one place. */
const startsOf = (stage: Stage, what: string, n: number): number =>
  stage.ledger.notes(what).filter(({ details }) => details['n'] === n).length

/**
 * A task at every place, all on one worker, which ends by it when the task has been started `before` times at each place and the gate of
 * its name is open; another worker is there then. How each run fails.
 */
async function lost(
  stage: Stage,
  node: AnyNode,
  forks: AnyNode,
  what: string,
  before: number,
): Promise<GraflowError[]> {
  const first = await stage.worker('first', { maxConcurrentTasks: 20 })
  const client = await stage.client()
  const runs = await Promise.all(places.map(([, begin], n) => begin(client, as(node), as(forks), n)))
  const starts = await stage.ledger.until(what, before * places.length)
  expect(starts.map(({ pid }) => pid)).toEqual(starts.map(() => first.pid))
  await stage.worker('second')
  stage.ledger.open(what)
  expect((await first.ends(5_000)).signal).toBe('SIGKILL')
  return Promise.all(runs.map((run) => failureOf(run.result())))
}

describe('options of a task, at every place', () => {
  it('maxLosses is the task’s own: one that ends its worker is started once', async () => {
    const stage = await open()
    const errors = await lost(stage, poison, forksPoison, 'poison', 1)
    const seen = errors.map((error, n) => {
      const isNamed = error.message.includes('poison') && codesOf(error).includes('BRANCH_DEAD')
      return [isNamed, startsOf(stage, 'poison', n)]
    })
    expect(byPlace(seen)).toEqual(everywhere([true, 1]))
  }, 40_000)

  it('timeoutMs counts where the task keeps the event loop: another worker starts it', async () => {
    const stage = await open()
    const observe = async ([, begin]: (typeof places)[number], n: number): Promise<readonly boolean[]> => {
      const keyPrefix = freshPrefix()
      const blocked = await stage.worker('blocked', { keyPrefix })
      const client = await stage.client({ keyPrefix })
      const run = await begin(client, as(blocks), as(forksBlocks), n)
      const pids = (): readonly number[] =>
        stage.ledger.notes('blocks').flatMap(({ pid, details }) => (details['n'] === n ? [pid] : []))
      await until(() => pids().length > 0, 'the first start')
      await workerHere(stage, 'other', [plain, always, blocks, forksBlocks], { keyPrefix })
      await until(() => pids().length > 1, 'the second start')
      const isStillBlocked = startsOf(stage, 'blocks no more', n) === 0
      await run.result()
      const [first, second] = pids()
      return [first === blocked.pid, second === process.pid, isStillBlocked]
    }
    expect(byPlace(await Promise.all(places.map(observe)))).toEqual(everywhere([true, true, true]))
  }, 40_000)

  it.each([
    ['in a further pass', blocksAgain],
    ['after it has waited for a flow', blocksLater],
  ])(
    'timeoutMs counts where the task keeps the event loop %s',
    async (_, late) => {
      const stage = await open()
      const observe = async (node: AnyNode, n: number): Promise<readonly boolean[]> => {
        const keyPrefix = freshPrefix()
        const blocked = await stage.worker('blocked', { keyPrefix })
        const client = await stage.client({ keyPrefix })
        const run = n === 2 ? await submit(client, node, n) : await start(client, node, [n])
        const pids = (): readonly number[] =>
          stage.ledger.notes('blocks').flatMap(({ pid, details }) => (details['n'] === n ? [pid] : []))
        await until(() => pids().length > 0, 'the first start')
        await workerHere(stage, 'other', [plain, late], { keyPrefix })
        await until(() => pids().length > 1, 'the second start')
        const isStillBlocked = startsOf(stage, 'blocks no more', n) === 0
        await run.result()
        const [first, second] = pids()
        return [first === blocked.pid, second === process.pid, isStillBlocked]
      }
      const seen = await Promise.all([each(late), each(seq(plain, late)), seq(plain, late)].map(observe))
      expect(seen).toEqual(seen.map(() => [true, true, true]))
    },
    40_000,
  )

  it('maxLosses does not count workers that only wait for a task elsewhere', async () => {
    const stage = await open()
    const client = await stage.client()
    await workerHere(stage, 'elsewhere', [routed], { queues: ['elsewhere'] })
    const run = await start(client, each(seq(plain, routed, plain)), [1])
    const gid = `${run.id}/0`
    /** The worker holds the branch, and its last step has said that no task is in hand. */
    const isWaiting = async (worker: string): Promise<boolean> => {
      const sessions = await stage.redis.keys(`*${stage.prefix}*:o:${worker}:*`)
      const cells = await stage.redis.hgetBuffer(stage.keys.group(gid), 'd')
      return sessions.length > 0 && (cells?.[3] ?? 0) % 2 === 1
    }
    for (let kills = 0; kills < 5; kills += 1) {
      const waiting = await stage.worker(`waiting-${kills}`)
      await until(() => isWaiting(`waiting-${kills}`), 'it to wait')
      await waiting.kill9()
    }
    stage.ledger.open('routed')
    await stage.worker('last')
    expect(await run.result()).toEqual([1])
  }, 40_000)

  it('retry.attempts counts errors across lost workers', async () => {
    const stage = await open()
    const errors = await lost(stage, declines, forksDeclines, 'declines', 2)
    const seen = errors.map((error, n) => [error.message.includes('declined'), startsOf(stage, 'declines', n)])
    expect(byPlace(seen)).toEqual(everywhere([true, 4]))
  }, 40_000)
})

describe('the delay before a retry', () => {
  it.each(['SIGTERM', 'SIGKILL'] as const)(
    'outlasts the worker that waits for it, which loses no start: %s',
    async (signal) => {
      const stage = await open()
      const first = await stage.worker('first', { gracefulShutdownTimeoutMs: 100 })
      const client = await stage.client()
      const ways = places.filter(
        ([place]) => place.includes('in a chain') || place.includes('fork') || place.includes('as a step'),
      )
      const runs = await Promise.all(ways.map(([, begin], n) => begin(client, as(later), as(forksLater), n)))
      await stage.ledger.until('later', ways.length)
      await workerHere(stage, 'second', [plain, later, forksLater])
      first.signal(signal)
      await Promise.all(runs.map((run) => run.result()))
      const seen = ways.map(([place], n) => {
        const starts = stage.ledger.notes('later').filter(({ details }) => details['n'] === n)
        const [one, two] = starts.map(({ details }) => details['at'] as number)
        return [place, starts.length, (two ?? 0) - (one ?? 0) >= RETRY_DELAY_MS - 50]
      })
      expect(seen).toEqual(ways.map(([place]) => [place, 2, true]))
    },
    20_000,
  )
})

describe('a task for other workers that has lost its own too often', () => {
  const around: readonly (readonly [string, AnyNode, unknown, string])[] = [
    ['a branch like its group', par(placedPoison, placedPoison).settled(), 0, '0/0'],
    ['a branch that is forwarded', par(placedPoison, plain).settled(), 1, '0/0'],
    ['a step of a branch', each(seq(plain, placedPoison)).settled(), [2], '0/0/1'],
    ['a step of a workflow in a branch', par(workflow('inner', seq(plain, placedPoison))).settled(), 3, '0/0/w/1'],
  ]

  it('is dead wherever it stands: in outcomes, counts, branches and dead letters, and the message has its path', async () => {
    const stage = await open()
    await workerHere(stage, 'here', [plain])
    const gpu = await stage.worker('gpu', { queues: ['gpu'], maxConcurrentTasks: 20 })
    const client = await stage.client()
    const runs = await Promise.all(around.map(([, node, input]) => start(client, node, input)))
    await stage.ledger.until('placed-poison', around.length + 1)
    stage.ledger.open('placed-poison')
    expect((await gpu.ends(5_000)).signal).toBe('SIGKILL')
    for (const [n, run] of runs.entries()) {
      const [where, , , path] = around[n] ?? []
      const [outcome] = (await run.result()) as readonly Outcome<unknown>[]
      const { code, message } = outcome?.status === 'dead' ? outcome.error : { code: outcome?.status, message: '' }
      expect([where, code, message]).toEqual([where, 'BRANCH_DEAD', expect.stringContaining(`(at ${path})`)])
      const statuses = new Set<string>()
      for await (const { status } of run.branches()) statuses.add(status)
      statuses.delete('succeeded')
      const group = (await run.status()).groups.find((one) => one.path === '0')
      expect([where, [...statuses], group?.failed, (group?.dead ?? 0) > 0]).toEqual([where, ['dead'], 0, true])
    }
  }, 40_000)
})

describe('pause', () => {
  it('holds the next task until the run is resumed: of a submitted run, and of a chain', async () => {
    const stage = await open()
    for (const id of ['a', 'b']) await workerHere(stage, id, [held, after])
    const client = await stage.client()
    const runs = [await submit(client, seq(held, after), 0), await start(client, each(seq(held, after)), [1])]
    await stage.ledger.until('held', 2)
    for (const run of runs) await run.pause()
    stage.ledger.open('held')
    await stage.ledger.until('held is over', 2)
    await elapse(600)
    expect(stage.ledger.notes('after')).toEqual([])
    for (const [n, run] of runs.entries()) {
      await run.resume()
      await run.result()
      expect(stage.ledger.notes('after').map(({ details }) => details['n'])).toEqual(numbers(n + 1))
    }
  })
})
