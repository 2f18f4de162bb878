/** Merge sort over workers: a task that halves its input, runs itself on both halves, and merges. `graflow-worker --tasks examples/divide/tasks.ts`. */
import { each, task } from 'graflow'

/** Below this a list is sorted at once: a fork costs more than it saves. */
const SMALL = 1_000

export interface Sorted {
  readonly numbers: readonly number[]
  /** Forks that it took, here and below. */
  readonly forks: number
}

/**
 * `ctx.run` gives back the slot while it waits, so this goes to any depth on any number of workers, also on one that runs one branch at a time. The
 * handler of a task that runs itself says what it returns.
 */
export const sort = task('sort', async (numbers: readonly number[], ctx): Promise<Sorted> => {
  if (numbers.length <= SMALL) return { numbers: [...numbers].sort((a, b) => a - b), forks: 0 }
  const middle = Math.floor(numbers.length / 2)
  const halves = await ctx.run(each(sort), [numbers.slice(0, middle), numbers.slice(middle)])
  const forks = halves.reduce((sum, half) => sum + half.forks, 1)
  return { numbers: merged(halves[0]?.numbers ?? [], halves[1]?.numbers ?? []), forks }
})

function merged(a: readonly number[], b: readonly number[]): number[] {
  const all: number[] = []
  let [i, k] = [0, 0]
  while (i < a.length || k < b.length) {
    const [left, right] = [a[i] ?? Infinity, b[k] ?? Infinity]
    if (left <= right) i += 1
    else k += 1
    all.push(Math.min(left, right))
  }
  return all
}
