/** The sweep: any process, any time, and nothing is taken that its holder could have kept. */
import { bytes, SHORT_TTL_MS, type UseWorld, packed } from '../support/world.js'

export function describeSweep(useWorld: UseWorld): void {
  it('skips when another did it within 100 ms', async () => {
    const world = await useWorld()
    await world.harness.advance(150)
    expect((await world.backend.sweep('w')).status).toBe('ok')
    expect(await world.backend.sweep('w')).toEqual({ status: 'skip' })
    expect(await world.backend.sweep('driver')).toEqual({ status: 'skip' })
    await world.harness.advance(150)
    expect((await world.backend.sweep('w')).status).toBe('ok')
  })

  it('FT-R2: does no harm when many sweep at once', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 20, maxLosses: 1 })
    await world.takeAndVanish(10)
    for (let i = 0; i < 5; i++) {
      await Promise.all(['w', 'driver', 'w', 'driver', 'w'].map((session) => world.backend.sweep(session)))
      await world.harness.advance(20)
    }
    const grant = await world.takeOne()
    expect([...grant.losses].filter((losses) => losses === 1)).toHaveLength(10)
    expect(await world.queue()).toEqual({ ready: 0, delayed: 0, granted: 20 })
  })

  it('FT-R4: leaves alone what was settled before it came', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { maxLosses: 0 })
    await world.join('mortal', { ttlMs: SHORT_TTL_MS })
    const grant = await world.takeOne(3, { session: 'mortal' })
    await world.harness.stall(SHORT_TTL_MS)
    await world.settle(grant, 'succeeded')
    await world.live(800)
    expect(await world.outcomes('run/0')).toEqual(['succeeded:v0', 'succeeded:v1', 'succeeded:v2'])
    expect(await world.backend.inspect.deadLetters(9)).toEqual([])
  })

  it('FT-W11: reclaims a start past its deadline as an error, after a grace', async () => {
    const world = await useWorld({ deadlineGraceMs: 200 })
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 2, attempts: 2, timeoutMs: 100 })
    const hung = await world.takeOne(1)
    await world.live(200)
    expect(await world.state('run/0')).toBe('open')
    expect(await world.queue()).toEqual({ ready: 1, delayed: 0, granted: 1 })
    await world.live(200)
    expect(await world.queue()).toEqual({ ready: 2, delayed: 0, granted: 0 })
    expect(await world.news('w')).toContainEqual({ kind: 'lost', gid: 'run/0', token: hung.token })
    expect(await world.settle(hung, 'succeeded')).toBe('fenced')
    expect(await world.takeOne(1)).toMatchObject({
      indexes: Uint32Array.of(0),
      errors: Uint8Array.of(1),
      losses: Uint8Array.of(0),
    })
    await world.live(400)
    expect(await world.outcomes('run/0')).toEqual(['failed:'])
    expect(await world.backend.inspect.deadLetters(9)).toMatchObject([
      { kind: 'failed', index: 0, errors: 2, error: bytes('') },
    ])
  })

  it('accepts a result past the deadline while nobody has taken the branch back', async () => {
    const world = await useWorld({ deadlineGraceMs: 100 })
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 1, timeoutMs: 100 })
    const grant = await world.takeOne(1)
    await world.harness.stall(300)
    expect(await world.settle(grant, 'succeeded')).toBe('ok')
  })

  it.each([
    ['opened a group', { isFork: true }],
    ['saved an output', { isFork: false }],
  ])('keeps the deadline of a start whose holder %s, since its event loop may stand still', async (_, { isFork }) => {
    const world = await useWorld({ deadlineGraceMs: 100 })
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 2, attempts: 1, timeoutMs: 100 })
    const grant = await world.takeOne()
    const own = { gid: 'run/0', index: 0, token: grant.token }
    if (isFork) await world.dispatch(own, 'run/0/0', { queue: 'inner', depth: 2 })
    else await world.step(own, { save: { paths: ['0'], values: packed('saved') } })
    await world.live(400)
    expect(await world.outcomes('run/0')).toEqual(['failed:', 'failed:'])
  })

  it('has no deadline for a start whose holder says that no task is in hand, until it is started again', async () => {
    const world = await useWorld({ deadlineGraceMs: 100 })
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 2, attempts: 1, timeoutMs: 100 })
    const grant = await world.takeOne()
    const own = { gid: 'run/0', index: 0, token: grant.token }
    expect(await world.step(own, { task: 'none' })).toEqual({ status: 'ok', fill: 0 })
    await world.live(400)
    expect(await world.outcomes('run/0')).toEqual(['-', 'failed:'])
    expect(await world.settle(grant, 'released', [0])).toBe('ok')
    await world.takeOne(1)
    await world.live(400)
    expect(await world.outcomes('run/0')).toEqual(['failed:', 'failed:'])
  })

  it('promotes retries that are due', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { attempts: 2 })
    await world.settle(await world.takeOne(), 'retry', undefined, { delaysMs: [100, 200, 60_000] })
    await world.live(300)
    expect(await world.queue()).toEqual({ ready: 2, delayed: 1, granted: 0 })
  })

  it('FT-R6: takes nothing back for a while when the store stood still and nobody could renew', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { maxLosses: 0 })
    await world.join('alive', { ttlMs: SHORT_TTL_MS })
    const grant = await world.takeOne(3, { session: 'alive' })
    await world.live(200)
    await world.harness.stall(2_000)
    expect(await world.backend.sweep('w')).toEqual({ status: 'grace' })
    expect(await world.backend.session({ kind: 'renew', session: 'alive', ttlMs: SHORT_TTL_MS })).toEqual({
      status: 'ok',
    })
    for (let i = 0; i < 5; i++) {
      await world.live(100)
      await world.backend.session({ kind: 'renew', session: 'alive', ttlMs: SHORT_TTL_MS })
    }
    expect(await world.settle(grant, 'succeeded')).toBe('ok')
    expect(await world.outcomes('run/0')).toEqual(['succeeded:v0', 'succeeded:v1', 'succeeded:v2'])
  })

  it('FT-R5: reclaims after the grace what nobody renewed', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { maxLosses: 1 })
    await world.join('mortal', { ttlMs: SHORT_TTL_MS })
    await world.takeOne(3, { session: 'mortal' })
    await world.live(200)
    await world.harness.stall(2_000)
    expect(await world.backend.sweep('w')).toEqual({ status: 'grace' })
    expect(await world.queue()).toEqual({ ready: 0, delayed: 0, granted: 3 })
    await world.liveUntil(async () => (await world.queue())?.ready === 3)
    expect([...(await world.takeOne()).losses]).toEqual([1, 1, 1])
  })

  it('FT-R9: reclaims many branches bit by bit, and all of them', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    const size = 1_000
    await world.dispatch(holder, 'run/0', { size })
    await world.join('mortal', { ttlMs: SHORT_TTL_MS })
    for (let i = 0; i < 10; i++) await world.takeOne(100, { session: 'mortal' })
    await world.liveUntil(async () => (await world.queue())?.ready === size)
    let taken = 0
    for (let grants = await world.take(256); grants.length > 0; grants = await world.take(256)) {
      for (const { losses } of grants) taken += losses.reduce((sum, loss) => sum + loss, 0)
    }
    expect(taken).toBe(size)
  })

  it('FT-R9: reclaims many starts past their deadline bit by bit, and all of them', async () => {
    const world = await useWorld({ deadlineGraceMs: 100 })
    const holder = await world.start('run')
    const size = 1_000
    await world.dispatch(holder, 'run/0', { size, attempts: 2, timeoutMs: 100 })
    await world.take(400)
    await world.take(600)
    await world.liveUntil(async () => (await world.queue())?.ready === size)
    expect(await world.queue()).toEqual({ ready: size, delayed: 0, granted: 0 })
  })

  it('deletes group payloads a while after the end, and the record after its retention', async () => {
    const world = await useWorld({ payloadRetentionMs: 100 })
    const holder = await world.start('run', { retentionMs: 400, idempotencyKey: 'key' })
    await world.dispatch(holder, 'run/0')
    await world.step(holder, { save: { paths: ['0'], values: { bytes: bytes('a'), ends: Uint32Array.of(1) } } })
    await world.settle(await world.takeOne(), 'succeeded')
    await world.step(holder, { end: { state: 'completed', value: bytes('result') } })
    expect(await world.outcomes('run/0')).toHaveLength(3)
    await world.live(200)
    expect(await world.backend.inspect.outcomes('run/0', 0)).toBeUndefined()
    expect(await world.backend.inspect.groups('run')).toEqual([])
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'completed', value: bytes('result') })
    expect((await world.backend.inspect.saved('run', '')).paths).toEqual(['0'])
    await world.live(400)
    expect(await world.backend.inspect.run('run')).toBeUndefined()
    expect((await world.backend.inspect.saved('run', '')).paths).toEqual([])
    await world.start('run', { idempotencyKey: 'key', digest: 'another' })
  })

  it('keeps how many branches a run had, and what dispatched them, when its groups go', async () => {
    const world = await useWorld({ payloadRetentionMs: 100 })
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 2 })
    const grant = await world.takeOne()
    const branch = { gid: 'run/0', index: 0, token: grant.token }
    await world.dispatch(branch, 'run/0/0', { size: 1, depth: 2, isForwarded: true })
    await world.settle(await world.takeOne(), 'succeeded')
    await world.dispatch(branch, 'run/0/0/~0', { size: 3, depth: 2 })
    await world.settle(await world.takeOne(), 'succeeded')
    await world.settle(grant, 'succeeded')
    await world.dispatch(holder, 'run/1', { size: 4, rule: 'first-failure' })
    const few = await world.takeOne(2)
    await world.settle(few, 'succeeded', [0])
    await world.settle(few, 'failed', [1])
    for (let step = 1; step <= 250; step += 1) {
      await world.dispatch(holder, `run/${String(step)}/~0`, { size: 1 })
      await world.settle(await world.takeOne(), 'succeeded')
    }
    expect((await world.backend.inspect.run('run'))?.purged).toBeUndefined()
    await world.step(holder, { end: { state: 'completed', value: bytes('result') } })
    await world.liveUntil(async () => (await world.backend.inspect.groups('run')).length === 0)
    const steps = Array.from({ length: 250 }, (_, i) => String(i + 1))
    expect((await world.backend.inspect.run('run'))?.purged).toEqual({
      branches: 2 + 3 + 4 + 250,
      withdrawn: 2,
      dispatchers: ['', ...steps.slice(0, 99), ...steps.slice(-100)],
    })
  })

  it('tells when the next thing is due', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 1, attempts: 2 })
    await world.settle(await world.takeOne(), 'retry', [0], { delaysMs: [300] })
    await world.harness.advance(120)
    const answer = await world.backend.sweep('w')
    if (answer.status !== 'ok') throw new Error(`expected ok, got ${answer.status}`)
    expect(answer).toMatchObject({ reclaimed: 0 })
    expect(answer.nextDueMs).toBeLessThanOrEqual(180)
  })
}
