/** Parked branches: nobody holds them, and they are ready when what they wait for is there. */
import type { Grant, Holder, Park, SettleAnswer, WaitRequest } from '../../lib/backend/backend.js'
import { bytes, inputsFor, type UseWorld, type World } from '../support/world.js'

const waitFor = (place: string, facts: Partial<WaitRequest> = {}): WaitRequest => ({
  place,
  address: 'ok',
  onDue: bytes('nobody'),
  isRepeated: false,
  ...facts,
})

/** What a queue has in which nothing stands; one in which nothing has stood is not told. */
const NOTHING = { ready: 0, delayed: 0, granted: 0 }

const park = (world: World, grant: Grant, parks: readonly Park[], indexes?: readonly number[]): Promise<SettleAnswer> =>
  world.settle(grant, 'parked', indexes, { parks })

/** Parks the root branch of a run that its driver holds. */
async function parkRun(world: World, holder: Holder, what: Park): Promise<SettleAnswer | undefined> {
  const range = { gid: holder.gid, token: holder.token, indexes: [0], kinds: ['parked'] as const, parks: [what] }
  const [answer] = await world.backend.settle({
    session: 'driver',
    ranges: [{ ...range, values: { bytes: bytes(''), ends: Uint32Array.of(0) } }],
  })
  return answer
}

const signal = (world: World, address = 'ok') =>
  world.backend.signal({ runId: 'run', address, payload: bytes('yes'), nonce: world.nonce() })
const takeRun = (world: World) => world.take(1, { queues: ['runs'] })
const stateOf = async (world: World) => (await world.backend.inspect.run('run'))?.state

export function describeParking(useWorld: UseWorld): void {
  it('T1: is held by nobody and in no queue while it waits; a signal makes it ready', async () => {
    const world = await useWorld()
    const holder = await world.start('run', { ifLost: 'take-over' })
    expect(await parkRun(world, holder, { wait: waitFor('1') })).toBe('ok')
    expect(await parkRun(world, holder, { wait: waitFor('1') })).toBe('dup')
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'waiting', driver: undefined })
    expect((await world.backend.inspect.runs({ states: ['waiting'], limit: 9 })).items).toHaveLength(1)
    expect((await world.queue('runs')) ?? NOTHING).toEqual(NOTHING)
    expect(await takeRun(world)).toEqual([])
    expect(await world.backend.take({ session: 'w', nonce: world.nonce(), runId: 'run' })).toEqual({
      status: 'waiting',
    })
    expect(await world.step(holder, {})).toEqual({ status: 'fenced' })
    expect(await signal(world)).toBe('ok')
    expect(await stateOf(world)).toBe('pending')
    const [grant] = await takeRun(world)
    expect(grant).toMatchObject({ isAgain: true, losses: Uint8Array.of(0), errors: Uint8Array.of(0) })
    expect(await stateOf(world)).toBe('running')
    const next = { ...holder, token: grant?.token ?? '' }
    const value = bytes('syes')
    expect(await world.step(next, { wait: waitFor('1') })).toMatchObject({ wait: { status: 'answered', value } })
  })

  it('T1: is ready when its time has come, and an acquire finds out for itself', async () => {
    const world = await useWorld()
    const holder = await world.start('run', { ifLost: 'take-over' })
    await parkRun(world, holder, { wait: waitFor('1', { dueMs: 200, address: undefined as never }) })
    const answer = await world.backend.acquire(world.acquireRequest())
    expect(answer).toMatchObject({ status: 'ok', nextDueMs: expect.any(Number) as number })
    if (answer.status === 'ok') expect(answer.nextDueMs).toBeLessThanOrEqual(200)
    expect(await takeRun(world)).toEqual([])
    await world.harness.advance(210)
    await takeRun(world).then(async (grants) => {
      // a store may first say that there is more: of a kind that the session has not met
      expect(world.names(grants.length > 0 ? grants : await takeRun(world))).toEqual(['run#0'])
    })
    expect(await world.backend.inspect.output('run', '1/!')).toEqual(bytes('dnobody'))
  })

  it('T8: is ready at the first sweep after its time', async () => {
    const world = await useWorld()
    const holder = await world.start('run', { ifLost: 'take-over' })
    await parkRun(world, holder, { wait: waitFor('1', { dueMs: 100 }) })
    await world.backend.session({ kind: 'close', session: 'driver' })
    await world.liveUntil(async () => (await stateOf(world)) === 'pending')
    expect(world.names(await takeRun(world))).toEqual(['run#0'])
  })

  it('is ready at once where the answer is there, or the group it waits for is closed', async () => {
    const world = await useWorld()
    const holder = await world.start('run', { ifLost: 'take-over' })
    await signal(world)
    expect(await parkRun(world, holder, { wait: waitFor('1') })).toBe('ok')
    const [grant] = await takeRun(world)
    const next = { ...holder, token: grant?.token ?? '' }
    await world.dispatch(next, 'run/0', { size: 1 })
    await world.settle(await world.takeOne(), 'succeeded')
    expect(await world.settle(grant as Grant, 'parked', [0], { parks: [{ until: 'run/0' }] })).toBe('ok')
    expect(world.names(await takeRun(world))).toEqual(['run#0'])
  })

  it('T2: tells the holder when all that is left of its group is parked, and wakes it with the end of the group', async () => {
    const world = await useWorld()
    const holder = await world.start('run', { ifLost: 'take-over' })
    const spec = await world.dispatch(holder, 'run/0', { size: 2 })
    const grant = await world.takeOne()
    await park(world, grant, [{ wait: waitFor('0/0') }], [0])
    expect(await world.news('driver')).toEqual([])
    await world.settle(grant, 'succeeded', [1])
    expect(await world.news('driver')).toEqual([{ kind: 'idle', gid: 'run/0' }])
    const met = await world.step(holder, { group: { spec, from: 0, inputs: inputsFor(spec) } })
    expect(met).toMatchObject({ status: 'ok', fill: 2, isIdle: true })
    expect(await parkRun(world, holder, { until: 'run/0' })).toBe('ok')
    expect(await stateOf(world)).toBe('waiting')
    const [group] = await world.backend.inspect.groups('run')
    expect(group).toMatchObject({ ready: 0, granted: 0, delayed: 1, succeeded: 1 })
    await signal(world)
    const again = await world.takeOne()
    expect(again).toMatchObject({ isAgain: true, indexes: Uint32Array.of(0) })
    expect(await stateOf(world)).toBe('waiting')
    await world.settle(again, 'succeeded')
    expect(await stateOf(world)).toBe('pending')
    expect(world.names(await takeRun(world))).toEqual(['run#0'])
    expect(await world.outcomes('run/0')).toEqual(['succeeded:v0', 'succeeded:v1'])
  })

  it('T5: keeps each branch apart, and withdraws those that still wait', async () => {
    const world = await useWorld()
    const holder = await world.start('run', { ifLost: 'take-over' })
    await world.dispatch(holder, 'run/0', { size: 3, rule: 'first-success', limit: 1 })
    for (const index of [0, 1, 2]) {
      await park(world, await world.takeOne(1), [
        { wait: waitFor(`0/${index}`, { address: `ok#${index}`, dueMs: 60_000 }) },
      ])
    }
    expect(await world.queue()).toEqual({ ready: 0, delayed: 0, granted: 0 })
    await signal(world, 'ok#1')
    await world.settle(await world.takeOne(), 'succeeded')
    expect(await world.outcomes('run/0')).toEqual(['cancelled', 'succeeded:v1', 'cancelled'])
    expect(await world.backend.inspect.openWaits('run')).toEqual([])
    expect(await signal(world, 'ok#0')).toBe('late')
    expect(await world.take()).toEqual([])
  })

  it('wakes a branch at the deadline of what stands around the wait, with nothing answered', async () => {
    const world = await useWorld()
    const holder = await world.start('run', { ifLost: 'take-over' })
    await parkRun(world, holder, { wait: waitFor('1'), dueMs: 100 })
    await world.liveUntil(async () => (await stateOf(world)) === 'pending')
    const [grant] = await takeRun(world)
    expect(await world.backend.inspect.openWaits('run')).toMatchObject([{ place: '1' }])
    expect(await world.settle(grant as Grant, 'parked', [0], { parks: [{ wait: waitFor('1') }] })).toBe('ok')
    await signal(world)
    expect(world.names(await takeRun(world))).toEqual(['run#0'])
  })

  it('T6: is cancelled at once, and ends at the timeout of its run', async () => {
    const world = await useWorld()
    const holder = await world.start('run', { ifLost: 'take-over' })
    const { seen, stop } = world.watch('run')
    await world.backend.control({ kind: 'resume-run', runId: 'run' }) // waits until it is watched
    await parkRun(world, holder, { wait: waitFor('1', { dueMs: 60_000 }) })
    const cancel = { kind: 'cancel-run', runId: 'run', reason: 'r', value: bytes('v') } as const
    expect(await world.backend.control(cancel)).toBe('ok')
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'cancelled', cancelReason: 'r' })
    expect(await signal(world)).toBe('over')
    await world.heard('w')
    expect(seen.filter(({ kind }) => kind === 'state')).toHaveLength(2)
    stop()
    const other = await world.start('other', { ifLost: 'take-over', timeoutMs: 100 })
    await parkRun(world, other, { wait: waitFor('1') })
    await world.liveUntil(async () => (await world.backend.inspect.run('other'))?.state === 'failed')
  })

  it('T6: takes its signal while the run is paused, and goes on after that', async () => {
    const world = await useWorld()
    const holder = await world.start('run', { ifLost: 'take-over' })
    await parkRun(world, holder, { wait: waitFor('1') })
    await world.backend.control({ kind: 'pause-run', runId: 'run' })
    expect(await stateOf(world)).toBe('paused')
    expect(await world.backend.take({ session: 'w', nonce: world.nonce(), runId: 'run' })).toEqual({ status: 'paused' })
    expect(await signal(world)).toBe('ok')
    expect(await takeRun(world)).toEqual([])
    expect(await stateOf(world)).toBe('paused')
    await world.backend.control({ kind: 'resume-run', runId: 'run' })
    expect(await stateOf(world)).toBe('pending')
    expect(world.names(await takeRun(world))).toEqual(['run#0'])
  })

  it('gives a run that is left behind to nobody but who asks for it by its id, and only for its retention', async () => {
    const world = await useWorld()
    const holder = await world.start('run', { retentionMs: 300 })
    await parkRun(world, holder, { wait: waitFor('1') })
    await world.live(400)
    expect(await stateOf(world)).toBe('waiting')
    await signal(world)
    expect(await stateOf(world)).toBe('pending')
    expect(await takeRun(world)).toEqual([])
    const answer = await world.backend.take({ session: 'driver', nonce: world.nonce(), runId: 'run' })
    if (answer.status !== 'ok') throw new Error(`take answered ${answer.status}`)
    expect(answer.grant).toMatchObject({ isAgain: true })
    await world.live(400)
    expect(await stateOf(world)).toBe('running')
    expect((await world.queue('runs')) ?? NOTHING).toEqual(NOTHING)
    await world.settle(answer.grant, 'parked', [0], { parks: [{ wait: waitFor('2', { dueMs: 1 }) }] })
    await world.liveUntil(async () => (await world.backend.inspect.run('run')) === undefined)
  })

  it('asks of its next driver what is left of the run, and counts no start', async () => {
    const world = await useWorld()
    const answer = await world.backend.open(world.openRequest('run', { tasks: ['drive', 'task'] }))
    expect(answer.status).toBe('ok')
    const [grant] = await takeRun(world)
    await world.step({ gid: 'run', index: 0, token: grant?.token ?? '' }, { rest: ['second'] })
    await world.settle(grant as Grant, 'parked', [0], { parks: [{ wait: waitFor('1') }] })
    await signal(world)
    expect(await takeRun(world)).toEqual([])
    await world.join('able', { tasks: ['second'] })
    const [next] = await world.take(1, { session: 'able', queues: ['runs'] })
    expect(next).toMatchObject({ losses: Uint8Array.of(0), errors: Uint8Array.of(0) })
  })

  it('parks again and again, and is lost as ever while somebody holds it', async () => {
    const world = await useWorld()
    const holder = await world.start('run', { ifLost: 'take-over' })
    await world.dispatch(holder, 'run/0', { size: 40 })
    const grant = await world.takeOne()
    const places = [...grant.indexes].map((index) => ({ wait: waitFor(`0/${index}`, { address: `ok#${index}` }) }))
    expect(await park(world, grant, places)).toBe('ok')
    expect(await world.backend.inspect.openWaits('run')).toHaveLength(40)
    await signal(world, 'ok#39')
    const woken = await world.takeAndVanish()
    expect([...woken.indexes]).toEqual([39])
    const lost = await world.takeOne()
    expect(lost).toMatchObject({ indexes: Uint32Array.of(39), losses: Uint8Array.of(1) })
    expect(await park(world, lost, [{ dueMs: 1 }])).toBe('ok')
    await world.liveUntil(async () => (await world.queue())?.ready === 1)
    expect(await world.takeOne()).toMatchObject({ indexes: Uint32Array.of(39), losses: Uint8Array.of(1) })
  })
}
