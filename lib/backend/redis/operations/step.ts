/** step: what a holder saves, opens, fills, retires and ends in one write. */
import { GraflowError } from '../../../errors.js'
import { systemId } from '../../../time.js'
import type { Refusals, StepAnswer, StepRequest, TaskInHand } from '../../backend.js'
import { item, itemCount, slice } from '../../../values/packed-items.js'
import { checkStep } from '../../request-checks.js'
import { listOf, numberOf, textOf } from '../replies.js'
import type { Argument, Reply } from '../shard.js'
import type { Store } from '../store.js'
import { knownBytes, noteFill } from './fills.js'
import { groupArguments } from './group-arguments.js'
import { uploadFor } from './uploads.js'
import { waitAnswer, waitArgument } from './waits.js'
import { checkLine, needArgument, unexpectedAnswer, wordOf } from './words.js'

/** Does a step. Repeated it changes nothing; a refused step leaves no trace. */
export async function step(store: Store, request: StepRequest): Promise<StepAnswer> {
  checkStep(request, store.limits)
  const { group } = request
  if (group === undefined) {
    const reply = await store.shard.call('step-full', head(store, request))
    return answerOf(
      wordOf(reply) === 'MISSING' ? await store.shard.call('step-full', head(store, request, true)) : reply,
    )
  }
  checkLine(group.spec)
  const { gid } = group.spec
  if (group.from === 0) store.released.take(gid) // of a group that stood at this place before
  let { from, inputs } = group
  let base = knownBytes(store, gid, from)
  let inline = false
  // Another process, or a repeated call, may have filled it further: the store says how far, and only what is left is sent.
  for (let tries = 0; tries < 5; tries += 1) {
    const sent = groupArguments(store, group.spec, from, inputs, base, inline)
    const args = [...head(store, request, inline), ...sent]
    const reply = await (group.refused === undefined
      ? callWhereThereIsRoom(store, [...args, ...(group.isReopened === true ? [1] : [])])
      : store.shard.call('step-refusing', [...args, ...refusedArguments(group, group.refused)]))
    const word = wordOf(reply)
    if (word === 'MISSING') {
      inline = true
      continue
    }
    if (word !== 'BASE') {
      return noteFill(store, { spec: group.spec, from, inputs }, answerOf(reply), base)
    }
    const [, bytes, items] = listOf(reply)
    const filled = numberOf(items)
    base = numberOf(bytes)
    if (filled > from) {
      inputs = slice(inputs, Math.min(filled - from, itemCount(inputs)), itemCount(inputs))
      from = filled
    }
  }
  throw new GraflowError('INTERNAL', `group ${gid} is filled by another process at the same time`)
}

async function callWhereThereIsRoom(store: Store, args: readonly Argument[]): Promise<Reply> {
  try {
    return await store.shard.call('step', args)
  } catch (error) {
    if (!(error instanceof GraflowError) || error.code !== 'BACKPRESSURE') throw error
    return store.shard.call('step-full', args) // what adds nothing is done all the same
  }
}

const refusedArguments = (
  { isReopened }: { readonly isReopened?: boolean },
  refused: Refusals,
): readonly Argument[] => [
  isReopened === true ? 1 : '',
  ...Array.from(refused.indexes).flatMap((index, i) => [index, item(refused.values, i)]),
]

/** `inline`: nothing is uploaded. */
function head(store: Store, request: StepRequest, inline = false): Argument[] {
  const { holder, runId, save, task, retire = [], end, group } = request
  const upload = end === undefined || inline ? '' : uploadFor(store, end.value)
  const args: Argument[] = [
    runId,
    holder.gid,
    holder.index,
    holder.token,
    end?.state ?? '',
    upload === '' ? (end?.value ?? '') : '',
    group === undefined ? '' : systemId(),
    store.times.deadlineGraceMs,
    task === undefined ? '' : task === 'none' ? '-' : taskArgument(task),
    upload,
    needArgument(request.rest),
    waitArgument(request.wait),
    save?.paths.length ?? 0,
  ]
  if (save !== undefined) for (const [i, path] of save.paths.entries()) args.push(path, item(save.values, i))
  args.push(retire.length, ...retire)
  return args
}

/** As part-tasks-in-hand.lua takes it apart: little-endian, without gaps. */
function taskArgument(task: TaskInHand): Buffer {
  const { errors, losses, attempts, maxLosses, timeoutMs, delayMs = 0, path, ifLost, ifLate } = task
  const terms = Buffer.allocUnsafe(32)
  let at = terms.writeUInt32LE(errors, 0)
  for (const count of [losses, attempts, maxLosses]) at = terms.writeUInt32LE(count, at)
  at = terms.writeDoubleLE(timeoutMs, at)
  terms.writeDoubleLE(delayMs, at)
  const texts = [Buffer.from(path), ifLost, ifLate].flatMap((text) => {
    const length = Buffer.allocUnsafe(4)
    length.writeUInt32LE(text.length)
    return [length, text]
  })
  return Buffer.concat([terms, ...texts])
}

/** What follows the fill; each of it may be empty. */
function aboutIn(parts: readonly Reply[]): Omit<Extract<StepAnswer, { status: 'ok' }>, 'status' | 'fill'> {
  const isThere = (at: number): boolean => parts[at] !== undefined && textOf(parts[at]) !== ''
  const [errors, losses, waitMs, , isAnswered, found] = parts
  const counts = { errors: numberOf(errors), losses: numberOf(losses), ...(isThere(2) && { waitMs: numberOf(waitMs) }) }
  return {
    ...(isThere(0) && { counts }),
    ...(isThere(3) && { isIdle: true }),
    ...(isThere(4) && { wait: waitAnswer(isAnswered, found) }),
  }
}

function answerOf(reply: Reply): StepAnswer {
  const word = wordOf(reply)
  switch (word) {
    case 'OK': {
      const [, fill, ...more] = listOf(reply)
      return { status: 'ok', fill: numberOf(fill), ...(more.length > 0 && aboutIn(more)) }
    }
    case 'DONE':
      return numberOf(listOf(reply)[1] ?? 0) === 1 ? { status: 'done', isOld: true } : { status: 'done' }
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
