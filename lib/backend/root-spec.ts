/** What the root group of a run is, in every store: the run itself as its one branch, whose driver is any worker that knows its tasks. */
import { RUNS_QUEUE } from '../options.js'
import type { GroupSpec, OpenRequest } from './backend.js'

/** The spec of the root group that is opened with a run. */
export function rootSpec(request: OpenRequest): GroupSpec {
  return {
    gid: request.runId,
    runId: request.runId,
    graph: request.graph,
    node: '',
    digest: request.digest,
    size: 1,
    shared: false,
    rule: 'all',
    queue: RUNS_QUEUE,
    requires: request.requires ?? [],
    tasks: request.tasks,
    priority: request.priority ?? 0,
    depth: 0,
    limit: 0,
    attempts: 0,
    maxLosses: request.maxLosses,
    timeoutMs: 0,
    ...(request.affinity !== undefined && request.session === undefined && { affinity: request.affinity }),
    ...(request.trace !== undefined && { trace: request.trace }),
    ...(request.terms !== undefined && { run: request.terms }),
  }
}
