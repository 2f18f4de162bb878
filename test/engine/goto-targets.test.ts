/** A goto leaves out what follows, wherever the handler stands; and it does not lead out of a group. */
import { again, choose, done, each, loop, par, seq, task, workflow, type AnyNode } from 'graflow'
import type { GraflowError } from '../../lib/errors.js'
import { describeOnBothStores } from '../support/both-stores.js'
import { failureOf } from '../support/captured-errors.js'

describeOnBothStores('a goto', (open) => {
  const ran: string[] = []
  beforeEach(() => {
    ran.length = 0
  })
  const step = (name: string, options = {}) =>
    task(name, options, () => {
      ran.push(name)
    })
  const extra = step('extra')
  const end = step('end')
  const last = step('last')
  const routed = step('routed', { queue: 'q' })
  const goes = (name: string, options = {}) =>
    task(name, options, (to: 'extra' | 'last', ctx) => ctx.goto(to === 'last' ? last : extra))
  const plain = goes('plain')
  const placed = goes('placed', { queue: 'q' })
  const able = goes('able', { affinity: 'somebody' })
  const tasks = [extra, end, last, routed, plain, placed, able]
  const key = task('key', () => 'one' as const)
  const round = task('round', () => done(1))
  const sequences = (from: typeof plain): readonly (readonly [string, AnyNode])[] => [
    ['a sequence', seq(from, end, last)],
    ['a sequence with a step that is dispatched', seq(from, routed, last)],
    ['a workflow', seq(workflow('w', seq(from, end)), end, last)],
    ['a choice', seq(choose(key, { one: seq(from, end) } as never), end, last)],
    ['a loop', seq(loop(seq(from, round), { maxCycles: 3 }), end, last)],
  ]

  it.each([plain, placed, able])('of %s leaves out all that follows, in every kind of sequence', async (from) => {
    const places = sequences(from)
    const graflow = await open([...tasks, key, round])
    for (const [place, flow] of places) {
      for (const to of ['extra', 'last'] as const) {
        ran.length = 0
        await graflow.run(flow as typeof plain, to)
        expect([place, ...ran]).toEqual([place, to])
      }
    }
  })

  it.each([plain, placed])(
    'of %s in a flow given to next leaves out the rest of that flow and what follows',
    async (from) => {
      const nexts = task('nexts', (to: 'extra' | 'last', ctx) => ctx.next(seq(from, end), to))
      const graflow = await open([...tasks, nexts])
      await graflow.run(seq(nexts, end), 'extra')
      expect(ran).toEqual(['extra'])
    },
  )

  it('of a step that is dispatched gives what its target gives, to the run, to result and to branches', async () => {
    const gives = task('gives', () => 'target')
    const from = task('from', { queue: 'q' }, (_: number, ctx) => ctx.goto(gives))
    const same = task('same', (value: unknown) => value)
    const graflow = await open([...tasks, gives, from])
    const run = await graflow.start(seq(from, same), 1)
    expect(await run.result()).toBe('target')
    expect(await run.result('0')).toBe('target')
    const values: unknown[] = []
    for await (const { outcome } of run.branches()) if (outcome.status === 'succeeded') values.push(outcome.value)
    expect(values).toEqual(['target'])
    expect(await graflow.run(each(seq(from, end)), [1, 2])).toEqual(['target', 'target'])
    expect(ran).toEqual([])
  })

  const viaNext = task('via-next', (_: number, ctx) => ctx.next(plain, 'last'))
  const viaGoto = task('via-goto', (_: number, ctx) => ctx.goto(plain, 'last'))
  const viaRun = task('via-run', (_: number, ctx) => ctx.run(plain, 'last'))
  const viaRunAndNext = task('via-both', (_: number, ctx) => ctx.run(viaNext, 1))
  const viaGroup = task('via-group', (_: number, ctx) => ctx.next(par(viaNext, extra), 1))
  const direct = task('direct', (_: number, ctx) => ctx.goto(last))
  const chained = seq(
    task('one', (n: number) => n),
    viaNext,
  )
  const isAcross = (error: GraflowError): boolean =>
    error.code === 'GOTO_ACROSS_BARRIER' ||
    [...error.errors, error.cause].some(
      (inner) => inner !== error && inner !== undefined && isAcross(inner as GraflowError),
    )

  const list = task('list', () => [1])
  const across: readonly (readonly [string, AnyNode])[] = [
    ...[direct, viaNext, viaGoto, viaRun, viaRunAndNext, viaGroup, chained].flatMap((from): [string, AnyNode][] => [
      [`${String(from)} in a par`, seq(par(from, extra), last)],
      [`${String(from)} in an each`, seq(list, each(from), last)],
    ]),
    ['via-run in the sequence itself', seq(viaRun, last)],
    ['via-group in the sequence itself', seq(viaGroup, last)],
  ]

  it('out of its group is refused, by whatever way it was reached', async () => {
    const flows = across.map(([, flow]) => flow)
    const graflow = await open([...tasks, ...flows, viaRunAndNext, viaNext, viaGoto, viaRun, viaGroup, direct])
    for (const [place, flow] of across) {
      ran.length = 0
      const error = await failureOf(graflow.run(flow as typeof direct, 1))
      expect([place, isAcross(error)]).toEqual([place, true])
      expect([place, ...ran.filter((name) => name === 'last')]).toEqual([place])
    }
  })

  it('to a task of a flow that the handler brought itself is none out of the group', async () => {
    const brings = task('brings', (_: number, ctx) => ctx.next(seq(plain, end, last), 'last'))
    const graflow = await open([...tasks, brings])
    await graflow.run(seq(par(brings, extra), last), 1)
    expect(ran.filter((name) => name !== 'extra')).toEqual(['last', 'last'])
  })
})

describeOnBothStores('what a handler went on with', (open) => {
  it.each([[{}], [{ queue: 'q' }]])(
    'is not started again with its task when it fails, whatever failed it: %p',
    async (where) => {
      const starts: string[] = []
      const slow = task('slow', { timeoutMs: 20 }, () => {
        starts.push('slow')
        return new Promise(() => undefined)
      })
      const nexts = task('nexts', { ...where, retry: { attempts: 3 } }, (_: number, ctx) => {
        starts.push('nexts')
        return ctx.next(slow)
      })
      const graflow = await open([slow, nexts])
      const after = task('after', () => 1)
      for (const run of [() => graflow.run(seq(nexts, after), 1), () => graflow.run(each(nexts), [1])]) {
        starts.length = 0
        await failureOf(run())
        expect(starts).toEqual(['nexts', 'slow'])
      }
    },
  )

  it('gives successors what the last of it gave, or what the handler returned itself', async () => {
    const add = task('add', (n: number) => n + 1)
    const control = task('control', (n: number, ctx) => {
      ctx.next(add, n)
      return ctx.next(add)
    })
    const value = task('value', (n: number, ctx) => {
      ctx.next(add, n)
      return n * 10
    })
    const same = task('same', (n: unknown) => n)
    const graflow = await open([add, control, value, same])
    expect(await graflow.run(seq(control, same) as typeof same, 1)).toBe(3)
    expect(await graflow.run(seq(value, same) as typeof same, 1)).toBe(10)
  })
})

describeOnBothStores('index and cycle', (open) => {
  const look = task('look', (_: unknown, ctx) => [ctx.index, ctx.cycle])
  const runs = task('runs', (_: unknown, ctx) => ctx.run(look, 0))
  const nexts = task('nexts', (_: unknown, ctx) => ctx.next(look, 0))
  const gotos = task('gotos', (_: unknown, ctx) => ctx.goto(look, 0))
  const runsNext = task('runs-next', (_: unknown, ctx) => ctx.run(seq(nexts), 0))
  const nextsPar = task('nexts-par', async (_: unknown, ctx) => ctx.next(par(look, runs).first(), 0))
  const all = [look, runs, nexts, gotos, runsNext, nextsPar]

  it('of a task, however it is reached: the item of the each around, and cycles that begin with 1', async () => {
    const graflow = await open(all)
    const rounds: unknown[] = []
    const turn = task('turn', (seen: unknown, ctx) => {
      rounds.push(seen)
      return ctx.cycle < 2 ? again(0) : done(0)
    })
    for (const from of all) {
      rounds.length = 0
      expect([String(from), await graflow.run(each(from), [0, 0])]).toEqual([
        String(from),
        [
          [0, 1],
          [1, 1],
        ],
      ])
      await graflow.run(loop(seq(from, turn), { maxCycles: 5 }) as AnyNode as typeof look, 0)
      const seen = from === gotos ? [] : [1, from === look ? 2 : 1].map((cycle) => [undefined, cycle])
      expect([String(from), ...rounds.filter((round) => Array.isArray(round))]).toEqual([String(from), ...seen])
    }
  })
})
