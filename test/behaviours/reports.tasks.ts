/** Tasks of reports.test.ts. */
import { done, again, each, loop, par, seq, task } from 'graflow'

export const list = task('list', (count: number) => Array.from({ length: count }, (_, n) => n))
/** Fails in its first attempt where n is 1. */
export const flaky = task('flaky', { retry: { attempts: 3 } }, (n: number, ctx) => {
  if (n === 1 && ctx.attempt === 1) throw new Error('not yet')
  return n * 10
})
export const once = each(flaky)
const left = task('left', (n: number) => n + 1)
const right = task('right', (n: number) => n + 2)
const forks = task('forks', async (all: readonly unknown[], ctx) => {
  const [first] = await ctx.run(each(left), [1, 2])
  return all.length + (first ?? 0)
})
const twice = loop(
  seq(
    par({ left, right }),
    task('enough', ({ left: n }: { readonly left: number }) => (n > 5 ? done(n) : again(n + 3))),
  ),
  { maxCycles: 5 },
)
/** A group, a group of groups, a fork, and a loop with a group in it. */
export const wide = seq(list, each(flaky), each(seq(left, par(left, right))), forks, twice)

/** What nobody expects in a page. */
export const HOSTILE = '</script><script>document.title="taken"</script><!-- "\' \u2028 &amp;'
export const hostile = seq(
  task('fine', () => [HOSTILE]),
  each(
    task('bad', (text: string): string => {
      throw Object.assign(new TypeError(text), { stack: `TypeError: ${text}\n    at ${text}` })
    }),
  ),
)

/** Ends its process with its first attempt at 0. */
export const deadly = each(
  task('deadly', (n: number, ctx) => {
    if (n === 0 && ctx.attempt === 1) process.kill(process.pid, 'SIGKILL')
    return n
  }),
)
