/**
 * A fair share: how many branches of a lane one session takes while others wait for such work, so that a few long tasks are spread over all
 * that are idle. Hides which sessions count and how the shares are found.
 */
import type { Group, Session } from './group.js'
import type { Wait } from './sessions.js'
import type { KernelState } from './state.js'
import { mayTake } from './waking.js'

/**
 * So many that this session and those with room that wait, or were notified a moment ago, would hold equally many branches in the end; at most
 * `most`. 0: it has more than its share already.
 *
 * @param group the first of the lane that the session could take
 */
export function shareOf(state: KernelState, session: Session, group: Group, most: number): number {
  const { ready } = group.lane
  if (ready < 2) return most
  const others = [...idleFor(state, session, group)]
  if (others.length === 0) return most
  const mine = { held: session.branches, free: most }
  const room = (level: number): number =>
    [mine, ...others].reduce((sum, { held, free }) => sum + Math.min(free, Math.max(0, level - held)), 0)
  let low = 0
  let high = Math.max(mine.held, ...others.map(({ held }) => held)) + ready
  if (room(high) < ready) return most
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (room(middle) >= ready) high = middle
    else low = middle
  }
  return Math.min(most, Math.max(0, high - mine.held))
}

/** The other sessions that could take the group and wait, or are on their way. One that does not come is not waited for long. */
function* idleFor(state: KernelState, asking: Session, group: Group): Iterable<{ held: number; free: number }> {
  const could = (session: Session): Wait | undefined => {
    const { wait } = session
    return session !== asking && wait !== undefined && mayTake(state, session, wait, group) ? wait : undefined
  }
  for (const session of state.waiting) {
    const wait = could(session)
    if (wait !== undefined) yield { held: session.branches, free: wait.free }
  }
  for (const session of state.coming) {
    const wait = session.notifiedAt + state.options.shareMs >= state.now ? could(session) : undefined
    if (wait !== undefined) yield { held: session.branches, free: wait.free }
  }
}
