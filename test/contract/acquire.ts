/** Acquiring: who is granted what, in which order, and under which token. */
import type { Grant } from '../../lib/backend/backend.js'
import { itemCount } from '../../lib/values/packed-items.js'
import { bytes, packed, texts, type UseWorld } from '../support/world.js'

export function describeAcquire(useWorld: UseWorld): void {
  it('grants a range of branches with their inputs under one token', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    const spec = await world.dispatch(holder, 'run/0')
    const grant = await world.takeOne(2)
    expect(grant).toMatchObject({
      spec,
      indexes: Uint32Array.of(0, 1),
      errors: Uint8Array.of(0, 0),
      losses: Uint8Array.of(0, 0),
    })
    expect(texts(grant.inputs)).toEqual(['i0', 'i1'])
    expect(grant.token.startsWith(`${grant.fence}.`)).toBe(true)
    const rest = await world.takeOne()
    expect([...rest.indexes]).toEqual([2])
    expect(texts(rest.inputs)).toEqual(['i2'])
  })

  it('gives each call and group a token of its own, with a growing fence', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0')
    await world.dispatch(holder, 'run/1')
    const grants = [...(await world.take(2)), ...(await world.take(2)), ...(await world.take(2))]
    const fences = grants.map(({ fence }) => fence)
    expect(grants.length).toBeGreaterThan(2)
    expect(fences).toEqual([...new Set(fences)].sort((a, b) => a - b))
    expect(new Set(grants.map(({ token }) => token)).size).toBe(grants.length)
  })

  it('X9: grants 100 branches to one slot in dispatch order', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 60 })
    await world.dispatch(holder, 'run/1', { size: 40 })
    const order: string[] = []
    for (let i = 0; i < 100; i++) {
      const grant = await world.takeOne(1)
      order.push(...world.names([grant]), ...texts(grant.inputs))
      await world.settle(grant, 'succeeded')
    }
    const of = (gid: string, size: number): string[] =>
      Array.from({ length: size }, (_, i) => [`${gid}#${i}`, `i${i}`]).flat()
    expect(order).toEqual([...of('run/0', 60), ...of('run/1', 40)])
    expect(await world.take()).toEqual([])
  })

  it('grants higher priority first, then deeper groups, then earlier ones, over all queues asked', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    const one = { size: 1 }
    await world.dispatch(holder, 'run/a', { ...one })
    await world.dispatch(holder, 'run/b', { ...one, queue: 'other', priority: -1, depth: 9 })
    await world.dispatch(holder, 'run/c', { ...one, depth: 2 })
    await world.dispatch(holder, 'run/d', { ...one, queue: 'other', priority: 100 })
    await world.dispatch(holder, 'run/e', { ...one, tasks: ['drive'] })
    await world.dispatch(holder, 'run/f', { ...one, queue: 'other', depth: 2 })
    const grants = await world.take(100, { queues: ['default', 'other'] })
    expect(grants.map(({ spec }) => spec.gid)).toEqual(['run/d', 'run/c', 'run/f', 'run/a', 'run/e', 'run/b'])
  })

  it('grants nothing of a queue that was not asked for', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { queue: 'gpu' })
    expect(await world.take(100, { queues: ['default', 'nowhere'] })).toEqual([])
    expect(await world.take(100, { queues: ['gpu', 'gpu'] })).toHaveLength(1)
  })

  it('grants of every queue to a session that serves all', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 1, queue: 'one' })
    await world.dispatch(holder, 'run/1', { size: 1, queue: 'two', priority: 1, attempts: 2 })
    const grants = await world.take(100, { queues: 'all' })
    expect(world.names(grants)).toEqual(['run/1#0', 'run/0#0'])
    for (const grant of grants)
      if (grant.spec.gid === 'run/1') await world.settle(grant, 'retry', [0], { delaysMs: [200] })
    const answer = await world.backend.acquire(world.acquireRequest({ queues: 'all' }))
    expect(answer).toMatchObject({ grants: [], isMore: false, nextDueMs: expect.any(Number) })
    await world.dispatch(holder, 'run/2', { size: 1, queue: 'three' })
    expect(await world.news('w')).toEqual([{ kind: 'work' }])
  })

  it('X20: grants only what the capabilities and the known tasks serve', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/gpu', { size: 1, requires: ['gpu'] })
    await world.dispatch(holder, 'run/both', { size: 1, requires: ['gpu', 'ssd'] })
    await world.dispatch(holder, 'run/rare', { size: 1, tasks: ['task', 'rare'] })
    await world.dispatch(holder, 'run/plain', { size: 1 })
    await world.join('expert', { tasks: ['rare', 'task'] })
    await world.join('all', { tasks: 'all' })
    expect(world.names(await world.take(9, { capabilities: ['ssd'] }))).toEqual(['run/plain#0'])
    expect(world.names(await world.take(9, { capabilities: ['gpu'] }))).toEqual(['run/gpu#0'])
    expect(world.names(await world.take(9, { session: 'expert' }))).toEqual(['run/rare#0'])
    expect(world.names(await world.take(9, { session: 'all', capabilities: 'all' }))).toEqual(['run/both#0'])
  })

  it('grants only deeper groups to a worker that has room for nothing else', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    for (const depth of [1, 2, 3]) await world.dispatch(holder, `run/${depth}`, { size: 1, depth })
    expect(world.names(await world.take(9, { deeperThan: 1 }))).toEqual(['run/3#0', 'run/2#0'])
    expect(world.names(await world.take(9, { deeperThan: 1 }))).toEqual([])
    expect(world.names(await world.take(9, { deeperThan: 0 }))).toEqual(['run/1#0'])
  })

  it('FT-W3: answers a repeated call with the same grants, as far as they are held', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 4 })
    await world.dispatch(holder, 'run/1', { size: 1 })
    const request = world.acquireRequest({ max: 3 })
    const first = await world.backend.acquire(request)
    const again = await world.backend.acquire(request)
    if (first.status !== 'ok' || again.status !== 'ok') throw new Error('expected grants')
    // How long the branches waited is told once; and the second time they have been granted before.
    const lasting = (grants: readonly Grant[]): unknown => grants.map(({ waitedMs: _, isAgain: __, ...rest }) => rest)
    expect({ ...again, grants: lasting(again.grants) }).toEqual({ ...first, grants: lasting(first.grants) })
    if (first.grants[0] === undefined) throw new Error('expected grants')
    await world.settle(first.grants[0], 'succeeded', [1])
    const repeated = await world.backend.acquire(request)
    expect(repeated).toMatchObject({
      status: 'ok',
      isMore: true,
      grants: [{ token: first.grants[0].token, indexes: Uint32Array.of(0, 2) }],
    })
    await world.settle(first.grants[0], 'succeeded', [0, 2])
    expect(await world.backend.acquire(request)).toMatchObject({ status: 'ok', grants: [] })
    expect(world.names(await world.take())).toEqual(['run/0#3', 'run/1#0'])
  })

  it('says whether there is more', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0')
    expect(await world.backend.acquire(world.acquireRequest({ max: 2 }))).toMatchObject({
      isMore: true,
      nextDueMs: undefined,
    })
    expect(await world.backend.acquire(world.acquireRequest({ max: 1 }))).toMatchObject({ isMore: false })
    expect(await world.backend.acquire(world.acquireRequest({ max: 1 }))).toEqual({
      status: 'ok',
      grants: [],
      isMore: false,
      nextDueMs: undefined,
    })
  })

  it('keeps no more branches of a group in flight than its limit, and goes on when one ends', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 5, limit: 2 })
    const answer = await world.backend.acquire(world.acquireRequest())
    if (answer.status !== 'ok' || answer.grants[0] === undefined) throw new Error('expected grants')
    const [first] = answer.grants
    expect([...first.indexes]).toEqual([0, 1])
    expect(answer.isMore).toBe(false)
    expect(await world.take()).toEqual([])
    await world.settle(first, 'succeeded', [1])
    expect(world.names(await world.take())).toEqual(['run/0#2'])
    await world.settle(first, 'released', [0])
    expect(world.names(await world.take())).toEqual(['run/0#0'])
    expect(await world.take()).toEqual([])
  })

  it('R1, R3: grants a retry when it is due and not before, with its errors counted', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { attempts: 3 })
    const grant = await world.takeOne()
    await world.settle(grant, 'retry', [1], { delaysMs: [200] })
    const early = await world.backend.acquire(world.acquireRequest())
    if (early.status !== 'ok') throw new Error('expected an answer')
    expect(early.grants).toEqual([])
    expect(early.nextDueMs).toBeGreaterThan(100)
    expect(early.nextDueMs).toBeLessThanOrEqual(200)
    expect(await world.queue()).toEqual({ ready: 0, delayed: 1, granted: 2 })
    await world.harness.advance(220)
    const retry = await world.takeOne()
    expect(retry).toMatchObject({ indexes: Uint32Array.of(1), errors: Uint8Array.of(1), losses: Uint8Array.of(0) })
    expect(texts(retry.inputs)).toEqual(['i1'])
  })

  it('R6: grants branches that came back before fresh ones, each with its own input', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 6, attempts: 2 })
    const grant = await world.takeOne(4)
    await world.settleRange(world.range(grant, 'succeeded', [1]))
    await world.settleRange(world.range(grant, 'released', [3]))
    await world.settleRange(world.range(grant, 'retry', [0]))
    const next = await world.takeOne()
    expect(next).toMatchObject({ indexes: Uint32Array.of(3, 0, 4, 5), errors: Uint8Array.of(0, 1, 0, 0) })
    expect(texts(next.inputs)).toEqual(['i3', 'i0', 'i4', 'i5'])
    expect(next.token).not.toBe(grant.token)
  })

  it('reserves a group for its preferred worker while that lives, for a time', async () => {
    const world = await useWorld({ affinityMs: 300 })
    const holder = await world.start('run')
    await world.join('preferred', { baseId: 'favourite' })
    const facts = { size: 2, affinity: 'favourite' }
    await world.dispatch(holder, 'run/0', facts)
    expect(await world.take()).toEqual([])
    const mine = await world.takeOne(1, { session: 'preferred' })
    expect(world.names([mine])).toEqual(['run/0#0'])
    expect(await world.take()).toEqual([])
    await world.live(400)
    expect(world.names(await world.take())).toEqual(['run/0#1'])
    await world.settle(mine, 'succeeded')
    await world.dispatch(holder, 'run/1', facts)
    await world.backend.session({ kind: 'close', session: 'preferred' })
    expect(world.names(await world.take(1))).toEqual(['run/1#0'])
    await world.dispatch(holder, 'run/2', { size: 1, affinity: 'nobody', priority: 1 })
    expect(world.names(await world.take(1))).toEqual(['run/2#0'])
  })

  it('keeps within the bytes of one call, but always grants one branch', async () => {
    const world = await useWorld({ bytesPerCall: 10 })
    const holder = await world.start('run')
    const spec = world.spec('run/0', { size: 4 })
    await world.step(holder, { group: { spec, from: 0, inputs: packed('aaaa', 'bbbb') } })
    await world.step(holder, { group: { spec, from: 2, inputs: packed('twelve bytes') } })
    await world.step(holder, { group: { spec, from: 3, inputs: packed('dddd') } })
    const taken: string[][] = []
    for (let i = 0; i < 3; i++) {
      const answer = await world.backend.acquire(world.acquireRequest())
      if (answer.status !== 'ok') throw new Error('expected an answer')
      expect(answer.isMore).toBe(i < 2)
      taken.push(answer.grants.flatMap(({ inputs }) => texts(inputs)))
    }
    expect(taken).toEqual([['aaaa', 'bbbb'], ['twelve bytes'], ['dddd']])
  })

  it('keeps within the bytes of one call over several groups and over branches that came back', async () => {
    const world = await useWorld({ bytesPerCall: 10 })
    const holder = await world.start('run')
    for (const gid of ['run/0', 'run/1']) {
      await world.step(holder, {
        group: { spec: world.spec(gid, { size: 2 }), from: 0, inputs: packed('aaaa', 'bbbb') },
      })
    }
    expect(world.names(await world.take())).toEqual(['run/0#0', 'run/0#1'])
    const grant = await world.takeOne()
    await world.settle(grant, 'released')
    await world.step(holder, { group: { spec: world.spec('run/2', { size: 1 }), from: 0, inputs: packed('aaaa') } })
    expect(world.names(await world.take())).toEqual(['run/1#0', 'run/1#1'])
    expect(world.names(await world.take())).toEqual(['run/2#0'])
  })

  it('grants no more than the items of one call', async () => {
    const world = await useWorld({ itemsPerCall: 2 })
    const holder = await world.start('run')
    const spec = world.spec('run/0', { size: 4 })
    await world.step(holder, { group: { spec, from: 0, inputs: packed('a', 'b') } })
    await world.step(holder, { group: { spec, from: 2, inputs: packed('c', 'd') } })
    expect(itemCount((await world.takeOne(100)).inputs)).toBe(2)
    expect(itemCount((await world.takeOne(100)).inputs)).toBe(2)
  })

  it('grants over the borders of the parts in which a group was filled', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    const spec = world.spec('run/0', { size: 7 })
    const parts = [packed('a', 'b', 'c'), packed('d'), packed('e', 'f', 'g')]
    let from = 0
    for (const inputs of parts) {
      await world.step(holder, { group: { spec, from, inputs } })
      from += itemCount(inputs)
    }
    const taken = [await world.takeOne(2), await world.takeOne(3), await world.takeOne(9)]
    expect(taken.map(({ inputs }) => texts(inputs))).toEqual([
      ['a', 'b'],
      ['c', 'd', 'e'],
      ['f', 'g'],
    ])
  })

  it('FT-W17: grants what was lost before only as far as it can start at once', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 6 })
    await world.takeAndVanish(3)
    const ask = (startable: number) => world.backend.acquire(world.acquireRequest({ max: 4, startable }))
    expect(await ask(0)).toMatchObject({ grants: [], isMore: true })
    const first = await ask(1)
    expect(first).toMatchObject({ grants: [{ losses: Uint8Array.of(1) }], isMore: true })
    expect(await ask(0)).toMatchObject({ grants: [], isMore: true })
    const rest = await ask(2)
    expect(rest).toMatchObject({ grants: [{ losses: Uint8Array.of(1, 1, 0, 0) }] })
    expect(world.names(await world.take())).toEqual(['run/0#5'])
  })

  it.each([
    ['a timeout', { timeoutMs: 4_999 }, ['task'], true],
    ['a timeout, and the task is not quick', { timeoutMs: 60_000 }, [], true],
    ['an ample timeout, and the task is quick', { timeoutMs: 5_000 }, ['task'], false],
    ['no loss is allowed', { maxLosses: 0 }, ['task'], true],
    ['neither', {}, [], false],
  ])('grants to wait only where branches may: %s', async (_, facts, quick, isToStart) => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 3, ...facts })
    const ask = (startable: number) => world.backend.acquire(world.acquireRequest({ max: 3, startable, quick }))
    if (isToStart) {
      expect(await ask(0)).toMatchObject({ grants: [], isMore: true })
      expect(await ask(1)).toMatchObject({ grants: [{ indexes: Uint32Array.of(0) }], isMore: true })
      expect(await ask(3)).toMatchObject({ grants: [{ indexes: Uint32Array.of(1, 2) }], isMore: false })
    } else {
      expect(await ask(0)).toMatchObject({ grants: [{ indexes: Uint32Array.of(0, 1, 2) }], isMore: false })
    }
  })

  it('grants no more submitted runs than can start at once, and other work besides', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    for (const runId of ['a', 'b', 'c']) await world.backend.open(world.openRequest(runId))
    const queues = ['default', 'runs']
    const ask = (startable: number) => world.backend.acquire(world.acquireRequest({ max: 4, startable, queues }))
    expect(await ask(0)).toMatchObject({ grants: [], isMore: true })
    const first = await ask(1)
    expect(first).toMatchObject({ grants: [{ spec: { runId: 'a' } }], isMore: true })
    await world.dispatch(holder, 'run/0', { size: 3 })
    const second = await ask(2) // a run comes after what is deeper
    expect(second).toMatchObject({ grants: [{ spec: { gid: 'run/0' } }], isMore: true })
    expect(await ask(4)).toMatchObject({ grants: [{ spec: { runId: 'b' } }, { spec: { runId: 'c' } }], isMore: false })
  })

  it('grants the run with its input again after its driver released it', async () => {
    const world = await useWorld()
    await world.backend.open(world.openRequest('run', { input: bytes('the input') }))
    const first = await world.takeOne(1, { queues: ['runs'] })
    await world.settle(first, 'released')
    const second = await world.takeOne(1, { queues: ['runs'] })
    expect(texts(second.inputs)).toEqual(['the input'])
    expect([first.isAgain, second.isAgain]).toEqual([undefined, true])
  })

  it.each([
    ['retry', false, true],
    ['retry', true, true],
    ['released', false, undefined],
    ['released', true, true],
  ] as const)('says whether branches may have saved something before: %s, %s', async (kind, hasSaved, isAgain) => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 2, attempts: 2 })
    const first = await world.takeOne(2)
    const save = { paths: ['0/0/a'], values: packed('done') }
    await world.settleRange({ ...world.range(first, kind, [0]), ...(hasSaved && { save }) })
    await world.settle(first, 'succeeded', [1])
    const again = await world.takeOne(2)
    expect([first.isAgain, again.isAgain]).toEqual([undefined, isAgain])
    await world.settle(again, 'released')
    expect((await world.takeOne(2)).isAgain).toBe(isAgain)
    expect([...again.indexes]).toEqual([0])
  })

  it('says that branches of a lost session may have saved something', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 1 })
    await world.takeAndVanish(1)
    expect((await world.takeOne()).isAgain).toBe(true)
  })

  it('asks for a session that is there', async () => {
    const world = await useWorld()
    expect(await world.backend.acquire(world.acquireRequest({ session: 'nobody' }))).toEqual({ status: 'nosession' })
  })
}
