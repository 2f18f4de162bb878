/** An order in three steps, of which the second takes its time. */
import { setTimeout as sleep } from 'node:timers/promises'
import { seq, task, workflow } from 'graflow'

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
const ship = task('ship', (item: string) => ({ shipped: item }))

export const order = workflow('order', seq(reserve, make, ship))
