/** How many places of unfinished runs wait, by reason, for metrics. Hides that the runs are looked at one by one, and that a look is kept for a while. */
import { UNFINISHED_STATES } from '../events.js'
import { GraflowError } from '../errors.js'
import { elapsedMs } from '../time.js'
import type { HandleServices } from '../producer/handle-services.js'
import { waitsOfRun } from '../producer/run-waits.js'
import type { RunWait } from '../producer/types.js'
import { WAIT_REASONS, type WaitReason } from '../producer/wait-reasons.js'
import { waitsOr } from './sift.js'

type Services = Pick<HandleServices, 'backend' | 'engine'>
type Counts = Readonly<Record<WaitReason, number>>

/** The newest runs are looked at, so many together; all of them cost the store some five calls each. */
const MOST_RUNS = 256
const AT_ONCE = 32
/** A reading within this time gets what the last look found. */
const KEPT_MS = 10_000

/** @returns what reads them; reading often is safe. It rejects with what the store throws, and looks anew the next time. */
export function waitCounts(services: Services): () => Promise<Counts> {
  let last: { readonly at: number; readonly counts: Promise<Counts> } | undefined
  return () => {
    const at = elapsedMs(services.engine.parts.clock)
    if (last !== undefined && at - last.at < KEPT_MS) return last.counts
    const look = { at, counts: countWaits(services) }
    last = look
    look.counts.catch(() => {
      if (last === look) last = undefined
    })
    return look.counts
  }
}

async function countWaits(services: Services): Promise<Counts> {
  const counts = Object.fromEntries(WAIT_REASONS.map((why) => [why, 0])) as Record<WaitReason, number>
  let after: string | undefined
  for (let looked = 0; looked < MOST_RUNS; looked += AT_ONCE) {
    const query = { states: UNFINISHED_STATES, limit: AT_ONCE, ...(after !== undefined && { after }) }
    const page = await services.backend.inspect.runs(query)
    const waits = await Promise.all(page.items.map(({ runId }) => waitsOrNone(services, runId)))
    for (const { why } of waits.flat()) counts[why] += 1
    if (page.after === undefined) break
    after = page.after
  }
  return counts
}

/** None of a run that is gone by now, or cannot be read: one such run must not hide what all others wait for. */
async function waitsOrNone(services: Services, runId: string): Promise<readonly RunWait[]> {
  try {
    return await waitsOr((id) => waitsOfRun(services, id), runId)
  } catch (error) {
    if (error instanceof GraflowError && error.code === 'INTEGRITY') return []
    throw error
  }
}
