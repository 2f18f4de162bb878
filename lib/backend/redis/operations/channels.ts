/** Channels: says what is asked in the words of the channel scripts, and their answers in those of the interface. */
import { GraflowError } from '../../../errors.js'
import type {
  ChannelAnswer,
  ChannelRequest,
  ChannelValue,
  HeldLock,
  Holder,
  LockAnswer,
  LockRequest,
} from '../../backend.js'
import { item, itemCount, pack } from '../../../values/packed-items.js'
import { bytesOf, listOf, numberOf, textOf } from '../replies.js'
import type { Argument, Reply } from '../shard.js'
import type { Store } from '../store.js'

/** Reads or writes a channel of a run; Backend.channel says the rest. Throws RUN_NOT_FOUND, and BACKPRESSURE when memory is full. */
export async function channel(
  store: Store,
  runId: string,
  holder: Holder | undefined,
  request: ChannelRequest,
): Promise<ChannelAnswer> {
  if (request.kind === 'get' || request.kind === 'keys') return read(store, runId, request)
  if (holder === undefined) return unheld(store, runId)
  const script = request.kind === 'add' || request.kind === 'delete' ? 'channel-change' : 'channel-write'
  const ttl = 'ttlMs' in request ? request.ttlMs : ''
  const who = [runId, holder.gid, holder.index, holder.token]
  const [word, answer] = listOf(
    await store.shard.call(script, [...who, request.key, ttl, locksIn(request.under), ...wordsOf(request)]),
  )
  switch (textOf(word)) {
    case 'OK':
      return answerOf(request.kind, answer)
    case 'TYPE':
      return { status: 'type', found: kindOf(textOf(answer)) }
    case 'LOST':
      return { status: 'lost', key: textOf(answer) }
    case 'FENCED':
      return { status: 'fenced' }
    default:
      throw runNotFound(runId)
  }
}

/** Takes, renews or gives back a lock of a run; Backend.lock says the rest. Throws RUN_NOT_FOUND. */
export async function lock(store: Store, runId: string, holder: Holder, request: LockRequest): Promise<LockAnswer> {
  const { kind, key, nonce } = request
  const lease = kind === 'unlock' ? [] : [request.leaseMs]
  const who = [runId, holder.gid, holder.index, holder.token]
  const [word, answer] = listOf(await store.shard.call('channel-lock', [...who, key, nonce, kind, ...lease]))
  switch (textOf(word)) {
    case 'OK':
      return { status: 'ok', fence: numberOf(answer) }
    case 'LOCKED':
      return { status: 'locked', holder: textOf(answer) }
    case 'LOST':
      return { status: 'lost' }
    case 'FENCED':
      return { status: 'fenced' }
    default:
      throw runNotFound(runId)
  }
}

/** Locks as the scripts read them: nonce, number of bytes of the key, key. */
const locksIn = (under: readonly HeldLock[] = []): string =>
  under.map(({ key, nonce }) => `${nonce} ${Buffer.byteLength(key)}:${key}`).join('')

type Write = Exclude<ChannelRequest, { kind: 'get' | 'keys' }>

async function read(
  store: Store,
  runId: string,
  request: Extract<ChannelRequest, { kind: 'get' | 'keys' }>,
): Promise<ChannelAnswer> {
  const what = request.kind === 'get' ? ['get', request.key] : ['keys']
  const [word, ...found] = listOf(await store.shard.call('channel-read', [runId, ...what]))
  switch (textOf(word)) {
    case 'NONE':
      return { status: 'ok', kind: 'get', value: undefined }
    case 'VALUE':
      return { status: 'ok', kind: 'get', value: { kind: 'value', bytes: bytesOf(found[0]) } }
    case 'NUMBER':
      return { status: 'ok', kind: 'get', value: { kind: 'number', number: readNumber(textOf(found[0])) } }
    case 'LIST':
      return { status: 'ok', kind: 'get', value: { kind: 'list', items: pack(listOf(found[0]).map(bytesOf)) } }
    case 'KEYS':
      return { status: 'ok', kind: 'keys', keys: found.map(textOf) }
    default:
      throw runNotFound(runId)
  }
}

/** Who holds nothing may not write; but a run that is not there is said to be so first. */
async function unheld(store: Store, runId: string): Promise<ChannelAnswer> {
  if ((await store.shard.command('EXISTS', store.keys.run(runId))) === 0) throw runNotFound(runId)
  return { status: 'fenced' }
}

function wordsOf(request: Write): readonly Argument[] {
  switch (request.kind) {
    case 'set':
      return ['set', request.nonce, ...valueWords(request.value)]
    case 'append':
    case 'prepend':
      return [request.kind, request.nonce, request.item]
    case 'add':
      return ['add', request.nonce, writeNumber(request.number)]
    case 'delete':
      return ['delete', request.nonce]
    default:
      return request satisfies never
  }
}

function valueWords(value: ChannelValue): readonly Argument[] {
  switch (value.kind) {
    case 'value':
      return ['v', value.bytes]
    case 'number':
      return ['n', writeNumber(value.number)]
    case 'list':
      return ['l', ...Array.from({ length: itemCount(value.items) }, (_, i) => item(value.items, i))]
    default:
      return value satisfies never
  }
}

function answerOf(kind: Write['kind'], answer: Reply | undefined): ChannelAnswer {
  switch (kind) {
    case 'set':
      return { status: 'ok', kind }
    case 'append':
    case 'prepend':
      return { status: 'ok', kind, length: numberOf(answer) }
    case 'add':
      return { status: 'ok', kind, number: readNumber(textOf(answer)) }
    case 'delete':
      return { status: 'ok', kind, isDeleted: textOf(answer) === '1' }
    default:
      return kind satisfies never
  }
}

const KINDS: Readonly<Record<string, ChannelValue['kind']>> = { v: 'value', n: 'number', l: 'list' }

function kindOf(letter: string): ChannelValue['kind'] {
  const kind = KINDS[letter]
  if (kind === undefined)
    throw new GraflowError('INTEGRITY', `expected a kind of channel, got ${JSON.stringify(letter)}`)
  return kind
}

/** The shortest text that is exactly this number, as both JavaScript and C read it. */
const writeNumber = (number: number): string => (Object.is(number, -0) ? '-0' : String(number))

/** C writes inf and nan where JavaScript has other words. */
function readNumber(text: string): number {
  if (/^-?nan$/.test(text)) return NaN
  return /^-?inf$/.test(text) ? (text.startsWith('-') ? -Infinity : Infinity) : Number(text)
}

const runNotFound = (runId: string): GraflowError =>
  new GraflowError('RUN_NOT_FOUND', `expected a run that is kept, got ${runId}`)
