/** Settling: the token alone decides what counts, branch by branch, once. */
import { pack } from '../../lib/values/packed-items.js'
import { bytes, packed, texts, type UseWorld, type World } from '../support/world.js'

/** The branch after it was taken from its first holder: the old grant, and the new one. */
const retaken = async (world: World) => {
  const old = await world.takeAndVanish(1)
  return { old, current: await world.takeOne(1) }
}

export function describeSettle(useWorld: UseWorld): void {
  it('counts outcomes with their values', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0')
    const grant = await world.takeOne()
    const range = world.range(grant, 'succeeded', [2, 0, 1], {
      kinds: ['succeeded', 'failed', 'succeeded'],
      values: packed('c', 'bad', 'b'),
    })
    expect(await world.settleRange(range)).toBe('ok')
    expect(await world.outcomes('run/0')).toEqual(['failed:bad', 'succeeded:b', 'succeeded:c'])
    expect(await world.queue()).toEqual({ ready: 0, delayed: 0, granted: 0 })
  })

  it.each([[[0, 1, 2]], [[2, 0, 1]]] as const)('counts a branch that is dead, with its error: %j', async (indexes) => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0')
    const grant = await world.takeOne()
    const range = world.range(grant, 'succeeded', indexes, {
      kinds: ['succeeded', 'dead', 'failed'],
      values: packed('a', 'lost', 'bad'),
    })
    expect(await world.settleRange(range)).toBe('ok')
    expect([...(await world.outcomes('run/0'))].sort()).toEqual(['dead:lost', 'failed:bad', 'succeeded:a'])
    const [group] = await world.backend.inspect.groups('run')
    expect(group).toMatchObject({ state: 'released', succeeded: 1, failed: 1, dead: 1 })
    const letters = await world.backend.inspect.deadLetters(10)
    expect(letters.map(({ kind }) => kind).sort()).toEqual(['dead', 'failed'])
  })

  it('takes a grant’s own indexes as they are', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0')
    const grant = await world.takeOne()
    expect(await world.settleRange({ ...world.range(grant, 'succeeded'), indexes: grant.indexes })).toBe('ok')
    expect(await world.outcomes('run/0')).toEqual(['succeeded:v0', 'succeeded:v1', 'succeeded:v2'])
  })

  it('answers every range of a call, in order', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0')
    await world.dispatch(holder, 'run/1')
    const [first, second] = await world.take()
    if (first === undefined || second === undefined) throw new Error('expected two grants')
    const ranges = [
      world.range(second, 'succeeded', [0]),
      { ...world.range(first, 'succeeded'), gid: 'nowhere' },
      world.range(first, 'succeeded'),
      world.range(second, 'succeeded', [0]),
      { ...world.range(second, 'succeeded', [1]), token: first.token },
    ]
    expect(await world.backend.settle({ session: 'w', ranges })).toEqual(['ok', 'gone', 'ok', 'dup', 'fenced'])
    expect(await world.outcomes('run/0')).toEqual(['succeeded:v0', 'succeeded:v1', 'succeeded:v2'])
    expect(await world.outcomes('run/1')).toEqual(['succeeded:v0'])
  })

  it('X7, FT-W15: counts a duplicate once', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0')
    const grant = await world.takeOne()
    expect(await world.settle(grant, 'succeeded', [0])).toBe('ok')
    expect(await world.settleRange(world.range(grant, 'failed', [0]))).toBe('dup')
    expect(await world.settle(grant, 'succeeded', [1, 2])).toBe('ok')
    expect(await world.settle(grant, 'succeeded', [0, 1, 2])).toBe('dup')
    expect(await world.outcomes('run/0')).toEqual(['succeeded:v0', 'succeeded:v1', 'succeeded:v2'])
  })

  it.each(['succeeded', 'failed', 'dead', 'released', 'retry'] as const)(
    'answers dup when a range that %s is repeated',
    async (kind) => {
      const world = await useWorld()
      const holder = await world.start('run')
      await world.dispatch(holder, 'run/0', { attempts: 5 })
      const grant = await world.takeOne()
      const range = world.range(grant, kind, [0, 1], kind === 'retry' ? { delaysMs: [0, 60_000] } : {})
      expect(await world.settleRange(range)).toBe('ok')
      const queue = await world.queue()
      expect(await world.settleRange(range)).toBe('dup')
      expect(await world.queue()).toEqual(queue)
    },
  )

  it('counts a branch named twice in one range once', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0')
    const grant = await world.takeOne()
    const range = world.range(grant, 'succeeded', [0, 1, 0], { values: packed('first', 'b', 'second') })
    expect(await world.settleRange(range)).toBe('ok')
    expect(await world.outcomes('run/0')).toEqual(['succeeded:first', 'succeeded:b'])
    expect(await world.state('run/0')).toBe('open')
  })

  it('counts what it can of a mixed range', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 6, attempts: 2 })
    const mine = await world.takeOne(4)
    const other = await world.takeOne(1)
    await world.settle(mine, 'succeeded', [1])
    const range = world.range(mine, 'succeeded', [0, 1, 4, 2, 3, 99], {
      kinds: ['succeeded', 'succeeded', 'succeeded', 'retry', 'released', 'succeeded'],
      values: packed('a', 'again', 'not mine', 'oops', '', 'nowhere'),
      delaysMs: [0, 0, 0, 60_000, 0, 0],
    })
    expect(await world.settleRange(range)).toBe('ok')
    expect(await world.outcomes('run/0')).toEqual(['succeeded:a', 'succeeded:v1'])
    expect(await world.queue()).toEqual({ ready: 2, delayed: 1, granted: 1 })
    expect(await world.settle(other, 'succeeded')).toBe('ok')
  })

  it('FT-W16: refuses a token that was never given out, and changes nothing', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0')
    const grant = await world.takeOne()
    const before = await world.backend.inspect.groups('run')
    for (const token of ['', 'x', '1.x', `${grant.fence}.x`, `${grant.token}x`]) {
      expect(await world.settleRange({ ...world.range(grant, 'succeeded'), token })).toBe('fenced')
    }
    expect(await world.backend.inspect.groups('run')).toEqual(before)
    expect(await world.outcomes('run/0')).toEqual([])
  })

  it('FT-W16: refuses branches that the token does not hold, and indexes that are no branch', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0')
    const grant = await world.takeOne(1)
    const other = await world.takeOne(1)
    expect(await world.settle(grant, 'succeeded', [1])).toBe('fenced')
    expect(await world.settle(grant, 'succeeded', [2])).toBe('fenced')
    expect(await world.settle(grant, 'succeeded', [3, 2 ** 31])).toBe('fenced')
    expect(await world.settle(other, 'succeeded')).toBe('ok')
    expect(await world.queue()).toEqual({ ready: 1, delayed: 0, granted: 1 })
  })

  it('FT-W12: refuses a zombie after its branch was granted again', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 1 })
    const { old, current } = await retaken(world)
    expect(current.fence).toBeGreaterThan(old.fence)
    expect(await world.settle(old, 'succeeded')).toBe('fenced')
    expect(await world.settleRange(world.range(current, 'succeeded', [0], { values: packed('current') }))).toBe('ok')
    expect(await world.settle(old, 'failed')).toBe('fenced')
    expect(await world.outcomes('run/0')).toEqual(['succeeded:current'])
  })

  it('refuses a zombie once its branch was reclaimed, also before anybody has it again', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 1 })
    const old = await world.takeAndVanish(1)
    expect(await world.settle(old, 'succeeded')).toBe('fenced')
    expect(await world.queue()).toEqual({ ready: 1, delayed: 0, granted: 0 })
  })

  it('refuses the token of a released branch once it is granted again', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 1 })
    const old = await world.takeOne()
    await world.settle(old, 'released')
    expect(await world.settle(old, 'succeeded')).toBe('dup')
    const current = await world.takeOne()
    expect(await world.settle(old, 'succeeded')).toBe('fenced')
    expect(await world.settle(current, 'succeeded')).toBe('ok')
  })

  it('FT-W13: accepts a result after the session’s expiry while nobody has taken the branch back', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 1 })
    await world.join('late', { ttlMs: 300 })
    const grant = await world.takeOne(1, { session: 'late' })
    await world.harness.stall(400)
    expect(await world.settle(grant, 'succeeded')).toBe('ok')
    await world.live(300)
    expect(await world.outcomes('run/0')).toEqual(['succeeded:v0'])
  })

  it('says withdrawn when the group was released meanwhile, and counts nothing', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { rule: 'first-failure' })
    const grant = await world.takeOne()
    await world.settle(grant, 'failed', [1])
    const before = await world.outcomes('run/0')
    expect(await world.settle(grant, 'succeeded', [0])).toBe('withdrawn')
    expect(await world.settle(grant, 'succeeded', [0, 1])).toBe('withdrawn')
    expect(await world.settle(grant, 'failed', [1])).toBe('dup')
    expect(await world.settleRange({ ...world.range(grant, 'succeeded', [0]), token: '1.x' })).toBe('fenced')
    expect(await world.outcomes('run/0')).toEqual(before)
  })

  it('says gone where there is no such group', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0')
    const grant = await world.takeOne()
    expect(await world.settleRange({ ...world.range(grant, 'succeeded'), gid: 'run/1' })).toBe('gone')
  })

  it('R2: makes the retry that spends the last attempt a failure', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 1, attempts: 3 })
    for (let errors = 0; errors < 2; errors++) {
      const grant = await world.takeOne()
      expect([...grant.errors]).toEqual([errors])
      expect(await world.settle(grant, 'retry')).toBe('ok')
      expect(await world.state('run/0')).toBe('open')
    }
    expect(await world.settle(await world.takeOne(), 'retry', [0], { delaysMs: [60_000] })).toBe('ok')
    expect(await world.outcomes('run/0')).toEqual(['failed:e0'])
    expect(await world.backend.inspect.deadLetters(9)).toMatchObject([
      {
        gid: 'run/0',
        index: 0,
        runId: 'run',
        kind: 'failed',
        errors: 3,
        losses: 0,
        input: bytes('i0'),
        error: bytes('e0'),
      },
    ])
  })

  it('R4: makes a failure final on the first attempt', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 1, attempts: 3 })
    await world.settle(await world.takeOne(), 'failed')
    expect(await world.outcomes('run/0')).toEqual(['failed:e0'])
    expect(await world.backend.inspect.deadLetters(9)).toMatchObject([{ kind: 'failed', errors: 0 }])
  })

  it('keeps the shared input with the dead letter of any branch', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { shared: true })
    await world.settle(await world.takeOne(), 'failed', [2])
    expect(await world.backend.inspect.deadLetters(9)).toMatchObject([{ index: 2, input: bytes('shared') }])
  })

  it('leaves the number of attempts to the worker where it is 0', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 1, attempts: 0 })
    for (let errors = 0; errors < 300; errors++) {
      const grant = await world.takeOne()
      expect([...grant.errors]).toEqual([Math.min(errors, 255)])
      await world.settle(grant, 'retry')
    }
    expect(await world.state('run/0')).toBe('open')
  })

  it('FT-W21: counts nothing for what is released', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 100, maxLosses: 0 })
    for (let i = 0; i < 3; i++) {
      const grant = await world.takeOne()
      expect([grant.errors, grant.losses].flatMap((counts) => [...counts])).toEqual(new Array(200).fill(0))
      expect([...grant.indexes]).toEqual(Array.from({ length: 100 }, (_, index) => index))
      expect(await world.settle(grant, 'released')).toBe('ok')
    }
    expect(await world.queue()).toEqual({ ready: 100, delayed: 0, granted: 0 })
  })

  it('saves outputs with an accepted range, and not with a refused one', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0')
    const grant = await world.takeOne()
    const save = (value: string) => ({ save: { paths: [`0/${value}`], values: packed(value) } })
    expect(await world.settle(grant, 'succeeded', [0], save('a'))).toBe('ok')
    expect(await world.settle(grant, 'succeeded', [0], save('b'))).toBe('dup')
    expect(await world.settleRange({ ...world.range(grant, 'succeeded', [1], save('c')), token: '1.x' })).toBe('fenced')
    expect(await world.settle(grant, 'released', [1], save('d'))).toBe('ok')
    const { paths, values } = await world.backend.inspect.saved('run', '')
    expect(paths).toEqual(['0/a', '0/d'])
    expect(texts(values)).toEqual(['a', 'd'])
  })

  it('hands a submitted run back to the queue when its driver releases it', async () => {
    const world = await useWorld()
    await world.backend.open(world.openRequest('run'))
    const first = await world.takeOne(1, { queues: ['runs'] })
    expect(await world.settle(first, 'released')).toBe('ok')
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'pending', driver: undefined })
    expect(world.names(await world.take(1, { queues: ['runs'] }))).toEqual(['run#0'])
  })

  it.each(['released', 'retry'] as const)('abandons a started run when its driver settles it as %s', async (kind) => {
    const world = await useWorld()
    const holder = await world.start('run')
    const values = packed(kind === 'retry' ? 'e' : '')
    const range = { gid: 'run', token: holder.token, indexes: [0], kinds: [kind], values }
    expect(await world.settleRange(range)).toBe('ok')
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'abandoned', driver: undefined })
    expect(await world.take(9, { queues: ['runs'] })).toEqual([])
  })

  it('ends a run when its root branch is settled', async () => {
    const world = await useWorld()
    await world.backend.open(world.openRequest('run'))
    const grant = await world.takeOne(1, { queues: ['runs'] })
    await world.settle(grant, 'succeeded')
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'completed', value: bytes('v0') })
    await world.backend.open(world.openRequest('other'))
    await world.settle(await world.takeOne(1, { queues: ['runs'] }), 'failed')
    expect(await world.backend.inspect.run('other')).toMatchObject({ state: 'failed', value: bytes('e0') })
  })

  it('refuses a malformed call as a whole', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0')
    const grant = await world.takeOne()
    const good = world.range(grant, 'succeeded', [0])
    const malformed = [
      { ...good, kinds: [] },
      { ...good, values: packed('a', 'b') },
      { ...good, delaysMs: [1, 2] },
      { ...good, save: { paths: ['a'], values: packed() } },
    ]
    for (const bad of malformed) {
      await expect(world.backend.settle({ session: 'w', ranges: [good, bad] })).rejects.toMatchObject({
        code: 'INTERNAL',
      })
    }
    expect(await world.outcomes('run/0')).toEqual([])
  })

  it('counts an empty range as nothing', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0')
    const grant = await world.takeOne()
    expect(await world.settle(grant, 'succeeded', [])).toBe('dup')
    expect(await world.queue()).toEqual({ ready: 0, delayed: 0, granted: 3 })
  })

  describe('times of a range', () => {
    const times = bytes('when it was')
    const timesOf = async (world: World) => {
      const page = await world.backend.inspect.outcomes('run/0', 0)
      return page?.chunks.map(({ indexes, times: kept = [] }) => [
        [...indexes],
        texts(pack(kept.map((of) => of.bytes))),
        kept.flatMap((of) => [...of.indexes]),
      ])
    }

    it.each([
      ['all succeeded', [0, 1, 2], 'v'],
      ['scattered ones', [2, 0, 1], 'v'],
      ['large values', [0, 1, 2], 'v'.repeat(20_000)],
    ] as const)('are kept beside the outcomes: %s', async (_, indexes, value) => {
      const world = await useWorld()
      const holder = await world.start('run')
      await world.dispatch(holder, 'run/0')
      const grant = await world.takeOne()
      const values = packed(...indexes.map((index) => `${value}${index}`))
      expect(await world.settleRange(world.range(grant, 'succeeded', [...indexes], { values, times }))).toBe('ok')
      expect(await timesOf(world)).toEqual([[[...indexes], ['when it was'], [...indexes]]])
      expect(await world.outcomes('run/0')).toEqual([0, 1, 2].map((index) => `succeeded:${value}${index}`))
    })

    it('are kept with those of a range that end, and not where none does', async () => {
      const world = await useWorld()
      const holder = await world.start('run')
      await world.dispatch(holder, 'run/0')
      const grant = await world.takeOne()
      const kinds = ['failed', 'released', 'succeeded'] as const
      const values = packed('bad', '', 'good')
      expect(await world.settleRange(world.range(grant, 'succeeded', [0, 1, 2], { kinds, values, times }))).toBe('ok')
      const [chunk, ...others] = (await timesOf(world)) ?? []
      expect(others).toEqual([])
      expect(chunk?.slice(0, 2)).toEqual([[0, 2], ['when it was']])
      const again = await world.takeOne()
      expect(await world.settleRange(world.range(again, 'released', [1], { times }))).toBe('ok')
      expect(await timesOf(world)).toHaveLength(1)
    })
  })
}
