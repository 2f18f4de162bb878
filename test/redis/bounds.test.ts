/** What happens beyond the bounds of one call, and what is left behind when much goes at once. */
import type { Backend, GroupSpec, Holder, OpenRequest, SettleKind, Token } from '../../lib/backend/backend.js'
import { pack } from '../../lib/values/packed-items.js'
import { type StagedBackend, useBackend } from '../support/redis-stage.js'
import { sharedRedis } from '../support/shared-redis.js'
import { until } from '../support/waits.js'
import { bytes, infoOf } from '../support/world.js'

const LONG_MS = 600_000
/** More than a call closes. */
const WIDE = 600
/** More than an acquire looks at. */
const MANY = 80

const stage = useBackend()

let nonces = 0
const newNonce = (): string => `nonce-${(nonces += 1)}`

interface Scene extends StagedBackend {
  readonly root: Holder
}

/** A run `r` that session `d` drives, and a worker `w`. */
async function scene(retentionMs = LONG_MS): Promise<Scene> {
  const staged = await stage(await sharedRedis())
  const { backend } = staged
  await backend.putGraph('graph', bytes('graph'))
  await join(backend, 'd')
  await join(backend, 'w')
  return { ...staged, root: await openRun(backend, 'r', retentionMs) }
}

const openRequest = (runId: string, retentionMs = LONG_MS): OpenRequest => ({
  ...{ runId, graph: 'graph', digest: 'digest', input: bytes('input'), nonce: newNonce() },
  ...{ tasks: [], maxLosses: 3, timeoutMs: 0, retentionMs },
})

async function openRun(backend: Backend, runId: string, retentionMs = LONG_MS): Promise<Holder> {
  const opened = await backend.open({ ...openRequest(runId, retentionMs), session: 'd' })
  if (opened.status !== 'ok' || opened.token === undefined) throw new Error(`the run was answered ${opened.status}`)
  return { gid: runId, index: 0, token: opened.token }
}

const join = (backend: Backend, session: string, ttlMs = LONG_MS): Promise<unknown> =>
  backend.session({ kind: 'open', session, ttlMs, info: { ...infoOf(session), queues: ['default', 'other'] } })

async function dispatch(backend: Backend, holder: Holder, gid: string, facts: Partial<GroupSpec> = {}): Promise<void> {
  const runId = gid.split('/', 1)[0] ?? gid
  const spec: GroupSpec = {
    ...{
      gid,
      runId,
      graph: 'graph',
      node: '0',
      digest: 'digest',
      size: 1,
      shared: true,
      rule: 'all',
      queue: 'default',
    },
    ...{ requires: [], tasks: ['task'], priority: 0, depth: gid.split('/').length - 1, limit: 0, attempts: 3 },
    ...{ maxLosses: 3, timeoutMs: 0 },
    ...facts,
  }
  const answer = await backend.step({ holder, runId, group: { spec, from: 0, inputs: pack([bytes('input')]) } })
  expect(answer).toEqual({ status: 'ok', fill: 1 })
}

async function acquire(backend: Backend, session: string, max: number, queue = 'default') {
  const answer = await backend.acquire({ session, nonce: newNonce(), max, queues: [queue], capabilities: [] })
  if (answer.status !== 'ok') throw new Error(`an acquire was answered ${answer.status}`)
  return answer
}

const settle = (backend: Backend, gid: string, token: Token, indexes: readonly number[], kind: SettleKind) =>
  backend.settle({
    session: 'w',
    ranges: [{ gid, token, indexes, kinds: indexes.map(() => kind), values: pack(indexes.map(() => bytes(''))) }],
  })

/** A group `r/0` of which every branch is held and has opened a group. */
async function wideGroup({ backend, root }: Scene, facts: Partial<GroupSpec> = {}): Promise<Token> {
  await dispatch(backend, root, 'r/0', { size: WIDE, ...facts })
  const { grants } = await acquire(backend, 'w', WIDE)
  const [grant] = grants
  if (grant === undefined) throw new Error('nothing was granted')
  const { token, indexes } = grant
  await Promise.all(Array.from(indexes, (index) => dispatch(backend, { gid: 'r/0', index, token }, `r/0/${index}/0`)))
  return token
}

const readyIn = async ({ backend }: Scene): Promise<number> =>
  (await backend.inspect.queues()).reduce((sum, { ready }) => sum + ready, 0)

const sweptUntil = (what: string, { backend }: Scene, isSo: () => Promise<boolean>): Promise<void> =>
  until(async () => {
    await backend.sweep('d')
    return isSo()
  }, what)

const newsOf = async ({ redis, tag }: Scene, session: string): Promise<readonly string[]> =>
  (await redis.xrange(`${tag}:in:${session}`, '-', '+')).map(([, fields]) => fields[1] ?? '')

/** Entries for a hash that name nothing: they make it large, are passed and forgotten, and cost no groups. */
const stale = (count: number, name: (i: number) => string): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [name(i + 10), 'gone']))

describe('beyond one call', () => {
  it('closes all that is below a wide group, a part with each sweep', async () => {
    const here = await scene()
    await wideGroup(here)
    await here.backend.control({ kind: 'withdraw-group', holder: here.root, gid: 'r/0' })
    expect(await readyIn(here)).toBeGreaterThan(0) // else one call is enough, and this shows nothing
    await sweptUntil('nothing is ready', here, async () => (await readyIn(here)) === 0)
    const groups = await here.backend.inspect.groups('r')
    expect(groups.filter(({ state }) => state === 'open')).toEqual([])
  })

  it('closes it also when the group is retired meanwhile', async () => {
    const here = await scene()
    const token = await wideGroup(here, { rule: 'first-success' })
    expect(await settle(here.backend, 'r/0', token, [0], 'succeeded')).toEqual(['ok'])
    await here.backend.step({ holder: here.root, runId: 'r', retire: ['r/0'] })
    expect(await readyIn(here)).toBeGreaterThan(0)
    await sweptUntil('nothing is ready', here, async () => (await readyIn(here)) === 0)
  })

  it('closes what is below to the last, where a hash of that is large and half empty', async () => {
    const here = await scene()
    const { backend, root, redis, tag } = here
    await dispatch(backend, root, 'r/0')
    const [grant] = (await acquire(backend, 'w', 1)).grants
    await dispatch(backend, { gid: 'r/0', index: 0, token: grant?.token ?? '' }, 'r/0/0/0')
    await redis.hset(`${tag}:b:r/0:k`, stale(3_000, String))
    await backend.control({ kind: 'withdraw-group', holder: root, gid: 'r/0' })
    await sweptUntil('all is closed', here, async () => (await redis.exists(`${tag}:todo`, `${tag}:b:r/0:k`)) === 0)
    expect(await readyIn(here)).toBe(0)
  })

  it('keeps what a run has until all of it is closed, however short its retention', async () => {
    const here = await scene(0)
    await wideGroup(here)
    await here.backend.control({ kind: 'cancel-run', runId: 'r', reason: '', value: bytes('') })
    const { redis, tag } = here
    await sweptUntil('the run is gone', here, async () => (await redis.exists(`${tag}:r:r`)) === 0)
    expect(await readyIn(here)).toBe(0)
    expect(await redis.keys(`${tag}:[bq]:*`)).toEqual([])
  })

  it('writes down which branches a grant has, so that no other is looked at to reclaim it', async () => {
    const { backend, root, redis, tag } = await scene()
    await dispatch(backend, root, 'r/0', { size: 1_000 })
    const { grants } = await acquire(backend, 'w', 900)
    await settle(backend, 'r/0', grants[0]?.token ?? '', [5, 6, 7, 300], 'released')
    await acquire(backend, 'w', 6)
    expect(await redis.hget(`${tag}:b:r/0`, 't2')).toMatch(/^\S+ 5-7,300-300,900-901 /)
    await backend.session({ kind: 'close', session: 'w' })
    expect(await backend.inspect.groups('r')).toMatchObject([{ ready: 1_000, granted: 0 }])
  })

  it('comes back for what is behind groups that cannot be granted', async () => {
    const here = await scene()
    const { backend, root } = here
    for (let i = 0; i < MANY; i++) await dispatch(backend, root, `r/${i}`)
    await backend.control({ kind: 'pause-run', runId: 'r' })
    await dispatch(backend, await openRun(backend, 's'), 's/0')
    const first = await acquire(backend, 'w', 1)
    expect(first).toMatchObject({ grants: [], isMore: true })
    expect(await newsOf(here, 'w')).toEqual(['work'])
    expect((await acquire(backend, 'w', 1)).grants.map(({ spec }) => spec.gid)).toEqual(['s/0'])
  })

  it('finds what is deep enough behind any number of groups of higher priority that are not', async () => {
    const { backend, root } = await scene()
    await dispatch(backend, root, 'r/0', { depth: 2, priority: -3 })
    await dispatch(backend, root, 'r/1', { depth: 1, priority: -2 })
    const request = { session: 'w', nonce: newNonce(), queues: ['runs', 'default'], capabilities: [], max: 9 }
    await Promise.all(Array.from({ length: 530 }, (_, i) => backend.open(openRequest(`s${i}`))))
    const answer = await backend.acquire({ ...request, deeperThan: 1 })
    expect(answer).toMatchObject({ status: 'ok', isMore: false, grants: [{ spec: { gid: 'r/0' } }] })
  })

  it('wakes who can serve what came back, and nobody else', async () => {
    const here = await scene()
    const { backend, root } = here
    await join(backend, 'stranger')
    await dispatch(backend, root, 'r/0', { size: 2 })
    const { grants } = await acquire(backend, 'w', 2)
    await acquire(backend, 'stranger', 1, 'other')
    await join(backend, 'v')
    await acquire(backend, 'v', 1)
    await settle(backend, 'r/0', grants[0]?.token ?? '', [0], 'released')
    expect(await newsOf(here, 'stranger')).toEqual([])
    expect(await newsOf(here, 'v')).toEqual(['work'])
  })

  it('takes back to the last what a lost session held, where the hash of that is large and half empty', async () => {
    const here = await scene()
    const { backend, root, redis, tag } = here
    await join(backend, 'mortal', 900)
    await dispatch(backend, root, 'r/0', { size: 3 })
    await acquire(backend, 'mortal', 3)
    const others = stale(10_000, (i) => `gone#${i}`)
    await redis.hset(`${tag}:o:mortal`, others)
    await sweptUntil('nothing is held', here, async () => (await redis.exists(`${tag}:o:mortal`, `${tag}:lost`)) === 0)
    expect(await readyIn(here)).toBe(3)
  })

  it('releases all that a session holds that closes, a part with each call', async () => {
    const { backend, redis, tag } = await scene()
    const runs = Array.from({ length: WIDE }, (_, i) => `run-${i}`)
    for (const runId of runs) await openRun(backend, runId)
    const calls = async (): Promise<number> =>
      Number(/cmdstat_fcall:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1])
    const before = await calls()
    expect(await backend.session({ kind: 'close', session: 'd' })).toEqual({ status: 'ok' })
    expect((await calls()) - before).toBeGreaterThanOrEqual(WIDE / 96)
    const states = await Promise.all(runs.map(async (runId) => (await backend.inspect.run(runId))?.state))
    expect(new Set(states)).toEqual(new Set(['abandoned']))
    expect(await redis.exists(`${tag}:o:d`, `${tag}:wi:d`)).toBe(0)
    expect(await redis.zscore(`${tag}:w`, 'd')).toBeNull()
    expect(await backend.session({ kind: 'close', session: 'd' })).toEqual({ status: 'nosession' })
  })

  it('purges a bounded number of groups with each sweep, whatever number of runs they are of', async () => {
    const here = await scene()
    const { backend, redis, tag } = here
    const runs = ['x', 'y', 'z']
    for (const run of runs) {
      const holder = await openRun(backend, run, 0)
      await backend.step({ holder, runId: run, end: { state: 'completed', value: bytes('') } })
      await redis.rpush(`${tag}:r:${run}:k`, ...Array.from({ length: 150 }, (_, i) => `${run}/${i}`))
    }
    await redis.hdel(`${tag}:m`, 'sweepAt') // the next sweep is not too early
    await backend.sweep('d')
    const left = await Promise.all(runs.map((run) => redis.llen(`${tag}:r:${run}:k`)))
    // of 453 groups, 256 less a run that is begun, and one that is done
    expect(left.reduce((sum, count) => sum + count, 0)).toBe(453 - 254)
    await sweptUntil(
      'all are gone',
      here,
      async () => (await redis.exists(...runs.map((run) => `${tag}:r:${run}`))) === 0,
    )
  })

  it('leaves nothing of sessions that vanished together', async () => {
    const here = await scene()
    const { backend, redis, tag } = here
    const names = Array.from({ length: 5 }, (_, i) => `gone-${i}`)
    const subscriber = redis.duplicate({ enableReadyCheck: false })
    await Promise.all(names.map((name) => join(backend, name, 900)))
    await subscriber.subscribe(...names.map((name) => `${tag}:alive:${name}`))
    await sweptUntil('they were seen', here, async () => (await redis.hget(`${tag}:wi:gone-0`, 'alive')) === '1')
    subscriber.disconnect()
    await sweptUntil('they are gone', here, async () => (await redis.zcard(`${tag}:w`)) === 2)
    expect((await redis.keys(`${tag}:wi:*`)).sort()).toEqual([`${tag}:wi:d`, `${tag}:wi:w`])
  })

  it('FT-Q1: keeps sessions and ends runs where the plan of a sweep or a root cannot be read', async () => {
    const { backend, redis, tag } = await scene()
    await redis.hset(`${tag}:b:r`, 's', 'garbage')
    const asked = { kind: 'cancel-run', runId: 'r', reason: 'why', value: bytes('') } as const
    expect(await backend.control(asked)).toBe('ok')
    await redis.set(`${tag}:due`, 'garbage')
    const kept = backend.keepAlive('w', { ttlMs: 600, onLost: () => undefined })
    const firstAt = kept.lastRenewedAt
    await until(() => kept.lastRenewedAt > firstAt + 300, 'it was renewed twice')
    await kept.stop()
  })
})
