/** What finished nodes gave, and why others have failed: of every kind of node, from here and from elsewhere. */
import { again, choose, declareTask, done, each, loop, par, policy, seq, task, workflow, type AnyNode } from 'graflow'
import { describeOnBothStores } from '../support/both-stores.js'
import { failureOf } from '../support/captured-errors.js'

describeOnBothStores('results of nodes', (open, _name, another) => {
  const none = task('none', (): number[] => [])
  const id = task('id', (n: unknown) => n)
  const last = task('last', (n: unknown) => n)
  const turn = task('turn', (n: number) => (n < 7 ? again(n + 1) : done(`after ${n}`)))
  const placedTurn = task('placed-turn', { queue: 'q' }, (n: number) => (n < 3 ? again(n + 1) : done(`after ${n}`)))
  const rounds = loop(turn, { maxCycles: 20 })
  const placedId = task('placed-id', { queue: 'q' }, (n: unknown) => n)
  const tasks: AnyNode[] = [none, id, last, turn, placedTurn]

  const empties: readonly (readonly [string, AnyNode, unknown])[] = [
    ['an each over nothing', seq(none, each(id), last), []],
    ['a settled each over nothing', seq(none, each(id).settled(), last), []],
    ['a workflow that ends with one', seq(none, workflow('w', each(id)), last), []],
  ]
  it('an each over nothing has its result, also settled and at the end of a workflow', async () => {
    const graflow = await open(tasks)
    for (const [what, flow, expected] of empties) {
      const run = await graflow.start(flow as typeof none)
      await run.result()
      expect([what, await run.result('1')]).toEqual([what, expected])
    }
  })

  const loops: readonly (readonly [string, AnyNode, string])[] = [
    ['a loop', seq(rounds, last), 'after 7'],
    [
      'a loop of one pass',
      seq(
        loop(
          task('one', () => done('once')),
          { maxCycles: 3 },
        ),
        last,
      ),
      'once',
    ],
    ['a loop with steps that are dispatched', seq(loop(placedTurn, { maxCycles: 20 }), last), 'after 3'],
    ['a loop whose body ends with a task', seq(loop(seq(id, turn as never), { maxCycles: 20 }), last), 'after 7'],
    ['a workflow that ends with one', seq(workflow('w', seq(id, rounds as never)), last), 'after 7'],
    [
      'a loop in a loop',
      seq(
        loop(
          seq(
            rounds,
            task('out', (s: string) => done(s)),
          ),
          { maxCycles: 2 },
        ),
        last,
      ),
      'after 7',
    ],
  ]
  it('a loop has what its last pass gave, wherever it stands', async () => {
    const graflow = await open([...tasks, ...loops.map(([, flow]) => flow)])
    for (const [what, flow, expected] of loops) {
      const run = await graflow.start(flow as typeof id, 1)
      await run.result()
      expect([what, await run.result('0')]).toEqual([what, expected])
    }
  })

  const count = policy('count', (outcomes: readonly unknown[]) => outcomes.length)
  const finish = policy('finish', (outcomes: readonly unknown[]) => done(outcomes.length))
  const large = policy('large', () => 'x'.repeat(2_000_000))
  const two = par(id, last)

  const decided: readonly (readonly [string, AnyNode, readonly string[]])[] = [
    ['a group', seq(two.join(count), last), ['0']],
    ['a group in a branch', seq(par({ a: seq(id, two.join(count)) }), last), ['0/a', '0/a/1']],
    ['a workflow that ends with one', seq(workflow('w', seq(id, two.join(count))), last), ['0', '0/w', '0/w/1']],
    ['a loop that ends with one', seq(loop(two.join(finish) as never, { maxCycles: 2 }), last), ['0']],
  ]
  it('of what a policy joined are what it decided', async () => {
    const graflow = await open([...tasks, count, finish] as readonly AnyNode[])
    for (const [what, flow, paths] of decided) {
      const run = await graflow.start(flow as typeof id, 1)
      await run.result()
      for (const path of paths) expect([what, path, await run.result(path)]).toEqual([what, path, 2])
    }
  })

  it('of a policy are there for handlers, too, unless they are larger than a result may be', async () => {
    const one = workflow('one', two.join(count))
    const big = workflow('big', two.join(large))
    const ask = task('ask', (_: unknown, ctx) => ctx.result(one))
    const graflow = await open([...tasks, ask])
    const run = await graflow.start(seq(one, ask, big), 1)
    expect(await run.result()).toHaveLength(2_000_000)
    expect(await run.result(ask)).toBe(2)
    expect((await failureOf(run.result('2/w'))).message).toContain('larger than limits.resultBytes')
  })

  it.each([[{}], [{ queue: 'q' }]])('of a task with %j that took a goto are what its target gave', async (options) => {
    const goes = task('goes', options, (n: number, ctx) => ctx.goto(seq(id, last), n * 10))
    const graflow = await open([...tasks, goes])
    for (const [flow, path] of [
      [seq(goes, id), '0'],
      [workflow('around', seq(id, seq(goes as AnyNode as typeof id, id))), '1'],
      [par({ a: seq(goes, id), b: id }), '0/a/0'],
      [seq(loop(seq(goes, turn as never), { maxCycles: 2 }), id), '0/1/0'],
    ] as const) {
      const run = await graflow.start(flow as AnyNode as typeof id, 1)
      await run.result()
      expect(await run.result(path)).toBe(10)
    }
  })

  it('a handler gets that of a workflow that ends with a loop or an empty each', async () => {
    const one = workflow('one', rounds)
    const two = workflow('two', each(id))
    const ask = task('ask', async (_: unknown, ctx) => [await ctx.result(one), await ctx.result(two)])
    const graflow = await open([...tasks, ask])
    expect(await graflow.run(seq(one, none as never, two, ask) as AnyNode as typeof ask, 1)).toEqual(['after 7', []])
  })

  it('of a run without any group can be asked for in forks and in other processes', async () => {
    const user = task('user', () => 'Ada')
    const greet = task('greet', async (_: unknown, ctx) => `Hello ${await ctx.result(user)}`)
    const outer = task('outer', (n: unknown, ctx) => ctx.run(greet, n))
    const graflow = await open([user, greet, outer])
    for (const begin of [() => graflow.start(seq(user, outer)), () => graflow.submit(seq(user, outer))]) {
      const run = await begin()
      expect(await run.result()).toBe('Hello Ada')
      expect(await (await (await another()).attach(run.id)).result(user)).toBe('Ada')
    }
  })

  const fails = (name: string, options = {}) =>
    task(name, options, (): number => {
      throw new Error('no such thing')
    })
  const plain = fails('plain')
  const placed = fails('placed', { queue: 'q' })

  const failing: readonly (readonly [string, AnyNode, readonly string[]])[] = [
    ['a step', seq(id, plain), ['1']],
    ['a step that is dispatched', seq(id, placed), ['1']],
    ['a step in a workflow', seq(id, workflow('w', seq(id, plain))), ['1', '1/w', '1/w/1']],
    ['a step in a loop', seq(id, loop(seq(id, plain as never), { maxCycles: 2 })), ['1', '1/1', '1/1/1']],
    ['a branch', seq(id, par(plain, id)), ['1/0']],
    ['a step in a branch', seq(id, par(seq(id, plain), id)), ['1/0', '1/0/1']],
    ['a step in a branch whose group was settled', seq(id, par(seq(id, plain), id).settled()), ['1/0', '1/0/1']],
    [
      'a step in an item',
      seq(
        task('two', () => [1, 2]),
        each(seq(id, plain)).settled(),
      ),
      ['1/0', '1/1/1'],
    ],
  ]
  it('that failed: why it failed is told, of steps and branches everywhere', async () => {
    const graflow = await open([...tasks, plain, placed])
    for (const [what, flow, paths] of failing) {
      const run = await graflow.start(flow as typeof id, 1)
      await run.result().catch(() => undefined)
      for (const path of paths) {
        const { code, message } = await failureOf(run.result(path))
        const isNamed: unknown = expect.stringContaining('no such thing')
        expect([what, path, code, message]).toEqual([what, path, 'TASK_FAILED', isNamed])
      }
    }
  })

  const picks = task('picks', (): 'a' | 'b' => 'a')
  const ends = task('ends', (s: unknown) => done(s))
  const further = task('further', (n: unknown, ctx) => ctx.next(seq(id, last), n))
  const forksInner = task('forks-inner', (n: unknown, ctx) => ctx.run(seq(id, plain), n))
  const catches = (name: string, flow: AnyNode): AnyNode =>
    task(name, (n: unknown, ctx) => ctx.run(flow as typeof id, n).catch(() => 'caught'))

  const brought: readonly (readonly [string, AnyNode, readonly string[]])[] = [
    ['a fork', forksInner, ['0/~1/1']],
    ['a fork of a fork', task('outer', (n: unknown, ctx) => ctx.run(seq(id, forksInner), n)), ['0/~1/1/~1/1']],
    ['a fork in a branch', each(forksInner).settled(), ['0/0/~1/1', '0/1/~1/1']],
    ['a fork whose handler went on', catches('catches-chain', seq(id, placed)), ['0/~1/1']],
    ['a group of a fork whose handler went on', catches('catches-group', par(id, plain)), ['0/~1/0', '0/~1/0/1']],
    ['what next brought', task('nexts', (n: unknown, ctx) => ctx.next(seq(id, placed), n)), ['0/+1/1']],
    ['what goto brought', task('goes', (n: unknown, ctx) => ctx.goto(seq(id, par(placed)), n)), ['0/+1/1/0']],
  ]
  it('that failed: why it failed is told, of steps of what handlers brought', async () => {
    const graflow = await open([...tasks, plain, placed, ...brought.map(([, flow]) => flow)])
    for (const [what, flow, paths] of brought) {
      const run = await graflow.start(flow as typeof id, [1, 2])
      await run.result().catch(() => undefined)
      for (const path of paths) {
        const { message } = await failureOf(run.result(path))
        expect([what, path, message]).toEqual([what, path, expect.stringContaining('no such thing')])
      }
    }
  })

  const ways: readonly (readonly [string, AnyNode, Readonly<Record<string, unknown>>])[] = [
    [
      'forks a chain',
      task('forks-1', (n: unknown, ctx) => ctx.run(seq(id, placedId), n)),
      { '~1': 1, '~1/0': 1, '~1/1': 1 },
    ],
    [
      'forks a group',
      task('forks-2', (n: unknown, ctx) => ctx.run(par(id, placedId), n)),
      { '~1': [1, 1], '~1/0': [1, 1], '~1/0/1': 1 },
    ],
    ['forks a task', task('forks-3', (n: unknown, ctx) => ctx.run(placedId, n)), { '~1': 1, '~1/0': 1 }],
    [
      'forks a loop',
      task('forks-4', (n: unknown, ctx) => ctx.run(seq(id, loop(placedTurn, { maxCycles: 9 }) as never), n)),
      { '~1': 'after 3', '~1/1': 'after 3', '~1/1/3': done('after 3') },
    ],
    [
      'forks twice',
      task('forks-5', async (n: unknown, ctx) => [
        await ctx.run(each(id), [n]),
        await ctx.run(par({ a: seq(id, placedId) }), n),
      ]),
      { '~1': [1], '~2': { a: 1 }, '~2/0/a': 1, '~2/0/a/1': 1 },
    ],
    [
      'goes on with a chain',
      task('nexts', (n: unknown, ctx) => ctx.next(seq(id, placedId), n)),
      { '+1': 1, '+1/0': 1, '+1/1': 1 },
    ],
    [
      'goes to a group',
      task('goes', (n: unknown, ctx) => ctx.goto(par({ a: placedId, b: id }), n)),
      { '+1/0': { a: 1, b: 1 }, '+1/0/a': 1 },
    ],
    [
      'forks an each over nothing',
      task('forks-6', (_: unknown, ctx) => ctx.run(each(id), [])),
      { '~1': [], '~1/0': [] },
    ],
    [
      'forks a workflow of one',
      task('forks-7', (_: unknown, ctx) => ctx.run(workflow('w', each(id).settled()), [])),
      { '~1': [], '~1/0': [] },
    ],
    [
      'goes on with a chain that is never dispatched',
      task('nexts-2', (n: unknown, ctx) => ctx.next(seq(id, last), n)),
      { '+1': 1, '+1/0': 1, '+1/1': 1 },
    ],
    [
      'goes on with a loop, and a loop in a loop',
      task(
        'nexts-3',
        (n: number, ctx) => (ctx.next(rounds, n), ctx.next(loop(seq(rounds, ends), { maxCycles: 2 }), n)),
      ),
      { '+1': 'after 7', '+1/0': 'after 7', '+1/0/7': done('after 7'), '+2': 'after 7', '+2/0/1/0': 'after 7' },
    ],
    [
      'goes on with a chosen case that ends with an each over nothing',
      task('nexts-4', (n: unknown, ctx) =>
        ctx.next(choose(picks, { a: workflow('w', seq(none, each(id))), b: id }), n),
      ),
      { '+1': [], '+1/0': [], '+1/0/a': [], '+1/0/a/w': [] },
    ],
    [
      'goes to a task that goes on itself',
      task('goes-2', (n: unknown, ctx) => ctx.goto(seq(id, further), n)),
      { '+1': 1, '+1/1/+1': 1 },
    ],
  ]
  it('of a flow that a handler brought are there by path, whichever way it brought it', async () => {
    const graflow = await open([...tasks, placedId, picks, ends, further, ...ways.map(([, flow]) => flow)])
    for (const [what, flow, expected] of ways) {
      const runs = [await graflow.start(flow as typeof id, 1), await graflow.submit(flow as typeof id, 1)]
      for (const run of runs) await run.result()
      for (const one of [...runs, await (await another()).attach(runs[0]?.id ?? '')]) {
        for (const [path, value] of Object.entries(expected)) {
          expect([what, path, await one.result(`0/${path}`)]).toEqual([what, path, value])
        }
        for await (const { path, outcome } of one.branches()) {
          const value = outcome.status === 'succeeded' && outcome.value
          expect([what, path, await one.result(path)]).toEqual([what, path, value])
        }
      }
    }
  })

  it('of a step whose output cannot be carried say that', async () => {
    const gives = task('gives', () => Symbol('no') as unknown)
    const graflow = await open([...tasks, gives])
    const run = await graflow.start(seq(id, gives, last), 1)
    await failureOf(run.result())
    expect((await failureOf(run.result('1'))).code).toBe('NOT_SERIALISABLE')
  })

  it('of a branch whose task nobody knows say that', async () => {
    const graflow = await open([...tasks, plain])
    const declared = declareTask<unknown, unknown>('unknown')
    const run = await graflow.start(seq(id, par(seq(id, par(declared, id)), id)), 1)
    await failureOf(run.result())
    // over Redis that takes 10 s
    expect((await failureOf(run.result('1/0/1/0'))).code).toBe('NO_HANDLER')
  }, 40_000)

  it('that were never reached say with what the run failed', async () => {
    const graflow = await open([...tasks, plain])
    const run = await graflow.start(seq(id, plain, last), 1)
    await failureOf(run.result())
    const error = await failureOf(run.result('2'))
    expect(error).toMatchObject({ code: 'RESULT_NOT_FOUND', cause: { code: 'TASK_FAILED' } })
    expect(error.message).toContain('no such thing')
  })
})

describeOnBothStores('a branch that is handed on to its queue', (open) => {
  const left = task('left', { queue: 'q' }, (n: number) => n)
  const right = task('right', { queue: 'other' }, (n: number) => n)
  const step = task('step', (n: number) => n)
  const forks = task('forks', (n: number, ctx) => ctx.run(seq(step, left), n))

  it.each<[string, AnyNode, readonly string[], readonly string[]]>([
    ['a par', par(left, right), ['0 0/0', '1 0/1'], ['0/0', '0/1']],
    ['a record', par({ one: left, two: right }), ['0 0/one', '1 0/two'], ['0/one', '0/two']],
    ['a chain in a par', par(seq(step, left), right), ['0 0/0', '0 0/0/1', '1 0/1'], ['0/0', '0/0/1', '0/1']],
    ['a record with a branch for anybody', par({ one: left, two: step }), ['0 0/one', '1 0/two'], ['0/one', '0/two']],
    ['a chain that is forked', forks, ['0 0/~1', '0 0/~1/1'], ['0/~1', '0/~1/1']],
  ])('is told and counted once: %s', async (_, flow, told, outcomes) => {
    const graflow = await open([left, right, step, forks], { queues: ['other'] })
    const run = await graflow.start(flow as typeof left, 1)
    const events: string[] = []
    let width = 0
    let released = 0
    const heard = (async () => {
      for await (const event of run.events()) {
        if (event.type === 'branch:started' || event.type === 'branch:settled')
          events.push(`${event.type} ${event.index} ${event.path}`)
        else if (event.type === 'group:dispatched') width += event.width
        else if (event.type === 'group:released') released += event.succeeded
      }
    })()
    await run.result()
    await heard
    expect(events.sort()).toEqual(
      ['branch:settled', 'branch:started'].flatMap((type) => told.map((one) => `${type} ${one}`)),
    )
    const paths: string[] = []
    for await (const { path } of run.branches()) paths.push(path)
    expect(paths.sort()).toEqual(outcomes)
    const { done, total, groups, steps } = await run.status()
    const inGroups = groups.reduce((sum, { succeeded }) => sum + succeeded, 0)
    // a step that forks counts as the branches it dispatched
    const counted = flow === forks ? 0 : steps.length
    expect([done - counted, total - counted, inGroups, width, released]).toEqual(
      Array.from({ length: 5 }, () => outcomes.length),
    )
  })
})

describeOnBothStores('a status right after the end', (open) => {
  it('has no group that is still open, and all branches done', async () => {
    const waits = task(
      'waits',
      (_: number, ctx) => new Promise((_resolve, reject) => ctx.signal.addEventListener('abort', reject)),
    )
    const ends = task('ends', (_: number, ctx) => ctx.finish('early'))
    const graflow = await open([waits, ends])
    const run = await graflow.start(par(waits, par(waits, waits), ends), 1)
    expect(await run.result()).toBe('early')
    const { done: final, total, groups } = await run.status()
    expect(final).toBe(total)
    expect(groups.map(({ state, running, ready }) => [state, running, ready])).toEqual(
      groups.map(() => ['withdrawn', 0, 0]),
    )
  })
})
