/** `graflow waits`, `signal`, `workers`, `queues`, `dead` and `builds`: what there is besides runs, and what can be done with it. */
import { letterNotFound } from '../../lib/producer/handle-services.js'
import type { DeadLetter, DeadLetterWithInput } from '../../lib/producer/operator-types.js'
import { named } from '../../lib/values/item-label.js'
import type { Graflow, RunWait, WorkerStatus } from '../../lib/producer/types.js'
import type { WaitReason } from '../../lib/producer/wait-reasons.js'
import { invalid } from '../command.js'
import { firstLineOf } from '../error-text.js'
import { EXIT_CODES } from '../exit-codes.js'
import type { Host, Run } from '../host.js'
import { inputOf } from '../modules.js'
import { shownValue, toJson } from '../output.js'
import type { Given } from '../settings.js'
import {
  ago,
  askedOf,
  eachOf,
  listText,
  oneWord,
  pageOf,
  type PageSettings,
  PAGED,
  QUEUE_HEAD,
  queueRow,
  refuseIdle,
  show,
  tell,
  timeOf,
  unknownAction,
  withClient,
} from './operate.js'
import { whatOf } from './run-tree.js'

export const waitsCommand: Run = async (given, host) => {
  const [id] = given.words
  refuseIdle(given, `graflow waits${id === undefined ? '' : ' ID'}`, [
    'waitsFor',
    ...(id === undefined ? PAGED : ['watch']),
  ])
  return withClient(given, (graflow) => {
    const { waitsFor } = given.options as { readonly waitsFor?: readonly WaitReason[] } // the client checks them
    const why = waitsFor === undefined ? {} : { why: waitsFor }
    const look = async (): Promise<{ items: readonly RunWait[]; cursor?: string }> =>
      id === undefined
        ? graflow.waits.list({ ...pageOf(given.options), ...why })
        : { items: (await graflow.waits.of(id)).filter((wait) => waitsFor?.includes(wait.why) ?? true) }
    const row = (wait: RunWait): readonly string[] => [
      wait.runId,
      wait.workflow ?? '-',
      wait.why,
      wait.path === '' ? '-' : named(wait.path, wait.label),
      wait.task ?? '-',
      String(wait.count),
      ago(wait.since, host),
      whatOf(wait).join(', '),
    ]
    const head = ['RUN', 'WORKFLOW', 'WHY', 'PATH', 'TASK', 'COUNT', 'FOR', 'WHAT']
    return show(given, host, look, (page) => listText(host, head, page.items.map(row), 'nothing waits', page))
  })
}

export const signalCommand: Run = async (given, host) => {
  const [id, name, ...more] = given.words
  if (id === undefined || name === undefined || more.length > 0)
    throw invalid(
      `expected the id of a run and the name of a signal, got ${given.words.length} word${given.words.length === 1 ? '' : 's'}: write graflow signal ID NAME --data '{ "ok": true }'`,
    )
  const { data, index } = given.options as { readonly data?: string; readonly index?: number }
  const payload = await inputOf(data, host, '--data')
  return withClient(given, async ({ runs }) => {
    const isTaken = await runs.signal(id, name, payload, index === undefined ? {} : { index })
    if (given.switches.has('json')) host.out.write(toJson({ id, name, isTaken }))
    else if (isTaken) host.out.write(`${id}: ${name} was taken, or is kept until it is waited for\n`)
    else host.err.write(`${id}: nobody can wait for ${name} any more: it had its answer, or the run is over\n`)
    return isTaken ? EXIT_CODES.done.code : EXIT_CODES.failed.code
  })
}

export const workersCommand: Run = async (given, host) => {
  const { action, rest } = askedOf(given, ['drain'])
  if (action === undefined && rest.length > 0) throw unknownAction(rest[0] ?? '', ['drain'], 'graflow workers')
  if (action === 'drain' && rest.length === 0)
    throw invalid('expected the id of a worker, got nothing: write graflow workers drain ID')
  refuseIdle(given, `graflow workers${action === undefined ? '' : ' drain'}`, action === undefined ? PAGED : [])
  return withClient(given, async ({ workers }) => {
    if (action === 'drain')
      return tell(
        await eachOf(rest, (id) => workers.drain(id)),
        given,
        host,
        'asked to leave',
        'no live worker calls itself so',
      )
    const row = (worker: WorkerStatus): readonly string[] => [
      worker.id,
      worker.state,
      `${worker.role}${worker.isLeader ? ' (leads)' : ''}`,
      `${worker.hostname} ${worker.pid}`,
      String(worker.inFlight),
      String(worker.drives),
      ago(worker.seenAt, host),
      worker.buildId ?? '-',
      allOr(worker.queues),
      tasksText(worker.tasks),
    ]
    const head = ['WORKER', 'STATE', 'ROLE', 'HOST', 'HOLDS', 'DRIVES', 'SEEN', 'BUILD', 'QUEUES', 'TASKS']
    const look = () => workers.list(pageOf(given.options))
    return show(given, host, look, (page) => listText(host, head, page.items.map(row), 'no worker is here', page))
  })
}

const allOr = (names: readonly string[] | 'all'): string => (names === 'all' ? 'all' : names.join(','))

const MOST_NAMES = 6

const tasksText = (tasks: readonly string[] | 'all'): string =>
  tasks === 'all' || tasks.length <= MOST_NAMES
    ? allOr(tasks)
    : `${tasks.slice(0, MOST_NAMES).join(',')} and ${tasks.length - MOST_NAMES} more`

const QUEUE_ACTIONS = ['pause', 'resume'] as const

export const queuesCommand: Run = async (given, host) => {
  const { action, rest } = askedOf(given, QUEUE_ACTIONS)
  if (action === undefined && rest.length > 0) throw unknownAction(rest[0] ?? '', QUEUE_ACTIONS, 'graflow queues')
  const name = action === undefined ? '' : oneWord(rest, 'the name of a queue', `graflow queues ${action} NAME`)
  const takes = { pause: ['ahead'], resume: [] }
  if (action === undefined) refuseIdle(given, 'graflow queues', PAGED)
  else refuseIdle(given, `graflow queues ${action}`, takes[action])
  return withClient(given, async ({ queues }) => {
    if (action === 'pause')
      return tell(
        await eachOf([name], (one) => queues.pause(one, { ahead: given.switches.has('ahead') })),
        given,
        host,
        'paused: what runs goes on',
        'was paused already',
      )
    if (action === 'resume')
      return tell(await eachOf([name], (one) => queues.resume(one)), given, host, 'resumed', 'was not paused')
    const look = () => queues.list(pageOf(given.options))
    return show(given, host, look, (page) =>
      listText(host, QUEUE_HEAD, page.items.map(queueRow), 'no queue was used', page),
    )
  })
}

const DEAD_ACTIONS = ['show', 'replay', 'delete', 'purge'] as const

/** What the table of options says of them. */
interface DeadSettings extends PageSettings {
  readonly ofTask?: string
  readonly createdBefore?: string
}

export const deadCommand: Run = async (given, host) => {
  const { action, rest } = askedOf(given, DEAD_ACTIONS)
  const { ofTask, createdBefore } = given.options as DeadSettings
  if (action === undefined && rest.length > 0) throw unknownAction(rest[0] ?? '', DEAD_ACTIONS, 'graflow dead')
  const form = `graflow dead${action === undefined ? '' : ` ${action}`}${action !== undefined && rest.length > 0 ? ' ID' : ''}`
  const isPurge = action === 'purge' && rest.length === 0
  refuseIdle(given, form, action === undefined ? ['ofTask', ...PAGED] : isPurge ? ['createdBefore'] : [])
  if (isPurge) {
    const before = timeOf(createdBefore, '--before', host)
    return withClient(given, async ({ deadLetters }) => {
      const purged = await deadLetters.purge(before === undefined ? {} : { before })
      host.out.write(given.switches.has('json') ? toJson({ purged }) : `purged ${purged}\n`)
      return EXIT_CODES.done.code
    })
  }
  if (action !== undefined && rest.length === 0)
    throw invalid(`expected the id of a dead letter, got nothing: write graflow dead ${action} ID`)
  return withClient(given, async (graflow) => {
    const { deadLetters } = graflow
    if (action === 'show')
      return showLetter(graflow, oneWord(rest, 'the id of a dead letter', 'graflow dead show ID'), given, host)
    if (action === 'replay') return replay(graflow, rest, given, host)
    if (action !== undefined)
      return tell(await eachOf(rest, (id) => deadLetters.delete(id)), given, host, 'deleted', 'there was none')
    const look = () => deadLetters.list({ ...pageOf(given.options), ...(ofTask !== undefined && { task: ofTask }) })
    const head = ['LETTER', 'STATE', 'TASK', 'RUN', 'PATH', 'AGE', 'ERROR']
    return show(given, host, look, (page) =>
      listText(
        host,
        head,
        page.items.map((one) => letterRow(one, host)),
        'there are no dead letters',
        page,
      ),
    )
  })
}

const letterRow = (letter: DeadLetter, host: Host): readonly string[] => [
  letter.id,
  letter.status,
  letter.task ?? '-',
  letter.runId,
  named(letter.path, letter.label),
  ago(letter.at, host),
  whyOf(letter),
]

const whyOf = ({ error, losses }: DeadLetter): string =>
  error === undefined ? `its workers were lost ${losses} times` : firstLineOf(error)

async function showLetter({ deadLetters }: Graflow, id: string, given: Given, host: Host): Promise<number> {
  const letter = await deadLetters.get(id)
  if (letter === undefined) throw letterNotFound(id)
  host.out.write(given.switches.has('json') ? toJson(letter) : letterText(letter, host))
  return EXIT_CODES.done.code
}

const letterText = (letter: DeadLetterWithInput, host: Host): string =>
  [
    `letter ${letter.id}: ${letter.status}, ${ago(letter.at, host)} ago (${letter.at.toISOString()})`,
    `  run ${letter.runId}, branch ${named(letter.path, letter.label)}, task ${letter.task ?? 'unknown: its graph is not kept'}`,
    `  failed ${letter.errors + (letter.error === undefined ? 0 : 1)} times, lost ${letter.losses} times`,
    `  why: ${whyOf(letter)}`,
    ...(letter.error?.cause === undefined ? [] : [`  caused by ${firstLineOf(letter.error.cause)}`]),
    `  input: ${letter.hasInput ? shownValue(letter.input, host.out, host.env) : 'not kept'}`,
    '',
  ].join('\n')

/** Each becomes a run of its own. */
async function replay({ deadLetters }: Graflow, ids: readonly string[], given: Given, host: Host): Promise<number> {
  const started = new Map<string, string>()
  const answers = await eachOf(ids, async (id) => {
    started.set(id, (await deadLetters.replay(id)).id)
    return true
  })
  if (!given.switches.has('json')) {
    for (const { id, error } of answers.rows)
      if (error === undefined) host.out.write(`${id}: replayed as run ${started.get(id) ?? ''}\n`)
      else host.err.write(`${id}: ${error.message}\n`)
    return answers.code
  }
  host.out.write(toJson({ items: answers.rows.map((row) => ({ ...row, runId: started.get(row.id) })) }))
  return answers.code
}

export const buildsCommand: Run = async (given, host) =>
  withClient(given, ({ builds }) =>
    show(
      given,
      host,
      () => builds.list(pageOf(given.options as PageSettings)),
      (page) =>
        listText(
          host,
          ['BUILD', 'STATE', 'WORKERS', 'RUNS'],
          page.items.map(({ buildId, workers, runs }) => [
            buildId,
            runs > 0 && workers === 0 ? 'abandoned' : runs > 0 ? 'needed' : 'may go',
            String(workers),
            String(runs),
          ]),
          'no build is at work, and no run is pinned to one',
          page,
        ),
    ),
  )
