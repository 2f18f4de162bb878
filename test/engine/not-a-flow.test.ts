/** Mistakes that the compiler would tell of, made in plain JavaScript: each says what was expected, what came, and what to write. */
import * as graflow from 'graflow'
import type { Graflow, Run, TaskContext } from 'graflow'
import type { GraflowError } from '../../lib/errors.js'
import { failureOf, thrown } from '../support/captured-errors.js'

const { connect, task } = graflow
const loosely = graflow as unknown as Record<
  'workflow' | 'task' | 'declareTask',
  (...args: readonly unknown[]) => unknown
>
type Loose<T> = { readonly [K in keyof T]: (...args: readonly unknown[]) => Promise<unknown> }

function helper(): number {
  return 3
}

const ADVICE = `expected a flow, got the function helper: a function becomes a flow by task('name', fn); if it makes one, call it`

describe('a function where a flow is wanted', () => {
  let client: Graflow
  let run: Run<number>
  beforeAll(async () => {
    client = await connect({ logLevel: 'silent' })
    run = await client.start(task('one', () => 1))
  })
  afterAll(() => client.close())

  const ofClient = ['run', 'start', 'submit'] as const
  it.each(ofClient)('is told by %s, with an input and without', async (method) => {
    const call = (client as unknown as Loose<Graflow>)[method].bind(client)
    for (const rest of [[], [3], [3, {}]]) {
      const error = await failureOf(call(helper, ...rest))
      expect([error.code, error.message]).toEqual(['INVALID_NODE', `${method}: ${ADVICE}`])
    }
  })

  it('is told by attach and by result of a run', async () => {
    const attach = (client as unknown as Loose<Graflow>).attach.bind(client)
    expect((await failureOf(attach(run.id, helper))).message).toBe(`attach: ${ADVICE}`)
    expect((await failureOf((run as unknown as Loose<Run<number>>).result(helper))).message).toBe(`result: ${ADVICE}`)
  })

  const ofContext = ['run', 'next', 'goto', 'result'] as const
  it.each(ofContext)('is told by ctx.%s, and fails the task', async (method) => {
    const asks = task('asks', (_: unknown, ctx): unknown => (ctx as unknown as Loose<TaskContext>)[method](helper))
    const error = await failureOf(client.run(asks))
    expect(error.code).toBe('TASK_FAILED')
    expect([(error.cause as GraflowError).code, (error.cause as GraflowError).message]).toEqual([
      'INVALID_NODE',
      `ctx.${method}: ${ADVICE}`,
    ])
  })

  // These return promises: who writes .catch is told there, and nothing is thrown past it.
  it.each(['run', 'result'] as const)('rejects what ctx.%s returns', async (method) => {
    const asks = task('asks', (_: unknown, ctx) =>
      (ctx as unknown as Loose<TaskContext>)[method](helper).catch((error: unknown) => (error as GraflowError).code),
    )
    expect(await client.run(asks)).toBe('INVALID_NODE')
  })
})

const options: readonly (readonly [given: object, says: string])[] = [
  [{ retries: 3 }, 'there is no option retries: write retry: { attempts: 3 }, which counts the first start, too'],
  [{ attempts: 3 }, 'there is no option attempts: write retry: { attempts: 3 }'],
  [{ backoff: 'exponential' }, 'there is no option backoff: write retry: { attempts: 3, delayMs: 100, factor: 2 }'],
  [{ timeout: 3 }, 'there is no option timeout: write timeoutMs: 5_000'],
  [{ concurrency: 3 }, 'there is no option concurrency: a group has it, each(it).configure({ concurrency: 4 })'],
  [{ retrys: 3 }, 'there is no option retrys (did you mean "retry"?); the options are retry, timeoutMs, '],
  [{ retry: { attempt: 3 } }, 'there is no option retry.attempt (did you mean "attempts"?)'],
]
describe('an option that a task does not have', () => {
  it.each(options)('%j is told with what to write', (given, says) => {
    for (const make of [() => loosely.task('t', given, helper), () => loosely.declareTask('t', given)]) {
      const error = thrown(make)
      expect(error.code).toBe('INVALID_OPTION')
      expect(error.message).toContain(`task "t": ${says}`)
    }
  })
})

describe('arguments in another order', () => {
  it('are told with the right one', () => {
    expect(thrown(() => loosely.task('t', helper, {})).message).toBe(
      `task "t": the handler must be a function, got an empty object; it comes last, task('t', { … }, handler)`,
    )
    for (const make of [() => loosely.task(helper), () => loosely.workflow(helper)]) {
      const error = thrown(make)
      expect(error.code).toBe('INVALID_NAME')
      expect(error.message).toContain('got the function helper: the name comes first, as in task("name", fn)')
    }
  })
})
