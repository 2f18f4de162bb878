/** Runs that have ended and go on: what is kept of them, who may go on with them, and that nothing from before counts. */
import type { Grant, GroupSpec, Holder, ReopenRequest, StepAnswer } from '../../lib/backend/backend.js'
import { bytes, inputsFor, packed, texts, type UseWorld, type World } from '../support/world.js'

const reopen = (world: World, facts: Partial<ReopenRequest> = {}) =>
  world.backend.reopen({ runId: 'run', nonce: world.nonce(), ...facts })

const fail = (world: World, holder: Holder) => world.step(holder, { end: { state: 'failed', value: bytes('no') } })

/** The run was given to the worker. */
async function drivenAgain(world: World): Promise<Holder> {
  const grant = await world.takeOne(1, { queues: ['runs'], capabilities: ['layout:4'] })
  expect(grant).toMatchObject({ isAgain: true })
  expect(texts(grant.inputs)).toEqual(['input'])
  return { gid: 'run', index: 0, token: grant.token }
}

const meet = (world: World, holder: Holder, spec: GroupSpec, isReopened?: true): Promise<StepAnswer> =>
  world.step(holder, { group: { spec, from: 0, inputs: inputsFor(spec), ...(isReopened && { isReopened }) } })

const inputsOf = (grant: Grant): string[] => texts(grant.inputs)

export function describeReopen(useWorld: UseWorld): void {
  it.each([3, 40, 300])('O1: goes on with the branches of a group of %i that did not succeed', async (size) => {
    const world = await useWorld()
    const old = await world.start('run')
    await world.step(old, { save: { paths: ['0'], values: packed('saved') } })
    const spec = await world.dispatch(old, 'run/1', { size, rule: 'first-failure' })
    const grant = await world.takeOne(2)
    await world.settle(grant, 'succeeded', [1])
    await world.settle(grant, 'failed', [0])
    await fail(world, old)
    expect(await reopen(world)).toBe('ok')
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'pending', retries: 1, driver: undefined })
    expect((await world.backend.inspect.run('run'))?.value).toBeUndefined()
    expect(await world.take(1, { queues: ['runs'] })).toEqual([]) // by a release of before
    const holder = await drivenAgain(world)
    expect(await world.backend.inspect.output('run', '0')).toEqual(bytes('saved'))
    expect(await world.step(old, {})).toEqual({ status: 'fenced' })
    expect(await meet(world, holder, spec)).toEqual({ status: 'done', isOld: true })
    expect(await meet(world, holder, spec, true)).toEqual({ status: 'ok', fill: size })
    expect(await meet(world, holder, spec, true)).toEqual({ status: 'ok', fill: size })
    expect((await world.outcomes('run/1')).filter((outcome) => outcome !== '-')).toEqual(['succeeded:v1'])
    expect(await world.queue()).toEqual({ ready: size - 1, delayed: 0, granted: 0 })
    const again = await world.takeOne(size)
    expect(again).toMatchObject({ isAgain: true })
    const others = [...again.indexes]
    expect(others).toEqual(Array.from({ length: size }, (_, i) => i).filter((i) => i !== 1))
    expect(inputsOf(again)).toEqual(others.map((i) => `i${i}`))
    expect(new Set([...again.errors, ...again.losses])).toEqual(new Set([0]))
    expect(await world.settle(grant, 'succeeded', [0])).toBe('fenced')
    expect(await world.settle(again, 'succeeded')).toBe('ok')
    expect(await world.state('run/1')).toBe('released')
    expect(await world.outcomes('run/1')).toEqual(Array.from({ length: size }, (_, i) => `succeeded:v${i}`))
    expect(await meet(world, holder, spec)).toEqual({ status: 'done' })
    expect(await world.step(holder, { end: { state: 'completed', value: bytes('x') } })).toMatchObject({ status: 'ok' })
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'completed', value: bytes('x') })
    expect(await world.queue('runs')).toEqual({ ready: 0, delayed: 0, granted: 0 })
  })

  it('keeps a group that fails once more, and then lets it succeed', async () => {
    const world = await useWorld()
    let holder = await world.start('run')
    const spec = await world.dispatch(holder, 'run/0')
    for (const succeeds of [0, 1]) {
      const grant = await world.takeOne()
      await world.settle(grant, 'succeeded', [succeeds])
      await world.settle(
        grant,
        'failed',
        [...grant.indexes].filter((i) => i !== succeeds),
      )
      await fail(world, holder)
      expect(await reopen(world)).toBe('ok')
      holder = await drivenAgain(world)
      expect(await meet(world, holder, spec, true)).toMatchObject({ status: 'ok', fill: 3 })
    }
    expect(await world.backend.inspect.run('run')).toMatchObject({ retries: 2 })
    expect(await world.backend.inspect.groups('run')).toMatchObject([{ succeeded: 2, failed: 0, ready: 1 }])
    const last = await world.takeOne()
    expect([...last.indexes]).toEqual([2])
    await world.settle(last, 'succeeded')
    expect(await world.outcomes('run/0')).toEqual(['succeeded:v0', 'succeeded:v1', 'succeeded:v2'])
  })

  it('is repeated by its nonce, and refused while the run goes on', async () => {
    const world = await useWorld()
    expect(await reopen(world)).toBe('gone')
    const holder = await world.start('run')
    expect(await reopen(world)).toBe('running')
    await fail(world, holder)
    expect(await reopen(world, { nonce: 'n' })).toBe('ok')
    expect(await reopen(world, { nonce: 'n' })).toBe('ok')
    expect(await reopen(world)).toBe('running')
    expect(await world.backend.inspect.run('run')).toMatchObject({ retries: 1 })
    expect(await world.queue('runs')).toEqual({ ready: 1, delayed: 0, granted: 0 })
    await drivenAgain(world)
  })

  it('is known by its nonce also after others: by the last 32', async () => {
    const world = await useWorld()
    let holder = await world.start('run')
    const nonces = Array.from({ length: 33 }, (_, i) => `nonce-${i}`)
    for (const nonce of nonces) {
      await fail(world, holder)
      expect(await reopen(world, { nonce })).toBe('ok')
      holder = await drivenAgain(world)
    }
    await fail(world, holder)
    for (const nonce of [...nonces].reverse().slice(0, 32)) expect(await reopen(world, { nonce })).toBe('ok')
    expect(await world.backend.inspect.run('run')).toMatchObject({
      ...{ state: 'failed', retries: 33 },
      reopenedBy: [...nonces].reverse().slice(0, 32),
    })
    expect(await reopen(world, { nonce: 'nonce-0' })).toBe('ok')
    expect(await world.backend.inspect.run('run')).toMatchObject({ retries: 34 })
  })

  it('O2: forgets outputs and groups, and does a branch again that had succeeded', async () => {
    const world = await useWorld()
    const old = await world.start('run')
    await world.step(old, { save: { paths: ['0', '2'], values: packed('a', 'c') } })
    const spec = await world.dispatch(old, 'run/1', { size: 2 })
    await world.settle(await world.takeOne(), 'succeeded')
    await world.dispatch(old, 'run/3', { size: 1 })
    await world.settle(await world.takeOne(), 'succeeded')
    await world.step(old, { retire: ['run/1'], end: { state: 'completed', value: bytes('x') } })
    const parts = { forget: ['2'], drop: ['run/3'] }
    expect(await reopen(world, { ...parts, isPartial: true })).toBe('ok')
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'completed', retries: 0 })
    expect(await reopen(world, { ...parts, need: ['drive'], redo: [{ gid: 'run/1', indexes: [1] }] })).toBe('ok')
    const holder = await drivenAgain(world)
    expect((await world.backend.inspect.saved('run', '')).paths).toEqual(['0'])
    expect((await world.backend.inspect.groups('run')).map(({ gid }) => gid)).toEqual(['run/1'])
    expect(await meet(world, holder, spec)).toEqual({ status: 'ok', fill: 2 })
    expect(await world.take()).toEqual([]) // by a release of before
    const again = await world.takeOne(2, { capabilities: ['layout:4'] })
    expect([...again.indexes]).toEqual([1])
    expect(inputsOf(again)).toEqual(['i1'])
    await world.settle(again, 'succeeded', [1], { values: packed('new') })
    expect(await world.outcomes('run/1')).toEqual(['succeeded:v0', 'succeeded:new'])
    await world.dispatch(holder, 'run/3', { size: 1 })
    expect((await world.takeOne()).spec.gid).toBe('run/3')
  })

  it('fills a group again in several steps', async () => {
    const world = await useWorld()
    const old = await world.start('run')
    const spec = await world.dispatch(old, 'run/0', { size: 50 })
    const grant = await world.takeOne()
    await world.settle(grant, 'succeeded', [7, 30])
    await fail(world, old)
    await reopen(world)
    const holder = await drivenAgain(world)
    const part = (from: number, to: number) =>
      world.step(holder, { group: { spec, from, inputs: inputsFor(spec, from, to), isReopened: true } })
    expect(await part(0, 20)).toEqual({ status: 'ok', fill: 20 })
    const first = await world.takeOne(5)
    expect([...first.indexes]).toEqual([0, 1, 2, 3, 4])
    expect(await part(20, 50)).toEqual({ status: 'ok', fill: 50 })
    const rest = await world.takeOne()
    expect(inputsOf(rest)).toEqual([...rest.indexes].map((i) => `i${i}`))
    expect(rest.indexes).toHaveLength(43)
    await world.settle(first, 'succeeded')
    await world.settle(rest, 'succeeded')
    expect(await world.outcomes('run/0')).toEqual(Array.from({ length: 50 }, (_, i) => `succeeded:v${i}`))
  })

  it('keeps what a failed run needs as long as its record, and of a completed one a while', async () => {
    const world = await useWorld({ payloadRetentionMs: 100 })
    const failed = await world.start('run')
    await fail(world, failed)
    const completed = await world.start('other')
    await world.step(completed, { end: { state: 'completed', value: bytes('x') } })
    await world.live(400)
    expect(await reopen(world, { runId: 'other' })).toBe('not-kept')
    expect(await reopen(world)).toBe('ok')
    await drivenAgain(world)
    await world.live(300)
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'running' })
  })

  it('parks a run that was reopened before its driver meets a group of before, and wakes it', async () => {
    const world = await useWorld()
    const old = await world.start('run')
    await world.dispatch(old, 'run/0', { size: 1 })
    await world.settle(await world.takeOne(), 'succeeded')
    await fail(world, old)
    expect(await reopen(world)).toBe('ok')
    const { gid, token } = await drivenAgain(world)
    const wait = { place: '1', address: 'ok', onDue: bytes('late'), isRepeated: false }
    const range = { gid, token, indexes: [0], kinds: ['parked'] as const, values: packed(''), parks: [{ wait }] }
    expect(await world.backend.settle({ session: 'w', ranges: [range] })).toEqual(['ok'])
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'waiting' })
    const signal = { runId: 'run', address: 'ok', payload: bytes('yes'), nonce: world.nonce() }
    expect(await world.backend.signal(signal)).toBe('ok')
    await drivenAgain(world)
    expect(await world.backend.inspect.output('run', '1/!')).toEqual(bytes('syes'))
    expect((await world.backend.inspect.groups('run')).map((group) => group.gid)).toEqual(['run/0'])
  })

  it('ends a run that was reopened when its time is over, and deletes one that nobody takes', async () => {
    const world = await useWorld()
    const holder = await world.start('run', { timeoutMs: 300, retentionMs: 300 })
    await fail(world, holder)
    await reopen(world)
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'pending' })
    await world.liveUntil(async () => (await world.backend.inspect.run('run'))?.state === 'failed')
    await world.liveUntil(async () => (await world.backend.inspect.run('run')) === undefined)
  })
}
