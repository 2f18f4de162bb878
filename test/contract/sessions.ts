/** Sessions: who owns what, what happens to it when they go, and how the two sides compare notes. */
import { bytes, infoOf, SHORT_TTL_MS, texts, type UseWorld } from '../support/world.js'

export function describeSessions(useWorld: UseWorld): void {
  it('is there once opened, renewed or opened again, until it is closed', async () => {
    const world = await useWorld()
    const open = { kind: 'open', session: 's', ttlMs: 60_000, info: infoOf('s') } as const
    const isThere = async () => (await world.backend.inspect.sessions()).some(({ session }) => session === 's')
    expect(await world.backend.session({ kind: 'renew', session: 's', ttlMs: 60_000 })).toEqual({ status: 'nosession' })
    expect(await world.backend.session(open)).toEqual({ status: 'ok' })
    expect(await world.backend.session(open)).toEqual({ status: 'ok' })
    expect(await world.backend.session({ kind: 'renew', session: 's', ttlMs: 60_000 })).toEqual({ status: 'ok' })
    expect(await isThere()).toBe(true)
    expect(await world.backend.session({ kind: 'close', session: 's' })).toEqual({ status: 'ok' })
    expect(await world.backend.session({ kind: 'close', session: 's' })).toEqual({ status: 'nosession' })
    expect(await isThere()).toBe(false)
  })

  it('keeps what it holds when it is opened again, and takes what it says of itself anew', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0')
    const grant = await world.takeOne(1)
    await world.join('w', { tasks: [] })
    expect(await world.take()).toEqual([])
    expect(await world.settle(grant, 'succeeded')).toBe('ok')
  })

  it('keeps what it acquires after it was thought dead and opened again, whatever is still to be reclaimed', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 1_000, shared: true, maxLosses: 0 })
    await world.takeAndVanish(900)
    await world.join('mortal')
    const grant = await world.takeOne(1, { session: 'mortal' })
    await world.live(1_000)
    expect(await world.settle(grant, 'succeeded')).toBe('ok')
  })

  it('FT-W29: lets two sessions of one base id work side by side', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 2 })
    await world.join('one', { baseId: 'same' })
    await world.join('two', { baseId: 'same' })
    const first = await world.takeOne(1, { session: 'one' })
    const second = await world.takeOne(1, { session: 'two' })
    expect(await world.settle(first, 'succeeded')).toBe('ok')
    expect(await world.settle(second, 'succeeded')).toBe('ok')
  })

  it('hands everything back unspent when it is closed', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 4, maxLosses: 0 })
    await world.join('leaver')
    const grant = await world.takeOne(3, { session: 'leaver' })
    await world.settle(grant, 'succeeded', [1])
    await world.backend.session({ kind: 'close', session: 'leaver' })
    expect(await world.settle(grant, 'succeeded', [0, 2])).toBe('fenced')
    const next = await world.takeOne()
    expect(next).toMatchObject({
      indexes: Uint32Array.of(0, 2, 3),
      errors: Uint8Array.of(0, 0, 0),
      losses: Uint8Array.of(0, 0, 0),
    })
  })

  it('X5: grants what a vanished session held to another, and counts the loss', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 4 })
    const lost = await world.takeAndVanish(3)
    expect(await world.news('mortal')).toContainEqual({ kind: 'lost', gid: 'run/0', token: lost.token })
    const next = await world.takeOne()
    expect(next).toMatchObject({
      indexes: Uint32Array.of(0, 1, 2, 3),
      errors: Uint8Array.of(0, 0, 0, 0),
      losses: Uint8Array.of(1, 1, 1, 0),
    })
    expect(texts(next.inputs)).toEqual(['i0', 'i1', 'i2', 'i3'])
  })

  it('reclaims only what was still held', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0')
    await world.join('mortal', { ttlMs: SHORT_TTL_MS })
    const grant = await world.takeOne(3, { session: 'mortal' })
    await world.settle(grant, 'succeeded', [1])
    await world.liveUntil(async () => (await world.queue())?.ready === 2)
    expect(await world.settle(grant, 'succeeded', [1])).toBe('dup')
    expect(world.names(await world.take())).toEqual(['run/0#0', 'run/0#2'])
  })

  it('does not lose a session that renews', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0')
    await world.join('alive', { ttlMs: SHORT_TTL_MS })
    const grant = await world.takeOne(3, { session: 'alive' })
    for (let i = 0; i < 6; i++) {
      await world.live(100)
      expect(await world.backend.session({ kind: 'renew', session: 'alive', ttlMs: SHORT_TTL_MS })).toEqual({
        status: 'ok',
      })
    }
    expect(await world.settle(grant, 'succeeded')).toBe('ok')
  })

  it('X6, FT-W17: makes a branch dead when its workers were lost more often than it allows', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 2, maxLosses: 1, attempts: 5 })
    await world.takeAndVanish(1, 'first')
    expect(await world.state('run/0')).toBe('open')
    await world.takeAndVanish(1, 'second')
    expect(await world.outcomes('run/0')).toEqual(['dead:'])
    expect(await world.backend.inspect.deadLetters(9)).toMatchObject([
      { gid: 'run/0', index: 0, kind: 'dead', errors: 0, losses: 2, input: bytes('i0'), error: bytes('') },
    ])
    await world.settle(await world.takeOne(), 'succeeded')
    expect(await world.outcomes('run/0')).toEqual(['dead:', 'succeeded:v1'])
    expect(await world.state('run/0')).toBe('released')
  })

  it('takes a dead branch for a failure where the first one releases', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 2, maxLosses: 0, rule: 'first-failure' })
    await world.takeAndVanish(1)
    expect(await world.outcomes('run/0')).toEqual(['dead:', 'skipped'])
  })

  it('X6: keeps losses and errors apart', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 1, maxLosses: 1, attempts: 2 })
    await world.takeAndVanish(1)
    await world.settle(await world.takeOne(), 'retry')
    expect(await world.takeOne()).toMatchObject({ errors: Uint8Array.of(1), losses: Uint8Array.of(1) })
  })

  it('P2a: abandons a started run when its driver is gone, and lets its groups go on', async () => {
    const world = await useWorld()
    await world.join('mortal', { ttlMs: SHORT_TTL_MS })
    const holder = await world.start('run', { session: 'mortal' })
    await world.dispatch(holder, 'run/0')
    await world.liveUntil(async () => (await world.backend.inspect.run('run'))?.state === 'abandoned')
    expect(await world.backend.inspect.run('run')).toMatchObject({ driver: undefined, endedAt: undefined })
    expect(await world.take(5, { queues: ['runs'] })).toEqual([])
    expect(await world.step(holder, {})).toEqual({ status: 'fenced' })
    await world.settle(await world.takeOne(), 'succeeded')
    expect(await world.outcomes('run/0')).toEqual(['succeeded:v0', 'succeeded:v1', 'succeeded:v2'])
  })

  it('abandons a started run when its driver closes', async () => {
    const world = await useWorld()
    await world.join('leaver')
    await world.start('run', { session: 'leaver' })
    await world.backend.session({ kind: 'close', session: 'leaver' })
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'abandoned' })
    expect(
      await world.backend.control({ kind: 'cancel-run', runId: 'run', reason: 'nobody wants it', value: bytes('c') }),
    ).toBe('ok')
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'cancelled' })
  })

  it('P2a: deletes an abandoned run when its retention ends', async () => {
    const world = await useWorld()
    await world.join('leaver')
    const holder = await world.start('run', { session: 'leaver', retentionMs: 200 })
    await world.dispatch(holder, 'run/0')
    await world.backend.session({ kind: 'close', session: 'leaver' })
    await world.live(400)
    expect(await world.backend.inspect.run('run')).toBeUndefined()
    expect(await world.backend.inspect.outcomes('run/0', 0)).toBeUndefined()
    expect(await world.take()).toEqual([])
  })

  it('P2: gives a submitted run to another driver, under a new token, with its groups as they are', async () => {
    const world = await useWorld()
    await world.backend.open(world.openRequest('run'))
    await world.join('mortal', { ttlMs: SHORT_TTL_MS })
    const first = await world.takeOne(1, { session: 'mortal', queues: ['runs'] })
    const old = { gid: 'run', index: 0, token: first.token }
    await world.dispatch(old, 'run/0')
    await world.liveUntil(async () => (await world.queue('runs'))?.ready === 1)
    const second = await world.takeOne(1, { queues: ['runs'] })
    expect([...second.losses]).toEqual([1])
    expect(await world.step(old, { end: { state: 'completed', value: bytes('zombie') } })).toEqual({ status: 'fenced' })
    const current = { ...old, token: second.token }
    await world.settle(await world.takeOne(), 'succeeded')
    const step = { group: { spec: world.spec('run/0'), from: 0, inputs: first.inputs } }
    expect(await world.step(current, step)).toEqual({ status: 'done' })
    expect(await world.step(current, { end: { state: 'completed', value: bytes('x') } })).toEqual({
      status: 'ok',
      fill: 0,
    })
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'completed', value: bytes('x') })
  })

  it('fails a submitted run with an empty value when its drivers were lost too often', async () => {
    const world = await useWorld()
    await world.backend.open(world.openRequest('run', { maxLosses: 0 }))
    await world.join('mortal', { ttlMs: SHORT_TTL_MS })
    const grant = await world.takeOne(1, { session: 'mortal', queues: ['runs'] })
    await world.dispatch({ gid: 'run', index: 0, token: grant.token }, 'run/0')
    await world.liveUntil(async () => (await world.backend.inspect.run('run'))?.state === 'failed')
    expect(await world.backend.inspect.run('run')).toMatchObject({ value: bytes('') })
    expect(await world.state('run/0')).toBe('withdrawn')
  })

  it('FT-W4: names the grants that it owns and did not know', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 5 })
    const known = await world.takeOne(2)
    const unheard = await world.takeOne(2)
    await world.settle(unheard, 'succeeded', [2])
    const request = { kind: 'reconcile', session: 'w', known: [{ gid: 'run/0', token: known.token }] } as const
    const answer = await world.backend.session(request)
    expect(answer).toMatchObject({
      status: 'reconciled',
      lost: [],
      unknown: [{ token: unheard.token, indexes: Uint32Array.of(3) }],
    })
    if (answer.status !== 'reconciled' || answer.unknown[0] === undefined) throw new Error('expected a grant')
    expect(texts(answer.unknown[0].inputs)).toEqual(['i3'])
    expect(await world.backend.session(request)).toEqual(answer)
    expect(await world.settle(answer.unknown[0], 'released')).toBe('ok')
    expect(await world.backend.session(request)).toEqual({ status: 'reconciled', unknown: [], lost: [] })
  })

  it('names the grants that it knew and no longer owns', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0')
    await world.dispatch(holder, 'run/1')
    const [first, second] = await world.take()
    if (first === undefined || second === undefined) throw new Error('expected two grants')
    await world.backend.control({ kind: 'withdraw-group', holder, gid: 'run/0' })
    const known = [first, second].map(({ token, spec }) => ({ gid: spec.gid, token }))
    expect(await world.backend.session({ kind: 'reconcile', session: 'w', known })).toEqual({
      status: 'reconciled',
      unknown: [],
      lost: [first.token],
    })
    expect(await world.backend.session({ kind: 'reconcile', session: 'nobody', known })).toEqual({
      status: 'nosession',
    })
  })

  it('comes back after it was taken for dead, as somebody new', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 1 })
    const old = await world.takeAndVanish(1, 'phoenix')
    expect(await world.backend.session({ kind: 'renew', session: 'phoenix', ttlMs: 60_000 })).toEqual({
      status: 'nosession',
    })
    expect(await world.backend.acquire(world.acquireRequest({ session: 'phoenix' }))).toEqual({ status: 'nosession' })
    await world.join('phoenix')
    const current = await world.takeOne(1, { session: 'phoenix' })
    expect(await world.settle(old, 'succeeded')).toBe('fenced')
    expect(await world.settle(current, 'succeeded')).toBe('ok')
  })

  it('lives until it is closed when its time to live is endless', async () => {
    const world = await useWorld()
    await world.join('endless', { ttlMs: Number.POSITIVE_INFINITY })
    await world.live(500)
    expect(await world.backend.session({ kind: 'close', session: 'endless' })).toEqual({ status: 'ok' })
  })
}
