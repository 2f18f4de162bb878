/**
 * A system with a run under way of which something is lost, for the tests of lost keys and of lost fields. The flow has large and small values,
 * branches that are tried again, and groups inside of branches.
 */
import { each, type Graflow, seq } from 'graflow'
import type { Redis } from 'ioredis'
import { Stage } from '../support/redis-stage.js'
import { sharedRedis } from '../support/shared-redis.js'
import { until, within } from '../support/waits.js'
import { itemOf, sum, work } from './lost.tasks.js'

const flow = seq(each(work), sum)
const items = Array.from({ length: 48 }, (_, n) => itemOf(n))
const total = items.reduce((all, { n }) => all + n, 0)

export type Loss = (redis: Redis, key: string) => Promise<unknown>

/** Losses tried at the same time, each in a system of its own: most of the time of a loss is waiting for its repair. */
const AT_ONCE = 6

let systems: Promise<readonly System[]> | undefined

async function startSystems(): Promise<readonly System[]> {
  const started: System[] = []
  for (let i = 0; i < AT_ONCE; i += 1) started.push(await system()) // one by one: many processes at once start slowly
  return started
}

/** Does all of this, some of it at the same time, each with a system that is used again. */
export async function withSystems<T>(
  work: readonly T[],
  doOne: (own: System, one: T) => Promise<unknown>,
): Promise<void> {
  systems ??= startSystems()
  const left = [...work]
  const workOff = async (own: System): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) await doOne(own, next)
  }
  await Promise.all((await systems).map(workOff))
}

export interface System {
  readonly stage: Stage
  readonly client: Graflow
}

const stages: Stage[] = []

/** To be called when all tests of the file are over. */
export async function endSystems(): Promise<void> {
  for (const stage of stages) await stage.end()
}

export async function system(): Promise<System> {
  const stage = new Stage(await sharedRedis(), require.resolve('./lost.tasks.ts'))
  stages.push(stage)
  await Promise.all(['one', 'two'].map((id) => stage.worker(id, { maxConcurrentTasks: 4 })))
  return { stage, client: await stage.client() }
}

const tagOf = ({ keys }: Stage): string => keys.main.slice(0, -2)

/** The keys of a system that a pattern behind its tag fits. */
export const keysLike = (stage: Stage, pattern: string): Promise<string[]> =>
  stage.redis.keys(`${tagOf(stage).replace(/[*?[\]\\]/g, '\\$&')}${pattern}`)

type Run = Awaited<ReturnType<typeof begin>>

const begin = (client: Graflow) => client.start(flow, items)

/** Starts a run, and waits until some of its branches are over. */
export async function runUnderWay(client: Graflow): Promise<Run> {
  const run = await begin(client)
  await until(async () => {
    const group = (await run.status()).groups.find(({ path }) => path === '0')
    return (group?.succeeded ?? 0) >= 4
  }, 'work')
  return run
}

/**
 * Loses every key of a pattern while a run is under way; how that run ends. The next one must give its result.
 * @param what is lost, and how, for messages
 */
export async function endingAfter(
  { stage, client }: System,
  what: string,
  pattern: string,
  lose: Loss,
): Promise<string> {
  const run = await runUnderWay(client)
  const result = run.result().then(
    ({ n }) => (n === total ? 'its result' : `another result: ${n}`),
    (error: unknown) => `an error: ${(error as { code?: string }).code ?? String(error)}`,
  )
  // a key that is one of its kind is harmed also where it is not there at the moment
  const found = pattern.includes('*') ? await keysLike(stage, pattern) : [`${tagOf(stage)}${pattern}`]
  const own = pattern.startsWith(':r:') || pattern.startsWith(':b:')
  for (const key of found.filter((key) => !own || key.includes(run.id))) await lose(stage.redis, key)
  const ending = await within(45_000, result, `a result or an error after ${what}`)
  const next = await within(45_000, client.run(flow, [1, 2, 3].map(itemOf)), `the next run after ${what}`)
  expect([what, next.n]).toEqual([what, 6])
  return ending
}
