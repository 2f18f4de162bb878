/** Opening runs: who gets the root, and what a second opening is told. */
import { bytes, packed, text, texts, type UseWorld } from '../support/world.js'

export function describeOpen(useWorld: UseWorld): void {
  it('grants a started run to the session that opens it', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    expect(holder.token).toMatch(/^[0-9]+\..+$/)
    expect(await world.backend.inspect.run('run')).toMatchObject({
      state: 'running',
      driver: 'driver',
      workflow: undefined,
      endedAt: undefined,
    })
  })

  it('puts a submitted run on the queue of runs, pending until a worker that knows its tasks takes it', async () => {
    const world = await useWorld()
    const answer = await world.backend.open(world.openRequest('run', { workflow: 'flow', tasks: ['rare'] }))
    expect(answer).toEqual({ status: 'ok', token: undefined })
    expect(await world.backend.inspect.run('run')).toMatchObject({
      state: 'pending',
      driver: undefined,
      startedAt: undefined,
      workflow: 'flow',
    })
    expect(await world.take(5, { queues: ['runs'] })).toEqual([])
    await world.join('expert', { tasks: ['rare'] })
    const grant = await world.takeOne(5, { session: 'expert', queues: ['runs'] })
    expect(grant.spec).toMatchObject({ gid: 'run', runId: 'run', size: 1, depth: 0, queue: 'runs', tasks: ['rare'] })
    expect(text(grant.inputs.bytes)).toBe('input')
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'running', driver: 'expert' })
  })

  it('keeps a submitted run for a moment for the worker that it prefers, if that one lives', async () => {
    const world = await useWorld({ affinityMs: 60_000 })
    await world.join('favourite')
    await world.backend.open(world.openRequest('run', { affinity: 'favourite' }))
    await world.backend.open(world.openRequest('other', { affinity: 'nobody', priority: 100 }))
    expect(world.names(await world.take(5, { queues: ['runs'] }))).toEqual(['other#0'])
    expect((await world.backend.inspect.waiting('runs'))[0]?.groups).toMatchObject([{ gid: 'run' }])
    expect(world.names(await world.take(5, { session: 'favourite', queues: ['runs'] }))).toEqual(['run#0'])
    const held = await world.start('held', { affinity: 'favourite' })
    expect(await world.step(held, {})).toMatchObject({ status: 'ok' })
  })

  it('gives a run to any worker once the one that it prefers is lost', async () => {
    const world = await useWorld({ affinityMs: 60_000 })
    await world.join('favourite')
    await world.backend.open(world.openRequest('run', { affinity: 'favourite' }))
    expect(await world.take(5, { queues: ['runs'] })).toEqual([])
    await world.backend.session({ kind: 'close', session: 'favourite' })
    expect(world.names(await world.take(5, { queues: ['runs'] }))).toEqual(['run#0'])
  })

  it('V4: gives a submitted run only to sessions with the capabilities that it requires', async () => {
    const world = await useWorld()
    await world.backend.open(world.openRequest('run', { requires: ['build:2', 'layout:4'] }))
    for (const capabilities of [[], ['gpu'], ['layout:4'], ['build:1', 'layout:4']]) {
      expect(await world.take(5, { queues: ['runs'], capabilities })).toEqual([])
    }
    expect((await world.backend.inspect.waiting('runs'))[0]?.requires).toEqual(['build:2', 'layout:4'])
    const { spec } = await world.takeOne(5, { queues: ['runs'], capabilities: ['layout:4', 'gpu', 'build:2'] })
    expect(spec).toMatchObject({ gid: 'run', requires: ['build:2', 'layout:4'] })
  })

  it('V4: asks the same of who takes over a started run, whatever is left of it', async () => {
    const world = await useWorld()
    const facts = { requires: ['layout:4'], ifLost: 'take-over', tasks: ['drive', 'rare'] } as const
    const holder = await world.start('run', facts)
    await world.step(holder, { rest: [] })
    await world.backend.session({ kind: 'close', session: 'driver' })
    expect(await world.take(5, { queues: ['runs'] })).toEqual([])
    const { spec } = await world.takeOne(5, { queues: ['runs'], capabilities: ['layout:4'] })
    expect(spec).toMatchObject({ gid: 'run', requires: ['layout:4'] })
  })

  it('answers a repeated start with the same token', async () => {
    const world = await useWorld()
    const request = world.openRequest('run', { session: 'driver' })
    const first = await world.backend.open(request)
    expect(first.status).toBe('ok')
    expect(await world.backend.open(request)).toEqual(first)
  })

  it('answers a repeated submission with the same word, and queues the run once', async () => {
    const world = await useWorld()
    const request = world.openRequest('run')
    expect(await world.backend.open(request)).toEqual({ status: 'ok', token: undefined })
    expect(await world.backend.open(request)).toEqual({ status: 'ok', token: undefined })
    expect(await world.take(5, { queues: ['runs'] })).toHaveLength(1)
  })

  it('says that a run exists to whoever opens it again', async () => {
    const world = await useWorld()
    await world.start('run')
    expect(await world.backend.open(world.openRequest('run', { session: 'driver' }))).toEqual({
      status: 'exists',
      runId: 'run',
    })
    expect(await world.backend.open(world.openRequest('run'))).toEqual({ status: 'exists', runId: 'run' })
  })

  it('says that a submitted run exists to whoever submits it again', async () => {
    const world = await useWorld()
    await world.backend.open(world.openRequest('run'))
    expect(await world.backend.open(world.openRequest('run'))).toEqual({ status: 'exists', runId: 'run' })
    expect(await world.backend.open(world.openRequest('run', { session: 'driver' }))).toEqual({
      status: 'exists',
      runId: 'run',
    })
    expect(await world.take(5, { queues: ['runs'] })).toHaveLength(1)
  })

  it('says that a run exists after it has ended, too', async () => {
    const world = await useWorld()
    const request = world.openRequest('run', { session: 'driver' })
    const opened = await world.backend.open(request)
    if (opened.status !== 'ok' || opened.token === undefined) throw new Error('expected a token')
    await world.step({ gid: 'run', index: 0, token: opened.token }, { end: { state: 'completed', value: bytes('x') } })
    expect(await world.backend.open(request)).toEqual({ status: 'exists', runId: 'run' })
  })

  it('refuses another flow or input under the same run id', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    expect(await world.backend.open(world.openRequest('run', { digest: 'other' }))).toEqual({
      status: 'conflict',
      runId: 'run',
    })
    expect(await world.step(holder, {})).toEqual({ status: 'ok', fill: 0 })
  })

  it('finds a run by its idempotency key', async () => {
    const world = await useWorld()
    await world.start('first', { idempotencyKey: 'order-7' })
    expect(await world.backend.inspect.runOfKey('order-7')).toBe('first')
    expect(await world.backend.inspect.runOfKey('order-8')).toBeUndefined()
    const again = { session: 'driver', idempotencyKey: 'order-7' }
    expect(await world.backend.open(world.openRequest('second', again))).toEqual({ status: 'exists', runId: 'first' })
    expect(await world.backend.open(world.openRequest('third', { ...again, digest: 'other' }))).toEqual({
      status: 'conflict',
      runId: 'first',
    })
    expect(await world.backend.inspect.run('second')).toBeUndefined()
  })

  it('asks for a session that is there', async () => {
    const world = await useWorld()
    expect(await world.backend.open(world.openRequest('run', { session: 'nobody' }))).toEqual({ status: 'nosession' })
    expect(await world.backend.inspect.run('run')).toBeUndefined()
  })

  it('refuses a run id that could be taken for a group', async () => {
    const world = await useWorld()
    await expect(world.backend.open(world.openRequest('a/b'))).rejects.toMatchObject({ code: 'INVALID_NAME' })
  })

  it('ends a run past its timeout as failed with an empty value, and tells its driver', async () => {
    const world = await useWorld()
    const holder = await world.start('run', { timeoutMs: 200 })
    await world.dispatch(holder, 'run/0')
    await world.live(100)
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'running' })
    await world.live(200)
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'failed', value: bytes('') })
    expect(await world.outcomes('run/0')).toEqual(['skipped', 'skipped', 'skipped'])
    expect(await world.news('driver')).toContainEqual({
      kind: 'withdrawn',
      gid: 'run',
      reason: expect.stringContaining('timeout'),
    })
    expect(await world.step(holder, {})).toEqual({ status: 'fenced' })
  })

  it('does not time out a run that has ended', async () => {
    const world = await useWorld()
    const holder = await world.start('run', { timeoutMs: 100 })
    await world.step(holder, { end: { state: 'completed', value: bytes('x') } })
    await world.live(300)
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'completed', value: bytes('x') })
  })

  it('dispatches a first group with the run, as a step of its driver would', async () => {
    const world = await useWorld()
    const first = { spec: world.spec('run/0'), inputs: packed('a', 'b', 'c') }
    const opened = await world.backend.open(world.openRequest('run', { session: 'driver', first }))
    expect(opened).toMatchObject({ status: 'ok', first: { status: 'ok', fill: 3 } })
    const grant = await world.takeOne(5)
    expect([grant.spec, [...grant.indexes], texts(grant.inputs)]).toEqual([first.spec, [0, 1, 2], ['a', 'b', 'c']])
    if (opened.status !== 'ok' || opened.token === undefined) throw new Error('expected a token')
    const group = { ...first, from: 0 }
    expect(await world.step({ gid: 'run', index: 0, token: opened.token }, { group })).toEqual({
      status: 'ok',
      fill: 3,
    })
  })

  it('opens a run whose first group has no graph, and says so', async () => {
    const world = await useWorld()
    const first = { spec: world.spec('run/0', { graph: 'other' }), inputs: packed('a', 'b', 'c') }
    const request = world.openRequest('run', { session: 'driver', graph: 'other', first })
    expect(await world.backend.open(request)).toMatchObject({ status: 'ok', first: { status: 'nograph' } })
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'running' })
    expect(await world.take(5)).toEqual([])
  })

  it('answers a repeated start with the same token, and leaves the first group to a step', async () => {
    const world = await useWorld()
    const first = { spec: world.spec('run/0'), inputs: packed('a', 'b', 'c') }
    const request = world.openRequest('run', { session: 'driver', first })
    const opened = await world.backend.open(request)
    if (opened.status !== 'ok' || opened.token === undefined) throw new Error('expected a token')
    expect(await world.backend.open(request)).toEqual({ status: 'ok', token: opened.token })
    const step = { group: { ...first, from: 0 } }
    expect(await world.step({ gid: 'run', index: 0, token: opened.token }, step)).toEqual({ status: 'ok', fill: 3 })
    expect(await world.takeOne(5)).toMatchObject({ indexes: Uint32Array.of(0, 1, 2) })
  })

  it('dispatches no first group where it does not open the run', async () => {
    const world = await useWorld()
    const first = { spec: world.spec('run/0'), inputs: packed('a', 'b', 'c') }
    const request = world.openRequest('run', { session: 'nobody', first })
    expect(await world.backend.open(request)).toEqual({ status: 'nosession' })
    await world.start('run')
    expect(await world.backend.open({ ...request, session: 'driver' })).toEqual({ status: 'exists', runId: 'run' })
    const other = { ...request, session: 'driver', digest: 'other' }
    expect(await world.backend.open(other)).toEqual({ status: 'conflict', runId: 'run' })
    expect(await world.take(5)).toEqual([])
  })

  it('refuses a first group that is malformed, or that nobody would hold', async () => {
    const world = await useWorld()
    const first = { spec: world.spec('run/0'), inputs: packed('a', 'b', 'c', 'd') }
    await expect(world.backend.open(world.openRequest('run', { session: 'driver', first }))).rejects.toThrow(
      'malformed',
    )
    const held = { ...first, inputs: packed('a') }
    await expect(world.backend.open(world.openRequest('run', { first: held }))).rejects.toThrow('its opener drives')
    expect(await world.backend.inspect.run('run')).toBeUndefined()
  })
}
