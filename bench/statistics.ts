/** Numbers about numbers. Lists need at least one element; none is changed. */

const sorted = (values: readonly number[]): readonly number[] => [...values].sort((a, b) => a - b)

/** The value that a share of 0 to 1 of all values does not exceed (nearest rank). */
export function quantile(values: readonly number[], share: number): number {
  const rank = Math.max(1, Math.ceil(share * values.length))
  return sorted(values)[rank - 1] ?? Number.NaN
}

export const median = (values: readonly number[]): number => quantile(values, 0.5)

/** What a number was over several rounds. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

export const spreadOf = (values: readonly number[]): Spread => ({
  median: median(values),
  min: Math.min(...values),
  max: Math.max(...values),
})
