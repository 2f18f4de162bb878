/** Bounds: a full store takes no new work and lets what is there finish; calls that are too large are refused whole. */
import type { PackedItems } from '../../lib/values/packed-items.js'
import { bytes, packed, texts, type UseWorld } from '../support/world.js'

const many = (count: number, length: number): PackedItems => ({
  bytes: new Uint8Array(count * length),
  ends: Uint32Array.from({ length: count }, (_, i) => (i + 1) * length),
})

export function describeLimits(useWorld: UseWorld): void {
  it('FT-D20: refuses new work when it is full, before any write, and lets everything in it finish', async () => {
    const maxBytes = 200_000
    const world = await useWorld({ maxBytes })
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { attempts: 2 })
    const spec = world.spec('run/1', { size: 1 })
    const large = { group: { spec, from: 0, inputs: many(1, maxBytes) } }
    const save = { paths: ['0'], values: packed('a') }
    expect(await world.step(holder, { ...large, save })).toEqual({ status: 'backpressure' })
    expect((await world.backend.inspect.saved('run', '')).paths).toEqual([])
    expect(await world.backend.inspect.groups('run')).toHaveLength(1)
    expect(await world.backend.open(world.openRequest('large', { input: new Uint8Array(maxBytes) }))).toEqual({
      status: 'backpressure',
    })
    expect(await world.backend.inspect.run('large')).toBeUndefined()
    expect(await world.backend.putGraph('large', new Uint8Array(maxBytes))).toBe('backpressure')
    expect(await world.backend.getGraph('large')).toBeUndefined()

    const seen = { runId: 'run', after: undefined, events: new Uint8Array(maxBytes), seen: bytes('{}'), keptMs: 60_000 }
    const grant = await world.takeOne()
    const huge = many(1, maxBytes)
    expect(await world.settleRange({ ...world.range(grant, 'succeeded', [0]), values: huge })).toBe('ok')
    expect(await world.backend.putGraph('small', bytes('small'))).toBe('backpressure')
    expect(await world.backend.putGraph('graph', bytes('graph'))).toBe('ok')
    expect(await world.backend.open(world.openRequest('small'))).toEqual({ status: 'backpressure' })
    expect(
      await world.step(holder, { group: { spec: world.spec('run/2'), from: 0, inputs: packed('a', 'b', 'c') } }),
    ).toEqual({
      status: 'backpressure',
    })
    expect(
      await world.backend.channel('run', holder, {
        kind: 'set',
        key: 'key',
        value: { kind: 'value', bytes: bytes('v') },
        nonce: world.nonce(),
      }),
    ).toEqual({
      status: 'backpressure',
    })
    expect(await world.backend.channel('run', holder, { kind: 'get', key: 'key' })).toMatchObject({ status: 'ok' })
    // what happens is kept, and of what was seen of a run nothing more
    await world.backend.keepEvents(60_000)
    expect(await world.backend.inspect.events('0', 10)).toMatchObject({ isKept: true })
    expect(await world.backend.appendRunEvents(seen)).toEqual({ status: 'backpressure' })
    expect((await world.backend.inspect.runEvents('run', '0', 10)).entries).toEqual([])

    expect(
      await world.step(holder, {
        group: { spec: world.spec('run/0', { attempts: 2 }), from: 0, inputs: packed('a', 'b', 'c') },
      }),
    ).toEqual({
      status: 'ok',
      fill: 3,
    })
    expect(await world.settle(grant, 'retry', [1])).toBe('ok')
    expect(await world.settle(grant, 'succeeded', [2])).toBe('ok')
    expect(await world.settle(await world.takeOne(), 'succeeded')).toBe('ok')
    expect(await world.step(holder, { save })).toEqual({ status: 'ok', fill: 0 })
    expect(await world.backend.session({ kind: 'renew', session: 'w', ttlMs: 60_000 })).toEqual({ status: 'ok' })
    await world.live(200)
    expect(await world.step(holder, { retire: ['run/0'], end: { state: 'completed', value: bytes('x') } })).toEqual({
      status: 'ok',
      fill: 0,
    })
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'completed' })
  })

  it('FT-D20: takes new work again when there is room', async () => {
    const world = await useWorld({ maxBytes: 100_000, payloadRetentionMs: 100 })
    const holder = await world.start('run', { retentionMs: 200 })
    await world.step(holder, { save: { paths: ['0'], values: many(1, 100_000) } })
    expect(await world.backend.open(world.openRequest('next'))).toEqual({ status: 'backpressure' })
    await world.step(holder, { end: { state: 'completed', value: bytes('x') } })
    await world.live(400)
    expect(await world.backend.open(world.openRequest('next'))).toEqual({ status: 'ok', token: undefined })
  })

  it('says how much a call may carry, and refuses more as a whole', async () => {
    const world = await useWorld({ itemsPerCall: 4, bytesPerCall: 64 })
    expect(world.backend.limits).toEqual({ itemsPerCall: 4, bytesPerCall: 64 })
    const holder = await world.start('run')
    const fill = (inputs: PackedItems) =>
      world.step(holder, { group: { spec: world.spec('run/0', { size: 8 }), from: 0, inputs } })
    await expect(fill(many(5, 1))).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' })
    await expect(fill(many(2, 33))).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' })
    expect(await world.backend.inspect.groups('run')).toEqual([])
    expect(await fill(many(4, 16))).toEqual({ status: 'ok', fill: 4 })
    const grant = await world.takeOne()
    const tooLarge = { ...world.range(grant, 'succeeded', [0, 1]), values: many(2, 33) }
    await expect(world.settleRange(tooLarge)).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' })
    const tooMany = world.range(grant, 'succeeded', [0, 1, 2])
    await expect(world.backend.settle({ session: 'w', ranges: [tooMany, tooMany] })).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
    })
    expect(await world.outcomes('run/0')).toEqual([])
  })

  it('always takes one item, however large', async () => {
    const world = await useWorld({ bytesPerCall: 64 })
    const holder = await world.start('run')
    const spec = world.spec('run/0', { size: 1 })
    expect(await world.step(holder, { group: { spec, from: 0, inputs: many(1, 1_000) } })).toEqual({
      status: 'ok',
      fill: 1,
    })
    const grant = await world.takeOne()
    expect(await world.settleRange({ ...world.range(grant, 'succeeded'), values: many(1, 1_000) })).toBe('ok')
  })

  it('X12: stores a graph once and hands it out as it was', async () => {
    const world = await useWorld()
    expect(await world.backend.putGraph('hash', bytes('packed'))).toBe('ok')
    expect(await world.backend.putGraph('hash', bytes('packed'))).toBe('ok')
    const [found] = [await world.backend.getGraph('hash')]
    expect(found).toEqual(bytes('packed'))
    expect(await world.backend.getGraph('nothing')).toBeUndefined()
    expect([await world.backend.hasGraph('hash'), await world.backend.hasGraph('nothing')]).toEqual([true, false])
  })

  it('keeps large values as they are', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    const size = 2_000
    await world.dispatch(holder, 'run/0', { size })
    const grant = await world.takeOne(size)
    expect(texts(grant.inputs)).toEqual(Array.from({ length: size }, (_, i) => `i${i}`))
    await world.settle(grant, 'succeeded')
    expect(await world.outcomes('run/0')).toEqual(Array.from({ length: size }, (_, i) => `succeeded:v${i}`))
  })

  it('throws CLOSED for calls after it was closed', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.backend.close()
    await expect(world.step(holder, {})).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(world.backend.acquire(world.acquireRequest())).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(world.backend.inspect.run('run')).rejects.toMatchObject({ code: 'CLOSED' })
    expect(() => world.backend.listen('w', () => {})).toThrow(expect.objectContaining({ code: 'CLOSED' }))
    await world.backend.close()
  })
}
