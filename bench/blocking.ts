/** A task that keeps the event loop of its worker past its deadline, so that only the store can take it back. */
import { task } from 'graflow'

export const TIMEOUT_MS = 500
const BLOCKED_MS = 3_000

export const blocking = task(
  'blocking',
  { queue: 'blocking', timeoutMs: TIMEOUT_MS, retry: { attempts: 1 } },
  (x: number) => {
    const until = performance.now() + BLOCKED_MS
    while (performance.now() < until);
    return x
  },
)
