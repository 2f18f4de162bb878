/** Commands: cancel, end, pause, resume, withdraw; and that nothing below what is withdrawn goes on. */
import { bytes, packed, type UseWorld, type World } from '../support/world.js'

const cancel = (world: World, runId = 'run') =>
  world.backend.control({ kind: 'cancel-run', runId, reason: 'not needed', value: bytes('cancelled') })

export function describeControl(useWorld: UseWorld): void {
  it('cancels a run with all its branches at every depth, and tells who holds any', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 2 })
    await world.join('v')
    const outer = await world.takeOne(1)
    await world.dispatch({ gid: 'run/0', index: 0, token: outer.token }, 'run/0/0', { size: 2, depth: 2, attempts: 2 })
    const inner = await world.takeOne(1, { session: 'v' })
    await world.settle(inner, 'retry', [0], { delaysMs: [100] })
    const other = await world.takeOne(1, { session: 'v' })
    await Promise.all(['driver', 'v', 'w'].map((session) => world.news(session)))
    expect(await cancel(world)).toBe('ok')
    expect(await world.backend.inspect.run('run')).toMatchObject({
      state: 'cancelled',
      cancelReason: 'not needed',
      value: bytes('cancelled'),
    })
    expect(await world.outcomes('run/0')).toEqual(['cancelled', 'skipped'])
    expect(await world.outcomes('run/0/0')).toEqual(['cancelled', 'cancelled'])
    expect(await world.news('driver')).toContainEqual({ kind: 'withdrawn', gid: 'run', reason: 'not needed' })
    expect(await world.news('w')).toContainEqual({ kind: 'withdrawn', gid: 'run/0', reason: 'not needed' })
    expect(await world.news('v')).toContainEqual({ kind: 'withdrawn', gid: 'run/0/0', reason: 'not needed' })
    expect(await world.settle(other, 'succeeded')).toBe('withdrawn')
    expect(await world.step(holder, {})).toEqual({ status: 'fenced' })
    await world.live(200)
    expect(await world.take(9, { queues: ['default', 'runs'] })).toEqual([])
    expect(await world.queue()).toEqual({ ready: 0, delayed: 0, granted: 0 })
    expect((await world.queue('runs'))?.granted ?? 0).toBe(0)
  })

  it('deletes a run, with its key and all below it; one that is not over is cancelled first', async () => {
    const world = await useWorld()
    const deleteRun = (runId = 'run') =>
      world.backend.control({ kind: 'delete-run', runId, reason: 'not needed', value: bytes('deleted') })
    const deleted = async (): Promise<string> => {
      for (let calls = 0; calls < 9; calls += 1) if ((await deleteRun()) === 'gone') return `after ${calls}`
      return 'never'
    }
    expect(await deleteRun()).toBe('gone')
    const holder = await world.start('run', { idempotencyKey: 'key' })
    await world.step(holder, { save: { paths: ['0'], values: packed('saved') } })
    await world.dispatch(holder, 'run/1')
    const grant = await world.takeOne()
    await world.news('w')
    expect(await deleted()).toBe('after 1')
    expect(await world.news('w')).toContainEqual({ kind: 'withdrawn', gid: 'run/1', reason: 'not needed' })
    expect(await world.settle(grant, 'succeeded')).toBe('gone')
    expect(await world.backend.inspect.run('run')).toBeUndefined()
    expect(await world.backend.inspect.outcomes('run/1', 0)).toBeUndefined()
    expect(await world.backend.inspect.output('run', '0')).toBeUndefined()
    expect(await world.queue()).toEqual({ ready: 0, delayed: 0, granted: 0 })
    const again = await world.start('run', { idempotencyKey: 'key', digest: 'another' })
    await world.step(again, { end: { state: 'completed', value: bytes('x') } })
    expect(await deleted()).toBe('after 1')
    expect((await world.backend.inspect.runs({ limit: 9 })).items).toEqual([])
  })

  it('says what cancelling meets: a cancelled run, one that is over, none', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    expect(await cancel(world)).toBe('ok')
    expect(await world.backend.control({ kind: 'cancel-run', runId: 'run', reason: 'again', value: bytes('') })).toBe(
      'dup',
    )
    expect(await world.backend.inspect.run('run')).toMatchObject({ cancelReason: 'not needed' })
    expect(await world.step(holder, { end: { state: 'completed', value: bytes('late') } })).toEqual({
      status: 'fenced',
    })
    const done = await world.start('done')
    await world.step(done, { end: { state: 'completed', value: bytes('x') } })
    expect(await cancel(world, 'done')).toBe('over')
    expect(await world.backend.inspect.run('done')).toMatchObject({ state: 'completed', cancelReason: undefined })
    expect(await cancel(world, 'nowhere')).toBe('gone')
  })

  it('cancels a run that nobody drives yet', async () => {
    const world = await useWorld()
    await world.backend.open(world.openRequest('run'))
    expect(await cancel(world)).toBe('ok')
    expect(await world.take(9, { queues: ['runs'] })).toEqual([])
    expect(await world.outcomes('run')).toEqual(['skipped'])
  })

  it('fails a run that nobody drives yet, and only such a run', async () => {
    const world = await useWorld()
    const fail = (runId: string) =>
      world.backend.control({ kind: 'fail-run', runId, reason: 'nobody can', value: bytes('failure') })
    await world.backend.open(world.openRequest('run'))
    expect(await fail('run')).toBe('ok')
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'failed', value: bytes('failure') })
    expect(await fail('run')).toBe('dup')
    expect(await world.take(9, { queues: ['runs'] })).toEqual([])
    await world.backend.open(world.openRequest('paused'))
    await world.backend.control({ kind: 'pause-run', runId: 'paused' })
    expect(await fail('paused')).toBe('fenced')
    await world.backend.control({ kind: 'cancel-run', runId: 'paused', reason: '', value: bytes('') })
    expect(await fail('paused')).toBe('over')
    await world.start('driven')
    expect(await fail('driven')).toBe('fenced')
    expect(await world.backend.inspect.run('driven')).toMatchObject({ state: 'running' })
    expect(await fail('nowhere')).toBe('gone')
  })

  it('does not fail a started run that its driver left, which waits to be resumed', async () => {
    const world = await useWorld()
    await world.start('left')
    await world.backend.session({ kind: 'close', session: 'driver' })
    expect(await world.backend.inspect.run('left')).toMatchObject({ state: 'abandoned' })
    const request = { kind: 'fail-run', runId: 'left', reason: '', value: bytes('') } as const
    expect(await world.backend.control(request)).toBe('fenced')
  })

  it.each(['completed', 'cancelled'] as const)(
    'ends a run as %s when one of its branches asks for it',
    async (state) => {
      const world = await useWorld()
      const holder = await world.start('run')
      await world.dispatch(holder, 'run/0')
      const grant = await world.takeOne()
      const branch = { gid: 'run/0', index: 1, token: grant.token }
      const request = { kind: 'end-run', runId: 'run', state, value: bytes('x'), reason: 'done early' } as const
      expect(await world.backend.control({ ...request, holder: { ...branch, token: '1.x' } })).toBe('fenced')
      expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'running' })
      expect(await world.backend.control({ ...request, holder: branch })).toBe('ok')
      const cancelReason = state === 'cancelled' ? 'done early' : undefined
      expect(await world.backend.inspect.run('run')).toMatchObject({ state, value: bytes('x'), cancelReason })
      expect(await world.backend.control({ ...request, holder: branch })).toBe('dup')
      expect(
        await world.backend.control({
          ...request,
          state: state === 'completed' ? 'cancelled' : 'completed',
          holder: branch,
        }),
      ).toBe('over')
      expect(await world.backend.control({ ...request, runId: 'nowhere', holder: branch })).toBe('gone')
      expect(await world.news('driver')).toContainEqual({ kind: 'withdrawn', gid: 'run', reason: 'done early' })
    },
  )

  it('does not let a branch end another run', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.start('other')
    const request = { kind: 'end-run', runId: 'other', state: 'completed', value: bytes('x'), reason: '' } as const
    expect(await world.backend.control({ ...request, holder })).toBe('fenced')
  })

  it('grants nothing of a paused run, lets it step and finish what is in flight, and goes on when resumed', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    const other = await world.start('other')
    await world.dispatch(holder, 'run/0', { attempts: 2 })
    const grant = await world.takeOne(2)
    expect(await world.backend.control({ kind: 'pause-run', runId: 'run' })).toBe('ok')
    expect(await world.backend.control({ kind: 'pause-run', runId: 'run' })).toBe('dup')
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'paused' })
    expect(await world.take()).toEqual([])
    await world.dispatch(holder, 'run/1', { size: 1 })
    await world.dispatch(other, 'other/0', { size: 1 })
    expect(world.names(await world.take())).toEqual(['other/0#0'])
    expect(await world.settle(grant, 'succeeded', [0])).toBe('ok')
    expect(await world.settle(grant, 'retry', [1], { delaysMs: [100] })).toBe('ok')
    await world.live(200)
    expect(await world.take()).toEqual([])
    expect(await world.queue()).toMatchObject({ ready: 3, granted: 1 })
    expect(await world.backend.control({ kind: 'resume-run', runId: 'run' })).toBe('ok')
    expect(await world.backend.control({ kind: 'resume-run', runId: 'run' })).toBe('dup')
    expect(world.names(await world.take())).toEqual(['run/0#1', 'run/0#2', 'run/1#0'])
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'running' })
  })

  it('pauses a run before it is driven', async () => {
    const world = await useWorld()
    await world.backend.open(world.openRequest('run'))
    await world.backend.control({ kind: 'pause-run', runId: 'run' })
    expect(await world.take(9, { queues: ['runs'] })).toEqual([])
    await world.backend.control({ kind: 'resume-run', runId: 'run' })
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'pending' })
    expect(await world.take(9, { queues: ['runs'] })).toHaveLength(1)
  })

  it('ends and cancels a paused run', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.backend.control({ kind: 'pause-run', runId: 'run' })
    expect(await world.step(holder, { end: { state: 'completed', value: bytes('x') } })).toEqual({
      status: 'ok',
      fill: 0,
    })
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'completed' })
    for (const kind of ['pause-run', 'resume-run'] as const) {
      expect(await world.backend.control({ kind, runId: 'run' })).toBe('over')
      expect(await world.backend.control({ kind, runId: 'nowhere' })).toBe('gone')
    }
  })

  it('grants nothing of a paused queue, and everything when it is resumed', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    expect(await world.backend.control({ kind: 'pause-queue', queue: 'default' })).toBe('ok')
    expect(await world.backend.control({ kind: 'pause-queue', queue: 'default' })).toBe('dup')
    await world.dispatch(holder, 'run/0', { size: 1 })
    await world.dispatch(holder, 'run/1', { size: 1, queue: 'other' })
    expect(world.names(await world.take(9, { queues: ['default', 'other'] }))).toEqual(['run/1#0'])
    expect(await world.queue()).toMatchObject({ ready: 1 })
    expect((await world.backend.inspect.queues()).find(({ queue }) => queue === 'default')).toMatchObject({
      isPaused: true,
    })
    expect(await world.backend.control({ kind: 'resume-queue', queue: 'default' })).toBe('ok')
    expect(await world.backend.control({ kind: 'resume-queue', queue: 'default' })).toBe('dup')
    expect(world.names(await world.take())).toEqual(['run/0#0'])
  })

  it('X3: withdraws a group and all below it when its holder asks', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 3 })
    await world.dispatch(holder, 'run/1', { size: 1 })
    const outer = await world.takeOne(2)
    await world.settle(outer, 'succeeded', [1])
    const branch = { gid: 'run/0', index: 0, token: outer.token }
    await world.dispatch(branch, 'run/0/0', { depth: 2 })
    expect(await world.backend.control({ kind: 'withdraw-group', holder, gid: 'run/0' })).toBe('ok')
    // a reply may be lost: `dup` is what says that it was released before
    expect(await world.backend.control({ kind: 'withdraw-group', holder, gid: 'run/0' })).toBe('ok')
    expect(await world.outcomes('run/0')).toEqual(['cancelled', 'succeeded:v1', 'skipped'])
    expect(await world.state('run/0')).toBe('withdrawn')
    expect(await world.state('run/0/0')).toBe('withdrawn')
    expect(world.names(await world.take())).toEqual(['run/1#0'])
    expect(await world.settle(outer, 'succeeded', [0])).toBe('withdrawn')
    expect(await world.step(branch, {})).toEqual({ status: 'fenced' })
  })

  it('withdraws a group for nobody but the holder of the branch it belongs to', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0')
    const grant = await world.takeOne()
    const withdraw = (gid: string, as = holder) => world.backend.control({ kind: 'withdraw-group', holder: as, gid })
    expect(await withdraw('run/0', { ...holder, token: '1.x' })).toBe('fenced')
    expect(await withdraw('run/0', { gid: 'run/0', index: 0, token: grant.token })).toBe('fenced')
    expect(await withdraw('run')).toBe('fenced')
    expect(await withdraw('run/9')).toBe('gone')
    expect(await world.state('run/0')).toBe('open')
    await world.settle(grant, 'succeeded')
    expect(await withdraw('run/0')).toBe('dup')
    expect(await world.state('run/0')).toBe('released')
    await world.step(holder, { end: { state: 'completed', value: bytes('x') } })
    expect(await withdraw('run/0')).toBe('over')
  })
}
