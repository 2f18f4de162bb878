/** The results as markdown: what docs/benchmarks.md shows. A number with two others is a median of the rounds, and what it lies between. */
import { machineLine } from '../machine.js'
import { countText, NOTHING, short, shown, table } from '../markdown.js'
import { median, quantile, spreadOf, type Spread } from '../statistics.js'
import {
  afterHandlerOf,
  type Cell,
  joinOf,
  p50Of,
  p99Of,
  rateOf,
  ratio,
  type Results,
  type RowSample,
  type Sample,
  spread,
} from './results.js'
import { type Row, rowsOf } from './rows.js'
import type { PeerName } from './systems.js'

const OURS = 'graflow'
const PEER = 'bullmq-flows'
/** Up to here, how long a run takes says more than how many branches a second. */
const LATENCY_COUNTS = 100
/** Where costs are shown: for one branch, and from here on. */
const COST_COUNTS = 1_000

/** The line about the machine, and all tables. */
export function page(results: Results): string {
  const [before, after] = results.load
  const workers = results.samples.length === 0 ? [] : results.settings.workers
  return [
    `${machineLine(results)}; redis-server ${results.redis}; load ${before.toFixed(1)} at the start, ${after.toFixed(1)} at the end; ` +
      `median of ${results.settings.rounds} rounds`,
    ...workers.flatMap((count) => [
      rateTable(results, count),
      latencyTable(results, count),
      joinTable(results, count),
      costTable(results, count),
    ]),
    rowTable(results, false),
    rowTable(results, true),
    killTable(results),
    skips(results),
  ]
    .filter((text) => text !== '')
    .join('\n\n')
}

const workersText = (workers: number): string => (workers === 1 ? '1 worker process' : `${workers} worker processes`)

/** One row a size, one column a system, then ours against the peer. */
function bySize(
  results: Results,
  workers: number,
  title: string,
  counts: readonly number[],
  number: (sample: Sample) => number,
  quotient: 'ours ÷ peer' | 'peer ÷ ours',
): string {
  const { systems } = results.settings
  if (counts.length === 0) return ''
  const hasRatio = systems.includes(OURS) && systems.includes(PEER)
  const rows = counts.map((count) => {
    const cell = (system: PeerName): Cell => ({ system, workers, count })
    const [over, under] = quotient === 'ours ÷ peer' ? ([OURS, PEER] as const) : ([PEER, OURS] as const)
    return [
      countText(count),
      ...systems.map((system) => shown(spread(results, cell(system), number))),
      ...(hasRatio ? [shown(ratio(results, cell(over), cell(under), number), ' ×')] : []),
    ]
  })
  const head = ['branches', ...systems, ...(hasRatio ? [quotient.replace('ours', OURS).replace('peer', PEER)] : [])]
  return `**${title}, ${workersText(workers)}**\n\n${table(head, rows)}`
}

function rateTable(results: Results, workers: number): string {
  return bySize(results, workers, 'Branches a second', results.settings.counts, rateOf, 'ours ÷ peer')
}

function latencyTable(results: Results, workers: number): string {
  const counts = results.settings.counts.filter((count) => count <= LATENCY_COUNTS)
  return [
    bySize(results, workers, 'Latency of a run, p50, in milliseconds', counts, p50Of, 'peer ÷ ours'),
    bySize(results, workers, 'Latency of a run, p99, in milliseconds', counts, p99Of, 'peer ÷ ours'),
  ]
    .filter((text) => text !== '')
    .join('\n\n')
}

function joinTable(results: Results, workers: number): string {
  const { counts } = results.settings
  return [
    bySize(results, workers, 'Join latency, in milliseconds', counts, joinOf, 'peer ÷ ours'),
    bySize(
      results,
      workers,
      'From the end of the last handler, in milliseconds',
      counts,
      afterHandlerOf,
      'peer ÷ ours',
    ),
  ].join('\n\n')
}

function costTable(results: Results, workers: number): string {
  const { systems, counts } = results.settings
  const shownCounts = counts.filter((count) => count === 1 || count >= COST_COUNTS)
  const middle = (value: Spread | undefined): string => (value === undefined ? NOTHING : short(value.median))
  const MiB = 2 ** 20
  const rows = (shownCounts.length === 0 ? counts.slice(-1) : shownCounts).flatMap((count) =>
    systems.flatMap((system) => {
      if (spread(results, { system, workers, count }, rateOf) === undefined) return []
      const of = (number: (sample: Sample) => number | undefined): string =>
        middle(spread(results, { system, workers, count }, number))
      return [
        [
          system,
          countText(count),
          of(({ cost }) => cost.commands),
          of(({ cost }) => cost.redisUs),
          of(({ cost }) => cost.workersUs),
          of(({ cost }) => cost.producerUs),
          of(({ peakBytes }) => (count < COST_COUNTS ? undefined : peakBytes)), // of a few, buffers are all of it
          of(({ residentBytes }) => residentBytes.producer / MiB),
          of(({ residentBytes }) => residentBytes.worker / MiB),
        ],
      ]
    }),
  )
  const head = [
    'system',
    'branches',
    'Redis commands',
    'Redis CPU, µs',
    'workers’ CPU, µs',
    'producer’s CPU, µs',
    'Redis bytes at the peak',
    'producer, MiB',
    'a worker, MiB',
  ]
  return `**What a branch costs, and the memory of whole processes at their peak, ${workersText(workers)}**\n\n${table(head, rows)}`
}

/** One row a load; of the systems the milliseconds of it, then ours against the peer and against what it is held to. */
function rowTable(results: Results, isFar: boolean): string {
  const measured = results.rows.filter((sample) => sample.isFar === isFar)
  if (measured.length === 0) return ''
  const systems = results.settings.systems.filter((system) => measured.some((sample) => sample.system === system))
  const { kinds, rowSize } = results.settings
  const rows = rowsOf(kinds, rowSize).filter((row) => row.isFar === isFar)
  const by = (row: string, system: PeerName): readonly RowSample[] =>
    measured.filter((sample) => sample.row === row && sample.system === system)
  const ratioOf = (over: readonly RowSample[], under: readonly RowSample[]): string =>
    shown(
      spreadOrNothing(
        over.flatMap((sample) => {
          const other = under.find(({ round }) => round === sample.round)
          return other === undefined ? [] : [median(sample.timesMs) / median(other.timesMs)]
        }),
      ),
      ' ×',
    )
  const boundOf = ({ name, bound }: Row): string => {
    const ours = by(name, OURS)
    if (bound === undefined) return NOTHING
    if ('system' in bound) return ratioOf(ours, by(name, bound.system))
    if ('row' in bound) return ratioOf(ours, by(bound.row, OURS))
    return shown(spreadOrNothing(ours.map(({ timesMs }) => median(timesMs) / bound.ms)), ' ×')
  }
  const lines = rows.map((row) => [
    row.name,
    ...systems.map((system) => shown(spreadOrNothing(by(row.name, system).map(({ timesMs }) => median(timesMs))))),
    ratioOf(by(row.name, PEER), by(row.name, OURS)),
    boundOf(row),
  ])
  const { roundTripMs } = results
  const title = isFar && roundTripMs !== undefined ? `, over a round trip of ${short(roundTripMs)} ms` : ''
  const head = ['', ...systems, `${PEER} ÷ ${OURS}`, `${OURS} ÷ bound`]
  return `**Other loads, p50 in milliseconds${title}**\n\n${table(head, lines)}`
}

const spreadOrNothing = (values: readonly number[]): Spread | undefined =>
  values.length === 0 ? undefined : spreadOf(values)

/** Of all rounds together: kills are few. */
function killTable({ kills, settings }: Results): string {
  if (kills.length === 0) return ''
  const singles = kills.flatMap((sample) => sample.singles)
  const killed = kills.reduce((sum, sample) => sum + sample.kills, 0)
  const line = (name: string, values: readonly number[]): readonly string[] => [
    name,
    ...[0.5, 0.99, 1].map((share) => short(quantile(values, share))),
  ]
  const lines = [
    line(
      'join latency',
      singles.map(({ joinMs }) => joinMs),
    ),
    line(
      'the whole run',
      singles.map(({ totalMs }) => totalMs),
    ),
  ]
  const title = `While one of 2 workers is killed every ${settings.killEveryMs / 1_000} s: ${singles.length} runs, ${killed} kills, in milliseconds`
  return `**${title}**\n\n${table([OURS, 'p50', 'p99', 'most'], lines)}`
}

function skips({ skipped }: Results): string {
  return skipped
    .map(
      ({ system, workers, count, because }) =>
        `- ${system}, ${countText(count)} branches, ${workersText(workers)}: left out, ${because}.`,
    )
    .join('\n')
}
