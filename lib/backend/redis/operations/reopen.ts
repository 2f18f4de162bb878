/** reopen: a run that has ended goes on. */
import type { DecideAnswer, Decision, ReopenAnswer, ReopenRequest } from '../../backend.js'
import type { Argument } from '../shard.js'
import type { Store } from '../store.js'
import { needArgument, unexpectedAnswer, wordOf } from './words.js'

const ANSWERS: ReadonlyMap<string, ReopenAnswer> = new Map([
  ['OK', 'ok'],
  ['RUNNING', 'running'],
  ['CLOSING', 'closing'],
  ['NOTKEPT', 'not-kept'],
  ['GONE', 'gone'],
])

/** Opens a run again. Repeated with its nonce it changes nothing. */
export async function reopen(store: Store, request: ReopenRequest): Promise<ReopenAnswer> {
  const { runId, nonce, need, forget = [], drop = [], redo = [], isPartial = false } = request
  const parts = (isPartial ? [] : redo).flatMap(({ gid, indexes }) => [gid, packed(indexes)])
  const { decision } = request
  const last = decision === undefined || isPartial ? [] : decisionArguments(decision)
  const how = isPartial ? 1 : decision === undefined ? '' : 'd'
  const args = [runId, nonce, needArgument(need), how, forget.length, ...forget, drop.length, ...drop]
  const word = wordOf(await store.shard.call('reopen', [...args, ...parts, ...last]))
  const answer = ANSWERS.get(word)
  if (answer === undefined) throw unexpectedAnswer('reopen', word)
  for (const { gid } of redo) store.released.take(gid) // of before
  return answer
}

const DECIDED: ReadonlyMap<string, DecideAnswer> = new Map([
  ['OK', 'ok'],
  ['LATE', 'late'],
  ['OVER', 'over'],
  ['GONE', 'gone'],
])

/** A person decides. Repeated with its nonce it changes nothing. */
export async function decide(store: Store, runId: string, decision: Decision): Promise<DecideAnswer> {
  const word = wordOf(
    await store.shard.call('decide', [runId, ...decisionArguments(decision), ...(decision.forget ?? [])]),
  )
  const answer = DECIDED.get(word)
  if (answer === undefined) throw unexpectedAnswer('decide', word)
  return answer
}

const decisionArguments = ({ nonce, path, as, gid, index, mark = '', value }: Decision): readonly Argument[] => [
  ...[nonce, path, as, gid, index, mark, value],
]

/** Four bytes each, lower ones first. */
function packed(indexes: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(indexes.length * 4)
  for (const [i, index] of indexes.entries()) bytes.writeUInt32LE(index, i * 4)
  return bytes
}
