/** Options of a task hold wherever it stands: alone in its branch, beside others, in a chain, forked by a handler, as a step of a run. */
import { join } from 'node:path'
import { choose, each, par, seq, type AnyNode, type Graflow, type GraflowError } from 'graflow'
import {
  always,
  blocks,
  after,
  declines,
  forksBlocks,
  forksDeclines,
  forksPoison,
  held,
  leaf,
  left,
  low,
  plain,
  poison,
  right,
  urgent,
  viaEach,
  viaPar,
  viaTask,
} from './task-options.tasks.js'
import { useStage, type Stage } from '../support/redis-stage.js'
import { elapse } from '../support/waits.js'
import { failureOf } from '../support/captured-errors.js'

const open = useStage(join(__dirname, 'task-options.tasks.ts'))
const elsewhere = join(__dirname, 'other.tasks.ts')

describe('the queue of a task', () => {
  it.each<readonly [string, AnyNode]>([
    ['run', leaf],
    ['ctx.run of the task', viaTask],
    ['ctx.run of an each', viaEach],
    ['ctx.run of a par', viaPar],
  ])('is where it waits, and events name the task (%s)', async (_, node) => {
    const stage = await open()
    await stage.worker('gpu', { queues: ['gpu'] })
    const client = await stage.client()
    const tasks = new Set<string>()
    client.events.subscribe('branch:started', ({ task }) => tasks.add(task))
    expect(await client.run(node, 1 as never)).toBe(2)
    expect([...tasks].filter((task) => !/^(leaf|via-\w+)$/.test(task))).toEqual([])
    expect(tasks).toContain('leaf')
  })

  it.each([
    ['does not know them', elsewhere],
    ['knows them', undefined],
  ])('is where it runs in a par of several with a queue of its own, whose worker %s', async (_, tasks) => {
    const stage = await open()
    const [ofLeft, ofRight] = await Promise.all([
      stage.worker('left', { queues: ['left'] }),
      stage.worker('right', { queues: ['right'] }),
      stage.worker('door', { queues: ['door'], ...(tasks !== undefined && { tasks }) }),
    ])
    const client = await stage.client()
    expect(await client.run(par(left, right).configure({ queue: 'door' }), 1)).toEqual([1, 1])
    expect(stage.ledger.notes('left')).toMatchObject([{ pid: ofLeft.pid }])
    expect(stage.ledger.notes('right')).toMatchObject([{ pid: ofRight.pid }])
  })
})

describe('the priority of a task', () => {
  const start = (client: Graflow, node: AnyNode): Promise<unknown> => client.start(node, 1 as never)
  const submit = (client: Graflow, node: AnyNode): Promise<unknown> => client.submit(node, 1 as never)
  it.each<readonly [string, typeof start, (node: typeof low) => AnyNode]>([
    ['alone', start, (node) => par(node)],
    ['beside another', start, (node) => par(node, plain)],
    ['in a chain', start, (node) => par(seq(plain, node))],
    ['in a chain of an each', (client, node) => client.start(node, [1] as never), (node) => each(seq(plain, node))],
    ['as a step of a submitted run', submit, (node) => seq(plain, node)],
  ])('counts %s', async (_, begin, at) => {
    const stage = await open()
    const client = await stage.client()
    for (const node of [low, low, urgent]) await begin(client, at(node))
    await stage.worker('late', { maxConcurrentTasks: 1 })
    await stage.ledger.until('low', 2)
    expect(stage.ledger.notes().map(({ what }) => what)).toEqual(['urgent', 'low', 'low'])
  })
})

/** Where a task may stand, with what forks it. */
const places: readonly (readonly [
  string,
  (client: Graflow, node: typeof plain, forks: typeof plain) => ReturnType<Graflow['start']>,
])[] = [
  ['alone', (client, node) => client.start(par(node) as AnyNode, 1 as never)],
  ['beside another', (client, node) => client.start(par(node, plain) as AnyNode, 1 as never)],
  ['in a chain', (client, node) => client.start(each(seq(plain, node)) as AnyNode, [1] as never)],
  ['forked by a handler', (client, _, forks) => client.start(par(forks) as AnyNode, 1 as never)],
  ['as a step of a submitted run', (client, node) => client.submit(seq(plain, node) as AnyNode, 1 as never)],
  [
    'in a case of a submitted run',
    (client, node) => client.submit(seq(plain, choose(always, { yes: node })) as AnyNode, 1 as never),
  ],
]

const withWorkers = async (stage: Stage): Promise<Graflow> => {
  await Promise.all([stage.worker('a'), stage.worker('b')])
  return stage.client()
}

const as = (node: AnyNode): typeof plain => node as typeof plain
const codesOf = (error: unknown): readonly unknown[] =>
  error instanceof Error ? [(error as Partial<GraflowError>).code, ...codesOf(error.cause)] : []

/** Systems at the same time. */
const AT_ONCE = 3

/** What comes of a task at every place, each in a system of its own with two workers, some side by side: most of the time is waiting. */
async function atEveryPlace<T>(
  blocked: AnyNode,
  forks: typeof plain,
  observe: (stage: Stage, run: Awaited<ReturnType<Graflow['start']>>) => Promise<T>,
): Promise<Readonly<Record<string, T>>> {
  const left = [...places]
  const seen: Record<string, T> = {}
  const playAll = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const [place, start] = next
      const stage = await open()
      const client = await withWorkers(stage)
      seen[place] = await observe(stage, await start(client, as(blocked), as(forks)))
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, playAll))
  return seen
}

const everywhere = <T>(expected: T): Readonly<Record<string, T>> =>
  Object.fromEntries(places.map(([place]) => [place, expected]))

describe('options of a task, at every place', () => {
  it('maxLosses is the task’s own: one that ends its worker is started once', async () => {
    const seen = await atEveryPlace(poison, as(forksPoison), async (stage, run) => {
      const error = await failureOf(run.result())
      const isNamed = error.message.includes('poison') && codesOf(error).includes('BRANCH_DEAD')
      return [isNamed, stage.ledger.notes('poison').length]
    })
    expect(seen).toEqual(everywhere([true, 1]))
  }, 40_000)

  it('timeoutMs counts where the task keeps the event loop: another worker starts it', async () => {
    const seen = await atEveryPlace(blocks, as(forksBlocks), async (stage, run) => {
      const [first, second] = await stage.ledger.until('blocks', 2)
      const isStillBlocked = stage.ledger.notes('blocks no more').length === 0
      await run.result()
      return [second?.pid !== first?.pid, isStillBlocked]
    })
    expect(seen).toEqual(everywhere([true, true]))
  }, 40_000)

  it('retry.attempts counts errors across lost workers', async () => {
    const seen = await atEveryPlace(declines, as(forksDeclines), async (stage, run) => {
      const error = await failureOf(run.result())
      return [error.message.includes('declined'), stage.ledger.notes('declines').length]
    })
    expect(seen).toEqual(everywhere([true, 4]))
  }, 40_000)
})

describe('pause', () => {
  it.each<readonly [string, (client: Graflow) => ReturnType<Graflow['start']>]>([
    ['a submitted run', (client) => client.submit(seq(held, after), 1)],
    ['a chain', (client) => client.start(each(seq(held, after)), [1])],
  ])('holds the next task of %s until the run is resumed', async (_, begin) => {
    const stage = await open()
    const client = await withWorkers(stage)
    const run = await begin(client)
    await stage.ledger.until('held')
    await run.pause()
    stage.ledger.open('held')
    await stage.ledger.until('held is over')
    await elapse(600)
    expect(stage.ledger.notes('after')).toEqual([])
    await run.resume()
    await run.result()
    expect(stage.ledger.notes('after')).toHaveLength(1)
  })
})
