/** The registry of workers: who is there, who was lost and for how long, and what every process hears of that. */
import type { ClusterEvent, NodeStatus, TendAnswer } from '../../lib/backend/backend.js'
import { infoOf, SHORT_TTL_MS, type UseWorld, type World } from '../support/world.js'

const LONG_MS = 60_000
/** Longer than anything that a test does. */
const NEVER_MS = 3_600_000

interface Watched {
  readonly seen: ClusterEvent[]
  /** Resolves once so many events of this kind were seen. */
  seenOf(kind: ClusterEvent['kind'], count: number): Promise<readonly ClusterEvent[]>
}

function watched(world: World): Watched {
  const seen: ClusterEvent[] = []
  world.backend.watchCluster((event) => seen.push(event))
  const of = (kind: ClusterEvent['kind']): readonly ClusterEvent[] => seen.filter((event) => event.kind === kind)
  return {
    seen,
    seenOf: async (kind, count) => {
      await world.liveUntil(async () => of(kind).length >= count)
      return of(kind)
    },
  }
}

const nodeOf = async (world: World, workerId: string): Promise<NodeStatus | undefined> =>
  (await world.backend.inspect.nodes()).find(({ baseId }) => baseId === workerId)

/** A session `chief` that leads, and does its housekeeping with these times. */
async function chief(world: World): Promise<(staleAfterMs: number, deadAfterMs: number) => Promise<TendAnswer>> {
  await world.join('chief', { role: 'client', queues: [] })
  await world.backend.lead({ kind: 'stand', session: 'chief', ttlMs: LONG_MS })
  return (staleAfterMs, deadAfterMs) =>
    world.backend.tend({ kind: 'nodes', session: 'chief', term: 1, staleAfterMs, deadAfterMs })
}

/** A worker that is taken for dead. */
async function lose(world: World, workerId: string): Promise<void> {
  await world.join(workerId, { ttlMs: SHORT_TTL_MS, queues: [] })
  await world.liveUntil(async () =>
    (await world.backend.inspect.sessions()).every(({ session }) => session !== workerId),
  )
}

export function describeNodes(useWorld: UseWorld): void {
  it('have what workers say of themselves, and no clients', async () => {
    const world = await useWorld()
    await world.join('a', { metadata: { zone: 'eu-1' }, hostname: 'far', capabilities: ['gpu'] })
    const now = await world.backend.inspect.now()
    expect((await world.backend.inspect.nodes()).map(({ baseId }) => baseId).sort()).toEqual(['a', 'w'])
    const node = await nodeOf(world, 'a')
    expect(node).toMatchObject({ session: 'a', mark: 'live', state: '', metadata: { zone: 'eu-1' } })
    expect(node).toMatchObject({ hostname: 'far', capabilities: ['gpu'], tasks: ['task', 'drive'] })
    expect(Math.abs((node?.registeredAt ?? 0) - now)).toBeLessThan(30_000)
    expect(node?.seenAt).toBe(node?.registeredAt)
  })

  it('have what a worker says that it does, and when it said so', async () => {
    const world = await useWorld()
    const before = await nodeOf(world, 'w')
    await world.harness.advance(20)
    const beat = { kind: 'beat', session: 'w', state: 'busy' } as const
    expect(await world.backend.session(beat)).toEqual({ status: 'ok' })
    const after = await nodeOf(world, 'w')
    expect(after).toMatchObject({ state: 'busy', registeredAt: before?.registeredAt })
    expect(after?.seenAt).toBeGreaterThanOrEqual((before?.seenAt ?? 0) + 15)
    expect(await world.backend.session({ ...beat, session: 'driver' })).toEqual({ status: 'ok' })
    expect(await nodeOf(world, 'driver')).toBeUndefined()
    expect(await world.backend.session({ ...beat, session: 'nobody' })).toEqual({ status: 'nosession' })
  })

  it('forget a worker that leaves, of which all hear, once', async () => {
    const world = await useWorld()
    const { seenOf, seen } = watched(world)
    await world.join('a')
    const [registered] = await seenOf('worker:registered', 1)
    expect(registered).toEqual({ kind: 'worker:registered', session: 'a', info: infoOf('a'), isReturned: false })
    await world.join('a', { capabilities: ['gpu'] })
    await world.backend.session({ kind: 'close', session: 'a', reason: 'stopped' })
    await world.backend.session({ kind: 'close', session: 'a', reason: 'stopped' })
    const [left] = await seenOf('worker:deregistered', 1)
    expect(left).toEqual({ kind: 'worker:deregistered', session: 'a', workerId: 'a', reason: 'stopped' })
    expect(await nodeOf(world, 'a')).toBeUndefined()
    await world.join('c', { role: 'client' })
    await world.backend.session({ kind: 'close', session: 'c' })
    await world.join('last')
    await seenOf('worker:registered', 2)
    expect(seen).toHaveLength(3)
  })

  it('mark a lost worker as stale, then as dead, once each, of which all hear', async () => {
    const world = await useWorld()
    const { seenOf, seen } = watched(world)
    const tend = await chief(world)
    await lose(world, 'mortal')
    expect(await tend(NEVER_MS, NEVER_MS)).toEqual({ status: 'ok', count: 0 })
    expect(await nodeOf(world, 'mortal')).toMatchObject({ mark: 'live' })
    await world.live(100)
    expect(await tend(50, NEVER_MS)).toEqual({ status: 'ok', count: 1 })
    expect(await tend(50, NEVER_MS)).toEqual({ status: 'ok', count: 0 })
    const [stale] = await seenOf('worker:stale', 1)
    expect(stale).toMatchObject({ session: 'mortal', workerId: 'mortal', silentMs: expect.any(Number) })
    expect(await nodeOf(world, 'mortal')).toMatchObject({ mark: 'stale', hostname: 'host' })
    expect(await tend(50, 60)).toEqual({ status: 'ok', count: 1 })
    expect(await tend(50, 60)).toEqual({ status: 'ok', count: 0 })
    const [dead] = await seenOf('worker:deregistered', 1)
    expect(dead).toEqual({ kind: 'worker:deregistered', session: 'mortal', workerId: 'mortal', reason: 'dead' })
    expect(await nodeOf(world, 'mortal')).toMatchObject({ mark: 'dead' })
    expect(seen.filter(({ session }) => session === 'w')).toEqual([])
  })

  it('know a worker that returns, from what it was', async () => {
    const world = await useWorld()
    const { seenOf } = watched(world)
    const tend = await chief(world)
    await lose(world, 'mortal')
    await world.join('mortal')
    const again = await seenOf('worker:registered', 2)
    expect(again.map((event) => 'isReturned' in event && event.isReturned)).toEqual([false, true])
    expect(await tend(0, 0)).toEqual({ status: 'ok', count: 0 })
    expect(await nodeOf(world, 'mortal')).toMatchObject({ mark: 'live' })
    await lose(world, 'other')
    await tend(0, NEVER_MS)
    await world.join('other-2', { baseId: 'other' })
    const [, , , last] = await seenOf('worker:registered', 4)
    expect(last).toMatchObject({ session: 'other-2', isReturned: true })
    expect(await nodeOf(world, 'other')).toMatchObject({ session: 'other-2', mark: 'live' })
  })

  it('forget a lost worker when a person says so, and none that lives', async () => {
    const world = await useWorld()
    const { seenOf } = watched(world)
    await lose(world, 'mortal')
    expect(await nodeOf(world, 'mortal')).toMatchObject({ mark: 'live' })
    const forget = (workerId: string) => world.backend.session({ kind: 'forget', workerId })
    expect(await forget('mortal')).toEqual({ status: 'ok' })
    expect(await forget('mortal')).toEqual({ status: 'nosession' })
    expect(await forget('w')).toEqual({ status: 'nosession' })
    expect(await nodeOf(world, 'mortal')).toBeUndefined()
    expect(await nodeOf(world, 'w')).toMatchObject({ mark: 'live' })
    const [gone] = await seenOf('worker:deregistered', 1)
    expect(gone).toEqual({ kind: 'worker:deregistered', session: 'mortal', workerId: 'mortal', reason: 'forgotten' })
  })

  it('tell of a new leader', async () => {
    const world = await useWorld()
    const { seenOf } = watched(world)
    await world.backend.lead({ kind: 'stand', session: 'w', ttlMs: LONG_MS })
    await world.backend.lead({ kind: 'stand', session: 'w', ttlMs: LONG_MS })
    await world.backend.lead({ kind: 'resign', session: 'w' })
    await world.backend.lead({ kind: 'stand', session: 'driver', ttlMs: LONG_MS })
    expect(await seenOf('leader:changed', 2)).toEqual([
      { kind: 'leader:changed', session: 'w', leaderId: 'w', term: 1 },
      { kind: 'leader:changed', session: 'driver', leaderId: 'driver', term: 2 },
    ])
  })
}
