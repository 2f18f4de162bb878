/**
 * Many groups of one branch each (steps that run elsewhere, calls from handlers, roots of runs), phase by phase: nothing to pack, but
 * one acquire and one settle still carry many of them.
 */
import type { Redis } from 'ioredis'
import { type Usage, usageBetween, usageOf } from './info.js'
import { asText, type Call, flush, type Group, type Layout, type Settled, TAG } from './layout.js'
import { handle, makeInputs } from './workload.js'

export interface SinglesRequest {
  readonly groups: number
  readonly bytes: number
  /** Groups in an acquire and in a settle. */
  readonly batch: number
}

export interface SinglesReport {
  readonly step: Usage
  readonly acquire: Usage
  readonly settle: Usage
}

const RUN = 'run-0123456789abcdef'
const TOKEN = '1790000000000000.producer'
const CALLS_A_FLUSH = 8

export async function measureSingles(
  redis: Redis,
  layout: Layout,
  { groups, bytes, batch }: SinglesRequest,
): Promise<SinglesReport> {
  await redis.flushall()
  await flush(redis, [...layout.openRun(RUN, TOKEN), ['ZADD', `${TAG}:w`, 1, 'singles']])
  const inputs = makeInputs(1, bytes)
  const groupAt = (i: number): Group => ({
    run: RUN,
    token: TOKEN,
    gid: `${RUN}/${i}.0`,
    size: 1,
    inbox: `${TAG}:in:p`,
  })
  const measured = async (calls: readonly Call[]): Promise<readonly [Usage, readonly unknown[]]> => {
    const before = await usageOf(redis)
    const replies: unknown[] = []
    for (let at = 0; at < calls.length; at += CALLS_A_FLUSH)
      replies.push(...(await flush(redis, calls.slice(at, at + CALLS_A_FLUSH))))
    return [usageBetween(before, await usageOf(redis)), replies]
  }
  const [step] = await measured(Array.from({ length: groups }, (_, i) => layout.step(groupAt(i), inputs, 0, 1)))
  const calls = Array.from({ length: Math.ceil(groups / batch) }, (_, i) => i)
  const [acquire, acquired] = await measured(
    calls.map((i) => layout.acquire('singles', 'a', `a${i.toString(36)}`, batch)),
  )
  const settles = acquired.map((reply) => {
    const done = layout
      .grants(reply)
      .map(
        (grant): Settled => ({ grant, results: Array.from({ length: grant.count }, (_, i) => handle(grant.input(i))) }),
      )
    return layout.settle('singles', done)
  })
  const [settle, answers] = await measured(settles)
  const words = (answers as readonly (readonly unknown[])[]).flat().map(asText)
  if (words.length !== groups || words.some((word) => word !== 'OK'))
    throw new Error(`${layout.name}: ${groups} groups of one, settled ${words.filter((word) => word === 'OK').length}`)
  return { step, acquire, settle }
}
