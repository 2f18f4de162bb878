/** open: a run's record and its root group. */
import { GraflowError } from '../../../errors.js'
import type { OpenAnswer, OpenRequest } from '../../backend.js'
import { rootSpec } from '../../root-spec.js'
import { checkRunId } from '../../shapes.js'
import { listOf, textOf } from '../replies.js'
import type { Store } from '../store.js'
import { encodeSpec } from './spec-codec.js'
import { checkLine, spaced, unexpectedAnswer, wordOf } from './words.js'

/** Opens a run. Repeated with the same nonce it answers the same while that is current. */
export async function open(store: Store, request: OpenRequest): Promise<OpenAnswer> {
  const { runId, session, idempotencyKey } = request
  checkRunId(runId)
  const spec = rootSpec(request)
  checkLine(spec)
  const args = [
    runId,
    session ?? '',
    request.nonce,
    request.digest,
    request.workflow ?? '',
    request.graph,
    idempotencyKey ?? '',
    request.input,
    spaced(request.tasks),
    request.maxLosses,
    request.timeoutMs,
    request.retentionMs,
    encodeSpec(spec),
    store.knobs.payloadRetentionMs,
  ] as const
  let reply
  try {
    reply = await store.shard.call('open', args)
  } catch (error) {
    if (!(error instanceof GraflowError) || error.code !== 'BACKPRESSURE') throw error
    reply = await store.shard.call('open-full', args)
  }
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
