/** Locks on channels: one holder at a time, for as long as it renews or nobody else wants it, and no longer than it has its branch. */
import type { ChannelAnswer, ChannelRequest, HeldLock, Holder, LockAnswer } from '../../lib/backend/backend.js'
import { bytes, type UseWorld, type World } from '../support/world.js'

const LEASE_MS = 60_000
const SHORT_MS = 100
/** Longer than a lock is reserved. */
const LAPSE_MS = 550

const locksOf = (world: World, holder: Holder, runId = 'run') => ({
  lock: (key: string, nonce: string, leaseMs = LEASE_MS): Promise<LockAnswer> =>
    world.backend.lock(runId, holder, { kind: 'lock', key, nonce, leaseMs }),
  renew: (key: string, nonce: string, leaseMs = LEASE_MS): Promise<LockAnswer> =>
    world.backend.lock(runId, holder, { kind: 'renew', key, nonce, leaseMs }),
  unlock: (key: string, nonce: string): Promise<LockAnswer> =>
    world.backend.lock(runId, holder, { kind: 'unlock', key, nonce }),
  write: (request: ChannelRequest): Promise<ChannelAnswer> => world.backend.channel(runId, holder, request),
  add: (key: string, under: readonly HeldLock[]) =>
    world.backend.channel(runId, holder, { kind: 'add', key, number: 1, nonce: world.nonce(), under }),
})

type Locks = ReturnType<typeof locksOf>

const ok = { status: 'ok', fence: expect.any(Number) }
const lost = { status: 'lost' }
const fenceOf = (answer: LockAnswer): number => (answer.status === 'ok' ? answer.fence : Number.NaN)

/** A run with a group of this many branches, all held. */
async function branches(world: World, size = 3): Promise<readonly Locks[]> {
  const holder = await world.start('run')
  await world.dispatch(holder, 'run/0', { size })
  const { token, indexes } = await world.takeOne()
  return [...indexes].map((index) => locksOf(world, { gid: 'run/0', index, token }))
}

export function describeLocks(useWorld: UseWorld): void {
  it('C7: have one holder at a time, who is named to the others; each key is a lock of its own', async () => {
    const [a, b] = (await branches(await useWorld())) as [Locks, Locks]
    const first = await a.lock('key', 'a1')
    expect(first).toEqual(ok)
    expect(await b.lock('key', 'b1')).toEqual({ status: 'locked', holder: 'run/0#0' })
    expect(await b.lock('other: key', 'b2')).toEqual(ok)
    expect(await a.lock('key', 'a2')).toEqual({ status: 'locked', holder: 'run/0#0' })
    expect(await a.unlock('key', 'a1')).toEqual({ status: 'ok', fence: fenceOf(first) })
    const second = await b.lock('key', 'b1')
    expect(second).toEqual(ok)
    expect(fenceOf(second)).toBeGreaterThan(fenceOf(first))
    expect(await a.lock('key', 'a3')).toEqual({ status: 'locked', holder: 'run/0#1' })
  })

  it('answer a repeated call as before; one that arrives again after the unlock takes nothing', async () => {
    const [a, b] = (await branches(await useWorld())) as [Locks, Locks]
    const first = await a.lock('key', 'a1')
    expect(await a.lock('key', 'a1')).toEqual(first)
    expect(await a.renew('key', 'a1')).toEqual(first)
    expect(await a.unlock('key', 'a1')).toEqual(first)
    expect(await b.lock('key', 'b1')).toEqual(ok)
    expect(await a.unlock('key', 'a1')).toEqual(first)
    expect(await b.unlock('key', 'b1')).toEqual(ok)
    expect(await a.lock('key', 'a1')).toEqual(lost)
    expect(await a.renew('key', 'a1')).toEqual(lost)
    expect(await b.lock('key', 'b2')).toEqual(ok)
  })

  it('C8: stay their holder’s past the lease until somebody takes them; then they are lost', async () => {
    const world = await useWorld()
    const [a, b] = (await branches(world)) as [Locks, Locks]
    const first = await a.lock('key', 'a1', SHORT_MS)
    await world.harness.advance(SHORT_MS + 50)
    expect(await a.renew('key', 'a1', LEASE_MS)).toEqual(first)
    await world.harness.advance(SHORT_MS + 50)
    expect(await b.lock('key', 'b1')).toEqual({ status: 'locked', holder: 'run/0#0' })
    await a.renew('key', 'a1', SHORT_MS)
    await world.harness.advance(SHORT_MS + 50)
    const second = await b.lock('key', 'b1')
    expect(fenceOf(second)).toBeGreaterThan(fenceOf(first))
    expect(await a.renew('key', 'a1')).toEqual(lost)
    expect(await a.unlock('key', 'a1')).toEqual(lost)
    expect(await b.renew('key', 'b1')).toEqual(second)
  })

  it('are free as soon as the branch of their holder is over, or taken from it', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 3 })
    await world.join('leaver')
    const [one, two] = [await world.takeOne(1), await world.takeOne(1, { session: 'leaver' })]
    const driver = locksOf(world, holder)
    await locksOf(world, { gid: 'run/0', index: 0, token: one.token }).lock('settled', 'a1')
    await locksOf(world, { gid: 'run/0', index: 1, token: two.token }).lock('left', 'b1')
    expect(await driver.lock('settled', 'd1')).toEqual({ status: 'locked', holder: 'run/0#0' })
    expect(await driver.lock('left', 'd2')).toEqual({ status: 'locked', holder: 'run/0#1' })
    await world.settle(one, 'succeeded', [0])
    await world.backend.session({ kind: 'close', session: 'leaver' })
    expect(await driver.lock('settled', 'd1')).toEqual(ok)
    expect(await driver.lock('left', 'd2')).toEqual(ok)
  })

  it('go to the one who asked first of those who ask still, or to anybody when that one is gone', async () => {
    const world = await useWorld()
    const [a, b, c] = (await branches(world)) as [Locks, Locks, Locks]
    await a.lock('key', 'a1')
    await b.lock('key', 'b1')
    await c.lock('key', 'c1')
    await a.unlock('key', 'a1')
    expect(await c.lock('key', 'c1')).toEqual({ status: 'locked', holder: '' })
    expect(await b.lock('key', 'b1')).toEqual(ok)
    await c.lock('key', 'c1')
    await a.lock('key', 'a2')
    expect(await c.unlock('key', 'c1')).toEqual(lost) // it gives up
    await a.lock('key', 'a2')
    await b.unlock('key', 'b1')
    expect(await c.lock('key', 'c2')).toEqual({ status: 'locked', holder: '' })
    await world.harness.advance(LAPSE_MS)
    expect(await c.lock('key', 'c2')).toEqual(ok)
  })

  it('C8: refuse what is written under them once they are lost, and nothing of it is kept', async () => {
    const world = await useWorld()
    const [a, b] = (await branches(world)) as [Locks, Locks]
    const under = [
      { key: 'other 7:key', nonce: 'a0' },
      { key: 'schlüssel', nonce: 'a1' },
    ]
    await a.lock('other 7:key', 'a0')
    await a.lock('schlüssel', 'a1', SHORT_MS)
    expect(await a.add('sum', under)).toEqual({ status: 'ok', kind: 'add', number: 1 })
    await world.harness.advance(SHORT_MS + 50)
    expect(await a.add('sum', under)).toEqual({ status: 'ok', kind: 'add', number: 2 })
    await b.lock('schlüssel', 'b1')
    expect(await a.add('sum', under)).toEqual({ status: 'lost', key: 'schlüssel' })
    for (const request of [
      { kind: 'set', key: 'sum', value: { kind: 'number', number: 0 }, nonce: world.nonce() },
      { kind: 'delete', key: 'sum', nonce: world.nonce() },
      { kind: 'append', key: 'list', item: bytes('x'), nonce: world.nonce() },
    ] as const) {
      expect(await a.write({ ...request, under })).toEqual({ status: 'lost', key: 'schlüssel' })
    }
    expect(await b.add('sum', [{ key: 'schlüssel', nonce: 'b1' }])).toEqual({ status: 'ok', kind: 'add', number: 3 })
    await b.unlock('schlüssel', 'b1')
    expect(await b.add('sum', [{ key: 'schlüssel', nonce: 'b1' }])).toEqual({ status: 'lost', key: 'schlüssel' })
  })

  it('are for the current holder of a branch of the run, and not after its end', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    const other = await world.start('other')
    expect(await locksOf(world, other).lock('key', 'a1')).toEqual({ status: 'fenced' })
    expect(await locksOf(world, { ...holder, token: '1.x' }).lock('key', 'a2')).toEqual({ status: 'fenced' })
    expect(await locksOf(world, holder).lock('key', 'a3')).toEqual(ok)
    expect(await locksOf(world, other, 'other').lock('key', 'a4')).toEqual(ok)
    await world.step(holder, { end: { state: 'completed', value: bytes('x') } })
    expect(await locksOf(world, holder).unlock('key', 'a3')).toEqual({ status: 'fenced' })
    await expect(locksOf(world, holder, 'nowhere').lock('key', 'a5')).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' })
  })
}
