/** What is to happen when a signal aborts. A signal has one listener of ours, however many runs were started with it: Node warns of many. */

interface Ties {
  readonly all: Set<() => void>
  readonly stop: () => void
}

const tied = new WeakMap<AbortSignal, Ties>()

/** Calls `onAbort` once when the signal aborts; returns what ends that. */
export function tieTo(signal: AbortSignal, onAbort: () => void): () => void {
  const ties = tied.get(signal) ?? listen(signal)
  const own = (): void => onAbort()
  ties.all.add(own)
  return () => {
    ties.all.delete(own)
    if (ties.all.size === 0) ties.stop()
  }
}

function listen(signal: AbortSignal): Ties {
  const all = new Set<() => void>()
  const abort = (): void => {
    stop()
    for (const tie of [...all]) tie()
  }
  const stop = (): void => {
    signal.removeEventListener('abort', abort)
    tied.delete(signal)
  }
  signal.addEventListener('abort', abort, { once: true })
  const ties = { all, stop }
  tied.set(signal, ties)
  return ties
}
