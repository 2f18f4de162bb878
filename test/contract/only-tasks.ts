/** Sessions that take only branches which are one task, for workers that cannot run what stands between tasks. */
import { ONLY_TASKS } from '../../lib/backend/reserved.js'
import type { Grant } from '../../lib/backend/backend.js'
import type { UseWorld, World } from '../support/world.js'

const LIMITED = [ONLY_TASKS]

const joinLimited = (world: World, session: string, tasks: readonly string[]): Promise<void> =>
  world.join(session, { tasks, capabilities: LIMITED })

const takeAs = (world: World, session: string, max = 9): Promise<readonly Grant[]> =>
  world.take(max, { session, capabilities: LIMITED })

export function describeOnlyTasks(useWorld: UseWorld): void {
  it('are granted groups of single tasks, and no other group of the same lane', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await joinLimited(world, 'remote', ['a', 'b'])
    await world.dispatch(holder, 'run/0', { tasks: ['a'], size: 1 })
    const spec = await world.dispatch(holder, 'run/1', { tasks: ['a'], size: 2, isOneTask: true })
    await world.dispatch(holder, 'run/2', { tasks: ['a', 'b'], size: 1, isOneTask: true })
    const grants = await takeAs(world, 'remote')
    expect(world.names(grants)).toEqual(['run/1#0', 'run/1#1', 'run/2#0'])
    expect(grants[0]).toMatchObject({ spec })
    await world.join('full', { tasks: ['a'] })
    expect(world.names(await world.take(9, { session: 'full' }))).toEqual(['run/0#0'])
  })

  it('are notified of such groups only, and leave others to those that wait, too', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await joinLimited(world, 'remote', ['a'])
    expect(await takeAs(world, 'remote')).toEqual([])
    await world.join('full', { tasks: ['a'] })
    expect(await world.take(9, { session: 'full' })).toEqual([])
    for (const session of ['remote', 'full']) await world.news(session)
    await world.dispatch(holder, 'run/0', { tasks: ['a'], size: 2 })
    expect([await world.news('remote'), await world.news('full')]).toEqual([[], [{ kind: 'work' }]])
    expect(world.names(await world.take(2, { session: 'full' }))).toEqual(['run/0#0', 'run/0#1'])
    await world.dispatch(holder, 'run/1', { tasks: ['a'], size: 1, isOneTask: true })
    expect(await world.news('remote')).toEqual([{ kind: 'work' }])
  })

  it('count as those that serve a lane only for groups of single tasks', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await joinLimited(world, 'remote', ['a', 'b'])
    await world.join('full', { tasks: ['c'] })
    await world.dispatch(holder, 'run/0', { tasks: ['a', 'b'], size: 1, isOneTask: true })
    await world.dispatch(holder, 'run/1', { tasks: ['a', 'b'], size: 1 })
    const widen = (gid: string): Promise<string> => world.backend.control({ kind: 'widen-lane', gid, orNone: true })
    expect(await widen('run/0')).toBe('fenced')
    expect(await widen('run/1')).toBe('ok')
    await joinLimited(world, 'other', ['a', 'b'])
    expect(await widen('run/1')).toBe('dup')
    expect(world.names(await world.take(9, { session: 'full' }))).toEqual(['run/0#0', 'run/1#0'])
  })

  it('take nothing of a wide lane of which they know only some tasks, since they forward nothing', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await joinLimited(world, 'remote', ['a'])
    await world.join('full', { tasks: ['b'] })
    await world.dispatch(holder, 'run/0', { tasks: ['a', 'b'], size: 2, isOneTask: true })
    expect(await world.backend.control({ kind: 'widen-lane', gid: 'run/0', orNone: true })).toBe('ok')
    expect(await takeAs(world, 'remote')).toEqual([])
    expect(world.names(await world.take(9, { session: 'full' }))).toEqual(['run/0#0', 'run/0#1'])
  })
}
