/** What people and metrics see: one consistent look each. */
import type { RunState } from '../../lib/backend/backend.js'
import { pack } from '../../lib/values/packed-items.js'
import { bytes, infoOf, inputsFor, packed, SHORT_TTL_MS, type UseWorld } from '../support/world.js'

export function describeInspect(useWorld: UseWorld): void {
  it('counts runs by workflow and state once they have ended, and dead letters', async () => {
    const world = await useWorld()
    const end = { state: 'completed', value: bytes('') } as const
    const first = await world.start('a', { workflow: 'x' })
    await world.step(first, { end })
    await world.step(first, { end })
    await world.step(await world.start('b'), { end: { ...end, state: 'failed' } })
    const holder = await world.start('c', { workflow: 'x' })
    await world.dispatch(holder, 'c/0', { size: 3 })
    await world.settle(await world.takeOne(3), 'failed', [0, 1])
    await world.backend.control({ kind: 'cancel-run', runId: 'c', reason: 'no', value: bytes('') })
    const { ended, deadLetters, bytes: size, now } = await world.backend.inspect.totals()
    expect([...ended].sort((one, other) => one.state.localeCompare(other.state))).toEqual([
      { workflow: 'x', state: 'cancelled', count: 1 },
      { workflow: 'x', state: 'completed', count: 1 },
      { workflow: '', state: 'failed', count: 1 },
    ])
    expect(deadLetters).toBe(2)
    expect(size.used).toBeGreaterThan(0)
    const record = await world.backend.inspect.run('c')
    expect(now).toBeGreaterThanOrEqual(record?.endedAt ?? Infinity)
  })

  it('counts the ends of many workflows together', async () => {
    const world = await useWorld()
    const end = { state: 'completed', value: bytes('') } as const
    for (let i = 0; i < 603; i += 1) await world.step(await world.start(`r${i}`, { workflow: `w${i % 602}` }), { end })
    const { ended } = await world.backend.inspect.totals()
    expect(ended).toHaveLength(601)
    expect(ended.find(({ workflow }) => workflow === '~other')?.count).toBe(2)
    expect(ended.find(({ workflow }) => workflow === 'w0')?.count).toBe(2)
  })

  it('tells how long a group had ready branches before a grant, and when it was released', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 2 })
    await world.harness.advance(50)
    const grant = await world.takeOne(2)
    expect(grant.waitedMs).toBeGreaterThanOrEqual(49)
    expect((await world.backend.inspect.outcomes('run/0', 0))?.releasedAt).toBeUndefined()
    await world.settle(grant, 'succeeded', [0, 1])
    const [status] = await world.backend.inspect.groups('run')
    const { releasedAt = 0 } = (await world.backend.inspect.outcomes('run/0', 0)) ?? {}
    // Each answer is put on the wall clock by itself, at its own time.
    expect(Math.abs(releasedAt - (status?.releasedAt ?? 0))).toBeLessThan(1_000)
  })

  it('tells which branches of an open group are held, by whom and since when, and no more of them than asked for', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.join('w2')
    await world.dispatch(holder, 'run/0', { size: 9 })
    const held = async (most = 100) =>
      (await world.backend.inspect.held('run/0', most)).map(({ session, indexes }) => [session, [...indexes]])
    expect(await held()).toEqual([])
    const first = await world.takeOne(3)
    await world.harness.advance(20)
    await world.takeOne(4, { session: 'w2' })
    expect(await held()).toEqual([
      ['w', [0, 1, 2]],
      ['w2', [3, 4, 5, 6]],
    ])
    expect(await held(4)).toEqual([
      ['w', [0, 1, 2]],
      ['w2', [3]],
    ])
    const [one, two] = await world.backend.inspect.held('run/0', 100)
    const openedAt = (await world.backend.inspect.groups('run'))[0]?.openedAt ?? 0
    expect((one?.grantedAt ?? 0) - openedAt).toBeGreaterThanOrEqual(-1)
    expect((two?.grantedAt ?? 0) - (one?.grantedAt ?? 0)).toBeGreaterThanOrEqual(19)
    await world.settle(first, 'succeeded', [0, 2])
    expect(await held()).toEqual([
      ['w', [1]],
      ['w2', [3, 4, 5, 6]],
    ])
    await world.backend.control({ kind: 'cancel-run', runId: 'run', reason: 'no', value: bytes('') })
    expect(await held()).toEqual([])
    expect(await world.backend.inspect.held('run/9', 100)).toEqual([])
  })

  it('V3: counts the runs that are pinned to a build until they end, or are deleted', async () => {
    const world = await useWorld()
    const pinned = async () =>
      Object.fromEntries((await world.backend.inspect.pinned()).map(({ build, runs }) => [build, runs]))
    expect(await pinned()).toEqual({})
    const [one, two] = [{ build: 'one' }, { build: 'two' }]
    const ended = await world.start('ended', one)
    await world.start('cancelled', one)
    await world.start('other')
    await world.backend.open(world.openRequest('submitted', two))
    const again = world.openRequest('lost', { ...two, session: 'driver', retentionMs: 200 })
    for (let i = 0; i < 2; i += 1) await world.backend.open(again)
    expect(await world.backend.inspect.run('submitted')).toMatchObject({ build: 'two' })
    expect((await world.backend.inspect.run('other'))?.build).toBeUndefined()
    expect(await pinned()).toEqual({ one: 2, two: 2 })
    for (let i = 0; i < 2; i += 1) await world.step(ended, { end: { state: 'completed', value: bytes('x') } })
    expect(await pinned()).toEqual({ one: 1, two: 2 })
    await world.backend.reopen({ runId: 'ended', nonce: world.nonce() })
    expect(await pinned()).toEqual({ one: 2, two: 2 })
    await world.backend.control({ kind: 'cancel-run', runId: 'ended', reason: 'no', value: bytes('') })
    expect(await pinned()).toEqual({ one: 1, two: 2 })
    for (let i = 0; i < 2; i += 1)
      await world.backend.control({ kind: 'cancel-run', runId: 'cancelled', reason: 'no', value: bytes('') })
    expect(await pinned()).toEqual({ two: 2 })
    await world.backend.session({ kind: 'close', session: 'driver' })
    await world.live(400)
    expect(await world.backend.inspect.run('lost')).toBeUndefined()
    expect(await pinned()).toEqual({ two: 1 })
  })

  it('lists runs newest first, by state and by workflow', async () => {
    const world = await useWorld()
    const ids = async (request: {
      states?: readonly RunState[]
      workflow?: string
      limit?: number
    }): Promise<string[]> =>
      (await world.backend.inspect.runs({ limit: 10, ...request })).items.map(({ runId }) => runId)
    const first = await world.start('a', { workflow: 'x' })
    await world.start('b', { workflow: 'y' })
    await world.start('c', { workflow: 'x' })
    await world.step(first, { end: { state: 'completed', value: bytes('') } })
    expect(await ids({})).toEqual(['c', 'b', 'a'])
    expect(await ids({ limit: 2 })).toEqual(['c', 'b'])
    expect(await ids({ states: ['running'] })).toEqual(['c', 'b'])
    expect(await ids({ workflow: 'x' })).toEqual(['c', 'a'])
    expect(await ids({ workflow: 'x', states: ['completed'] })).toEqual(['a'])
  })

  it('tells when a run was created, started and ended', async () => {
    const world = await useWorld()
    await world.backend.open(world.openRequest('run'))
    await world.harness.advance(50)
    const grant = await world.takeOne(1, { queues: ['runs'] })
    await world.harness.advance(50)
    await world.step({ gid: 'run', index: 0, token: grant.token }, { end: { state: 'completed', value: bytes('') } })
    const record = await world.backend.inspect.run('run')
    if (record?.startedAt === undefined || record.endedAt === undefined) throw new Error('expected a run that ended')
    expect(record.startedAt - record.createdAt).toBeGreaterThanOrEqual(49)
    expect(record.endedAt - record.startedAt).toBeGreaterThanOrEqual(49)
    expect(await world.backend.inspect.run('nowhere')).toBeUndefined()
  })

  it('knows no run by the name of a key that another run has', async () => {
    const world = await useWorld()
    await world.dispatch(await world.start('has'), 'has/0', { size: 1 })
    for (const id of ['has:k', 'has:v', 'has:cl:key']) {
      expect(await world.backend.inspect.run(id)).toBeUndefined()
      expect(await world.backend.control({ kind: 'pause-run', runId: id })).toBe('gone')
      expect(await world.backend.control({ kind: 'delete-run', runId: id, reason: '', value: bytes('') })).toBe('gone')
    }
  })

  it('gives the saved output of one path, and nothing of the paths below it', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.step(holder, { save: { paths: ['0', '0/1', '1/0'], values: packed('a', 'b', 'c') } })
    const output = (path: string): Promise<Uint8Array | undefined> => world.backend.inspect.output('run', path)
    expect(await Promise.all(['0', '0/1', '1', ''].map(output))).toEqual([bytes('a'), bytes('b'), undefined, undefined])
    expect(await world.backend.inspect.output('nowhere', '0')).toBeUndefined()
  })

  it('gives what a branch got, and nothing of a branch that there is not', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    const spec = world.spec('run/0', { size: 1 })
    await world.step(holder, { group: { spec, from: 0, inputs: pack([new Uint8Array(12)]) } })
    const input = (gid: string, index: number): Promise<Uint8Array | undefined> =>
      world.backend.inspect.input(gid, index)
    expect(await Promise.all([0, 1, 2, 3].map((index) => input('run/0', index)))).toEqual([
      new Uint8Array(12),
      ...[undefined, undefined, undefined],
    ])
    expect(await input('run', 0)).toEqual(bytes('input'))
    expect(await input('run/1', 0)).toBeUndefined()
  })

  it('counts the branches of a group by what they are', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 8, attempts: 2, rule: 'first-failure' })
    const grant = await world.takeOne(5)
    await world.settle(grant, 'succeeded', [0, 1])
    await world.settle(grant, 'retry', [2], { delaysMs: [60_000] })
    await world.settle(grant, 'released', [3])
    const facts = { gid: 'run/0', graph: 'graph', node: '0', size: 8 }
    expect(await world.backend.inspect.groups('run')).toMatchObject([
      {
        ...facts,
        state: 'open',
        ready: 4,
        delayed: 1,
        granted: 1,
        succeeded: 2,
        failed: 0,
        dead: 0,
        withdrawn: 0,
        releasedAt: undefined,
      },
    ])
    await world.settle(grant, 'failed', [4])
    expect(await world.backend.inspect.groups('run')).toMatchObject([
      {
        ...facts,
        state: 'released',
        ready: 0,
        delayed: 0,
        granted: 0,
        succeeded: 2,
        failed: 1,
        dead: 0,
        withdrawn: 5,
        releasedAt: expect.any(Number),
      },
    ])
  })

  it('lists the groups of a run in order of opening, without its root', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/1')
    await world.dispatch(holder, 'run/0')
    expect((await world.backend.inspect.groups('run')).map(({ gid }) => gid)).toEqual(['run/1', 'run/0'])
    expect(await world.backend.inspect.groups('nowhere')).toEqual([])
  })

  it('tells how long the oldest ready group of a queue has waited', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    const oldest = async () => (await world.backend.inspect.queues()).find(({ queue }) => queue === 'default')?.oldestMs
    await world.dispatch(holder, 'run/0', { size: 1 })
    await world.harness.advance(100)
    await world.dispatch(holder, 'run/1', { size: 1 })
    expect(await oldest()).toBeGreaterThanOrEqual(99)
    await world.takeOne(1)
    expect(await oldest()).toBeLessThan(90)
    await world.takeOne(1)
    expect(await oldest()).toBeUndefined()
  })

  it('tells which groups of a queue wait, by what they ask of a worker, and for how long', async () => {
    const world = await useWorld()
    const waiting = async () =>
      (await world.backend.inspect.waiting('runs')).map(({ tasks, groups }) => [tasks, groups.map(({ gid }) => gid)])
    for (const [runId, tasks] of [
      ['a', ['x']],
      ['b', ['x', 'y']],
      ['c', ['x']],
      ['d', []],
    ] as const) {
      await world.backend.open({ ...world.openRequest(runId), tasks: [...tasks] })
    }
    await world.start('driven')
    await world.harness.advance(100)
    expect((await waiting()).sort()).toEqual([
      [[], ['d']],
      [['x'], ['a', 'c']],
      [['x', 'y'], ['b']],
    ])
    const [lane] = await world.backend.inspect.waiting('runs')
    expect(lane?.groups[0]?.waitedMs).toBeGreaterThanOrEqual(99)
    expect(lane?.requires).toEqual([])
    await world.backend.control({ kind: 'pause-run', runId: 'a' })
    await world.backend.control({ kind: 'cancel-run', runId: 'b', reason: '', value: bytes('') })
    expect((await waiting()).sort()).toEqual([
      [[], ['d']],
      [['x'], ['c']],
    ])
    expect(await world.backend.inspect.waiting('default')).toEqual([])
    await world.backend.control({ kind: 'pause-queue', queue: 'runs' })
    expect(await waiting()).toEqual([])
  })

  it('counts as granted in the queue of runs what workers drive, not what the sessions drive or have left that opened it', async () => {
    const world = await useWorld()
    const granted = async (): Promise<number> => (await world.queue('runs'))?.granted ?? 0
    const end = { state: 'completed', value: bytes('') } as const
    const driven = await world.start('driven')
    const others = [await world.start('other'), await world.start('abandoned')]
    expect(await granted()).toBe(0)
    await world.backend.open(world.openRequest('submitted'))
    const { token } = await world.takeOne(1, { queues: ['runs'] })
    expect(await granted()).toBe(1)
    await world.dispatch(driven, 'driven/0', { size: 2 })
    await world.settle(await world.takeOne(2), 'succeeded')
    await world.step(driven, { end })
    await world.step(others[0] ?? driven, { end: { ...end, state: 'cancelled' } })
    await world.backend.session({ kind: 'close', session: 'driver' })
    expect(await world.queue('runs')).toEqual({ ready: 0, delayed: 0, granted: 1 })
    await world.step({ gid: 'submitted', index: 0, token }, { end })
    expect(await world.queue('runs')).toEqual({ ready: 0, delayed: 0, granted: 0 })
  })

  it('counts a run that is opened with its first group as granted in no queue', async () => {
    const world = await useWorld()
    const spec = world.spec('run/0', { size: 2 })
    await world.start('run', { first: { spec, inputs: inputsFor(spec) } })
    const grant = await world.takeOne(1)
    const granted = async (name: string): Promise<number> => (await world.queue(name))?.granted ?? 0
    expect([await granted('runs'), await granted('default')]).toEqual([0, 1])
    await world.settle(grant, 'succeeded')
    await world.backend.control({ kind: 'cancel-run', runId: 'run', reason: '', value: bytes('') })
    expect([await granted('runs'), await granted('default')]).toEqual([0, 0])
  })

  it('counts live workers by the queues that they serve', async () => {
    const world = await useWorld()
    const serving = async (): Promise<string> =>
      (await world.backend.inspect.serving())
        .map(({ queues, workers }) => `${workers} × ${queues === 'all' ? queues : queues.join(' ')}`)
        .sort()
        .join(', ')
    await world.join('s', { queues: ['default', 'gpu'] })
    await world.join('t', { queues: ['default', 'gpu'] })
    await world.join('embedded', { queues: 'all' })
    await world.join('o', { role: 'observer', queues: ['default'] })
    await world.liveUntil(async () => (await serving()) === '1 × all, 1 × default, 2 × default gpu')
    await world.backend.session({ kind: 'close', session: 's' })
    await world.join('mortal', { queues: ['own'], ttlMs: SHORT_TTL_MS })
    await world.liveUntil(async () => (await serving()) === '1 × all, 1 × default, 1 × default gpu, 1 × own')
    await world.liveUntil(async () => (await serving()) === '1 × all, 1 × default, 1 × default gpu')
  })

  it('tells its time', async () => {
    const world = await useWorld()
    const before = await world.backend.inspect.now()
    await world.harness.advance(20)
    expect((await world.backend.inspect.now()) - before).toBeGreaterThanOrEqual(19)
  })

  it('lists sessions with what they say of themselves and how much they hold', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.join('s', { metadata: { zone: 'eu-1' }, capabilities: ['gpu'] })
    await world.dispatch(holder, 'run/0')
    await world.takeOne(2, { session: 's' })
    const sessions = await world.backend.inspect.sessions()
    expect(sessions.map(({ session }) => session)).toEqual(['s', 'w', 'driver'])
    expect(sessions[0]).toMatchObject({
      ...infoOf('s'),
      metadata: { zone: 'eu-1' },
      capabilities: ['gpu'],
      ...{ branches: 2, runs: 0 },
    })
    expect(sessions[2]).toMatchObject({ branches: 0, runs: 1 })
  })

  it('lists dead letters newest first', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 4 })
    const grant = await world.takeOne()
    await world.settle(grant, 'failed', [2])
    await world.settle(grant, 'failed', [0, 1])
    const letters = await world.backend.inspect.deadLetters(10)
    expect(letters.map(({ index }) => index)).toEqual([1, 0, 2])
    expect(new Set(letters.map(({ id }) => id)).size).toBe(3)
    expect(letters[0]).toMatchObject({ input: bytes('i1'), error: bytes('e1'), at: expect.any(Number) })
    expect((await world.backend.inspect.deadLetters(2)).map(({ index }) => index)).toEqual([1, 0])
    expect(await world.backend.inspect.deadLetters(0)).toEqual([])
    expect(await world.backend.inspect.deadLetters(9, letters[0]?.id)).toEqual(letters.slice(1))
    expect(await world.backend.inspect.deadLetter(letters[1]?.id ?? '')).toEqual(letters[1])
    expect(letters[1]).toMatchObject({ gid: 'run/0', graph: 'graph', node: '0' })
    expect(await world.backend.inspect.deadLetter('none')).toBeUndefined()
  })

  it('deletes a dead letter, and those from before a time', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0')
    await world.settle(await world.takeOne(), 'failed')
    const [newest, ...older] = await world.backend.inspect.deadLetters(9)
    const id = newest?.id ?? ''
    expect(await world.backend.deleteDeadLetters({ id: 'none' })).toBe(0)
    expect(await world.backend.deleteDeadLetters({ id })).toBe(1)
    expect(await world.backend.deleteDeadLetters({ id })).toBe(0)
    expect(await world.backend.inspect.deadLetters(9)).toEqual(older)
    expect(await world.backend.deleteDeadLetters({ before: 1 })).toBe(0)
    expect(await world.backend.deleteDeadLetters({ before: Number.MAX_SAFE_INTEGER })).toBe(2)
    expect(await world.backend.inspect.deadLetters(9)).toEqual([])
  })
}
