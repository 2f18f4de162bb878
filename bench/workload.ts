/**
 * The work that every system does: one task over `count` items (fan-out), then one step that uses all results (join). The task does
 * next to nothing, so what is measured is the system. Its answer is a number that is checked after every run: a system that skips or
 * mixes up branches fails instead of winning.
 */

/** One kind of items and what is done with them. */
export interface Workload<T> {
  readonly name: WorkloadName
  itemsOf(count: number): readonly T[]
  /** One branch. */
  readonly step: (item: T) => Promise<T>
  /** The final step. */
  readonly total: (results: readonly T[]) => number
  /** What the final step must give. */
  expected(count: number): number
}

export const WORKLOAD_NAMES = ['number', 'object'] as const
export type WorkloadName = (typeof WORKLOAD_NAMES)[number]

/** About 100 bytes when packed. */
export interface Row {
  readonly id: number
  readonly text: string
}

const TEXT_LENGTH = 84

/** 1 + 2 + … + count: each item is its index, plus one. */
const triangle = (count: number): number => (count * (count + 1)) / 2

export const numbers: Workload<number> = {
  name: 'number',
  itemsOf: (count) => Array.from({ length: count }, (_, i) => i),
  // The shortest asynchronous task there is.
  step: async (item) => item + 1,
  total: (results) => results.reduce((sum, result) => sum + result, 0),
  expected: triangle,
}

export const objects: Workload<Row> = {
  name: 'object',
  itemsOf: (count) => Array.from({ length: count }, (_, id) => ({ id, text: `${id} `.padEnd(TEXT_LENGTH, 'text ') })),
  step: async (item) => ({ id: item.id + 1, text: item.text }),
  total: (results) => results.reduce((sum, { id, text }) => sum + (text.length === TEXT_LENGTH ? id : Number.NaN), 0),
  expected: triangle,
}
