/**
 * Branches of a run that are at work now, for the lanes of their workers. The store knows who holds a branch and since when, not when its handler began: a worker
 * holds some more than it starts at once. So each gets the slot that is free first, from when that is free, and those for which there is none are left out.
 */
import type { GroupStatus, Inspector } from '../backend/backend.js'
import type { RunningBranch } from '../report/timeline.js'
import type { Workers } from './group-times.js'
import type { KnownGroup } from './report-groups.js'
import { Lane } from './timeline-lanes.js'

/** Of all groups together. */
const MOST_RUNNING = 500
const MOST_GROUPS = 32

/** A group that is shown, at its number in the timeline. */
interface Shown {
  readonly status: GroupStatus
  readonly known: KnownGroup
}

/** One that a worker holds; times are since the creation of the run. */
export interface Held {
  readonly group: number
  readonly index: number
  readonly worker: number
  readonly grantedAt: number
}

/** What workers hold of the groups that are open. */
export async function heldOf(
  inspect: Pick<Inspector, 'held' | 'sessions'>,
  groups: readonly Shown[],
  { workers, createdAt }: { readonly workers: Workers; readonly createdAt: number },
): Promise<readonly Held[]> {
  const open = [...groups.entries()].filter(([, { status }]) => status.state === 'open' && status.granted > 0)
  if (open.length === 0) return []
  const [sessions, ...grants] = await Promise.all([
    inspect.sessions(),
    ...open.slice(0, MOST_GROUPS).map(([, { status }]) => inspect.held(status.gid, MOST_RUNNING)),
  ])
  const nameOf = new Map(sessions.map(({ session, baseId }) => [session, baseId]))
  const found: Held[] = []
  for (const [i, held] of grants.entries()) {
    for (const { session, grantedAt, indexes } of held) {
      const name = nameOf.get(session)
      // its worker is lost: what it held is ready again in a moment
      if (name === undefined) continue
      const worker = workers.named(name)
      for (const index of indexes.slice(0, MOST_RUNNING - found.length))
        found.push({ group: open[i]?.[0] ?? 0, index, worker, grantedAt: grantedAt - createdAt })
    }
  }
  return found
}

/** Gives each of them a slot of its worker; lanes of workers of which nothing has ended yet come to the others. */
export function withRunning(
  lanes: readonly Lane[],
  held: readonly Held[],
  groups: readonly Shown[],
): { readonly lanes: readonly Lane[]; readonly running: readonly RunningBranch[] } {
  const found = new Map(lanes.map((lane) => [lane.worker, lane]))
  const free = new Map<Lane, number[]>()
  const running: RunningBranch[] = []
  for (const { group, index, worker, grantedAt } of held) {
    let lane = found.get(worker)
    if (lane === undefined) found.set(worker, (lane = new Lane(worker, [])))
    let until = free.get(lane)
    if (until === undefined) free.set(lane, (until = lane.freeFrom()))
    const row = lane.slotFor(until, grantedAt)
    const branch = groups[group]?.known.branchOf(index)
    if (row === undefined || branch === undefined) continue
    const start = Math.max(grantedAt, until[row] ?? 0)
    until[row] = Number.POSITIVE_INFINITY
    const { path, task, label, errors, losses } = branch
    running.push({
      group,
      index,
      path,
      task,
      worker,
      row,
      start,
      again: errors + losses,
      ...(label !== undefined && { label }),
    })
  }
  const all = [...found.values()].map((lane) => lane.withSlots(free.get(lane)?.length ?? 0))
  return { lanes: all.sort((a, b) => a.worker - b.worker), running }
}
