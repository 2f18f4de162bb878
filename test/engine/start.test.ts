import { task, type TaskContext } from 'graflow'
import { manualClock } from 'graflow/testing'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { Cancellation } from '../../lib/engine/cancellation.js'
import type { Frame } from '../../lib/engine/execution.js'
import { outputOf, start, type StartOptions } from '../../lib/engine/start.js'
import { expressionOf } from '../../lib/flow/node.js'
import type { TaskExpression } from '../../lib/flow/expression.js'
import { failureOf } from '../support/captured-errors.js'
import { turn } from '../support/waits.js'

/** One start of a handler, with what the engine would give it; `orphans` is what the engine was told. */
function starting(
  handler: (input: any, ctx: TaskContext) => unknown,
  options: { timeoutMs?: number; input?: StandardSchemaV1 } = {},
) {
  const clock = manualClock()
  const cancel = new Cancellation()
  const count = { orphans: 0 }
  const needs = { clock, countOrphan: (change: number) => (count.orphans += change) } as unknown as StartOptions
  const frame = {
    cancel,
    execution: { facts: { runId: 'run', workerId: 'worker' } },
    use: { base: '' },
  } as unknown as Frame
  const definition = expressionOf(task('t', options as object, handler)) as TaskExpression
  const started = start(
    needs,
    frame,
    definition,
    { task: 't', path: '0', attempt: 1, pass: 1 },
    'input',
    options.timeoutMs,
  )
  return { clock, cancel, count, output: outputOf(started) }
}
/** A promise, and what settles it. */
function later<T>() {
  let settle: { resolve: (value: T) => void; reject: (error: unknown) => void } | undefined
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject }
  })
  return { promise, ...(settle as NonNullable<typeof settle>) }
}
describe('a start of a handler', () => {
  it('in time leaves neither an orphan nor a timer', async () => {
    const { clock, count, output } = starting(async () => 'done', { timeoutMs: 100 })
    expect(clock.nextDueMs()).toBe(100)
    expect(await output).toBe('done')
    expect(clock.nextDueMs()).toBeUndefined()
    expect(count.orphans).toBe(0)
  })

  it('that fails in time is no orphan', async () => {
    const { clock, count, output } = starting(() => Promise.reject(new Error('x')), { timeoutMs: 100 })
    await expect(output).rejects.toMatchObject({ name: 'HandlerThrew' })
    await turn()
    expect([clock.nextDueMs(), count.orphans]).toEqual([undefined, 0])
  })

  it.each([
    ['returns', (work: ReturnType<typeof later>) => work.resolve('late')],
    ['throws', (work: ReturnType<typeof later>) => work.reject(new Error('late'))],
  ])('past its deadline is an orphan until it %s', async (_, end) => {
    const work = later()
    const { clock, count, output } = starting(() => work.promise, { timeoutMs: 100 })
    const failure = failureOf(output)
    clock.advance(100)
    expect((await failure).code).toBe('TIMEOUT')
    expect(count.orphans).toBe(1)
    end(work)
    await turn()
    expect(count.orphans).toBe(0)
  })

  it('that is cancelled is an orphan until it ends, and its deadline does not come any more', async () => {
    const work = later()
    const { clock, cancel, count, output } = starting(() => work.promise, { timeoutMs: 100 })
    const failed = output.catch((error: unknown) => error)
    const reason = new Error('enough')
    cancel.abort(reason)
    expect(await failed).toBe(reason)
    expect([clock.nextDueMs(), count.orphans]).toEqual([undefined, 1])
    work.resolve(1)
    await turn()
    expect(count.orphans).toBe(0)
  })

  it('has a signal of its own: the deadline does not abort what is above it', async () => {
    const { clock, cancel, output } = starting(
      (_, ctx) => new Promise((resolve) => ctx.signal.addEventListener('abort', resolve)),
      {
        timeoutMs: 100,
      },
    )
    const failure = failureOf(output)
    clock.advance(100)
    expect((await failure).code).toBe('TIMEOUT')
    expect(cancel.reason).toBeUndefined()
  })

  it('does not call the handler when its time is over before its input is parsed', async () => {
    const parsed = later<StandardSchemaV1.Result<unknown>>()
    const calls: unknown[] = []
    const input: StandardSchemaV1 = { '~standard': { version: 1, vendor: 'own', validate: () => parsed.promise } }
    const { clock, count, output } = starting((value) => calls.push(value), { timeoutMs: 100, input })
    const failure = failureOf(output)
    clock.advance(100)
    expect((await failure).code).toBe('TIMEOUT')
    parsed.resolve({ value: 'parsed' })
    await turn()
    expect(calls).toEqual([])
    expect(count.orphans).toBe(0)
  })

  it('that only looks like a promise is waited for by the rules', async () => {
    const thenable = { then: (resolve: (value: unknown) => void) => resolve('from then') }
    expect(await starting(() => thenable).output).toBe('from then')
    expect(await starting(() => thenable, { timeoutMs: 100 }).output).toBe('from then')
  })
})
