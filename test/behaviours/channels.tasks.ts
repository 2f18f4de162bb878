/** Tasks of channels.test.ts. */
import { each, par, seq, task, type GraflowError, type TaskContext } from 'graflow'
import { mark, turn } from '../support/handlers.js'

// ---- C1
export const fetched = { name: 'Ada', born: new Date('1815-12-10'), tags: new Set(['a']) }
const produce = task('produce', async (_: unknown, ctx) => {
  await ctx.channel.set('config', { threshold: 0, note: '', list: [], absent: undefined, when: new Date(5) })
  return fetched
})
const readAll = task('read-all', async (_: unknown, ctx) => ({
  config: await ctx.channel.get('config'),
  upstream: await ctx.result(produce),
  has: [await ctx.channel.has('config'), await ctx.channel.has('nothing')],
  nothing: await ctx.channel.get('nothing'),
  keys: await ctx.channel.keys(),
}))
export const producerAndBranch = seq(produce, par({ one: readAll, chain: seq(readAll) }), readAll)

// ---- C2
export const lists = task('lists', async (_: unknown, { channel }) => {
  await channel.set('given', ['x', 'y'])
  return {
    lengths: [
      await channel.append('items', 'a1'),
      await channel.append('items', 'a2'),
      await channel.append('items', 'a3'),
      await channel.prepend('items', 'p1'),
      await channel.prepend('items', 'p2'),
      await channel.prepend('items', 'p3'),
      await channel.append('items', 'a4'),
      await channel.prepend('items', 'p4'),
    ],
    items: await channel.list('items'),
    asValue: await channel.get('items'),
    ofNothing: await channel.list('nothing'),
    onArray: [await channel.append('given', 'z'), ...(await channel.list('given'))],
  }
})

// ---- C3
const codeOf = async (attempt: Promise<unknown>): Promise<unknown> =>
  attempt.then(
    () => 'no error',
    (error: unknown) => {
      const { code, message, details } = error as GraflowError
      return { code, message, details }
    },
  )
export const wrongTypes = task('wrong-types', async (_: unknown, { channel }) => {
  await channel.set('text', 'words')
  await channel.set('object', { a: 1 })
  await channel.set('number', 3)
  await channel.set('list', [1])
  return {
    'append to a text': await codeOf(channel.append('text', 1)),
    'append to an object': await codeOf(channel.append('object', 1)),
    'append to a number': await codeOf(channel.append('number', 1)),
    'prepend to a text': await codeOf(channel.prepend('text', 1)),
    'add to a text': await codeOf(channel.add('text', 1)),
    'add to a list': await codeOf(channel.add('list', 1)),
    'list of a number': await codeOf(channel.list('number')),
    'list of a text': await codeOf(channel.list('text')),
    unchanged: [
      await channel.get('text'),
      await channel.get('object'),
      await channel.get('number'),
      await channel.get('list'),
    ],
  }
})
export const wrongArguments = task('wrong-arguments', async (_: unknown, { channel }) => ({
  'empty key': await codeOf(channel.get('')),
  'long key': await codeOf(channel.set('k'.repeat(257), 1)),
  'no number': await codeOf(channel.add('n', Number.NaN)),
  'ttl of half a millisecond': await codeOf(channel.set('k', 1, { ttlMs: 0.5 })),
  'ttl of none': await codeOf(channel.append('l', 1, { ttlMs: 0 })),
  'a function': await codeOf(channel.set('f', { call: () => 1 })),
  'a function in a list': await codeOf(channel.set('f', [1, { call: () => 1 }])),
  'a function appended': await codeOf(channel.append('f', () => 1)),
  keys: await channel.keys(),
}))

// ---- C4
export const expiry = task('expiry', async (ttlMs: number, ctx) => {
  const { channel } = ctx
  await channel.set('expires', 1, { ttlMs })
  await channel.set('stays', 1, { ttlMs })
  await channel.set('stays', 2)
  await channel.append('list', 'a', { ttlMs })
  await channel.append('list', 'b')
  await channel.add('count', 1)
  await channel.add('count', 1, { ttlMs })
  await channel.set('later', 1, { ttlMs: 3_600_000 })
  mark(ctx, 'set')
  while (await channel.has('expires')) await turn(ctx.signal)
  const read = {
    expires: (await channel.get('expires')) as unknown,
    stays: (await channel.get('stays')) as unknown,
    list: await channel.list('list'),
    count: (await channel.get('count')) as unknown,
    keys: (await channel.keys()).sort(),
  }
  return { ...read, anew: [await channel.append('list', 'c'), await channel.add('count', 1)] }
})

// ---- C5, C6
export const adds = task('adds', async ({ times, by }: { times: number; by: number }, { channel }) => {
  for (let i = 0; i < times; i += 1) await channel.add('total', by)
})
export const total = task('total', async (_: unknown, { channel }) => channel.get('total') as Promise<unknown>)
export const addAll = seq(each(adds), total)

/** All at once, from one handler. */
export const addsTogether = task('adds-together', async (times: number, { channel }) =>
  Promise.all(Array.from({ length: times }, () => channel.add('total', 1))),
)

// ---- between runs, between branches
export const takeNumber = task('take-number', async (_: unknown, { channel }) => channel.add('next', 1))
export const change = task('change', async (_: unknown, { channel }) => {
  const given = { list: [1] }
  await channel.set('value', given)
  given.list.push(2)
  const read = (await channel.get('value')) as typeof given
  read.list.push(3)
  return (await channel.get('value')) as unknown
})
export const removes = task('removes', async (_: unknown, { channel }) => {
  await channel.set('k', 1)
  return [
    await channel.delete('k'),
    await channel.delete('k'),
    (await channel.get('k')) as unknown,
    await channel.keys(),
  ]
})

// ---- typed
interface Shape {
  readonly count: number
  readonly names: string[]
  readonly user: { readonly name: string }
}
export const typed = task('typed', async (_: unknown, ctx: TaskContext<unknown>) => {
  const own = ctx.channel<Shape>()
  await own.add('count', 2)
  await own.append('names', 'Ada')
  await own.set('user', { name: 'Bob' })
  const user: { readonly name: string } | undefined = await own.get('user')
  return [await ctx.channel.get('count'), await ctx.channel.list('names'), user] as unknown[]
})
