/** Workflows inside flows, and groups whose policy takes long, with a deadline, for tests that kill whoever is at work in them. Each start is noted. */
import { each, par, policy, seq, task, workflow, type Outcome, type TaskContext } from 'graflow'
import { note, passGate } from '../support/ledger.js'

/** Of every workflow here, and of the run that has a deadline itself. */
export const TIMEOUT_MS = 8_000

/** Of those that are over in time, and met again after that. */
const SHORT_MS = 3_000

const started = (ctx: TaskContext): void => note('start', { run: ctx.runId, task: ctx.taskName })

/** Waits for its gate. */
const holds = task('holds', async (gate: string, ctx) => {
  started(ctx)
  await passGate(gate, ctx.signal)
  return gate
})

const first = task('first', (gates: readonly string[]) => gates[0] ?? 'none')
const passes = task('passes', (gate: string) => gate)
const lists = task('lists', (gate: string) => [gate, gate])

const step = workflow('in-a-step', holds, { timeoutMs: TIMEOUT_MS })
const many = lists.to(each(holds)).to(first)
const group = workflow('in-a-group', many, { timeoutMs: TIMEOUT_MS })
const short = workflow('over-in-time', many, { timeoutMs: SHORT_MS })

/** Its handler brings a workflow with a deadline. */
const brings = task('brings', { queue: 'brought' }, (gate: string, ctx) => {
  started(ctx)
  return ctx.run(group, gate)
})

/** The same, and is long at work after that. */
const lasts = task('lasts', { queue: 'brought' }, async (gate: string, ctx) => {
  const got = await ctx.run(short, gate)
  started(ctx)
  await passGate('end', ctx.signal)
  return got
})

const names = task('names', (gate: string, ctx) => ({ run: ctx.runId, gate }))
/** Decides once the gate is open; its branches were over long before. */
const decides = policy('decides', async (outcomes: readonly Outcome<{ run: string; gate: string }>[]) => {
  const [first] = outcomes
  if (first?.status !== 'succeeded') throw new Error('expected a branch that succeeds')
  const { run, gate } = first.value
  note('start', { run, task: 'decides' })
  await passGate(gate)
  return gate
})
const decided = lists.to(each(names).configure({ timeoutMs: TIMEOUT_MS }).join(decides))

/** Of these the time is over, whoever goes on. */
export const LATE = {
  'a step': seq(passes, step),
  'a group': seq(passes, group),
  'a branch': lists.to(each(group)).to(first),
  'a fork': seq(passes, brings),
  'a policy': decided,
  'a policy in a branch': lists.to(each(decided)).to(first),
} as const

const ends = task('ends', async (gate: string, ctx) => {
  started(ctx)
  await passGate('end', ctx.signal)
  return gate
})

/** Of these the workflow was over in time: it does not count how long what follows takes, and who does it. */
export const IN_TIME = {
  'a step before': seq(short, ends),
  'a fork before': seq(passes, lasts),
} as const

/** For a run that has a deadline itself. */
export const WHOLE = seq(passes, ends)

/** All of them, so that a worker that loads this module knows their tasks. */
export const all = par(step, group, short, brings, lasts, lists, passes, ends, decided)
