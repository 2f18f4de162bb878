/** One run as a person reads it: what it is, its steps and groups in order, what failed and why, and what it waits for. */
import type {
  BranchOutcome,
  Graflow,
  GroupProgress,
  RunProgress,
  RunStatus,
  RunStep,
  RunWait,
} from '../../lib/producer/types.js'
import { named } from '../../lib/values/item-label.js'
import { systemClock, withDeadline } from '../../lib/time.js'
import { firstLineOf, withCauses } from '../error-text.js'
import type { Host } from '../host.js'
import { duration, painter, plainText } from '../output.js'
import { ago } from './operate.js'

/** A branch that failed. */
export interface FailedBranch {
  readonly path: string
  readonly task: string
  readonly label?: string
  readonly error: unknown
}

/** What is shown of a run. */
export interface RunView extends RunStatus {
  readonly waits: readonly RunWait[]
  /** The first of them. */
  readonly failures: readonly FailedBranch[]
}

/** So many failed branches are shown, found among so many outcomes, in so long. */
const MOST_FAILURES = 20
const MOST_OUTCOMES = 100_000
const READ_MS = 3_000

/** Undefined where there is no such run. */
export async function viewOf(graflow: Graflow, id: string): Promise<RunView | undefined> {
  const status = await graflow.runs.get(id)
  if (status === undefined) return undefined
  const [waits, failures] = await Promise.all([
    graflow.waits.of(id).catch(() => []),
    status.groups.some(({ failed, dead }) => failed + dead > 0) ? failuresOf(graflow, status) : [],
  ])
  return { ...status, waits, failures }
}

async function failuresOf(graflow: Graflow, { id, groups }: RunStatus): Promise<readonly FailedBranch[]> {
  const run = await graflow.attach(id)
  const branches = run.branches()[Symbol.asyncIterator]()
  const found: FailedBranch[] = []
  const sought = Math.min(
    MOST_FAILURES,
    groups.reduce((sum, { failed, dead }) => sum + failed + dead, 0),
  )
  const over = { done: true, value: undefined } as const
  const until = performance.now() + READ_MS
  try {
    for (let seen = 0; seen < MOST_OUTCOMES && found.length < sought; seen += 1) {
      const left = until - performance.now()
      const next = left <= 0 ? over : await withDeadline(systemClock, left, branches.next(), () => over)
      if (next.done === true) break
      const failure = failureOf(next.value)
      if (failure !== undefined) found.push(failure)
    }
  } catch {
    // its outcomes are not kept any more: the counts say how many failed
  } finally {
    await branches.return?.(undefined)
  }
  return found
}

const failureOf = ({ path, task, label, status, outcome }: BranchOutcome): FailedBranch | undefined =>
  (status === 'failed' || status === 'dead') && 'error' in outcome
    ? { path, task, ...(label !== undefined && { label }), error: outcome.error }
    : undefined

export function treeOf(view: RunView, host: Host): string {
  const paint = painter(host.out, host.env)
  const { id, state, workflow, tags, driver, retries, error, waits } = view
  const bad = state === 'failed' || state === 'abandoned'
  const colour = bad ? 'red' : state === 'completed' ? 'green' : 'yellow'
  const lines = [
    `run ${paint('bold', plainText(id))}  ${paint(colour, state)}${workflow === undefined ? '' : `  ${plainText(workflow)}`}`,
    `  created ${view.createdAt.toISOString()}, ${ago(view.createdAt, host)} ago${timesOf(view, host)}`,
    ...(driver === undefined ? [] : [`  driven by ${plainText(driver)}`]),
    ...(retries === 0 ? [] : [`  retried ${retries} ${retries === 1 ? 'time' : 'times'}`]),
    ...(tags.length === 0 ? [] : [`  tags ${plainText(tags.join(', '))}`]),
    ...view.byHand.map(
      ({ path, label, as, at }) => `  ${plainText(named(path, label))} was ${as} by hand at ${at.toISOString()}`,
    ),
    ...partsOf(view).map((line) => `  ${line}`),
    ...view.failures.map(({ path, task, label, error: why }) =>
      paint('red', plainText(`    ${named(path, label)}  ${task}: ${firstLineOf(why)}`)),
    ),
    ...leftOut(view).map((line) => `    ${line}`),
    ...waits.map((wait) => paint('yellow', `  waits: ${plainText(waitText(wait, host))}`)),
    ...(error === undefined
      ? []
      : ['', ...withCauses(error).map((line) => paint('red', plainText(line.split('\n', 1)[0] ?? '')))]),
  ]
  return lines.map((line) => `${line}\n`).join('')
}

const timesOf = ({ startedAt, endedAt }: RunStatus, host: Host): string => {
  if (startedAt === undefined) return ', not begun'
  const ms = (endedAt?.getTime() ?? host.now()) - startedAt.getTime()
  return endedAt === undefined ? `, for ${duration(ms)}` : `, took ${duration(ms)}`
}

/** Steps and groups in the order of their paths, each below what it is in. */
function partsOf({ groups, steps, progress }: RunView): readonly string[] {
  const said = new Map(progress.map((one) => [one.path, one]))
  const parts = [
    ...steps.map((step) => ({ path: step.path, text: stepText(step, said.get(step.path)) })),
    ...groups.map((group) => ({ path: group.path, text: groupText(group) })),
  ]
  const shown = parts.sort((a, b) => byPath(a.path, b.path)).slice(0, MOST_PARTS)
  const left = parts.length - shown.length
  return [
    ...shown.map(({ path, text }) => plainText(`${'  '.repeat(path.split('/').length - 1)}${path}  ${text}`)),
    ...(left > 0 ? [`… ${left} more steps and groups`] : []),
  ]
}

const MOST_PARTS = 60

/** Parts that are numbers by their size: 2 comes before 10. */
const byPath = (a: string, b: string): number => a.localeCompare(b, 'en', { numeric: true })

function stepText({ task, state, attempt, startedAt, endedAt, error }: RunStep, said: RunProgress | undefined): string {
  const took = endedAt === undefined ? '' : ` in ${duration(endedAt.getTime() - startedAt.getTime())}`
  const attempts = attempt > 1 ? `, attempt ${attempt}` : ''
  const far =
    endedAt !== undefined || said === undefined
      ? ''
      : `, ${Math.round(said.fraction * 100)} %${said.message === undefined ? '' : ` ${said.message}`}`
  return `${task}: ${state}${took}${attempts}${far}${error === undefined ? '' : `: ${firstLineOf(error)}`}`
}

function groupText(group: GroupProgress): string {
  const { state, width } = group
  const counts = (['succeeded', 'failed', 'dead', 'withdrawn', 'running', 'delayed', 'ready'] as const)
    .filter((name) => group[name] > 0)
    .map((name) => `${group[name]} ${name}`)
  return `${width} ${width === 1 ? 'branch' : 'branches'}, ${state}: ${counts.length === 0 ? 'nothing yet' : counts.join(', ')}`
}

function leftOut({ groups, failures }: RunView): readonly string[] {
  const all = groups.reduce((sum, { failed, dead }) => sum + failed + dead, 0)
  return all > failures.length ? [`… ${all - failures.length} more failed`] : []
}

function waitText(wait: RunWait, host: Host): string {
  const { path, task, label, count, since, why } = wait
  return [
    `${named(path, label)}${task === undefined ? '' : ` ${task}`}`.trimStart(),
    why,
    ...(count > 1 ? [`${count} of them`] : []),
    `for ${ago(since, host)}`,
    ...whatOf(wait),
  ]
    .filter((part) => part !== '')
    .join(', ')
}

/** What is known of the reason, in words. */
export function whatOf({ why, details, prompt }: RunWait): readonly string[] {
  const {
    signal,
    index,
    dueAt,
    queue,
    workers,
    tasks,
    requires,
    worker,
    limit,
    running,
    attempt,
    error,
    graph,
    refused,
  } = details
  return [
    ...(signal === undefined
      ? []
      : [`signal ${JSON.stringify(signal)}${index === undefined ? '' : ` with --index ${index}`}`]),
    ...(dueAt === undefined ? [] : [`until ${dueAt.toISOString()}`]),
    ...(queue === undefined ? [] : [`queue ${queue}`]),
    ...(workers === undefined ? [] : [workers === 1 ? '1 worker' : `${workers} workers`]),
    ...(tasks === undefined ? [] : [`${why === 'worker' ? 'for' : 'nobody knows'} ${tasks.join(' ')}`]),
    ...(requires === undefined ? [] : [`requires ${requires.join(' ')}`]),
    ...(worker === undefined ? [] : [`kept for ${worker}`]),
    ...(limit === undefined ? [] : [`${running ?? limit} of ${limit} that may run at once`]),
    ...(attempt === undefined ? [] : [`attempt ${attempt}`]),
    ...(error === undefined ? [] : [firstLineOf(error)]),
    ...(graph === undefined ? [] : [`graph ${graph.slice(0, 12)}`]),
    ...(refused === undefined ? [] : [`the last answer was refused: ${firstLineOf({ message: refused.message })}`]),
    ...(prompt === undefined
      ? []
      : [`asks: ${prompt.title}${prompt.choices === undefined ? '' : ` (${prompt.choices.join(' | ')})`}`]),
  ]
}
