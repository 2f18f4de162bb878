/** Dead letters: branches whose attempts are spent, in a stream. Each command here says all that there is to say, so none is a script. */
import type { DeadLetter } from '../../backend.js'
import { MOST_DEAD_LETTERS } from '../../kept.js'
import { wrongCursor } from '../../request-checks.js'
import { bytesOf, fieldsOf, listOf, numberOf, readable, textOf } from '../replies.js'
import type { Store } from '../store.js'
import { decodeSpec } from './spec-codec.js'

/** Letters in one call: each may have 64 KiB of input, and an error. */
const LETTERS = 8
const MOST_IN_ID = 2n ** 64n - 1n

/** Whether Redis takes it for an id of a stream; anything else is the id of no letter. */
const isId = (id: string): boolean =>
  /^\d{1,20}-\d{1,20}$/.test(id) && id.split('-').every((part) => BigInt(part) <= MOST_IN_ID)

/** Newest first; with `before` those that are older than the letter with this id. */
export async function deadLetters(store: Store, limit: number, before?: string): Promise<readonly DeadLetter[]> {
  const found: DeadLetter[] = []
  const most = Math.min(limit, MOST_DEAD_LETTERS)
  if (before !== undefined && !isId(before)) throw wrongCursor()
  let last = before === undefined ? '+' : `(${before}`
  while (found.length < most) {
    const count = Math.min(LETTERS, most - found.length)
    const page = listOf(await store.shard.command('XREVRANGE', store.keys.deadLetters, last, '-', 'COUNT', count))
    for (const entry of page) {
      const [id, fields] = listOf(entry)
      last = `(${textOf(id)}`
      found.push(...readable(() => readLetter(textOf(id), fieldsOf(fields))))
    }
    if (page.length < count) break
  }
  return found
}

/** Undefined when there is none with this id. */
export async function deadLetter(store: Store, id: string): Promise<DeadLetter | undefined> {
  if (!isId(id)) return undefined
  const [entry] = listOf(await store.shard.command('XREVRANGE', store.keys.deadLetters, id, id, 'COUNT', 1))
  return entry === undefined ? undefined : readLetter(id, fieldsOf(listOf(entry)[1]))
}

/** Deletes one, or all that were kept before a time. How many that were. */
export async function deleteDeadLetters(
  { shard, keys }: Store,
  which: { readonly id: string } | { readonly before: number },
): Promise<number> {
  if (!('id' in which)) return numberOf(await shard.command('XTRIM', keys.deadLetters, 'MINID', which.before))
  return isId(which.id) ? numberOf(await shard.command('XDEL', keys.deadLetters, which.id)) : 0
}

function readLetter(id: string, fields: ReadonlyMap<string, Buffer>): DeadLetter {
  const text = (name: string): string => fields.get(name)?.toString() ?? ''
  const spec = fields.get('spec')
  const { graph = '', node = '' } = spec === undefined ? {} : decodeSpec(spec)
  return {
    id,
    gid: text('gid'),
    index: Number(text('index')),
    runId: text('run'),
    graph,
    node,
    kind: text('kind') === 'dead' ? 'dead' : 'failed',
    errors: Number(text('errors')),
    losses: Number(text('losses')),
    at: Number(text('at')),
    input: bytesOf(fields.get('input')),
    error: bytesOf(fields.get('error')),
  }
}
