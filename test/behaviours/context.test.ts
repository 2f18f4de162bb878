import { par, seq, task, workflow } from 'graflow'
import { manualClock } from 'graflow/testing'
import {
  afterNext,
  box,
  changesResult,
  facts,
  fences,
  first,
  inFork,
  items,
  keeps,
  keepsItsOutput,
  late,
  later,
  leavesWork,
  looks,
  looksAtSibling,
  looksEarly,
  looksFromFork,
  looksLater,
  makesFunction,
  nestedItems,
  passes,
  picky,
  places,
  rounds,
  sibling,
  spoils,
  talks,
  throwsThat,
  type Facts,
} from './context.tasks.js'
import { describeOnBackends } from '../support/backends.js'
import { failureOf } from '../support/captured-errors.js'
import { dueIn, logOf, nextMark } from '../support/runs.js'

/** The idempotency keys of all facts in a value. */
function keysIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  return 'idempotencyKey' in value ? [String(value.idempotencyKey)] : Object.values(value).flatMap(keysIn)
}

const brief = ({ path, index, cycle }: Facts): string => [path, index ?? '-', cycle].join(' ')

describeOnBackends('what a handler knows of itself', (open) => {
  it('is its run, name, place and attempt', async () => {
    const graflow = await open()
    const run = await graflow.start(seq(first as never, facts), 1 as never)
    expect(await run.result()).toEqual({
      runId: run.id,
      taskName: 'facts',
      path: '1',
      index: undefined,
      cycle: 1,
      attempt: 1,
      idempotencyKey: expect.any(String),
    })
  })

  it('is its place in groups, chains and items, which is where its result is found', async () => {
    const graflow = await open()
    const run = await graflow.start(places, [7, 8] as never)
    const seen = (await run.result()) as unknown as Record<string, Facts | Facts[]>
    expect(Object.values(seen).flat().map(brief)).toEqual([
      '0/task - 1',
      '0/chain/1 - 1',
      '0/group/0 - 1',
      '0/group/1 - 1',
      '0/items/0 0 1',
      '0/items/1 1 1',
    ])
    for (const { path } of Object.values(seen).flat()) expect(await run.result(path)).toMatchObject({ path })
    expect((await graflow.run(items, [5, 6])).map(brief)).toEqual(['0/0 0 1', '0/1 1 1'])
    expect((await graflow.run(nestedItems, [[5], [6, 7]])).flat().map(brief)).toEqual([
      '0/0/0 0 1',
      '0/1/0 0 1',
      '0/1/1 1 1',
    ])
    expect((await graflow.run(par(workflow('w', facts), facts), 1)).map(brief)).toEqual(['0/0/w - 1', '0/1 - 1'])
  })

  it('is its cycle, in a loop and by again', async () => {
    const graflow = await open()
    expect((await graflow.run(rounds, [])).map(brief)).toEqual(['0/1/0 - 1', '0/2/0 - 2', '0/3/0 - 3'])
    for (const flow of [seq(passes), par(passes)]) {
      const seen = (await graflow.run(flow as typeof passes, [])).flat()
      expect(seen.map(({ cycle }) => cycle)).toEqual([1, 2, 3])
      expect(new Set(seen.map(({ path }) => path)).size).toBe(1)
    }
  })

  it('is an idempotency key that no other start of the run has', async () => {
    const graflow = await open()
    const seen = [
      await graflow.run(places, [7, 8] as never),
      await graflow.run(items, [1, 2]),
      await graflow.run(rounds, []),
      await graflow.run(passes, []),
      await graflow.run(inFork, 1),
      await graflow.run(afterNext, 1),
    ]
    const known = seen.flatMap(keysIn)
    expect(known.length).toBeGreaterThan(15)
    expect(new Set(known).size).toBe(known.length)
  })

  it('has a place of its own in every fork', async () => {
    const graflow = await open()
    const run = await graflow.start(inFork, 1)
    const seen: readonly Facts[] = await run.result()
    expect(new Set(seen.map(({ path }) => path)).size).toBe(6)
    for (const { path, runId, attempt } of seen)
      expect([path.startsWith('0/~'), runId, attempt]).toEqual([true, run.id, 1])
    for (const { path } of seen.slice(0, 2)) expect(await run.result(path)).toMatchObject({ path })
  })

  it('has a fence, an integer', async () => {
    const graflow = await open()
    for (const fence of [await graflow.run(fences, 1), ...(await graflow.run(par(fences, fences), 1))]) {
      expect(Number.isSafeInteger(fence)).toBe(true)
      expect(fence).toBeGreaterThan(0)
    }
  })
})

describeOnBackends('the place of a failure', (open) => {
  it.each([
    ['a task that threw', throwsThat, 'text', 'TASK_FAILED'],
    ['a task past its deadline', late, 'text', 'TIMEOUT'],
    ['a task given a wrong input', picky, 'text', 'INVALID_INPUT'],
    ['a task whose result cannot be carried', makesFunction, 'text', 'NOT_SERIALISABLE'],
  ])('is where it happened in the run, also in a fork: %s', async (_, node, input, code) => {
    const graflow = await open()
    const forks = task('forks', async (given: unknown, ctx) =>
      ctx.run(seq(later, node as unknown as typeof later), given),
    )
    const error = (await failureOf(graflow.run(seq(later, forks), input))).cause
    expect(error).toMatchObject({ code, message: expect.stringContaining('1/~1/1') })
  })
})

describeOnBackends('ctx.result', (open) => {
  it('gives a finished task’s result, in steps, branches, chains and forks', async () => {
    const graflow = await open()
    expect(await graflow.run(seq(first, looks), 1)).toEqual({ n: 1 })
    expect(await graflow.run(seq(first, par(looks, seq(looks, looks), looksFromFork)), 1)).toEqual([
      { n: 1 },
      { n: 1 },
      { n: 1 },
    ])
    expect(await graflow.run(par(seq(first, looks), facts), 1)).toMatchObject([{ n: 1 }, {}])
  })

  it('does not wait for one that is not finished', async () => {
    const graflow = await open()
    expect(await graflow.run(seq(looksEarly, later), 1)).toBe('RESULT_NOT_READY')
  })

  it('sees a branch beside this one as soon as it is over', async () => {
    const graflow = await open()
    expect(await graflow.run(par(looksAtSibling, sibling), 1)).toEqual(['sibling', 'sibling'])
  })

  it('gives a copy', async () => {
    const graflow = await open()
    expect(await graflow.run(seq(first, changesResult), 1)).toEqual({ n: 1 })
  })
})

describeOnBackends('what a handler says', (open) => {
  it('by progress, is an event of the run', async () => {
    const graflow = await open()
    const events: unknown[] = []
    graflow.events.subscribe('run:progress', (event) => events.push(event))
    const run = await graflow.start(par(talks, facts), 1)
    await run.result()
    const common = { type: 'run:progress', at: expect.any(Date), runId: run.id, task: 'talks', path: '0/0' }
    expect(events).toEqual([
      { ...common, fraction: 0 },
      { ...common, fraction: 0.5, message: 'half' },
      { ...common, fraction: 1, message: '' },
    ])
  })

  it('by log, has the run, the task and the place', async () => {
    const graflow = await open()
    const events: { level: string; message: string; details?: object }[] = []
    graflow.events.subscribe('log', (event) => events.push(event))
    const run = await graflow.start(talks, 1)
    await run.result()
    expect(events.map(({ level, message }) => `${level}: ${message}`)).toEqual([
      'debug: a detail',
      'info: begun',
      'warn: a\nline \u001b[31mred',
      'error: bad',
      'info: apart from ctx',
    ])
    for (const event of events) expect(event).toMatchObject({ runId: run.id, task: 'talks', path: '0' })
    expect(events[1]?.details).toEqual({ count: 1n, when: new Date(0) })
  })

  it('is written to standard error from its level up, one line each, whatever is in it', async () => {
    const lines: string[] = []
    const write = jest.spyOn(process.stderr, 'write').mockImplementation((chunk) => {
      lines.push(String(chunk))
      return true
    })
    try {
      const graflow = await open({ logLevel: 'info' })
      await graflow.run(talks, 1)
      await graflow.close()
    } finally {
      write.mockRestore()
    }
    expect(lines).toHaveLength(4)
    expect(lines[0]).toMatch(
      /^\S+ info +begun \(talks 0 \S+ attempt 1\) \{"count":"1n","when":"1970-01-01T00:00:00.000Z"\}\n$/,
    )
    expect(lines[1]).toContain('a\\u000aline \\u001b[31mred')
    for (const line of lines) expect(line.replace(/\n$/, '')).toMatch(/^[^\u0000-\u001f]+$/)
  })
})

describeOnBackends('values', (open, onlyEmbedded) => {
  it('given to several branches are a copy each', async () => {
    const graflow = await open()
    const given = box()
    const [spoilt, seen] = await graflow.run(par(spoils, looksLater), given)
    expect(seen).toStrictEqual(box())
    expect(spoilt).not.toEqual(box())
    expect(given).toStrictEqual(box())
    const [one, two] = await graflow.run(
      seq(
        task('make', box),
        par({ a: spoils, b: looksLater }),
        task('both', ({ a, b }: { a: unknown; b: unknown }) => [a, b]),
      ),
      undefined,
    )
    expect(two).toStrictEqual(box())
    expect(one).not.toEqual(box())
  })

  it('given to a run are read when it is started', async () => {
    const graflow = await open()
    const given = { list: [1] }
    const result = graflow.run(later, given)
    given.list.push(2)
    expect(await result).toEqual({ list: [1] })
  })

  onlyEmbedded('the test changes what the handler kept')(
    'that a handler keeps and changes after it returned are not changed',
    async () => {
      const graflow = await open()
      for (const flow of [seq(keepsItsOutput, later), par(keepsItsOutput)]) {
        const kept = nextMark(graflow, 'kept')
        const run = await graflow.start(flow as typeof later, 1)
        await kept
        const result = [await run.result()].flat()
        for (const output of keeps) output['n'] = 99
        expect(result).toEqual([{ n: 1 }])
        expect([await run.result()].flat()).toEqual([{ n: 1 }])
      }
    },
  )
})

describeOnBackends('what a handler throws', (open) => {
  const cases: readonly (readonly [thrown: string, cause: object])[] = [
    ['text', { name: 'Error', message: 'thrown: just text' }],
    ['nothing', { message: 'thrown: undefined' }],
    ['null', { message: 'thrown: null' }],
    ['an object', { message: 'thrown: {"status":404}' }],
    ['an object without a prototype', { message: 'thrown: {}' }],
    ['a symbol', { message: 'thrown: Symbol(odd)' }],
    [
      'an aggregate',
      {
        name: 'AggregateError',
        message: 'both failed',
        errors: [{ name: 'RangeError', message: 'one' }, 'two'],
      },
    ],
    [
      'a coded error',
      { message: 'no answer', code: 'E_DOWN', details: { port: 1 }, cause: { name: 'TypeError', message: 'socket' } },
    ],
    ['an error whose message throws', { name: 'Error', message: '' }],
    ['an error with a function', { message: 'with a function', details: { ok: 1 } }],
    ['a rejected thenable', { message: expect.stringContaining('thrown: ') }],
  ]
  it.each(cases)('is told as it was: %s', async (thrown, cause) => {
    const graflow = await open()
    for (const flow of [throwsThat, seq(throwsThat, later), par(throwsThat, later), par(seq(throwsThat), later)]) {
      const failure = await failureOf(graflow.run(flow as typeof later, thrown))
      const error = failure.code === 'GROUP_FAILED' ? (failure.cause as typeof failure) : failure
      expect(error.code).toBe('TASK_FAILED')
      expect(error.details).toMatchObject({ task: 'throws-that' })
      expect(error.cause).toMatchObject(cause)
      expect(error.message).toContain((error.cause as Error).message)
    }
  })
})

describeOnBackends(
  'a handler past its deadline',
  (open) => {
    it.each([
      ['as a step', seq(leavesWork)],
      ['as a branch', par(leavesWork, later)],
    ])('can neither write nor fork, while another attempt is under way (%s)', async (_, flow) => {
      const clock = manualClock(1_000_000)
      const graflow = await open({ clock })
      const log = logOf(graflow)
      const failure = failureOf(graflow.run(flow as typeof later, 1))
      const gaveUp = nextMark(graflow, 'kept: ')
      expect(await dueIn(clock)).toBe(20)
      clock.advance(20)
      await gaveUp
      expect(log).toEqual(['refused: TIMEOUT', 'refused: TIMEOUT', 'kept: '])
      await graflow.close()
      await failure
    })
  },
  { onlyEmbedded: 'by a manual clock' },
)
