/** Sharing: a few branches are spread over the sessions that wait for them; many are not held back from anybody. */
import type { AcquireAnswer, AcquireRequest } from '../../lib/backend/backend.js'
import type { UseWorld, World } from '../support/world.js'

/** Two sessions, `w` and `v`, that wait for work, with room for so many branches. */
async function twoWaiting(world: World, room: { readonly w: number; readonly v: number }): Promise<void> {
  await world.join('v')
  for (const session of ['w', 'v'] as const) expect(await world.take(room[session], { session })).toEqual([])
}

async function ask(world: World, max: number, facts: Partial<AcquireRequest> = {}) {
  const answer: AcquireAnswer = await world.backend.acquire(world.acquireRequest({ max, ...facts }))
  if (answer.status !== 'ok') throw new Error(`acquire answered ${answer.status}`)
  return { ...answer, count: answer.grants.reduce((sum, { indexes }) => sum + indexes.length, 0) }
}

const isRung = async (world: World, session: string): Promise<boolean> =>
  (await world.news(session)).some(({ kind }) => kind === 'work')

export function describeSharing(useWorld: UseWorld): void {
  it('gives each of two that wait half of ten branches, and wakes both', async () => {
    const world = await useWorld({ shareMs: 10_000 })
    const holder = await world.start('run')
    await twoWaiting(world, { w: 16, v: 16 })
    await world.dispatch(holder, 'run/0', { size: 10 })
    expect([await isRung(world, 'w'), await isRung(world, 'v')]).toEqual([true, true])
    const first = await ask(world, 16)
    expect([first.count, first.isMore]).toEqual([5, false])
    expect(first.nextDueMs).toBeLessThanOrEqual(10_000)
    expect(await ask(world, 16, { session: 'v' })).toMatchObject({ count: 5, isMore: false, nextDueMs: undefined })
  })

  it('leaves to others only what they have room for', async () => {
    const world = await useWorld({ shareMs: 10_000 })
    const holder = await world.start('run')
    await twoWaiting(world, { w: 16, v: 2 })
    await world.dispatch(holder, 'run/0', { size: 10 })
    expect((await ask(world, 16)).count).toBe(8)
    expect((await ask(world, 2, { session: 'v' })).count).toBe(2)
  })

  it('counts what each holds already', async () => {
    const world = await useWorld({ shareMs: 10_000 })
    const holder = await world.start('run')
    await world.join('v')
    await world.dispatch(holder, 'run/0', { size: 4 })
    expect((await ask(world, 16)).count).toBe(4)
    expect((await ask(world, 16, { session: 'v' })).count).toBe(0)
    await world.dispatch(holder, 'run/1', { size: 4 })
    expect((await ask(world, 12)).count).toBe(0)
    expect((await ask(world, 16, { session: 'v' })).count).toBe(4)
  })

  it('shares many groups of one as it shares one group', async () => {
    const world = await useWorld({ shareMs: 10_000 })
    const holder = await world.start('run')
    await twoWaiting(world, { w: 16, v: 16 })
    for (let i = 0; i < 10; i += 1) await world.dispatch(holder, `run/${i}`, { size: 1 })
    expect((await ask(world, 16)).count).toBe(5)
    expect((await ask(world, 16, { session: 'v' })).count).toBe(5)
  })

  it('holds nothing back where nobody waits who could take it', async () => {
    const world = await useWorld({ shareMs: 10_000 })
    const holder = await world.start('run')
    await world.join('busy')
    await world.join('gpu')
    await world.join('elsewhere')
    await world.dispatch(holder, 'run/0', { size: 1, requires: ['gpu'] })
    await world.take(1, { session: 'gpu', capabilities: ['gpu'] })
    await world.take(16, { session: 'elsewhere', queues: ['other'] })
    await world.dispatch(holder, 'run/1', { size: 10 })
    await world.take(2, { session: 'busy' })
    expect((await ask(world, 16)).count).toBe(8)
  })

  it('holds nothing back of more than all have room for', async () => {
    const world = await useWorld({ shareMs: 10_000 })
    const holder = await world.start('run')
    await twoWaiting(world, { w: 16, v: 16 })
    await world.dispatch(holder, 'run/0', { size: 1_000 })
    expect(await ask(world, 16)).toMatchObject({ count: 16, isMore: true })
    expect(await ask(world, 64, { session: 'v' })).toMatchObject({ count: 64, isMore: true })
  })

  it('does not share tasks that are quick', async () => {
    const world = await useWorld({ shareMs: 10_000 })
    const holder = await world.start('run')
    await world.join('v')
    const tasks = ['task', 'other', 'slow']
    for (const session of ['w', 'v']) {
      await world.join(session, { tasks })
      await world.take(16, { session, quick: ['task', 'other'] })
    }
    await world.dispatch(holder, 'run/0', { size: 10, tasks: ['task', 'other'] })
    expect([await isRung(world, 'w'), await isRung(world, 'v')]).toEqual([true, false])
    expect(await ask(world, 16, { quick: ['task', 'other'] })).toMatchObject({ count: 10, nextDueMs: undefined })
    await world.dispatch(holder, 'run/1', { size: 10, tasks: ['task', 'slow'] })
    expect([await isRung(world, 'w'), await isRung(world, 'v')]).toEqual([true, true])
    expect((await ask(world, 16, { session: 'v', quick: ['task', 'other'] })).count).toBe(10)
  })

  it('leaves the share of one that does not come for a while only', async () => {
    const world = await useWorld({ shareMs: 200 })
    const holder = await world.start('run')
    await twoWaiting(world, { w: 16, v: 16 })
    await world.dispatch(holder, 'run/0', { size: 10 })
    const first = await ask(world, 16)
    expect(first.count).toBe(5)
    expect(first.nextDueMs).toBeLessThanOrEqual(200)
    await world.live(300)
    expect(await ask(world, 11)).toMatchObject({ count: 5, nextDueMs: undefined })
    expect((await ask(world, 16, { session: 'v' })).count).toBe(0)
  })

  it('wakes who left a share when those who were to take it are gone, or took less', async () => {
    const world = await useWorld({ shareMs: 10_000 })
    const holder = await world.start('run')
    await twoWaiting(world, { w: 16, v: 16 })
    await world.dispatch(holder, 'run/0', { size: 10 })
    expect((await ask(world, 16)).count).toBe(5)
    await world.news('w')
    expect((await ask(world, 2, { session: 'v' })).count).toBe(2)
    expect(await isRung(world, 'w')).toBe(true)
    expect((await ask(world, 11)).count).toBe(3)
    await world.take(16, { session: 'v' })
    await world.dispatch(holder, 'run/1', { size: 16 })
    expect((await ask(world, 8)).count).toBeLessThan(8)
    await world.news('w')
    await world.backend.session({ kind: 'close', session: 'v' })
    expect(await isRung(world, 'w')).toBe(true)
    await world.take(100)
    expect((await world.queue())?.ready).toBe(0)
  })
}
