/** open: a run's record and its root group, and with them its first group. */
import { GraflowError } from '../../../errors.js'
import type { OpenAnswer, OpenRequest } from '../../backend.js'
import { pack } from '../../../values/packed-items.js'
import { rootSpec } from '../../root-spec.js'
import { isLeftBehind } from '../../run-state.js'
import { checkOpen } from '../../request-checks.js'
import { listOf, numberOf, textOf } from '../replies.js'
import type { Argument, Reply } from '../shard.js'
import type { Store } from '../store.js'
import { noteFill } from './fills.js'
import { groupArguments } from './group-arguments.js'
import { encodeTerms } from './run-terms.js'
import { checkLine, needArgument, unexpectedAnswer, wordOf } from './words.js'

/** Opens a run, with its first group where one is given. Repeated with the same nonce it answers the same token while that is current. */
export async function open(store: Store, request: OpenRequest): Promise<OpenAnswer> {
  checkOpen(request, store.limits)
  const answer = (await tryOpen(store, request, false)) ?? (await tryOpen(store, request, true))
  if (answer === undefined) throw unexpectedAnswer('open', 'MISSING')
  return answer
}

/** Undefined when what was uploaded has not come. */
async function tryOpen(store: Store, request: OpenRequest, inline: boolean): Promise<OpenAnswer | undefined> {
  const { first } = request
  const root = rootSpec(request)
  checkLine(root)
  const alone = [...argumentsOf(store, request), ...groupArguments(store, root, 0, pack([request.input]), 0, inline)]
  if (first === undefined) return presentOf(await callWhereThereIsRoom(store, alone, alone))
  checkLine(first.spec)
  store.released.take(first.spec.gid) // of a group that stood at this place before
  const withFirst = [...alone, ...groupArguments(store, first.spec, 0, first.inputs, 0, inline)]
  const reply = await callWhereThereIsRoom(store, withFirst, alone)
  if (wordOf(reply) === 'MISSING') return undefined
  if (wordOf(reply) === 'NOGRAPH') return withoutGraph(await callWhereThereIsRoom(store, alone, alone))
  const answer = answerOf(reply)
  const fill = listOf(reply)[2]
  if (answer.status !== 'ok' || fill === undefined) return answer
  const group = { spec: first.spec, from: 0, inputs: first.inputs }
  return { ...answer, first: noteFill(store, group, { status: 'ok', fill: numberOf(fill) }) }
}

const presentOf = (reply: Reply): OpenAnswer | undefined => (wordOf(reply) === 'MISSING' ? undefined : answerOf(reply))

/** The answer to a run that was opened alone, since its group's graph is not there. */
function withoutGraph(reply: Reply): OpenAnswer | undefined {
  const answer = presentOf(reply)
  return answer?.status === 'ok' ? { ...answer, first: { status: 'nograph' } } : answer
}

/** When Redis is full, a run that is there already is still answered. */
async function callWhereThereIsRoom(
  store: Store,
  args: readonly Argument[],
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
    store.times.payloadRetentionMs,
    store.times.deadlineGraceMs,
    isLeftBehind(request) ? 1 : 0,
    needArgument(request.rest),
    request.build ?? '',
    (request.tags ?? []).join('\n'),
    encodeTerms(request.terms),
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
