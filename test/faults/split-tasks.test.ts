/**
 * Tasks that are each known to another worker process: nobody knows all of a branch, of a group, or of a run. Every way in is played on the same
 * two workers at once.
 */
import { join } from 'node:path'
import { choose, each, loop, par, seq, type AnyNode, type Graflow } from 'graflow'
import { failureOf } from '../support/captured-errors.js'
import { monotonicMs } from '../support/ledger.js'
import { workerHere } from '../support/local-worker.js'
import { type Stage, useStages } from '../support/redis-stage.js'
import { forks, goesOn, leaves, left, makesOwn, pick } from './split-left.tasks.js'
import { counted, right, turns } from './split-right.tasks.js'

const LEFT = join(__dirname, 'split-left.tasks.ts')
const RIGHT = join(__dirname, 'split-right.tasks.ts')

const walk = { steps: [] as readonly string[] }
const went = (...steps: readonly string[]): { readonly steps: readonly string[] } => ({ steps })
const toLeft = went('left')
const toRight = went('right')

const open = useStages()

describe('tasks that are known to different workers only', () => {
  const pids = new Map<string, number | undefined>()
  const begin = async (): Promise<{ readonly stage: Stage; readonly client: Graflow }> => {
    const stage = await open()
    const [one, two] = await Promise.all([stage.worker('one', { tasks: LEFT }), stage.worker('two', { tasks: RIGHT })])
    pids.set('left', one.pid).set('right', two.pid)
    return { stage, client: await stage.client() }
  }
  // jest begins concurrent tests before the hooks of a block
  let begun: ReturnType<typeof begin> | undefined
  const useBoth = (): ReturnType<typeof begin> => (begun ??= begin())
  afterAll(async () => {
    const { stage } = await useBoth()
    const notes = [...stage.ledger.notes('left'), ...stage.ledger.notes('right')]
    await stage[Symbol.asyncDispose]()
    expect(new Set(notes.map(({ what, pid }) => `${what} ${pid}`))).toEqual(
      new Set([...pids].map(([what, pid]) => `${what} ${pid ?? 0}`)),
    )
  })

  const steps = seq(left, right, left)
  const ways: Readonly<
    Record<string, readonly [how: 'run' | 'submit', flow: AnyNode, input: unknown, output: unknown]>
  > = {
    'the steps of a submitted run': ['submit', steps, walk, went('left', 'right', 'left')],
    'the branches of a par': ['run', par(left, right), walk, [toLeft, toRight]],
    'the branches of a record': ['run', par({ x: left, y: right }), walk, { x: toLeft, y: toRight }],
    'the branches of a par in a submitted run': ['submit', seq(par(left, right)), walk, [toLeft, toRight]],
    'the steps of an each': ['run', each(steps), [walk, walk], new Array(2).fill(went('left', 'right', 'left'))],
    'the passes of a loop': [
      'run',
      each(loop(seq(left, turns), { maxCycles: 3 })),
      [walk],
      [went('left', 'turns', 'left', 'turns')],
    ],
    'the passes of a loop of a submitted run': [
      'submit',
      loop(seq(left, turns), { maxCycles: 3 }),
      walk,
      went('left', 'turns', 'left', 'turns'),
    ],
    'the cases of a choice': [
      'run',
      each(choose(pick, { left, right })),
      [walk, toLeft],
      [toRight, went('left', 'left')],
    ],
    'the cases of a choice of a submitted run': ['submit', choose(pick, { left, right }), walk, toRight],
    'what a handler runs': ['run', each(forks), [walk], [[went('left', 'right'), [toLeft, toRight]]]],
    'what a handler of a submitted run runs': ['submit', forks, walk, [went('left', 'right'), [toLeft, toRight]]],
    'what a handler goes on with': ['run', each(goesOn), [walk], [[went('right', 'right'), went('right', 'left')]]],
    'what a handler goes to': ['run', each(leaves), [walk], [toRight]],
    'an inner group': [
      'run',
      each(seq(left, par(left, seq(right, left)))),
      [walk],
      [[went('left', 'left'), went('left', 'right', 'left')]],
    ],
  }
  const policies: typeof ways = {
    'the policy of a group in a branch': ['run', each(seq(left, par(left, left).join(counted))), [walk], [went('2')]],
    'the policy of a submitted run': ['submit', seq(left, par(left, right).join(counted)), walk, went('2')],
  }
  const asked = Object.entries({ ...ways, ...policies })

  it.concurrent.each(asked)(
    'X15: are each dispatched to who knows them: %s',
    async (_, [how, flow, input, output]) => {
      const { client } = await useBoth()
      const startedAt = monotonicMs()
      const result =
        how === 'run'
          ? await client.run(flow, input as never)
          : await (await client.submit(flow, input as never)).result()
      expect(result).toEqual(output)
      // long before it would be NO_HANDLER
      expect(monotonicMs() - startedAt).toBeLessThan(8_000)
    },
    30_000,
  )

  it.concurrent('fail at once where only the handler has one that runs it', async () => {
    const { client } = await useBoth()
    const startedAt = monotonicMs()
    const error = await failureOf(client.run(each(makesOwn), [walk]))
    expect(monotonicMs() - startedAt).toBeLessThan(8_000)
    expect(error.message).toContain(
      'no worker knows task "own" (at 0/0/~1/0), which only the handler has that runs it; asked: one, two',
    )
  }, 30_000)
})

describe('a group with a queue of its own', () => {
  it.concurrent('has its unknown tasks forwarded in that queue', async () => {
    await using stage = await open()
    await workerHere(stage, 'one', [left], { queues: ['gpu'] })
    await workerHere(stage, 'two', [right], { queues: ['gpu'] })
    const client = await stage.client()
    const flow = par(left, seq(right, left), right).configure({ queue: 'gpu' })
    expect(await client.run(flow, walk)).toEqual([toLeft, went('right', 'left'), toRight])
  }, 30_000)
})
