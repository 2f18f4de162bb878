/** What the workers of `npm run field:dashboard` do: they wait as for other services; a few items fail once, and a few always. */
import { setTimeout as sleep } from 'node:timers/promises'
import { each, seq, task, workflow } from 'graflow'

interface Item {
  readonly id: number
  readonly ms: number
}

const fetchPage = task('fetch-page', async ({ id, ms }: Item, ctx) => {
  await sleep(ms, undefined, { signal: ctx.signal })
  return { id, words: (id * 7919) % 1_000 }
})

/** Every 25th item fails at its first start, every 100th at each. */
const parse = task(
  'parse',
  { retry: { attempts: 2, delayMs: 300, jitter: 0.5 } },
  ({ id, words }: { readonly id: number; readonly words: number }, ctx) => {
    if (id % 100 === 0 || (id % 25 === 0 && ctx.attempt === 1)) throw new Error(`page ${id} cannot be read`)
    return words
  },
)

const count = task('count', (pages: readonly { readonly status: string }[]) => pages.length)

/** Takes every item, whatever becomes of it. */
export const crawl = workflow('crawl', seq(each(seq(fetchPage, parse)).settled(), count))

const render = task('render', { queue: 'gpu' }, async (ms: number, ctx) => {
  await sleep(ms, undefined, { signal: ctx.signal })
  return ms
})

export const film = workflow('film', each(render))

/** Fails as a whole when an item cannot be read. */
export const strict = workflow('import', each(parse))
