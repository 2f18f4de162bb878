/** Tasks of the test of lost keys: some work, and a sum that needs all of it. Values are large enough to go beside the scripts. */
import { each, task } from 'graflow'

export interface Item {
  readonly n: number
  readonly large: string
}
export const itemOf = (n: number): Item => ({ n, large: 'x'.repeat(n % 4 === 0 ? 20_000 : 10) })

export const inner = task('inner', async (n: number): Promise<number> => {
  await new Promise((resolve) => setTimeout(resolve, 30))
  return n
})

/** Work that takes time, so that a key is lost in the midst of it. Some fail at first, and some dispatch a group of their own. */
export const work = task('work', { retry: { attempts: 5, delayMs: 50 } }, async (item: Item, ctx): Promise<Item> => {
  await new Promise((resolve) => setTimeout(resolve, 60))
  if (item.n % 6 === 1 && ctx.attempt === 1) throw new Error('fails at first')
  if (item.n % 6 === 5) {
    const [n = 0] = await ctx.run(each(inner), [item.n, 0, 0])
    return { ...item, n }
  }
  return item
})
export const sum = task(
  'sum',
  (all: readonly Item[]): Item => ({ n: all.reduce((total, { n }) => total + n, 0), large: 'y'.repeat(20_000) }),
)
