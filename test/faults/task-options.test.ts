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

describe('maxLosses', () => {
  it.each(places)('is the task’s own (%s): one that ends its worker is started once', async (_, start) => {
    const stage = await open()
    const client = await withWorkers(stage)
    const error = await failureOf((await start(client, as(poison), as(forksPoison))).result())
    expect(error.message).toContain('poison')
    expect(codesOf(error)).toContain('BRANCH_DEAD')
    expect(stage.ledger.notes('poison')).toHaveLength(1)
  })
})

describe('timeoutMs', () => {
  it.each(places)('counts where the task keeps the event loop (%s): another worker starts it', async (_, start) => {
    const stage = await open()
    const client = await withWorkers(stage)
    const run = await start(client, as(blocks), as(forksBlocks))
    const [first, second] = await stage.ledger.until('blocks', 2)
    expect(second?.pid).not.toBe(first?.pid)
    expect(stage.ledger.notes('blocks no more')).toEqual([])
    await run.result()
  })
})

describe('retry.attempts', () => {
  it.each(places)('counts errors across lost workers (%s)', async (_, start) => {
    const stage = await open()
    const client = await withWorkers(stage)
    const error = await failureOf((await start(client, as(declines), as(forksDeclines))).result())
    expect(error.message).toContain('declined')
    expect(stage.ledger.notes('declines')).toHaveLength(4)
  })
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
