/**
 * One phase after the other in one process: dispatch all, acquire all, settle all, read all. Slower than real work, but what each
 * phase costs Redis, and how much memory a branch takes at its peak, can be told apart; and it hardly depends on who else uses the
 * machine.
 */
import type { Redis } from 'ioredis'
import { asText, type Call, flush, type Group, type Layout, SUCCEEDED, type Settled, TAG } from './layout.js'
import { type Usage, usageBetween, usageOf } from './info.js'
import { Checksum, expectedSum, handle, makeInputs } from './workload.js'

export const PHASES = ['step', 'acquire', 'settle', 'read'] as const
export type Phase = (typeof PHASES)[number]

export interface PhasesRequest {
  readonly count: number
  readonly bytes: number
  /** Branches in a step, an acquire and a settle. */
  readonly batch: number
}

/** The slowest call by Redis's own account: 0 when all took less than a millisecond. */
export type PhasesReport = Readonly<Record<Phase, Usage & { readonly slowestUs: number }>>

const RUN = 'run-0123456789abcdef'
const TOKEN = '1790000000000000.producer'
const INBOX = `${TAG}:in:producer`
const CALLS_A_FLUSH = 8
const SLOW_US = 1_000
const MOST_SLOW = 1_000

export async function measurePhases(
  redis: Redis,
  layout: Layout,
  { count, bytes, batch }: PhasesRequest,
): Promise<PhasesReport> {
  await redis.flushall()
  await redis.config('SET', 'slowlog-log-slower-than', SLOW_US, 'slowlog-max-len', MOST_SLOW)
  await flush(redis, [...layout.openRun(RUN, TOKEN), ['ZADD', `${TAG}:w`, 1, 'phases']])
  const inputs = makeInputs(count, bytes)
  const group: Group = { run: RUN, token: TOKEN, gid: `${RUN}/1.0`, size: count, inbox: INBOX }
  const starts = Array.from({ length: Math.ceil(count / batch) }, (_, i) => i * batch)
  const inFlushes = async (calls: readonly Call[]): Promise<unknown[]> => {
    const replies: unknown[] = []
    for (let at = 0; at < calls.length; at += CALLS_A_FLUSH)
      replies.push(...(await flush(redis, calls.slice(at, at + CALLS_A_FLUSH))))
    return replies
  }
  const measured = async <T>(work: () => Promise<T>): Promise<readonly [PhasesReport[Phase], T]> => {
    await redis.slowlog('RESET')
    const before = await usageOf(redis)
    const result = await work()
    const used = usageBetween(before, await usageOf(redis))
    const slow = (await redis.slowlog('GET', MOST_SLOW)) as readonly (readonly [id: number, at: number, us: number])[]
    return [{ ...used, slowestUs: Math.max(0, ...slow.map(([, , us]) => us)) }, result]
  }

  const [step] = await measured(() =>
    inFlushes(starts.map((from) => layout.step(group, inputs, from, Math.min(count, from + batch)))),
  )
  const [acquire, grants] = await measured(async () => {
    const replies = await inFlushes(starts.map((from) => layout.acquire('phases', 'a', `a${from.toString(36)}`, batch)))
    return replies.flatMap((reply) => layout.grants(reply))
  })
  const settles = grants.map((grant) => {
    const done: Settled = { grant, results: Array.from({ length: grant.count }, (_, i) => handle(grant.input(i))) }
    return layout.settle('phases', [done])
  })
  const [settle, answers] = await measured(() => inFlushes(settles))
  for (const [answer] of answers as readonly (readonly unknown[])[])
    if (asText(answer) !== 'OK') throw new Error(`settle answered ${asText(answer)}`)
  const checksum = new Checksum()
  const [read, found] = await measured(() =>
    layout.readOutcomes(redis, group, (index, kind, value) => {
      if (kind === SUCCEEDED) checksum.add(index, value)
    }),
  )
  if (found !== count || checksum.sum !== expectedSum(inputs)) throw new Error(`${layout.name}: wrong outcomes`)
  const events = await redis.xlen(INBOX)
  if (events !== 1) throw new Error(`${layout.name}: ${events} release events`)
  return { step, acquire, settle, read }
}
