/** The results as markdown. Every number is a median of the rounds; ratios are of the two layouts within one round. */
import { median } from '../statistics.js'
import { LAYOUT_NAMES, type LayoutName } from './layout.js'
import { type Phase, PHASES, type PhasesRequest } from './phases.js'
import type { Case, PhaseSample, Results, Sample } from './results.js'
import type { SinglesReport } from './singles.js'

const SINGLES_PHASES = ['step', 'acquire', 'settle'] as const
const OTHER: LayoutName = 'per-branch'

/** All tables, with what they were measured on. */
export function tables(results: Results): string {
  const { machine, settings, samples } = results
  const loads = samples.length === 0 ? [results.load] : samples.map(({ load }) => load)
  const head =
    `${machine.date}; redis-server ${machine.redis}, Node.js ${machine.node}, ${machine.cores} cores of ${machine.processor}; ` +
    `${settings.rounds} rounds, ${results.asked} promises checked; load ${median(loads).toFixed(1)} ` +
    `(${Math.min(...loads).toFixed(1)}–${Math.max(...loads).toFixed(1)})`
  const big = settings.cases.filter(({ count }) => count > 1)
  const sizes = new Set(big.map(({ bytes }) => bytes))
  const [small] = sizes
  return [
    head,
    rateTable(
      'End to end',
      results,
      big.filter((one) => one.persistence === 'none' && one.bytes === small),
    ),
    rateTable(
      'End to end by size of a branch',
      results,
      big.filter((one) => one.persistence === 'none' && one.workers === 2 && one.batch === 64 && one.count === 10_000),
    ),
    rateTable(
      'End to end, append-only file synced every second',
      results,
      big.filter((one) => one.persistence === 'everysec'),
    ),
    latencyTable(results),
    results.phases.length === 0 ? '' : costTable(results),
    results.phases.length === 0 ? '' : callTable(results),
    results.phases.length === 0 ? '' : memoryTable(results),
    singlesTable(results),
  ]
    .filter((text) => text !== '')
    .join('\n\n')
}

function table(title: string, head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return `**${title}**\n\n${[line(head), `|${head.map(() => '---:').join('|')}|`, ...rows.map(line)].join('\n')}`
}

const whole = (value: number): string => Math.round(value).toLocaleString('en')
const thousands = (value: number): string => `${(value / 1_000).toFixed(value < 99_500 ? 1 : 0)} k`
const fine = (value: number): string => value.toFixed(2)

function samplesOf({ samples }: Results, layout: LayoutName, one: Case): readonly Sample[] {
  return samples.filter(
    (sample) =>
      sample.layout === layout &&
      (['persistence', 'workers', 'batch', 'count', 'bytes'] as const).every((key) => sample[key] === one[key]),
  )
}

const of = (results: Results, layout: LayoutName, one: Case, value: (sample: Sample) => number): number =>
  median(samplesOf(results, layout, one).map(value))

/** How many times as much the first layout has as the other, round by round. */
function ratio(results: Results, layout: LayoutName, one: Case, value: (sample: Sample) => number): string {
  const others = new Map(samplesOf(results, OTHER, one).map((sample) => [sample.round, value(sample)]))
  const ratios = samplesOf(results, layout, one).map(
    (sample) => value(sample) / (others.get(sample.round) ?? Number.NaN),
  )
  return `${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)})`
}

const OURS = LAYOUT_NAMES.filter((name) => name !== OTHER)

function rateTable(title: string, results: Results, cases: readonly Case[]): string {
  const rows = cases.map((one) => [
    String(one.workers),
    whole(one.count),
    String(one.bytes),
    String(one.batch),
    ...LAYOUT_NAMES.map((layout) => thousands(of(results, layout, one, (sample) => sample.branchesPerSecond))),
    ...OURS.map((layout) => ratio(results, layout, one, (sample) => sample.branchesPerSecond)),
    ...LAYOUT_NAMES.map((layout) => fine(of(results, layout, one, (sample) => sample.cpuUs))),
    ...LAYOUT_NAMES.map((layout) => fine(of(results, layout, one, (sample) => sample.commands))),
  ])
  const head = [
    ...['workers', 'n', 'bytes', 'batch'],
    ...LAYOUT_NAMES.map((name) => `${name}/s`),
    ...OURS.map((name) => `${name} ÷ ${OTHER}`),
    ...LAYOUT_NAMES.map((name) => `${name} µs`),
    ...LAYOUT_NAMES.map((name) => `${name} commands`),
  ]
  if (cases.length === 0) return ''
  return table(`${title}: branches a second; Redis CPU and commands a branch`, head, rows)
}

function latencyTable(results: Results): string {
  const cases = results.settings.cases.filter(({ count }) => count === 1)
  if (cases.length === 0) return ''
  const rows = cases.flatMap((one) =>
    LAYOUT_NAMES.map((layout) => [
      one.persistence,
      layout,
      whole(of(results, layout, one, (sample) => sample.p50Us)),
      whole(of(results, layout, one, (sample) => sample.p99Us)),
      layout === OTHER ? '1' : ratio(results, layout, one, (sample) => sample.p50Us),
      fine(of(results, layout, one, (sample) => sample.cpuUs)),
      fine(of(results, layout, one, (sample) => sample.commands)),
    ]),
  )
  return table(
    'A group of one branch, from dispatch to outcome, in microseconds',
    ['append-only file', 'layout', 'p50', 'p99', `p50 ÷ ${OTHER}`, 'Redis CPU', 'commands'],
    rows,
  )
}

const isSame = (a: PhasesRequest, b: PhasesRequest): boolean =>
  a.batch === b.batch && a.bytes === b.bytes && a.count === b.count

function phase(
  { phases }: Results,
  layout: LayoutName,
  request: PhasesRequest,
  value: (sample: PhaseSample) => number,
): number {
  return median(phases.filter((one) => one.layout === layout && isSame(one.request, request)).map(value))
}

/** The rows of all phase tables: each request by each layout. */
const phaseRows = (
  results: Results,
  cells: (request: PhasesRequest, of: (value: (sample: PhaseSample) => number) => number) => readonly string[],
): readonly (readonly string[])[] =>
  results.settings.phases.flatMap((request) =>
    LAYOUT_NAMES.map((layout) => [
      String(request.batch),
      String(request.bytes),
      layout,
      ...cells(request, (value) => phase(results, layout, request, value)),
    ]),
  )

const cpu =
  (name: Phase) =>
  ({ report, request }: PhaseSample): number =>
    report[name].cpuUs / request.count

function costTable(results: Results): string {
  const rows = phaseRows(results, (_, median) => [
    ...PHASES.map((name) => fine(median(cpu(name)))),
    fine(median((sample) => cpu('acquire')(sample) + cpu('settle')(sample))),
  ])
  return table(
    'One phase after the other: microseconds of Redis CPU a branch',
    ['batch', 'bytes', 'layout', ...PHASES, 'acquire + settle'],
    rows,
  )
}

function callTable(results: Results): string {
  const scripts = PHASES.filter((name) => name !== 'read')
  const rows = phaseRows(results, (_, median) => [
    ...scripts.map((name) => whole(median(({ report }) => report[name].scriptUs / report[name].scripts))),
    ...scripts.map((name) => whole(median(({ report }) => report[name].slowestUs))),
    ...scripts.map((name) => fine(median(({ report }) => report[name].commands / report[name].scripts))),
  ])
  return table(
    'One call: microseconds inside the script on average and at most (0: none over 1 ms), and commands',
    [
      ...['batch', 'bytes', 'layout'],
      ...scripts,
      ...scripts.map((name) => `slowest ${name}`),
      ...scripts.map((name) => `commands of ${name}`),
    ],
    rows,
  )
}

function memoryTable(results: Results): string {
  const rows = phaseRows(results, (request, median) => {
    const upTo = (last: number): string =>
      whole(
        median(
          ({ report }) =>
            PHASES.slice(0, last + 1).reduce((sum, name) => sum + report[name].dataBytes, 0) / request.count,
        ),
      )
    return [upTo(0), upTo(1), upTo(2)]
  })
  return table(
    'Bytes a branch in Redis, inputs and results included',
    ['batch', 'bytes', 'layout', 'dispatched', 'all leased', 'all settled'],
    rows,
  )
}

function singlesTable({ settings, singles }: Results): string {
  const rows = settings.singles.flatMap((request) =>
    LAYOUT_NAMES.map((layout) => {
      const reports = singles
        .filter((one) => one.layout === layout && one.request.batch === request.batch)
        .map(({ report }) => report)
      const of = (value: (report: SinglesReport) => number): number => median(reports.map(value)) / request.groups
      return [
        String(request.batch),
        layout,
        ...SINGLES_PHASES.map((name) => fine(of((report) => report[name].cpuUs))),
        fine(of((report) => SINGLES_PHASES.reduce((sum, name) => sum + report[name].cpuUs, 0))),
        fine(of((report) => SINGLES_PHASES.reduce((sum, name) => sum + report[name].commands, 0))),
        whole(of(({ step }) => step.dataBytes)),
        whole(of((report) => SINGLES_PHASES.reduce((sum, name) => sum + report[name].dataBytes, 0))),
      ]
    }),
  )
  return rows.length === 0
    ? ''
    : table(
        'Groups of one branch: microseconds of Redis CPU, commands and bytes a group',
        ['batch', 'layout', ...SINGLES_PHASES, 'together', 'commands', 'bytes, dispatched', 'bytes, settled'],
        rows,
      )
}
