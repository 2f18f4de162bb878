/** Steps: what one write saves, opens, fills, retires and ends, and that a refused or repeated one changes nothing. */
import type { GroupSpec, SavedValues } from '../../lib/backend/backend.js'
import { bytes, inputsFor, packed, texts, type UseWorld, type World } from '../support/world.js'

const saving = (...entries: readonly [string, string][]): SavedValues => ({
  paths: entries.map(([path]) => path),
  values: packed(...entries.map(([, value]) => value)),
})

const savedIn = async (world: World, runId: string, prefix = ''): Promise<Record<string, string>> => {
  const { paths, values } = await world.backend.inspect.saved(runId, prefix)
  return Object.fromEntries(texts(values).map((value, i) => [paths[i], value]))
}

const group = (spec: GroupSpec, from = 0, to = spec.size) => ({
  group: { spec, from, inputs: inputsFor(spec, from, to) },
})

export function describeStep(useWorld: UseWorld): void {
  it('saves outputs, each path once', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    expect(await world.step(holder, { save: saving(['0', 'a'], ['1', 'b']) })).toEqual({ status: 'ok', fill: 0 })
    await world.step(holder, { save: saving(['0', 'other'], ['2', 'c']) })
    expect(await savedIn(world, 'run')).toEqual({ 0: 'a', 1: 'b', 2: 'c' })
  })

  it('replaces an output whose path is behind a `!`, also when that is repeated', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.step(holder, { save: saving(['0', 'a'], ['1', 'b']) })
    for (let call = 0; call < 2; call += 1) await world.step(holder, { save: saving(['!0', 'again'], ['!2', 'new']) })
    expect(await savedIn(world, 'run')).toEqual({ 0: 'again', 1: 'b', 2: 'new' })
  })

  it('finds saved outputs at a path and below it', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.step(holder, { save: saving(['1', 'a'], ['1/0', 'b'], ['1/0/2', 'c'], ['10', 'd']) })
    expect(await savedIn(world, 'run', '1')).toEqual({ 1: 'a', '1/0': 'b', '1/0/2': 'c' })
    expect(await savedIn(world, 'run', '10')).toEqual({ 10: 'd' })
    expect(await savedIn(world, 'run', '2')).toEqual({})
  })

  it('opens a group and says how far it is filled', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    const spec = world.spec('run/0')
    expect(await world.step(holder, group(spec))).toEqual({ status: 'ok', fill: 3 })
    expect(await world.backend.inspect.groups('run')).toMatchObject([
      { gid: 'run/0', state: 'open', size: 3, ready: 3 },
    ])
  })

  it('stores a shared input once', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    const spec = world.spec('run/0', { shared: true })
    expect(await world.step(holder, group(spec))).toEqual({ status: 'ok', fill: 1 })
    const grant = await world.takeOne()
    expect([...grant.indexes]).toEqual([0, 1, 2])
    expect(texts(grant.inputs)).toEqual(['shared'])
  })

  it('changes nothing when it is repeated', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    const facts = { ...group(world.spec('run/0')), save: saving(['0', 'a']) }
    expect(await world.step(holder, facts)).toEqual({ status: 'ok', fill: 3 })
    expect(await world.step(holder, facts)).toEqual({ status: 'ok', fill: 3 })
    expect(world.names(await world.take())).toEqual(['run/0#0', 'run/0#1', 'run/0#2'])
    expect(await world.step(holder, facts)).toEqual({ status: 'ok', fill: 3 })
    expect(await world.take()).toEqual([])
    expect(await world.queue()).toEqual({ ready: 0, delayed: 0, granted: 3 })
  })

  it('fills a big group in parts, grants what is filled, and releases by its whole size', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    const spec = world.spec('run/0', { size: 5 })
    expect(await world.step(holder, group(spec, 0, 2))).toEqual({ status: 'ok', fill: 2 })
    const first = await world.takeOne()
    expect(texts(first.inputs)).toEqual(['i0', 'i1'])
    await world.settle(first, 'succeeded')
    expect(await world.state('run/0')).toBe('open')
    expect(await world.step(holder, group(spec, 2, 4))).toEqual({ status: 'ok', fill: 4 })
    expect(await world.step(holder, group(spec, 4, 5))).toEqual({ status: 'ok', fill: 5 })
    const rest = await world.takeOne()
    expect(texts(rest.inputs)).toEqual(['i2', 'i3', 'i4'])
    await world.settle(rest, 'succeeded')
    expect(await world.outcomes('run/0')).toEqual([
      'succeeded:v0',
      'succeeded:v1',
      'succeeded:v2',
      'succeeded:v3',
      'succeeded:v4',
    ])
  })

  it('FT-P3: skips inputs it has, and says where to go on when some are missing', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    const spec = world.spec('run/0', { size: 6 })
    await world.step(holder, group(spec, 0, 3))
    expect(await world.step(holder, group(spec, 1, 5))).toEqual({ status: 'ok', fill: 5 })
    expect(await world.step(holder, group(spec, 0, 2))).toEqual({ status: 'ok', fill: 5 })
    const other = world.spec('run/1', { size: 6 })
    expect(await world.step(holder, group(other, 3, 6))).toEqual({ status: 'ok', fill: 0 })
    expect(texts((await world.takeOne()).inputs)).toEqual(['i0', 'i1', 'i2', 'i3', 'i4'])
  })

  it('refuses another group at the same place and leaves no trace of the step', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0')
    const other = world.spec('run/0', { digest: 'other' })
    expect(await world.step(holder, { ...group(other), save: saving(['0', 'a']) })).toEqual({ status: 'conflict' })
    expect(await savedIn(world, 'run')).toEqual({})
  })

  it('refuses a group whose graph is not stored and leaves no trace of the step', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    const spec = world.spec('run/0', { graph: 'unknown' })
    expect(await world.step(holder, { ...group(spec), save: saving(['0', 'a']) })).toEqual({ status: 'nograph' })
    expect(await savedIn(world, 'run')).toEqual({})
    expect(await world.backend.inspect.groups('run')).toEqual([])
  })

  it('refuses a token that is not current and leaves no trace of the step', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    const facts = { ...group(world.spec('run/0')), save: saving(['0', 'a']), end: undefined }
    const { end: _, ...step } = facts
    expect(await world.step({ ...holder, token: '1.forged' }, step)).toEqual({ status: 'fenced' })
    expect(await world.step({ ...holder, index: 1 }, step)).toEqual({ status: 'fenced' })
    expect(await world.step({ ...holder, gid: 'nowhere' }, step)).toEqual({ status: 'fenced' })
    expect(await savedIn(world, 'run')).toEqual({})
    expect(await world.backend.inspect.groups('run')).toEqual([])
  })

  it('refuses the holder of another run', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.start('other')
    const save = saving(['0', 'a'])
    expect(await world.backend.step({ holder, runId: 'other', save })).toEqual({ status: 'fenced' })
    expect(await world.backend.step({ holder, runId: 'nowhere', save })).toEqual({ status: 'fenced' })
    expect(await savedIn(world, 'other')).toEqual({})
  })

  it('refuses the holder of a branch that was settled', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0')
    const grant = await world.takeOne()
    const branch = { gid: 'run/0', index: 1, token: grant.token }
    await world.settle(grant, 'succeeded', [1])
    expect(await world.step(branch, { save: saving(['0/1', 'late']) })).toEqual({ status: 'fenced' })
    expect(await world.step({ ...branch, index: 2 }, { save: saving(['0/2', 'in time']) })).toEqual({
      status: 'ok',
      fill: 0,
    })
    expect(await savedIn(world, 'run')).toEqual({ '0/2': 'in time' })
  })

  it('FT-P2, FT-P4: says that a group is done when it was released meanwhile, and does the rest of the step', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    const spec = await world.dispatch(holder, 'run/0')
    await world.settle(await world.takeOne(), 'succeeded')
    expect(await world.step(holder, { ...group(spec), save: saving(['0', 'a']) })).toEqual({ status: 'done' })
    expect(await savedIn(world, 'run')).toEqual({ 0: 'a' })
    expect(await world.take()).toEqual([])
  })

  it('says that a group is done when it was withdrawn', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    const spec = await world.dispatch(holder, 'run/0')
    await world.backend.control({ kind: 'withdraw-group', holder, gid: 'run/0' })
    expect(await world.step(holder, group(spec))).toEqual({ status: 'done' })
    expect(await world.take()).toEqual([])
  })

  it('retires a released group: its outcomes stay, the rest goes', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { rule: 'first-success' })
    const grant = await world.takeOne(2)
    await world.settle(grant, 'succeeded', [1])
    const before = await world.outcomes('run/0')
    const status = await world.backend.inspect.groups('run')
    expect(await world.step(holder, { retire: ['run/0'] })).toEqual({ status: 'ok', fill: 0 })
    expect(await world.step(holder, { retire: ['run/0', 'run/nowhere'] })).toEqual({ status: 'ok', fill: 0 })
    expect(await world.outcomes('run/0')).toEqual(before)
    expect(before).toEqual(['cancelled', 'succeeded:v1', 'skipped'])
    expect(await world.backend.inspect.groups('run')).toEqual(status)
    expect(await world.settle(grant, 'succeeded', [0])).toBe('gone')
  })

  it('refuses to retire a group that is open or belongs to another branch, before it writes', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0')
    await world.dispatch(holder, 'run/1', { size: 1 })
    const step = { save: saving(['0', 'a']), retire: ['run/0'] }
    await expect(world.step(holder, step)).rejects.toMatchObject({ code: 'INTERNAL' })
    const grant = (await world.take()).find(({ spec }) => spec.gid === 'run/1')
    if (grant === undefined) throw new Error('expected a grant of run/1')
    await expect(world.step({ gid: 'run/1', index: 0, token: grant.token }, step)).rejects.toMatchObject({
      code: 'INTERNAL',
    })
    expect(await savedIn(world, 'run')).toEqual({})
  })

  it.each(['completed', 'failed', 'cancelled'] as const)('ends a run as %s, once', async (state) => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0')
    const end = { state, value: bytes('result') }
    expect(await world.step(holder, { save: saving(['0', 'a']), end })).toEqual({ status: 'ok', fill: 0 })
    expect(await world.backend.inspect.run('run')).toMatchObject({ state, value: bytes('result') })
    expect(await savedIn(world, 'run')).toEqual({ 0: 'a' })
    expect(await world.step(holder, { end })).toEqual({ status: 'done' })
    expect(await world.step(holder, { end: { state, value: bytes('another') } })).toEqual({ status: 'fenced' })
    expect(await world.step(holder, { save: saving(['1', 'b']) })).toEqual({ status: 'fenced' })
    expect(await world.state('run/0')).toBe('withdrawn')
    expect(await world.take()).toEqual([])
    expect((await world.news('driver')).filter(({ kind }) => kind === 'withdrawn')).toEqual([])
  })

  it('refuses an end from a branch that is not the root, and one with a group beside it', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0')
    const grant = await world.takeOne()
    const end = { state: 'completed', value: bytes('x') } as const
    const branch = { gid: 'run/0', index: 0, token: grant.token }
    await expect(world.step(branch, { end })).rejects.toMatchObject({ code: 'INTERNAL' })
    await expect(world.step(holder, { end, ...group(world.spec('run/1')) })).rejects.toMatchObject({ code: 'INTERNAL' })
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'running' })
  })

  it.each([
    ['no branches', { size: 0 }, 'INTERNAL'],
    ['half a branch', { size: 1.5 }, 'INTERNAL'],
    ['a place outside its run', { gid: 'other/0' }, 'INTERNAL'],
    ['more attempts than can be counted', { attempts: 256 }, 'INVALID_OPTION'],
    ['more losses than can be counted', { maxLosses: 255 }, 'INVALID_OPTION'],
  ])('refuses a group with %s before it writes', async (_, facts, code) => {
    const world = await useWorld()
    const holder = await world.start('run')
    const spec = { ...world.spec('run/0'), ...facts }
    const step = { save: saving(['0', 'a']), group: { spec, from: 0, inputs: packed() } }
    await expect(world.step(holder, step)).rejects.toMatchObject({ code })
    expect(await savedIn(world, 'run')).toEqual({})
    expect(await world.backend.inspect.groups('run')).toEqual([])
  })

  it('refuses more inputs than the group has branches', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    const spec = world.spec('run/0', { size: 2 })
    const step = { group: { spec, from: 0, inputs: packed('a', 'b', 'c') } }
    await expect(world.step(holder, step)).rejects.toMatchObject({ code: 'INTERNAL' })
  })

  it('FT-W7: lets the next holder of a branch meet the group that the one before opened', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 1 })
    const outer = await world.takeAndVanish(1)
    const before = { gid: 'run/0', index: 0, token: outer.token }
    const inner = { size: 2, depth: 2, queue: 'inner' }
    expect(await world.step(before, group(world.spec('run/0/0', inner)))).toEqual({ status: 'fenced' })
    await world.takeAndVanish(1, 'second')
    const third = await world.takeOne(1)
    const now = { gid: 'run/0', index: 0, token: third.token }
    await world.dispatch(now, 'run/0/0', inner)
    await world.settle(await world.takeOne(1, { queues: ['inner'] }), 'succeeded')
    await world.settle(third, 'released')
    const fourth = await world.takeOne(1)
    const next = { ...now, token: fourth.token }
    expect(await world.step(next, group(world.spec('run/0/0', inner)))).toEqual({ status: 'ok', fill: 2 })
    await world.settle(await world.takeOne(1, { queues: ['inner'] }), 'succeeded')
    expect(await world.step(next, group(world.spec('run/0/0', inner)))).toEqual({ status: 'done' })
    expect(await world.outcomes('run/0/0')).toEqual(['succeeded:v0', 'succeeded:v1'])
  })
}
