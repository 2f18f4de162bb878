/** Mistakes that users make; beside it, in messages.txt, is what the compiler says of each. This file does not compile, on purpose. */
import { task, declareTask, flow, seq, par, each, choose, loop, again, done, workflow, policy, connect } from 'graflow'
import type { Group, Node, Outcome } from 'graflow'
import { z } from 'zod'

const rows = task('rows', async (n: number) => Array.from({ length: n }, (_, i) => ({ id: i })))
const cost = task('cost', (r: { id: number }) => r.id * 2)
const name = task('name', (r: { id: number }) => `n${r.id}`)
const both = task('both', ([c, n]: [number, string]) => ({ c, n }))
const text = task('text', (s: string) => s.length)
const order = task('order', (o: { id: string; customer: { name: string; since?: Date } }) => o.id)
const whole = workflow('whole', seq(rows, each(cost)))
const helper = () => 3
const makeCost = () => cost
const unlike = [cost, text]

// one after the other
seq(rows, cost)
seq(rows, each(cost), both)
seq(par(cost, name).settled(), both)
seq(rows, seq(cost, text))
seq(seq(rows, each(cost)), cost)
seq(par(cost, name), cost)
seq(whole, text)
seq(rows, 3)
seq(rows, helper)
seq(rows, makeCost)
seq(rows, Promise.resolve(cost))
seq()
seq(rows, [cost, text])
workflow('w', helper)
workflow('w', makeCost)
workflow('w', Promise.resolve(cost))
workflow('w', [cost])
workflow('w', 'cost')
rows.to(helper)
rows.to(makeCost)
rows.to(3)
rows.to(cost)
rows.to(each(cost)).to(both)
cost.with(name).to(text)

// the same in a text
flow('rows >> cost', { rows, cost })
flow('rows >> (cost | name)', { rows, cost, name })
flow('rows >> (cost >> text)*', { rows, cost, text })
flow('(cost | name) >> text', { rows, cost, name, text })
flow('rows >> cost* >> both', { rows, cost, both })
flow('cost | text', { cost, text })
flow(
  `rows
     >> cost* | nosuch`,
  { rows, cost },
)

// texts that do not parse
flow('rows >> nosuch', { rows })
flow('rows >> (cost | name', { rows, cost, name })
flow('rows >> cost* | name)', { rows, cost, name })
flow('rows >> () >> cost', { rows, cost, name })
flow('rows cost', { rows, cost, name })
flow('rows >>', { rows, cost, name })
flow('rows > cost', { rows, cost, name })
flow('rows -> cost*', { rows, cost, name })
flow('cost || name', { rows, cost, name })
flow('cost, name', { rows, cost, name })
flow('par(cost, name)', { rows, cost, name })
flow('(cost | name).settled()', { rows, cost, name })
flow('cost | helper', { cost, helper })
flow('rows', rows)
flow('', { rows })

// side by side
text.with(cost)
par({ a: cost }).with(name)
par(cost, text)
par({ a: cost, b: text })
par({})
par()
par(3)
par([cost, name])
cost.with(helper)
each(helper)
each(3)
par(cost, helper)
par(cost, makeCost)
par(cost, Promise.resolve(name))
par(cost, { name })
par({ a: cost, b: makeCost })
par({ a: cost, b: undefined })
par(...unlike)
par(cost, name).critical('nam')
par({ a: cost, b: name }).critical('cost')
each(cost).critical('cost')
par(cost, name).settled().settled()
const twoNumbers = policy('p', (o: [number, string]) => 3)
par(cost, name).join(twoNumbers)
par(cost, name).configure({ concurency: 3 })
par(cost, name).configure({ label: 'id' })
each(cost).configure({ label: 'ident' })
each(cost).configure({ concurency: 3, label: 'id' })
each(order).configure({ label: 'customer.nme' })
each(order).configure({ label: 'customer' })
each(order).settled().configure({ label: 'customer.name.first' })
each(text).configure({ label: 'id' })

// choices and loops
const xOrY = task('pick', (r: { id: number }) => (r.id ? 'x' : 'y'))
const xToZ = task('pick', (r: { id: number }) => (r.id ? 'x' : r.id > 7 ? 'y' : 'z'))
choose(xOrY, { x: cost })
choose(xToZ, { x: cost })
choose(xOrY, { x: cost, y: name, z: name })
choose(xOrY, { x: cost, y: text })
choose(xOrY, { x: cost, y: () => name })
choose(xOrY, [cost, name])
choose(xOrY, {})
choose(cost, { x: cost })
choose(helper, { x: cost })
loop(helper, { maxCycles: 3 })
loop(text, { maxCycles: 3 })
const misfit = task('w', (n: number) => (n > 3 ? done(1) : again('x')))
loop(misfit, { maxCycles: 3 })
const forgetful = task('w', (n: number) => (n > 3 ? done(1) : n))
loop(forgetful, { maxCycles: 3 })
loop(misfit)

// tasks
task('t', { input: z.object({ id: z.string() }) }, (x: { id: number }) => x.id)
task('t', { output: z.string() }, (x: { id: number }) => x.id)
task('t', { output: z.string() }, (x: { id?: string }) => x.id)
task('t', { retries: 3 }, (x: { id: number }) => x.id)
task('t', { attempts: 3 }, (x: { id: number }) => x.id)
task('t', { backoff: 'exponential' }, (x: { id: number }) => x.id)
task('t', { timeout: 3 }, (x: { id: number }) => x.id)
task('t', { concurrency: 3 }, (x: { id: number }) => x.id)
task('t', { retry: { attempt: 3 } }, (x: { id: number }) => x.id)
task('t', { timeoutMs: '3' }, (x: { id: number }) => x.id)
task('t', { isolation: 'process' }, (x: { id: number }) => x.id)
task('t', 3)
task('t')
declareTask<typeof cost>('cots')
declareTask<string>('t')
declareTask('t', { inputs: z.string() })
declareTask<string, number>('t', { retries: 3 })
declareTask('t', helper)
task('t', (x) => x.id)
task('t', ({ id }) => id)
task('t', ([first, second]) => first)
task('t', (x) => x + 1)
task('t', (x) => x.map((y: number) => y))
task('t', (x, ctx) => ctx.run(cost, x))
task('t', { timeoutMs: 3 }, (x) => x.id)
task('t', { retrys: 3 }, (x: { id: number }) => x.id)
task('t', { color: 'red' }, (x: { id: number }) => x.id)
// Of these the compiler speaks in its own words, which name what is missing: the type that the handler returns.
const factorial = task('factorial', async (n: number, ctx) => (n < 2 ? 1 : n * (await ctx.run(factorial, n - 1))))
const ping = task('ping', (n: number, ctx) => (n > 3 ? n : ctx.goto(pong, n + 1)))
const pong = task('pong', (n: number, ctx) => ctx.goto(ping, n + 1))
task('x', (n: number, ctx) => ctx.run(helper))
task('x', (n: number, ctx) => ctx.run(helper, n))
task('x', (n: number, ctx) => ctx.run(makeCost, { id: n }))
task('x', (n: number, ctx) => ctx.run(Promise.resolve(cost), { id: n }))
task('x', (n: number, ctx) => ctx.next(helper))
task('x', (n: number, ctx) => ctx.goto(helper))
task('x', (n: number, ctx) => ctx.result(helper))
task('x', (n: number, ctx) => ctx.result('cost'))
task('x', (n: number, ctx) => ctx.again('x'))
task('x', (n: number, ctx) => ctx.goto(cost, 3))
task('x', (n: number, ctx) => ctx.run(cost))
task('x', async (n: number, ctx) => {
  const state = ctx.channel<{ total: number; seen: string[] }>()
  await state.add('seen', 1)
  await state.append('total', 1)
  await state.get('totl')
})

// running
const graflow = await connect()
await graflow.run(whole, 'three')
await graflow.run(cost, { id: 'x' })
await graflow.run(cost, { id: 3, name: 4 })
await graflow.run(whole)
await graflow.start(whole, 'x')
await graflow.submit(whole)
await graflow.run(text, await graflow.run(cost, { id: 1 }))
await graflow.run(helper)
await graflow.run(helper, 3)
await graflow.run(makeCost, { id: 1 })
await graflow.run(Promise.resolve(cost), { id: 1 })
await graflow.run([cost], { id: 1 })
await graflow.run('cost', { id: 1 })
await graflow.start(helper)
await graflow.start(helper, 3)
await graflow.submit(helper)
await graflow.submit(helper, 3)
await graflow.attach('id', helper)
graflow.events.subscribe('run:stat', () => {})
const wrongResult: string = await graflow.run(whole, 3)

// what users write down
const wrongInput: Node<string, number> = cost
const wrongOutput: Group<{ id: number }, [number, number]> = par(cost, name)
const wrongOutcomes: Node<{ id: number }, [Outcome<number>, string]> = par(cost, name).critical('cost')

// long types: the keys come first, since the compiler shortens from the right
interface Order {
  id: string
  customer: { id: string; name: string; address: { street: string; city: string; zip: string } }
  lines: { sku: string; title: string; quantity: number; price: { amount: number; currency: string } }[]
  placedAt: Date
  notes?: string
}
const load = task('load-order', async (id: string): Promise<Order> => ({ id }) as Order)
const ship = task('ship', (p: { id: string; street: string; weightGrams: number; insured: boolean }) => p.weightGrams)
const inline = task('inline', (id: string) => ({
  id,
  a: { b: { c: 1, d: 'two', e: [3, 4] } },
  lines: [{ sku: 'x', n: 1 }],
}))
seq(load, ship)
seq(inline, ship)
flow('load >> ship', { load, ship })
