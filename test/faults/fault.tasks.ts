/**
 * Tasks of the fault tests. Their handlers run in worker processes that are killed, stopped and cut off; what they do they note in the
 * ledger, which is no part of what is tested.
 */
import { type TaskContext, task } from 'graflow'
import { note, passGate } from '../support/ledger.js'
import { block, elapse } from '../support/waits.js'

export interface Item {
  readonly n: number
  /** Waits for it after its start. */
  readonly gate?: string
}

const started = (what: string, n: number, ctx: TaskContext): void => {
  note(what, { n, attempt: ctx.attempt, key: ctx.idempotencyKey, fence: ctx.fence })
}

/** Notes its start; passes the gate, unless it is not wanted any more; notes its end. */
export const gated = task('gated', async ({ n, gate }: Item, ctx) => {
  started('start', n, ctx)
  if (gate !== undefined) await passGate(gate, ctx.signal)
  note('end', { n })
  return n
})

/** As gated, and does not look at the signal. */
export const stubborn = task('stubborn', async ({ n, gate }: Item, ctx) => {
  started('start', n, ctx)
  ctx.signal.addEventListener('abort', () => note('signal', { n, reason: String(ctx.signal.reason) }))
  if (gate !== undefined) await passGate(gate)
  note('end', { n })
  return n
})

/** Keeps the event loop for so many milliseconds. */
export const blocking = task('blocking', (ms: number, ctx) => {
  started('start', ms, ctx)
  block(ms)
  note('end', { n: ms })
  return ms
})

/** The same with a timeout that it cannot hear. */
export const deaf = task('deaf', { timeoutMs: 500, maxLosses: 0 }, (ms: number, ctx) => {
  started('start', ms, ctx)
  block(ms)
  return ms
})

/** Never ends by itself. */
export const hung = task('hung', { timeoutMs: 500, retry: { attempts: 2 } }, async (n: number, ctx) => {
  started('start', n, ctx)
  ctx.signal.addEventListener('abort', () => note('signal', { n, reason: String(ctx.signal.reason) }))
  return new Promise<number>(() => undefined)
})

/** Takes all memory there is at its first start. */
export const hungry = task('hungry', (n: number, ctx) => {
  started('start', n, ctx)
  const hoard: unknown[] = []
  while (ctx.attempt === 1) hoard.push(Array.from({ length: 1_000 }, () => ({ n })))
  return n
})

/** Takes its whole process down where n is 5. */
export const poison = task('poison', (n: number, ctx) => {
  started('start', n, ctx)
  if (n === 5) process.kill(process.pid, 'SIGKILL')
  return n
})

/** Throws where nobody catches it, in the process of whoever runs it. */
export const strayThrow = task('stray-throw', async ({ n, gate }: Item, ctx) => {
  started('start', n, ctx)
  setTimeout(() => {
    throw new Error('thrown in a timer')
  })
  if (gate !== undefined) await passGate(gate, ctx.signal)
  return n
})

export const strayRejection = task('stray-rejection', async ({ n, gate }: Item, ctx) => {
  started('start', n, ctx)
  void Promise.reject(new Error('rejected, and nobody looks'))
  if (gate !== undefined) await passGate(gate, ctx.signal)
  return n
})

/** Ends in an error twice, then succeeds, with a delay between. */
export const retried = task('retried', { retry: { attempts: 3, delayMs: 50 } }, (n: number, ctx) => {
  started('start', n, ctx)
  if (ctx.attempt < 3) throw new Error(`attempt ${ctx.attempt}`)
  return n
})

/** A deadline far away, and time for the wall clock to step. */
export const limited = task('limited', { timeoutMs: 60_000 }, async (n: number) => {
  for (let i = 0; i < 5; i += 1) await new Promise((resolve) => setImmediate(resolve))
  return n
})

const cycle: { self?: unknown } = {}
cycle.self = cycle
const odd: Readonly<Record<string, () => unknown>> = {
  symbol: () => ({ x: Symbol('s') }),
  function: () => [() => 1],
  cycle: () => cycle,
  class: () => new URL('http://localhost'),
  large: () => 'x'.repeat(1_200_000),
}
/** Returns what cannot be sent. */
export const returning = task('returning', (kind: string) => {
  const make = odd[kind]
  return make === undefined ? kind : make()
})

/** Takes 5 ms or so, and something to hold. */
export const slow = task('slow', async ({ n }: { readonly n: number; readonly filling: string }) => {
  await elapse(5)
  return n
})

/** Takes 5 ms, and notes its end. */
export const steady = task('steady', async (n: number, ctx) => {
  started('start', n, ctx)
  await elapse(5)
  note('end', { n })
  return n
})
