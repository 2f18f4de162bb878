/**
 * Random flows with failures, deadlines, forks, detours and cancels, on few slots and a store that is far away: every run ends, each
 * handler that was started is told when it is not wanted, and afterwards nothing is held.
 */
import {
  choose,
  each,
  GraflowError,
  loop,
  again,
  done,
  par,
  seq,
  task,
  workflow,
  type AnyNode,
  type Node,
  type Run,
} from 'graflow'
import { seededRandom, type Random } from 'graflow/testing'
import { openDistant } from '../support/distant-store.js'
import { turn, within } from '../support/waits.js'

const pick = <T>(random: Random, from: readonly T[]): T => from[Math.floor(random() * from.length)] as T
const upTo = (random: Random, most: number): number => 1 + Math.floor(random() * most)

/** What the flows of one seed have in common. */
interface World {
  readonly random: Random
  /** Starts that were begun and are not over. */
  active: number
  tasks: number
  /** The flow being made has a task that ends only when it is aborted. */
  hangs: boolean
}

/** A flow, and whether it has a task that ends only when it is aborted. */
function aFlow(world: World): { readonly node: AnyNode; readonly hangs: boolean } {
  world.hangs = false
  const node = anyFlow(world, upTo(world.random, 4) - 1)
  return { node, hangs: world.hangs }
}

/** Any node that takes anything; the result does not matter. */
function anyFlow(world: World, depth: number): AnyNode {
  const { random } = world
  const inner = (): AnyNode => anyFlow(world, depth - 1)
  if (depth === 0) return anyTask(world, 0)
  switch (
    pick(random, ['task', 'seq', 'par', 'each', 'choose', 'loop', 'workflow', 'first', 'settled', 'limit'] as const)
  ) {
    case 'task':
      return anyTask(world, depth)
    case 'seq':
      return seq(inner() as never, inner() as never)
    case 'par':
      return par(inner() as never, inner() as never)
    case 'first':
      return par(inner() as never, inner() as never).first()
    case 'settled':
      return par(inner() as never, inner() as never, inner() as never).settled()
    case 'limit': {
      const options = {
        concurrency: 1,
        timeoutMs: upTo(random, 12),
        onFailure: pick(random, ['wait', 'cancel'] as const),
      }
      return par(inner() as never, inner() as never).configure(options)
    }
    case 'each': {
      const width = upTo(random, 4)
      const list = task(`list-${(world.tasks += 1)}`, () => Array.from({ length: width }, (_, i) => i))
      return seq(list, each(inner() as never))
    }
    case 'choose': {
      const key = pick(random, ['a', 'b', 'none'])
      return choose(task(`decide-${(world.tasks += 1)}`, () => key) as never, { a: inner(), b: inner() } as never)
    }
    case 'loop': {
      const passes = upTo(random, 3)
      const decide = task(`again-${(world.tasks += 1)}`, (_: unknown, ctx) => (ctx.cycle < passes ? again(1) : done(1)))
      return loop(seq(inner() as never, decide as never) as never, { maxCycles: 3 })
    }
    case 'workflow':
      return workflow(`w-${(world.tasks += 1)}`, inner() as never, { timeoutMs: upTo(random, 10) })
  }
}

/** A task that does something of what handlers do. Decided when it is made and by its attempt, so that starts of one task agree. */
function anyTask(world: World, depth: number): AnyNode {
  const { random } = world
  const what = pick(random, [
    'value',
    'value',
    'wait',
    'throw',
    'moody',
    'hang',
    'fork',
    'forks',
    'race',
    'leave',
    'next',
    'goto',
    'pass',
    'end',
  ] as const)
  const turns = upTo(random, 4)
  const child = depth > 0 ? anyFlow(world, depth - 1) : task(`leaf-${(world.tasks += 1)}`, async () => turn())
  const other = task(`other-${(world.tasks += 1)}`, async () => turn())
  const isFinish = random() < 0.5
  const isLimited = random() < 0.3
  world.hangs ||= what === 'hang' && !isLimited
  const options = {
    ...(random() < 0.4 && { retry: { attempts: upTo(random, 3), delayMs: pick(random, [0, 1, 3]), jitter: 0.5 } }),
    ...(isLimited && { timeoutMs: upTo(random, 10) }),
  }
  return task(`${what}-${(world.tasks += 1)}`, options, async (_: unknown, ctx): Promise<unknown> => {
    world.active += 1
    try {
      switch (what) {
        case 'value':
          return ctx.attempt
        case 'wait':
          for (let i = 0; i < turns; i += 1) await turn()
          return turns
        case 'throw':
          throw new Error('thrown')
        case 'moody':
          if (ctx.attempt < 2) throw new Error('not yet')
          return 'then'
        case 'hang':
          return await new Promise((_resolve, reject) => {
            ctx.signal.throwIfAborted()
            ctx.signal.addEventListener('abort', () => reject(new Error('aborted')))
          })
        case 'fork':
          return await ctx.run(child as never, 1)
        case 'forks':
          // One goes on while the other waits for its slot.
          return await Promise.all([
            ctx.run(other as never, 1),
            turn()
              .then(turn)
              .then(() => ctx.run(child as never, 1)),
          ])
        case 'race':
          return await Promise.race([ctx.run(child as never, 1), ctx.run(other as never, 1)])
        case 'leave':
          void ctx.run(child as never, 1)
          await turn()
          return 'left'
        case 'next':
          return ctx.next(child as never, 1)
        case 'goto':
          return ctx.goto(child as never, 1)
        case 'pass':
          return ctx.cycle < turns ? ctx.again(1 as never) : 'passed'
        case 'end':
          return random() < 0.7 ? 1 : isFinish ? ctx.finish('early') : ctx.cancel('early')
      }
    } finally {
      world.active -= 1
    }
  })
}

/** The run's end: a value, or a code. */
const endOf = (run: Run<unknown>): Promise<string> =>
  run.result().then(
    () => 'completed',
    (error: unknown) => (error instanceof GraflowError ? error.code : `not ours: ${String(error)}`),
  )

const ENDS = [
  'completed',
  'TASK_FAILED',
  'GROUP_FAILED',
  'GROUP_TIMEOUT',
  'TIMEOUT',
  'RUN_TIMEOUT',
  'CANCELLED',
  'NO_SUCH_CASE',
]

const RUNS = Number(process.env['STRESS_RUNS'] ?? 150)

describe('random flows', () => {
  it.each<[string, number, number, boolean?]>([
    ['one slot, a store at hand', 1, 0],
    ['one slot, a store far away', 1, 3],
    ['two slots', 2, 2],
    ['three slots', 3, 1],
    ['a process with two slots', 2, 3, true],
    ['a process with one slot', 1, 1, true],
  ])('end, and leave nothing behind: %s', async (name, slots, mostTurns, isProcess = false) => {
    const seed = Number(process.env['STRESS_SEED'] ?? 7) + slots * 1_000 + mostTurns
    const random = seededRandom(seed)
    const world: World = { random, active: 0, tasks: 0, hangs: false }
    const { client, backend, errors, held } = await openDistant({
      slots,
      random,
      isProcess,
      turns: () => Math.floor(random() * (mostTurns + 1)),
    })
    const seen = new Map<string, number>()
    for (let done = 0; done < RUNS; ) {
      const several = upTo(random, 4)
      done += several
      const runs = await Promise.all(
        Array.from({ length: several }, async () => {
          const { node, hangs } = aFlow(world)
          // What does not hang must end by itself.
          const options = hangs || random() < 0.2 ? { timeoutMs: upTo(random, 15) } : {}
          const isStarted = random() < 0.7
          const run = isStarted ? await client.start(node, 1, options) : await client.submit(node, 1, options)
          const shown = (node as Node<never, unknown>).toString()
          if (random() < 0.3) void cancelLater(run, upTo(random, 12) - 1)
          if (random() < 0.2) void pauseForAWhile(run, upTo(random, 5))
          return { run, shown }
        }),
      )
      const ends = await Promise.all(
        runs.map(({ run, shown }) => inTime(endOf(run), `${name}, seed ${seed}: ${shown}`, run)),
      )
      for (const end of ends) seen.set(end, (seen.get(end) ?? 0) + 1)
    }
    expect([...seen.keys()].filter((end) => !ENDS.includes(end))).toEqual([])
    expect(await held()).toEqual({ inFlight: 0, timers: 0, orphans: 0, free: slots })
    expect(world.active).toBe(0)
    expect(await backend.inspect.queues()).toEqual(
      (await backend.inspect.queues()).map((queue) => ({ ...queue, ready: 0, delayed: 0, granted: 0 })),
    )
    expect(errors).toEqual([])
    await client.close()
  })
})

async function cancelLater(run: Run<unknown>, turns: number): Promise<void> {
  for (let i = 0; i < turns; i += 1) await turn()
  await run.cancel('enough')
}

async function pauseForAWhile(run: Run<unknown>, turns: number): Promise<void> {
  await run.pause()
  for (let i = 0; i < turns; i += 1) await turn()
  await run.resume()
}

async function inTime(end: Promise<string>, what: string, run: Run<unknown>): Promise<string> {
  try {
    return await within(3_000, end, `the end of ${what}`)
  } catch (cause) {
    throw new Error(`${what} did not end: ${JSON.stringify(await run.status())}`, { cause })
  }
}
