/** What is measured beside runs of many small branches: each row is one load, under which some systems are compared. */
import { countText } from '../markdown.js'
import { type Load, numbers, type What } from './loads.js'
import type { PeerName } from './systems.js'

/** `sizes`: the tables by size. `kills` has its own way of measuring (stage.ts). */
export const ROW_KINDS = ['sizes', 'values', 'runs', 'failing', 'handlers', 'delay', 'kills'] as const
export type RowKind = (typeof ROW_KINDS)[number]

export interface Row {
  readonly kind: RowKind
  readonly name: string
  readonly systems: readonly PeerName[]
  readonly workers: number
  readonly load: Load
  /** Over a delay each way. */
  readonly isFar: boolean
  /** What a run is held against: the same load by a floor, another row, or what it would take with nothing around the handlers. */
  readonly bound?: { readonly system: PeerName } | { readonly row: string } | { readonly ms: number }
}

const SLOTS = 128
const PEERS = ['graflow', 'bullmq-flows'] as const
const SUCCEEDING = 'succeed, settled'

/** The rows of these kinds; `size` is a share of their branches and runs, for a quick look. */
export function rowsOf(kinds: readonly RowKind[], size: number): readonly Row[] {
  const scaled = (count: number): number => Math.max(1, Math.round(count * size))
  const values = (count: number, kilobytes: number): Row => ({
    ...row('values', `${branches(scaled(count))} with ${kilobytes} KB in and out`, {
      ...{ count: scaled(count), what: { kind: 'text', bytes: kilobytes * 1_000 } },
    }),
    systems: [...PEERS, 'redis-pipeline'],
    bound: { system: 'redis-pipeline' },
  })
  const failing = (word: string, what: What): Row =>
    row('failing', `${branches(scaled(1_000))} that ${word}`, { count: scaled(1_000), what, isSettled: true })
  const handlers = (ms: number): Row => {
    const waves = scaled(20)
    const name = `${countText(waves * SLOTS)} handlers of ${ms} ms on ${SLOTS} slots`
    const load: Load = { ...numbers(waves * SLOTS), what: { kind: 'wait', ms } }
    return { ...row('handlers', name, load), workers: 2, bound: { ms: waves * ms } }
  }
  const near = [
    values(1_000, 10),
    values(50, 200),
    row('runs', `${countText(scaled(1_000))} runs of one branch at once`, { count: 1, runs: scaled(1_000) }),
    failing(SUCCEEDING, { kind: 'number' }),
    { ...failing('fail, settled', { kind: 'fail' }), bound: { row: failing(SUCCEEDING, { kind: 'number' }).name } },
    handlers(5),
    handlers(50),
  ]
  const plain = [1, 10, scaled(1_000)].map((count) => row('delay', branches(count), numbers(count)))
  const far = [...plain, ...near].map((one): Row => ({ ...one, kind: 'delay', isFar: true }))
  return [...near, ...far].filter(({ kind }) => kinds.includes(kind))
}

const branches = (count: number): string => `${countText(count)} ${count === 1 ? 'branch' : 'branches'}`

const row = (kind: RowKind, name: string, load: Partial<Load>): Row => ({
  ...{ kind, name, systems: PEERS, workers: 1, isFar: false },
  load: { ...numbers(1), ...load },
})

/** While workers are killed: enough branches, and long ones, that most kills meet some of them. */
export const KILLED: Load = { ...numbers(256), what: { kind: 'wait', ms: 10 } }
