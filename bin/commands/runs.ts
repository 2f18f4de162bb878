/** `graflow runs`: lists runs, shows one, and does something to one, some, or all that match a filter. */
import type { BulkProgress, RunFilter, RunSummary } from '../../lib/producer/operator-types.js'
import { type RunStateName, UNFINISHED_STATES } from '../../lib/events.js'
import type { Graflow, RunStatus } from '../../lib/producer/types.js'
import type { WaitReason } from '../../lib/producer/wait-reasons.js'
import { runNotFound } from '../../lib/producer/handle-services.js'
import { invalid } from '../command.js'
import { firstLineOf } from '../error-text.js'
import { EXIT_CODES } from '../exit-codes.js'
import type { Host, Run } from '../host.js'
import { duration, shownValue, toJson } from '../output.js'
import type { Given } from '../settings.js'
import {
  ago,
  askedOf,
  eachOf,
  listText,
  pageOf,
  type PageSettings,
  PAGED,
  quoted,
  refuseIdle,
  show,
  tell,
  timeOf,
  unknownAction,
  withClient,
} from './operate.js'
import { type RunView, treeOf, viewOf } from './run-tree.js'

const ACTIONS = ['retry', 'cancel', 'pause', 'resume', 'delete'] as const
type Action = (typeof ACTIONS)[number]

const DID: Readonly<Record<Action, string>> = {
  retry: 'retried',
  cancel: 'cancelled',
  pause: 'paused',
  resume: 'resumed',
  delete: 'deleted',
}

const NOT: Readonly<Record<Action, string>> = {
  retry: 'left as it is: it is not over, or was completed (--from PATH repeats it from there)',
  cancel: 'left as it is: it was over',
  pause: 'left as it is: it was paused or over',
  resume: 'left as it is: it was not paused',
  delete: 'there was none',
}

/** What the table of options says of them. */
interface RunsSettings extends PageSettings {
  readonly runState?: readonly string[]
  readonly ofWorkflow?: string
  readonly withTag?: string
  readonly ofBuild?: string
  readonly createdSince?: string
  readonly createdUntil?: string
  readonly withError?: string
  readonly withMessage?: string
  readonly waitsFor?: readonly string[]
  readonly at?: string
  readonly retryFrom?: string
  readonly reason?: string
}

const FILTERS = [
  ...(['runState', 'ofWorkflow', 'withTag', 'ofBuild', 'createdSince', 'createdUntil'] as const),
  ...(['withError', 'withMessage', 'waitsFor'] as const),
] satisfies readonly (keyof RunsSettings)[]

/** Options of an action, beside its filter. */
const OF_ACTION: Readonly<Partial<Record<Action, readonly (keyof RunsSettings)[]>>> = {
  retry: ['retryFrom'],
  cancel: ['reason'],
}

export const runsCommand: Run = async (given, host) => {
  const { action, rest } = askedOf(given, ACTIONS)
  const filter = filterOf(given, host)
  if (action === undefined) {
    const [id, ...more] = rest
    if (more.length > 0) throw unknownAction(id ?? '', ACTIONS, 'graflow runs')
    refuseIdle(
      given,
      `graflow runs${id === undefined ? '' : ' ID'}`,
      id === undefined ? [...FILTERS, ...PAGED] : ['at', 'watch'],
    )
    return withClient(given, (graflow) =>
      id === undefined ? list(graflow, filter, given, host) : one(graflow, id, given, host),
    )
  }
  if (rest.length > 0 && Object.keys(filter).length > 0)
    throw invalid(
      `expected ids or a filter, got both: write graflow runs ${action} ID … or graflow runs ${action} --state failed`,
    )
  if (rest.length === 0 && Object.keys(filter).length === 0)
    throw invalid(
      `expected ids or a filter, got neither: write graflow runs ${action} ID … or graflow runs ${action} --state failed`,
    )
  const takes = [...(OF_ACTION[action] ?? []), ...(rest.length > 0 ? [] : [...FILTERS, 'pageCursor'])]
  refuseIdle(given, `graflow runs ${action}${rest.length > 0 ? ' ID' : ''}`, takes)
  return withClient(given, (graflow) =>
    rest.length > 0 ? actOn(graflow, action, rest, given, host) : inBulk(graflow, action, filter, given, host),
  )
}

function filterOf(given: Given, host: Host): RunFilter {
  const { runState, ofWorkflow, withTag, ofBuild, createdSince, createdUntil } = given.options as RunsSettings
  const { withError, withMessage, waitsFor } = given.options as RunsSettings
  const since = timeOf(createdSince, '--since', host)
  const until = timeOf(createdUntil, '--until', host)
  return {
    ...(runState !== undefined && { state: runState as readonly RunStateName[] }), // the client checks them
    ...(ofWorkflow !== undefined && { workflow: ofWorkflow }),
    ...(withTag !== undefined && { tag: withTag }),
    ...(ofBuild !== undefined && { build: ofBuild }),
    ...(since !== undefined && { since }),
    ...(until !== undefined && { until }),
    ...(withError !== undefined && { error: withError }),
    ...(withMessage !== undefined && { message: withMessage }),
    ...(waitsFor !== undefined && { why: waitsFor as readonly WaitReason[] }), // the same
  }
}

/** A run as it stands in the list. */
interface Listed extends RunSummary {
  /** Of what was dispatched so far, how much is over; only of runs that are not over. */
  readonly done?: number
  readonly total?: number
}

async function list(graflow: Graflow, filter: RunFilter, given: Given, host: Host): Promise<number> {
  const look = async () => {
    const { items, cursor } = await graflow.runs.list({ ...filter, ...pageOf(given.options) })
    const listed = items.map(async (run): Promise<Listed> => {
      const status = UNFINISHED_STATES.includes(run.state) ? await graflow.runs.get(run.id) : undefined
      return status === undefined ? run : { ...run, done: status.done, total: status.total }
    })
    return { items: await Promise.all(listed), ...(cursor !== undefined && { cursor }) }
  }
  const head = ['RUN', 'STATE', 'WORKFLOW', 'PROGRESS', 'AGE', 'TOOK', 'TAGS', 'ERROR']
  return show(given, host, look, (page) =>
    listText(
      host,
      head,
      page.items.map((run) => rowOf(run, host)),
      'no run matches',
      page,
    ),
  )
}

const rowOf = (run: Listed, host: Host): readonly string[] => [
  run.id,
  run.state,
  run.workflow ?? '-',
  run.total === undefined ? '-' : `${run.done}/${run.total}`,
  ago(run.createdAt, host),
  took(run, host),
  run.tags.length === 0 ? '-' : run.tags.join(','),
  run.error === undefined ? '' : firstLineOf(run.error),
]

const took = ({ startedAt, endedAt }: Pick<RunStatus, 'startedAt' | 'endedAt'>, host: Host): string =>
  startedAt === undefined ? '-' : duration((endedAt?.getTime() ?? host.now()) - startedAt.getTime())

async function one(graflow: Graflow, id: string, given: Given, host: Host): Promise<number> {
  const { at } = given.options as RunsSettings
  if (at !== undefined) return valuesAt(graflow, id, at, given, host)
  const look = async (): Promise<RunView> => {
    const view = await viewOf(graflow, id)
    if (view === undefined) throw runNotFound(id)
    return view
  }
  return show(given, host, look, (view) => treeOf(view, host))
}

/** A list is as long on a screen at most; --json has all of it. */
const MOST_ITEMS = 100

/** What went into a step or branch, and what came out. */
async function valuesAt(graflow: Graflow, id: string, path: string, given: Given, host: Host): Promise<number> {
  const read = async (which: 'input' | 'output'): Promise<{ value: unknown } | { error: unknown }> => {
    try {
      return { value: (await graflow.runs.value(id, path, which)) ?? null }
    } catch (error) {
      return { error }
    }
  }
  const [input, output] = [await read('input'), await read('output')]
  if (given.switches.has('json')) host.out.write(toJson({ id, path, input, output }))
  else
    for (const [name, what] of [
      ['input', input],
      ['output', output],
    ] as const)
      host.out.write(
        `${name}: ${'value' in what ? shownValue(what.value, host.out, host.env, MOST_ITEMS) : firstLineOf(what.error)}\n`,
      )
  return 'error' in input && 'error' in output ? EXIT_CODES.failed.code : EXIT_CODES.done.code
}

async function actOn(
  graflow: Graflow,
  action: Action,
  ids: readonly string[],
  given: Given,
  host: Host,
): Promise<number> {
  const { retryFrom, reason } = given.options as RunsSettings
  const { runs } = graflow
  const acts: Readonly<Record<Action, (id: string) => Promise<boolean>>> = {
    retry: (id) => runs.retry(id, retryFrom === undefined ? {} : { from: retryFrom }),
    cancel: (id) => runs.cancel(id, reason),
    pause: (id) => runs.pause(id),
    resume: (id) => runs.resume(id),
    delete: (id) => runs.delete(id),
  }
  return tell(await eachOf(ids, acts[action]), given, host, DID[action], NOT[action])
}

async function inBulk(graflow: Graflow, action: Action, filter: RunFilter, given: Given, host: Host): Promise<number> {
  const { retryFrom, reason, pageCursor } = given.options as RunsSettings
  if (retryFrom !== undefined)
    throw invalid('--from: expected the id of a run beside it, got a filter: paths are those of one run')
  const isLive = host.err.isTTY === true
  let progress: BulkProgress = { done: 0, matched: 0, failed: 0, cursor: pageCursor }
  const onProgress = (now: BulkProgress): void => {
    progress = now
    if (isLive) host.err.write(`\r${DID[action]} ${now.done} of ${now.matched} so far`)
  }
  const options = { onProgress, signal: host.signal, ...(pageCursor !== undefined && { cursor: pageCursor }) }
  const { runs } = graflow
  const acts: Readonly<Record<Action, () => Promise<number>>> = {
    retry: () => runs.retry(filter, options),
    cancel: () => runs.cancel(filter, { ...options, ...(reason !== undefined && { reason }) }),
    delete: () => runs.delete(filter, options),
    pause: () => pageByPage(graflow, filter, (id) => runs.pause(id), options),
    resume: () => pageByPage(graflow, filter, (id) => runs.resume(id), options),
  }
  const done = await acts[action]()
  if (isLive) host.err.write('\n')
  const { failed, cursor, matched } = progress
  const isInterrupted = host.signal.aborted && cursor !== undefined
  if (given.switches.has('json')) host.out.write(toJson({ done, matched, failed, ...(isInterrupted && { cursor }) }))
  else {
    host.out.write(`${DID[action]} ${done} of ${matched} runs that match\n`)
    if (failed > 0) host.err.write(`${failed} could not be: graflow runs ${action} ID says why\n`)
  }
  if (isInterrupted) host.err.write(`interrupted: the same with --cursor ${quoted(cursor)} goes on\n`)
  return isInterrupted ? EXIT_CODES.interrupted.code : EXIT_CODES.done.code
}

/** The same to each run that matches, for what the client does to one run only. */
async function pageByPage(
  graflow: Graflow,
  filter: RunFilter,
  act: (id: string) => Promise<boolean>,
  {
    onProgress,
    signal,
    cursor: first,
  }: { onProgress: (now: BulkProgress) => void; signal: AbortSignal; cursor?: string },
): Promise<number> {
  let [done, matched, failed] = [0, 0, 0]
  let cursor = first
  do {
    const page = await graflow.runs.list({ ...filter, limit: 100, ...(cursor !== undefined && { cursor }) })
    const { rows } = await eachOf(
      page.items.map(({ id }) => id),
      act,
    )
    cursor = page.cursor
    done += rows.filter((row) => row.done).length
    failed += rows.filter((row) => row.error !== undefined).length
    matched += rows.length
    onProgress({ done, matched, failed, cursor })
  } while (cursor !== undefined && !signal.aborted)
  return done
}
