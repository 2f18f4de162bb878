/** Tasks of context.test.ts. */
import { again, done, each, loop, par, seq, task, type GraflowError, type TaskContext } from 'graflow'
import { z } from 'zod'
import { mark, openGate, passGate } from '../support/handlers.js'

const factsOf = (ctx: TaskContext) => ({
  runId: ctx.runId,
  taskName: ctx.taskName,
  path: ctx.path,
  index: ctx.index,
  cycle: ctx.cycle,
  attempt: ctx.attempt,
  idempotencyKey: ctx.idempotencyKey,
})
export type Facts = ReturnType<typeof factsOf>
export const facts = task('facts', (_: unknown, ctx) => factsOf(ctx))
export const places = seq(
  par({
    task: facts,
    chain: seq(
      task('before', () => 1),
      facts,
    ),
    group: par(facts, facts),
    items: each(facts).configure({ name: 'items' }) as never,
  }),
)
export const items = each(seq(facts))
export const nestedItems = each(each(facts))
export const rounds = loop(
  seq(
    task('collect', (seen: Facts[], ctx) => [...seen, factsOf(ctx)]),
    task('round', (seen: Facts[]) => (seen.length < 3 ? again(seen) : done(seen))),
  ),
  { maxCycles: 5 },
)
export const passes = task('passes', (seen: Facts[], ctx) => {
  const all = [...seen, factsOf(ctx)]
  return all.length < 3 ? ctx.again(all) : all
})
export const inFork = task('in-fork', async (_: unknown, ctx) => [
  await ctx.run(facts, 1),
  await ctx.run(seq(facts), 1),
  ...(await ctx.run(par(facts, facts), 1)),
  ...(await ctx.run(each(facts), [1, 2])),
])
export const afterNext = task('after-next', (_: unknown, ctx) => ctx.next(facts, 1))
export const fences = task('fences', (_: unknown, ctx) => ctx.fence)

// ---- results
export const first = task('first', (n: number) => ({ n }))
export const looks = task('looks', async (_: unknown, ctx) => ctx.result(first))
export const looksEarly = task('looks-early', async (_: unknown, ctx) =>
  ctx.result(later).catch((error: unknown) => (error as GraflowError).code),
)
export const later = task('later', (n: unknown) => n)
export const looksAtSibling = task('looks-at-sibling', async (_: unknown, ctx) => {
  await passGate(ctx, 'sibling is over')
  for (;;) {
    const seen = await ctx.result(sibling).catch((error: unknown) => (error as GraflowError).code)
    if (seen !== 'RESULT_NOT_READY') return seen
  }
})
export const sibling = task('sibling', async (_: unknown, ctx) => {
  await openGate(ctx, 'sibling is over')
  return 'sibling'
})
export const looksFromFork = task('looks-from-fork', async (_: unknown, ctx) => ctx.run(looks, undefined))
export const changesResult = task('changes-result', async (_: unknown, ctx) => {
  ;(await ctx.result(first)).n = 99
  return ctx.result(first)
})

// ---- said while at work
export const talks = task('talks', (_: unknown, ctx) => {
  ctx.progress(0)
  ctx.progress(0.5, 'half')
  ctx.progress(1, '')
  ctx.log.debug('a detail')
  ctx.log.info('begun', { count: 1n, when: new Date(0) })
  ctx.log.warn('a\nline \u001b[31mred')
  ctx.log.error('bad', { self: cyclic() })
  const { log, progress: _progress } = ctx
  log.info('apart from ctx')
  return 'said'
})
function cyclic(): object {
  const ring: Record<string, unknown> = {}
  ring['ring'] = ring
  return ring
}

// ---- values
interface Box {
  readonly list: number[]
  readonly bytes: Uint8Array
  readonly map: Map<string, number>
}
export const spoils = task('spoils', async (box: Box, ctx) => {
  box.list.push(99)
  box.bytes[0] = 99
  box.map.set('k', 99)
  await openGate(ctx, 'spoilt')
  return box
})
export const looksLater = task('looks-later', async (box: Box, ctx) => {
  await passGate(ctx, 'spoilt')
  return box
})
export const box = (): Box => ({ list: [1], bytes: Uint8Array.of(1), map: new Map([['k', 1]]) })
export const keeps: Record<string, unknown>[] = []
export const keepsItsOutput = task('keeps-its-output', async (_: unknown, ctx) => {
  const output = { n: 1 }
  keeps.push(output)
  await Promise.resolve()
  mark(ctx, 'kept')
  return output
})

// ---- thrown
export const throwsThat = task('throws-that', (make: string): never => {
  switch (make) {
    case 'text':
      throw 'just text'
    case 'nothing':
      throw undefined
    case 'null':
      throw null
    case 'an object':
      throw { status: 404 }
    case 'an object without a prototype':
      throw Object.create(null)
    case 'a symbol':
      throw Symbol('odd')
    case 'an aggregate':
      throw new AggregateError([new RangeError('one'), 'two'], 'both failed')
    case 'a coded error':
      throw Object.assign(new Error('no answer', { cause: new TypeError('socket') }), {
        code: 'E_DOWN',
        details: { port: 1 },
      })
    case 'an error whose message throws':
      throw Object.defineProperty(new Error('x'), 'message', {
        get: () => {
          throw new Error('a getter')
        },
      })
    case 'an error with a function':
      throw Object.assign(new Error('with a function'), { details: { call: () => 1, ok: 1 } })
    case 'a rejected thenable':
      throw { then: (_: unknown, reject: (error: unknown) => void) => reject(new Error('x')) }
    default:
      throw new Error(`unknown ${make}`)
  }
})
// ---- unwaited work
export const leavesWork = task('leaves-work', { timeoutMs: 20, retry: { attempts: 2 } }, async (_: unknown, ctx) => {
  if (ctx.attempt === 2) return passGate(ctx, 'the first gave up')
  await new Promise<void>((resolve) => ctx.signal.addEventListener('abort', () => resolve()))
  for (const late of [() => ctx.channel.add('late', 1), () => ctx.run(later, 1)]) {
    await late().catch((error: unknown) => mark(ctx, `refused: ${(error as GraflowError).code}`))
  }
  mark(ctx, `kept: ${(await ctx.channel.keys()).join()}`)
})

// ---- failures of every kind
export const late = task('late', { timeoutMs: 10 }, (_: unknown, ctx) => passGate(ctx, 'never'))
export const picky = task('picky', { input: z.number() }, (n) => n)
export const makesFunction = task('makes-function', () => () => 1)
