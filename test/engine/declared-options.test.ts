/** A declaration may leave out how often and how long a task may run: then it is what the task itself says, wherever it is run. */
import {
  choose,
  declareTask,
  each,
  loop,
  par,
  seq,
  task,
  workflow,
  type AnyNode,
  type Done,
  type Node,
  type TaskOptions,
} from 'graflow'
import { describeOnBothStores } from '../support/both-stores.js'
import { failureOf } from '../support/captured-errors.js'
import { within } from '../support/waits.js'

describeOnBothStores('the options that a declaration leaves out', (open) => {
  const starts = new Map<string, number>()
  const count = (runId: string): number => {
    starts.set(runId, (starts.get(runId) ?? 0) + 1)
    return starts.get(runId) ?? 0
  }
  const id = task('id', (n: number) => n)
  const pick = task('pick', (): 'a' => 'a')
  const fails = task('fails', { retry: { attempts: 3, delayMs: 1 } }, (_: number, ctx): number => {
    count(ctx.runId)
    throw new Error('on purpose')
  })
  const hangs = task('hangs', { timeoutMs: 100 }, (_: number, ctx) => {
    count(ctx.runId)
    return new Promise<number>(() => undefined)
  })
  const repeats = task('repeats', { maxCycles: 3 }, (n: number, ctx) => {
    count(ctx.runId)
    return ctx.again(n)
  })
  const forks = task('forks', (name: string, ctx) => ctx.run(declared(name), 1))
  const forksEach = task('forks-each', (name: string, ctx) => ctx.run(each(declared(name)), [1]))
  const nexts = task('nexts', (name: string, ctx) => ctx.next(declared(name), 1))
  const succeeds = task('succeeds', { retry: { attempts: 3 } }, (n: number, ctx) => {
    if (count(ctx.runId) < 3) throw new Error('not yet')
    return `${ctx.path} ${n}`
  })
  const goes = task('goes', { retry: { attempts: 2 } }, (n: number, ctx) => {
    if (count(ctx.runId) < 2) throw new Error('not yet')
    return ctx.goto(id, n * 10)
  })
  const tasks = [id, pick, fails, hangs, repeats, forks, forksEach, nexts, succeeds, goes] as readonly AnyNode[]
  const declared = (name: string, options: TaskOptions = {}) => declareTask<number, number>(name, options)

  const places: readonly (readonly [string, (name: string) => readonly [AnyNode, unknown]])[] = [
    ['alone', (name) => [declared(name), 1]],
    ['a step', (name) => [seq(id, declared(name)), 1]],
    ['a step with a queue', (name) => [seq(id, declared(name, { queue: 'q' })), 1]],
    ['a branch of an each', (name) => [each(declared(name)), [1]]],
    ['a branch of a par', (name) => [par({ a: declared(name), b: id }), 1]],
    ['a branch that is handed on', (name) => [par(declared(name, { queue: 'q' }), id), 1]],
    ['a chain', (name) => [par(seq(id, declared(name))), 1]],
    ['a case', (name) => [choose(pick, { a: declared(name) }), 1]],
    ['a loop', (name) => [loop(declared(name) as AnyNode as Node<number, Done<number>>, { maxCycles: 2 }), 1]],
    ['a workflow in a branch', (name) => [each(workflow('inner', declared(name))), [1]]],
    ['a fork', (name) => [forks, name]],
    ['a group that is forked', (name) => [forksEach, name]],
    ['given to next', (name) => [nexts, name]],
  ]
  it.each(places)('are those of the task: %s', async (_, place) => {
    const graflow = await open(tasks)
    const ends = (['fails', 'hangs', 'repeats'] as const).flatMap((name) =>
      (['start', 'submit'] as const).map(async (begin) => {
        const [flow, input] = place(name)
        const run = await graflow[begin as 'start'](flow as typeof id, input as number)
        const error = JSON.stringify(await within(10_000, failureOf(run.result()), `the end of ${name}, by ${begin}`))
        return [name, starts.get(run.id), /TIMEOUT|CYCLE_LIMIT|after 3 attempts/u.exec(error)?.[0]]
      }),
    )
    expect(await Promise.all(ends)).toEqual([
      ...[1, 2].map(() => ['fails', 3, 'after 3 attempts']),
      ...[1, 2].map(() => ['hangs', 1, 'TIMEOUT']),
      ...[1, 2].map(() => ['repeats', 3, 'CYCLE_LIMIT']),
    ])
  })

  it('give way to those that it sets', async () => {
    const graflow = await open(tasks)
    for (const [name, options, most] of [
      ['fails', { retry: { attempts: 2 } }, 2],
      ['hangs', { timeoutMs: 50, retry: { attempts: 2 } }, 2],
      ['repeats', { maxCycles: 2 }, 2],
    ] as const) {
      for (const [flow, input] of [
        [declared(name, options), 1],
        [each(declared(name, options)), [1]],
      ] as const) {
        const run = await graflow.start(flow as typeof id, input as number)
        await failureOf(run.result())
        expect([name, starts.get(run.id)]).toEqual([name, most])
      }
    }
  })

  it('change nothing of what it gives, also by goto', async () => {
    const graflow = await open(tasks)
    expect(await graflow.run(each(declared('succeeds')), [1])).toEqual(['0/0 1'])
    expect(await graflow.run(seq(id, declared('succeeds')), 1)).toBe('1 1')
    expect(await graflow.run(seq(declared('goes'), declared('fails')), 1)).toBe(10)
    expect(await graflow.run(each(seq(declared('goes', { queue: 'q' }), declared('fails'))), [1, 2])).toEqual([10, 20])
    expect(await graflow.run(each(declared('goes')), [3])).toEqual([30])
  })
})
