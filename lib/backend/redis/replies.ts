/** Reads replies of Redis: bytes, numbers and lists, parsed once, with a clear error where something else came. */
import { GraflowError } from '../../errors.js'

/** A reply of Redis with bytes as they are. */
export type Reply = Buffer | number | null | readonly Reply[]

/** A list. */
export function listOf(reply: Reply | undefined): readonly Reply[] {
  if (reply !== null && typeof reply === 'object' && !Buffer.isBuffer(reply)) return reply
  throw unexpected('a list', reply)
}

/** A text or number, as text. */
export function textOf(reply: Reply | undefined): string {
  if (Buffer.isBuffer(reply)) return reply.toString()
  if (typeof reply === 'number') return String(reply)
  throw unexpected('a text', reply)
}

export function numberOf(reply: Reply | undefined): number {
  const number = typeof reply === 'number' ? reply : Number(textOf(reply))
  if (Number.isNaN(number)) throw unexpected('a number', reply)
  return number
}

/** Bytes of the caller's own: a reply's Buffer may be part of a large one. */
export function bytesOf(reply: Reply | undefined): Uint8Array {
  if (Buffer.isBuffer(reply)) return new Uint8Array(reply)
  throw unexpected('bytes', reply)
}

/** Name and value in turn, as HGETALL and XRANGE have them. */
export function fieldsOf(reply: Reply | undefined): ReadonlyMap<string, Buffer> {
  const list = listOf(reply)
  const fields = new Map<string, Buffer>()
  for (let i = 0; i + 1 < list.length; i += 2) {
    const value = list[i + 1]
    if (Buffer.isBuffer(value)) fields.set(textOf(list[i]), value)
  }
  return fields
}

/** All texts in a reply, however deep. */
export function textsIn(reply: Reply): readonly string[] {
  if (Buffer.isBuffer(reply)) return [reply.toString()]
  return reply !== null && typeof reply === 'object' ? reply.flatMap(textsIn) : []
}

/** What cannot be read is left out of a list, as scripts leave out what they cannot read. */
export function readable<T>(read: () => T): readonly T[] {
  try {
    return [read()]
  } catch (error) {
    if (error instanceof GraflowError && error.code === 'INTEGRITY') return []
    throw error
  }
}

/** The lines `name:value` of INFO. */
export function readInfo(reply: Reply): ReadonlyMap<string, string> {
  const lines = Buffer.isBuffer(reply) ? reply.toString().split('\r\n') : []
  return new Map(
    lines
      .filter((line) => line.includes(':'))
      .map((line): [string, string] => {
        const at = line.indexOf(':')
        return [line.slice(0, at), line.slice(at + 1)]
      }),
  )
}

const unexpected = (wanted: string, reply: Reply | undefined): GraflowError =>
  new GraflowError('INTEGRITY', `expected ${wanted} from Redis, got ${Array.isArray(reply) ? 'a list' : typeof reply}`)
