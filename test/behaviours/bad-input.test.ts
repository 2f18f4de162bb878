import {
  connect,
  each,
  flow,
  par,
  policy,
  seq,
  task,
  workflow,
  type AnyNode,
  type ConnectOptions,
  type RunOptions,
} from 'graflow'
import { manualClock } from 'graflow/testing'
import {
  againFunction,
  count,
  echo,
  finishesFunction,
  large,
  nest,
  nextFunction,
  nonsense,
  runsFunction,
  runsLarge,
  texts,
} from './bad-input.tasks.js'
import { describeOnBackends } from '../support/backends.js'
import { failureOf, thrown } from '../support/captured-errors.js'
import { failureOfRun } from '../support/runs.js'
import { within } from '../support/waits.js'

it('connect refuses metadata that is none before it connects', async () => {
  const error = await failureOf(connect('redis://localhost:1', { metadata: { zone: 1 as never } }))
  expect(error).toMatchObject({ code: 'INVALID_OPTION', message: expect.stringContaining('zone') })
})

describe('a flow in text', () => {
  const same = (name: string) => task(name, (n: number) => n)
  const tasks = { a: same('a'), b: same('b'), 'fetch-user': same('fetch-user') }
  const wrong: readonly (readonly [text: string, code: string, position: number, says: string])[] = [
    ['a >> (b', 'FLOW_SYNTAX', 5, 'not closed'],
    ['a >> b)', 'FLOW_SYNTAX', 6, ')'],
    ['a >>', 'FLOW_SYNTAX', 4, 'end'],
    ['>> a', 'FLOW_SYNTAX', 0, '>>'],
    ['a | | b', 'FLOW_SYNTAX', 4, '|'],
    ['a > b', 'FLOW_SYNTAX', 2, '>'],
    ['a b', 'FLOW_SYNTAX', 2, 'b'],
    ['', 'FLOW_SYNTAX', 0, ''],
    ['a >> ()', 'FLOW_SYNTAX', 6, ')'],
    ['a >> fetch-usr', 'UNKNOWN_NAME', 5, 'did you mean "fetch-user"'],
    ['a >> toString', 'UNKNOWN_NAME', 5, 'toString'],
    ['a >> c', 'UNKNOWN_NAME', 5, 'a, b, fetch-user'],
  ]
  it.each(wrong)('%j is refused with %s at %d', (text, code, position, says) => {
    const error = thrown(() => flow(text, tasks as never))
    expect(error.code).toBe(code)
    expect(error.details['position']).toBe(position)
    expect(error.message).toContain(says)
    if (text !== '') expect(error.message).toContain('^')
  })
})

/** Calls a method without its arguments, or one that the type does not have. */
const callBare = (node: object, method: string): unknown => (node as Record<string, () => unknown>)[method]?.()

/** A group of any number of branches. */
const wide = (nodes: readonly AnyNode[]): AnyNode => (par as (...branches: readonly AnyNode[]) => AnyNode)(...nodes)

describe('a name', () => {
  const wrong: readonly (readonly [string, () => unknown])[] = [
    ['of a task that is empty', () => task('', () => 1)],
    ['of a task with a space', () => task('a b', () => 1)],
    ['of a task with a slash', () => task('a/b', () => 1)],
    ['of a task that is too long', () => task('x'.repeat(129), () => 1)],
    ['of a task that is no text', () => task(5 as unknown as string, () => 1)],
    ['of a workflow with a space', () => workflow('a b', echo)],
    ['of a queue with a colon', () => task('t', { queue: 'a:b' }, () => 1)],
    ['of a capability with a space', () => task('t', { requires: ['a b'] }, () => 1)],
    ['of a group with a line break', () => par(echo, large).configure({ name: 'a\nb' })],
    ['of a policy that is empty', () => policy('', () => 1)],
  ]
  it.each(wrong)('%s is INVALID_NAME, and the message says what a name may be', (_, make) => {
    const error = thrown(make)
    expect(error.code).toBe('INVALID_NAME')
    expect(error.message).toMatch(/letters|characters|A-Z/)
  })

  it('may have 128 characters, for tasks also dots', () => {
    expect(task('x'.repeat(128), () => 1).name).toHaveLength(128)
    expect(task('a.b-c_D9', () => 1).name).toBe('a.b-c_D9')
  })
})

describe('a join that cannot be met', () => {
  const wrong: readonly (readonly [string, () => unknown, code: string, says: string])[] = [
    ['atLeast(5) of 2', () => par(echo, large).atLeast(5), 'JOIN_IMPOSSIBLE', '2'],
    ['atLeast(0)', () => par(echo, large).atLeast(0), 'INVALID_OPTION', '1'],
    ['atLeast(1.5)', () => par(echo, large).atLeast(1.5), 'INVALID_OPTION', '1.5'],
    ['critical without a name', () => callBare(par(echo, large), 'critical'), 'INVALID_OPTION', 'critical'],
    ['critical of a stranger', () => par(echo, large).critical('stranger' as 'echo'), 'JOIN_IMPOSSIBLE', 'echo, large'],
    ['a second join', () => callBare(par(echo, large).settled(), 'first'), 'JOIN_IMPOSSIBLE', 'settled'],
  ]
  it.each(wrong)('%s is refused where it is written', (_, make, code, says) => {
    const error = thrown(make)
    expect(error.code).toBe(code)
    expect(error.message).toContain(says)
  })

  it('an empty group is refused where it is written', () => {
    expect(thrown(() => (par as () => unknown)()).code).toBe('EMPTY_GROUP')
    expect(thrown(() => par({} as { none: typeof echo })).code).toBe('EMPTY_GROUP')
  })
})

describe('connect', () => {
  it('that is given undefined for an address is embedded, and says so once; connect() says nothing', async () => {
    const lines: string[] = []
    const write = jest.spyOn(process.stderr, 'write').mockImplementation((line) => lines.push(String(line)) > 0)
    try {
      const unset: string | undefined = undefined
      const clients = [await connect(unset), await connect(unset, { keyPrefix: 'p' })]
      const meant = [await connect(), await connect('memory:'), await connect({ keyPrefix: 'p' })]
      const silent = await connect(unset, { logLevel: 'silent' })
      for (const client of [...clients, ...meant, silent]) await client.close()
    } finally {
      write.mockRestore()
    }
    expect(lines).toHaveLength(2)
    for (const line of lines) {
      expect(line).toContain(
        ' warn  embedded: connect was given undefined for an address (a variable that is not set?)',
      )
    }
  })

  const wrong: readonly (readonly [string, ConnectOptions, says: RegExp])[] = [
    ['an unknown option', { maxConcurrency: 3 } as ConnectOptions, /maxConcurrency.*maxConcurrentTasks/s],
    [
      'an address among the options',
      { redisUrl: 'redis://h' } as ConnectOptions,
      /the address comes first: connect\('redis:/,
    ],
    ['null', null as never, /options|array/],
    ['no slots', { maxConcurrentTasks: 0 }, /maxConcurrentTasks.*from 1 to.*got 0/s],
    ['half a slot', { maxConcurrentTasks: 1.5 }, /maxConcurrentTasks.*integer.*1\.5/s],
    ['a negative retention', { retentionMs: -1 }, /retentionMs.*-1/s],
    ['text for a number', { retentionMs: '5' as unknown as number }, /retentionMs.*"5"/s],
    ['a prefix with a space', { keyPrefix: 'my app' }, /keyPrefix.*my app/s],
    ['a prefix of five parts', { keyPrefix: 'a:b:c:d:e' }, /keyPrefix/],
    ['a log level that is none', { logLevel: 'loud' as 'info' }, /logLevel.*debug, info, warn, error, silent.*loud/s],
    ['an instance id with a slash', { instanceId: 'a/b' }, /instanceId/],
    ['tasks that are no list', { tasks: echo as never }, /tasks.*array/s],
    ['tasks that are no flows', { tasks: [{}] as never }, /task/],
    ['an unknown limit', { limits: { itemsBytes: 5 } as never }, /itemsBytes.*itemBytes/s],
    ['a limit of nothing', { limits: { branches: 0 } }, /branches.*at least 1.*0/s],
    ['limits that are no object', { limits: 5 as never }, /limits/],
    ['options that are a list', [] as never, /options|array/],
    ['a clock that is none', { clock: {} as never }, /clock/],
  ]
  it.each(wrong)('refuses %s, saying what it expects', async (_, options, says) => {
    const error = await failureOf(connect(options))
    expect(['INVALID_OPTION', 'INVALID_NODE']).toContain(error.code)
    expect(error.message).toMatch(says)
  })

  it.each([
    ['redis://user:secret@127.0.0.1:1/2', 'REDIS_UNAVAILABLE', 'redis://127.0.0.1:1/2'],
    ['redis://:s%40cret@127.0.0.1:1', 'REDIS_UNAVAILABLE', 'redis://127.0.0.1:1'],
    ['rediss://127.0.0.1:1', 'REDIS_UNAVAILABLE', 'rediss://127.0.0.1:1'],
    ['http://host', 'INVALID_OPTION', 'expected an address such as redis://'],
    ['host:6379', 'INVALID_OPTION', 'expected an address such as redis://'],
    ['', 'INVALID_OPTION', 'expected an address such as redis://'],
  ])('refuses the address %j with %s, within 5 s, and shows no password', async (address, code, shown) => {
    const error = await within(5_000, failureOf(connect(address)), 'an error')
    expect(error.code).toBe(code)
    expect(error.message).toContain(shown)
    expect(error.message).not.toContain('cret')
  })

  it('takes no address, or memory:', async () => {
    for (const graflow of [
      await connect(),
      await connect('memory:'),
      await connect('memory:', {}),
      await connect({}),
    ]) {
      expect(graflow.isRunning).toBe(true)
      await graflow.close()
    }
  })
})

describeOnBackends(
  'bad input',
  (open) => {
    const options: readonly (readonly [string, RunOptions, says: RegExp])[] = [
      ['an unknown option', { timeout: 5 } as RunOptions, /timeout.*timeoutMs/s],
      ['a timeout of nothing', { timeoutMs: 0 }, /timeoutMs.*0/s],
      ['a timeout in seconds and a half', { timeoutMs: 1.5 }, /timeoutMs.*1\.5/s],
      ['an id with a slash', { id: 'a/b' }, /id.*a\/b/s],
      ['an id of nothing', { id: '' }, /id/],
      ['an id of 129 characters', { id: 'x'.repeat(129) }, /id/],
      ['an idempotency key of nothing', { idempotencyKey: '' }, /idempotencyKey/],
      ['a signal that is none', { signal: {} as AbortSignal }, /signal.*AbortSignal/s],
      ['options that are a number', 5 as never, /options/],
    ]
    it.each(options)('run refuses %s, saying what it expects', async (_, given, says) => {
      const graflow = await open()
      for (const start of [
        graflow.run(echo, 1, given),
        graflow.start(echo, 1, given),
        graflow.submit(echo, 1, given),
      ]) {
        const error = await failureOf(start)
        expect(error.code).toBe('INVALID_OPTION')
        expect(error.message).toMatch(says)
      }
    })

    it.each([
      ['undefined', undefined],
      ['null', null],
      ['a function', () => 1],
      ['a name', 'echo'],
      ['an object', {}],
    ])('run refuses %s in place of a flow', async (_, node) => {
      const graflow = await open()
      const error = await failureOf(graflow.run(node as unknown as AnyNode, undefined as never))
      expect(error.code).toBe('INVALID_NODE')
      expect(error.message).toMatch(/task|flow/)
    })

    it('an each refuses what is no array', async () => {
      const graflow = await open()
      for (const [input, shown] of [
        [5, 'got 5'],
        [null, 'null'],
        [{ length: 1 }, 'object'],
        ['abc', '"abc"'],
      ] as const) {
        const error = await failureOfRun(graflow, each(echo), input as never)
        expect(error.code).toBe('NOT_AN_ARRAY')
        expect(error.message).toContain(shown)
      }
    })

    it('limits: one item of an each', async () => {
      const graflow = await open({ limits: { itemBytes: 100 } })
      expect(await graflow.run(each(echo), ['x'.repeat(90)])).toHaveLength(1)
      const error = await failureOfRun(graflow, each(echo), ['x', 'x'.repeat(101)])
      expect(error.code).toBe('LIMIT_EXCEEDED')
      expect(error.message).toMatch(/item 1 .*100 bytes.*10[34]/s)
    })

    it('limits: the input of ctx.run', async () => {
      const graflow = await open({ limits: { itemBytes: 100 } })
      expect(await graflow.run(runsLarge, 90)).toHaveLength(90)
      const error = await failureOfRun(graflow, runsLarge, 101)
      expect(error.code).toBe('TASK_FAILED')
      expect(error.cause).toMatchObject({ code: 'LIMIT_EXCEEDED' })
    })

    it('limits: the input of a run and of a group', async () => {
      const graflow = await open({ limits: { sharedInputBytes: 100 } })
      const ofRun = await failureOfRun(graflow, echo, 'x'.repeat(101))
      expect(ofRun.code).toBe('LIMIT_EXCEEDED')
      expect(ofRun.message).toMatch(/input of the run.*100 bytes/s)
      const ofGroup = await failureOfRun(graflow, seq(large, par(echo, echo)), 101)
      expect(ofGroup.code).toBe('LIMIT_EXCEEDED')
      expect(ofGroup.message).toMatch(/input of the group at 1.*100 bytes/s)
    })

    it('limits: what a task returns, as a step, as a branch and as a whole chain', async () => {
      const graflow = await open({ limits: { resultBytes: 100 } })
      expect(await graflow.run(large, 90)).toHaveLength(90)
      const asStep = await failureOfRun(graflow, large, 101)
      expect(asStep.code).toBe('LIMIT_EXCEEDED')
      expect(asStep.message).toMatch(/result of task "large".*100 bytes.*10[34]/s)
      const asBranch = await failureOfRun(graflow, par(large, echo), 101)
      expect(asBranch.cause).toMatchObject({ code: 'LIMIT_EXCEEDED' })
      const nested = await failureOfRun(graflow, par(par(large, large), echo), 60)
      expect(nested.cause).toMatchObject({ code: 'LIMIT_EXCEEDED' })
    })

    it('limits: branches of a group', async () => {
      const graflow = await open({ limits: { branches: 10 } })
      expect(await graflow.run(seq(count, each(echo)), 10)).toHaveLength(10)
      const error = await failureOfRun(graflow, seq(count, each(echo)), 11)
      expect(error.code).toBe('LIMIT_EXCEEDED')
      expect(error.message).toMatch(/10 branches.*11/s)
      expect((await failureOfRun(graflow, wide(Array.from({ length: 11 }, () => echo)), 1 as never)).code).toBe(
        'LIMIT_EXCEEDED',
      )
    })

    it('limits: groups inside groups, by flows and by ctx.run', async () => {
      const graflow = await open({ limits: { nesting: 3 } })
      expect(await graflow.run(par(par(par(echo))), 1)).toEqual([[[1]]])
      const deep = await failureOfRun(graflow, par(par(par(par(echo)))), 1)
      expect(deep.message).toContain('nested 3 deep')
      expect(await graflow.run(nest, 3)).toBe(3)
      expect((await failureOfRun(graflow, nest, 4)).message).toContain('nested 3 deep')
    })

    it('limits: 64 levels are allowed by default', async () => {
      const graflow = await open()
      expect(await graflow.run(nest, 64)).toBe(64)
      let innermost: Error = await failureOfRun(graflow, nest, 65)
      while (innermost.cause instanceof Error) innermost = innermost.cause
      expect(innermost.message).toContain('nested 64 deep')
    })

    it('limits: the graph, compressed', async () => {
      const graflow = await open({ limits: { graphBytes: 200 } })
      expect(await graflow.run(par(echo, echo), 1)).toEqual([1, 1])
      const large = wide(Array.from({ length: 200 }, (_, i) => task(`t${i}`, (n: number) => n)))
      const error = await failureOfRun(graflow, large, 1 as never)
      expect(error.code).toBe('LIMIT_EXCEEDED')
      expect(error.message).toContain('200')
    })

    it('maxBytes: a full store takes no new work and says so; what runs can finish', async () => {
      const graflow = await open({ maxBytes: 200_000 })
      expect(await graflow.run(par(echo, echo), 'small')).toEqual(['small', 'small'])
      const error = await failureOfRun(graflow, echo, 'x'.repeat(300_000))
      expect(error.code).toBe('BACKPRESSURE')
      expect(error.retryable).toBe(true)
      expect(error.message).toMatch(/full.*(wait|memory)/s)
      expect(await graflow.run(par(echo, echo), 'small')).toEqual(['small', 'small'])
    })

    it('a start that fails leaves no code behind for the next one of its id', async () => {
      const graflow = await open({ maxBytes: 200_000 })
      const one = task('same', (text: string) => `one ${text.length}`)
      const other = task('same', (text: string) => `other ${text.length}`)
      const full = await failureOf(graflow.start(one, 'x'.repeat(300_000), { id: 'same' }))
      expect(full).toMatchObject({ code: 'BACKPRESSURE' })
      expect(await graflow.run(other, 'x', { id: 'same' })).toBe('other 1')
    })

    it('maxBytes: a run whose group finds the store full fails with BACKPRESSURE, and lets go of what it had', async () => {
      const clock = manualClock(1_000_000)
      const graflow = await open({ maxBytes: 1_000_000, retentionMs: 5_000, clock })
      const flow = seq(texts, each(echo))
      expect((await failureOfRun(graflow, flow, 100)).code).toBe('BACKPRESSURE')
      clock.advance(5_000)
      expect(await graflow.run(flow, 2)).toHaveLength(2)
    })

    it('the context refuses nonsense where the handler does it', async () => {
      const graflow = await open()
      expect(await graflow.run(nonsense, undefined)).toEqual({
        progress: ['INVALID_OPTION', expect.stringContaining('1.5')],
        progressNaN: ['INVALID_OPTION', expect.stringContaining('NaN')],
        run: ['INVALID_NODE', expect.stringContaining('"echo"')],
        next: ['INVALID_NODE', expect.any(String)],
        goto: ['INVALID_NODE', expect.any(String)],
        result: ['INVALID_NODE', expect.any(String)],
        unknown: ['RESULT_NOT_FOUND', expect.stringContaining('echo')],
      })
    })

    it('values that a handler passes on are refused by their path, wherever they go', async () => {
      const graflow = await open()
      for (const node of [runsFunction, finishesFunction, againFunction, nextFunction]) {
        for (const place of [node, par(node, echo)]) {
          const failure = await failureOf(graflow.run(place as AnyNode, undefined as never))
          const chain = [failure, failure.cause, (failure.cause as Error | undefined)?.cause]
          expect(chain).toContainEqual(
            expect.objectContaining({
              code: 'NOT_SERIALISABLE',
              details: expect.objectContaining({ path: 'value.call' }),
            }),
          )
        }
      }
    })

    it('runs that do not exist are not found', async () => {
      const graflow = await open()
      const error = await failureOf(graflow.attach('nobody'))
      expect(error.code).toBe('RUN_NOT_FOUND')
      expect(error.message).toContain('nobody')
    })

    it('an event that does not exist is INVALID_NAME and lists those that do', async () => {
      const graflow = await open()
      expect(() => graflow.events.subscribe('run:over' as 'run:state', () => undefined)).toThrow(
        /run:state.*"run:over"/s,
      )
    })

    it('a task that asks for a thread is refused before anything runs', async () => {
      const graflow = await open()
      const threaded = task('threaded', { isolation: 'thread' }, () => 1)
      const error = await within(1_000, failureOf(graflow.run(workflow('w', seq(echo, threaded)), 1)), 'an error')
      expect(error.code).toBe('NOT_AVAILABLE')
      expect(error.message).toContain('threaded')
    })
  },
  { onlyEmbedded: 'what is refused is refused in the process that asks' },
)
