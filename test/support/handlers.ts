/**
 * What the handlers of behaviour tests share: they tell what they do through the run itself (progress events), and wait at gates that other
 * handlers open (channels) or the test does. They run in the test's process and in worker processes, so nothing here may need jest.
 */
import type { TaskContext } from 'graflow'
import { isOpened } from './ledger.js'
import { pollMs } from './waits.js'

/** A signal ends it sooner. */
const LONG_MS = 1_000

/** Gates that a test opened for handlers in its own process; those in other processes find them in the ledger. */
export const openedByTests = new Set<string>()

/** Notes what a handler does, in the order of the calls; read by `logOf`. */
export const mark = (ctx: Pick<TaskContext, 'progress'>, text: string): void => ctx.progress(0, text)

/** Lets everybody pass who waits, or will wait, at the gate of this name in this run. */
export const openGate = (ctx: Pick<TaskContext, 'channel'>, name: string): Promise<void> =>
  ctx.channel.set(`gate:${name}`, true)

/** Whether the test itself has opened the gate; asks nobody, so it may be called when the start is over. */
export const isOpenedByTest = ({ runId }: Pick<TaskContext, 'runId'>, name: string): boolean =>
  openedByTests.has(`${runId} ${name}`) || isOpened(`${runId} ${name}`)

/** Waits at the gate; rejects as soon as the start is not wanted any more. */
export async function passGate(ctx: Pick<TaskContext, 'channel' | 'signal' | 'runId'>, name: string): Promise<void> {
  const from = performance.now()
  while (!isOpenedByTest(ctx, name) && !(await ctx.channel.has(`gate:${name}`)))
    await turn(ctx.signal, pollMs(performance.now() - from))
}

/** Waits until the start is not wanted any more, and rejects with the reason. */
export const untilAborted = async (ctx: Pick<TaskContext, 'signal'>): Promise<never> => {
  for (;;) await turn(ctx.signal, LONG_MS)
}

/** Lets the process do something else for a moment; rejects as soon as the start is not wanted any more. */
export async function turn(signal: AbortSignal, ms = 2): Promise<void> {
  signal.throwIfAborted()
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer)
        resolve()
      },
      { once: true },
    )
  })
  signal.throwIfAborted()
}
