/**
 * Bytes that go to Redis beside the script that speaks of them. A script would read them several times over, at 2 ns a byte each; a plain
 * command stores them, and the script only moves them to their place (part-uploads.lua). Few bytes are better off in the script's arguments.
 */
import { systemId } from '../../../time.js'
import type { Store } from '../store.js'

/** From so many on bytes are uploaded. */
const LEAST_BYTES = 16 * 1_024
/** Bytes that are nearly as many as a server takes at once have nothing behind them. */
const MOST_BEFORE = 256 * 1_024
/** How long they wait for their script: a call is repeated for 10 s. */
const KEPT_MS = 60_000

const NOTHING = new Uint8Array(0)

/**
 * Uploads bytes, and what may stand behind them, for the script that is called next, if they are many; their name, or '' where the script is to get them itself. Whether they
 * have arrived is the script's to see: it answers MISSING and has done nothing, as when Redis is full and takes them in no other way.
 */
export function uploadFor({ shard, keys }: Store, bytes: Uint8Array, behind: Uint8Array = NOTHING): string {
  if (bytes.length < LEAST_BYTES) return ''
  const name = systemId()
  const all = behind.length === 0 || bytes.length > MOST_BEFORE ? bytes : Buffer.concat([bytes, behind])
  shard.command('SET', keys.upload(name), all, 'PX', KEPT_MS).catch(() => undefined)
  return name
}
