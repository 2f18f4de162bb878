/** What is deployed, as people see it: groups of pipelines, and the events that go through them. */
import type { RunStateName } from '../events.js'
import type { GraflowError } from '../errors.js'
import type { Page, PageOptions } from './operator-types.js'

/** A flow with a name, to which events are routed. */
export interface PipelineSpec {
  /** 1 to 128 characters of A-Z a-z 0-9 _ . -, once in its group. */
  readonly name: string
  /** The flow as text over tasks that workers know, such as `ingest >> (a | b) >> store`; or the name of a workflow. */
  readonly source: string
  /** The worker that it is to be placed on, as long as that one lives. Default: where the placement of the group puts it. */
  readonly workerAffinity?: string
}

/** Where events go. */
export interface RouteSpec {
  /** `_external`: events that are injected; or a pipeline of the group, whose result then is the event. */
  readonly from: string
  /** A pipeline of the group. */
  readonly to: string
  /** Types of events: exact, or with `*` for any characters, such as `Sensor*`. */
  readonly eventTypes: readonly string[]
}

/** How pipelines are spread over workers. */
export type PlacementStrategy = 'round-robin' | 'least-loaded'

/** Pipelines that are deployed together. */
export interface PipelineGroupSpec {
  /** For people; a live group of this name has it alone. 1 to 128 characters. */
  readonly name: string
  /** 1 to 100. */
  readonly pipelines: readonly PipelineSpec[]
  /** At most 1000. Default: all events go to the one pipeline. */
  readonly routes?: readonly RouteSpec[]
  /** How pipelines without a `workerAffinity` are placed. Default: round-robin. */
  readonly placement?: PlacementStrategy
}

/** Where a pipeline is. */
export interface PipelinePlacement {
  /** The name of the pipeline. */
  readonly pipeline: string
  /** The worker that its runs are driven by; undefined where none lives that could. */
  readonly workerId: string | undefined
  /** `running`: events are run at once. `waiting`: they wait until a worker is there. */
  readonly status: 'running' | 'waiting'
}

/** A group that is deployed. */
export interface PipelineGroup {
  /** What it is called by in all calls. */
  readonly id: string
  /** As it was deployed. */
  readonly name: string
  /** `running`: all its pipelines have a worker; `degraded`: some; `waiting`: none. */
  readonly status: 'running' | 'degraded' | 'waiting'
  /** How many pipelines it has. */
  readonly pipelineCount: number
  /** Where they are now, in the order of the pipelines. */
  readonly placements: readonly PipelinePlacement[]
  /** As they were deployed. */
  readonly pipelines: readonly PipelineSpec[]
  /** As they were deployed. */
  readonly routes: readonly RouteSpec[]
  /** How pipelines without a `workerAffinity` are placed. */
  readonly placement: PlacementStrategy
  /** When it was deployed. */
  readonly createdAt: Date
}

/** Something that happened. */
export interface PipelineEvent {
  /** What it is: 1 to 256 characters. Routes choose by it. */
  readonly eventType: string
  /** What the pipeline gets as its input. Default: an empty object. */
  readonly fields?: unknown
}

/** An event on its way through one pipeline. */
export interface PipelineDelivery {
  /** `_external`, or the pipeline whose result was the event. */
  readonly from: string
  /** The type of the event. */
  readonly eventType: string
  /** The pipeline that got it. */
  readonly routedTo: string
  /** The worker that drove its run last, or is to. */
  readonly workerId: string | undefined
  /** The run of the pipeline. */
  readonly runId: string
  /** The state of the run when the call answered. */
  readonly state: RunStateName
  /** What the pipeline gave; only where it is completed. */
  readonly result?: unknown
  /** Why it failed or was cancelled. */
  readonly error?: GraflowError
}

/** What became of an event: of the first pipeline that it went to, and of all. */
export interface Injection extends PipelineDelivery {
  /** Names it: the same call with this `idempotencyKey` answers the same. */
  readonly id: string
  /** All pipelines that got it or one of its results, each after what it came from. */
  readonly deliveries: readonly PipelineDelivery[]
}

/** How an event is injected. */
export interface InjectOptions {
  /** Milliseconds until the call answers, whatever is over by then; the rest goes on. 0 to 600000. Default: 30000. */
  readonly waitMs?: number
  /** Names the event: repeated with the same key it is not run twice. 1 to 256 characters. Default: a new one. */
  readonly idempotencyKey?: string
  /** Ends the waiting when it aborts; what was begun goes on. Default: none. */
  readonly signal?: AbortSignal
}

/** A process of the deployment. */
export interface TopologyNode {
  /** What it calls itself. */
  readonly id: string
  /** Its session. */
  readonly session: string
  /** What it may do: `auto`, `worker`, `leader` or `observer`. */
  readonly role: string
  /** What it does; `stale` and `dead` are lost. */
  readonly state: string
  /** Where it runs. */
  readonly hostname: string
  /** Whether it leads. */
  readonly isLeader: boolean
  /** Its last sign of life. */
  readonly seenAt: Date
  /** Milliseconds since then, by the clock of the store. */
  readonly heartbeatAgeMs: number
  /** Branches that it holds; runs that it drives are not among them. */
  readonly inFlight: number
  /** Runs that it drives. */
  readonly drives: number
  /** Pipelines that are placed on it, as `<group>/<pipeline>` with the group's id. */
  readonly pipelines: readonly string[]
}

/** Which processes there are, and which pipelines are where. */
export interface Topology {
  /** Workers, live and lost, by id; at most 1000. */
  readonly nodes: readonly TopologyNode[]
  /** Groups of pipelines by id, with their routes; at most 200. `deployments.list` has all. */
  readonly groups: readonly PipelineGroup[]
  /** Who leads, by what it calls itself; undefined where nobody does. */
  readonly leader: string | undefined
}

/** Groups of pipelines that events are routed through. All of it is in the store: any client may deploy, inject and look. */
export interface Deployments {
  /**
   * Deploys a group: checks it, and places its pipelines on workers. The same group under the name of one that is there is that one.
   * @throws GraflowError INVALID_OPTION for what is wrong with the group, such as routes that make a circle; FLOW_SYNTAX, UNKNOWN_NAME for a source;
   * PIPELINE_GROUP_EXISTS where another group has the name; LIMIT_EXCEEDED, BACKPRESSURE
   */
  deploy(group: PipelineGroupSpec): Promise<PipelineGroup>
  /** A page of the groups, by id. @throws GraflowError INVALID_OPTION */
  list(options?: PageOptions): Promise<Page<PipelineGroup>>
  /** One of them, with the places of its pipelines now: those of a lost worker are placed anew. Undefined where there is none. */
  get(id: string): Promise<PipelineGroup | undefined>
  /**
   * Routes an event to all pipelines whose routes match its type, runs them, and routes their results on. A result that is an object with an `eventType` is an
   * event of that type, with its `fields` where it has some; any other is an event of the type that the pipeline got. Waits until all is over, or
   * `waitMs` are.
   * @throws GraflowError PIPELINE_GROUP_NOT_FOUND; NO_ROUTE where no route matches; INVALID_OPTION, NOT_SERIALISABLE, LIMIT_EXCEEDED, BACKPRESSURE; RUN_EXISTS
   * for a key that came with another event
   */
  inject(id: string, event: PipelineEvent, options?: InjectOptions): Promise<Injection>
  /** Tears a group down: no event is routed to it or through it any more. Runs that are under way end by themselves. False where there is none. */
  delete(id: string): Promise<boolean>
  /** Which workers there are, when they were heard of last, and which pipelines are where. */
  topology(): Promise<Topology>
  /**
   * From now on takes up events whose process was lost between two pipelines, until what it returns is called. A control plane does this; where there is
   * none, a client that lives long may.
   */
  carryOn(): () => void
}
