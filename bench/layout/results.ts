/** What is measured, and what came of it. */
import type { LayoutName } from './layout.js'
import type { PhasesReport, PhasesRequest } from './phases.js'
import type { Persistence } from '../../test/support/redis-server.js'
import type { SinglesReport, SinglesRequest } from './singles.js'

/** Of one layout from dispatch to the last outcome read, by real processes. */
export interface Case {
  readonly persistence: Persistence
  readonly workers: 1 | 2
  /** Branches an acquire, in each of two lanes. */
  readonly batch: number
  /** Branches a group. */
  readonly count: number
  readonly bytes: number
  readonly timedMs: number
  readonly leastRuns: number
}

export interface Sample extends Case {
  readonly round: number
  readonly layout: LayoutName
  readonly runs: number
  readonly branchesPerSecond: number
  /** Of Redis's main thread and per branch, as all below. */
  readonly cpuUs: number
  readonly scripts: number
  readonly commands: number
  /** Of a run. */
  readonly p50Us: number
  readonly p99Us: number
  /** Average of the machine when the sample ended. */
  readonly load: number
}

export interface PhaseSample {
  readonly round: number
  readonly layout: LayoutName
  readonly request: PhasesRequest
  readonly report: PhasesReport
}

export interface SinglesSample {
  readonly round: number
  readonly layout: LayoutName
  readonly request: SinglesRequest
  readonly report: SinglesReport
}

export interface Settings {
  readonly rounds: number
  readonly cases: readonly Case[]
  readonly phases: readonly PhasesRequest[]
  readonly singles: readonly SinglesRequest[]
}

export interface Results {
  readonly machine: {
    readonly date: string
    readonly node: string
    readonly redis: string
    readonly processor: string
    readonly cores: number
  }
  readonly load: number
  /** Promises that were checked. */
  readonly asked: number
  readonly settings: Settings
  readonly samples: readonly Sample[]
  readonly phases: readonly PhaseSample[]
  readonly singles: readonly SinglesSample[]
}

const BYTES = 32

export const FULL: Settings = {
  rounds: 5,
  cases: [
    ...([1, 2] as const).flatMap((workers) =>
      [1_000, 10_000, 100_000].flatMap((count) =>
        [1, 8, 64, 256]
          .filter((batch) => batch > 1 || count < 100_000)
          .map(
            (batch): Case => ({ persistence: 'none', workers, batch, count, bytes: BYTES, timedMs: 300, leastRuns: 1 }),
          ),
      ),
    ),
    ...[256, 1_024, 4_096].map(
      (bytes): Case => ({
        persistence: 'none',
        workers: 2,
        batch: 64,
        count: 10_000,
        bytes,
        timedMs: 300,
        leastRuns: 1,
      }),
    ),
    { persistence: 'none', workers: 1, batch: 1, count: 1, bytes: BYTES, timedMs: 1_000, leastRuns: 200 },
    ...[1, 8, 64, 256].map(
      (batch): Case => ({
        persistence: 'everysec',
        workers: 2,
        batch,
        count: 10_000,
        bytes: BYTES,
        timedMs: 1_000,
        leastRuns: 1,
      }),
    ),
    { persistence: 'everysec', workers: 1, batch: 1, count: 1, bytes: BYTES, timedMs: 1_000, leastRuns: 200 },
  ],
  phases: [
    ...[1, 8, 64, 256, 1_024, 4_096].map((batch) => ({ count: 16_384, bytes: BYTES, batch })),
    ...[256, 1_024, 4_096].map((bytes) => ({ count: 16_384, bytes, batch: 256 })),
  ],
  singles: [1, 8, 64].map((batch) => ({ groups: 4_096, bytes: BYTES, batch })),
}

/** Enough to see that everything works; no number of it says anything. */
export const SMOKE: Settings = {
  rounds: 1,
  cases: FULL.cases
    .filter(({ count, bytes, workers }) => count <= 1_000 && bytes === BYTES && (workers === 2 || count === 1))
    .map((one) => ({ ...one, timedMs: 1, leastRuns: 1 })),
  phases: [{ count: 1_024, bytes: BYTES, batch: 64 }],
  singles: [{ groups: 256, bytes: BYTES, batch: 8 }],
}
