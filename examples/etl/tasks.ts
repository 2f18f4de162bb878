/**
 * Extract, transform, load: pages of orders are read, cleaned and written into one file, on any number of workers. What all branches share are the
 * channels of the run: the rejected rows, and a lock for the file. `graflow-worker --tasks examples/etl/tasks.ts`.
 */
import { appendFile, readFile, writeFile } from 'node:fs/promises'
import { each, seq, task, workflow } from 'graflow'

/** Rows of a page that stands for a request to some other system. */
const ROWS = 50

export interface Job {
  readonly pages: number
  /** Where the orders go, one JSON a line. */
  readonly file: string
}
interface Page {
  readonly number: number
  readonly file: string
}
interface Order {
  readonly id: number
  readonly country: string
  readonly cents: number
}

export const plan = task('plan', async ({ pages, file }: Job): Promise<readonly Page[]> => {
  await writeFile(file, '')
  return Array.from({ length: pages }, (_, number) => ({ number, file }))
})

/** One page as text, such as `17;DE;4.20`. Every tenth row is broken. */
export const extract = task('extract', ({ number, file }: Page) => ({
  file,
  rows: Array.from({ length: ROWS }, (_, i) => {
    const id = number * ROWS + i
    return id % 10 === 9 ? `${id};??` : `${id};${['DE', 'FR', 'IT'][id % 3]};${(id % 7) + 0.2}`
  }),
}))

/** Rows become orders. A row that is none is kept for the report, and stops nothing. */
export const transform = task('transform', async ({ file, rows }: { file: string; rows: readonly string[] }, ctx) => {
  const orders = rows.map(orderOf)
  const broken = rows.filter((_, i) => orders[i] === undefined)
  // A start that is repeated would add them twice: they stand under the path of the branch, which is the same in every start.
  if (broken.length > 0) await ctx.channel.set(`rejected ${ctx.path}`, broken)
  return { file, orders: orders.filter((order) => order !== undefined) }
})

function orderOf(row: string): Order | undefined {
  const [id, country, amount] = row.split(';')
  if (id === undefined || country === undefined || amount === undefined) return undefined
  return { id: Number(id), country, cents: Math.round(Number(amount) * 100) }
}

/** One branch at a time writes into the file. A branch that is started again finds what it has written. */
export const load = task('load', async ({ file, orders }: { file: string; orders: readonly Order[] }, ctx) =>
  ctx.channel.lock('file', { waitMs: 60_000 }, async ({ signal }) => {
    const first = orders[0]
    const isThere = first !== undefined && (await readFile(file, 'utf8')).includes(`{"id":${first.id},`)
    signal.throwIfAborted() // the lock is lost: another branch may be writing
    if (!isThere) await appendFile(file, orders.map((order) => `${JSON.stringify(order)}\n`).join(''))
    return orders
  }),
)

export const report = task('report', async (loaded: readonly (readonly Order[])[], ctx) => {
  const orders = loaded.flat()
  const keys = (await ctx.channel.keys()).filter((key) => key.startsWith('rejected '))
  const rejected: readonly (readonly string[])[] = await Promise.all(keys.map((key) => ctx.channel.get(key)))
  const cents: Record<string, number> = {}
  for (const order of orders) cents[order.country] = (cents[order.country] ?? 0) + order.cents
  return { loaded: orders.length, rejected: rejected.flat().length, cents }
})

export const etl = workflow('etl', seq(plan, each(seq(extract, transform, load)), report))
