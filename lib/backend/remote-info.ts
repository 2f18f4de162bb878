/**
 * What a session of a worker that speaks HTTP says of itself: such a worker has no connection to the store, and any server of the control plane may
 * take its next call. Hides where that stands in the facts of a session.
 */
import type { SessionInfo } from './backend.js'

/** Names among the metadata of such a worker, which people see, too. */
const PROTOCOL_KEY = 'protocol'
const LEASE_KEY = 'leaseMs'
const HTTP = 'http'

/** The metadata of a session over HTTP: its user's own, and these. */
export const remoteMetadata = (
  own: Readonly<Record<string, string>>,
  leaseMs: number,
): Readonly<Record<string, string>> => ({ ...own, [PROTOCOL_KEY]: HTTP, [LEASE_KEY]: String(leaseMs) })

/** How long such a session lives without a call; undefined for any other session. */
export function leaseOf({ metadata }: Pick<SessionInfo, 'metadata'>): number | undefined {
  const leaseMs = Number(metadata[LEASE_KEY])
  return metadata[PROTOCOL_KEY] === HTTP && Number.isSafeInteger(leaseMs) && leaseMs > 0 ? leaseMs : undefined
}
