/** How many branches of a group are in which state, in the words that users see. */
import type { GroupStatus } from '../backend/backend.js'
import type { GroupProgress } from './types.js'

/** What `status()` and reports have of a group. */
export const countsOf = (group: GroupStatus): Omit<GroupProgress, 'path' | 'state' | 'width'> => ({
  ready: group.ready,
  delayed: group.delayed,
  running: group.granted,
  succeeded: group.succeeded,
  failed: group.failed,
  dead: group.dead,
  withdrawn: group.withdrawn,
})
