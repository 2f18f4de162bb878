/** Tasks of control.test.ts. */
import {
  again,
  choose,
  each,
  loop,
  par,
  seq,
  task,
  type AnyNode,
  type Control,
  type GraflowError,
  type TaskContext,
} from 'graflow'
import { z } from 'zod'
import { mark, passGate, untilAborted } from '../support/handlers.js'

/** Marks its name and gives what it got. */
const step = <const N extends string>(name: N) =>
  task(name, (input: string, ctx) => {
    mark(ctx, name)
    return `${input}${name} `
  })

export const succ = step('succ')
export const final = step('final')
export const extra = step('extra')
export const cleanup = step('cleanup')
export const a = step('a')
export const b = step('b')
export const c = step('c')

// ---- next
export const nextThenValue = task('next-then-value', (input: string, ctx) => {
  mark(ctx, 'start')
  ctx.next(extra, 'for extra: ')
  return `${input}start `
})
export const nextReturned = task('next-returned', (input: string, ctx): Control => {
  mark(ctx, 'start')
  return ctx.next(extra, `${input}start `)
})
export const nextWithoutInput = task('next-without-input', (input: string, ctx) => {
  mark(ctx, 'start')
  ctx.next(extra)
  return `${input}start `
})
export const coordinator = task('coordinator', (input: string, ctx) => {
  mark(ctx, 'coordinator')
  ctx.next(a, input)
  ctx.next(par(b, c), input)
  ctx.next(seq(a, extra), input)
  return input
})

// ---- goto
export const toFinal = task('to-final', (input: string, ctx): Control => {
  mark(ctx, 'start')
  return ctx.goto(final, `${input}jumped `)
})
export const toNew = task('to-new', (input: string, ctx): Control => {
  mark(ctx, 'start')
  return ctx.goto(seq(extra, cleanup), `${input}jumped `)
})
export const toGroup = task('to-group', (input: string, ctx): Control => {
  mark(ctx, 'start')
  return ctx.goto(par(b, c), input)
})

// ---- again
export const fourPasses = task('four-passes', (n: number, ctx) => {
  mark(ctx, `cycle ${ctx.cycle}: ${n}`)
  return n < 40 ? ctx.again(n + 10) : `ended with ${n}`
})
export const endless = (maxCycles: number) =>
  task('endless', { maxCycles }, (n: number, ctx): Control => {
    mark(ctx, `pass ${ctx.cycle}`)
    return ctx.again(n + 1)
  })
export const endlessLoop = (maxCycles: number) =>
  loop(
    seq(
      step('body'),
      task('turn-round', (input: string) => again(input)),
    ),
    { maxCycles },
  )

// ---- agent and tool
interface Talk {
  readonly question: string
  readonly answers: readonly string[]
}
const agent = task('agent', (talk: Talk, ctx) => {
  mark(ctx, 'agent')
  if (talk.answers.length === 2) ctx.finish({ ...talk, passes: ctx.cycle })
  return talk
})
const tool = task('tool', (talk: Talk, ctx) => {
  mark(ctx, 'tool')
  return again({ ...talk, answers: [...talk.answers, `answer ${talk.answers.length + 1}`] })
})
export const talks = loop(seq(agent, tool), { maxCycles: 10 })

export const jumpingAgent = task('jumping-agent', (answers: readonly string[], ctx): Control => {
  mark(ctx, 'agent')
  if (answers.length === 2) return ctx.finish(answers)
  return ctx.goto(jumpingTool, answers)
})
const jumpingTool = task('jumping-tool', (answers: readonly string[], ctx): Control => {
  mark(ctx, 'tool')
  return ctx.goto(jumpingAgent, [...answers, 'more'])
})

// ---- finish and cancel
export const cancels = task('cancels', (_: unknown, ctx): Control => {
  mark(ctx, 'cancels')
  return ctx.cancel('no budget left')
})
export const finishes = task('finishes', (input: string, ctx): Control => {
  mark(ctx, 'finishes')
  return ctx.finish({ early: input })
})
export const cancelsAndFinishes = task('cancels-and-finishes', (_: unknown, ctx): Control => {
  ctx.cancel('cancel wins')
  return ctx.finish('not this')
})
export const finishesAndCancels = task('finishes-and-cancels', (_: unknown, ctx): Control => {
  ctx.finish('not this')
  ctx.cancel('cancel wins')
  return ctx.again(1)
})
export const waitsForEver = task('waits-for-ever', async (_: unknown, ctx) => {
  mark(ctx, 'waiting')
  try {
    return await untilAborted(ctx)
  } finally {
    mark(ctx, `stopped by ${(ctx.signal.reason as GraflowError).code}`)
  }
})

// ---- fork and join
export const leafX = task('leaf-x', (n: number) => n + 1)
export const leafY = task('leaf-y', (n: number) => n + 2)
/** Forks two of itself, one level deeper each. */
export const deeper = task('deeper', async (depth: number, ctx: TaskContext<number>): Promise<number> => {
  mark(ctx, `depth ${depth}`)
  if (depth === 0) return 1
  const { x, y } = await ctx.run(par({ x: deeper, y: deeper }), depth - 1)
  return x + y
})
export const forksTwice = task('forks-twice', async (n: number, ctx) => {
  const [x, y] = await ctx.run(par(leafX, leafY), n)
  const more = await ctx.run(each(leafX), [x, y])
  const together = await Promise.all([ctx.run(leafX, 10), ctx.run(seq(leafX, leafY), 10)])
  return { x, y, more, together }
})
export const fails = task('fails', (): string => {
  throw new RangeError('broken')
})
export const forksFailure = task('forks-failure', async (_: unknown, ctx) => {
  const codes: unknown[] = []
  for (const node of [fails, seq(fails), par({ one: fails })] as AnyNode[]) {
    await ctx.run(node, undefined as never).catch((error: unknown) => {
      const { code, cause } = error as GraflowError
      codes.push([code, (cause as Error).message])
    })
  }
  return codes
})

/** Makes its task in the handler, around what it got: every start has a task of its own by that name. */
export const forksClosure = task('forks-closure', async (n: number, ctx) => {
  const own = task('made-inside', (m: number) => m + n)
  return [await ctx.run(own, 100), ...(await ctx.run(par(own, seq(own, own)), 100))]
})
export const nextClosure = task('next-closure', (n: number, ctx) =>
  ctx.next(
    seq(
      task('made-inside', (m: number) => m + n),
      par(task('made-too', (m: number) => m + n)),
    ),
    100,
  ),
)
/** The last item of its fork is too large, after many that are not. */
export const halfFork = task('half-fork', async (length: number, ctx) => {
  const items = [...Array.from({ length: 50_000 }, () => 'x'.repeat(100)), 'x'.repeat(length)]
  const failed = await ctx.run(each(marks), items).catch((error: unknown) => (error as GraflowError).code)
  mark(ctx, 'failed')
  await untilAborted(ctx)
  return failed
})
const marks = task('marks', async (_: string, ctx) => {
  await passGate(ctx, 'never')
})

// ---- choose
export const decide = task('decide', (n: number): string => (n > 9 ? 'high' : n < 0 ? 'below' : 'low'))
export const high = task('high', (n: number) => `high ${n}`)
export const low = task('low', (n: number) => `low ${n}`)
export const chosen = choose(decide, { high, low })
export const spoils = task('spoils', (list: number[]): string => (list.push(99) > 0 ? 'high' : 'low'))
export const seen = task('seen', (list: number[]) => list)

// ---- made anew by tests: workers know them by these
export const anyEndless = endless(1)
export const anyEndlessLoop = endlessLoop(1)

// ---- values that the handler changes after the call
interface Held {
  n: number
}
export const heldNumber = task('held-number', (held: Held, ctx) => {
  mark(ctx, `got ${held.n}`)
  return held.n
})
export const forksHeld = task('forks-held', async (_: unknown, ctx) => {
  const held: Held = { n: 0 }
  const forks: Promise<number>[] = []
  for (; held.n < 3; held.n += 1) forks.push(ctx.run(heldNumber, held))
  const list = [held]
  forks.push(ctx.run(each(heldNumber), list).then(([first]) => first ?? -1))
  held.n = 9
  return Promise.all(forks)
})
export const nextHeld = task('next-held', (_: unknown, ctx) => {
  const held: Held = { n: 1 }
  ctx.next(heldNumber, held)
  held.n = 2
  ctx.next(heldNumber, held)
  held.n = 9
})
export const gotoHeld = task('goto-held', (_: unknown, ctx): void => {
  const held: Held = { n: 1 }
  ctx.goto(heldNumber, held)
  held.n = 9
})
export const againHeld = task('again-held', (given: Held, ctx) => {
  if (ctx.cycle > 1) return given.n
  const held: Held = { n: 1 }
  ctx.again(held)
  held.n = 9
  return 0
})
export const heldEnd = task('held-end', (n: number) => n)
export const finishHeld = task('finish-held', (_: unknown, ctx): void => {
  const held: Held = { n: 1 }
  ctx.finish(held)
  held.n = 9
})

// ---- next and again in one start
export const nextAndAgain = task('next-and-again', (n: number, ctx) => {
  mark(ctx, `pass ${ctx.cycle}`)
  ctx.next(heldNumber, { n })
  return n < 3 ? ctx.again(n + 1) : 'end'
})
export const gotoAndAgain = task('goto-and-again', (n: number, ctx): Control => {
  ctx.goto(heldNumber, { n })
  return ctx.again(n)
})

// ---- next with an output schema
const upperCase = z.string().transform((text) => text.toUpperCase())
export const nextParsed = task('next-parsed', { output: upperCase }, (input: string, ctx) => {
  ctx.next(extra, input)
  return input
})
export const nextUnparsed = task('next-unparsed', { output: upperCase }, (_: unknown, ctx) => {
  ctx.next(extra, '')
  return 5 as never // as JavaScript may
})
