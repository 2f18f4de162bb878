/** Tasks of sequence.test.ts. */
import { each, par, seq, task } from 'graflow'
import { mark, openGate, passGate } from '../support/handlers.js'

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

// ---- S9: what cannot be carried cannot be given to a handler either, so it makes that itself
class Version {
  readonly major = 1
}

function cyclic(): object {
  const inner: Record<string, unknown> = {}
  inner['self'] = inner
  return { inner }
}
export const refused: readonly (readonly [what: string, value: () => unknown, path: string])[] = [
  ['a function', () => ({ list: [1, { call: () => 1 }] }), 'value.list[1].call'],
  ['a symbol', () => ({ 'the key': Symbol('x') }), 'value["the key"]'],
  ['a cycle', () => cyclic(), 'value.inner.self'],
  ['a class instance', () => ({ when: new Version() }), 'value.when'],
  ['a lone surrogate', () => ({ text: ['fine', 'half \ud83d'] }), 'value.text[1]'],
  ['a lone surrogate in a key', () => ({ deep: { 'half \ud83d': 1 } }), 'value.deep["half \\ud83d"]'],
  ['a function in a map', () => ({ map: new Map([['k', () => 1]]) }), 'value.map<value 0>'],
  ['a symbol in a set', () => new Set([1, Symbol('x')]), 'value<item 1>'],
  ['a weak map', () => new WeakMap(), 'value'],
  ['a promise', () => ({ later: Promise.resolve(1) }), 'value.later'],
]
export const make = task('make', (what: string): unknown => refused.find(([name]) => name === what)?.[1]())
