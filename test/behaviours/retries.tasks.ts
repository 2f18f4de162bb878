/** Tasks of retries.test.ts. */
import { each, NotRetryableError, par, seq, task } from 'graflow'
import { isOpenedByTest, mark, passGate } from '../support/handlers.js'
import { until } from '../support/waits.js'

/** Fails in its first two attempts. */
const flaky = async (
  input: string,
  ctx: Parameters<typeof mark>[0] & { readonly attempt: number; readonly taskName: string },
) => {
  mark(ctx, `${ctx.taskName} ${ctx.attempt}`)
  if (ctx.attempt < 3) throw new Error(`attempt ${ctx.attempt} failed`)
  return `${input} ${ctx.attempt}`
}
export const fourAttempts = task('four-attempts', { retry: { attempts: 4 } }, flaky)
export const oneAttempt = task('one-attempt', flaky)
export const steady = task('steady', (input: string, ctx) => {
  mark(ctx, 'steady')
  return input
})

export const threeInVain = task('three-in-vain', { retry: { attempts: 3 } }, (input: { id: number }, ctx): string => {
  mark(ctx, `try ${ctx.attempt}`)
  throw new TypeError(`no luck with ${input.id}, try ${ctx.attempt}`, { cause: new Error('the weather') })
})

const delayed = (
  name: string,
  retry: { attempts: number; delayMs: number; factor?: number; maxDelayMs?: number; jitter?: number },
) =>
  task(name, { retry }, (_: unknown, ctx): string => {
    mark(ctx, 'start')
    throw new Error('again')
  })
export const doubling = delayed('doubling', { attempts: 4, delayMs: 1_000, factor: 2 })
export const capped = delayed('capped', { attempts: 4, delayMs: 1_000, factor: 100, maxDelayMs: 5_000 })
export const constant = delayed('constant', { attempts: 4, delayMs: 300 })
export const jittered = delayed('jittered', { attempts: 20, delayMs: 1_000, jitter: 0.4 })

export const notRetryable = task('not-retryable', { retry: { attempts: 5 } }, (_: unknown, ctx): string => {
  mark(ctx, `try ${ctx.attempt}`)
  throw new NotRetryableError('bad request')
})
export const markedNotRetryable = task('marked', { retry: { attempts: 5 } }, (_: unknown, ctx): string => {
  mark(ctx, `try ${ctx.attempt}`)
  throw Object.assign(new Error('bad request'), { code: 'E_BAD', retryable: false })
})

/** Does not look at its signal, and ends when the test lets it, or three seconds later. */
export const deaf = task('deaf', { timeoutMs: 50 }, async (_: unknown, ctx) => {
  mark(ctx, 'started')
  ctx.signal.addEventListener('abort', () => {
    mark(ctx, `signal: ${(ctx.signal.reason as { code: string }).code}`)
  })
  await until(() => isOpenedByTest(ctx, 'late'), 'the test', 3_000).catch(() => undefined)
  mark(ctx, 'ended')
  return 'too late'
})
export const timesOutTwice = task(
  'times-out-twice',
  { timeoutMs: 50, retry: { attempts: 3 } },
  async (_: unknown, ctx) => {
    mark(ctx, `start ${ctx.attempt}`)
    if (ctx.attempt < 3) await passGate(ctx, 'never opened')
    return ctx.attempt
  },
)

export const facts = task('facts', { retry: { attempts: 4 } }, (_: unknown, ctx) => {
  mark(ctx, JSON.stringify([ctx.attempt, ctx.idempotencyKey, ctx.fence]))
  if (ctx.attempt < 4) throw new Error('again')
  return ctx.attempt
})

export const chain = seq(steady, fourAttempts, steady)
export const inBranches = par(fourAttempts, steady)
export const overItems = each(fourAttempts)

export const spoils = task('spoils', { retry: { attempts: 3 } }, (list: number[], ctx) => {
  list.push(99)
  if (ctx.attempt < 3) throw new Error('again')
  return list
})
