/** Every form of the language with the type it must have. It compiles; each error that must come is marked. Nothing here is run. */
import {
  task,
  declareTask,
  flow,
  seq,
  par,
  each,
  choose,
  loop,
  again,
  done,
  workflow,
  policy,
  later,
  waitFor,
  type Node,
  type Task,
  type TaskContext,
  type Outcome,
  type In,
  type Out,
  type AnyNode,
  type Group,
  type EachGroup,
  type Joined,
  type Workflow,
} from 'graflow'
import { z } from 'zod'
import * as v from 'valibot'
import { type as ark } from 'arktype'

type Eq<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
declare function is<T extends true>(): void
type N<X extends AnyNode> = Node<In<X>, Out<X>>

// --- task: inference -----------------------------------------------------------------------------------------------------
const fetchUser = task('fetch-user', async (input: { id: string }) => ({ id: input.id, name: 'Ada' }))
is<Eq<typeof fetchUser, Task<{ id: string }, { id: string; name: string }, 'fetch-user'>>>()
const geo = task('geo', async (u: { id: string }) => ({ city: 'London' }))
const score = task('score', { retry: { attempts: 3 }, timeoutMs: 5_000 }, async (u: { name: string }, ctx) => {
  is<Eq<typeof ctx, TaskContext<{ name: string }>>>()
  return 0.97
})
is<Eq<typeof score, Task<{ name: string }, number, 'score'>>>()
const merge = task('merge', ([g, s]: [{ city: string }, number]) => ({ ...g, score: s }))
const noInput = task('no-input', () => 1)
is<Eq<typeof noInput, Task<unknown, number, 'no-input'>>>()
const nothing = task('nothing', async (n: number) => {})
is<Eq<Out<typeof nothing>, void>>()
const keys = task('keys', (n: number) => (n > 1 ? 'x' : 'y'))
is<Eq<Out<typeof keys>, 'x' | 'y'>>()
const asyncKeys = task('keys', async (n: number) => (n > 1 ? 'x' : 'y'))
is<Eq<Out<typeof asyncKeys>, 'x' | 'y'>>()
const asyncKeys2 = task('keys', async (n: number, ctx) => {
  if (n > 1) return 'x'
  return 'y'
})
is<Eq<Out<typeof asyncKeys2>, 'x' | 'y'>>()
const word = task('word', () => 'x')
is<Eq<Out<typeof word>, string>>()
const flag = task('flag', (n: number) => n > 1)
is<Eq<Out<typeof flag>, boolean>>()
const maybe = task('maybe', (n: number): string | Promise<string> => 'x')
is<Eq<Out<typeof maybe>, string>>()
const maybe2 = task('maybe2', (n: number) => (n > 1 ? 'x' + n : Promise.resolve('y' + n)))
is<Eq<Out<typeof maybe2>, string>>()
const union = task('union', async (n: number) => (n > 1 ? { kind: 'a' as const, n } : null))
is<Eq<Out<typeof union>, { kind: 'a'; n: number } | null>>()
async function named(input: { id: string }, ctx: TaskContext): Promise<Date> {
  return new Date(ctx.attempt)
}
const fromNamed = task('named', named)
is<Eq<typeof fromNamed, Task<{ id: string }, Date, 'named'>>>()
const namedWithOptions = task('named', { retry: { attempts: 3 } }, named)
is<Eq<typeof namedWithOptions, Task<{ id: string }, Date, 'named'>>>()
// @ts-expect-error the context is another task's
task('bad', (input: { id: string }, ctx: TaskContext<string>) => input.id)
// @ts-expect-error the same with options
task('bad', { timeoutMs: 3 }, (input: { id: string }, ctx: TaskContext<string>) => input.id)
const un = task('un', (x) => String(x))
is<Eq<typeof un, Task<unknown, string, 'un'>>>()
// @ts-expect-error an option that does not exist
task('bad', { retries: 3 }, (n: number) => n)

// --- schemas -------------------------------------------------------------------------------------------------------------
const zodded = task('zodded', { input: z.object({ id: z.string(), n: z.number().default(1) }) }, (x) => x.n.toFixed())
is<Eq<In<typeof zodded>, { id: string; n?: number | undefined }>>()
is<Eq<Out<typeof zodded>, string>>()
const zodOut = task('zod-out', { output: z.string().transform(Number) }, (x: { id: string }) => x.id)
is<Eq<typeof zodOut, Task<{ id: string }, number, 'zod-out'>>>()
const zodBoth = task(
  'zod-both',
  { input: z.string().transform(Number), output: z.object({ d: z.coerce.date() }) },
  async (n, ctx) => {
    is<Eq<typeof n, number>>()
    is<Eq<typeof ctx, TaskContext<string>>>()
    return { d: n }
  },
)
is<Eq<typeof zodBoth, Task<string, { d: Date }, 'zod-both'>>>()
const val = task('val', { input: v.object({ id: v.string() }) }, (x) => x.id)
is<Eq<typeof val, Task<{ id: string }, string, 'val'>>>()
const arked = task('ark', { input: ark({ id: 'string' }) }, (x) => x.id)
is<Eq<typeof arked, Task<{ id: string }, string, 'ark'>>>()
const level1 = task('level', { output: z.object({ level: z.enum(['low', 'high']) }) }, async (n: number) => ({
  level: 'low',
}))
is<Eq<Out<typeof level1>, { level: 'low' | 'high' }>>()
const shape = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('dot') }),
  z.object({ kind: z.literal('line'), from: z.tuple([z.number(), z.number()]) }),
])
const drawn = task('drawn', { output: shape }, async (n: number, ctx) => {
  is<Eq<typeof ctx, TaskContext<number>>>()
  if (n > 9) return ctx.finish('too many')
  return n > 1 ? { kind: 'line', from: [n, n] } : { kind: 'dot' }
})
is<Eq<Out<typeof drawn>, { kind: 'dot' } | { kind: 'line'; from: [number, number] }>>()
const onlyEnds = task('only-ends', { output: z.object({ total: z.number() }) }, (n: number, ctx) => ctx.finish(n))
is<Eq<Out<typeof onlyEnds>, { total: number }>>()
const onlyControls = task('only-controls', { timeoutMs: 3 }, async (n: number, ctx) => ctx.cancel('why'))
is<Eq<Out<typeof onlyControls>, never>>()
// @ts-expect-error the handler may give undefined, which the schema does not take
task('bad', { output: z.string() }, (x: { id?: string }) => x.id)
// @ts-expect-error a word that is none of the schema's
task('bad', { output: z.object({ level: z.enum(['low', 'high']) }) }, async (n: number) => ({ level: 'middle' }))
// @ts-expect-error the handler wants something else than the schema gives
task('bad', { input: z.object({ id: z.string() }) }, (x: { id: number }) => x.id)
// @ts-expect-error the handler gives something else than the schema takes
task('bad', { output: z.string() }, (x: { id: number }) => x.id)

// --- declareTask ---------------------------------------------------------------------------------------------------------
const d1 = declareTask<{ id: string }, number>('d1')
is<Eq<typeof d1, Task<{ id: string }, number>>>()
const d2 = declareTask('d2', { input: z.object({ id: z.string() }), output: z.number() })
is<Eq<typeof d2, Task<{ id: string }, number, 'd2'>>>()
declare function use(value: unknown): void
use(declareTask('used', { input: z.string() }))
use(declareTask('used'))
const asAny: AnyNode = declareTask('used')
const inSeq = seq(declareTask('used', { output: z.string() }), declareTask<string, Date>('next'))
is<Eq<Out<typeof inSeq>, Date>>()
const d4 = declareTask('d4', { input: z.object({ id: z.string().default('x') }), queue: 'q' })
is<Eq<typeof d4, Task<{ id?: string | undefined }, unknown, 'd4'>>>()
const d5 = declareTask('d5')
is<Eq<typeof d5, Task<unknown, unknown, 'd5'>>>()
const d6 = declareTask<any, never>('d6', { queue: 'q' })
is<Eq<typeof d6, Task<any, never>>>()
const d7 = declareTask<typeof zodBoth>('zod-both')
is<Eq<typeof d7, typeof zodBoth>>()
const d3 = declareTask<typeof score>('score')
is<Eq<typeof d3, typeof score>>()
// @ts-expect-error the name is another
declareTask<typeof score>('scores')

// --- four spellings ------------------------------------------------------------------------------------------------------
type Enrich = Node<{ id: string }, { score: number; city: string }>
const e1 = flow('fetchUser >> (geo | score) >> merge', { fetchUser, geo, score, merge })
is<Eq<typeof e1, Enrich>>()
const e2 = seq(fetchUser, par(geo, score), merge)
is<Eq<typeof e2, Enrich>>()
const e3 = fetchUser.to(geo.with(score)).to(merge)
is<Eq<typeof e3, Enrich>>()
const e4 = flow`${fetchUser} >> (${geo} | ${score}) >> ${merge}`
is<Eq<typeof e4, Node<any, any>>>()
is<Eq<In<typeof e1>, In<typeof e2>>>()

// --- variance, any, unknown, never ---------------------------------------------------------------------------------------
const wider: Node<{ id: string; more: number }, { city: string } | undefined> = geo
// @ts-expect-error an input may not be widened
const narrower: Node<{}, { city: string }> = geo
const anyTask = task('any', (x: any) => x as any)
seq(anyTask, geo, anyTask, score)
anyTask.to(geo).to(anyTask)
par(anyTask, geo).with(anyTask)
const generic = <I, O>(a: Node<I, O>, b: Node<O, string>) => seq(a, anyTask, b)
const nodes: AnyNode[] = [geo, score]
seq(geo, noInput)

// --- par, with -----------------------------------------------------------------------------------------------------------
const three = geo.with(fetchUser).with(noInput)
is<Eq<N<typeof three>, Node<{ id: string }, [{ city: string }, { id: string; name: string }, number]>>>()
const three2 = par(geo, fetchUser).with(noInput)
is<Eq<typeof three2, typeof three>>()
const nest = par(par(geo, fetchUser), noInput)
is<Eq<Out<typeof nest>, [[{ city: string }, { id: string; name: string }], number]>>()
const closed = par(geo, fetchUser).first().with(noInput)
is<Eq<Out<typeof closed>, [{ city: string } | { id: string; name: string }, number]>>()
const both = geo.with(score)
is<Eq<In<typeof both>, { id: string } & { name: string }>>()
const same = par(geo, fetchUser)
is<Eq<In<typeof same>, { id: string }>>()
const rec = par({ a: geo, b: score })
is<Eq<N<typeof rec>, Node<{ id: string } & { name: string }, { a: { city: string }; b: number }>>>()
const rec1 = par({ a: geo, b: fetchUser })
is<Eq<In<typeof rec1>, { id: string }>>()
const one = par(geo)
is<Eq<Out<typeof one>, [{ city: string }]>>()
const fromString = task('from-string', (s: string) => s.length)
const fromNumber = task('from-number', (n: number) => String(n))
// @ts-expect-error no input serves both
par(fromString, fromNumber)
// @ts-expect-error no input serves both
fromString.with(fromNumber)
// @ts-expect-error no input serves both
par({ a: fromString, b: fromNumber })
interface Places {
  a: typeof geo
  b: typeof score
}
declare const places: Places
const byInterface = par(places)
is<Eq<Out<typeof byInterface>, { a: { city: string }; b: number }>>()
// @ts-expect-error empty
par()
// @ts-expect-error empty
par({})
// @ts-expect-error a record group needs a key
rec.with(geo)

// --- each ----------------------------------------------------------------------------------------------------------------
const many = each(fromString)
is<Eq<N<typeof many>, Node<readonly string[], number[]>>>()
const manyAll = each(fromString).settled()
is<Eq<Out<typeof manyAll>, Outcome<number>[]>>()
const manyFirst = each(fromString).first()
is<Eq<Out<typeof manyFirst>, number>>()
const mostly = policy('mostly', (os: readonly Outcome<unknown>[]) => os.length)
const manyJoin = each(fromString).join(mostly)
is<Eq<Out<typeof manyJoin>, number>>()
const manyConf = each(fromString).configure({ concurrency: 4 })
is<Eq<typeof manyConf, typeof many>>()
const order = task(
  'order',
  (o: { id: string; at: readonly [number, { n: bigint }]; customer?: { since: Date | null } }) => 1,
)
const orders = each(order)
is<Eq<ReturnType<() => typeof orders>, EachGroup<Parameters<(o: In<typeof order>) => void>[0], number>>>()
const labelled = orders.configure({ label: 'id', concurrency: 4 })
is<Eq<typeof labelled, typeof orders>>()
orders.configure({ label: 'customer.since' })
orders.configure({ label: 'at.0' })
orders.configure({ label: 'at.1.n' })
const labelledJoin = orders.settled().configure({ label: 'id' })
is<Eq<Out<typeof labelledJoin>, Outcome<number>[]>>()
each(task('shapes', (s: { kind: 'a'; a: number } | { kind: 'b'; b: string }) => s.kind)).configure({ label: 'b' })
each(task('record', (s: Record<string, number>) => s)).configure({ label: 'any' })
each(task('anything', (s: any) => s)).configure({ label: 'x.y' })
each(task('unknown', (s: unknown) => s)).configure({ label: 'x' })
each(task('partly', (s: { id?: unknown }) => s)).configure({ label: 'id' })
each(task('deeply', (s: { id?: { a: any } | null }) => s)).configure({ label: 'id.a.b' })
each(declareTask('untyped')).configure({ label: 'x' })
flow('order*', { order }).configure({ label: 'id' })
const someKey: string = 'id'
orders.configure({ label: someKey })
interface Tree {
  id: number
  children: readonly Tree[]
}
each(task('tree', (t: Tree) => t.id)).configure({ label: 'id' })
// @ts-expect-error there is no such key
orders.configure({ label: 'ident' })
// @ts-expect-error nor is there one behind it
orders.configure({ label: 'id.x' })
// @ts-expect-error what stands there is no text
orders.configure({ label: 'customer' })
// @ts-expect-error no such option
orders.configure({ label: 'id', concurency: 3 })
// @ts-expect-error branches of a par are no items
par(order, order).configure({ label: 'id' })
// @ts-expect-error nor where a join was declared
par(order, order).settled().configure({ label: 'id' })
const manyAt = each(seq(fromString, fromNumber)).atLeast(2)
is<Eq<N<typeof manyAt>, Node<readonly string[], Outcome<string>[]>>>()

// --- joins ---------------------------------------------------------------------------------------------------------------
const g = par(geo, fetchUser, noInput)
type G = { city: string }
type U = { id: string; name: string }
const j1 = g.settled()
is<Eq<Out<typeof j1>, [Outcome<G>, Outcome<U>, Outcome<number>]>>()
const j2 = g.atLeast(2)
is<Eq<Out<typeof j2>, [Outcome<G>, Outcome<U>, Outcome<number>]>>()
const j3 = g.critical('geo', 'no-input')
is<Eq<Out<typeof j3>, [G, Outcome<U>, number]>>()
const j4 = g.first()
is<Eq<Out<typeof j4>, G | U | number>>()
const j5 = g.join(
  policy('p', (os) => {
    is<Eq<typeof os, [Outcome<G>, Outcome<U>, Outcome<number>]>>()
    return os[0].status
  }),
)
is<Eq<Out<typeof j5>, Outcome<unknown>['status']>>()
const j6 = g.join(mostly)
is<Eq<Out<typeof j6>, number>>()
const j7 = g.join(policy('later', async (os) => os.length))
is<Eq<Out<typeof j7>, 3>>()
const r1 = par({ a: geo, b: fetchUser }).settled()
is<Eq<Out<typeof r1>, { a: Outcome<G>; b: Outcome<U> }>>()
const r3 = par({ a: geo, b: fetchUser }).critical('b')
is<Eq<Out<typeof r3>, { a: Outcome<G>; b: U }>>()
const r4 = par({ a: geo, b: fetchUser }).first()
is<Eq<Out<typeof r4>, G | U>>()
const r5 = par({ a: geo, b: fetchUser }).join(policy('p', (o) => o.b))
is<Eq<Out<typeof r5>, Outcome<U>>>()
// @ts-expect-error no such member
g.critical('goe')
// @ts-expect-error no such member
par({ a: geo }).critical('geo')
// @ts-expect-error each has no members to name
each(geo).critical('geo')
const declared = par(geo, d1).critical('geo')
is<Eq<Out<typeof declared>, [G, number | Outcome<number>]>>()
const c1 = g.configure({ timeoutMs: 1, queue: 'q', concurrency: 2, name: 'n', onFailure: 'wait' })
is<Eq<typeof c1, typeof g>>()
const c2 = g.configure({ name: 'n' }).settled().configure({ timeoutMs: 3 })
is<Eq<Out<typeof c2>, Out<typeof j1>>>()
const c3 = g.with(geo).critical('geo')
is<Eq<Out<typeof c3>, [G, Outcome<U>, Outcome<number>, G]>>()
seq(
  fetchUser,
  par(geo, score).settled(),
  task('after', ([a, b]: [Outcome<G>, Outcome<number>]) => (a.status === 'succeeded' ? a.value : a.error.code)),
)

// --- choose --------------------------------------------------------------------------------------------------------------
const pick = choose(
  task('pick', (u: { id: string }) => (u.id ? 'x' : 'y')),
  { x: geo, y: fetchUser },
)
is<Eq<typeof pick, Node<{ id: string }, G | U>>>()
const pickWide = choose(
  task('pick', (u: { id: string }): string => u.id),
  { x: geo, y: fetchUser },
)
is<Eq<Out<typeof pickWide>, G | U>>()
const xOrY = task('pick', (u: { id: string }) => (u.id ? 'x' : 'y'))
const byLength = task('by-length', (u: { id: string }) => u.id.length)
const byText = task('by-text', (u: string) => (u ? 'x' : 'y'))
const Way = { left: 'l', right: 'r' } as const
const turn = task('turn', (u: { id: string }) => (u.id ? Way.left : Way.right))
const turned = choose(turn, { [Way.left]: geo, [Way.right]: fetchUser })
is<Eq<typeof turned, Node<{ id: string }, G | U>>>()
enum Level {
  Low = 'low',
  High = 'high',
}
const level = task('level', (u: { id: string }) => (u.id ? Level.Low : Level.High))
const byMember = choose(level, { [Level.Low]: geo, [Level.High]: fetchUser })
is<Eq<typeof byMember, Node<{ id: string }, G | U>>>()
const byText2 = choose(level, { low: geo, high: fetchUser })
is<Eq<typeof byText2, Node<{ id: string }, G | U>>>()
// @ts-expect-error none
choose(xOrY, {})
// @ts-expect-error no node
choose(xOrY, { x: geo, y: () => fetchUser })
// @ts-expect-error missing
choose(xOrY, { x: geo })
// @ts-expect-error one too many
choose(xOrY, { x: geo, y: fetchUser, z: geo })
// @ts-expect-error decides by number
choose(byLength, { x: geo, y: fetchUser })
// @ts-expect-error a case takes something else
choose(byText, { x: fromString, y: fromNumber })

// --- loop ----------------------------------------------------------------------------------------------------------------
type State = { n: number; total: number }
const work = task('work', (s: State) => (s.n > 3 ? done(s.total) : again({ n: s.n + 1, total: s.total + s.n })))
const l1 = loop(work, { maxCycles: 10 })
is<Eq<typeof l1, Node<State, number>>>()
const l2 = loop(
  seq(
    task('s', (s: State) => s.n),
    task('t', async (n: number) => (n > 1 ? done('x') : again({ n, total: 0 }))),
  ),
  { maxCycles: 1 },
)
is<Eq<typeof l2, Node<State, string>>>()
const untypedLoop = loop(declareTask<any, any>('any'), { maxCycles: 1 })
is<Eq<In<typeof untypedLoop>, any>>()
// @ts-expect-error no again, no done
loop(fromString, { maxCycles: 3 })
const forgetful = task('w', (s: State) => (s.n > 3 ? done(1) : s))
// @ts-expect-error a path that forgets
loop(forgetful, { maxCycles: 3 })
const misfit = task('w', (s: State) => (s.n > 3 ? done(1) : again({ n: 'x' })))
// @ts-expect-error the state does not fit
loop(misfit, { maxCycles: 3 })

// --- control -------------------------------------------------------------------------------------------------------------
const ctl = task('ctl', async (n: number, ctx) => {
  const u = await ctx.result(fetchUser)
  is<Eq<typeof u, U>>()
  const forked = await ctx.run(par(geo, fetchUser), { id: '1' })
  is<Eq<typeof forked, [G, U]>>()
  const plain = await ctx.run(noInput)
  is<Eq<typeof plain, number>>()
  ctx.next(geo, { id: 'x' })
  ctx.next(geo)
  if (n === 1) return ctx.again(n + 1)
  if (n === 2) return ctx.goto(fromString, 'x')
  if (n === 3) return ctx.finish({ anything: 1 })
  if (n === 4) return ctx.cancel('why')
  // @ts-expect-error geo takes an object
  ctx.goto(geo, 3)
  // @ts-expect-error this task takes a number
  ctx.again('x')
  // @ts-expect-error geo takes an object
  await ctx.run(geo, 3)
  return 'done'
})
is<Eq<typeof ctl, Task<number, 'done', 'ctl'>>>()

// --- channel -------------------------------------------------------------------------------------------------------------
task('chan', async (n: number, ctx) => {
  const c = ctx.channel<{ total: number; seen: string[] }>()
  is<Eq<Awaited<ReturnType<typeof c.keys>>, ('total' | 'seen')[]>>()
  const t = await c.get('total')
  is<Eq<typeof t, number | undefined>>()
  const l = await c.list('seen')
  is<Eq<typeof l, string[]>>()
  await c.add('total', 1)
  await c.append('seen', 'x', { ttlMs: 3 })
  // @ts-expect-error not a number
  await c.add('seen', 1)
  // @ts-expect-error not a list
  await c.append('total', 1)
  // @ts-expect-error no such key
  await c.get('x')
  const s = ctx.channel(z.object({ total: z.number() }))
  const st = await s.get('total')
  is<Eq<typeof st, number | undefined>>()
  const locked = await c.lock('total', { leaseMs: 5_000, waitMs: 100 }, async ({ fence, signal }) => {
    is<Eq<[typeof fence, typeof signal], [number, AbortSignal]>>()
    return 'x' as const
  })
  is<Eq<typeof locked, 'x'>>()
  const plain = await ctx.channel.lock('any name', {}, () => 3)
  is<Eq<typeof plain, number>>()
  // @ts-expect-error no such option
  await c.lock('total', { leaseMS: 3 }, () => 3)
  // @ts-expect-error nothing to call
  await c.lock('total', {})
  await ctx.channel.set('free', 3)
  const free: number = await ctx.channel.get('free')
})

// --- text ----------------------------------------------------------------------------------------------------------------
const rows = task('rows', (n: number) => [{ id: 'x' }])
const count = task('count', (xs: readonly unknown[]) => xs.length)
const t1 = flow('rows >> geo* >> count', { rows, geo, count })
is<Eq<typeof t1, Node<number, number>>>()
const t2 = flow('rows>>(fetchUser>>geo)*>>count', { rows, fetchUser, geo, count })
is<Eq<typeof t2, Node<number, number>>>()
const t3 = flow('a | b >> c', { a: fromString, b: fromString, c: fromNumber })
is<Eq<N<typeof t3>, Node<string, [number, string]>>>()
const t4 = flow('(a | b)', { a: fromString } as any)
is<Eq<Out<typeof t4>, [any, any]>>()
const t5 = flow(
  `
  fetch-user >> (
    geo.v1
    | score_2 | (geo.v1 | score_2)
  )
`,
  { 'fetch-user': fetchUser, 'geo.v1': geo, score_2: score },
)
is<Eq<typeof t5, Node<{ id: string }, [G, number, [G, number]]>>>()
const t6 = flow('(geo | score)', { geo, score }).settled()
is<Eq<Out<typeof t6>, [Outcome<G>, Outcome<number>]>>()
const t7 = flow('geo*', { geo }).first()
is<Eq<Out<typeof t7>, G>>()
const t8 = flow('geo**', { geo })
is<Eq<N<typeof t8>, Node<readonly (readonly { id: string }[])[], G[][]>>>()
const t9 = flow('((geo))', { geo })
is<Eq<typeof t9, typeof geo>>()
const t10 = flow('fetchUser >> g >> x', {
  fetchUser,
  g: par(geo, score).first(),
  x: declareTask<G | number, Date>('x'),
})
is<Eq<typeof t10, Node<{ id: string }, Date>>>()
declare const unknownText: string
const t11 = flow(unknownText, { geo })
is<Eq<typeof t11, Node<any, any>>>()
const mod = { geo, score, notANode: 3, helper() {} }
const t12 = flow('geo | score', mod)
// @ts-expect-error
flow('rows >> geo', { rows, geo })
// @ts-expect-error
flow('geo >> nosuch', { geo })
// @ts-expect-error
flow('(geo >> count', { geo, count })
// @ts-expect-error
flow('geo >> count)', { geo, count })
// @ts-expect-error
flow('geo | ()', { geo })
// @ts-expect-error
flow('', { geo })
// @ts-expect-error
flow('geo >>', { geo })
// @ts-expect-error
flow('geo geo', { geo })
// @ts-expect-error
flow('geo >> | geo', { geo })
// @ts-expect-error
flow('a | b', { a: fromString, b: fromNumber })
// @ts-expect-error
flow('geo | helper', mod)

// --- workflow ------------------------------------------------------------------------------------------------------------
const wf = workflow('enrich', e1, { timeoutMs: 3 })
const hash: string = wf.hash
is<Eq<typeof wf, Workflow<{ id: string }, { score: number; city: string }, 'enrich'>>>()
seq(
  wf,
  task('x', (r: { score: number }) => r.score),
)
wf.to(declareTask<unknown, string>('y'))
const byWorkflow = par(wf, geo).critical('enrich')
is<Eq<Out<typeof byWorkflow>, [{ score: number; city: string }, Outcome<G>]>>()

// --- what users write down -------------------------------------------------------------------------------------------------
const asNode: Node<{ id: string }, [G, U]> = par(geo, fetchUser)
const asGroup: Group<{ id: string }, [G, U]> = par(geo, fetchUser)
const asJoined: Joined<{ id: string }, [Outcome<G>, Outcome<U>]> = par(geo, fetchUser).settled()
const asEach: EachGroup<string, number> = each(fromString)
const asWorkflow: Workflow<{ id: string }, { score: number; city: string }> = wf
const asTask: Task<{ id: string }, G> = geo
declare const promised: Promise<typeof geo>
async function isNotThenable(): Promise<void> {
  const awaited = await promised
  is<Eq<typeof awaited, typeof geo>>()
}
// @ts-expect-error no method of a node is called then
geo.then

// --- later, waitFor --------------------------------------------------------------------------------------------------------
const approve = waitFor('approve', { schema: z.object({ ok: z.boolean(), at: z.coerce.date() }) })
is<Eq<Out<typeof approve>, { ok: boolean; at: Date }>>()
is<Eq<In<typeof approve>, unknown>>()
is<Eq<typeof approve.name, 'approve'>>()
is<Eq<Out<ReturnType<typeof anyWait>>, unknown>>()
const anyWait = () => waitFor('any')
const orLate = waitFor('ok', { schema: z.boolean(), timeoutMs: 1_000, onTimeout: 'late' })
is<Eq<Out<typeof orLate>, boolean | 'late'>>()
const afterGeo = later(geo, 1_500)
is<Eq<N<typeof afterGeo>, Node<{ id: string }, { city: string }>>>()
const dated = later(geo, (user) => {
  is<Eq<typeof user, { id: string }>>()
  return new Date(user.id)
})
is<Eq<N<typeof dated>, Node<{ id: string }, { city: string }>>>()
const asked = seq(
  geo,
  approve,
  task('gets', (given: { ok: boolean }, ctx) => ctx.waitFor('more', { schema: z.number() })),
)
is<Eq<Out<typeof asked>, number>>()
const inText = flow('geo >> approve', { geo, approve })
is<Eq<Out<typeof inText>, { ok: boolean; at: Date }>>()
const beside = par({ approve, geo }).critical('approve')
is<Eq<Out<typeof beside>['approve'], { ok: boolean; at: Date }>>()
seq(
  approve,
  // @ts-expect-error what it gives does not fit
  task('wrong', (n: number) => n),
)
// @ts-expect-error no function of the input gives a number
later(geo, () => 5)
// @ts-expect-error no such option
waitFor('ok', { timeout: 5 })
