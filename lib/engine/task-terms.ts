/**
 * The terms of a task whose branch is more than this task: the holder reports them to the store before a start, by a step. Hides when that is
 * worth a step: never for a branch that is one task with the terms of its group, and for most tasks only once something went wrong.
 */
import type { Backend, GroupSpec, TaskCounts, TaskInHand } from '../backend/backend.js'
import { GraflowError } from '../errors.js'
import type { TaskOptions } from '../flow/node-options.js'
import { RETRY_DEFAULTS, TASK_DEFAULTS } from '../options.js'
import { encodeFailure } from '../values/codec.js'
import type { Frame, GraphInUse } from './execution.js'
import { fullStore } from './graph-store.js'
import { timeout } from './start.js'
import { fenced } from './superstep.js'

export const NO_OPTIONS: TaskOptions = Object.freeze({})

/** What the store knows of a group by its first task, and of another one by a step. */
const TERMS = ['retry', 'timeoutMs', 'maxLosses', 'maxCycles'] as const
/** What a declaration may leave to the process that has the handler; which workers may take a task, the process that dispatches it must know. */
const LEFT_TO_HANDLER = [...TERMS, 'isolation'] as const

/** The options of a task where its handler is: what the flow says, and what it leaves out as the handler's own module says. */
export function optionsOf({ graph, code }: Pick<GraphInUse, 'graph' | 'code'>, name: string): TaskOptions {
  const given = graph.tasks[name] ?? NO_OPTIONS
  const known = code.task(name)
  if (known?.handler === undefined) return given
  const own = known.options
  const isLeft = LEFT_TO_HANDLER.some((option) => own[option] !== undefined && given[option] === undefined)
  if (!isLeft) return given
  const { retry, timeoutMs, maxLosses, maxCycles, isolation } = own
  return {
    ...(isolation !== undefined && { isolation }),
    ...(retry !== undefined && { retry }),
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(maxLosses !== undefined && { maxLosses }),
    ...(maxCycles !== undefined && { maxCycles }),
    ...given,
  }
}

/** Whether a task's options where its handler is are other terms than those that its group was dispatched with. */
export const hasOtherTerms = (options: TaskOptions, given: TaskOptions): boolean =>
  options !== given && TERMS.some((option) => options[option] !== given[option])

/** What the store is to know of a start of a task. */
export interface StartReport {
  readonly task: string
  /** In the run. */
  readonly path: string
  readonly options: TaskOptions
  /** As far as they are known here. */
  readonly errors: number
  readonly losses: number
  /** What is left of its timeoutMs, where that is less; 0: no deadline counts now. */
  readonly leftMs?: number
  /** How long it waits for that. Meanwhile nothing is in hand: who is lost then has lost no start. */
  readonly delayMs?: number
}

/** A start as the store is told of it. */
export function taskInHand({ task, path, options, errors, losses, leftMs, delayMs = 0 }: StartReport): TaskInHand {
  const { maxLosses = TASK_DEFAULTS.maxLosses, timeoutMs } = options
  return {
    path,
    errors,
    losses,
    attempts: options.retry?.attempts ?? RETRY_DEFAULTS.attempts,
    maxLosses,
    timeoutMs: leftMs ?? timeoutMs ?? 0,
    ...(delayMs > 0 && { delayMs }),
    ifLost: encodeFailure(lostTooOften(task, path, maxLosses)),
    ifLate: timeoutMs === undefined ? NO_ERROR : encodeFailure(timeout(task, path, timeoutMs)),
  }
}

/** Reports to the store which task the branch has in hand, and saves what is not saved yet; answers what the store has counted for the task. */
export async function reportStart(
  backend: Pick<Backend, 'step'>,
  frame: Frame,
  report: StartReport,
): Promise<TaskCounts> {
  const { errors, losses } = report
  const { execution } = frame
  const { runId, holder } = execution.facts
  const save = execution.takeUnsaved()
  execution.setInHand(true)
  const answer = await backend.step({
    holder,
    runId,
    ...(save !== undefined && { save }),
    task: taskInHand(report),
  })
  if (answer.status === 'backpressure') throw fullStore('the outputs of finished tasks')
  if (answer.status !== 'ok') throw fenced(frame)
  return answer.counts ?? { errors, losses }
}

/** Reports to the store that no task is in hand, so that no deadline of one counts. */
export async function reportNone(backend: Pick<Backend, 'step'>, frame: Frame): Promise<void> {
  const { runId, holder } = frame.execution.facts
  const answer = await backend.step({ holder, runId, task: 'none' })
  if (answer.status === 'fenced') throw fenced(frame)
}

const NO_ERROR = new Uint8Array(0)

const lostTooOften = (task: string, path: string, maxLosses: number): GraflowError =>
  new GraflowError(
    'BRANCH_DEAD',
    `task "${task}" (at ${path}) is dead: its workers were lost more than ${maxLosses} times`,
    { details: { task, path, maxLosses } },
  )

/**
 * From how many losses of its branch on the store must know the terms of a task that is the whole branch: 0 is at once. A deadline must be known
 * before the start, a bound of losses only before the loss that it makes the last.
 */
export function reportsFrom(
  options: TaskOptions,
  { timeoutMs, maxLosses }: Pick<GroupSpec, 'timeoutMs' | 'maxLosses'>,
): number {
  if (options.timeoutMs !== undefined && options.timeoutMs !== timeoutMs) return 0
  const own = options.maxLosses ?? TASK_DEFAULTS.maxLosses
  return own < maxLosses ? own : Number.POSITIVE_INFINITY
}

/**
 * Whether the store must know of a task before its start where it is one of several in its branch, or a step of a run. Where the task bounds
 * no losses, the first one is not worth a step before every start: it is taken for one of the task that starts again first.
 */
export function mustReport({ execution }: Frame, { timeoutMs, maxLosses }: TaskOptions): boolean {
  const { losses, errors, hasTask } = execution.facts
  return timeoutMs !== undefined || maxLosses !== undefined || losses + errors > 0 || hasTask || execution.isInHand
}
