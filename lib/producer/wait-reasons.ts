/** What may stand in the way of a run, by name. */

export const WAIT_REASONS = Object.freeze([
  ...(['worker', 'task', 'capability', 'driver', 'affinity', 'limit'] as const),
  ...(['paused', 'delay', 'busy', 'signal', 'timer', 'graph'] as const),
])

/**
 * Why something of a run stands still. `worker`: no live worker serves its queue. `capability`: none of these can do what it requires. `task`: none of
 * these knows the task. These three also say so of a run that no live worker can drive, with the tasks that are missing. `driver`: the process that
 * drove the run is gone, and it waits to be taken up (`resume`). `affinity`: it is kept for its preferred worker. `limit`: so many of its group run
 * already. `paused`: its run or queue is. `delay`: it failed, and waits for its next start. `busy`: workers could take it, and have no slot free, or are
 * about to. `signal`, `timer`: somebody must send one, or time must pass. `graph`: the store does not keep the graph of the run any more.
 */
export type WaitReason = (typeof WAIT_REASONS)[number]
