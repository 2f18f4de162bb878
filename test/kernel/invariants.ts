/** What must be true of the kernel's state between any two operations, and a picture of it for comparing. */
import { item } from '../../lib/values/packed-items.js'
import type { Group, Session } from '../../lib/backend/kernel/group.js'
import { isServedBefore } from '../../lib/backend/kernel/ready-queue.js'
import type { KernelState } from '../../lib/backend/kernel/state.js'
import { mayTake } from '../../lib/backend/kernel/waking.js'

/** Everything but the time, as plain data. Two pictures are equal when nothing happened between them. */
export function pictureOf(state: KernelState): unknown {
  return {
    runs: [...state.runs.values()].map((run) => ({
      record: run.record(0),
      lostAt: run.lostAt,
      isPaused: run.isPaused,
      bytes: run.bytes,
      saved: [...run.saved],
      waits: [[...(run.waits?.open.keys() ?? [])], [...(run.waits?.addresses.keys() ?? [])]],
      channels: run.channels?.bytes,
      groups: [...run.groups.keys()],
    })),
    keys: [...state.runsByKey.keys()],
    groups: [...state.groups].map(([gid, group]) => ({
      gid,
      state: group.state,
      table: [...group.table.bytes],
      counters: [group.next, group.fill, group.left, group.failed, group.ready, group.inFlight, group.delayed],
      returned: [...group.requeued],
      chunks: group.chunks.length,
      children: group.children?.all().map(({ spec }) => spec.gid),
      parked: [group.parked, [...(group.parks?.keys() ?? [])]],
      delays: [...(group.delays ?? [])].map(([index, { dueAt }]) => [index, dueAt]),
      grants: group.heldGrants().map(({ token, held, dueAt }) => [token, held, dueAt]),
      isQueued: group.isQueued,
      isRetired: group.isRetired,
      isReopened: group.isReopened,
    })),
    queues: [...state.queues.values()].map(({ name, ready, delayed, granted: granted, isPaused, lanes, delays }) => ({
      name,
      counters: [ready, delayed, granted, delays.size],
      isPaused,
      lanes: [...lanes].map((lane) => Array.from({ length: lane.size }, (_, i) => lane.at(i)?.spec.gid)),
    })),
    sessions: [...state.sessions.values()].map((session) => [
      session.id,
      session.branches,
      session.expiresAt,
      session.grants.size,
    ]),
    waiting: [...state.waiting].map(({ id }) => id),
    lost: [...state.lost].map(({ id }) => id),
    due: [state.deadlines, state.wakes, state.affinityHolds, state.runTimeouts, state.purges].map(
      (queue) => queue.size,
    ),
    bytes: state.bytes,
    retained: [...state.retained].map(({ id }) => id),
    deadLetters: state.deadLetters.list(1_000).length,
  }
}

/** Throws where a count does not equal its recount. `woken`: sessions that were told of work and have not asked since. */
export function checkInvariants(state: KernelState, woken: ReadonlySet<string>): void {
  for (const group of state.groups.values()) checkGroup(group)
  checkQueues(state)
  checkSessions(state)
  checkBells(state, woken)
  const runBytes = [...state.runs.values()].reduce((sum, run) => sum + run.bytes, 0)
  const graphBytes = [...state.graphs.values()].reduce((sum, graph) => sum + graph.bytes.length, 0)
  const timed = [...state.runs.values()].flatMap((run) => [...(run.waits?.open.values() ?? [])])
  const parks = [...state.groups.values()].flatMap((group) => [...(group.parks?.values() ?? [])])
  equal('wakes', state.wakes.size, [...timed, ...parks].filter(({ place }) => place >= 0).length)
  for (const { id, end, waits } of state.runs.values()) {
    if (end === undefined || waits === undefined) continue
    // signals that came before their waits stay, for a retry
    const isKept = [...waits.addresses.values()].every((found) => found instanceof Uint8Array)
    equal(`${id} waits`, [waits.open.size, isKept, waits.addresses.size], [0, true, waits.kept])
  }
  equal('bytes', state.bytes, runBytes + graphBytes)
  equal(
    'retained bytes',
    state.retainedBytes,
    [...state.retained].reduce((sum, run) => sum + run.bytes, 0),
  )
}

function checkGroup(group: Group): void {
  const { gid, size, limit } = group.spec
  if (group.isRetired) return
  const { table } = group
  const counts = table.counts()
  const finals = counts.succeeded + counts.failed + counts.dead
  equal(`${gid} left`, group.left, size - finals)
  const seen = new Set<number>()
  for (const chunk of group.chunks) {
    chunk.indexes.forEach((index, i) => {
      if (seen.has(index)) throw new Error(`${gid}#${index} has two outcomes`)
      seen.add(index)
      equal(`${gid}#${index} outcome`, chunk.kinds[i], table.state(index))
      item(chunk.values, i)
    })
  }
  equal(`${gid} outcomes`, seen.size, finals)
  if (group.state === 'open') {
    const waiting = Array.from({ length: size - group.filled }, (_, i) => group.filled + i)
    const unfilled = waiting.filter((index) => table.isReady(index)).length
    equal(`${gid} ready`, group.ready, counts.ready - unfilled)
    equal(`${gid} in flight`, group.inFlight, counts.granted)
    const parked = Array.from({ length: size }, (_, index) => index).filter((index) => table.isParked(index))
    equal(`${gid} parked`, group.parked, parked.length)
    equal(`${gid} delayed`, group.delayed, counts.delayed - parked.length)
    equal(`${gid} delays`, group.delays?.size ?? 0, counts.delayed - parked.length)
    if (group.isRoot) equal(`${gid} waits`, group.run.isParked, parked.length > 0)
    if (group.left === 0) throw new Error(`${gid} is open with nothing left`)
    if (limit > 0 && group.inFlight > limit)
      throw new Error(`${gid} has ${group.inFlight} in flight over its limit ${limit}`)
    if (group.parent !== undefined) {
      if (group.parent.state !== 'open') throw new Error(`${gid} is open below a group that is not`)
      if (['succeeded', 'failed', 'dead'].includes(group.parent.table.state(group.parentIndex)))
        throw new Error(`${gid} is open below a branch that is final`)
      equal(`${gid} is a child`, group.parent.children?.of(group.parentIndex).includes(group), true)
    }
  } else {
    equal(`${gid} outcomes after its end`, seen.size + group.withdrawn().indexes.length, size)
    equal(
      `${gid} counters after its end`,
      [group.ready, group.inFlight, group.delayed, group.parked, group.heldGrants().length],
      [0, 0, 0, 0, 0],
    )
  }
  for (const child of group.children?.all() ?? []) {
    equal(`${child.spec.gid} below ${gid}`, child.state, 'open')
  }
  for (const grant of group.heldGrants()) {
    equal(
      `${gid} ${grant.token}`,
      grant.held,
      grant.indexes.filter((index) => table.isHeldUnder(index, grant.number)).length,
    )
    let named = 0
    for (let index = 0; index < size; index++) if (table.grantNumber(index) === grant.number) named += 1
    equal(`${gid} ${grant.token} references`, grant.references, named)
    if (!grant.session.grants.has(grant)) throw new Error(`${gid} ${grant.token} is not owned by its session`)
  }
}

function checkQueues(state: KernelState): void {
  for (const queue of state.queues.values()) {
    const open = [...state.groups.values()].filter((group) => group.state === 'open' && group.lane.queue === queue)
    const counted = open.filter(({ isOpeners }) => !isOpeners)
    const sum = (count: (group: Group) => number): number => counted.reduce((total, group) => total + count(group), 0)
    equal(
      `${queue.name} ready`,
      queue.ready,
      sum(({ ready }) => ready),
    )
    equal(
      `${queue.name} granted`,
      queue.granted,
      sum(({ inFlight }) => inFlight),
    )
    equal(
      `${queue.name} delayed`,
      queue.delayed,
      open.reduce((total, { delayed }) => total + delayed, 0),
    )
    equal(`${queue.name} delays`, queue.delays.size, queue.delayed)
    const standing: Group[] = []
    for (const lane of queue.lanes) {
      if (lane.size === 0) throw new Error(`${queue.name} has an empty lane`)
      for (let i = 0; i < lane.size; i++) {
        const group = lane.at(i)
        const before = i === 0 ? undefined : lane.at(i - 1)
        if (group === undefined || (before !== undefined && !isServedBefore(before, group)))
          throw new Error('a lane is out of order')
        standing.push(group)
      }
    }
    const grantable = open.filter(
      ({ ready, inFlight, spec, run, isRoot }) =>
        ready > 0 &&
        (spec.limit === 0 || inFlight < spec.limit) &&
        !run.isPaused &&
        !(isRoot && (run.isAbandoned || (run.isLeftBehind && run.lostAt !== undefined))),
    )
    const names = (groups: readonly Group[]): string[] => groups.map(({ spec }) => spec.gid).sort()
    equal(`${queue.name} lanes`, names(standing), names(grantable))
  }
}

function checkSessions(state: KernelState): void {
  for (const session of [...state.sessions.values(), ...state.lost]) {
    let held = 0
    for (const grant of session.grants) {
      if (grant.held <= 0) throw new Error(`${session.id} owns ${grant.token}, of which nothing is held`)
      held += grant.held
    }
    equal(`${session.id} branches`, session.branches, held)
  }
  const bases = new Map<string, number>()
  for (const { info } of state.sessions.values()) bases.set(info.baseId, (bases.get(info.baseId) ?? 0) + 1)
  equal('bases', [...state.bases].sort(), [...bases].sort())
  for (const session of state.waiting)
    if (!state.sessions.has(session.id)) throw new Error(`${session.id} waits and is gone`)
}

/**
 * Where somebody waits beside work, somebody who could take it was woken and is on the way: of each lane it is asked about the first
 * group that the waiting session could take.
 */
function checkBells(state: KernelState, woken: ReadonlySet<string>): void {
  const isComing = [...state.coming].map(({ id }) => id).filter((id) => !woken.has(id))
  equal('woken without a notice', isComing, [])
  const could = (session: Session, group: Group): boolean =>
    session.wait !== undefined && mayTake(state, session, session.wait, group)
  for (const queue of state.queues.values()) {
    if (queue.isPaused) continue
    for (const lane of queue.lanes) {
      const groups = Array.from({ length: lane.size }, (_, i) => lane.at(i)).filter((group) => group !== undefined)
      if (groups.some(({ affinityHold }) => affinityHold !== undefined)) continue // who may take it changes with time alone
      for (const waiting of state.waiting) {
        const group = groups.find((other) => could(waiting, other))
        if (group === undefined || [...state.coming].some((session) => could(session, group))) continue
        throw new Error(`${waiting.id} waits beside ${group.spec.gid}, and nobody was woken for it`)
      }
    }
  }
}

function equal(what: string, got: unknown, expected: unknown): void {
  if (JSON.stringify(got) !== JSON.stringify(expected)) {
    throw new Error(`${what}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(got)}`)
  }
}
