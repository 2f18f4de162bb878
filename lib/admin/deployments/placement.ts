/** On which worker a pipeline is: what its strategy and its affinity say of the workers that live. Decides, and writes nothing. */
import type { NodeStatus, SessionStatus } from '../../backend/backend.js'
import { RUNS_QUEUE } from '../../options.js'
import type { PlacementStrategy } from '../../producer/deployment-types.js'

/** A worker that takes submitted runs. */
export interface Candidate {
  /** What it calls itself. */
  readonly id: string
  readonly tasks: ReadonlySet<string> | 'all'
  /** Branches that it holds, and runs that it drives. */
  readonly inFlight: number
  /** It leaves soon. */
  readonly isLeaving: boolean
}

/** Those that live, by id. */
export function candidatesFrom(
  sessions: readonly SessionStatus[],
  nodes: readonly NodeStatus[],
): ReadonlyMap<string, Candidate> {
  const leaving = new Set(nodes.filter(({ state }) => state === 'draining').map(({ session }) => session))
  const found = new Map<string, Candidate>()
  for (const { baseId: id, session, role, queues, tasks, branches, runs } of sessions) {
    if (role === 'observer' || (queues !== 'all' && !queues.includes(RUNS_QUEUE))) continue
    const isLeaving = leaving.has(session) && found.get(id)?.isLeaving !== false
    const inFlight = branches + runs + (found.get(id)?.inFlight ?? 0)
    found.set(id, { id, tasks: tasks === 'all' ? 'all' : new Set(tasks), inFlight, isLeaving })
  }
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** A pipeline that is to be placed. */
export interface Unplaced {
  readonly name: string
  /** What it needs handlers for. */
  readonly tasks: readonly string[]
  readonly affinity: string | undefined
}

/** What placing goes by, and changes. */
export interface PlacingState {
  /** The worker that was taken last in turn; empty: none was. */
  cursor: string
  /** How many pipelines each worker has. */
  readonly placed: Map<string, number>
}

/** Where a pipeline goes now; undefined where no worker lives that could drive it. */
export function placeOf(
  pipeline: Unplaced,
  candidates: ReadonlyMap<string, Candidate>,
  strategy: PlacementStrategy,
  state: PlacingState,
): string | undefined {
  const wanted = pipeline.affinity === undefined ? undefined : candidates.get(pipeline.affinity)
  const chosen = wanted?.isLeaving === false ? wanted.id : chooseAmong(ableOf(pipeline, candidates), strategy, state)
  if (chosen !== undefined) state.placed.set(chosen, (state.placed.get(chosen) ?? 0) + 1)
  return chosen
}

/** Whether a place is not right any more: its worker is lost or leaves, or the one that is wanted is there again. */
export function isMisplaced(
  pipeline: Unplaced,
  workerId: string | undefined,
  candidates: ReadonlyMap<string, Candidate>,
): boolean {
  const isWantedThere = pipeline.affinity !== undefined && candidates.get(pipeline.affinity)?.isLeaving === false
  if (isWantedThere) return workerId !== pipeline.affinity
  const at = workerId === undefined ? undefined : candidates.get(workerId)
  const isOthers = [...candidates.values()].some(({ isLeaving }) => !isLeaving)
  return at === undefined ? candidates.size > 0 : at.isLeaving && isOthers
}

/** Those that know most of its tasks: what a driver does not know it dispatches to others. None that leaves, where another is there. */
function ableOf({ tasks }: Unplaced, candidates: ReadonlyMap<string, Candidate>): readonly Candidate[] {
  const all = [...candidates.values()]
  const staying = all.filter(({ isLeaving }) => !isLeaving)
  const among = staying.length > 0 ? staying : all
  const known = among.map((one) => (one.tasks === 'all' ? tasks.length : countKnown(one.tasks, tasks)))
  const most = Math.max(0, ...known)
  return among.filter((_, i) => known[i] === most)
}

const countKnown = (has: ReadonlySet<string>, tasks: readonly string[]): number =>
  tasks.filter((task) => has.has(task)).length

function chooseAmong(able: readonly Candidate[], strategy: PlacementStrategy, state: PlacingState): string | undefined {
  if (strategy === 'least-loaded') {
    const loadOf = ({ id, inFlight }: Candidate): number => (state.placed.get(id) ?? 0) + inFlight
    return able.reduce<Candidate | undefined>(
      (least, one) => (least === undefined || loadOf(one) < loadOf(least) ? one : least),
      undefined,
    )?.id
  }
  const next = able.find(({ id }) => id > state.cursor) ?? able[0]
  if (next !== undefined) state.cursor = next.id
  return next?.id
}
