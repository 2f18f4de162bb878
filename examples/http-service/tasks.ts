/** An order: making it takes its time, and it is shipped when somebody has approved it. While it waits for that, no process has it. */
import { setTimeout as sleep } from 'node:timers/promises'
import { seq, task, waitFor, workflow } from 'graflow'

export interface Order {
  readonly item: string
  /** How long it takes to make. */
  readonly makeMs: number
}

const reserve = task('reserve', (order: Order) => order)
const make = task('make', async ({ item, makeMs }: Order, ctx) => {
  await sleep(makeMs, undefined, { signal: ctx.signal })
  return item
})
const ship = task('ship', async (_: unknown, ctx) => ({ shipped: await ctx.result(make) }))

export const order = workflow('order', seq(reserve, make, waitFor('approve'), ship))
