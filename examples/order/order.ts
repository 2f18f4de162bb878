/**
 * The life of an order as a flow: placed, paid or cancelled, shipped, and a while later the customer is asked how it was. Between the steps it waits for
 * people and for time, held by no process.
 */
import { choose, later, seq, task, waitFor } from 'graflow'
import { z } from 'zod'

export interface Order {
  readonly id: string
  readonly euros: number
}

/** Milliseconds; an order for people has days. */
const PAY_WITHIN_MS = 3 * 86_400_000
export const ASK_AFTER_MS = 200

const place = task('place', (order: Order) => ({ ...order, placed: true }))

export const paid = waitFor('paid', {
  schema: z.object({ receipt: z.string() }),
  timeoutMs: PAY_WITHIN_MS,
  onTimeout: 'too late',
  prompt: { title: 'Is the order paid?' },
})

/** What came decides: the payment, or the end of its time. */
const isPaid = task('is-paid', (payment: { receipt: string } | 'too late') => (payment === 'too late' ? 'no' : 'yes'))

const ship = task('ship', async (payment: { receipt: string } | 'too late', ctx) => {
  const { id } = await ctx.result(place)
  return `order ${id} is shipped, receipt ${payment === 'too late' ? 'none' : payment.receipt}`
})

const askHowItWas = task('ask', (shipped: string) => `${shipped}; how was it?`)

const giveUp = task('give-up', async (_: unknown, ctx) => `order ${(await ctx.result(place)).id} was not paid`)

export const order = seq(place, paid, choose(isPaid, { yes: seq(ship, later(askHowItWas, ASK_AFTER_MS)), no: giveUp }))
