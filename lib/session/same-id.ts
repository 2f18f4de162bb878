/**
 * Looks for another live process with this one's base id. Both work, and neither disturbs the other; but mostly a user has copied a command
 * line, so it is logged.
 */
import type { Backend, SessionInfo } from '../backend/backend.js'
import type { Emitter } from '../events.js'

export interface SameIdOptions {
  readonly backend: Pick<Backend, 'inspect'>
  readonly session: string
  readonly info: Pick<SessionInfo, 'baseId'>
  readonly ttlMs: number
  readonly emitter: Emitter
}

/** A turn of a periodic task: answers how long the next one may wait; Infinity: no other is needed. */
export function lookForSameId({ backend, session: own, info, ttlMs, emitter }: SameIdOptions): () => Promise<number> {
  let before: ReadonlyMap<string, number> | undefined
  return async () => {
    const sessions = await backend.inspect.sessions()
    const others = sessions.filter(({ baseId, session }) => baseId === info.baseId && session !== own)
    // One that was killed a moment ago is there until it expires, but is not renewed.
    const [twin] = others.filter(({ session, expiresAt }) => expiresAt > (before?.get(session) ?? expiresAt))
    if (twin !== undefined) {
      emitter.emit('log', {
        level: 'warn',
        message:
          `another live process calls itself ${info.baseId}: pid ${twin.pid} on ${twin.hostname}; ` +
          'both work, but give each an id of its own to tell them apart',
        details: { session: own, other: twin.session },
      })
    }
    if (others.length === 0 || before !== undefined) return Number.POSITIVE_INFINITY
    before = new Map(others.map(({ session, expiresAt }) => [session, expiresAt]))
    return ttlMs / 2
  }
}
