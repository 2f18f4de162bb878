/** `graflow top`: what goes on in a store, drawn anew each second: runs that are not over, queues, workers, and what failed last. */
import { GraflowError } from '../../lib/errors.js'
import { UNFINISHED_STATES } from '../../lib/events.js'
import type { QueueSummary, RunSummary } from '../../lib/producer/operator-types.js'
import type { Graflow, RunStatus, WorkerStatus } from '../../lib/producer/types.js'
import { reasonIn } from '../../lib/report/reason.js'
import { firstLineOf } from '../error-text.js'
import { EXIT_CODES } from '../exit-codes.js'
import type { Host, Run } from '../host.js'
import { columnsOf, duration, painter, plainText, toJson } from '../output.js'
import { table } from '../table.js'
import { ago, pause, QUEUE_HEAD, queueRow, unlessAborted, withClient } from './operate.js'

const LOOK_MS = 1_000
/** Of each part at most so many lines, where the screen has room. */
const MOST_RUNS = 12
const MOST_WORKERS = 10
const MOST_QUEUES = 6
const MOST_FAILED = 5
/** A terminal that does not say how high it is. */
const USUAL_ROWS = 24
/** Of the lines of a screen, those that are no runs: titles, heads and the last line. */
const OTHER_LINES = 12
const FAILED_WITHIN_MS = 3_600_000
/** So many of the newest runs are looked at that failed, and that are not over: lists go by when runs were created. */
const LOOKED_AT = 50

const LATE_MS = 3_000
/** Narrower screens get the few columns that say most. */
const COLUMNS_FOR_ALL = 60

const ENTER = '\u001b[?1049h\u001b[?25l'
const LEAVE = '\u001b[?25h\u001b[?1049l'
const HOME = '\u001b[H'
const TO_END_OF_LINE = '\u001b[K'
const TO_END = '\u001b[J'

/** What is seen in one look. */
export interface Sight {
  readonly runs: readonly RunStatus[]
  /** How many runs are not over, of the newest. */
  readonly unfinished: number
  /** Whether there are more runs that are not over. */
  readonly isMore: boolean
  readonly queues: readonly QueueSummary[]
  readonly workers: readonly WorkerStatus[]
  /** The last that failed, within an hour. */
  readonly failed: readonly RunSummary[]
}

export const topCommand: Run = async (given, host) =>
  withClient(given, async (graflow) => {
    if (given.switches.has('json')) {
      host.out.write(toJson(await lookAt(graflow, host)))
      return EXIT_CODES.done.code
    }
    const isLive = host.out.isTTY === true && host.env['TERM'] !== 'dumb'
    if (!isLive) {
      host.out.write(sightText(await lookAt(graflow, host), new Map(), host))
      return EXIT_CODES.done.code
    }
    await live(graflow, host)
    return EXIT_CODES.done.code
  })

/** Until the command is told to end, or `q` is pressed. */
async function live(graflow: Graflow, host: Host): Promise<void> {
  const ended = new AbortController()
  const end = (): void => ended.abort()
  host.signal.addEventListener('abort', end)
  const unlisten = host.onKey?.((key) => {
    if (key === 'q' || key === '\u0003') end()
  })
  const rates = new Rates()
  host.out.write(ENTER)
  try {
    const draw = (text: string): void => {
      const shown = text.split('\n').slice(0, rowsOf(host) - 1)
      host.out.write(`${HOME}${shown.map((line) => `${line}${TO_END_OF_LINE}\n`).join('')}${TO_END}`)
    }
    let last = { text: '', at: performance.now() }
    // what was known stays in view, under a line that says how old it is
    const drawNone = (why: string): void =>
      draw(`${noAnswer(performance.now() - last.at, why, host)}${last.text.slice(last.text.indexOf('\n') + 1)}`)
    while (!ended.signal.aborted && !host.signal.aborted) {
      const sight = await answerOf(lookAt(graflow, host), ended.signal, () => drawNone(''))
      if (sight instanceof GraflowError) drawNone(plainText(firstLineOf(sight)))
      else if (sight !== undefined) {
        const at = performance.now()
        last = { text: sightText(sight, rates.after(sight, at), host), at }
        draw(last.text)
      }
      await pause(LOOK_MS, ended.signal)
    }
  } finally {
    host.out.write(LEAVE)
    unlisten?.()
    host.signal.removeEventListener('abort', end)
  }
}

function noAnswer(ms: number, why: string, { out, env }: Host): string {
  const said = `graflow  no answer from Redis for ${duration(ms)}: looking again${why === '' ? '' : `: ${why}`}`
  return `${painter(out, env)('bold', said.slice(0, columnsOf(out)))}\n`
}

/** How high the screen is; some terminals do not know, and say 0. */
const rowsOf = ({ out: { rows = 0 } }: Host): number => (rows > 0 ? rows : USUAL_ROWS)

/** Of a look, or why there is none; undefined where the command is told to end. `onLate` is called each second once it takes long. */
async function answerOf(
  look: Promise<Sight>,
  signal: AbortSignal,
  onLate: () => void,
): Promise<Sight | GraflowError | undefined> {
  const since = performance.now()
  const late = setInterval(() => {
    if (performance.now() - since >= LATE_MS) onLate()
  }, LOOK_MS)
  const answer = look.catch((error: unknown) => {
    if (error instanceof GraflowError && error.retryable) return error
    throw error
  })
  try {
    return await unlessAborted(answer, signal)
  } finally {
    clearInterval(late)
  }
}

async function lookAt({ runs, queues, workers }: Graflow, host: Host): Promise<Sight> {
  const most = Math.max(3, Math.min(MOST_RUNS, rowsOf(host) - OTHER_LINES))
  const [unfinished, queuePage, workerPage, ended] = await Promise.all([
    runs.list({ state: UNFINISHED_STATES, limit: LOOKED_AT }),
    queues.list({ limit: MOST_QUEUES }),
    workers.list({ limit: 1_000 }),
    runs.list({ state: 'failed', limit: LOOKED_AT }),
  ])
  // those at work are seen also where many newer ones wait
  const shown = [...unfinished.items].sort((a, b) => Number(b.state === 'running') - Number(a.state === 'running'))
  const statuses = await Promise.all(shown.slice(0, most).map(({ id }) => runs.get(id)))
  return {
    runs: statuses.filter((status) => status !== undefined),
    unfinished: unfinished.items.length,
    isMore: unfinished.cursor !== undefined,
    queues: queuePage.items,
    workers: workerPage.items,
    failed: lastOf(ended.items, host.now() - FAILED_WITHIN_MS),
  }
}

/** Those that ended last: a run that was created long ago may have failed just now. */
function lastOf(failed: readonly RunSummary[], since: number): readonly RunSummary[] {
  const endOf = ({ endedAt }: RunSummary): number => endedAt?.getTime() ?? 0
  return failed
    .filter((run) => endOf(run) >= since)
    .sort((a, b) => endOf(b) - endOf(a))
    .slice(0, MOST_FAILED)
}

/** Of runs, how many steps and branches were done a second, between the last looks. */
class Rates {
  #before = new Map<string, { readonly done: number; readonly at: number }>()

  after({ runs }: Sight, at: number): ReadonlyMap<string, number> {
    const rates = new Map<string, number>()
    const now = new Map<string, { readonly done: number; readonly at: number }>()
    for (const { id, done } of runs) {
      const before = this.#before.get(id)
      if (before !== undefined && at > before.at) rates.set(id, ((done - before.done) * 1_000) / (at - before.at))
      now.set(id, { done, at })
    }
    this.#before = now
    return rates
  }
}

function sightText(sight: Sight, rates: ReadonlyMap<string, number>, host: Host): string {
  const paint = painter(host.out, host.env)
  const { runs, unfinished, isMore, queues, workers, failed } = sight
  const live = workers.filter(({ state }) => state !== 'stale' && state !== 'dead')
  const inFlight = live.reduce((sum, worker) => sum + worker.inFlight, 0)
  const ready = queues.reduce((sum, queue) => sum + queue.ready, 0)
  const isNarrow = columnsOf(host.out) < COLUMNS_FOR_ALL
  const part = (head: readonly string[], rows: readonly (readonly string[])[], most: readonly string[]): string => {
    if (rows.length === 0) return ''
    const shown = head.flatMap((name, i) => (isNarrow && !most.includes(name) ? [] : [i]))
    const of = (cells: readonly string[]): readonly string[] => shown.map((i) => cells[i] ?? '')
    const dim = (text: string, _column: number, row: unknown): string => (row === undefined ? paint('dim', text) : text)
    return `\n${table(of(head), rows.map(of), host.out, dim, true)}`
  }
  const counts = [
    `${unfinished}${isMore ? '+' : ''} ${unfinished === 1 && !isMore ? 'run' : 'runs'} not over`,
    `${ready} ${ready === 1 ? 'branch' : 'branches'} ready`,
    `${inFlight} in flight`,
    live.length === 0 ? 'no worker' : live.length === 1 ? '1 worker' : `${live.length} workers`,
  ]
  return [
    `${paint('bold', `graflow  ${counts.join(', ')}`.slice(0, columnsOf(host.out)))}\n`,
    part(
      ['RUN', 'STATE', 'WORKFLOW', 'PROGRESS', 'RATE', 'FOR', 'DRIVER'],
      runs.map((run) => runRow(run, rates.get(run.id), host)),
      ['RUN', 'STATE', 'PROGRESS'],
    ),
    part(QUEUE_HEAD, queues.map(queueRow), ['QUEUE', 'READY', 'RUNNING']),
    part(
      ['WORKER', 'STATE', 'HOLDS', 'DRIVES', 'SEEN', 'HOST'],
      workers
        .slice(0, MOST_WORKERS)
        .map((worker) => [
          worker.id,
          worker.state,
          String(worker.inFlight),
          String(worker.drives),
          ago(worker.seenAt, host),
          `${worker.hostname} ${worker.pid}`,
        ]),
      ['WORKER', 'STATE', 'HOLDS'],
    ),
    workers.length > MOST_WORKERS ? `… ${workers.length - MOST_WORKERS} more workers\n` : '',
    part(
      ['FAILED', 'WORKFLOW', 'AGO', 'WHY'],
      failed.map((run) => [
        run.id,
        run.workflow ?? '-',
        ago(run.endedAt, host),
        run.error === undefined ? '' : reasonIn(run.error.message).slice(0, columnsOf(host.out)),
      ]),
      ['FAILED', 'WHY'],
    ),
  ].join('')
}

const BAR = 10
/** A narrower screen has no room for it. */
const COLUMNS_FOR_BAR = 100

function runRow(run: RunStatus, rate: number | undefined, host: Host): readonly string[] {
  const { done, total } = run
  const full = total === 0 ? 0 : Math.round((done / total) * BAR)
  const bar = columnsOf(host.out) < COLUMNS_FOR_BAR ? '' : `${'━'.repeat(full)}${'╌'.repeat(BAR - full)} `
  return [
    plainText(run.id),
    run.state,
    run.workflow ?? '-',
    total === 0 ? '-' : `${bar}${done}/${total}`,
    rate === undefined || run.state !== 'running' ? '-' : `${rate.toFixed(rate < 10 ? 1 : 0)}/s`,
    run.startedAt === undefined ? '-' : duration(host.now() - run.startedAt.getTime()),
    run.driver ?? '-',
  ]
}
