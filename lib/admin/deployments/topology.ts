/** Which workers there are, when they were heard of last, and which pipelines are where. */
import type { PipelineGroup, Topology, TopologyNode } from '../../producer/deployment-types.js'
import type { OperatorServices } from '../../producer/operators.js'
import { workersOf } from '../../producer/workers.js'

const MOST_NODES = 1_000

export async function topologyOf({ backend }: OperatorServices, groups: readonly PipelineGroup[]): Promise<Topology> {
  const [{ items }, now] = await Promise.all([workersOf(backend).list({ limit: MOST_NODES }), backend.inspect.now()])
  const placed = new Map<string, string[]>()
  for (const { id, placements } of groups) {
    for (const { workerId, pipeline } of placements)
      if (workerId !== undefined) placed.set(workerId, [...(placed.get(workerId) ?? []), `${id}/${pipeline}`])
  }
  const nodes = items.map(
    ({ id, session, role, state, hostname, isLeader, seenAt, inFlight, drives }): TopologyNode => ({
      ...{ id, session, role, state, hostname, isLeader, seenAt, inFlight, drives },
      heartbeatAgeMs: Math.max(0, Math.round(now - seenAt.getTime())),
      pipelines: placed.get(id) ?? [],
    }),
  )
  return { nodes, groups, leader: (await backend.inspect.lead())?.leaderId }
}
