/** Tasks of joins.test.ts. */
import { par, policy, task, type GraflowError, type Outcome } from 'graflow'
import { mark, openGate, passGate, untilAborted } from '../support/handlers.js'

/** Succeeds with its name. */
const succeeds = <const N extends string>(name: N) =>
  task(name, (_: unknown, ctx) => {
    mark(ctx, name)
    return name
  })
/** Fails by its name. */
const failing = <const N extends string>(name: N) =>
  task(name, (_: unknown, ctx): string => {
    mark(ctx, name)
    throw Object.assign(new RangeError(`${name} is broken`), { code: `E_${name.toUpperCase()}` })
  })

export const a = succeeds('a')
export const c = succeeds('c')
export const d = succeeds('d')
export const b = failing('b')
export const x = failing('x')
export const y = failing('y')
export const final = task('final', (input: unknown, ctx) => {
  mark(ctx, 'final')
  return input
})

/** Runs until it is not wanted any more. */
export const endless = task('endless', async (_: unknown, ctx) => {
  mark(ctx, 'endless')
  await openGate(ctx, 'endless runs')
  try {
    return await untilAborted(ctx)
  } finally {
    mark(ctx, `endless: ${(ctx.signal.reason as GraflowError).code}`)
  }
})
/** Fails once `endless` runs. */
export const failsLate = task('fails-late', async (_: unknown, ctx): Promise<string> => {
  await passGate(ctx, 'endless runs')
  throw new RangeError('late and broken')
})
/** Succeeds once `endless` runs. */
export const succeedsLate = task('succeeds-late', async (_: unknown, ctx) => {
  await passGate(ctx, 'endless runs')
  return 'late'
})
/** Goes on after `b` has failed, and ends when it has seen that nobody stops it. */
export const patient = task('patient', async (_: unknown, ctx) => {
  await openGate(ctx, 'patient runs')
  await passGate(ctx, 'failed')
  mark(ctx, `patient: ${ctx.signal.aborted ? 'aborted' : 'wanted'}`)
  return 'patient'
})
export const failsThenOpens = task(
  'fails-then-opens',
  { retry: { attempts: 2 } },
  async (_: unknown, ctx): Promise<string> => {
    await passGate(ctx, 'patient runs')
    await openGate(ctx, 'failed')
    throw new RangeError('broken')
  },
)

export const odd = task('odd', (n: number) => {
  if (n % 2 === 0) throw new RangeError(`${n} is even`)
  return n
})

export const atMostOneFailure = policy('at-most-one-failure', (outcomes: readonly Outcome<unknown>[]) => {
  const lost = outcomes.filter(({ status }) => status !== 'succeeded')
  if (lost.length > 1) throw new RangeError(`${lost.length} failed, one may`)
  return outcomes.flatMap((outcome) => (outcome.status === 'succeeded' ? [outcome.value] : []))
})
export const byKey = policy(
  'by-key',
  async (outcomes: { readonly left: Outcome<string>; readonly right: Outcome<string> }) =>
    Object.fromEntries(Object.entries(outcomes).map(([key, { status }]) => [key, status])),
)
/** Workers know a policy from a flow that they know. */
export const decided = par(a, b).join(atMostOneFailure)
export const uncarriable = policy('uncarriable', (outcomes: readonly unknown[]) => () => outcomes.length)
