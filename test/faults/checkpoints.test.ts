/**
 * What is saved of a run is damaged while nobody drives it: who takes it up finds out, says so, and goes on from what was saved before. In Redis
 * the values themselves are changed; between the embedded store and its client they are changed on their way.
 */
import { each, seq, task, type EventOf, type Graflow } from 'graflow'
import type { Backend, SavedValues } from '../../lib/backend/backend.js'
import { pack } from '../../lib/values/packed-items.js'
import { valuesOf } from '../../lib/values/value-lists.js'
import { failureOf } from '../support/captured-errors.js'
import { ofVersion } from '../support/checksums.js'
import { workerHere } from '../support/local-worker.js'
import { type Stage, useStage } from '../support/redis-stage.js'
import { SharedStore } from '../support/shared-store.js'
import { until } from '../support/waits.js'
import { wired } from '../support/wired-backend.js'

/** A run of two steps and a group that waits for `go`, and what was started of it. */
function twoSteps() {
  const starts: string[] = []
  let go: () => void = () => undefined
  const gate = new Promise<void>((resolve) => {
    go = resolve
  })
  const first = task('first', (n: number) => {
    starts.push('first')
    return n + 1
  })
  const second = task('second', (n: number) => {
    starts.push('second')
    return [n, n + 1]
  })
  const held = task('held', async (n: number) => {
    starts.push('held')
    await gate
    return n
  })
  const last = task('last', (numbers: readonly number[]) => numbers.reduce((sum, n) => sum + n, 0))
  return { flow: seq(first, second, each(held), last), starts, go }
}

type Steps = ReturnType<typeof twoSteps>

/** Leaves the run `r` behind, at its group. */
async function leaveBehind(
  driver: Graflow,
  { flow, starts }: Steps,
  ifLost: 'take-over' | 'abandon' = 'abandon',
): Promise<void> {
  await driver.start(flow, 1, { id: 'r', ifLost })
  await until(() => starts.filter((name) => name === 'held').length === 2, 'the group works')
  await driver.close()
}

function logOf(graflow: Graflow): EventOf<'log'>[] {
  const log: EventOf<'log'>[] = []
  graflow.events.subscribe('log', (event) => log.push(event))
  return log
}

const warnings = (log: readonly EventOf<'log'>[]): string[] =>
  log.filter(({ level }) => level === 'warn').map(({ message, path }) => `${message.split(':', 1)[0]} ${path}`)

const open = useStage()

async function leftOnRedis() {
  const stage = await open()
  const steps = twoSteps()
  await workerHere(stage, 'w', [steps.flow], { driveRuns: false })
  stage.onEnd(async () => steps.go())
  await leaveBehind(await stage.client(), steps)
  const resumer = await stage.client()
  return { stage, steps, resumer, log: logOf(resumer) }
}

/** The bytes with one bit of one of them turned. */
function turned(bytes: Buffer, at: number): Buffer {
  bytes[at] = (bytes[at] ?? 0) ^ 1
  return bytes
}

/** Turns one bit of a saved value. */
async function damage({ redis, keys }: Stage, path: string): Promise<void> {
  const value = (await redis.hgetBuffer(keys.outputs('r'), path)) ?? Buffer.of()
  await redis.hset(keys.outputs('r'), path, turned(value, 0))
}

const CASES: readonly (readonly [string, (stage: Stage) => Promise<unknown>, readonly string[], readonly string[]])[] =
  [
    ['corrupt', (stage) => damage(stage, '1'), ['CHECKPOINT_CORRUPT 1'], ['second']],
    ['missing', ({ redis, keys }) => redis.hdel(keys.outputs('r'), '0'), ['CHECKPOINT_MISSING 0'], ['first']],
    ['all missing', ({ redis, keys }) => redis.del(keys.outputs('r')), ['CHECKPOINT_MISSING 0'], ['first', 'second']],
  ]

describe('P4, FT-P16: a checkpoint of a run on Redis', () => {
  it.each(CASES)(
    'that is %s: the one before it is used',
    async (_, harm, said, again) => {
      const { stage, steps, resumer, log } = await leftOnRedis()
      const { redis, keys } = stage
      const before = await redis.hgetallBuffer(keys.outputs('r'))
      await harm(stage)
      const run = await resumer.resume('r', steps.flow)
      steps.go()
      expect(await run.result()).toBe(5)
      expect(warnings(log)).toEqual(said)
      expect(steps.starts).toEqual(['first', 'second', 'held', 'held', ...again])
      // and it is there again, for the next one
      const after = await redis.hgetallBuffer(keys.outputs('r'))
      expect({ 0: after['0'], 1: after['1'] }).toEqual({ 0: before['0'], 1: before['1'] })
    },
    30_000,
  )

  it('that is of another version: it is left to others, and the run is as it was', async () => {
    const { stage, steps, resumer } = await leftOnRedis()
    const { redis, keys } = stage
    const checksums = (await redis.hgetBuffer(keys.outputs('r'), '0/!c')) ?? Buffer.of()
    await redis.hset(keys.outputs('r'), '0/!c', ofVersion(2, checksums))
    const backend = await stage.backend()
    expect(await failureOf(resumer.resume('r', steps.flow))).toMatchObject({ code: 'CHECKPOINT_VERSION' })
    await until(async () => (await backend.inspect.run('r'))?.state === 'abandoned', 'it is given back')
    await redis.hset(keys.outputs('r'), '0/!c', checksums)
    const run = await resumer.resume('r', steps.flow)
    steps.go()
    expect(await run.result()).toBe(5)
    expect(steps.starts).toEqual(['first', 'second', 'held', 'held'])
  }, 30_000)

  it('that is of another version: a worker that cannot read it gives the run back', async () => {
    const stage = await open()
    const steps = twoSteps()
    await workerHere(stage, 'w', [steps.flow], { driveRuns: false })
    await leaveBehind(await stage.client(), steps, 'take-over')
    stage.onEnd(async () => steps.go())
    const { redis, keys } = stage
    const checksums = (await redis.hgetBuffer(keys.outputs('r'), '0/!c')) ?? Buffer.of()
    await redis.hset(keys.outputs('r'), '0/!c', ofVersion(2, checksums))
    const log: string[] = []
    const driver = await workerHere(stage, 'd', [steps.flow])
    driver.events.subscribe('log', ({ message }) => log.push(message))
    await until(() => log.some((message) => message.includes('has version 2')), 'it was tried')
    await redis.hset(keys.outputs('r'), '0/!c', checksums)
    steps.go()
    expect(await (await (await stage.client()).attach('r', steps.flow)).result()).toBe(5)
    expect(steps.starts).toEqual(['first', 'second', 'held', 'held'])
  }, 30_000)

  it('that is its input, before its first step is finished: the run fails, and says why', async () => {
    const { stage, steps, resumer } = await leftOnRedis()
    const { redis, keys } = stage
    await redis.hdel(keys.outputs('r'), '0', '1')
    // the table of a small group ends with its inputs
    const table = (await redis.hgetBuffer(keys.group('r'), 'd')) ?? Buffer.of()
    await redis.hset(keys.group('r'), 'd', turned(table, table.length - 1))
    const run = await resumer.resume('r', steps.flow)
    expect(await failureOf(run.result())).toMatchObject({ code: 'CHECKPOINT_CORRUPT', details: { runId: 'r' } })
    expect(steps.starts).toEqual(['first', 'second', 'held', 'held'])
  }, 30_000)

  it('that is its root: nobody can go on, and who tries is told', async () => {
    const { stage, steps, resumer } = await leftOnRedis()
    await stage.redis.del(stage.keys.group('r'))
    expect(await failureOf(resumer.resume('r', steps.flow))).toMatchObject({ code: 'CHECKPOINT_MISSING' })
  }, 30_000)
})

describe('P4, FT-P16: a checkpoint of a run in memory', () => {
  let store: SharedStore
  beforeEach(() => {
    store = new SharedStore()
  })
  afterEach(() => store.end())

  /** The store, whose saved outputs are changed on their way by this. */
  const seenThrough = (change: (saved: SavedValues) => SavedValues): Backend =>
    wired(store.backend, {
      call: async (name, send) => {
        const answer = await send()
        return name === 'saved' ? change(answer as SavedValues) : answer
      },
    })

  const without =
    (path: string) =>
    ({ paths, values }: SavedValues): SavedValues => ({
      paths: paths.filter((other) => other !== path),
      values: pack(itemsOf(values).filter((_, i) => paths[i] !== path)),
    })
  const itemsOf = ({ bytes, ends }: SavedValues['values']): Uint8Array[] =>
    Array.from(ends, (end, i) => bytes.slice(ends[i - 1] ?? 0, end))

  const damaged =
    (path: string) =>
    ({ paths, values }: SavedValues): SavedValues => ({
      paths,
      values: pack(itemsOf(values).map((value, i) => (paths[i] === path ? Uint8Array.of(0xc0, ...value) : value))),
    })

  it.each([
    ['corrupt', damaged('1'), ['CHECKPOINT_CORRUPT 1'], ['second']],
    ['missing', without('0'), ['CHECKPOINT_MISSING 0'], ['first']],
  ] as const)('that is %s: the one before it is used', async (_, change, said, again) => {
    const steps = twoSteps()
    await store.started({ tasks: [steps.flow], driveRuns: false })
    await leaveBehind(await store.client(), steps)
    const resumer = await store.client(seenThrough(change))
    const log = logOf(resumer)
    const run = await resumer.resume('r', steps.flow)
    steps.go()
    expect(await run.result()).toBe(5)
    expect(warnings(log)).toEqual(said)
    expect(steps.starts).toEqual(['first', 'second', 'held', 'held', ...again])
    const { paths, values } = await store.backend.inspect.saved('r', '')
    const numbers = valuesOf({ ...values, ends: values.ends.subarray(0, 2) })
    expect([paths.slice(0, 2), numbers]).toEqual([
      ['0', '1'],
      [2, [2, 3]],
    ])
  })
})
