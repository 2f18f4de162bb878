/** The barrier: counts the final outcomes of a group’s branches and releases once, with one outcome for each. */
import type { Notice } from '../../lib/backend/backend.js'
import { packed, texts, type UseWorld, type World } from '../support/world.js'

const releases = async (world: World, session = 'driver'): Promise<string[]> =>
  (await world.news(session)).flatMap((notice: Notice) => (notice.kind === 'released' ? [notice.gid] : []))

export function describeRelease(useWorld: UseWorld): void {
  it('X2: releases once when all are final, and tells the holder once', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0')
    const grant = await world.takeOne()
    await world.settle(grant, 'succeeded', [2])
    await world.settle(grant, 'failed', [0])
    expect(await world.state('run/0')).toBe('open')
    expect(await releases(world)).toEqual([])
    await world.settle(grant, 'succeeded', [1])
    expect(await world.state('run/0')).toBe('released')
    expect(await world.outcomes('run/0')).toEqual(['failed:e0', 'succeeded:v1', 'succeeded:v2'])
    for (const index of [0, 1, 2]) await world.settle(grant, 'succeeded', [index])
    await world.live(200)
    expect(await releases(world)).toEqual(['run/0'])
  })

  it('releases a group that is told to wait only when its last branch is final, though others failed', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { rule: 'all' })
    const grant = await world.takeOne()
    await world.settle(grant, 'failed', [0, 1])
    expect(await world.state('run/0')).toBe('open')
    await world.settle(grant, 'succeeded', [2])
    expect(await world.state('run/0')).toBe('released')
  })

  it('J1: releases at the first failure; the others are cancelled where they were started, else skipped', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 5, rule: 'first-failure' })
    const grant = await world.takeOne(3)
    await world.settle(grant, 'succeeded', [0])
    expect(await world.state('run/0')).toBe('open')
    await world.settle(grant, 'failed', [2])
    expect(await world.state('run/0')).toBe('released')
    expect(await world.outcomes('run/0')).toEqual(['succeeded:v0', 'cancelled', 'failed:e2', 'skipped', 'skipped'])
    expect(await world.take()).toEqual([])
    expect(await world.queue()).toEqual({ ready: 0, delayed: 0, granted: 0 })
    expect(await releases(world)).toEqual(['run/0'])
  })

  it('does not take a retry for a failure', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { rule: 'first-failure', attempts: 2 })
    await world.settle(await world.takeOne(), 'retry', [1])
    expect(await world.state('run/0')).toBe('open')
  })

  it('J6: releases at the first success; the others are withdrawn', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { rule: 'first-success' })
    const grant = await world.takeOne(2)
    await world.settle(grant, 'failed', [0])
    expect(await world.state('run/0')).toBe('open')
    await world.settle(grant, 'succeeded', [1])
    expect(await world.outcomes('run/0')).toEqual(['failed:e0', 'succeeded:v1', 'skipped'])
    expect(await world.state('run/0')).toBe('released')
  })

  it('releases at the last failure where none succeeded', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { rule: 'first-success' })
    await world.settle(await world.takeOne(), 'failed')
    expect(await world.state('run/0')).toBe('released')
    expect(await world.outcomes('run/0')).toEqual(['failed:e0', 'failed:e1', 'failed:e2'])
  })

  it('counts a released start as none, and an error or a loss as one', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 4, attempts: 3, rule: 'first-failure' })
    await world.takeAndVanish(1)
    const grant = await world.takeOne()
    await world.settle(grant, 'released', [0, 1])
    await world.settle(grant, 'retry', [2], { delaysMs: [60_000] })
    await world.settle(grant, 'failed', [3])
    expect(await world.outcomes('run/0')).toEqual(['cancelled', 'skipped', 'cancelled', 'failed:e3'])
  })

  it('releases a group that is not filled yet when its rule says so', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    const spec = world.spec('run/0', { size: 4, rule: 'first-failure' })
    const part = (from: number) => ({ group: { spec, from, inputs: packed('a', 'b') } })
    await world.step(holder, part(0))
    await world.settle(await world.takeOne(), 'failed', [1])
    expect(await world.step(holder, part(2))).toEqual({ status: 'done' })
    expect(await world.outcomes('run/0')).toEqual(['cancelled', 'failed:e1', 'skipped', 'skipped'])
  })

  it('tells those who hold branches of a released group that they are not wanted', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.join('v')
    await world.dispatch(holder, 'run/0', { size: 4, rule: 'first-failure' })
    const mine = await world.takeOne(2)
    const theirs = await world.takeOne(1, { session: 'v' })
    await world.news('v')
    await world.settle(mine, 'failed', [0])
    expect(await world.news('v')).toEqual([{ kind: 'withdrawn', gid: 'run/0', reason: expect.any(String) }])
    expect(await world.news('w')).toContainEqual({ kind: 'withdrawn', gid: 'run/0', reason: expect.any(String) })
    expect(await world.settle(theirs, 'succeeded')).toBe('withdrawn')
    expect(await world.backend.inspect.sessions()).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ session: 'v', branches: 0 }),
        expect.objectContaining({ session: 'w', branches: 0 }),
      ]),
    )
  })

  it('withdraws what is open below a branch when that is final', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 2 })
    const outer = await world.takeOne()
    await world.dispatch({ gid: 'run/0', index: 0, token: outer.token }, 'run/0/0', { depth: 2 })
    await world.dispatch({ gid: 'run/0', index: 1, token: outer.token }, 'run/0/1', { depth: 2 })
    const inner = await world.takeOne(1)
    await world.dispatch({ gid: 'run/0/0', index: 0, token: inner.token }, 'run/0/0/0', { depth: 3 })
    await world.settle(outer, 'succeeded', [0])
    expect(await world.state('run/0/0')).toBe('withdrawn')
    expect(await world.state('run/0/0/0')).toBe('withdrawn')
    expect(await world.state('run/0/1')).toBe('open')
    expect(await world.outcomes('run/0/0')).toEqual(['cancelled', 'skipped', 'skipped'])
    expect(await world.settle(inner, 'succeeded')).toBe('withdrawn')
  })

  it('withdraws all that is below a group when that is released', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 2, rule: 'first-failure' })
    const outer = await world.takeOne()
    await world.dispatch({ gid: 'run/0', index: 0, token: outer.token }, 'run/0/0', { depth: 2 })
    await world.settle(outer, 'failed', [1])
    expect(await world.outcomes('run/0')).toEqual(['cancelled', 'failed:e1'])
    expect(await world.state('run/0/0')).toBe('withdrawn')
    expect(await world.take()).toEqual([])
    expect(await world.queue()).toEqual({ ready: 0, delayed: 0, granted: 0 })
  })

  it('drops retries that wait in a group when it is released', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 2, rule: 'first-success', attempts: 5 })
    const grant = await world.takeOne()
    await world.settle(grant, 'retry', [0], { delaysMs: [100] })
    await world.settle(grant, 'succeeded', [1])
    await world.live(200)
    expect(await world.take()).toEqual([])
    expect(await world.outcomes('run/0')).toEqual(['cancelled', 'succeeded:v1'])
  })

  it('reads outcomes as they arrive, from where the reader was', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { rule: 'first-failure' })
    const grant = await world.takeOne(2)
    const empty = await world.backend.inspect.outcomes('run/0', 0)
    expect(empty).toMatchObject({ state: 'open', size: 3, chunks: [], withdrawn: undefined })
    await world.settle(grant, 'succeeded', [1])
    const first = await world.backend.inspect.outcomes('run/0', empty?.next ?? 0)
    expect(first).toMatchObject({
      state: 'open',
      chunks: [{ indexes: Uint32Array.of(1), kinds: ['succeeded'] }],
      withdrawn: undefined,
    })
    const after = first?.next ?? 0
    expect(await world.backend.inspect.outcomes('run/0', after)).toEqual({ ...first, chunks: [], next: after })
    await world.settle(grant, 'failed', [0])
    const last = await world.backend.inspect.outcomes('run/0', after)
    expect(last).toMatchObject({
      state: 'released',
      chunks: [{ kinds: ['failed'] }],
      withdrawn: { indexes: Uint32Array.of(2), kinds: ['skipped'] },
    })
    expect(last?.chunks.flatMap(({ values }) => texts(values))).toEqual(['e0'])
    const end = await world.backend.inspect.outcomes('run/0', last?.next ?? 0)
    expect(end).toMatchObject({ state: 'released', chunks: [], withdrawn: { kinds: ['skipped'] } })
  })

  it('says that there is no such group', async () => {
    const world = await useWorld()
    expect(await world.backend.inspect.outcomes('run/0', 0)).toBeUndefined()
  })

  it('tells the holder of the branch that waits, whoever that is by then', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 1 })
    await world.join('v')
    const first = await world.takeOne(1)
    await world.dispatch({ gid: 'run/0', index: 0, token: first.token }, 'run/0/0', {
      size: 1,
      depth: 2,
      queue: 'inner',
    })
    await world.settle(first, 'released')
    await world.takeOne(1, { session: 'v' })
    await world.news('w')
    await world.settle(await world.takeOne(1, { queues: ['inner'] }), 'succeeded')
    expect(await releases(world, 'v')).toEqual(['run/0/0'])
    expect(await releases(world, 'w')).toEqual([])
  })

  it('releases each of many groups with as many outcomes as branches', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    const sizes = [1, 2, 7, 64, 300]
    for (const size of sizes) await world.dispatch(holder, `run/${size}`, { size })
    for (let grants = await world.take(50); grants.length > 0; grants = await world.take(50)) {
      for (const grant of grants) await world.settle(grant, 'succeeded')
    }
    for (const size of sizes) {
      expect(await world.outcomes(`run/${size}`)).toEqual(Array.from({ length: size }, (_, i) => `succeeded:v${i}`))
    }
    expect((await releases(world)).sort()).toEqual(sizes.map((size) => `run/${size}`).sort())
  })
}
