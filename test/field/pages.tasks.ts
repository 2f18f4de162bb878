/** Tasks of pages.ts: a shop. */
import { each, seq, task, waitFor, workflow } from 'graflow'
import { z } from 'zod'
import { elapse } from '../support/waits.js'

const read = task('read-orders', async (count: number) => {
  await elapse(200)
  return Array.from({ length: count }, (_, n) => n)
})
const charge = task('charge-card', async (n: number) => {
  await elapse(60 + ((n * 37) % 240))
  if (n % 97 === 41) throw new Error('card_declined: insufficient funds', { cause: new Error('the bank answered 402') })
  return n
})
const book = task('book', (all: readonly unknown[]) => all.length)
export const orders = workflow('orders', seq(read, each(charge).settled(), book))
/** Fails when one card is declined. */
export const renewals = workflow('renewals', seq(read, each(charge), book))

const resize = task('resize', async (n: number) => {
  await elapse(120 + ((n * 53) % 400))
  return n
})
export const thumbnails = workflow('thumbnails', each(resize))

export const refund = workflow(
  'refund',
  waitFor('approve', {
    prompt: { title: 'Refund 412.00 EUR to customer 8812?', text: 'It was paid twice.', choices: ['yes', 'no'] },
  }),
)
export const publish = workflow(
  'publish-prices',
  waitFor('publish', { prompt: { title: 'Publish the prices of December?' } }),
)
export const embed = workflow(
  'embed',
  task('embed', { requires: ['gpu'] }, (n: number) => n),
)
export const checkout = workflow(
  'checkout',
  task(
    'checkout',
    { input: z.object({ order: z.string(), amount: z.number(), express: z.boolean() }) },
    async ({ amount }) => {
      await elapse(300)
      return amount
    },
  ),
)
