/** Reads what may be large in parts, from a server that sends only so much to one client. */
import { fieldsOf, listOf, numberOf, textOf } from '../replies.js'
import type { Reply } from '../shard.js'
import type { Store } from '../store.js'
import { inTurn, MOST_LARGE } from './in-turn.js'

/** Of one reply that ends with whatever comes next, roughly. */
const PAGE_BYTES = 1024 * 1024
/** Of one reply that can be cut anywhere. The server copies the whole for each. */
const PART_BYTES = 4 * 1024 * 1024

/** How much one reply may carry: some of them are on their way at once. */
export const pageBytes = ({ shard }: Store): number => Math.min(PAGE_BYTES, Math.floor(shard.bounds.outputBytes / 8))

const partBytes = ({ shard }: Store): number => Math.min(PART_BYTES, Math.floor(shard.bounds.outputBytes / 4))

/** Whether the server closes a connection that it has too much to send to, as far as we know. */
export const mustPage = ({ shard }: Store): boolean => shard.bounds.outputBytes < Infinity

/** Calls, with few such calls on their way at once. */
export const paged = <T>(store: Store, call: () => Promise<T>): Promise<T> =>
  mustPage(store) ? inTurn(store, MOST_LARGE, call) : call()

/** The fields of a run, its result among them; none when there is no such run. */
export async function runInParts(store: Store, runId: string): Promise<ReadonlyMap<string, Buffer>> {
  const found = await valueInParts(store, [runId, '', ''])
  if (found === undefined) return new Map()
  const fields = new Map(fieldsOf(found.rest))
  if (found.value !== undefined) fields.set('value', found.value)
  return fields
}

/** An output of a run; undefined when there is none. */
export async function outputInParts(store: Store, runId: string, path: string): Promise<Buffer | undefined> {
  return (await valueInParts(store, [runId, 'output', path]))?.value
}

/** A string; undefined when there is none. */
export async function stringInParts(store: Store, key: string): Promise<Buffer | undefined> {
  if (!mustPage(store)) return asBuffer(await store.shard.command('GET', key))
  const bytes = numberOf(await store.shard.command('STRLEN', key))
  return bytes === 0 ? undefined : rangeInParts(store, key, 0, bytes - 1)
}

/** The bytes of a string from `first` to `last`, or those that there are. */
export async function rangeInParts(store: Store, key: string, first: number, last: number): Promise<Buffer> {
  const parts: Buffer[] = []
  const most = mustPage(store) ? partBytes(store) : Infinity
  for (let from = first; from <= last; from += most) {
    const to = Math.min(last, from + most - 1)
    parts.push(asBuffer(await paged(store, () => store.shard.command('GETRANGE', key, from, to))) ?? Buffer.alloc(0))
  }
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts)
}

const asBuffer = (reply: Reply): Buffer | undefined => (Buffer.isBuffer(reply) ? reply : undefined)

async function valueInParts(
  store: Store,
  what: readonly string[],
): Promise<{ readonly value: Buffer | undefined; readonly rest: readonly Reply[] } | undefined> {
  const parts: Buffer[] = []
  let rest: readonly Reply[] = []
  for (let read = 0; ; ) {
    const reply = listOf(await paged(store, () => store.shard.call('parts', [...what, read, partBytes(store)])))
    const [word, bytes, part, ...others] = reply
    if (textOf(word) !== 'OK') return undefined // also when it was deleted meanwhile
    if (read === 0) rest = others
    if (numberOf(bytes) < 0) return { value: undefined, rest }
    if (Buffer.isBuffer(part)) parts.push(part)
    read += Buffer.isBuffer(part) ? part.length : 0
    if (read >= numberOf(bytes) || !Buffer.isBuffer(part) || part.length === 0) break
  }
  return { value: Buffer.concat(parts), rest }
}
