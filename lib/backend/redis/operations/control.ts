/** control: commands of people and of holders. */
import { isNoRunId } from '../../../options.js'
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
  if ('runId' in request && isNoRunId(request.runId)) return 'gone'
  const word = wordOf(await store.shard.call('control', argsOf(request)))
  // nobody sweeps for it where all are idle
  if (request.kind === 'delete-run' && word === 'OK') await purged(store)
  const answer = ANSWERS.get(word)
  if (answer === undefined) throw unexpectedAnswer('control', word)
  return answer
}

/** Sweeps that are about to be asked for: whoever deletes many runs at once needs one. */
const purges = new WeakMap<Store, Promise<unknown>>()

function purged(store: Store): Promise<unknown> {
  const known = purges.get(store)
  if (known !== undefined) return known
  const purge = new Promise<void>((resolve) => {
    setImmediate(resolve)
  }).then(() => {
    purges.delete(store)
    return store.shard.call('sweep', ['purge'])
  })
  purges.set(store, purge)
  return purge
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
    case 'drain-session':
      return [kind, request.session]
    case 'pause-queue':
    case 'resume-queue':
      return [kind, request.queue]
    default:
      return request satisfies never
  }
}
