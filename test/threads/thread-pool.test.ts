/** The pool by itself: who gets which thread, and what happens when one is lost or cannot be made. */
import { join } from 'node:path'
import { Cancellation } from '../../lib/engine/cancellation.js'
import type { ThreadCall } from '../../lib/engine/thread-runner.js'
import { GraflowError } from '../../lib/errors.js'
import { expressionOf } from '../../lib/flow/node.js'
import { ThreadPool } from '../../lib/threads/thread-pool.js'
import { decode, encode } from '../../lib/values/codec.js'
import { failureOf } from '../support/captured-errors.js'
import { compiled } from '../support/compiled.js'
import { until } from '../support/waits.js'
import { one, parting } from './thread-pool.tasks.js'

const file = compiled(join(__dirname, 'thread-pool.tasks.ts'))

/** A pool of one thread; `lost` is what it tells of threads that no start ran in. */
const pools: ThreadPool[] = []
function poolOf(path = file) {
  const lost: Error[] = []
  const pool = new ThreadPool({
    modules: [{ path, expressions: [one, parting].map((node) => expressionOf(node)), policies: [] }],
    ...{ size: 1, timeoutMs: 10_000, onLost: (error: Error) => lost.push(error) },
  })
  pools.push(pool)
  return { pool, lost }
}
afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.close()))
})

const callOf = (task: string): ThreadCall => ({
  ...{ task, input: encode(undefined), note: () => undefined, serve: () => Promise.reject(new Error('unasked')) },
  facts: {
    ...{ runId: 'run', taskName: task, path: '0', index: undefined, cycle: 1, attempt: 1, fence: 1 },
    idempotencyKey: 'run/0',
  },
})

describe('a pool of threads', () => {
  it('knows the tasks of its modules, and has no thread before one is needed', () => {
    const { pool } = poolOf()
    expect([pool.has('one'), pool.has('parting'), pool.has('other'), pool.take()]).toEqual([
      true,
      true,
      false,
      undefined,
    ])
  })

  it('gives its thread to who waits next, replaces it when it is lost, and tells so where no start ran in it', async () => {
    const { pool, lost } = poolOf()
    const [gone, stays] = [new Cancellation(), new Cancellation()]
    const refused = failureOf(pool.wait(gone))
    const waiting = pool.wait(stays)
    gone.abort(new GraflowError('CANCELLED', 'not needed'))
    expect((await refused).code).toBe('CANCELLED')
    const thread = await waiting
    const last = pool.wait(stays)
    const input = encode({ big: new Uint8Array(10) })
    const { output = input } = await thread.run({ ...callOf('parting'), input })
    expect(decode(output)).toBe(2)
    // Its memory was moved here whole, and the input is still the caller's.
    expect([output.buffer.byteLength, input.length > 0]).toEqual([output.length, true])
    ;(await last).release()
    await until(() => lost.length > 0, 'the end of the thread', 5_000)
    expect(lost).toMatchObject([{ code: 'THREAD_LOST', message: expect.stringContaining('too late for anybody') }])
    expect(pool.take()).toBeUndefined()
    const next = await pool.wait(stays)
    expect(decode((await next.run(callOf('one'))).output ?? input)).toBe(1)
    next.release()
    expect(pool.take()).toBe(next)
  })

  it('tells each who waits that a module cannot be loaded, and ends with CLOSED', async () => {
    const { pool } = poolOf(join(__dirname, 'missing.js'))
    const cancel = new Cancellation()
    const failures = [failureOf(pool.wait(cancel)), failureOf(pool.wait(cancel))]
    for (const failure of failures) expect((await failure).code).toBe('TASK_MODULE')
    const late = failureOf(pool.wait(cancel))
    await pool.close()
    expect((await late).code).toBe('CLOSED')
    expect((await failureOf(pool.wait(cancel))).code).toBe('CLOSED')
  })
})
