/**
 * Settling: whether a result counts is decided by its token alone, branch by branch. A range of final outcomes that are all current,
 * which is nearly every range, is counted in one loop, and the worker's own arrays become the stored outcomes.
 */
import type {
  OutcomeChunk,
  OutcomeKind,
  Park,
  SettleAnswer,
  SettleKind,
  SettleRange,
  SettleRequest,
} from '../backend.js'
import { gather, item } from '../../values/packed-items.js'
import { checkSettle } from '../request-checks.js'
import { arrive } from './barrier.js'
import { MOST_RETRIED_BYTES } from '../kept.js'
import { addDeadLetter } from './dead-letters.js'
import { loseDriver } from './drivers.js'
import { endHolding } from './grants.js'
import type { Group, HeldGrant } from './group.js'
import { delay, requeue } from './retries.js'
import { save } from './runs.js'
import type { KernelState } from './state.js'
import { endStart } from './tasks-in-hand.js'
import { addReady, endFlight, reopenLimit } from './waking.js'
import { parkBranch } from './waits.js'

/**
 * Settles branches of many grants; one answer a range. A repeated range is `dup` and changes nothing. A malformed request throws
 * before anything is counted.
 */
export function settle(state: KernelState, request: SettleRequest): SettleAnswer[] {
  checkSettle(request, state.options)
  return request.ranges.map((range) => settleRange(state, range))
}

function settleRange(state: KernelState, range: SettleRange): SettleAnswer {
  const group = state.groups.get(range.gid)
  if (group === undefined || group.isRetired) return 'gone'
  const grant = group.grantByToken(range.token)
  if (grant === undefined) return 'fenced'
  const indexes = range.indexes instanceof Uint32Array ? range.indexes : Uint32Array.from(range.indexes)
  if (group.state !== 'open') return refusal(group, grant, indexes)
  const settled = group.table.settleFinals(indexes, range.kinds, grant.number)
  if (settled === indexes.length && settled > 0) {
    acceptWhole(state, group, grant, indexes, range)
    return 'ok'
  }
  return settleMixed(state, group, grant, indexes, settled, range)
}

function acceptWhole(
  state: KernelState,
  group: Group,
  grant: HeldGrant,
  indexes: Uint32Array,
  range: SettleRange,
): void {
  const kinds = range.kinds as readonly OutcomeKind[] // the table has settled them all, which it does to final kinds only
  endHolding(state, grant, indexes.length)
  if (group.tasks !== undefined) for (const index of indexes) endStart(state, group, index, true)
  endFlight(group, indexes.length)
  writeDeadLetters(state, group, indexes, kinds, range, undefined)
  if (range.save !== undefined) save(state, group.run, range.save)
  state.effects.activity(group.run.id, 'settled', group.spec.gid)
  arrive(state, group, { indexes, kinds, values: range.values, ...timesOf(range, indexes) })
}

/** What became of a range that is settled branch by branch. */
class Mixed {
  /** Positions in the range of those with an outcome now, and their kinds. */
  readonly finals: number[] = []
  readonly kinds: OutcomeKind[] = []
  ready = 0
  delayed = 0
  readonly parked: { readonly index: number; readonly park: Park }[] = []
  isFenced = false

  get accepted(): number {
    return this.finals.length + this.ready + this.delayed + this.parked.length
  }

  end(position: number, kind: OutcomeKind): void {
    this.finals.push(position)
    this.kinds.push(kind)
  }
}

/** Branch by branch: the first `settled` are final in the table already. */
function settleMixed(
  state: KernelState,
  group: Group,
  grant: HeldGrant,
  indexes: Uint32Array,
  settled: number,
  range: SettleRange,
): SettleAnswer {
  const { run, spec } = group
  const mixed = settleBranches(state, group, grant, indexes, settled, range)
  const { accepted, finals, kinds } = mixed
  if (accepted === 0) return mixed.isFenced ? 'fenced' : 'dup'
  endHolding(state, grant, accepted)
  endFlight(group, accepted)
  if (group.isRoot && finals.length + mixed.parked.length === 0) loseDriver(state, group)
  if (range.save !== undefined) save(state, run, range.save)
  state.effects.activity(run.id, 'settled', spec.gid)
  addReady(state, group, mixed.ready)
  for (const { index, park } of mixed.parked) parkBranch(state, group, index, park)
  if (finals.length > 0) {
    const ended = Uint32Array.from(finals, (position) => indexes[position] ?? 0)
    writeDeadLetters(state, group, ended, kinds, range, finals)
    arrive(state, group, { indexes: ended, kinds, values: gather(range.values, finals), ...timesOf(range, indexes) })
  } else {
    reopenLimit(state, group)
  }
  return 'ok'
}

function settleBranches(
  state: KernelState,
  group: Group,
  grant: HeldGrant,
  indexes: Uint32Array,
  settled: number,
  range: SettleRange,
): Mixed {
  const { table, spec } = group
  const mixed = new Mixed()
  let parks = 0
  for (let i = 0; i < indexes.length; i++) {
    const index = indexes[i] as number // i is below the length
    let kind = range.kinds[i] as SettleRange['kinds'][number] // as many kinds as indexes: checked
    const park = kind === 'parked' ? range.parks?.[parks++] : undefined
    if (i < settled && isFinalKind(kind)) {
      endStart(state, group, index, true)
      mixed.end(i, kind)
      continue
    }
    if (!table.isHeldUnder(index, grant.number)) {
      if (table.grantNumber(index) !== grant.number) mixed.isFenced = true
      continue
    }
    if (kind === 'retry' && table.addError(index) >= spec.attempts && spec.attempts > 0) kind = 'failed'
    endStart(state, group, index, isFinalKind(kind))
    if (isFinalKind(kind)) {
      table.finish(index, kind)
      mixed.end(i, kind)
      continue
    }
    if (range.save !== undefined || park !== undefined) group.stepped = (group.stepped ?? new Set()).add(index)
    if (park !== undefined) {
      table.makeParked(index)
      mixed.parked.push({ index, park })
      continue
    }
    const delayMs = kind === 'retry' ? (range.delaysMs?.[i] ?? 0) : 0
    if (delayMs > 0) {
      delay(state, group, index, delayMs)
      const error = item(range.values, i)
      if (error.length <= MOST_RETRIED_BYTES) group.retried = { at: state.wallNow, error }
      mixed.delayed += 1
    } else {
      requeue(group, index)
      mixed.ready += 1
    }
  }
  return mixed
}

/** The group was closed while they were held, or before they were reported again. */
function refusal(group: Group, grant: HeldGrant, indexes: Uint32Array): SettleAnswer {
  let isFenced = false
  for (const index of indexes) {
    if (group.table.isHeldUnder(index, grant.number)) return 'withdrawn'
    if (group.table.grantNumber(index) !== grant.number) isFenced = true
  }
  return isFenced ? 'fenced' : 'dup'
}

/** `positions`: where in the range's values the errors are; undefined when they run in parallel with `indexes`. */
function writeDeadLetters(
  state: KernelState,
  group: Group,
  indexes: Uint32Array,
  kinds: readonly OutcomeKind[],
  range: SettleRange,
  positions: readonly number[] | undefined,
): void {
  if (group.isRoot) return
  for (let i = 0; i < kinds.length; i++) {
    const kind = kinds[i]
    if (kind !== 'failed' && kind !== 'dead') continue
    addDeadLetter(
      state,
      group,
      indexes[i] ?? 0,
      kind,
      item(range.values, positions === undefined ? i : (positions[i] ?? 0)),
    )
  }
}

/** Of a range of these branches. */
const timesOf = ({ times }: SettleRange, indexes: Uint32Array): Pick<OutcomeChunk, 'times'> =>
  times === undefined ? {} : { times: [{ bytes: times, indexes }] }

/** Whether a word of a settle is also that of an outcome. */
function isFinalKind(kind: SettleKind): kind is SettleKind & OutcomeKind {
  return kind === 'succeeded' || kind === 'failed' || kind === 'dead'
}
