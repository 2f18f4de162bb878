/** What was found: the raw numbers as they are written to a file, and questions to them. */
import type { Machine } from '../machine.js'
import { median, quantile, spreadOf, type Spread } from '../statistics.js'
import type { RowKind } from './rows.js'
import type { PeerName } from './systems.js'

/** One run with nothing else under way, in milliseconds. */
export interface Single {
  readonly totalMs: number
  /** From the bytes that held the last outcome leaving its worker, to the producer's going on. */
  readonly joinMs: number
  /** From the end of the last handler, to the producer's going on. */
  readonly afterHandlerMs: number
}

/** CPU in microseconds and commands a branch, over all runs of a stream. */
export interface Cost {
  /** Those that scripts called included. */
  readonly commands: number
  /** Of Redis's main thread. */
  readonly redisUs: number
  readonly producerUs: number
  /** Of all workers together. */
  readonly workersUs: number
}

/** One system, one size, so many workers, one round. */
export interface Sample {
  readonly round: number
  readonly system: PeerName
  readonly workers: number
  readonly count: number
  readonly singles: readonly Single[]
  /** Of runs one right after the other. */
  readonly timesMs: readonly number[]
  readonly cost: Cost
  /** By how much Redis's memory rose at its peak in the first run, a branch; undefined where an earlier peak hides it. */
  readonly peakBytes: number | undefined
  /** The most that was resident so far, of the whole process. */
  readonly residentBytes: { readonly producer: number; readonly worker: number }
}

/** One row of rows.ts, one system, one round. */
export interface RowSample {
  readonly round: number
  readonly row: string
  readonly isFar: boolean
  readonly system: PeerName
  /** Of loads one right after the other. */
  readonly timesMs: readonly number[]
}

/** Runs while a worker is killed again and again, one round. */
export interface KillSample {
  readonly round: number
  readonly kills: number
  readonly singles: readonly Single[]
}

/** A size that was left out, and why. */
export interface Skip {
  readonly system: PeerName
  readonly workers: number
  readonly count: number
  readonly because: string
}

export interface Settings {
  readonly kinds: readonly RowKind[]
  /** Share of the branches and runs of a row that are made. */
  readonly rowSize: number
  readonly systems: readonly PeerName[]
  readonly workers: readonly number[]
  /** Branches a run, from few to many. */
  readonly counts: readonly number[]
  readonly rounds: number
  /** Runs before the first size of a round, unmeasured, so that all code is compiled. */
  readonly heatMs: number
  readonly warmMs: number
  readonly timedMs: number
  /** Single runs end after so much time, or so many; one at least. */
  readonly singlesMs: number
  readonly mostSingles: number
  /** A size is left out when one run of it would take longer, by what the size before took. */
  readonly longestRunMs: number
  /** How long workers are killed, and how often. */
  readonly killingMs: number
  readonly killEveryMs: number
  /** Between processes and server, each way, in the rows of kind `delay`. */
  readonly delayMs: number
}

export interface Results {
  readonly date: string
  readonly machine: Machine
  readonly redis: string
  /** Of the last minute, when it began and when it ended. */
  readonly load: readonly [number, number]
  readonly settings: Settings
  readonly samples: readonly Sample[]
  readonly rows: readonly RowSample[]
  readonly kills: readonly KillSample[]
  /** Of a PING over the delay. */
  readonly roundTripMs: number | undefined
  readonly skipped: readonly Skip[]
}

/** Which samples. */
export interface Cell {
  readonly system: PeerName
  readonly workers: number
  readonly count: number
}

function samplesOf({ samples }: Results, { system, workers, count }: Cell): readonly Sample[] {
  return samples.filter((sample) => sample.system === system && sample.workers === workers && sample.count === count)
}

/** A number of each round's sample; undefined when there is none. */
export function spread(
  results: Results,
  cell: Cell,
  number: (sample: Sample) => number | undefined,
): Spread | undefined {
  const values = samplesOf(results, cell).flatMap((sample) => number(sample) ?? [])
  return values.length === 0 ? undefined : spreadOf(values)
}

/** Of two systems at the same size, taken within each round. */
export function ratio(
  results: Results,
  over: Cell,
  under: Cell,
  number: (sample: Sample) => number,
): Spread | undefined {
  const below = samplesOf(results, under)
  const values = samplesOf(results, over).flatMap((sample) => {
    const other = below.find(({ round }) => round === sample.round)
    return other === undefined ? [] : [number(sample) / number(other)]
  })
  return values.length === 0 ? undefined : spreadOf(values)
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)

/** Branches a second of runs one right after the other. */
export const rateOf = ({ timesMs, count }: Sample): number => (1_000 * count * timesMs.length) / sum(timesMs)
export const p50Of = ({ timesMs }: Sample): number => median(timesMs)
export const p99Of = ({ timesMs }: Sample): number => quantile(timesMs, 0.99)
export const joinOf = ({ singles }: Sample): number => median(singles.map(({ joinMs }) => joinMs))
export const afterHandlerOf = ({ singles }: Sample): number =>
  median(singles.map(({ afterHandlerMs }) => afterHandlerMs))
