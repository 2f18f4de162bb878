/** Tasks with `isolation: 'thread'`: where they run, what they may call, and what ends them. */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { connect, declareTask, each, par, seq, type AnyNode, type Graflow, type Node } from 'graflow'
import { Worker } from 'graflow/worker'
import { compiled } from '../support/compiled.js'
import { describeOnBackends } from '../support/backends.js'
import { failureOf } from '../support/captured-errors.js'
import { until } from '../support/waits.js'
import { failureOfRun, logOf, nextEvent, nextMark } from '../support/runs.js'
import {
  asIs,
  busy,
  cancelling,
  checked,
  counting,
  crashing,
  echo,
  exiting,
  finishing,
  first,
  forking,
  hopeless,
  hungry,
  large,
  listening,
  locking,
  losing,
  secondTry,
  short,
  spinning,
  steady,
  talking,
  throwing,
  uncarried,
  uncheckedInput,
  waiting,
  where,
  type Where,
  whereInline,
} from './task-threads.tasks.js'

const modules = [compiled(join(__dirname, 'task-threads.tasks.ts'))]

/** The threads of this process that run tasks. */
const taskThreads = (): number => (process.report.getReport() as unknown as { workers: unknown[] }).workers.length

/** A thread costs a fifth of a second of processor time: the worker processes have one each, and embedded tests share a client. */
process.env['GRAFLOW_THREADS'] = '1'
let shared: Promise<Graflow> | undefined
const connected = (threads: number): Promise<Graflow> =>
  connect({ logLevel: 'silent', threads, threadHeapMb: 16, tasks: modules })

afterAll(async () => {
  await (await shared)?.close()
})

describeOnBackends('tasks in threads', (openOn, onlyEmbedded, name) => {
  const open = (): Promise<Graflow> => (name === 'embedded' ? (shared ??= connected(1)) : openOn())
  const itEmbedded = onlyEmbedded('no process matters to it')
  const failureCode = async (graflow: Graflow, node: AnyNode, input: unknown): Promise<unknown> =>
    (await failureOf(graflow.run(node as Node<unknown, unknown>, input))).code

  it('sleep and wait for signals, and check what comes by a schema of the thread', async () => {
    const graflow = await open()
    const run = await graflow.start(each(waiting), [20])
    const untilAsked = (path: string): Promise<void> =>
      until(async () => (await graflow.waits.of(run.id)).some((wait) => wait.path === path), `a wait at ${path}`)
    await untilAsked('0/0/~2')
    expect(await run.signal('ok', 3, { index: 0 })).toBe(true) // it is refused there, and the next one is awaited
    await untilAsked('0/0/~3')
    expect(await run.signal('ok', 4, { index: 0 })).toBe(true)
    expect(await run.result()).toEqual([[2, 'late']])
  })

  it('run outside of the event loop, as steps and as branches, with what a start is known by', async () => {
    const graflow = await open()
    const [[, step], branches] = await graflow.run(par(par(asIs, where), each(where)), ['x', 'y'])
    expect(step.facts).toEqual(['where', '0/0/1', undefined, 1, 1, true])
    expect(branches.map(({ facts }) => facts)).toEqual([0, 1].map((i) => ['where', `0/1/${i}`, i, 1, 1, true]))
    const only: Where = await graflow.run(seq(asIs, where), 'x')
    const submitted: Where = await (await graflow.submit(seq(asIs, where), 'x')).result()
    for (const at of [step, ...branches, only, submitted])
      expect(at).toMatchObject({ isMainThread: false, isFenced: true, isAborted: false })
    expect(await graflow.run(par(whereInline), 0)).toEqual([{ isMainThread: true, threadId: 0 }])
  })

  itEmbedded('get and give values as any task', async () => {
    const graflow = await open()
    const values = [
      1,
      undefined,
      { at: new Date(5), m: new Map([[1, new Set(['x'])]]), n: 2n ** 70n },
      new Float64Array(3),
    ]
    expect(await graflow.run(each(echo), values)).toEqual(values)
    expect(await graflow.run(seq(echo, echo), values)).toEqual(values)
    const bytes = await graflow.run(par(large), 300_000)
    expect(bytes[0].every((byte) => byte === 7)).toBe(true)
  })

  it('R5: past its timeoutMs a thread is terminated, only its task fails, and the worker lives', async () => {
    const graflow = await open()
    const log = logOf(graflow)
    const [outcome, other] = await graflow.run(par(spinning, steady).settled(), 'x')
    expect(outcome).toMatchObject({
      status: 'failed',
      error: { code: 'TIMEOUT', details: { task: 'spinning', timeoutMs: 50 } },
    })
    expect(other).toEqual({ status: 'succeeded', value: 'x' })
    expect(await graflow.run(par(echo), 'alive')).toEqual(['alive'])
    expect(log).toEqual(['started'])
  })

  it('wait for a free thread outside of their own time', async () => {
    const graflow = await open()
    expect(await graflow.run(each(short), [1, 2, 3])).toEqual([1, 2, 3]) // there are two threads at most
  })

  itEmbedded('see their signal when their run is cancelled, and leave their thread whole', async () => {
    const graflow = await open()
    const listens = nextMark(graflow, 'listening')
    const heard = nextEvent(graflow, 'run:progress', ({ message }) => message?.startsWith('signal') === true)
    const run = await graflow.start(par(listening), 0)
    await listens
    await run.cancel('enough')
    expect((await heard).message).toBe('signal: CANCELLED enough')
    expect((await failureOf(run.result())).code).toBe('CANCELLED')
  })

  it('log, report progress, use channels and read results of others', async () => {
    const graflow = await open()
    const lines: unknown[] = []
    const marks = logOf(graflow)
    if (name === 'embedded') graflow.events.subscribe('log', ({ message, details }) => lines.push([message, details]))
    const run = await graflow.start(seq(first, par(talking), steady as AnyNode as Node<unknown, unknown>), 0 as never)
    expect(await run.result()).toEqual([
      {
        ...{ sums: [2, 5], key: { a: 1n }, list: ['a', 'b'], has: [true, false], deleted: true, keys: ['list', 'n'] },
        ...{ found: new Map([['a', 1n]]), wrongType: 'CHANNEL_TYPE', wrongKey: 'INVALID_NAME' },
        ...{ uncarried: 'NOT_SERIALISABLE', notReady: 'RESULT_NOT_READY', fraction: 'INVALID_OPTION' },
      },
    ])
    expect(marks).toEqual(['half'])
    if (name === 'embedded') {
      expect(lines).toEqual([
        ['from a thread', { size: 3, at: new Date(0) }],
        ['with what cannot be carried', { details: expect.any(String) }],
      ])
    }
  })

  itEmbedded('start again, finish and cancel their run, but bring no flows: NOT_IN_THREAD', async () => {
    const graflow = await open()
    expect(await graflow.run(par(counting), 1)).toEqual(['3 3'])
    expect(await graflow.run(seq(counting, steady), 2)).toBe('3 2')
    expect(await graflow.run(seq(par(finishing), steady as never), 7)).toEqual({ at: new Date(7) })
    expect((await failureOfRun(graflow, par(cancelling), 0)).message).toContain('seen enough')
    expect(await graflow.run(par(forking), 0)).toEqual([['NOT_IN_THREAD', 'NOT_IN_THREAD', 'NOT_IN_THREAD']])
  })

  itEmbedded('fail with what they throw, and with what does not fit', async () => {
    const graflow = await open()
    const log = logOf(graflow)
    const error = await failureOfRun(graflow, seq(steady, throwing), 'x')
    expect(error).toMatchObject({ code: 'TASK_FAILED', details: { task: 'throwing', path: '1', attempts: 1 } })
    expect(error.cause).toMatchObject({ name: 'TypeError', message: 'no luck', cause: { message: 'the weather' } })
    expect((error.cause as Error).stack).toContain('threads.tasks')
    await failureOf(graflow.run(par(hopeless), 0))
    expect(log).toEqual(['try 1'])
    const refused = await failureOfRun(graflow, seq(steady, uncarried), 'x')
    expect(refused).toMatchObject({ code: 'NOT_SERIALISABLE', details: { task: 'uncarried', path: 'value.deep[0]' } })
    expect(await graflow.run(seq(uncheckedInput, checked), '2')).toBe('xx')
    const [outcomes] = [await graflow.run(each(checked).settled(), [{ n: '3' }, { n: 'x' }, { n: 4 }] as never)]
    expect(
      outcomes.map((one) => (one.status === 'succeeded' ? one.value : (one.error as { code?: unknown }).code)),
    ).toEqual([...['xxx', 'INVALID_INPUT', 'INVALID_OUTPUT']])
    expect(await failureCode(graflow, seq(large, echo), 2_000_000)).toBe('LIMIT_EXCEEDED')
  })

  it('have locks, which a lost thread gives back', async () => {
    const graflow = await open()
    expect(await graflow.run(each(locking), [1, 2, 3])).toEqual(
      expect.arrayContaining([1, 2, 3].map((n) => [n, expect.any(Number), false])),
    )
    if (name === 'embedded') expect(await graflow.run(par(losing), 0)).toEqual(['INVALID_NAME'])
  })

  itEmbedded('are lost alone when their thread ends, and start again in another one', async () => {
    const graflow = await open()
    const outcomes = await graflow.run(par(crashing, exiting, steady).settled(), 'x')
    expect(outcomes[0]).toMatchObject({ error: { code: 'THREAD_LOST', details: { task: 'crashing', path: '0/0' } } })
    expect(String(outcomes[0].status === 'failed' && outcomes[0].error.cause)).toBe('RangeError: in a timer')
    expect(outcomes[1]).toMatchObject({ error: { code: 'THREAD_LOST', details: { exitCode: 3 }, retryable: true } })
    expect(outcomes[2]).toEqual({ status: 'succeeded', value: 'x' })
    expect(await graflow.run(seq(steady, secondTry), 'y')).toEqual([2, 'y'])
  })

  itEmbedded('that run out of memory fail, and nothing else', async () => {
    const graflow = await open()
    const [outcome, other] = await graflow.run(par(hungry, echo).settled(), 'x')
    expect(outcome).toMatchObject({ error: { code: 'THREAD_LOST', details: { task: 'hungry', isOutOfMemory: true } } })
    expect(other).toEqual({ status: 'succeeded', value: 'x' })
  })

  itEmbedded('leave no thread behind a closed client', async () => {
    const before = taskThreads()
    const graflow = await connected(1)
    const started = nextMark(graflow, 'started')
    const run = await graflow.start(par(busy), 0)
    await started
    expect(taskThreads()).toBe(before + 1)
    const failure = failureOf(run.result())
    await graflow.close()
    expect((await failure).code).toBe('CLOSED')
    expect(taskThreads()).toBe(before)
  })

  it('V5: declared without options, a task has those of the worker’s: three attempts, a thread', async () => {
    const graflow = await open()
    const log = logOf(graflow)
    for (const node of [
      declareTask<number, string>('three-in-vain'),
      each(declareTask<number, string>('three-in-vain')),
    ])
      await failureOf(graflow.run(node as Node<unknown, unknown>, node.toString().endsWith('*') ? [1] : 1))
    expect(log).toEqual([1, 2, 3, 1, 2, 3].map((attempt) => `try ${attempt}`))
    const declared = declareTask<unknown, Where>('where')
    for (const found of [await graflow.run(declared, 1), ...(await graflow.run(each(declared), [1]))])
      expect(found.isMainThread).toBe(false)
    // What the declaration says wins.
    const inline = declareTask<unknown, Where>('where', { isolation: 'inline' })
    expect(await graflow.run(each(inline), [1])).toMatchObject([{ isMainThread: true }])
    const threaded = declareTask<unknown, Where>('where-inline', { isolation: 'thread' })
    expect(await graflow.run(each(threaded), [1])).toMatchObject([{ isMainThread: false }])
  })
})

describe('a task that asks for a thread', () => {
  it('is refused by a worker that has it from no module', async () => {
    const worker = new Worker({ tasks: [where], logLevel: 'silent' })
    const error = await failureOf(worker.start())
    expect([error.code, error.details]).toEqual(['NOT_AVAILABLE', { task: 'where' }])
    expect(error.message).toContain("connect({ tasks: ['./tasks.js'] })")
  })

  it('is found in a module that is named by its URL, and a missing module is TASK_MODULE', async () => {
    const graflow = await connect({ logLevel: 'silent', tasks: [pathToFileURL(modules[0] ?? '').href] })
    expect(await graflow.run(steady, 'x')).toBe('x')
    await graflow.close()
    expect((await failureOf(connect({ tasks: ['./missing.js'] }))).code).toBe('TASK_MODULE')
  })
})
