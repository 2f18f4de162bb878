/** Hints: who is told of work, releases and changes. A session that found too little is told once when there may be more. */
import type { RunActivity } from '../../lib/backend/backend.js'
import { bytes, SHORT_TTL_MS, type UseWorld, type World } from '../support/world.js'

const rings = async (world: World, session = 'w'): Promise<number> =>
  (await world.news(session)).filter(({ kind }) => kind === 'work').length

export function describeHints(useWorld: UseWorld): void {
  it('wakes a session that found too little when a group is dispatched, once', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    expect(await world.take(10)).toEqual([])
    expect(await rings(world)).toBe(0)
    await world.dispatch(holder, 'run/0')
    await world.dispatch(holder, 'run/1')
    expect(await rings(world)).toBe(1)
    await world.take(10)
    await world.dispatch(holder, 'run/2')
    expect(await rings(world)).toBe(1)
  })

  it('has told who watches of all that was done before, once caught up', async () => {
    const world = await useWorld()
    const { seen, stop } = world.watch('run')
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0')
    await world.backend.caughtUp('run')
    expect(seen).toContainEqual({ kind: 'group', gid: 'run/0' })
    stop()
    await world.backend.caughtUp('run')
    expect(await world.backend.announce('run', bytes('events'))).toBe(0)
  })

  it('wakes no session that is busy', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0')
    await world.takeOne(2)
    await world.dispatch(holder, 'run/1')
    expect(await rings(world)).toBe(0)
  })

  it.each([
    [50, 16],
    [5, 18],
  ])('wakes one for each branch, and of more than 16 as few as have room for 90 (%i each)', async (free, most) => {
    const world = await useWorld()
    const holder = await world.start('run')
    const workers = Array.from({ length: 24 }, (_, i) => `worker-${i}`)
    for (const session of workers) {
      await world.join(session)
      expect(await world.take(free, { session })).toEqual([])
    }
    const woken = async (): Promise<number> =>
      (await Promise.all(workers.map((session) => rings(world, session)))).reduce((sum, n) => sum + n, 0)
    await world.dispatch(holder, 'run/0', { size: 1 })
    expect(await woken()).toBe(1)
    await world.dispatch(holder, 'run/1', { size: 3 })
    expect(await woken()).toBe(3)
    await world.dispatch(holder, 'run/2', { size: 90 })
    expect(await woken()).toBe(most)
  })

  it('wakes nobody who cannot serve it', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.join('gpu')
    await world.join('deep')
    await world.take(10)
    await world.take(10, { session: 'gpu', capabilities: ['gpu'] })
    await world.take(10, { session: 'deep', deeperThan: 1 })
    await world.dispatch(holder, 'run/0', { requires: ['gpu'] })
    expect([await rings(world), await rings(world, 'gpu'), await rings(world, 'deep')]).toEqual([0, 1, 0])
    await world.dispatch(holder, 'run/1', { queue: 'other' })
    await world.dispatch(holder, 'run/2', { tasks: ['unknown'] })
    expect([await rings(world), await rings(world, 'deep')]).toEqual([0, 0])
    await world.dispatch(holder, 'run/3', { depth: 2, size: 100 })
    expect([await rings(world), await rings(world, 'deep')]).toEqual([1, 1])
  })

  it('wakes for a retry that is due', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { attempts: 2 })
    await world.settle(await world.takeOne(), 'retry', [0], { delaysMs: [200] })
    await world.take()
    await world.news('w')
    await world.live(300)
    expect(await rings(world)).toBe(1)
  })

  it('wakes for what comes back: released, lost, released', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 3 })
    const mine = await world.takeOne(1)
    await world.join('leaver')
    await world.takeOne(1, { session: 'leaver' })
    await world.join('mortal', { ttlMs: SHORT_TTL_MS })
    await world.takeOne(1, { session: 'mortal' })
    await world.take()
    await world.settle(mine, 'released')
    expect(await rings(world)).toBe(1)
    await world.take()
    await world.backend.session({ kind: 'close', session: 'leaver' })
    expect(await rings(world)).toBe(1)
    await world.take()
    await world.liveUntil(async () => (await world.queue())?.ready === 1)
    expect(await rings(world)).toBe(1)
  })

  it('wakes when room comes free under a limit', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { limit: 1 })
    const grant = await world.takeOne()
    await world.settle(grant, 'succeeded')
    expect(await rings(world)).toBe(1)
  })

  it('wakes when a paused run or queue is resumed', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.backend.control({ kind: 'pause-run', runId: 'run' })
    await world.dispatch(holder, 'run/0')
    await world.take()
    expect(await rings(world)).toBe(0)
    await world.backend.control({ kind: 'resume-run', runId: 'run' })
    expect(await rings(world)).toBe(1)
    await world.backend.control({ kind: 'pause-queue', queue: 'default' })
    await world.take()
    await world.backend.control({ kind: 'resume-queue', queue: 'default' })
    expect(await rings(world)).toBe(1)
  })

  it('wakes the others when the time of a preferred worker is over, or that worker is gone', async () => {
    const world = await useWorld({ affinityMs: 200 })
    const holder = await world.start('run')
    await world.join('preferred', { baseId: 'favourite' })
    await world.take()
    await world.dispatch(holder, 'run/0', { affinity: 'favourite' })
    expect(await rings(world)).toBe(0)
    await world.live(300)
    expect(await rings(world)).toBe(1)
    await world.take()
    await world.dispatch(holder, 'run/1', { affinity: 'favourite' })
    expect(await rings(world)).toBe(0)
    await world.backend.session({ kind: 'close', session: 'preferred' })
    expect(await rings(world)).toBe(1)
  })

  it('FT-W2: wakes another when the one that was woken is gone', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.join('mortal', { ttlMs: SHORT_TTL_MS })
    await world.take(100, { session: 'mortal' })
    await world.take(100)
    await world.dispatch(holder, 'run/0', { size: 1 })
    expect([await rings(world, 'mortal'), await rings(world)]).toEqual([1, 0])
    await world.liveUntil(async () =>
      (await world.backend.inspect.sessions()).every(({ session }) => session !== 'mortal'),
    )
    expect(await rings(world)).toBe(1)
  })

  it('wakes a waiting session that says it can serve more', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.take()
    await world.dispatch(holder, 'run/0', { tasks: ['rare'] })
    expect(await rings(world)).toBe(0)
    await world.join('w', { tasks: ['task', 'rare'] })
    expect(await rings(world)).toBe(1)
    expect(await world.take()).toHaveLength(1)
  })

  it('rings on past work that only the woken session could take', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.join('gpu')
    await world.take(50, { session: 'gpu', capabilities: ['gpu'] })
    await world.take(50)
    await world.dispatch(holder, 'run/0', { size: 1 })
    await world.dispatch(holder, 'run/1', { size: 10, requires: ['gpu'], priority: 1 })
    expect([await rings(world, 'gpu'), await rings(world)]).toEqual([1, 0])
    const taken = await world.take(2, { session: 'gpu', capabilities: ['gpu'] })
    expect(world.names(taken)).toEqual(['run/1#0', 'run/1#1'])
    expect(await rings(world)).toBe(1)
  })

  it('rings on when a woken session leaves work for others', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.join('v')
    await world.take(50)
    await world.take(50, { session: 'v' })
    await world.dispatch(holder, 'run/0', { size: 1 })
    expect([await rings(world), await rings(world, 'v')]).toEqual([1, 0])
    await world.take(50, { queues: ['other'] })
    expect([await rings(world), await rings(world, 'v')]).toEqual([0, 1])
  })

  it('tells a watcher of groups, settled branches and states of its run, until it stops', async () => {
    const world = await useWorld()
    const { seen, stop } = world.watch('run')
    const other = world.watch('other')
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 2 })
    const grant = await world.takeOne()
    await world.settle(grant, 'succeeded', [0])
    await world.settle(grant, 'succeeded', [1])
    await world.backend.control({ kind: 'pause-run', runId: 'run' })
    await world.harness.quiet()
    const count = (activity: RunActivity): number =>
      seen.filter(({ kind, gid }) => kind === activity.kind && gid === activity.gid).length
    expect(count({ kind: 'group', gid: 'run/0' })).toBeGreaterThanOrEqual(1)
    expect(count({ kind: 'settled', gid: 'run/0' })).toBe(2)
    expect(count({ kind: 'state', gid: 'run' })).toBe(2)
    stop()
    stop()
    const before = seen.length
    await world.step(holder, { end: { state: 'completed', value: bytes('x') } })
    await world.harness.quiet()
    expect(seen).toHaveLength(before)
    expect(other.seen).toEqual([])
  })

  it('tells every listener of a session until it stops', async () => {
    const world = await useWorld()
    const heard: string[] = []
    const stop = world.backend.listen('driver', ({ kind }) => heard.push(`first:${kind}`))
    world.backend.listen('driver', ({ kind }) => heard.push(`second:${kind}`))
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0')
    await world.dispatch(holder, 'run/1')
    await world.backend.control({ kind: 'withdraw-group', holder, gid: 'run/0' })
    await world.harness.quiet()
    expect(heard.sort()).toEqual(['first:released', 'second:released'])
    stop()
    await world.backend.control({ kind: 'withdraw-group', holder, gid: 'run/1' })
    await world.harness.quiet()
    expect(heard).toHaveLength(3)
  })

  it('never calls a listener from inside an operation', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.take()
    let isInside = false
    let wasInside = false
    world.backend.listen('w', () => {
      wasInside ||= isInside
    })
    isInside = true
    const step = world.dispatch(holder, 'run/0')
    isInside = false
    await step
    expect(await rings(world)).toBe(1)
    expect(wasInside).toBe(false)
  })
}
