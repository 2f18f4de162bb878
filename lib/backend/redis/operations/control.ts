/** control: commands of people and of holders. */
import type { ControlAnswer, ControlRequest } from '../../backend.js'
import type { Argument } from '../shard.js'
import type { Store } from '../store.js'
import { unexpectedAnswer, wordOf } from './words.js'

const ANSWERS: ReadonlyMap<string, ControlAnswer> = new Map([
  ['OK', 'ok'],
  ['DUP', 'dup'],
  ['OVER', 'over'],
  ['GONE', 'gone'],
  ['FENCED', 'fenced'],
])

/** Does a command. Repeated it is `dup` (or `over`) and changes nothing. */
export async function control(store: Store, request: ControlRequest): Promise<ControlAnswer> {
  const word = wordOf(await store.shard.call('control', argsOf(request)))
  // nobody sweeps for it where all are idle
  if (request.kind === 'delete-run' && word === 'OK') await store.shard.call('sweep', ['purge'])
  const answer = ANSWERS.get(word)
  if (answer === undefined) throw unexpectedAnswer('control', word)
  return answer
}

function argsOf(request: ControlRequest): readonly Argument[] {
  const { kind } = request
  switch (kind) {
    case 'cancel-run':
    case 'fail-run':
    case 'delete-run':
      return [kind, request.runId, request.reason, request.value]
    case 'end-run': {
      const { gid, index, token } = request.holder
      return [kind, gid, index, token, request.runId, request.state, request.value, request.reason]
    }
    case 'pause-run':
    case 'resume-run':
      return [kind, request.runId]
    case 'withdraw-group': {
      const { gid, index, token } = request.holder
      return [kind, gid, index, token, request.gid]
    }
    case 'widen-lane':
      return [kind, request.gid, request.orNone ? 1 : 0]
    case 'pause-queue':
    case 'resume-queue':
      return [kind, request.queue]
    default:
      return request satisfies never
  }
}
