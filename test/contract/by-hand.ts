/** What people decide: a branch ends, or a step inside one does, whoever holds it; and its holder can change nothing any more. */
import type { Decision } from '../../lib/backend/backend.js'
import { bytes, inputsFor, packed, texts, type UseWorld, type World } from '../support/world.js'

const decisionOn = (world: World, gid: string, index: number, facts: Partial<Decision> = {}): Decision => ({
  ...{ nonce: world.nonce(), path: `${gid}/${index}`, as: 'succeeded', gid, index, value: bytes('hand'), ...facts },
})

const decide = (world: World, gid: string, index: number, facts: Partial<Decision> = {}) =>
  world.backend.decide('run', decisionOn(world, gid, index, facts))

export function describeByHand(useWorld: UseWorld): void {
  it('O3: ends a branch that is held; its holder is told, and its result is refused', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 2 })
    const [first, second] = [await world.takeOne(1), await world.takeOne(1)]
    await world.news('w')
    const decision = decisionOn(world, 'run/0', 1)
    expect(await world.backend.decide('run', decision)).toBe('ok')
    expect(await world.backend.decide('run', decision)).toBe('ok')
    expect(await world.news('w')).toEqual([{ kind: 'lost', gid: 'run/0', token: second.token }])
    expect(await world.settle(second, 'succeeded')).toBe('fenced')
    expect(await decide(world, 'run/0', 1)).toBe('late')
    expect(await world.queue()).toEqual({ ready: 0, delayed: 0, granted: 1 })
    await world.settle(first, 'succeeded')
    expect(await world.outcomes('run/0')).toEqual(['succeeded:v0', 'succeeded:hand'])
    expect(await world.state('run/0')).toBe('released')
    expect(await world.backend.inspect.run('run')).toMatchObject({
      byHand: [{ path: 'run/0/1', as: 'succeeded', at: expect.any(Number), nonce: decision.nonce }],
    })
  })

  it('O3: is late where the holder was first', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 2 })
    const grant = await world.takeOne()
    await world.settle(grant, 'succeeded', [0])
    expect(await decide(world, 'run/0', 0)).toBe('late')
    expect(await decide(world, 'run/0', 1)).toBe('ok')
    expect(await decide(world, 'run/0', 1)).toBe('late')
    expect(await decide(world, 'run/0', 2)).toBe('gone')
    expect(await decide(world, 'run/9', 0)).toBe('gone')
    expect((await world.backend.inspect.run('run'))?.byHand).toHaveLength(1)
    await world.step(holder, { end: { state: 'completed', value: bytes('x') } })
    expect(await decide(world, 'run/0', 1)).toBe('over')
    expect(await world.backend.decide('none', decisionOn(world, 'none/0', 0))).toBe('gone')
  })

  it.each([3, 40])('O3: ends branches of a group of %i that nobody has taken, and leaves the others', async (size) => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size })
    await world.takeOne(1)
    expect(await decide(world, 'run/0', 2, { as: 'failed' })).toBe('ok')
    expect(await world.queue()).toEqual({ ready: size - 2, delayed: 0, granted: 1 })
    const rest = await world.takeOne()
    expect([...rest.indexes]).toEqual(Array.from({ length: size }, (_, i) => i).filter((i) => i !== 0 && i !== 2))
    await world.settle(rest, 'succeeded')
    expect(await world.backend.inspect.groups('run')).toMatchObject([{ granted: 1, failed: 1, succeeded: size - 2 }])
  })

  it.each([3, 40])('O3: ends a branch that has failed, while its group of %i is open', async (size) => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size })
    const grant = await world.takeOne()
    await world.settle(grant, 'failed', [0, 1])
    expect(await world.outcomes('run/0')).toEqual(['failed:e0', 'failed:e1'])
    const decision = decisionOn(world, 'run/0', 1)
    expect(await world.backend.decide('run', decision)).toBe('ok')
    expect(await world.backend.decide('run', decision)).toBe('ok')
    expect(await decide(world, 'run/0', 1)).toBe('late')
    expect(await decide(world, 'run/0', 0, { as: 'failed' })).toBe('ok')
    expect(await world.backend.inspect.groups('run')).toMatchObject([{ granted: size - 2, failed: 1, succeeded: 1 }])
    expect(await world.settle(grant, 'succeeded', [1])).toMatch(/fenced|dup/)
    const rest = [...grant.indexes].slice(2)
    await world.settle(grant, 'succeeded', rest)
    expect(await world.outcomes('run/0')).toEqual([
      'failed:hand',
      'succeeded:hand',
      ...rest.map((i) => `succeeded:v${i}`),
    ])
    expect(await world.state('run/0')).toBe('released')
    expect(await world.queue()).toEqual({ ready: 0, delayed: 0, granted: 0 })
  })

  it('O3: lets a group end that waits for its first success, by a branch that had failed', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 2, rule: 'first-success' })
    const grant = await world.takeOne()
    await world.settle(grant, 'failed', [0])
    expect(await decide(world, 'run/0', 0)).toBe('ok')
    expect(await world.state('run/0')).toBe('released')
    expect(await world.outcomes('run/0')).toEqual(['succeeded:hand', 'cancelled'])
  })

  it('O3: starts a branch again that has failed in a step which is decided, while its group is open', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 2, attempts: 2 })
    const [first, second] = [await world.takeOne(1), await world.takeOne(1)]
    await world.settle(first, 'failed')
    expect(await decide(world, 'run/0', 0, { path: '0/0/1', mark: '0/0/1/!h' })).toBe('ok')
    expect(await world.queue()).toEqual({ ready: 1, delayed: 0, granted: 1 })
    const again = await world.takeOne()
    expect(again).toMatchObject({ isAgain: true })
    expect([...again.indexes, ...again.errors, ...again.losses]).toEqual([0, 0, 0])
    expect(texts(again.inputs)).toEqual(['i0'])
    await world.settle(again, 'succeeded')
    await world.settle(second, 'succeeded')
    expect(await world.outcomes('run/0')).toEqual(['succeeded:v0', 'succeeded:v1'])
  })

  it('O3: forgets what such a branch is not to go on from; where it has not failed, nothing', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 2 })
    const [first, second] = [await world.takeOne(1), await world.takeOne(1)]
    const saving = async (grant: typeof first, index: number): Promise<void> => {
      const paths = [`0/${index}/0`, `0/${index}/!t`]
      const branch = { gid: 'run/0', index, token: grant.token }
      await world.step(branch, { save: { paths, values: packed('kept', 'due') } })
    }
    await saving(first, 0)
    await saving(second, 1)
    await world.settle(first, 'failed')
    const deciding = (index: number) =>
      decide(world, 'run/0', index, {
        ...{ path: `0/${index}/1`, mark: `0/${index}/1/!h` },
        forget: [`0/${index}/!t`, '0/9/!t'],
      })
    expect([await deciding(0), await deciding(1)]).toEqual(['ok', 'ok'])
    const { paths } = await world.backend.inspect.saved('run', '')
    expect([...paths].sort()).toEqual(['0/0/0', '0/0/1/!h', '0/1/!t', '0/1/0', '0/1/1/!h'])
    await world.settle(await world.takeOne(), 'succeeded')
    expect(await world.outcomes('run/0')).toEqual(['succeeded:v0', 'succeeded:v1'])
  })

  it('O3: ends a branch that waits for its retry', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 1, attempts: 3 })
    await world.settle(await world.takeOne(), 'retry', [0], { delaysMs: [50] })
    expect(await decide(world, 'run/0', 0)).toBe('ok')
    expect(await world.outcomes('run/0')).toEqual(['succeeded:hand'])
    await world.live(200)
    expect(await world.take()).toEqual([])
    expect(await world.queue()).toEqual({ ready: 0, delayed: 0, granted: 0 })
  })

  it('O3: keeps what a step gives, and finds another holder for its branch', async () => {
    const world = await useWorld()
    const holder = await world.start('run', { ifLost: 'take-over' })
    await world.step(holder, { save: { paths: ['0'], values: packed('saved') } })
    expect(await decide(world, 'run', 0, { path: '0', mark: '0/!h' })).toBe('late')
    await world.news('driver')
    const decision = decisionOn(world, 'run', 0, { path: '1', mark: '1/!h' })
    expect(await world.backend.decide('run', decision)).toBe('ok')
    expect(await world.backend.decide('run', decision)).toBe('ok')
    expect(await decide(world, 'run', 0, { path: '1', mark: '1/!h' })).toBe('late')
    expect(await world.news('driver')).toEqual([{ kind: 'lost', gid: 'run', token: holder.token }])
    expect(await world.step(holder, { save: { paths: ['1'], values: packed('late') } })).toEqual({ status: 'fenced' })
    const again = await world.takeOne(1, { queues: ['runs'] })
    expect(again).toMatchObject({ isAgain: true })
    expect([...again.losses, ...again.errors]).toEqual([0, 0])
    expect(await world.backend.inspect.output('run', '1/!h')).toEqual(bytes('hand'))
  })

  it('O3: decides a branch in the moment in which its run goes on', async () => {
    const world = await useWorld()
    const old = await world.start('run')
    const spec = await world.dispatch(old, 'run/0', { size: 2 })
    const grant = await world.takeOne()
    await world.settle(grant, 'succeeded', [0])
    await world.settle(grant, 'failed', [1])
    await world.step(old, { end: { state: 'failed', value: bytes('no') } })
    const decision = decisionOn(world, 'run/0', 1)
    const request = { runId: 'run', nonce: 'n', redo: [{ gid: 'run/0', indexes: [1] }], decision }
    expect(await world.backend.reopen(request)).toBe('ok')
    expect(await world.backend.reopen(request)).toBe('ok')
    const holder = {
      gid: 'run',
      index: 0,
      token: (await world.takeOne(1, { queues: ['runs'], capabilities: ['layout:4'] })).token,
    }
    const met = await world.step(holder, { group: { spec, from: 0, inputs: inputsFor(spec) } })
    expect(met).toEqual({ status: 'done' })
    expect(await world.outcomes('run/0')).toEqual(['succeeded:v0', 'succeeded:hand'])
    expect(await world.take()).toEqual([])
  })

  it('O3: decides a branch below a group that is opened again: what is left of it ends with the run', async () => {
    const world = await useWorld()
    const old = await world.start('run')
    const outer = await world.dispatch(old, 'run/0', { size: 1 })
    const branch = { gid: 'run/0', index: 0, token: (await world.takeOne()).token }
    const inner = await world.dispatch(branch, 'run/0/0/1', { size: 2, depth: 2 })
    await world.settle(await world.takeOne(), 'failed')
    await world.step(old, { end: { state: 'failed', value: bytes('no') } })
    const decision = decisionOn(world, 'run/0/0/1', 1)
    const redo = [{ gid: 'run/0/0/1', indexes: [1] }]
    expect(await world.backend.reopen({ runId: 'run', nonce: world.nonce(), redo, decision })).toBe('ok')
    const again = { capabilities: ['layout:4'] }
    const { token } = await world.takeOne(1, { queues: ['runs'], ...again })
    const holder = { gid: 'run', index: 0, token }
    const reopened = { from: 0, isReopened: true } as const
    await world.step(holder, { group: { spec: outer, inputs: inputsFor(outer), ...reopened } })
    const next = { gid: 'run/0', index: 0, token: (await world.takeOne()).token }
    await world.step(next, { group: { spec: inner, inputs: inputsFor(inner), ...reopened } })
    const left = await world.takeOne(2, again)
    expect([left.spec.gid, ...left.indexes]).toEqual(['run/0/0/1', 0])
    const cancel = { kind: 'cancel-run', runId: 'run', reason: 'r', value: bytes('v') } as const
    expect(await world.backend.control(cancel)).toBe('ok')
    expect(await world.settle(left, 'succeeded')).toBe('withdrawn')
    expect(await world.state('run/0/0/1')).toBe('withdrawn')
  })
}
