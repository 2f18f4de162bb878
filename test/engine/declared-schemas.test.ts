/** The schemas of a declaration check what its flow hands over and gets back, by every way in, although the handler is elsewhere. */
import {
  again,
  choose,
  declareTask,
  done,
  each,
  loop,
  par,
  seq,
  task,
  type AnyNode,
  type GraflowError,
  type Node,
} from 'graflow'
import * as z from 'zod'
import { describeOnBothStores } from '../support/both-stores.js'
import { failureOf } from '../support/captured-errors.js'

const schemas = { input: z.string().min(2), output: z.object({ length: z.number().max(5) }) }
const declared = declareTask('measure', schemas)

describeOnBothStores('the schemas of a declaration', (open, _name, another) => {
  const started: unknown[] = []
  const measure = task('measure', (text: string) => {
    started.push(text)
    return { length: text.length, extra: true }
  })
  const id = task('id', (value: unknown) => value)
  const one = (value: unknown): Node<unknown, string> => task(`one-${String(value).length}`, () => value as string)
  const forks = task('forks', (text: string, ctx) => ctx.run(declared, text))
  const forksEach = task('forks-each', (text: string, ctx) => ctx.run(each(declared), [text]))
  const nexts = task('nexts', (text: string, ctx) => ctx.next(declared, text))
  const goes = task('goes', (text: string, ctx) => ctx.goto(declared, text))
  const lengthOf = task('length-of', (measured: { length: number }) =>
    measured.length > 0 ? done(measured) : again(measured),
  )
  const tasks = [
    measure,
    id,
    one('a'),
    one('abc'),
    one('abcdefgh'),
    forks,
    forksEach,
    nexts,
    goes,
    lengthOf,
  ] as readonly AnyNode[]
  beforeEach(() => {
    started.length = 0
  })

  const alone: readonly (readonly [string, (text: string) => readonly [AnyNode, unknown]])[] = [
    ['alone', (text) => [declared, text]],
    ['a first step', (text) => [seq(declared, id), text]],
    ['a branch', (text) => [par({ a: declared, b: id }), text]],
    ['an item', (text) => [each(declared), ['ok', text]]],
  ]
  const within: typeof alone = [
    ['a later step', (text) => [seq(one(text), declared), 0]],
    ['a branch behind a step', (text) => [seq(one(text), par(declared, id)), 0]],
    ['a body of a loop', (text) => [loop(seq(one(text), declared, lengthOf), { maxCycles: 2 }), 0]],
    [
      'a case',
      (text) => [
        choose(
          task('pick', (): 'a' | 'b' => 'a'),
          { a: seq(one(text), declared), b: id },
        ),
        0,
      ],
    ],
    ['ctx.run', (text) => [forks, text]],
    ['ctx.run of an each', (text) => [forksEach, text]],
    ['ctx.next', (text) => [nexts, text]],
    ['ctx.goto', (text) => [seq(goes, id), text]],
  ]
  const codes = (error: GraflowError): string[] => [
    error.code,
    ...(error.cause === undefined ? [] : codes(error.cause as GraflowError)),
  ]

  it.each(alone)('refuse an input before anything is sent: %s', async (_place, flowOf) => {
    const graflow = await open(tasks)
    const [flow, input] = flowOf('x')
    const ways = {
      run: (id: string) => graflow.run(flow, input as never, { id }),
      start: (id: string) => graflow.start(flow, input as never, { id }),
      submit: (id: string) => graflow.submit(flow, input as never, { id }),
    }
    for (const [begin, way] of Object.entries(ways)) {
      const error = await failureOf(way(`by-${begin}`))
      expect(error).toMatchObject({ code: 'INVALID_INPUT', details: { task: 'measure' } })
      expect(error.message).toMatch(/the input of task "measure" \(at 0(\/a|\/1)?\) does not fit its schema/)
      expect(await failureOf((await another()).attach(`by-${begin}`))).toMatchObject({ code: 'RUN_NOT_FOUND' })
    }
    expect(started).toEqual([])
  })

  it.each(within)('refuse an input: %s', async (_place, flowOf) => {
    const graflow = await open(tasks)
    const [flow, input] = flowOf('x')
    expect(codes(await failureOf(graflow.run(flow, input as never)))).toContain('INVALID_INPUT')
    expect(started).toEqual([])
  })

  it.each([...alone, ...within])('refuse an output: %s', async (_place, flowOf) => {
    const graflow = await open(tasks)
    const [flow, input] = flowOf('abcdefgh')
    expect(codes(await failureOf(graflow.run(flow, input as never)))).toContain('INVALID_OUTPUT')
    expect(started).toContain('abcdefgh')
  })

  it('make of an output what they give, everywhere', async () => {
    const graflow = await open(tasks)
    expect(await graflow.run(declared, 'abc')).toEqual({ length: 3 })
    expect(await graflow.run(each(declared), ['abc', 'ab'])).toEqual([{ length: 3 }, { length: 2 }])
    expect(await graflow.run(forks, 'abc')).toEqual({ length: 3 })
  })

  it('make a branch fail whose output does not fit, as its join has it', async () => {
    const graflow = await open(tasks)
    const all = await graflow.run(each(declared).settled(), ['abc', 'abcdefgh'])
    expect(all).toMatchObject([
      { status: 'succeeded', value: { length: 3 } },
      { status: 'failed', error: { code: 'INVALID_OUTPUT', details: { task: 'measure', path: '0/1' } } },
    ])
    expect(await graflow.run(each(declared).atLeast(1), ['abc', 'abcdefgh'])).toHaveLength(2)
    expect(await failureOf(graflow.run(each(declared), ['abcdefgh']))).toMatchObject({ code: 'GROUP_FAILED' })
  })

  it('may take their time', async () => {
    const free = z.string().refine((name) => Promise.resolve(name !== 'taken'), 'this name is taken')
    const graflow = await open(tasks)
    const error = await failureOf(graflow.run(declareTask('measure', { input: free }), 'taken'))
    expect(error.message).toContain('this name is taken')
  })

  it('leave a task to its own schemas that stands in the flow itself', async () => {
    const graflow = await open(tasks)
    const flow = par(declared, measure)
    expect(await graflow.run(flow, 'x')).toEqual([
      { length: 1, extra: true },
      { length: 1, extra: true },
    ])
  })
})
