/** The results as markdown: what docs/benchmarks.md shows. A number with two others is a median of the rounds, and what it lies between. */
import { machineLine } from '../machine.js'
import { countText, NOTHING, short, shown, table } from '../markdown.js'
import type { Spread } from '../statistics.js'
import {
  afterHandlerOf,
  type Cell,
  joinOf,
  p50Of,
  p99Of,
  rateOf,
  ratio,
  type Results,
  type Sample,
  spread,
} from './results.js'
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
  const { workers } = results.settings
  return [
    `${machineLine(results)}; redis-server ${results.redis}; load ${before.toFixed(1)} at the start, ${after.toFixed(1)} at the end; ` +
      `median of ${results.settings.rounds} rounds`,
    ...workers.flatMap((count) => [
      rateTable(results, count),
      latencyTable(results, count),
      joinTable(results, count),
      costTable(results, count),
    ]),
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

function skips({ skipped }: Results): string {
  return skipped
    .map(
      ({ system, workers, count, because }) =>
        `- ${system}, ${countText(count)} branches, ${workersText(workers)}: left out, ${because}.`,
    )
    .join('\n')
}
