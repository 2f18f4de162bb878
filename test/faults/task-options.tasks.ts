/** Tasks of the tests about options of tasks, wherever a task stands; run in worker processes. */
import { each, par, task } from 'graflow'
import { note } from '../support/ledger.js'

export const leaf = task('leaf', { queue: 'gpu' }, (n: number) => n + 1)
export const viaTask = task('via-task', { queue: 'gpu' }, (n: number, ctx) => ctx.run(leaf, n))
export const viaEach = task('via-each', { queue: 'gpu' }, async (n: number, ctx) => (await ctx.run(each(leaf), [n]))[0])
export const viaPar = task(
  'via-par',
  { queue: 'gpu' },
  async (n: number, ctx) => (await ctx.run(par(leaf, leaf), n))[0],
)

const where = (name: string, queue: string) =>
  task(name, { queue }, (n: number) => {
    note(name)
    return n
  })
export const left = where('left', 'left')
export const right = where('right', 'right')

const noted = (name: string, priority: number) =>
  task(name, { priority }, (n: number) => {
    note(name)
    return n
  })
export const plain = task('plain', (n: number) => n)
export const low = noted('low', -5)
export const urgent = noted('urgent', 5)
