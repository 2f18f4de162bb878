/** What a client needs of the room that comes after it: whoever makes a client gives it `operatorsOf` of lib/admin. */
import type { Backend, RunRecord } from '../backend/backend.js'
import type { Engine } from '../engine/engine.js'
import type { Graph } from '../graph/graph.js'
import type { Clock } from '../time.js'
import type { Deployments } from './deployment-types.js'
import type { Queues } from './operator-types.js'
import type { FlowToRun } from './prepare-run.js'
import type { Run, RunOptions, Runs, RunWait, RunWaits } from './types.js'

export interface OperatorServices {
  readonly backend: Backend
  readonly engine: Engine
  readonly clock: Clock
  readonly newId: () => string
  /** How long the record of a run that is started here is kept after its end. */
  readonly retentionMs: number
  /** The session of this process. */
  readonly session: string
  /** @throws GraflowError CLOSED */
  readonly checkOpen: () => void
  /** Whether there is such a run is asked later. */
  readonly handleOf: (runId: string) => Run<unknown>
  /** Starts a run that any worker drives; where the flow says so, one before others. */
  readonly submit: (flow: FlowToRun, input: unknown, options: RunOptions) => Promise<Run<unknown>>
  readonly waitsOf: (runId: string) => Promise<readonly RunWait[]>
  /** A run that was reopened waits for a driver: this process drives it, if it may and can, or sees to it that somebody is told where nobody can. */
  readonly goesOn: (record: RunRecord, graph: Graph, step: number) => Promise<void>
}

export interface Operators {
  readonly runs: Runs
  readonly queues: Queues
  readonly waits: RunWaits
  readonly deployments: Deployments
}

export type OperatorsOf = (services: OperatorServices) => Operators
