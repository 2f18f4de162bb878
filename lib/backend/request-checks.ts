/** What every backend demands of a request before it looks at its state: counts that fit each other, numbers in range, limits of a call. */
import { GraflowError } from '../errors.js'
import type {
  BackendLimits,
  GroupSpec,
  OpenRequest,
  Refusals,
  SettleRequest,
  StepRequest,
  TaskInHand,
} from './backend.js'
import { byteLength, itemCount, type PackedItems } from '../values/packed-items.js'

/** Errors and losses of a branch are counted in a byte each: counters stop here rather than wrap. */
export const MOST_COUNTED = 255

/** Branches that are refused in one call. */
export const MOST_REFUSED = 250

/** A page of a list was asked for behind a place that no page has named. */
export const wrongCursor = (): GraflowError =>
  new GraflowError('INVALID_OPTION', 'cursor: expected what the page before said, got another text', {
    details: { option: 'cursor' },
  })

/** Throws INVALID_NAME for a run id that could not be told from a group's. */
function checkRunId(runId: string): void {
  if (runId !== '' && !runId.includes('/')) return
  throw new GraflowError('INVALID_NAME', `expected a run id without "/", got ${JSON.stringify(runId)}`)
}

/** Throws INVALID_NAME for the run id; for a first group what `checkStep` throws. */
export function checkOpen({ runId, session, first }: OpenRequest, limits: BackendLimits): void {
  checkRunId(runId)
  if (first === undefined) return
  if (session === undefined)
    throw new GraflowError('INTERNAL', 'expected a first group only of a run that its opener drives')
  checkGroup(first.spec, 0, first.inputs, limits)
}

/** Throws INTERNAL for a malformed step, INVALID_OPTION for terms that cannot be counted, LIMIT_EXCEEDED for too much in one call. */
export function checkStep({ holder, runId, group, end, save, task }: StepRequest, limits: BackendLimits): void {
  if (end !== undefined && (holder.gid !== runId || group !== undefined)) {
    throw new GraflowError(
      'INTERNAL',
      `expected a run to be ended by its root branch and without a group, got ${holder.gid}`,
    )
  }
  if (save !== undefined && save.paths.length !== itemCount(save.values)) {
    throw new GraflowError('INTERNAL', 'expected as many saved values as paths')
  }
  if (group !== undefined) checkGroup(group.spec, group.from, group.inputs, limits)
  if (group?.refused !== undefined) checkRefused(group.spec, group.refused)
  if (task !== undefined && task !== 'none') checkTask(task)
}

function checkRefused({ gid, size, shared }: GroupSpec, { indexes, values }: Refusals): void {
  const isFit =
    indexes.length === itemCount(values) && indexes.every((index) => Number.isSafeInteger(index) && index >= 0)
  if (isFit && (shared || indexes.length <= MOST_REFUSED) && indexes.every((index) => index < size)) return
  throw new GraflowError(
    'INTERNAL',
    `expected at most ${MOST_REFUSED} branches of ${gid} (of ${size}) to refuse and an error for each, got ${indexes.length}`,
  )
}

function checkTask({ path, errors, losses, attempts, maxLosses, timeoutMs, delayMs = 0 }: TaskInHand): void {
  const isCount = [errors, losses, attempts, maxLosses, timeoutMs, delayMs].every(
    (n) => Number.isSafeInteger(n) && n >= 0,
  )
  if (isCount && Math.max(errors, losses, attempts, maxLosses) <= MOST_COUNTED && attempts > 0 && path !== '') return
  throw new GraflowError('INTERNAL', `the task in hand at "${path}" is malformed: its counts or terms are out of range`)
}

function checkGroup(
  spec: GroupSpec,
  from: number,
  inputs: PackedItems,
  { itemsPerCall, bytesPerCall }: BackendLimits,
): void {
  const wanted = spec.shared ? 1 : spec.size
  const isWhole = [spec.size, spec.limit, spec.attempts, spec.maxLosses, spec.timeoutMs, from].every(
    Number.isSafeInteger,
  )
  const count = itemCount(inputs)
  if (!isWhole || spec.size < 1 || from < 0 || from + count > wanted || !spec.gid.startsWith(`${spec.runId}/`)) {
    throw new GraflowError(
      'INTERNAL',
      `the group ${spec.gid} is malformed: size ${spec.size}, inputs from ${from}: ${count}`,
    )
  }
  const mostLosses = MOST_COUNTED - 1
  if (spec.attempts < 0 || spec.attempts > MOST_COUNTED || spec.maxLosses < 0 || spec.maxLosses > mostLosses) {
    const got = `${spec.attempts} and ${spec.maxLosses}`
    throw new GraflowError(
      'INVALID_OPTION',
      `attempts must be 0 to ${MOST_COUNTED} and maxLosses 0 to ${mostLosses}, got ${got}`,
    )
  }
  if (count > 1 && (count > itemsPerCall || byteLength(inputs) > bytesPerCall)) {
    const most = `${itemsPerCall} inputs and ${bytesPerCall} bytes`
    throw new GraflowError(
      'LIMIT_EXCEEDED',
      `expected at most ${most} a step, got ${count} and ${byteLength(inputs)}: fill the group in parts`,
    )
  }
}

/** Throws INTERNAL where lists of a range do not run in parallel, LIMIT_EXCEEDED for too much in one call. */
export function checkSettle({ ranges }: SettleRequest, { itemsPerCall, bytesPerCall }: BackendLimits): void {
  let count = 0
  let bytes = 0
  for (const range of ranges) {
    const size = range.indexes.length
    count += size
    bytes += byteLength(range.values)
    const delays = range.delaysMs?.length ?? size
    if (range.kinds.length !== size || itemCount(range.values) !== size || delays !== size) {
      throw new GraflowError(
        'INTERNAL',
        `expected as many kinds, values and delays as indexes (${size}) in a range of ${range.gid}`,
      )
    }
    const parked = range.parks === undefined ? 0 : range.kinds.filter((kind) => kind === 'parked').length
    if (parked !== (range.parks?.length ?? 0))
      throw new GraflowError(
        'INTERNAL',
        `expected as many parks as parked branches (${parked}) in a range of ${range.gid}`,
      )
    if (range.save !== undefined && range.save.paths.length !== itemCount(range.save.values)) {
      throw new GraflowError('INTERNAL', 'expected as many saved values as paths')
    }
  }
  if (count > 1 && (count > itemsPerCall || bytes > bytesPerCall)) {
    const most = `${itemsPerCall} branches and ${bytesPerCall} bytes`
    throw new GraflowError(
      'LIMIT_EXCEEDED',
      `expected at most ${most} a settle, got ${count} and ${bytes}: settle in parts`,
    )
  }
}
