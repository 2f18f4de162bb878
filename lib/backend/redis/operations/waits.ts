/** Waits, parks and signals, in the words of the scripts. */
import type { OpenWait, Park, SignalAnswer, SignalRequest, WaitAnswer, WaitRequest } from '../../backend.js'
import { bytesOf, listOf, numberOf, textOf } from '../replies.js'
import type { Reply } from '../shard.js'
import type { Store } from '../store.js'
import { unexpectedAnswer, wordOf } from './words.js'

const HAS_WAIT = 1
const IS_REPEATED = 2
const IS_BY_CLOCK = 4
const NUMBERS = 17
/** In place of a time: none. */
const NEVER = -1

/** Brings a payload to a wait. Repeated with its nonce it answers the same. */
export async function signal(store: Store, request: SignalRequest): Promise<SignalAnswer> {
  const { runId, address, payload, nonce, isLate = false, isOnlyRepeat = false } = request
  const how = isOnlyRepeat ? '2' : isLate ? '1' : ''
  const word = wordOf(await store.shard.call('signal', [runId, address, payload, nonce, how]))
  const answer = SIGNAL_ANSWERS.get(word)
  if (answer === undefined) throw unexpectedAnswer('signal', word)
  return answer
}

const SIGNAL_ANSWERS: ReadonlyMap<string, SignalAnswer> = new Map([
  ['OK', 'ok'],
  ['LATE', 'late'],
  ['OVER', 'over'],
  ['GONE', 'gone'],
  ['FULL', 'backpressure'],
  ['NEW', 'new'],
])

/** As part-waits.lua takes it apart: little-endian, without gaps. */
export function parkArgument({ wait, until = '', dueMs }: Park): Buffer {
  const numbers = Buffer.allocUnsafe(NUMBERS)
  let at = numbers.writeDoubleLE(dueMs ?? NEVER, 0)
  at = numbers.writeDoubleLE(wait?.dueMs ?? wait?.dueAt ?? NEVER, at)
  const isByClock = wait?.dueMs === undefined && wait?.dueAt !== undefined
  const flags =
    (wait === undefined ? 0 : HAS_WAIT) | (wait?.isRepeated === true ? IS_REPEATED : 0) | (isByClock ? IS_BY_CLOCK : 0)
  numbers.writeUInt8(flags, at)
  const texts = [until, wait?.place ?? '', wait?.address ?? '', wait?.onDue ?? '', aboutOf(wait)].flatMap((text) => {
    const bytes = typeof text === 'string' ? Buffer.from(text) : text
    const length = Buffer.allocUnsafe(4)
    length.writeUInt32LE(bytes.length)
    return [length, bytes]
  })
  return Buffer.concat([numbers, ...texts])
}

export const waitArgument = (wait: WaitRequest | undefined): Buffer | '' =>
  wait === undefined ? '' : parkArgument({ wait })

/** A byte before it says that there is something. */
const aboutOf = (wait: WaitRequest | undefined): Uint8Array | '' =>
  wait?.about === undefined ? '' : Buffer.concat([Buffer.of(1), wait.about])

/** Whether a wait is answered, and with what; or in how many ms it is due. */
export function waitAnswer(isAnswered: Reply | undefined, found: Reply | undefined): WaitAnswer {
  if (numberOf(isAnswered) === 1) return { status: 'answered', value: bytesOf(found) }
  const leftMs = numberOf(found)
  return leftMs < 0 ? { status: 'open' } : { status: 'open', leftMs }
}

/** Waits of a run that are not answered, in order of their places; or those at one address. */
export async function openWaits(store: Store, runId: string, address = ''): Promise<readonly OpenWait[]> {
  const entries = listOf(await store.shard.call('open-waits', [runId, address]))
  return entries.map((entry) => {
    const [place, address, since, due, about] = listOf(entry)
    const told = bytesOf(about)
    return {
      place: textOf(place),
      address: textOf(address) || undefined,
      since: numberOf(since),
      dueAt: textOf(due) === '' ? undefined : numberOf(due),
      about: told.length === 0 ? undefined : told.subarray(1),
    }
  })
}
