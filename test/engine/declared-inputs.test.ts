/** The input schema of a declaration is asked wherever a value goes to the task, and takes nothing from what the task's own schemas do. */
import {
  choose,
  declareTask,
  done,
  each,
  later,
  loop,
  par,
  policy,
  seq,
  task,
  workflow,
  type AnyNode,
  type GraflowError,
  type Node,
  type Outcome,
} from 'graflow'
import * as z from 'zod'
import { describeOnBothStores } from '../support/both-stores.js'
import { failureOf } from '../support/captured-errors.js'

/** Shared by declaration and worker: applied twice, either would refuse. */
const twice = {
  input: z
    .string()
    .min(2)
    .transform((text) => text.length),
  output: z.number().transform((n) => `#${n}`),
}
const declared = declareTask('measure', twice)

describeOnBothStores('the input schema of a declaration', (open) => {
  const started: unknown[] = []
  const measure = task('measure', twice, (length) => {
    started.push(length)
    return length
  })
  const bare = task('bare', (input: unknown) => {
    started.push(input)
    return input
  })
  const least = declareTask('bare', { input: z.object({ n: z.number().min(2) }) })
  const id = task('id', (value: unknown) => value)
  const give = task('give', (value: unknown) => value as string)
  const stop = task('stop', (text: string) => done(text))
  const pick = task('pick', (): 'a' | 'b' => 'a')
  const forks = task('forks', (text: string, ctx) => ctx.run(declared, text))
  const forksEach = task('forks-each', (text: string, ctx) => ctx.run(each(declared), [text]))
  const forksChain = task('forks-chain', (text: string, ctx) => ctx.run(seq(declared, id), text))
  const nexts = task('nexts', (text: string, ctx) => ctx.next(declared, text))
  const goes = task('goes', (text: string, ctx) => ctx.goto(declared, text))
  const tasks = [measure, bare, id, give, stop, pick, forks, forksEach, forksChain, nexts, goes] as readonly AnyNode[]
  beforeEach(() => {
    started.length = 0
  })

  const codes = (error: unknown): unknown[] =>
    error instanceof Error ? [(error as Partial<GraflowError>).code, ...codes(error.cause)] : []

  const first: readonly (readonly [string, (text: string) => AnyNode])[] = [
    ['alone', () => declared],
    ['a first step', () => seq(declared, id)],
    ['a first step of a workflow', () => workflow('w', seq(declared, id))],
    ['a workflow in a sequence', () => seq(workflow('w', seq(declared, id)), id)],
    ['a body of a loop', () => loop(seq(declared, stop), { maxCycles: 2 })],
    ['behind a delay', () => later(declared, 60_000)],
  ]
  const within: typeof first = [
    ['a later step', () => seq(give, declared)],
    ['a branch', () => par({ a: declared, b: id })],
    ['a branch behind a step', () => seq(give, par(declared, id))],
    ['a chain in a branch', () => par(seq(declared, id), id)],
    ['a body of a loop behind a step', () => seq(give, loop(seq(declared, stop), { maxCycles: 2 }))],
    ['a case', () => choose(pick, { a: declared, b: id })],
    ['a nested workflow', () => seq(give, workflow('w', seq(declared, id)))],
    ['ctx.run', () => forks],
    ['ctx.run of an each', () => forksEach],
    ['ctx.run of a chain', () => forksChain],
    ['ctx.next', () => nexts],
    ['ctx.goto', () => seq(goes, id)],
  ]

  it('refuses what does not fit before anything is sent, where the input of a run goes straight to the task', async () => {
    const graflow = await open(tasks)
    const ways = {
      run: (flow: Node<string, unknown>) => graflow.run(flow, 'x'),
      start: (flow: Node<string, unknown>) => graflow.start(flow, 'x'),
      submit: (flow: Node<string, unknown>) => graflow.submit(flow, 'x'),
    }
    for (const [place, flowOf] of first) {
      for (const [way, begin] of Object.entries(ways)) {
        const error = await failureOf(begin(flowOf('x') as Node<string, unknown>))
        expect([place, way, error.code]).toEqual([place, way, 'INVALID_INPUT'])
        expect(error).toMatchObject({ details: { task: 'measure', path: expect.stringMatching(/^0/) } })
      }
    }
    expect(started).toEqual([])
  })

  it('refuses what does not fit wherever else it goes to the task, and lets the rest by as it is', async () => {
    const graflow = await open(tasks)
    for (const [place, flowOf] of within) {
      const error = await failureOf(graflow.run(flowOf('x') as Node<string, unknown>, 'x'))
      expect([place, codes(error)]).toEqual([place, expect.arrayContaining(['INVALID_INPUT'])])
    }
    expect(started).toEqual([])
    for (const [place, flowOf] of [...first, ...within].filter(([place]) => place !== 'behind a delay')) {
      const out = await graflow.run(flowOf('abc') as Node<string, unknown>, 'abc')
      expect([place, JSON.stringify(out)]).toEqual([place, expect.stringContaining('"#3"')])
    }
    expect(new Set(started)).toEqual(new Set([3]))
  })

  const items = ['abc', 'x', 'abcd', 'y']
  const joins: readonly (readonly [string, AnyNode, unknown])[] = [
    ['settled', each(declared).settled(), undefined],
    ['atLeast', each(declared).atLeast(2), undefined],
    ['first', each(declared).first(), expect.stringMatching(/^#[34]$/)],
    [
      'policy',
      each(declared).join(policy('count', (all: readonly Outcome<string>[]) => all.map(({ status }) => status).join())),
      'succeeded,failed,succeeded,failed',
    ],
    ['a chain', each(seq(declared, id)).settled(), undefined],
  ]

  it.each(joins)('fails the branches alone that do not fit: %s', async (_join, flow, value) => {
    const graflow = await open(tasks)
    const out = await graflow.run(flow as Node<string[], unknown>, items)
    const all = [
      { status: 'succeeded', value: '#3' },
      { status: 'failed', error: { code: 'INVALID_INPUT', details: { task: 'measure', issues: [{}] } } },
      { status: 'succeeded', value: '#4' },
      { status: 'failed', error: { code: 'INVALID_INPUT' } },
    ]
    if (value === undefined) expect(out).toMatchObject(all)
    else expect(out).toEqual(value)
    if (_join !== 'first') expect([...started].sort()).toEqual([3, 4])
  })

  it('fails a group by its join, as the schema of the task itself would, with none of its branches started', async () => {
    const graflow = await open(tasks)
    const step = await graflow.start(seq(give, declared), 'x')
    expect(await failureOf(step.result())).toMatchObject({ code: 'INVALID_INPUT' })
    expect((await step.status()).steps).toMatchObject([
      { path: '0', state: 'succeeded' },
      { path: '1', task: 'measure', state: 'failed', attempt: 0 },
    ])
    const events: unknown[] = []
    const run = await graflow.start(each(declared), items)
    const failure = await failureOf(run.result())
    expect(failure).toMatchObject({
      code: 'GROUP_FAILED',
      details: {
        outcomes: [{ status: 'skipped' }, { status: 'failed' }, { status: 'skipped' }, { status: 'skipped' }],
      },
      errors: [{ code: 'INVALID_INPUT', details: { path: '0/1' } }],
    })
    expect(await failureOf(run.result('0/1'))).toMatchObject({ code: 'INVALID_INPUT' })
    expect(await failureOf(graflow.run(each(declared).atLeast(3), items))).toMatchObject({ code: 'GROUP_FAILED' })
    for await (const outcome of (await graflow.start(each(declared).settled(), items)).branches()) events.push(outcome)
    expect(events).toHaveLength(4)
    expect(started).toHaveLength(4)
  })

  it('is not asked to transform: the handler gets what was given where its own task has no schema', async () => {
    const graflow = await open(tasks)
    const strips = declareTask('bare', { input: z.object({ n: z.coerce.number().default(7) }) })
    expect(await graflow.run(strips, { n: '3', more: true } as never)).toEqual({ n: '3', more: true })
    expect(await failureOf(graflow.run(least, { n: 1 }))).toMatchObject({
      code: 'INVALID_INPUT',
      details: { issues: [{ path: 'n' }] },
    })
  })

  it('may take its time, and may throw', async () => {
    const graflow = await open(tasks)
    const free = z.string().refine((text) => Promise.resolve(text !== 'taken'), 'this name is taken')
    const slow = declareTask('id', { input: free })
    expect((await failureOf(graflow.run(slow, 'taken'))).message).toContain('this name is taken')
    const many = Array.from({ length: 250 }, (_, i) => (i % 50 === 49 ? 'taken' : `name ${i}`))
    const outcomes = await graflow.run(each(slow).settled(), many)
    expect(outcomes.filter(({ status }) => status === 'failed')).toHaveLength(5)
    const throws = declareTask('id', {
      input: {
        '~standard': {
          version: 1,
          vendor: 'test',
          validate: (): never => {
            throw new Error('no connection')
          },
        },
      },
    })
    const [one] = await graflow.run(each(throws).settled(), ['a'])
    expect(one).toMatchObject({ error: { code: 'TASK_FAILED', cause: { message: 'no connection' } } })
  })

  it('does not stand in the way of a run that is there already', async () => {
    const graflow = await open(tasks)
    const taken = new Set<unknown>()
    const once = declareTask('id', { input: z.string().refine((text) => !taken.has(text), 'it is taken') })
    await (await graflow.submit(once, 'a', { id: 'known' })).result()
    taken.add('a')
    expect(await (await graflow.submit(once, 'a', { id: 'known' })).result()).toBe('a')
    const fresh = await graflow.submit(once, 'a', { id: 'fresh' })
    expect(await failureOf(fresh.result())).toMatchObject({ code: 'INVALID_INPUT' })
  })

  it('does not count for ever: a branch that was refused starts when the run is retried and it fits', async () => {
    const graflow = await open(tasks)
    let most = 2
    const picky = declareTask('id', { input: z.number().refine((n) => n <= most, 'too large') })
    const run = await graflow.start(each(picky).configure({ onFailure: 'wait' }), [1, 2, 3, 4])
    expect(await failureOf(run.result())).toMatchObject({
      details: { outcomes: ['succeeded', 'succeeded', 'failed', 'failed'].map((status) => ({ status })) },
    })
    most = 4
    await graflow.runs.retry(run.id)
    expect(await (await graflow.attach(run.id)).result()).toEqual([1, 2, 3, 4])
  })

  it('leaves a task to its own schemas that stands in the flow itself', async () => {
    const graflow = await open(tasks)
    expect(
      await graflow.run(par(declareTask('measure', { input: z.string().min(2) }), measure) as never, 'abc'),
    ).toEqual(['#3', '#3'])
  })
})
