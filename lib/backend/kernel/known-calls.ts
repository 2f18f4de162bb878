/** Calls that changed a run, by what names them, the newest first: a repeat of one is known, while it is one of the last. */

const CALLS_KNOWN = 32

/** The same calls with one more. */
export function withCall(known: readonly string[], call: string): readonly string[] {
  return [call, ...known.slice(0, CALLS_KNOWN - 1)]
}
