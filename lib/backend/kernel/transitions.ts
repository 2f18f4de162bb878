/**
 * What several operations have in common: how branches move between states, and what follows from it. Hides that a group's counters,
 * its queue's counters, its place in the lane, sessions, notices and bytes must move together. An operation validates first; from the
 * first call into this file on nothing is refused.
 */
import type { EndState, OutcomeChunk, SavedValues } from '../backend.js'
import { byteLength, EMPTY_BYTES, item, itemCount, pack, type PackedItems } from '../../values/packed-items.js'
import { Children } from './children.js'
import type { DelayedBranch, Group, HeldGrant } from './group.js'
import type { Run } from './runs.js'
import type { KernelState } from './state.js'
import { addReady, countReady, endFlight, place, reopenLimit } from './waking.js'

const NO_INDEXES = new Uint32Array(0)

// -------------------------------------------------------------------------------------------------------------------- retries

/** The branch waits for its retry. */
export function delay(state: KernelState, group: Group, index: number, delayMs: number): void {
  group.table.makeDelayed(index)
  const delayed: DelayedBranch = { group, index, dueAt: 0, place: -1, order: 0 }
  group.delays ??= new Map()
  group.delays.set(index, delayed)
  group.delayed += 1
  group.lane.queue.delayed += 1
  group.lane.queue.delays.add(delayed, state.now + delayMs)
}

/** The retry is due; the caller has taken it from the queue's delays. */
export function promote(state: KernelState, { group, index }: DelayedBranch): void {
  group.delays?.delete(index)
  group.delayed -= 1
  group.lane.queue.delayed -= 1
  group.table.makeReady(index)
  group.requeue(index)
  addReady(state, group, 1)
}

// ------------------------------------------------------------------------------------------------------------------------ holding

/** Branches of a grant are no longer held. The table says what they are now. */
export function endHolding(state: KernelState, grant: HeldGrant, count: number): void {
  grant.held -= count
  grant.session.branches -= count
  if (grant.held > 0) return
  grant.indexes = NO_INDEXES
  state.deadlines.remove(grant)
  grant.session.forgetGrant(grant)
}

/** The group of a branch that this token holds, while the group is open. */
export function heldGroup(
  state: KernelState,
  holder: { readonly gid: string; readonly index: number; readonly token: string },
): Group | undefined {
  const group = state.groups.get(holder.gid)
  if (group === undefined || group.state !== 'open') return undefined
  const grant = group.grantByToken(holder.token)
  return grant !== undefined && group.table.isHeldUnder(holder.index, grant.number) ? group : undefined
}

/**
 * Reclaims up to `most` branches of a grant: `lost` with its session, `late` past its deadline, or given up by a session that
 * closes. Those that may start again are ready at once; the others have their outcome. Says how many there were.
 */
export function reclaim(state: KernelState, grant: HeldGrant, cause: 'lost' | 'late' | 'closed', most: number): number {
  const { group } = grant
  const { table, run, spec } = group
  const parks = group.isRoot && run.isStarted
  let taken = 0
  let ready = 0
  const ended: number[] = []
  for (const index of grant.indexes) {
    if (taken >= most) break
    if (!table.isHeldUnder(index, grant.number) || (cause === 'late' && table.hasStepped(index))) continue
    taken += 1
    table.forgetGrant(index)
    group.dereference(grant.number)
    const isSpent =
      cause === 'lost'
        ? table.addLoss(index) > spec.maxLosses && !parks
        : cause === 'late' && table.addError(index) >= spec.attempts && spec.attempts > 0
    if (isSpent) {
      table.finish(index, cause === 'lost' ? 'dead' : 'failed')
      ended.push(index)
    } else {
      table.makeReady(index)
      group.requeue(index)
      ready += 1
    }
  }
  if (taken === 0) return 0
  endHolding(state, grant, taken)
  if (grant.held === 0 && cause !== 'closed') {
    state.effects.notice(grant.session.id, { kind: 'lost', gid: spec.gid, token: grant.token })
  }
  endFlight(group, taken)
  if (group.isRoot) {
    run.driver = undefined
    if (parks) abandon(state, run)
  }
  addReady(state, group, ready)
  if (ended.length > 0) endWithout(state, group, ended, cause === 'lost' ? 'dead' : 'failed')
  else reopenLimit(state, group)
  return taken
}

/** A started run whose driver is gone is parked: its groups go on, its root waits for who resumes it. */
export function abandon(state: KernelState, run: Run): void {
  run.isAbandoned = true
  run.keptUntil = state.now + run.retentionMs
  state.purges.add(run.purge, run.keptUntil)
  state.effects.activity(run.id, 'state', run.id)
}

// ----------------------------------------------------------------------------------------------------------------------- outcomes

/** Outcomes that no worker reported: their values are empty. */
function endWithout(state: KernelState, group: Group, indexes: readonly number[], kind: 'dead' | 'failed'): void {
  for (const index of indexes) addDeadLetter(state, group, index, kind, EMPTY_BYTES)
  const values: PackedItems = { bytes: EMPTY_BYTES, ends: new Uint32Array(indexes.length) }
  arrive(state, group, { indexes: Uint32Array.from(indexes), kinds: indexes.map(() => kind), values })
}

export function addDeadLetter(
  state: KernelState,
  group: Group,
  index: number,
  kind: 'failed' | 'dead',
  error: Uint8Array,
): void {
  state.deadLetters.add({
    gid: group.spec.gid,
    index,
    runId: group.run.id,
    kind,
    errors: group.table.errors(index),
    losses: group.table.losses(index),
    at: state.wallNow,
    input: group.input(index),
    error,
  })
}

/** Final outcomes reach the barrier; the table has them already. Releases the group where its rule says so. */
export function arrive(state: KernelState, group: Group, chunk: OutcomeChunk): void {
  const count = chunk.indexes.length
  const failed = countFailed(chunk)
  group.chunks.push(chunk)
  group.left -= count
  group.failed += failed
  const bytes = byteLength(chunk.values) + count * 8
  group.outcomeBytes += bytes
  state.addBytes(group.run, bytes)
  if (group.children !== undefined)
    for (const index of chunk.indexes) closeChildren(state, group, index, 'the branch that opened it is over')
  const { rule } = group.spec
  const isMet =
    group.left === 0 || (rule === 'first-failure' && failed > 0) || (rule === 'first-success' && failed < count)
  if (isMet) {
    const reason =
      rule === 'first-failure' ? 'another branch of the group failed' : 'another branch of the group succeeded'
    close(state, group, 'released', reason)
    if (group.isRoot)
      endRun(state, group.run, failed > 0 ? 'failed' : 'completed', item(chunk.values, 0), 'the run is over')
  } else {
    reopenLimit(state, group)
  }
}

function countFailed(chunk: OutcomeChunk): number {
  let failed = 0
  for (const kind of chunk.kinds) if (kind !== 'succeeded') failed += 1
  return failed
}

/**
 * Closes a group and all below it. Branches that are not final count as withdrawn through the group's state alone; who holds them is
 * told, and the holder that waits for the group.
 */
export function close(state: KernelState, group: Group, as: 'released' | 'withdrawn', reason: string): void {
  if (group.state !== 'open') return
  group.state = as
  group.closedAt = state.now
  const { queue } = group.lane
  countReady(group.lane, -group.ready)
  queue.granted -= group.inFlight
  queue.delayed -= group.delayed
  if (group.delays !== undefined) for (const delayed of group.delays.values()) queue.delays.remove(delayed)
  if (group.affinityHold !== undefined) state.affinityHolds.remove(group.affinityHold)
  const wasHeld = group.inFlight > 0
  group.ready = 0
  group.inFlight = 0
  group.delayed = 0
  group.delays = undefined
  group.affinityHold = undefined
  place(group)
  const waiter = group.parent?.grantHolding(group.parentIndex)?.session
  if (wasHeld) notifyHolders(state, group, reason)
  if (group.children !== undefined) for (const child of group.children.all()) close(state, child, 'withdrawn', reason)
  group.parent?.children?.remove(group)
  if (waiter !== undefined) state.effects.notice(waiter.id, { kind: 'released', gid: group.spec.gid })
  if (!group.isRoot) state.effects.activity(group.run.id, 'group', group.spec.gid)
}

function notifyHolders(state: KernelState, group: Group, reason: string): void {
  const sessions = new Set<string>()
  for (const grant of group.heldGrants()) {
    sessions.add(grant.session.id)
    endHolding(state, grant, grant.held)
  }
  for (const id of sessions) state.effects.notice(id, { kind: 'withdrawn', gid: group.spec.gid, reason })
}

/** Withdraws the open groups that this branch opened. */
function closeChildren(state: KernelState, group: Group, index: number, reason: string): void {
  if (group.children !== undefined)
    for (const child of group.children.of(index)) close(state, child, 'withdrawn', reason)
}

/** A branch of the parent has opened this group. */
export function addChild(parent: Group, child: Group): void {
  parent.children ??= new Children()
  parent.children.add(child)
}

// --------------------------------------------------------------------------------------------------------------- what a run keeps

/** Saves outputs; a path that has one keeps it. */
export function save(state: KernelState, run: Run, values: SavedValues): void {
  for (let i = 0; i < itemCount(values.values); i++) {
    const path = values.paths[i]
    if (path === undefined || run.saved.has(path)) continue
    const value = item(values.values, i)
    run.saved.set(path, value)
    state.addBytes(run, value.length + path.length * 2)
  }
}

/** Lets all of a closed group go but its outcomes. */
export function retire(state: KernelState, group: Group): void {
  const bytes = group.workBytes
  group.retire()
  state.addBytes(group.run, -bytes)
}

// ----------------------------------------------------------------------------------------------------------------------- the end

/** Ends a run that has not ended: withdraws what is open of it, and sees to its purge. */
export function endRun(state: KernelState, run: Run, as: EndState, value: Uint8Array, reason: string): void {
  run.end = { state: as, value, at: state.wallNow }
  const root = run.groups.get(run.id)
  if (root !== undefined) close(state, root, 'withdrawn', reason)
  state.addBytes(run, value.length)
  if (run.timeout !== undefined) state.runTimeouts.remove(run.timeout)
  run.keptUntil = state.now + run.retentionMs
  state.purges.add(run.purge, Math.min(state.now + state.options.payloadRetentionMs, run.keptUntil))
  state.retained.add(run)
  state.withPayloads.add(run)
  state.retainedBytes += run.bytes
  state.effects.activity(run.id, 'state', run.id)
  trimRetained(state)
}

/** Deletes what an ended run's groups hold. */
export function purgePayloads(state: KernelState, run: Run): void {
  state.withPayloads.delete(run)
  for (const [gid, group] of run.groups) {
    state.addBytes(run, -group.workBytes - group.outcomeBytes)
    state.groups.delete(gid)
  }
  run.groups.clear()
}

/** Deletes a run that has ended or was abandoned, with all that it has. */
export function purgeRun(state: KernelState, run: Run): void {
  const root = run.groups.get(run.id)
  if (root !== undefined) close(state, root, 'withdrawn', 'the run is past its retention')
  purgePayloads(state, run)
  state.addBytes(run, -run.bytes)
  state.purges.remove(run.purge)
  if (run.timeout !== undefined) state.runTimeouts.remove(run.timeout)
  state.retained.delete(run)
  state.runs.delete(run.id)
  if (run.idempotencyKey !== undefined) state.runsByKey.delete(run.idempotencyKey)
  const runsOfGraph = (state.graphRuns.get(run.graph) ?? 1) - 1
  if (runsOfGraph === 0) state.graphRuns.delete(run.graph)
  else state.graphRuns.set(run.graph, runsOfGraph)
}

/** Keeps within the bounds on ended runs: payloads go before records, old runs before new ones, and never the newest. */
function trimRetained(state: KernelState): void {
  const { maxRetainedRuns, maxRetainedBytes } = state.options
  while (state.retainedBytes > maxRetainedBytes && state.withPayloads.size > 1) {
    const [oldest] = state.withPayloads
    if (oldest !== undefined) purgePayloads(state, oldest)
  }
  while ((state.retainedBytes > maxRetainedBytes || state.retained.size > maxRetainedRuns) && state.retained.size > 1) {
    const [oldest] = state.retained
    if (oldest !== undefined) purgeRun(state, oldest)
  }
}

/** One item, as a list. */
export function single(bytes: Uint8Array): PackedItems {
  return pack([bytes])
}
