/** Runs that end with the barrier of their last group, and those whose driver has to end them. */
import type { Grant, GroupSpec, Holder, OpenRequest, RunRecord } from '../../lib/backend/backend.js'
import { bytes, inputsFor, packed, type UseWorld, type World } from '../support/world.js'

const ends = { endsRun: true } as const
/** A list of so many values, packed. */
const listOf = (...values: readonly string[]): Uint8Array =>
  Uint8Array.of(0x90 | values.length, ...bytes(values.join('')))

async function begun(world: World, spec: Partial<GroupSpec> = {}, run: Partial<OpenRequest> = {}) {
  const holder = await world.start('run', run)
  await world.dispatch(holder, 'run/0', { ...ends, ...spec })
  await world.news('driver')
  return holder
}

const record = async (world: World): Promise<RunRecord | undefined> => world.backend.inspect.run('run')

/** Nothing was ended by the store: the driver does it. */
async function expectDriven(world: World, holder: Holder): Promise<void> {
  expect(await record(world)).toMatchObject({ state: 'running' })
  const page = await world.backend.inspect.outcomes('run/0', 0)
  expect([page?.state, page?.hasEndedRun ?? false]).toEqual(['released', false])
  expect(await world.step(holder, { end: { state: 'completed', value: bytes('own') } })).toMatchObject({ status: 'ok' })
}

const settleAll = (world: World, grant: Grant): Promise<unknown> => world.settle(grant, 'succeeded')

export function describeBarrierEnds(useWorld: UseWorld): void {
  it.each([1, 3, 15])(
    'ends with a group of %i whose branches succeed at once: its result is their list',
    async (size) => {
      const world = await useWorld()
      const holder = await begun(world, { size })
      expect(await settleAll(world, await world.takeOne())).toBe('ok')
      expect(await world.news('driver')).toEqual([{ kind: 'released', gid: 'run/0' }])
      const values = Array.from({ length: size }, (_, i) => `v${i}`)
      const page = await world.backend.inspect.outcomes('run/0', 0)
      expect([page?.state, page?.hasEndedRun]).toEqual(['released', true])
      expect(await record(world)).toMatchObject({ state: 'completed', value: listOf(...values) })
      // a driver that does not know it says the same, and one that says something else is too late
      expect(await world.step(holder, { end: { state: 'completed', value: listOf(...values) } })).toEqual({
        status: 'done',
      })
      expect(await world.step(holder, { end: { state: 'completed', value: bytes('other') } })).toEqual({
        status: 'fenced',
      })
      expect(await world.step(holder, { end: { state: 'failed', value: bytes('e') } })).toEqual({ status: 'fenced' })
      const reconciled = await world.backend.session({ kind: 'reconcile', session: 'driver', known: [] })
      expect(reconciled).toMatchObject({ status: 'reconciled', unknown: [] })
      expect(await world.queue()).toEqual({ ready: 0, delayed: 0, granted: 0 })
      expect(await world.backend.inspect.totals()).toMatchObject({ ended: [{ state: 'completed', count: 1 }] })
    },
  )

  it('is ended by whoever takes it up: one that nobody holds', async () => {
    const world = await useWorld()
    await world.join('mortal', { role: 'client', queues: [] })
    await begun(world, {}, { session: 'mortal', ifLost: 'take-over' })
    const grant = await world.takeOne()
    await world.backend.session({ kind: 'close', session: 'mortal', reason: 'gone' })
    await settleAll(world, grant)
    expect(await world.state('run/0')).toBe('released')
    expect(await record(world)).toMatchObject({ driver: undefined })
    const root = await world.takeOne(1, { queues: ['runs'], capabilities: ['layout:4'] })
    expect(root.spec.gid).toBe('run')
  })

  it.each<[string, Partial<GroupSpec>, Partial<OpenRequest>]>([
    ['whose group is not said to be the last', { endsRun: undefined }, {}],
    ['with a deadline', {}, { timeoutMs: 60_000 }],
    ['that is not kept for a minute', {}, { retentionMs: 59_999 }],
    ['of more branches', { size: 16 }, {}],
  ])('is ended by its driver: one %s', async (_, spec, run) => {
    const world = await useWorld()
    const holder = await begun(world, spec, run)
    await settleAll(world, await world.takeOne())
    await expectDriven(world, holder)
  })

  it('is ended by its driver: one whose branches end in two calls, or out of order', async () => {
    for (const indexes of [[0], [1, 0, 2]]) {
      const world = await useWorld()
      const holder = await begun(world)
      const grant = await world.takeOne()
      await world.settle(grant, 'succeeded', indexes)
      if (indexes.length < 3) await world.settle(grant, 'succeeded', [1, 2])
      await expectDriven(world, holder)
    }
  })

  it('is ended by its driver: one with a branch that fails, also where all outcomes are wanted', async () => {
    const world = await useWorld()
    const holder = await begun(world, { size: 2 })
    const grant = await world.takeOne()
    await world.settleRange(world.range(grant, 'succeeded', [0, 1], { kinds: ['succeeded', 'failed'] }))
    await expectDriven(world, holder)
  })

  it('is ended by its driver: one that is paused', async () => {
    const world = await useWorld()
    const holder = await begun(world)
    const grant = await world.takeOne()
    await world.backend.control({ kind: 'pause-run', runId: 'run' })
    await settleAll(world, grant)
    expect(await record(world)).toMatchObject({ state: 'paused' })
    await world.backend.control({ kind: 'resume-run', runId: 'run' })
    await expectDriven(world, holder)
  })

  it.each<[string, Partial<GroupSpec>, string[]]>([
    ['with a value of no bytes', { size: 2 }, ['v', '']],
    ['with values of more than 2 KiB', { size: 2 }, ['v'.repeat(1_024), 'w'.repeat(1_025)]],
    ['with a value that cannot stand in a list as it is', { size: 2 }, ['v', '\u0093\u00a2\u0001groot']],
    ['whose list would be read as something else', { size: 3 }, ['\u00a2\u0001g', 'a', 'b']],
  ])('is ended by its driver, too: one %s', async (_, spec, given) => {
    const world = await useWorld()
    const holder = await begun(world, spec)
    const grant = await world.takeOne()
    await world.settleRange(world.range(grant, 'succeeded', undefined, { values: latin(given) }))
    await expectDriven(world, holder)
  })

  it('is ended by its driver: one that somebody watches', async () => {
    const world = await useWorld()
    const holder = await begun(world)
    const watched = world.watch('run')
    await world.backend.caughtUp('run')
    await settleAll(world, await world.takeOne())
    await world.backend.caughtUp('run')
    expect(watched.seen.map(({ kind }) => kind)).not.toContain('state')
    await expectDriven(world, holder)
    await world.backend.caughtUp('run')
    expect(watched.seen.at(-1)).toMatchObject({ kind: 'state' })
    watched.stop()
  })

  it('takes values of 2 KiB', async () => {
    const world = await useWorld()
    await begun(world, { size: 2 })
    const given = ['v'.repeat(1_024), 'w'.repeat(1_024)]
    const grant = await world.takeOne()
    await world.settleRange(world.range(grant, 'succeeded', undefined, { values: latin(given) }))
    expect(await record(world)).toMatchObject({ state: 'completed', value: listOf(...given) })
  })

  it('is ended by its driver: one whose group is not opened by its root', async () => {
    const world = await useWorld()
    const root = await world.start('run')
    await world.dispatch(root, 'run/0', { size: 1 })
    const { token } = await world.takeOne()
    await world.dispatch({ gid: 'run/0', index: 0, token }, 'run/0/0/~0', { ...ends, size: 1, depth: 2 })
    await settleAll(world, await world.takeOne())
    expect(await world.state('run/0/0/~0')).toBe('released')
    expect(await record(world)).toMatchObject({ state: 'running' })
  })

  it('answers a dispatch that is repeated, since its reply was lost, that it is done', async () => {
    const world = await useWorld()
    const holder = await begun(world)
    const group = { spec: world.spec('run/0', ends), from: 0, inputs: inputsFor(world.spec('run/0')) }
    await settleAll(world, await world.takeOne())
    expect(await world.step(holder, { group })).toEqual({ status: 'done' })
    const other = { ...group, spec: { ...group.spec, digest: 'other' } }
    expect(await world.step(holder, { group: other })).toEqual({ status: 'fenced' })
    expect(await world.step({ ...holder, gid: 'run/0' }, { group })).toEqual({ status: 'fenced' })
    expect(await world.step(holder, { save: { paths: ['0'], values: packed('late') } })).toEqual({ status: 'fenced' })
    expect(await world.step(holder, { end: { state: 'completed', value: listOf('v0', 'v1', 'v2') } })).toEqual({
      status: 'done',
    })
  })

  it('has nobody who holds it from then on', async () => {
    const world = await useWorld()
    const holder = await begun(world)
    const known = [{ gid: 'run', token: holder.token }]
    expect(await world.backend.session({ kind: 'reconcile', session: 'driver', known })).toMatchObject({ lost: [] })
    await settleAll(world, await world.takeOne())
    expect(await world.backend.session({ kind: 'reconcile', session: 'driver', known })).toMatchObject({
      ...{ status: 'reconciled', lost: [holder.token], unknown: [] },
    })
  })

  it('is ended by its driver: one whose outcomes are not kept for a minute', async () => {
    const world = await useWorld({ payloadRetentionMs: 59_999 })
    const holder = await begun(world)
    await settleAll(world, await world.takeOne())
    await expectDriven(world, holder)
  })

  it('is ended by its driver once it was retried, also where it had ended with its barrier before', async () => {
    const world = await useWorld()
    await begun(world, { size: 1 })
    await settleAll(world, await world.takeOne())
    expect(await record(world)).toMatchObject({ state: 'completed' })
    const redo = [{ gid: 'run/0', indexes: [0] }]
    expect(await world.backend.reopen({ runId: 'run', nonce: world.nonce(), redo })).toBe('ok')
    const root = await world.takeOne(1, { queues: ['runs'], capabilities: ['layout:4'] })
    const again = { gid: 'run', index: 0, token: root.token }
    const spec = world.spec('run/0', { ...ends, size: 1 })
    await world.step(again, { group: { spec, from: 0, inputs: inputsFor(spec), isReopened: true } })
    await settleAll(world, await world.takeOne(1, { capabilities: ['layout:4'] }))
    await expectDriven(world, again)
  })

  it('is ended by its driver once it was retried', async () => {
    const world = await useWorld()
    const holder = await begun(world, { size: 1 })
    await world.settle(await world.takeOne(), 'failed')
    await world.step(holder, { end: { state: 'failed', value: bytes('e') } })
    await world.backend.reopen({ runId: 'run', nonce: world.nonce() })
    const root = await world.takeOne(1, { queues: ['runs'], capabilities: ['layout:4'] })
    const again = { gid: 'run', index: 0, token: root.token }
    const spec = world.spec('run/0', { ...ends, size: 1 })
    await world.step(again, { group: { spec, from: 0, inputs: inputsFor(spec), isReopened: true } })
    await settleAll(world, await world.takeOne())
    await expectDriven(world, again)
  })
}

/** Values of these bytes, a character each. */
function latin(values: readonly string[]): { readonly bytes: Uint8Array; readonly ends: Uint32Array } {
  let end = 0
  const ends = Uint32Array.from(values, ({ length }) => (end += length))
  return { bytes: Uint8Array.from(values.join(''), (letter) => letter.charCodeAt(0)), ends }
}
