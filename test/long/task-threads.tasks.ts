/** Tasks of task-threads.test.ts. */
import { isMainThread, threadId } from 'node:worker_threads'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { task } from 'graflow'
import { mark, untilAborted } from '../support/handlers.js'

/** Where they tell of it, and what the handler got. */
export interface Where {
  readonly isMainThread: boolean
  readonly threadId: number
  readonly facts: readonly unknown[]
  readonly isFenced: boolean
  readonly isAborted: boolean
}

const inThread = { isolation: 'thread' } as const
/** Longer than any test waits. */
const SPUN_MS = 10_000

/** Keeps the processor. */
function spin(ms: number): void {
  const until = performance.now() + ms
  while (performance.now() < until);
}

export const steady = task('steady', (input: string) => input)

export const asIs = task('as-is', (input: unknown) => input)

export const where = task(
  'where',
  inThread,
  (_: unknown, ctx): Where => ({
    isMainThread,
    threadId,
    facts: [
      ctx.taskName,
      ctx.path,
      ctx.index,
      ctx.cycle,
      ctx.attempt,
      ctx.idempotencyKey === `${ctx.runId}/${ctx.path}`,
    ],
    isFenced: ctx.fence > 0,
    isAborted: ctx.signal.aborted,
  }),
)

export const whereInline = task('where-inline', () => ({ isMainThread, threadId }))

const even: StandardSchemaV1<number, number> = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value) =>
      typeof value === 'number' && value % 2 === 0
        ? { value: value / 2 }
        : { issues: [{ message: 'expected 2, 4, …' }] },
  },
}

export const waiting = task('waiting', inThread, async (ms: number, ctx) => {
  await ctx.sleep(ms)
  return [await ctx.waitFor('ok', { schema: even }), await ctx.waitFor('never', { timeoutMs: 20, onTimeout: 'late' })]
})

export const echo = task('echo', inThread, (input: unknown) => input)

export const spinning = task('spinning', { ...inThread, timeoutMs: 50 }, (_: unknown, ctx): string => {
  mark(ctx, 'started')
  spin(SPUN_MS)
  mark(ctx, 'ended')
  return 'too late'
})

/** Nothing but the end of its thread ends it in time. */
export const busy = task('busy', inThread, (_: unknown, ctx): void => {
  mark(ctx, 'started')
  spin(SPUN_MS)
})

/** Two of them take longer than each of them may. */
export const short = task('short', { ...inThread, timeoutMs: 600 }, (input: number) => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 350)
  return input
})

export const listening = task('listening', inThread, async (_: unknown, ctx): Promise<string> => {
  ctx.signal.addEventListener('abort', () => {
    const { code, message } = ctx.signal.reason as { code: string; message: string }
    mark(ctx, `signal: ${code} ${message.includes('enough') ? 'enough' : ''}`)
  })
  mark(ctx, 'listening')
  return untilAborted(ctx)
})

export const first = task('first', () => ({ found: new Map([['a', 1n]]) }))

const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code
const codeThrownBy = (act: () => unknown): unknown => {
  try {
    return act()
  } catch (error) {
    return codeOf(error)
  }
}

export const talking = task('talking', inThread, async (_: unknown, ctx) => {
  ctx.log.warn('from a thread', { size: 3, at: new Date(0) })
  ctx.log.warn('with what cannot be carried', { call: () => 1 })
  ctx.progress(0.5, 'half')
  const channel = ctx.channel<{ n: number; list: string[]; key: { a: bigint } }>()
  await channel.set('key', { a: 1n })
  await channel.append('list', 'b')
  await channel.prepend('list', 'a')
  const { found } = await ctx.result(first)
  return {
    sums: await Promise.all([channel.add('n', 2), channel.add('n', 3)]),
    key: await channel.get('key'),
    list: await channel.list('list'),
    has: [await channel.has('n'), await ctx.channel.has('other')],
    deleted: await channel.delete('key'),
    keys: (await channel.keys()).sort(),
    found,
    wrongType: await channel.add('list' as 'n', 1).catch(codeOf),
    wrongKey: await channel.get('' as 'n').catch(codeOf),
    uncarried: await ctx.channel.set('x', () => 1).catch(codeOf),
    notReady: await ctx.result(steady).catch(codeOf),
    fraction: codeThrownBy(() => ctx.progress(2)),
  }
})

/** Reads and writes a number without an atomic operation. */
export const locking = task('locking', inThread, (_: unknown, ctx) =>
  ctx.channel.lock('sum', {}, async ({ fence, signal }) => {
    const before = ((await ctx.channel.get('sum')) as number | undefined) ?? 0
    await ctx.channel.set('sum', before + 1)
    return [before + 1, fence, signal.aborted]
  }),
)
/** Ends its thread while it has the lock, once. */
export const losing = task('losing', { ...inThread, retry: { attempts: 2 } }, (_: unknown, ctx) =>
  ctx.channel.lock('held', { leaseMs: 60_000, waitMs: 5_000 }, () => {
    if (ctx.attempt === 1) process.exit(1)
    return ctx.channel.lock('', {}, () => 1).catch(codeOf)
  }),
)

export const forking = task('forking', inThread, async (_: unknown, ctx) => [
  await ctx.run(steady, 'x').catch(codeOf),
  codeThrownBy(() => ctx.next(steady, 'x')),
  codeThrownBy(() => ctx.goto(steady, 'x')),
])

export const counting = task('counting', inThread, (n: number, ctx) => (n < 3 ? ctx.again(n + 1) : `${n} ${ctx.cycle}`))
export const finishing = task('finishing', inThread, (n: number, ctx): void => {
  const held = { at: new Date(n) }
  ctx.finish(held)
  held.at = new Date(0) // after the call: nobody gets it
})
export const cancelling = task('cancelling', inThread, (_: unknown, ctx) => ctx.cancel('seen enough'))

export const throwing = task('throwing', inThread, (_: unknown): string => {
  throw new TypeError('no luck', { cause: new Error('the weather') })
})
export const hopeless = task('hopeless', { ...inThread, retry: { attempts: 5 } }, (_: unknown, ctx): string => {
  mark(ctx, `try ${ctx.attempt}`)
  throw Object.assign(new Error('bad request'), { retryable: false })
})
export const uncarried = task('uncarried', inThread, (_: unknown) => ({ deep: [() => 1] as unknown }))
export const uncheckedInput = task('unchecked-input', (n: string) => ({ n }))
/** A schema, without a library that each thread would load. */
const schema = <I, O>(of: (value: I) => O | undefined): StandardSchemaV1<I, O> => ({
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value) => {
      const found = of(value as I)
      return found === undefined ? { issues: [{ message: 'it does not fit' }] } : { value: found }
    },
  },
})
export const checked = task(
  'checked',
  {
    ...inThread,
    input: schema(({ n }: { n: string }) => (Number(n) > 0 ? { n: Number(n) } : undefined)),
    output: schema((text: string) => (text.length < 4 ? text : undefined)),
  },
  ({ n }) => 'x'.repeat(n),
)
export const large = task('large', inThread, (size: number) => new Uint8Array(size).fill(7))

/** Its error is thrown where nobody can catch it. */
export const crashing = task('crashing', inThread, async (_: unknown): Promise<string> => {
  setTimeout(() => {
    throw new RangeError('in a timer')
  }, 0)
  return new Promise<string>(() => undefined)
})
export const exiting = task('exiting', inThread, (_: unknown): string => process.exit(3))
export const hungry = task('hungry', inThread, (_: unknown): number => {
  const kept: unknown[] = []
  for (;;) kept.push(new Array(10_000).fill(kept.length))
})
/** Keeps the processor of a worker that is called `one`. */
export const untilLost = task('until-lost', inThread, (_: unknown, ctx) => {
  const name = process.env['TEST_WORKER'] ?? ''
  mark(ctx, `start on ${name}`)
  if (name === 'one') spin(SPUN_MS)
  return name
})

/** Its first thread is lost. */
export const secondTry = task('second-try', { ...inThread, retry: { attempts: 2 } }, (input: unknown, ctx) => {
  if (ctx.attempt === 1) process.exit(1)
  return [ctx.attempt, input]
})

/** Of two worker processes each has it; a producer only declares it. */
export const threeInVain = task('three-in-vain', { retry: { attempts: 3 } }, (_: unknown, ctx): string => {
  mark(ctx, `try ${ctx.attempt}`)
  throw new Error('no luck')
})
