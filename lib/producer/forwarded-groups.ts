/**
 * Groups of one that forward a branch of a `par`, because its task asks for other workers than its group. The branch itself is counted and has
 * events already, so these groups are left out.
 */
import type { GroupStatus } from '../backend/backend.js'
import type { GraphStore } from '../engine/graph-store.js'
import { nodeAt } from '../graph/locate.js'

/** Those among a run's groups. */
export async function forwardedGroups(
  groups: readonly GroupStatus[],
  graphs: Pick<GraphStore, 'load'>,
): Promise<ReadonlySet<GroupStatus>> {
  const byGid = new Map(groups.map((group) => [group.gid, group]))
  const forwarded = new Set<GroupStatus>()
  for (const group of groups) {
    const above = byGid.get(parentOf(group.gid))
    if (group.size !== 1 || above?.graph !== group.graph || above.node !== parentOf(group.node)) continue
    // Where the store has lost the graph, the numbers are a little higher, and given all the same.
    const graph = await graphs.load(group.graph).catch(() => undefined)
    // A step of a chain that a handler forked stands right under the fork's group, too, and is no branch of it.
    const isBranch = graph !== undefined && nodeAt(graph, above.node)?.kind === 'group'
    if (isBranch && nodeAt(graph, group.node)?.kind === 'task') forwarded.add(group)
  }
  return forwarded
}

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')))
