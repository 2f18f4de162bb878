/** The public names, one by one. */
import { useDrawing } from './flow/node.js'
import { drawing } from './graph/drawing.js'

// Nodes draw and hash themselves through the graph room, which stands right of theirs: this is where the two meet.
useDrawing(drawing)

export { connect } from './connect.js'
export { GraflowError, NotRetryableError, ERROR_CODES, type ErrorCode, type GraflowErrorOptions } from './errors.js'
export {
  EVENTS,
  type EventMap,
  type EventName,
  type EventOf,
  type Events,
  type RunEvent,
  type RunStateName,
  type OutcomeStatus,
} from './events.js'
export { task, declareTask, type TaskSchemas, type Untyped } from './flow/task.js'
export { seq } from './flow/seq.js'
export { par, each, policy } from './flow/group.js'
export { choose } from './flow/choose.js'
export { loop, again, done } from './flow/loop.js'
export { workflow } from './flow/workflow.js'
export { later, waitFor } from './flow/waits.js'
export type { WaitOptions } from './flow/wait-options.js'
export { flow } from './flow/flow.js'
export type {
  Again,
  AnyNode,
  Control,
  Done,
  EachGroup,
  EachJoined,
  Group,
  In,
  Joined,
  JoinPolicy,
  Node,
  Out,
  Outcome,
  Outcomes,
  Task,
  Wait,
  Workflow,
} from './flow/types.js'
export type { Channel, ChannelAccess, Lock, LockOptions, Logger, TaskContext, WriteOptions } from './flow/context.js'
export type {
  EachOptions,
  GroupOptions,
  Prompt,
  RetryOptions,
  TaskOptions,
  WaitData,
  WorkflowOptions,
} from './flow/node-options.js'
export type {
  Address,
  AskedPrompt,
  BranchOutcome,
  ConnectOptions,
  DeadLetters,
  Graflow,
  GroupProgress,
  Run,
  RunOptions,
  Runs,
  RunProgress,
  RunStatus,
  RunStep,
  RunWait,
  RunWaits,
  WaitDetails,
  SignalOptions,
  WorkerStatus,
  Workers,
} from './producer/types.js'
export type {
  Deployments,
  InjectOptions,
  Injection,
  PipelineDelivery,
  PipelineEvent,
  PipelineGroup,
  PipelineGroupSpec,
  PipelinePlacement,
  PipelineSpec,
  PlacementStrategy,
  RouteSpec,
  Topology,
  TopologyNode,
} from './producer/deployment-types.js'
export type {
  Build,
  Builds,
  BulkOptions,
  BulkProgress,
  DeadLetter,
  DeadLetterOptions,
  Decision,
  DecisionByHand,
  DeadLetterWithInput,
  Page,
  PageOptions,
  PauseQueueOptions,
  Queues,
  QueueSummary,
  RetryRunOptions,
  RunFilter,
  RunGraph,
  RunListOptions,
  RunReport,
  RunSummary,
  SettleOptions,
  WaitListOptions,
} from './producer/operator-types.js'
export type { WaitReason } from './producer/wait-reasons.js'
export type {
  ReportBins,
  ReportBranch,
  ReportCritical,
  ReportData,
  ReportError,
  ReportFailure,
  ReportGroup,
  ReportStatus,
  ReportStep,
  ReportValue,
} from './report/report.js'
export type { Limits } from './options.js'
export type { Clock, Random } from './time.js'
