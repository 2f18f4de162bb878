/** Tasks in hand: what a holder says of the task that it starts counts for that task alone, however often the branch is granted anew. */
import type { Grant, Holder, StepAnswer, TaskInHand } from '../../lib/backend/backend.js'
import { bytes, packed, SHORT_TTL_MS, type UseWorld, type World } from '../support/world.js'

const about = (path: string, facts: Partial<TaskInHand> = {}): TaskInHand => ({
  ...{ path, errors: 0, losses: 0, attempts: 1, maxLosses: 3, timeoutMs: 0 },
  ...{ ifLost: bytes(`${path} lost`), ifLate: bytes(`${path} late`) },
  ...facts,
})

const holderOf = ({ spec, token }: Grant, index = 0): Holder => ({ gid: spec.gid, index, token })

/** A group of this many branches. */
async function opened(world: World, size = 1, facts = {}): Promise<void> {
  await world.dispatch(await world.start('run'), 'run/0', { size, ...facts })
}

/** Takes the one branch, speaks of these tasks, and is gone. Answers the last step. */
async function loseIn(world: World, ...tasks: readonly TaskInHand[]): Promise<unknown> {
  await world.join('mortal', { ttlMs: SHORT_TTL_MS })
  const grant = await world.takeOne(1, { session: 'mortal' })
  let answer: unknown
  for (const task of tasks) answer = await world.step(holderOf(grant), { task })
  await world.liveUntil(async () =>
    (await world.backend.inspect.sessions()).every(({ session }) => session !== 'mortal'),
  )
  return answer
}

export function describeTasksInHand(useWorld: UseWorld): void {
  it('says how often a task failed and was lost before, and grants say that there is one', async () => {
    const world = await useWorld()
    await opened(world)
    const first = await loseIn(world, about('a', { errors: 2 }))
    expect(first).toEqual({ status: 'ok', fill: 0, counts: { errors: 2, losses: 0 } })
    const grant = await world.takeOne()
    expect(grant.withTasks).toEqual([0])
    const again = await world.step(holderOf(grant), { task: about('a', { errors: 0, losses: 1 }) })
    expect(again).toEqual({ status: 'ok', fill: 0, counts: { errors: 2, losses: 1 } })
    await world.settle(grant, 'released')
    expect((await world.takeOne()).withTasks).toEqual([0])
  })

  it('says how much is left of the delay before the next start of a task, during which nothing is in hand', async () => {
    const world = await useWorld()
    await opened(world, 1, { maxLosses: 3 })
    const waits = about('a', { errors: 2, maxLosses: 0, delayMs: 30_000 })
    expect(await loseIn(world, about('b', { errors: 1 }), waits)).toMatchObject({ counts: { errors: 2, losses: 0 } })
    const grant = await world.takeOne()
    const tell = (path: string): Promise<StepAnswer> => world.step(holderOf(grant), { task: about(path) })
    const answer = await tell('a')
    const { waitMs = 0, ...counts } = (answer.status === 'ok' && answer.counts) || { errors: -1, losses: -1 }
    expect(counts).toEqual({ errors: 2, losses: 0 })
    expect(waitMs).toBeGreaterThan(20_000)
    expect(waitMs).toBeLessThanOrEqual(30_000)
    expect(await tell('b')).toEqual({ status: 'ok', fill: 0, counts: { errors: 1, losses: 0 } })
    await world.step(holderOf(grant), { task: { ...waits, delayMs: 20 } })
    await world.harness.advance(40)
    expect(await tell('a')).toEqual({ status: 'ok', fill: 0, counts: { errors: 2, losses: 0 } })
  })

  it('ends a branch with what the task said, once it was lost too often', async () => {
    const world = await useWorld()
    await opened(world, 1, { maxLosses: 3 })
    await loseIn(world, about('a', { maxLosses: 0 }))
    expect(await world.outcomes('run/0')).toEqual(['dead:a lost'])
    expect(await world.backend.inspect.deadLetters(9)).toMatchObject([{ kind: 'dead', error: bytes('a lost') }])
  })

  it('counts losses of one task for no other, and remembers those of the one before', async () => {
    const world = await useWorld()
    await opened(world, 1, { maxLosses: 0 })
    await loseIn(world, about('a', { maxLosses: 1 }))
    await loseIn(world, about('a', { maxLosses: 1 }), about('b', { maxLosses: 1 }))
    expect(await loseIn(world, about('a', { maxLosses: 1 }))).toMatchObject({ counts: { losses: 1 } })
    expect(await world.outcomes('run/0')).toEqual(['dead:a lost'])
  })

  it('counts what nobody spoke of by the terms of the group', async () => {
    const world = await useWorld()
    await opened(world, 1, { maxLosses: 1 })
    await loseIn(world)
    expect(await loseIn(world, about('a', { losses: 1 }))).toMatchObject({ counts: { losses: 1 } })
    await world.join('other', { ttlMs: SHORT_TTL_MS })
    const grant = await world.takeOne(1, { session: 'other' })
    await world.step(holderOf(grant), { task: 'none' })
    await world.liveUntil(async () => (await world.queue())?.granted === 0)
    expect(await world.state('run/0')).toBe('open')
    await world.join('third', { ttlMs: SHORT_TTL_MS })
    const last = await world.takeOne(1, { session: 'third' })
    await world.step(holderOf(last), { task: 'none' })
    await world.liveUntil(async () => (await world.state('run/0')) === 'released')
    expect(await world.outcomes('run/0')).toEqual(['dead:'])
  })

  it('reclaims a start past the deadline of its task as an error of that task, and no other branch of the grant', async () => {
    const world = await useWorld({ deadlineGraceMs: 100 })
    await opened(world, 2)
    const grant = await world.takeOne()
    await world.step(holderOf(grant, 1), { task: about('a', { attempts: 2, timeoutMs: 100 }) })
    await world.live(100)
    expect(await world.queue()).toEqual({ ready: 0, delayed: 0, granted: 2 })
    await world.liveUntil(async () => (await world.queue())?.ready === 1)
    expect(await world.news('w')).not.toContainEqual(expect.objectContaining({ kind: 'lost' }))
    const next = await world.takeOne(1)
    expect([next.indexes, next.errors, next.losses]).toEqual([Uint32Array.of(1), Uint8Array.of(1), Uint8Array.of(0)])
    const step = await world.step(holderOf(next, 1), { task: about('a', { attempts: 2, timeoutMs: 100 }) })
    expect(step).toEqual({ status: 'ok', fill: 0, counts: { errors: 1, losses: 0 } })
    await world.liveUntil(async () => (await world.queue())?.granted === 1)
    await world.settle(grant, 'succeeded', [0])
    expect(await world.outcomes('run/0')).toEqual(['succeeded:v0', 'failed:a late'])
  })

  it.each<readonly [string, (world: World, grant: Grant) => Promise<unknown>]>([
    ['another task', (world, grant) => world.step(holderOf(grant), { task: about('b') })],
    ['no task', (world, grant) => world.step(holderOf(grant), { task: 'none' })],
    ['a settle', (world, grant) => world.settle(grant, 'released')],
    ['its group’s end', (world, grant) => world.settle(grant, 'failed')],
  ])('has no deadline any more after %s', async (_, end) => {
    const world = await useWorld({ deadlineGraceMs: 50 })
    await opened(world)
    const grant = await world.takeOne()
    await world.step(holderOf(grant), { task: about('a', { timeoutMs: 50 }) })
    await end(world, grant)
    const before = [await world.state('run/0'), await world.queue()]
    await world.live(300)
    expect([await world.state('run/0'), await world.queue()]).toEqual(before)
    expect((await world.backend.inspect.deadLetters(9)).filter(({ error }) => error.length > 2)).toEqual([])
  })

  it('keeps the deadline after a step that does not speak of a task', async () => {
    const world = await useWorld({ deadlineGraceMs: 50 })
    await opened(world)
    const grant = await world.takeOne()
    await world.step(holderOf(grant), { task: about('a', { timeoutMs: 50 }) })
    await world.dispatch(holderOf(grant), 'run/0/0/0', { queue: 'inner', depth: 2 })
    await world.liveUntil(async () => (await world.outcomes('run/0'))[0] === 'failed:a late')
  })

  /** Branch 0 of a group is lost so many times, while a group is open that it opened by a step with this task; its outcome. */
  async function lostWhileOpen(losses: number, task: 'none' | undefined): Promise<string> {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 1, maxLosses: 2 })
    const inner = world.spec('run/0/0/0', { queue: 'inner', depth: 2 })
    for (let i = 0; i < losses; i += 1) {
      await world.join(`mortal-${i}`, { ttlMs: SHORT_TTL_MS })
      const grant = await world.takeOne(1, { session: `mortal-${i}` })
      const group = { spec: inner, from: 0, inputs: packed('i0', 'i1', 'i2') }
      await world.step(holderOf(grant), { group, ...(task !== undefined && { task }) })
      await world.liveUntil(async () => (await world.queue())?.granted === 0)
    }
    return (await world.outcomes('run/0'))[0] ?? 'none yet'
  }

  it('counts no loss of a branch that only waits for a group that it opened', async () => {
    expect(await lostWhileOpen(6, 'none')).toBe('none yet')
  })

  it('counts losses of a task that waits for a group that it opened, which may be lost twice as often', async () => {
    expect(await lostWhileOpen(4, undefined)).toBe('none yet')
    expect(await lostWhileOpen(5, undefined)).toBe('dead:')
  })

  it('fails a submitted run with what its step said', async () => {
    const world = await useWorld()
    await world.backend.open(world.openRequest('run', { maxLosses: 1_000 }))
    await world.join('mortal', { ttlMs: SHORT_TTL_MS })
    const grant = await world.takeOne(1, { session: 'mortal', queues: ['runs'] })
    await world.step(holderOf(grant), { task: about('0', { maxLosses: 0 }) })
    await world.liveUntil(async () => (await world.backend.inspect.run('run'))?.state === 'failed')
    expect(await world.backend.inspect.run('run')).toMatchObject({ value: bytes('0 lost') })
    expect(await world.backend.inspect.deadLetters(9)).toEqual([])
  })

  it('is refused with counts out of range', async () => {
    const world = await useWorld()
    await opened(world)
    const grant = await world.takeOne()
    for (const facts of [{ attempts: 0 }, { maxLosses: 256 }, { timeoutMs: -1 }, { path: '' }])
      await expect(world.step(holderOf(grant), { task: about('a', facts) })).rejects.toMatchObject({ code: 'INTERNAL' })
  })
}
