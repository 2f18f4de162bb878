/** Tasks of the test of lost keys: some work, and a sum that needs all of it. Values are large enough to go beside the scripts. */
import { task } from 'graflow'

export interface Item {
  readonly n: number
  readonly large: string
}
export const itemOf = (n: number): Item => ({ n, large: 'x'.repeat(n % 4 === 0 ? 20_000 : 10) })

export const work = task('work', { retry: { attempts: 3, delayMs: 50 } }, async (item: Item): Promise<Item> => {
  await new Promise((resolve) => setTimeout(resolve, 60)) // work that takes time, so that a key is lost in the midst of it
  return item
})
export const sum = task(
  'sum',
  (all: readonly Item[]): Item => ({ n: all.reduce((total, { n }) => total + n, 0), large: 'y'.repeat(20_000) }),
)
