/** Wide lanes: work that no single session knows all tasks of goes to those that know some of them, for as long as that is so. */
import type { Backend } from '../../lib/backend/backend.js'
import type { UseWorld, World } from '../support/world.js'

const widen = (world: World, gid: string, orNone = false): ReturnType<Backend['control']> =>
  world.backend.control({ kind: 'widen-lane', gid, orNone })

export function describeWideLanes(useWorld: UseWorld): void {
  it('X15: a group that no session knows all tasks of is granted once its lane is wide, to those that know some', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.join('one', { tasks: ['a', 'x'] })
    await world.join('two', { tasks: ['b'] })
    await world.dispatch(holder, 'run/0', { tasks: ['a', 'b'] })
    const spec = await world.dispatch(holder, 'run/1', { tasks: ['a', 'b'], size: 2 })
    for (const session of ['one', 'two', 'w']) expect(await world.take(9, { session })).toEqual([])
    for (const session of ['one', 'two', 'w']) await world.news(session)
    expect(await widen(world, 'run/1')).toBe('ok')
    expect([await world.news('one'), await world.news('two'), await world.news('w')]).toEqual([
      [{ kind: 'work' }],
      [{ kind: 'work' }],
      [],
    ])
    expect(await widen(world, 'run/0')).toBe('dup')
    expect(await world.take(9, { session: 'w' })).toEqual([])
    expect(world.names(await world.take(1, { session: 'two' }))).toEqual(['run/0#0'])
    expect(world.names(await world.take(1, { session: 'one' }))).toEqual(['run/0#1'])
    expect(world.names(await world.take(1, { session: 'one' }))).toEqual(['run/0#2'])
    expect(await world.takeOne(9, { session: 'one' })).toMatchObject({ spec })
  })

  it('wakes those that wait for the next group of a wide lane, too', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.join('one', { tasks: ['a'] })
    await world.dispatch(holder, 'run/0', { tasks: ['a', 'b'], size: 1 })
    await widen(world, 'run/0')
    await world.takeOne(9, { session: 'one' })
    expect(await world.take(9, { session: 'one' })).toEqual([])
    await world.news('one')
    await world.dispatch(holder, 'run/1', { tasks: ['a', 'b'], size: 1 })
    expect(await world.news('one')).toEqual([{ kind: 'work' }])
    expect(world.names(await world.take(9, { session: 'one' }))).toEqual(['run/1#0'])
  })

  it('makes no lane wide that a live session serves whole, and makes it narrow again when one opens', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.join('one', { tasks: ['a'] })
    await world.dispatch(holder, 'run/0', { tasks: ['a', 'b'], size: 2 })
    await world.join('both', { tasks: ['a', 'b', 'c'] })
    expect(await widen(world, 'run/0')).toBe('fenced')
    await world.backend.session({ kind: 'close', session: 'both' })
    expect(await widen(world, 'run/0')).toBe('ok')
    expect(world.names(await world.take(1, { session: 'one' }))).toEqual(['run/0#0'])
    await world.join('other', { tasks: ['b'] })
    await world.join('busy', { tasks: ['a', 'b'], queues: ['elsewhere'] })
    expect(await widen(world, 'run/0')).toBe('dup')
    await world.join('both', { tasks: ['a', 'b', 'c'] })
    expect(await world.take(9, { session: 'one' })).toEqual([])
    expect(world.names(await world.take(9, { session: 'both' }))).toEqual(['run/0#1'])
  })

  it('asks for queue and capabilities as ever', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.join('plain', { tasks: ['a'] })
    await world.join('elsewhere', { tasks: ['a'], queues: ['other'], capabilities: ['gpu'] })
    await world.join('observer', { tasks: ['a'], role: 'observer', capabilities: ['gpu'] })
    await world.dispatch(holder, 'run/0', { tasks: ['a', 'b'], requires: ['gpu'], size: 1 })
    expect(await widen(world, 'run/0')).toBe('fenced')
    await world.join('able', { tasks: ['b'], capabilities: ['gpu', 'ssd'] })
    expect(await widen(world, 'run/0')).toBe('ok')
    expect(await world.take(9, { session: 'plain' })).toEqual([])
    expect(await world.take(9, { session: 'elsewhere', queues: ['other'], capabilities: ['gpu'] })).toEqual([])
    expect(world.names(await world.take(9, { session: 'able', capabilities: ['gpu', 'ssd'] }))).toEqual(['run/0#0'])
  })

  it('lets a session take a run that knows none of its tasks, only where it is told so and none knows any', async () => {
    const world = await useWorld()
    await world.backend.open(world.openRequest('run', { tasks: ['a', 'b'] }))
    await world.join('driver-1', { queues: ['runs'], tasks: ['c'] })
    expect(await widen(world, 'run')).toBe('fenced')
    expect(await widen(world, 'run', true)).toBe('ok')
    await world.join('driver-2', { queues: ['runs'], tasks: ['b'] })
    expect(await widen(world, 'run', true)).toBe('ok')
    expect(await world.take(9, { session: 'driver-1', queues: ['runs'] })).toEqual([])
    await world.backend.session({ kind: 'close', session: 'driver-2' })
    expect(await widen(world, 'run', true)).toBe('ok')
    expect(world.names(await world.take(9, { session: 'driver-1', queues: ['runs'] }))).toEqual(['run#0'])
  })

  it('keeps 64 lanes wide, and knows no lane of a group that is gone or over', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.join('one', { tasks: ['a'] })
    for (let i = 0; i < 65; i += 1) {
      await world.dispatch(holder, `run/${i}`, { tasks: ['a', `b${i}`], size: 1 })
      expect(await widen(world, `run/${i}`)).toBe('ok')
    }
    expect(await widen(world, 'run/64')).toBe('dup')
    expect(world.names(await world.take(100, { session: 'one' }))).toHaveLength(64)
    expect(await widen(world, 'run/0')).toBe('ok')
    expect(await widen(world, 'run/none')).toBe('gone')
    await world.backend.control({ kind: 'withdraw-group', holder, gid: 'run/0' })
    expect(await widen(world, 'run/0')).toBe('gone')
  })
}
