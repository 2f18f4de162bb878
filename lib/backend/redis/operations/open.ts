/** open: a run's record and its root group. */
import { GraflowError } from '../../../errors.js'
import type { OpenAnswer, OpenRequest, StepAnswer, StepRequest } from '../../backend.js'
import { pack } from '../../../values/packed-items.js'
import { rootSpec } from '../../root-spec.js'
import { checkRunId } from '../../request-checks.js'
import { listOf, numberOf, textOf } from '../replies.js'
import type { Argument, Reply } from '../shard.js'
import type { Store } from '../store.js'
import { groupArguments } from './group-arguments.js'
import { checkLine, unexpectedAnswer, wordOf } from './words.js'

/** What stands for the token of a run that is being opened with this nonce. */
export const earlyToken = (nonce: string): string => `?.${nonce}-1`

/** An opening that is not sent yet: the first group of the run can still go with it, so that both are one call. */
interface Opening {
  readonly runId: string
  group: FirstGroup | undefined
}
interface FirstGroup {
  readonly args: () => readonly Argument[]
  readonly answer: (answer: StepAnswer | 'separately') => void
  readonly fail: (error: unknown) => void
}

/** By early token. */
const openings = new WeakMap<Store, Map<string, Opening>>()

/**
 * Lets the first step of a run go with the opening that is about to be sent; `args` of its group as the script takes them. Undefined when no
 * such opening waits; `separately` when the step is to be sent by itself, now that the opening has its answer.
 */
export function stepWithOpening(
  store: Store,
  { holder, runId, group, ...more }: StepRequest,
  args: () => readonly Argument[],
): Promise<StepAnswer | 'separately'> | undefined {
  const opening = openings.get(store)?.get(holder.token)
  if (opening === undefined || opening.group !== undefined || group?.from !== 0) return undefined
  if (holder.gid !== runId || opening.runId !== runId || holder.index !== 0) return undefined
  if (more.save !== undefined || more.retire !== undefined) return undefined
  return new Promise((answer, fail) => {
    opening.group = { args, answer, fail }
  })
}

/** Opens a run. Repeated with the same nonce it answers the same while that is current. */
export async function open(store: Store, request: OpenRequest): Promise<OpenAnswer> {
  const { runId, session, nonce } = request
  checkRunId(runId)
  const spec = rootSpec(request)
  checkLine(spec)
  const args = [...argumentsOf(store, request), ...groupArguments(store, spec, 0, pack([request.input]), 0)]
  const waiting = openings.get(store) ?? new Map<string, Opening>()
  openings.set(store, waiting)
  const opening: Opening = { runId, group: undefined }
  const token = earlyToken(nonce)
  if (session !== undefined) waiting.set(token, opening)
  const withGroup = (): readonly Argument[] => {
    if (waiting.get(token) === opening) waiting.delete(token)
    return opening.group === undefined ? args : [...args, ...opening.group.args()]
  }
  try {
    const reply = await callWhereThereIsRoom(store, withGroup, args)
    const answer = answerOf(wordOf(reply) === 'NOGRAPH' ? await callWhereThereIsRoom(store, args, args) : reply)
    opening.group?.answer(groupAnswerOf(answer, reply))
    return answer
  } catch (error) {
    opening.group?.fail(error)
    throw error
  } finally {
    if (waiting.get(token) === opening) waiting.delete(token)
  }
}

async function callWhereThereIsRoom(
  store: Store,
  args: readonly Argument[] | (() => readonly Argument[]),
  alone: readonly Argument[],
): Promise<Reply> {
  try {
    return await store.shard.call('open', args)
  } catch (error) {
    if (!(error instanceof GraflowError) || error.code !== 'BACKPRESSURE') throw error
    return store.shard.call('open-full', alone)
  }
}

function argumentsOf(store: Store, request: OpenRequest): readonly Argument[] {
  return [
    request.runId,
    request.session ?? '',
    request.nonce,
    request.workflow ?? '',
    request.idempotencyKey ?? '',
    request.timeoutMs,
    request.retentionMs,
    store.tuning.payloadRetentionMs,
    store.tuning.deadlineGraceMs,
  ]
}

function answerOf(reply: Reply): OpenAnswer {
  const [, fact] = listOf(reply)
  const word = wordOf(reply)
  switch (word) {
    case 'OK': {
      const token = textOf(fact)
      return { status: 'ok', token: token === '' ? undefined : token }
    }
    case 'EXISTS':
      return { status: 'exists', runId: textOf(fact) }
    case 'CONFLICT':
      return { status: 'conflict', runId: textOf(fact) }
    case 'NOSESSION':
      return { status: 'nosession' }
    case 'BACKPRESSURE':
      return { status: 'backpressure' }
    default:
      throw unexpectedAnswer('open', word)
  }
}

/** `reply` is that of the call that the group went with. A run that was there before may have the group or not: the step says. */
function groupAnswerOf(answer: OpenAnswer, reply: Reply): StepAnswer | 'separately' {
  if (answer.status !== 'ok') return { status: 'fenced' }
  if (wordOf(reply) === 'NOGRAPH') return { status: 'nograph' }
  const fill = listOf(reply)[2]
  return fill === undefined ? 'separately' : { status: 'ok', fill: numberOf(fill) }
}
