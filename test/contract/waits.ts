/** Waits: what is registered by a step, how a signal or their time answers them, and what a signal meets that nobody waits for. */
import type { Holder, SignalAnswer, WaitRequest } from '../../lib/backend/backend.js'
import { bytes, text, type UseWorld, type World } from '../support/world.js'

const waitFor = (place: string, facts: Partial<WaitRequest> = {}): WaitRequest => ({
  place,
  address: 'ok',
  onDue: bytes('nobody'),
  isRepeated: false,
  ...facts,
})

const register = (world: World, holder: Holder, request: WaitRequest) => world.step(holder, { wait: request })

async function signal(world: World, address: string, payload: string, nonce = world.nonce()): Promise<SignalAnswer> {
  return world.backend.signal({ runId: 'run', address, payload: bytes(payload), nonce })
}

const answered = (value: string) => ({ status: 'ok', wait: { status: 'answered', value: bytes(value) } })

async function marks(world: World): Promise<Record<string, string>> {
  const { paths, values } = await world.backend.inspect.saved('run', '')
  let start = 0
  const found: Record<string, string> = {}
  for (const [i, path] of paths.entries()) {
    const end = values.ends[i] ?? 0
    found[path] = text(values.bytes.subarray(start, end))
    start = end
  }
  return found
}

export function describeWaits(useWorld: UseWorld): void {
  it('T3: answers an open wait with the first signal, tells its holder, and answers it again after that', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    expect(await register(world, holder, waitFor('1'))).toMatchObject({ status: 'ok', wait: { status: 'open' } })
    expect(await world.backend.inspect.openWaits('run')).toMatchObject([
      { place: '1', address: 'ok', dueAt: undefined },
    ])
    await world.news('driver')
    expect(await signal(world, 'ok', 'yes')).toBe('ok')
    expect(await world.news('driver')).toEqual([{ kind: 'released', gid: 'run/1' }])
    expect(await register(world, holder, waitFor('1'))).toMatchObject(answered('syes'))
    expect(await world.backend.inspect.openWaits('run')).toEqual([])
    expect(await signal(world, 'ok', 'no')).toBe('late')
    expect(await marks(world)).toEqual({ '1/!': 'syes' })
  })

  it('T3: tells the waits at one address alone, the one that a signal answers first', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    for (const [place, address] of [
      ['9', 'ok'],
      ['5', 'other'],
      ['1', 'ok'],
    ] as const)
      await register(world, holder, waitFor(place, { address, about: bytes(place) }))
    const at = async (address: string) =>
      (await world.backend.inspect.openWaits('run', address)).map(({ about }) => about && text(about))
    expect([await at('ok'), await at('other'), await at('none')]).toEqual([['9', '1'], ['5'], []])
    await signal(world, 'ok', 'yes')
    await signal(world, 'none', 'kept')
    expect([await at('ok'), await at('none')]).toEqual([['1'], []])
  })

  it('T3: keeps a signal that comes first, and takes one at most', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    expect(await signal(world, 'ok', 'early')).toBe('ok')
    expect(await signal(world, 'ok', 'second')).toBe('late')
    expect(await register(world, holder, waitFor('1'))).toMatchObject(answered('searly'))
    expect(await signal(world, 'ok', 'third')).toBe('late')
    expect(await world.backend.inspect.openWaits('run')).toEqual([])
  })

  it('T3: answers a repeated signal as the first time, also after the end', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    const nonce = world.nonce()
    expect(await signal(world, 'ok', 'x', nonce)).toBe('ok')
    expect(await signal(world, 'ok', 'x', nonce)).toBe('ok')
    await register(world, holder, waitFor('1'))
    expect(await signal(world, 'ok', 'x', nonce)).toBe('ok')
    await world.step(holder, { end: { state: 'completed', value: bytes('v') } })
    expect(await signal(world, 'ok', 'x', nonce)).toBe('ok')
    expect(await signal(world, 'ok', 'y')).toBe('over')
    expect(await world.backend.signal({ runId: 'none', address: 'ok', payload: bytes(''), nonce })).toBe('gone')
  })

  it('T3: answers a repeat of a late signal late, also where it would be taken by now', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await register(world, holder, waitFor('1'))
    const [first, second] = [world.nonce(), world.nonce()]
    expect(await signal(world, 'ok', 'x', first)).toBe('ok')
    expect(await signal(world, 'ok', 'y', second)).toBe('late')
    await world.step(holder, { end: { state: 'failed', value: bytes('no') } })
    expect(await world.backend.reopen({ runId: 'run', nonce: world.nonce() })).toBe('ok')
    expect(await signal(world, 'ok', 'y', second)).toBe('late')
    expect(await signal(world, 'ok', 'x', first)).toBe('ok')
    expect(await signal(world, 'ok', 'z')).toBe('ok')
  })

  it('T3: brings nobody a signal of which its sender knows that it is late, unless it is a repeat', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await register(world, holder, waitFor('1'))
    const late = (nonce: string) =>
      world.backend.signal({ runId: 'run', address: 'ok', payload: bytes('x'), nonce, isLate: true })
    const [first, second] = [world.nonce(), world.nonce()]
    expect(await late(second)).toBe('late')
    expect(await signal(world, 'ok', 'y', second)).toBe('late')
    expect(await world.backend.inspect.openWaits('run')).toHaveLength(1)
    expect(await signal(world, 'ok', 'x', first)).toBe('ok')
    expect(await late(first)).toBe('ok')
  })

  it('T3: knows the last 32 signals of a run, late ones and others, however long their names are', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await register(world, holder, waitFor('1'))
    const nonces = Array.from({ length: 33 }, (_, i) => `${i}-`.padEnd(i % 2 === 0 ? 8 : 128, 'x'))
    expect(await signal(world, 'ok', 'x', nonces[0])).toBe('ok')
    for (const nonce of nonces.slice(1, 32)) expect(await signal(world, 'ok', 'y', nonce)).toBe('late')
    const known = (nonce: string | undefined) =>
      world.backend.signal({
        ...{ runId: 'run', address: 'ok', payload: bytes(''), nonce: nonce ?? '' },
        isOnlyRepeat: true,
      })
    expect([await known(nonces[0]), await known(nonces[1]), await known(nonces[32])]).toEqual(['ok', 'late', 'new'])
    expect(await signal(world, 'ok', 'y', nonces[32])).toBe('late')
    expect([await known(nonces[0]), await known(nonces[1]), await known(nonces[32])]).toEqual(['new', 'late', 'late'])
  })

  it('keeps a further signal for a wait that may be waited for again', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    const again = (place: string): WaitRequest => waitFor(place, { isRepeated: true })
    await register(world, holder, again('1/0'))
    expect(await signal(world, 'ok', 'a')).toBe('ok')
    expect(await signal(world, 'ok', 'b')).toBe('ok')
    expect(await signal(world, 'ok', 'c')).toBe('late')
    expect(await register(world, holder, again('1/1'))).toMatchObject(answered('sb'))
    expect(await register(world, holder, again('1/2'))).toMatchObject({ wait: { status: 'open' } })
    expect(await signal(world, 'ok', 'd')).toBe('ok')
    expect(await marks(world)).toEqual({ '1/0/!': 'sa', '1/1/!': 'sb', '1/2/!': 'sd' })
  })

  it('answers two waits at one address in order, and other addresses not at all', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    for (const place of ['1', '2']) await register(world, holder, waitFor(place))
    await register(world, holder, waitFor('3', { address: 'ok#0' }))
    await register(world, holder, waitFor('4', { address: undefined as never }))
    expect(await signal(world, 'ok', 'a')).toBe('ok')
    expect(await signal(world, 'ok', 'b')).toBe('ok')
    expect(await signal(world, 'ok', 'c')).toBe('late')
    expect(await marks(world)).toEqual({ '1/!': 'sa', '2/!': 'sb' })
    expect((await world.backend.inspect.openWaits('run')).map(({ place }) => place)).toEqual(['3', '4'])
  })

  it('T4: answers a wait when its time has come, once, and a signal after that is late', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    const about = bytes('who?')
    const first = await register(world, holder, waitFor('1', { dueMs: 200, about }))
    expect(first).toMatchObject({ wait: { status: 'open' } })
    const [open] = await world.backend.inspect.openWaits('run')
    expect(open).toMatchObject({ place: '1', about })
    expect((open?.dueAt ?? 0) - (open?.since ?? 0)).toBe(200)
    await world.liveUntil(async () => (await marks(world))['1/!'] !== undefined)
    expect(await world.heard('driver')).toContainEqual({ kind: 'released', gid: 'run/1' })
    expect(await signal(world, 'ok', 'late')).toBe('late')
    expect(await register(world, holder, waitFor('1', { dueMs: 200, about }))).toMatchObject(answered('dnobody'))
  })

  it('T7: goes on as it was when it is registered anew after a loss: its time, too', async () => {
    const world = await useWorld()
    const holder = await world.start('run', { ifLost: 'take-over' })
    await register(world, holder, waitFor('1', { dueMs: 5_000 }))
    const [before] = await world.backend.inspect.openWaits('run')
    await world.backend.session({ kind: 'close', session: 'driver' })
    expect(await signal(world, 'other', 'x')).toBe('ok')
    const [grant] = await world.take(1, { queues: ['runs'] })
    const next = { ...holder, token: grant?.token ?? '' }
    await world.harness.advance(50)
    const open = await register(world, next, waitFor('1', { dueMs: 9_000 }))
    if (open.status !== 'ok' || open.wait?.status !== 'open') throw new Error('expected it to be open')
    expect(open.wait.leftMs).toBeLessThanOrEqual(4_950)
    expect(await world.backend.inspect.openWaits('run')).toEqual([before])
    expect(await signal(world, 'ok', 'yes')).toBe('ok')
    expect(await world.heard('w')).toContainEqual({ kind: 'released', gid: 'run/1' })
  })

  it('takes a time by the clock, which may be over', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    const now = Math.floor(await world.backend.inspect.now())
    await register(world, holder, waitFor('1', { dueAt: now - 1_000 }))
    await register(world, holder, waitFor('2', { dueAt: now + 60_000, address: 'other' }))
    await world.liveUntil(async () => (await marks(world))['1/!'] !== undefined)
    expect(await world.backend.inspect.openWaits('run')).toMatchObject([{ place: '2', dueAt: now + 60_000 }])
  })

  it('saves what a step saves beside a wait, and refuses one from somebody who does not hold the branch', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    const spec = await world.dispatch(holder, 'run/0', { size: 1 })
    const grant = await world.takeOne()
    const inner = { gid: spec.gid, index: 0, token: grant.token }
    const save = { paths: ['a'], values: { bytes: bytes('v'), ends: Uint32Array.of(1) } }
    expect(await world.step(inner, { save, wait: waitFor('0/1') })).toMatchObject({ wait: { status: 'open' } })
    expect(await marks(world)).toEqual({ a: 'v' })
    expect(await world.settle(grant, 'succeeded')).toBe('ok')
    expect(await world.step(inner, { wait: waitFor('0/2') })).toEqual({ status: 'fenced' })
    // nobody can get it any more
    expect(await world.backend.inspect.openWaits('run')).toEqual([])
    expect(await signal(world, 'ok', 'x')).toBe('late')
  })

  it('forgets the waits of a run that is over', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await register(world, holder, waitFor('1', { dueMs: 60_000 }))
    await signal(world, 'other', 'x')
    const cancel = { kind: 'cancel-run', runId: 'run', reason: 'r', value: bytes('v') } as const
    expect(await world.backend.control(cancel)).toBe('ok')
    expect(await world.backend.inspect.openWaits('run')).toEqual([])
    expect(await signal(world, 'ok', 'x')).toBe('over')
  })

  it('T3: keeps the signals that nobody has waited for, and nothing else, for when the run goes on', async () => {
    const world = await useWorld()
    const old = await world.start('run')
    await register(world, old, waitFor('1', { dueMs: 60_000 }))
    await register(world, old, waitFor('2', { address: 'got' }))
    await signal(world, 'got', 'x')
    expect(await signal(world, 'early', 'kept')).toBe('ok')
    await world.step(old, { end: { state: 'failed', value: bytes('no') } })
    expect(await world.backend.reopen({ runId: 'run', nonce: world.nonce() })).toBe('ok')
    expect(await world.backend.inspect.openWaits('run')).toEqual([])
    expect(await signal(world, 'early', 'late')).toBe('late')
    expect(await signal(world, 'got', 'again')).toBe('ok')
    const { token } = await world.takeOne(1, { queues: ['runs'], capabilities: ['layout:4'] })
    const holder = { gid: 'run', index: 0, token }
    expect(await register(world, holder, waitFor('3', { address: 'early' }))).toMatchObject(answered('skept'))
    expect(await register(world, holder, waitFor('1', { dueMs: 60_000 }))).toMatchObject({ wait: { status: 'open' } })
    expect(await world.backend.inspect.openWaits('run')).toMatchObject([{ place: '1', address: 'ok' }])
  })
}
