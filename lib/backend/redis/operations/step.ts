/** step: what a holder saves, opens, fills, retires and ends in one write. */
import { GraflowError } from '../../../errors.js'
import { systemId } from '../../../time.js'
import type { StepAnswer, StepRequest } from '../../backend.js'
import { item, itemCount, slice } from '../../../values/packed-items.js'
import { checkStep } from '../../request-checks.js'
import { listOf, numberOf, textOf } from '../replies.js'
import type { Argument, Reply } from '../shard.js'
import type { Store } from '../store.js'
import { groupArguments } from './group-arguments.js'
import { stepWithOpening } from './open.js'
import { checkLine, itemsOf, unexpectedAnswer, wordOf } from './words.js'

/** How far groups are filled that this process fills, so that the next part can say where it begins: gid → items and bytes. */
const fills = new WeakMap<Store, Map<string, Fill>>()
interface Fill {
  readonly items: number
  readonly bytes: number
}

/** Does a step. Repeated it changes nothing; a refused step leaves no trace. */
export async function step(store: Store, request: StepRequest): Promise<StepAnswer> {
  checkStep(request, store.limits)
  const { group } = request
  if (group === undefined) return answerOf(await store.shard.call('step-full', head(store, request)))
  checkLine(group.spec)
  const known = fillsOf(store)
  const { gid } = group.spec
  if (group.from === 0) store.released.take(gid) // of a group that stood at this place before
  const first = stepWithOpening(store, request, () => groupArguments(store, group.spec, 0, group.inputs, 0))
  if (first !== undefined) {
    const answer = await first
    if (answer !== 'separately') return remembered(store, group, answer)
  }
  let { from, inputs } = group
  let base = from === 0 ? 0 : known.get(gid)?.items === from ? (known.get(gid)?.bytes ?? 0) : 0
  // Another process, or a repeated call, may have filled it further: the store says how far, and only what is left is sent.
  for (let tries = 0; tries < 5; tries += 1) {
    const args = [...head(store, request), ...groupArguments(store, group.spec, from, inputs, base)]
    const reply = await callWhereThereIsRoom(store, args)
    if (wordOf(reply) !== 'BASE') {
      return remembered(store, { spec: group.spec, from, inputs }, answerOf(reply), base)
    }
    const [, bytes, items] = listOf(reply)
    const filled = numberOf(items)
    base = numberOf(bytes)
    if (filled > from) {
      inputs = slice(inputs, Math.min(filled - from, itemCount(inputs)), itemCount(inputs))
      from = filled
    }
  }
  throw new GraflowError('INTERNAL', `group ${gid} is filled by somebody else at the same time`)
}

/** The answer to a step that brought inputs, after it was noted how far its group is filled. */
function remembered(
  store: Store,
  { spec, from, inputs }: NonNullable<StepRequest['group']>,
  answer: StepAnswer,
  base = 0,
): StepAnswer {
  const known = fillsOf(store)
  if (answer.status === 'ok' && answer.fill === from + itemCount(inputs) && answer.fill < itemsWanted(spec))
    known.set(spec.gid, { items: answer.fill, bytes: base + itemsOf(inputs).length })
  else known.delete(spec.gid)
  return answer
}

const itemsWanted = ({ shared, size }: { shared: boolean; size: number }): number => (shared ? 1 : size)

async function callWhereThereIsRoom(store: Store, args: readonly Argument[]): Promise<Reply> {
  try {
    return await store.shard.call('step', args)
  } catch (error) {
    if (!(error instanceof GraflowError) || error.code !== 'BACKPRESSURE') throw error
    return store.shard.call('step-full', args) // what adds nothing is done all the same
  }
}

function head(store: Store, { holder, runId, save, retire = [], end, group }: StepRequest): Argument[] {
  const args: Argument[] = [
    runId,
    holder.gid,
    holder.index,
    holder.token,
    end?.state ?? '',
    end?.value ?? '',
    group === undefined ? '' : systemId(),
    store.tuning.deadlineGraceMs,
    save?.paths.length ?? 0,
  ]
  if (save !== undefined) for (const [i, path] of save.paths.entries()) args.push(path, item(save.values, i))
  args.push(retire.length, ...retire)
  return args
}

function answerOf(reply: Reply): StepAnswer {
  const word = wordOf(reply)
  switch (word) {
    case 'OK':
      return { status: 'ok', fill: numberOf(listOf(reply)[1]) }
    case 'DONE':
      return { status: 'done' }
    case 'CONFLICT':
      return { status: 'conflict' }
    case 'NOGRAPH':
      return { status: 'nograph' }
    case 'FENCED':
      return { status: 'fenced' }
    case 'BACKPRESSURE':
      return { status: 'backpressure' }
    case 'BAD':
      throw new GraflowError('INTERNAL', textOf(listOf(reply)[1]))
    default:
      throw unexpectedAnswer('step', word)
  }
}

function fillsOf(store: Store): Map<string, Fill> {
  let known = fills.get(store)
  if (known === undefined) {
    known = new Map()
    fills.set(store, known)
  }
  return known
}
