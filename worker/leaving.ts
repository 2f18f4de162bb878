/**
 * How a worker gives up its work when it stops: it lets what runs finish, releases the rest, and leaves the store. Hides how its time is divided, so that it
 * ends in time also where the store does not answer.
 */
import type { Session } from '../lib/session/open-session.js'
import { elapsedMs, withDeadline, type Clock } from '../lib/time.js'

/** What is there to leave. */
export interface Leaving {
  readonly clock: Clock
  readonly session: Session
  /** What handlers see whose time is up. */
  readonly reason: Error
  /** Called before what is in hand is released. */
  readonly onRelease: () => void
}

/** A store that answers takes so long at most; another is given up: the session expires, and nothing is lost. */
const ANSWER_MS = 250
/** Of the timeout, for the question whether the store is there, and for the end of the process. */
const RESERVE_MS = 500
/** With a store that is there. */
const RELEASE_MS = 800
const LEAVE_MS = 900
/** With one that is away: what is sent may yet arrive. */
const LAST_MS = 20

/**
 * Waits until nothing is in hand, for up to `timeoutMs`; what is left then is released, unspent, and the session closed. Resolves within `timeoutMs`,
 * and soon where nothing is in hand, if the store is away; else within about 2 s after that.
 */
export async function leave({ clock, session, reason, onRelease }: Leaving, timeoutMs: number): Promise<void> {
  const { holdings } = session
  holdings.quiet()
  const drained = holdings.drained().then(() => true)
  const isDrainedIn = (ms: number): Promise<boolean> => withDeadline(clock, ms, drained, () => false)
  const reserveMs = Math.min(RESERVE_MS, timeoutMs / 2)
  const release = (ms: number): Promise<unknown> => {
    onRelease()
    return withDeadline(clock, ms, holdings.release(reason), () => undefined)
  }
  const isDrained = await isDrainedIn(timeoutMs - reserveMs)
  const askedAt = elapsedMs(clock)
  const isThere = await withDeadline(
    clock,
    ANSWER_MS,
    session.store.ping().then(
      () => true,
      () => false,
    ),
    () => false,
  )
  if (!isThere) {
    if (!isDrained) await release(LAST_MS)
    return session.close('stopped', LAST_MS)
  }
  if (!isDrained && !(await isDrainedIn(Math.max(0, reserveMs - (elapsedMs(clock) - askedAt)))))
    await release(RELEASE_MS)
  return session.close('stopped', LEAVE_MS)
}
