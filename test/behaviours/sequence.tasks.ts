/** Tasks of sequence.test.ts. */
import { each, par, seq, task } from 'graflow'
import { mark, openGate, passGate } from './support.js'

/** Marks its name and writes it behind its input. */
const letter = <const N extends string>(name: N) =>
  task(name, (input: string, ctx) => {
    mark(ctx, name)
    return `${input}${name}`
  })

export const a = letter('a')
export const b = letter('b')
export const c = letter('c')

export const slow = task('slow', async (input: string, ctx) => {
  await passGate(ctx, 'quick is over')
  return `slow ${input}`
})
export const quick = task('quick', async (input: string, ctx) => {
  await openGate(ctx, 'quick is over')
  return `quick ${input}`
})
export const asGiven = task('as-given', (input: unknown) => input)

export const throws = task('throws', (input: string): string => {
  throw new TypeError(`no ${input} today`, { cause: new RangeError('sold out') })
})

/** Writes and reads what is this run's own. */
const remember = task('remember', async (input: string, ctx) => {
  await ctx.channel.append('seen', input)
  return (await ctx.channel.list('seen')).join()
})

const square = task('square', (n: number) => n * n)
export const squares = each(square)

export const inOrder = seq(a, b, c)
export const fanOut = seq(a, par(slow, quick), asGiven)
export const endsInGroup = seq(a, par({ x: slow, y: quick }))
export const twoOfOne = seq(
  a,
  par(remember, b),
  task('left', ([left]: [string, string]) => left),
  remember,
)
