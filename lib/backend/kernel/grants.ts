/** Grants: ranges of branches that a session holds under one token. Hides what ends with the last branch of a grant. */
import type { Group, HeldGrant } from './group.js'
import type { KernelState } from './state.js'

const NO_INDEXES = new Uint32Array(0)

/** Branches of a grant are no longer held. The table says what they are now. */
export function endHolding(state: KernelState, grant: HeldGrant, count: number): void {
  grant.held -= count
  grant.session.branches -= count
  if (grant.held > 0) return
  grant.indexes = NO_INDEXES
  state.deadlines.remove(grant)
  grant.session.forgetGrant(grant)
}

/** The group of a branch that this token holds, while the group is open. */
export function heldGroup(
  state: KernelState,
  holder: { readonly gid: string; readonly index: number; readonly token: string },
): Group | undefined {
  const group = state.groups.get(holder.gid)
  if (group === undefined || group.state !== 'open') return undefined
  const grant = group.grantByToken(holder.token)
  return grant !== undefined && group.table.isHeldUnder(holder.index, grant.number) ? group : undefined
}
