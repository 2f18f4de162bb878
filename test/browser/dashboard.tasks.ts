/** Tasks of the tests of the dashboard. */
import { each, seq, task, waitFor, workflow } from 'graflow'
import { z } from 'zod'
import { isOpened, passGate } from '../support/ledger.js'

const Order = z.object({ order: z.string().describe('As the shop shows it'), amount: z.number(), express: z.boolean() })

const charge = task('charge', { input: Order }, ({ order, amount }: z.infer<typeof Order>) => ({ order, paid: amount }))
export const checkout = workflow('checkout', charge)

const halve = task('halve', (n: number) => {
  if (n % 2 !== 0 && !isOpened('mended'))
    throw new Error(`${n} is odd`, { cause: new Error('only even numbers have a half') })
  return n / 2
})
/** Fails for odd numbers until the test opens a gate; its branches become dead letters. */
export const halves = workflow('halves', each(halve))

export const refund = workflow(
  'refund',
  waitFor('approve', {
    prompt: { title: 'Refund 412.00 EUR to customer 8812?', text: 'It was paid twice.', choices: ['yes', 'no'] },
  }),
)

const hold = task('hold', async (n: number) => {
  await passGate('go')
  return n
})
/** Holds until the test lets it go. */
export const held = workflow('held', seq(each(hold)))

/** Its steps are done by the worker that drives it, which holds no branch for them. */
export const driven = workflow(
  'driven',
  seq(
    task('begin', () => 1),
    hold,
  ),
)

const city = task('city', (city: { name: string; size: number }): string => {
  if (city.size > 1) throw new Error(`no weather for ${city.name}`)
  return city.name
})
/** Its branches have labels; one becomes a dead letter. */
export const weather = workflow('weather', each(city).configure({ label: 'name' }))

/** Asks a person about each item, by its label. */
export const admit = workflow(
  'admit',
  each(
    seq(
      task('person', (person: { name: string }) => person),
      waitFor('admit', { prompt: { title: 'May this person in?', choices: ['yes', 'no'] } }),
    ),
  ).configure({ label: 'name' }),
)

/** Two steps are over while it waits. */
export const later = workflow(
  'later',
  seq(
    task('first', () => 1),
    task('second', () => 2),
    waitFor('go-on'),
  ),
)

/** Fails with what it gets, and asks a person with it. */
export const echo = workflow(
  'echo',
  each(
    task('echo', (text: string): string => {
      throw new Error(text, { cause: new Error(text) })
    }),
  ),
)
