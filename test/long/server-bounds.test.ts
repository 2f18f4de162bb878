/**
 * Servers that send or take less than usual (`client-output-buffer-limit`, `proto-max-bulk-len`), with values past that: a run gives its
 * result, or says how much is too much and what to do; whether the server lets its configuration be read or not.
 */
import { each, type Graflow, task, workflow } from 'graflow'
import { Shard, SHARD_DEFAULTS } from '../../lib/backend/redis/shard.js'
import { monotonicClock } from '../../lib/time.js'
import { failureOf } from '../support/captured-errors.js'
import { localWorker } from '../support/local-worker.js'
import type { RedisServer } from '../support/redis-server.js'
import { type Stage, useStage } from '../support/redis-stage.js'
import { freshPrefix, privateRedis } from '../support/shared-redis.js'

const KIB = 1024
const MIB = 1024 * KIB
/** What stands around a text when it is packed, once it is long. */
const PACKED_BYTES = 5

const big = task('big', (bytes: number) => 'x'.repeat(bytes))
const lengths = (texts: readonly string[]): number => texts.reduce((sum, text) => sum + text.length, 0)
const bigs = workflow('bigs', each(big))
const total = task('total', lengths)
const totalOfBig = task('totalOfBig', async (_: unknown, ctx) => lengths(await ctx.result(bigs)))
const small = task('small', (n: number) => n)
const waits = task(
  'waits',
  (_: number, { signal }) =>
    new Promise<never>((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error))
    }),
)
const cancels = task('cancels', (_: number, ctx) => ctx.cancel('why '.repeat(400_000)))
const throws = task('throws', (_: number): never => {
  throw new AggregateError(
    Array.from({ length: 200 }, (__, n) => new Error(String(n).repeat(9_000))),
    'two hundred',
  )
})
const flows = [each(big), total, totalOfBig, small, waits, cancels, throws] as const

const open = useStage()

interface Scene {
  readonly stage: Stage
  readonly client: Graflow
}

const urlOf = ({ port }: RedisServer): string => `redis://ada:pw@127.0.0.1:${port}`

/** A client and a worker of a user who may read the configuration, or may not. */
async function scene(server: RedisServer, mayRead: boolean): Promise<Scene> {
  const stage = await open(server)
  await stage.redis.call(
    'ACL',
    'SETUSER',
    'ada',
    'reset',
    'on',
    '>pw',
    '~*',
    '&*',
    '+@all',
    mayRead ? '+config' : '-config',
  )
  const url = urlOf(server)
  const client = await stage.client({}, url)
  await localWorker(stage, 'w', flows, url)
  return { stage, client }
}

const CONFIGURATIONS = [
  ['says so', true],
  ['does not let its configuration be read', false],
] as const

describe.each(CONFIGURATIONS)('a server that sends 4 MB at most, and %s', (_, mayRead) => {
  const sizes = Array.from({ length: 180 }, () => 100 * KIB)
  const third = sizes.slice(0, 60)
  const bytes = 180 * 100 * KIB
  let server: RedisServer
  beforeAll(async () => {
    server = await privateRedis({ config: { 'client-output-buffer-limit': 'normal 4mb 4mb 0' } })
  })

  it('gives 18 MB of outcomes and a result of 6 MB, whoever reads them', async () => {
    const { stage, client } = await scene(server, mayRead)
    const submitted = await client.submit(bigs.to(totalOfBig), sizes)
    const [ran, started, result] = await Promise.all([
      client.run(each(big).to(total), third),
      client.start(each(big).to(total), third),
      client.submit(each(big), third),
    ])
    expect([ran, await started.result(), await submitted.result()]).toEqual([bytes / 3, bytes / 3, bytes])
    expect(lengths((await submitted.result('0')) as string[])).toBe(bytes)
    expect(lengths((await started.result('0')) as string[])).toBe(bytes / 3)
    expect(lengths(await result.result())).toBe(bytes / 3)
    let count = 0
    for await (const branch of submitted.branches()) count += branch.status === 'succeeded' ? 1 : 0
    expect(count).toBe(180)
    const other = await stage.backend({ address: urlOf(server) })
    const first = await other.inspect.run(result.id)
    expect([first?.state, (first?.value?.length ?? 0) > bytes / 3]).toEqual(['completed', true])
    expect(await other.inspect.run('nowhere')).toBeUndefined()
  }, 30_000)
})

it('a server that sends 4 MB at most: a value that goes whole is refused, with the number and what to do', async () => {
  const server = await privateRedis({ config: { 'client-output-buffer-limit': 'normal 4mb 4mb 0' } })
  const { client } = await scene(server, true)
  const input = ['x'.repeat(5 * MIB)]
  const calls = [
    async () => client.run(total, input),
    async () => (await client.start(total, input)).result(),
    async () => (await client.submit(total, input)).result(),
  ]
  for (const call of calls) {
    const { code, message } = await failureOf(call())
    expect([code, message]).toEqual([
      'LIMIT_EXCEEDED',
      expect.stringMatching(/at most 4128768 bytes .*, got 5242\d+: .*client-output-buffer-limit/),
    ])
  }
}, 20_000)

it('a server that sends 4 MB at most, and does not say so: a value past that is given up, and nothing else', async () => {
  const server = await privateRedis({ config: { 'client-output-buffer-limit': 'normal 4mb 4mb 0' } })
  const shard = await Shard.open({
    ...SHARD_DEFAULTS,
    ...{ clock: monotonicClock, random: Math.random, keyPrefix: freshPrefix(), address: server.url, retryForMs: 700 },
  })
  try {
    await shard.command('SET', 'large', 'x'.repeat(18 * MIB))
    const asked = failureOf(shard.command('GET', 'large'))
    const others = Array.from({ length: 50 }, (_, i) => shard.command('ECHO', i))
    expect((await Promise.all(others)).map(String)).toEqual(others.map((_, i) => String(i)))
    const { code, message } = await asked
    expect([code, message]).toEqual(['REDIS_UNSUITABLE', expect.stringContaining('raise client-output-buffer-limit')])
    expect(String(await shard.command('PING'))).toBe('PONG')
  } finally {
    shard.close()
  }
})

describe.each(CONFIGURATIONS)('a server that takes values of 1 MB at most, and %s', (_, mayRead) => {
  const near = MIB - PACKED_BYTES - 1
  const refusal = mayRead
    ? /at most 983040 bytes when packed, got \d+: .*proto-max-bulk-len/
    : /raise proto-max-bulk-len/
  let server: RedisServer
  beforeAll(async () => {
    server = await privateRedis({ config: { 'proto-max-bulk-len': '1mb' } })
  })

  it('takes a long reason to cancel, and a large error of a handler as itself', async () => {
    const { client } = await scene(server, mayRead)
    const run = await client.start(each(waits), [1])
    expect(await run.cancel('why '.repeat(400_000))).toBe(true)
    expect((await failureOf(run.result())).message).toMatch(/^run .* was cancelled: why .*characters more\)$/)
    const ended = await Promise.all(
      [client.run(each(cancels), [1]), client.run(each(throws), [1]), client.run(throws, 1)].map(failureOf),
    )
    expect(ended.map(({ code }) => code)).toEqual(['CANCELLED', 'GROUP_FAILED', 'TASK_FAILED'])
    for (const { message } of ended.slice(1)) expect(message).toContain('two hundred')
  })

  it('gives outcomes that are larger together, and refuses a value past it: run, start, submit, inputs and results', async () => {
    const { client } = await scene(server, mayRead)
    const sizes = Array.from({ length: 3 }, () => 900 * KIB)
    const large = 'x'.repeat(MIB + 100 * KIB)
    const submit = async (): Promise<unknown> => (await client.submit(bigs.to(totalOfBig), sizes)).result()
    expect(await Promise.all([client.run(each(big).to(total), sizes), submit()])).toEqual([
      lengthOf(sizes),
      lengthOf(sizes),
    ])
    // one after the other: each of them ends the connection that it comes on, which others had to share
    const refused: { readonly code: string; readonly message: string }[] = []
    for (const call of [
      async () => client.run(each(big), sizes), // the result of the run
      async () => (await client.submit(each(big), sizes)).result(),
      async () => (await client.start(each(big), sizes)).result(),
      async () => client.run(each(total), [[large]]), // an input
      async () => (await client.start(total, [large])).result(),
      async () => (await client.submit(total, [large])).result(),
    ])
      refused.push(await failureOf(call()))
    for (const { message } of refused) expect(message).toMatch(refusal)
    expect(refused.map(({ code }) => code)).toEqual(refused.map(() => 'LIMIT_EXCEEDED'))
    // that of a branch, which fits without what stands around it in a command: bounds that are known leave room for that
    const ofBranch = (await client.submit(each(big).to(total), [1, near])).result()
    if (mayRead)
      expect(await failureOf(ofBranch)).toMatchObject({ code: 'GROUP_FAILED', message: expect.stringMatching(refusal) })
    else expect(await ofBranch).toBe(near + 1)
    // the table of a group
    const { code, message } = await failureOf(
      client.run(
        each(small),
        Array.from({ length: 90_000 }, (_, n) => n),
      ),
    )
    expect([code, message]).toEqual([
      'LIMIT_EXCEEDED',
      expect.stringContaining('make the group smaller, or raise proto-max'),
    ])
    expect(await client.run(each(small), [1, 2])).toEqual([1, 2])
  }, 20_000)
})

const lengthOf = (sizes: readonly number[]): number => sizes.reduce((sum, size) => sum + size, 0)
