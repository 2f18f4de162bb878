/**
 * The words for work that no live worker can take: who was asked, what each has and lacks, and which command line would help. Hides how much of
 * many names a message shows.
 */
import type { SessionStatus } from '../backend/backend.js'
import { buildOf, isLayout, isReserved, ownOf } from '../backend/reserved.js'
import { describeCode, isTask } from '../engine/routing.js'
import { noHandler } from '../engine/start.js'
import { GraflowError } from '../errors.js'
import { didYouMean } from '../nearest.js'
import { DEFAULT_QUEUE, RUNS_QUEUE } from '../options.js'

/** Work as messages speak of it. */
export interface Unserved {
  readonly queue: string
  readonly requires: readonly string[]
  readonly tasks: readonly string[]
  /** Its path in the run; empty for the run itself. */
  readonly path: string
  readonly runId: string
}

/** What is known of branches that have no task of their own: a nested group, or a task that asks for other workers than its group. */
export const DISPATCHED_ON = 'are dispatched from there by a worker with any task'

/** A task of the group that none of the workers has. */
export const nobodysTask = (asked: readonly SessionStatus[], { tasks }: Pick<Unserved, 'tasks'>): string | undefined =>
  tasks.find((task) => !asked.some((worker) => has(worker.tasks, task)))

/** NO_HANDLER for work with a task that no worker has; or for a run whose join policies no single worker has, which whoever drives it needs. */
export function unknownTo(
  workers: readonly SessionStatus[],
  spec: Unserved,
  storeFlags: readonly string[] | undefined,
): GraflowError {
  const asked = [...workers].sort((a, b) => (a.baseId < b.baseId ? -1 : 1))
  const names = asked.map(({ baseId }) => baseId)
  const unknown = nobodysTask(asked, spec)
  if (unknown !== undefined) {
    const near = didYouMean(
      unknown,
      asked.flatMap((worker) => (worker.tasks === 'all' ? [] : worker.tasks.filter(isTask))),
    )
    const todo = `Start a worker that has it${near}: ${commandFor(spec, storeFlags)}`
    return noHandler(describeCode(unknown), whereIs(spec), names, described(asked), todo)
  }
  const policies = spec.tasks.filter((name) => !isTask(name))
  const lacking = (worker: SessionStatus): readonly string[] => policies.filter((name) => !has(worker.tasks, name))
  const who = listed(asked, (worker) => {
    const known = policies.filter((name) => has(worker.tasks, name))
    return `has ${some(known)}; lacks ${some(lacking(worker))}`
  })
  return new GraflowError(
    'NO_HANDLER',
    `no worker that takes submitted runs knows all join policies of ${whereIs(spec)}, and who drives it must know them: ${some(policies)}; ` +
      `asked: ${who}. Start a worker with all of them: ${commandFor(spec, storeFlags, '<their modules>')}`,
    {
      details: {
        path: spec.path,
        asked: names,
        tasks: policies,
        lacking: Object.fromEntries(asked.map((worker) => [worker.baseId, lacking(worker)])),
      },
    },
  )
}

/** Where the work stands: the steps of a run that its driver runs itself have no common path. */
const whereIs = ({ path, runId }: Unserved): string =>
  path === '' ? `the steps that run "${runId}" does not dispatch` : path

/** Workers, and names of each, that a message has. */
const MOST_WORKERS = 5
const MOST_NAMES = 8

const some = (names: readonly string[] | 'all'): string =>
  names === 'all'
    ? 'all'
    : names.length === 0
      ? 'none'
      : `${names.slice(0, MOST_NAMES).map(describeCode).join(', ')}${names.length > MOST_NAMES ? `, and ${names.length - MOST_NAMES} more` : ''}`

/** Who was asked, and what each has. */
const described = (workers: readonly SessionStatus[]): string =>
  listed(
    workers,
    ({ queues, tasks, capabilities }) =>
      `queues: ${some(queues === 'all' ? queues : queues.filter((name) => name !== RUNS_QUEUE))}; ` +
      `tasks: ${some(tasks === 'all' ? tasks : tasks.filter(isTask))}${ownNames(capabilities).length === 0 ? '' : `; capabilities: ${some(ownOf(capabilities))}`}`,
  )

/** Capabilities that a user has named. */
function ownNames(capabilities: readonly string[] | 'all'): readonly string[] {
  const own = ownOf(capabilities)
  return own === 'all' ? [own] : own
}

function listed(workers: readonly SessionStatus[], what: (worker: SessionStatus) => string): string {
  const shown = workers.slice(0, MOST_WORKERS).map((worker) => `${worker.baseId} (${what(worker)})`)
  return `${shown.join(', ')}${workers.length > MOST_WORKERS ? `, and ${workers.length - MOST_WORKERS} more` : ''}`
}

/** The command line of a worker that could take the work, as far as it is known here. */
export function commandFor(
  { queue, requires, path }: Unserved,
  storeFlags: readonly string[] = [],
  modules = '<its module>',
): string {
  // A worker of the default queue takes submitted runs, too.
  const queues = queue === DEFAULT_QUEUE || path === '' ? [] : ['--queue', queue]
  const capabilities = ownNames(requires).flatMap((name) => ['--capability', name])
  const build = requires.flatMap((name) => buildOf(name) ?? []).flatMap((id) => ['--build-id', id])
  return ['graflow-worker', '--tasks', modules, ...queues, ...capabilities, ...build, ...storeFlags].join(' ')
}

/** What a worker must have, for messages. */
export const describeRequirement = (name: string): string =>
  isLayout(name) ? 'a release of graflow that can read it' : isReserved(name) ? name.replace(':', ' ') : name

/** What workers must have, in brackets. That they can read the work goes without saying, unless a live one is of a release that cannot. */
export function describeRequirements(requires: readonly string[], asked: readonly SessionStatus[]): string {
  const told = requires.filter((name) => !isLayout(name) || asked.some(({ capabilities }) => !has(capabilities, name)))
  return told.length === 0 ? '' : ` (requires ${[...new Set(told.map(describeRequirement))].join(', ')})`
}

/** Whether a list of names, or `all`, has this one. */
export const has = (names: readonly string[] | 'all', name: string): boolean => names === 'all' || names.includes(name)
