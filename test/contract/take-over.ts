/** Runs whose driver is gone: who may take them over, and what of them goes on. */
import type { Holder, OpenRequest } from '../../lib/backend/backend.js'
import { bytes, inputsFor, SHORT_TTL_MS, type UseWorld, type World } from '../support/world.js'

/** Starts a run that its driver then loses by closing its session; `before` is done while it drives. */
async function startAndLose(
  world: World,
  facts: Partial<OpenRequest> = {},
  before: (holder: Holder) => Promise<unknown> = () => Promise.resolve(),
): Promise<Holder> {
  const holder = await world.start('run', { ifLost: 'take-over', ...facts })
  await before(holder)
  await world.backend.session({ kind: 'close', session: 'driver' })
  return holder
}

const takeRun = (world: World, session = 'w') => world.take(1, { session, queues: ['runs'] })

export function describeTakeOver(useWorld: UseWorld): void {
  it('P2: gives a started run to a worker when its driver is gone, with its groups as they are', async () => {
    const world = await useWorld()
    const old = await startAndLose(world, {}, (holder) => world.dispatch(holder, 'run/0'))
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'pending', driver: undefined })
    expect(await world.queue('runs')).toEqual({ ready: 1, delayed: 0, granted: 0 })
    const [grant] = await takeRun(world)
    expect(grant).toMatchObject({ isAgain: true })
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'running', driver: 'w' })
    expect(await world.queue('runs')).toEqual({ ready: 0, delayed: 0, granted: 1 })
    const holder = { ...old, token: grant?.token ?? '' }
    expect(await world.step(old, { end: { state: 'completed', value: bytes('zombie') } })).toEqual({ status: 'fenced' })
    const spec = world.spec('run/0')
    const met = await world.step(holder, { group: { spec, from: 0, inputs: inputsFor(spec) } })
    expect(met).toMatchObject({ status: 'ok', fill: 3 })
    await world.settle(await world.takeOne(), 'succeeded')
    expect(await world.news('w')).toContainEqual({ kind: 'released', gid: 'run/0' })
    expect(await world.step(holder, { end: { state: 'completed', value: bytes('x') } })).toMatchObject({ status: 'ok' })
  })

  it('P2: tells those that watch a run when its driver is gone, and when it has another', async () => {
    const world = await useWorld()
    await world.start('run', { ifLost: 'take-over' })
    const { seen, stop } = world.watch('run')
    await world.backend.control({ kind: 'resume-run', runId: 'run' }) // waits until it is watched
    await world.backend.session({ kind: 'close', session: 'driver' })
    await world.heard('w')
    expect(seen).toEqual([{ kind: 'state', gid: 'run' }])
    await takeRun(world)
    await world.heard('w')
    expect(seen).toHaveLength(2)
    stop()
  })

  it('keeps a run that was taken over, whatever its retention', async () => {
    const world = await useWorld()
    await startAndLose(world, { retentionMs: 200 })
    await takeRun(world)
    await world.live(400)
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'running' })
  })

  it('FT-P13: deletes a run that nobody took over when its retention ends', async () => {
    const world = await useWorld()
    await startAndLose(world, { retentionMs: 200 }, (holder) => world.dispatch(holder, 'run/0'))
    await world.live(400)
    expect(await world.backend.inspect.run('run')).toBeUndefined()
    expect(await world.backend.inspect.outcomes('run/0', 0)).toBeUndefined()
    expect(await takeRun(world)).toEqual([])
    expect(await world.take()).toEqual([])
  })

  it('asks of the next driver only what is left of the run', async () => {
    const world = await useWorld()
    await world.join('half', { tasks: ['second'] })
    await startAndLose(world, { tasks: ['first', 'second'] }, (holder) => world.step(holder, { rest: ['second'] }))
    expect(await takeRun(world)).toEqual([])
    expect(world.names(await takeRun(world, 'half'))).toEqual(['run#0'])
    expect(await world.queue('runs')).toEqual({ ready: 0, delayed: 0, granted: 1 })
    await world.join('able', { tasks: [] })
    await world.backend.session({ kind: 'close', session: 'half' })
    expect(await takeRun(world, 'able')).toEqual([])
    expect((await world.backend.inspect.waiting('runs')).map(({ tasks }) => tasks)).toEqual([['second']])
  })

  it('asks nothing of the next driver where nothing is left but groups', async () => {
    const world = await useWorld()
    await world.join('able', { tasks: [] })
    await startAndLose(world, {}, (holder) => world.step(holder, { rest: [] }))
    expect(world.names(await takeRun(world, 'able'))).toEqual(['run#0'])
  })

  it('asks more of a later driver than of the first one, where the run says so', async () => {
    const world = await useWorld()
    await world.join('judge', { tasks: ['drive', 'policy:p'] })
    await world.backend.open(world.openRequest('run', { rest: ['drive', 'policy:p'] }))
    const [first] = await takeRun(world)
    if (first === undefined) throw new Error('expected the run')
    await world.settle(first, 'released')
    expect(await takeRun(world)).toEqual([])
    expect(world.names(await takeRun(world, 'judge'))).toEqual(['run#0'])
  })

  it('leaves a submitted run behind where it was asked to', async () => {
    const world = await useWorld()
    const request = world.openRequest('run', { ifLost: 'abandon' })
    await world.backend.open(request)
    expect(await world.backend.open(request)).toEqual({ status: 'ok', token: undefined })
    const [grant] = await takeRun(world)
    if (grant === undefined) throw new Error('expected the run')
    await world.settle(grant, 'released')
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'abandoned' })
    expect(await takeRun(world)).toEqual([])
  })

  const take = (world: World, session = 'w', nonce = world.nonce(), runId = 'run') =>
    world.backend.take({ session, nonce, runId })

  it.each(['take-over', 'abandon'] as const)(
    'P1: is taken by its id where nobody drives it, with ifLost %s, by a session that serves no queue',
    async (ifLost) => {
      const world = await useWorld()
      const old = await startAndLose(world, { ifLost, retentionMs: 300 }, (holder) => world.dispatch(holder, 'run/0'))
      await world.join('client', { role: 'client', queues: [], tasks: [] })
      const nonce = world.nonce()
      const answer = await take(world, 'client', nonce)
      if (answer.status !== 'ok') throw new Error(`take answered ${answer.status}`)
      const { grant } = answer
      expect(grant).toMatchObject({ isAgain: true, indexes: Uint32Array.of(0), spec: { gid: 'run' } })
      expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'running', driver: 'client' })
      expect(await take(world, 'client', nonce)).toMatchObject({ status: 'ok', grant: { token: grant.token } })
      expect(await take(world, 'client')).toEqual({ status: 'held', session: 'client' })
      expect(await take(world, 'w', nonce)).toEqual({ status: 'held', session: 'client' })
      expect(await takeRun(world)).toEqual([])
      expect(await world.step(old, {})).toEqual({ status: 'fenced' })
      await world.settle(await world.takeOne(), 'succeeded')
      expect(await world.news('client')).toContainEqual({ kind: 'released', gid: 'run/0' })
      await world.live(400)
      const holder = { ...old, token: grant.token }
      const end = { state: 'completed', value: bytes('x') } as const
      expect(await world.step(holder, { end })).toMatchObject({ status: 'ok' })
      expect(await take(world, 'client')).toEqual({ status: 'over' })
      expect((await world.queue('runs')) ?? { ready: 0, delayed: 0, granted: 0 }).toEqual({
        ready: 0,
        delayed: 0,
        granted: 0,
      })
    },
  )

  it('FT-P10: a call that is repeated answers the same, and one of a process that is dead by then fences nobody for good', async () => {
    const world = await useWorld()
    const holder = await startAndLose(world)
    await world.join('dead', { ttlMs: SHORT_TTL_MS })
    const nonce = world.nonce()
    const taken = [await take(world, 'dead', nonce), await take(world, 'dead', nonce)]
    const tokens = taken.map((answer) => (answer.status === 'ok' ? answer.grant.token : answer.status))
    expect(new Set(tokens).size).toBe(1)
    expect(await world.step({ ...holder, token: tokens[0] ?? '' }, {})).toMatchObject({ status: 'ok' })
    expect(await take(world, 'w')).toEqual({ status: 'held', session: 'dead' })
    await world.liveUntil(async () => (await take(world, 'w')).status === 'ok')
    expect(await take(world, 'dead', nonce)).toEqual({ status: 'nosession' })
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'running', driver: 'w' })
  })

  it('takes a submitted run that no worker has acquired', async () => {
    const world = await useWorld()
    await world.backend.open(world.openRequest('run', { tasks: ['unknown'] }))
    expect(await take(world)).toMatchObject({ status: 'ok', grant: { spec: { gid: 'run' } } })
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'running', driver: 'w' })
  })

  it('takes nothing of a run that is paused, unknown or driven, and nothing for a session that is gone', async () => {
    const world = await useWorld()
    await startAndLose(world)
    await world.backend.control({ kind: 'pause-run', runId: 'run' })
    expect(await take(world)).toEqual({ status: 'paused' })
    await world.backend.control({ kind: 'resume-run', runId: 'run' })
    expect(await take(world, 'nobody')).toEqual({ status: 'nosession' })
    expect(await take(world, 'w', 'n', 'nowhere')).toEqual({ status: 'gone' })
    await world.join('other')
    const answers = await Promise.all(['w', 'other', 'w', 'other'].map((session) => take(world, session)))
    expect(answers.map(({ status }) => status).sort()).toEqual(['held', 'held', 'held', 'ok'])
  })

  it('P5: gives a run to the one that stands by when its driver is lost again', async () => {
    const world = await useWorld()
    await startAndLose(world)
    await world.join('first')
    expect(await take(world, 'first')).toMatchObject({ status: 'ok' })
    expect(await take(world)).toEqual({ status: 'held', session: 'first' })
    await world.backend.session({ kind: 'close', session: 'first' })
    expect(await take(world)).toMatchObject({ status: 'ok' })
  })

  it('does not fail a run that waits to be taken over', async () => {
    const world = await useWorld()
    await startAndLose(world, { tasks: ['unknown'] })
    const request = { kind: 'fail-run', runId: 'run', reason: '', value: bytes('') } as const
    expect(await world.backend.control(request)).toBe('fenced')
  })
}
