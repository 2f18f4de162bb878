/** Tasks of the test of lost keys: some work, and a sum that needs all of it. */
import { task } from 'graflow'

export const work = task('work', { retry: { attempts: 3, delayMs: 50 } }, async (n: number): Promise<number> => {
  await new Promise((resolve) => setTimeout(resolve, 60))
  return n
})
export const sum = task('sum', (all: readonly number[]): number => all.reduce((total, n) => total + n, 0))
