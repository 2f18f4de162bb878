/** A walk over flows, workers that come and go, pauses and limits: at no moment a run stands still and has no wait. */
import { each, later, par, seq, task, waitFor, type AnyNode, type Run } from 'graflow'
import { seededRandom } from '../../lib/time.js'
import { elapse, until } from './waits.js'
import { openStore, type STORES } from './waits-worlds.js'

/** A run that has no wait for so long, and in which nothing happens meanwhile, stands still in silence. */
const SILENCE_MS = 1_500

const quick = task('quick', (n: number) => n)
const slow = task('slow', async (n: number) => {
  await elapse(30)
  return n
})
const onGpu = task('on-gpu', { requires: ['gpu'] }, (n: number) => n)
const onQueue = task('on-queue', { queue: 'q' }, (n: number) => n)
const flaky = task('flaky', { retry: { attempts: 9, delayMs: 400 } }, (n: number, ctx) => {
  if (ctx.attempt < 3) throw new Error('not yet')
  return n
})
const list = task('list', (n: number) => Array.from({ length: n }, (_, i) => i))
const ALL = [quick, slow, onGpu, onQueue, flaky, list]
const FLOWS = [
  seq(list, each(slow).configure({ concurrency: 2 })),
  par(onGpu, onQueue, quick),
  seq(flaky, onQueue, quick),
  seq(list, each(seq(quick, flaky))),
  seq(quick, waitFor('ok')),
  seq(later(quick, 300), onGpu),
] as readonly AnyNode[] as readonly (typeof quick)[]

const OVER: readonly string[] = ['completed', 'failed', 'cancelled']

/** Walks so many steps. Gives how many runs there were. */
export async function walk(name: (typeof STORES)[number], seed: number, steps: number): Promise<number> {
  const random = seededRandom(seed)
  const below = (n: number): number => Math.floor(random() * n)
  const store = await openStore(name)
  const client = await store.client()
  const workers: { stop(timeoutMs?: number): Promise<void> }[] = []
  const runs: Run<unknown>[] = []
  let isQueuePaused = false
  /** Looks at all runs until each has a wait, is over, or moves. */
  const look = async (): Promise<void> => {
    for (const run of runs) {
      let before = ''
      let since = performance.now()
      await until(
        async () => {
          const { waits, ...status } = await run.status()
          if (OVER.includes(status.state) || waits.length > 0) return true
          const now = JSON.stringify(status)
          if (now !== before) {
            before = now
            since = performance.now()
            return false
          }
          if (performance.now() - since > SILENCE_MS) throw new Error(`run ${run.id} stands still: ${now}`)
          return false
        },
        () => `a wait or an end of run ${run.id}: ${before}`,
      )
    }
  }
  try {
    for (let step = 0; step < steps; step += 1) {
      const [what, run] = [below(8), runs[below(runs.length)]]
      const flow = FLOWS[below(FLOWS.length)]
      if (what <= 2 && flow !== undefined && runs.length < 12)
        runs.push(await (below(2) === 0 ? client.start(flow, 3) : client.submit(flow, 3)))
      else if (what === 3 && workers.length < 3) {
        const tasks = below(3) === 0 ? ALL.slice(0, 3) : ALL
        const options = { queues: below(2) === 0 ? ['default'] : ['default', 'q'], maxConcurrentTasks: 2 }
        workers.push(
          await store.worker(`w${step}`, tasks, { ...options, ...(below(2) === 0 && { capabilities: ['gpu'] }) }),
        )
      } else if (what === 4) await workers.splice(below(workers.length), 1)[0]?.stop(0)
      else if (what === 5) await run?.pause().catch(() => false)
      else if (what === 6) await run?.resume().catch(() => false)
      else if (what === 7) {
        isQueuePaused = !isQueuePaused
        await (isQueuePaused ? client.queues.pause('default') : client.queues.resume('default'))
      }
      await look()
    }
    return runs.length
  } finally {
    for (const run of runs) await run.cancel('the walk is over')
    await Promise.all(runs.map((run) => run.result().catch(() => undefined)))
    await store.end()
  }
}
