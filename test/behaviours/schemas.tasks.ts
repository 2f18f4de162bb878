/** Tasks of schemas.test.ts, with the three schema libraries that people use. */
import { type } from 'arktype'
import { again, done, loop, seq, task } from 'graflow'
import * as v from 'valibot'
import { z } from 'zod'
import { mark } from '../support/handlers.js'

const zodInput = z.object({ id: z.string().min(1), count: z.coerce.number().int().default(1) })
export const byZod = task('by-zod', { input: zodInput, output: z.object({ total: z.number() }) }, (order, ctx) => {
  mark(ctx, `by-zod ${JSON.stringify(order)}`)
  return { total: order.count * 2, more: 'is stripped' }
})

export const byValibot = task(
  'by-valibot',
  {
    input: v.pipe(v.string(), v.trim(), v.minLength(1)),
    output: v.pipe(
      v.number(),
      v.transform((length) => `${length} characters`),
    ),
  },
  (text) => text.length,
)

const point = type({ x: 'number', 'y?': 'number' })
export const byArktype = task('by-arktype', { input: point, output: point.array() }, ({ x }) => [
  { x },
  { x: x + 1, y: 0 },
])

export const wrongOutput = task(
  'wrong-output',
  { output: z.object({ total: z.number().positive() }), retry: { attempts: 3 } },
  (n: number, ctx) => {
    mark(ctx, 'wrong-output')
    return { total: n }
  },
)

/** Schemas may be asynchronous. */
export const slowly = task(
  'slowly',
  { input: z.string().refine(async (text) => Promise.resolve(text !== 'taken'), 'this name is taken') },
  (text) => text,
)

export const strict = task('strict', { input: z.number(), retry: { attempts: 3 } }, (n, ctx) => {
  mark(ctx, 'strict')
  return n
})

export const endsRun = task('ends-run', { output: z.object({ total: z.number() }) }, (total: number, ctx) =>
  total < 0 ? { total } : ctx.finish('not an object'),
)
export const countsUp = task('counts-up', { input: z.coerce.number(), output: z.string() }, (n, ctx) =>
  n < 3 ? ctx.again(n + 1) : `${n}`,
)
export const inLoop = loop(
  seq(
    task('next', { input: z.number() }, (n) => n + 1),
    task('round', (n: number) => (n < 3 ? again(n) : done(n))),
  ),
  { maxCycles: 5 },
)
