/** The log of what happens, for those who look at a store from outside; and what those have seen of single runs. */
import type { EventPage, LoggedEvent } from '../../lib/backend/backend.js'
import { bytes, type UseWorld, type World } from '../support/world.js'

const KEPT_MS = 60_000
/** Longer than a slow machine takes for what is kept meanwhile. */
const LONG_MS = 600_000
const everything = async (world: World): Promise<EventPage> => world.backend.inspect.events('0', 1_000)
const eventsOf = ({ events }: EventPage): readonly LoggedEvent[] => events.map(({ event }) => event)
const statesOf = async (world: World, runId: string): Promise<readonly string[]> =>
  eventsOf(await everything(world)).flatMap((event) =>
    event.kind === 'run' && event.runId === runId ? [`${event.from ?? '-'} ${event.to}`] : [],
  )

export function describeEventLog(useWorld: UseWorld): void {
  it('keeps nothing before it is asked to, and begins anew then', async () => {
    const world = await useWorld()
    await world.start('early')
    expect(await everything(world)).toMatchObject({ isKept: false, last: undefined, events: [] })
    await world.backend.keepEvents(KEPT_MS)
    const { isKept, last, events } = await everything(world)
    expect({ isKept, events }).toEqual({ isKept: true, events: [] })
    expect(last).toMatch(/^\d+-\d+$/)
    await world.backend.keepEvents(KEPT_MS)
    expect((await everything(world)).last).toBe(last)
  })

  it('keeps each state that a run gets into, whoever causes it, with the one before', async () => {
    const world = await useWorld()
    await world.backend.keepEvents(KEPT_MS)
    await world.start('run')
    await world.backend.control({ kind: 'pause-run', runId: 'run' })
    await world.backend.control({ kind: 'pause-run', runId: 'run' })
    await world.backend.control({ kind: 'resume-run', runId: 'run' })
    await world.backend.control({ kind: 'cancel-run', runId: 'run', reason: 'r', value: bytes('e') })
    expect(await statesOf(world, 'run')).toEqual(['- running', 'running paused', 'paused running', 'running cancelled'])
    expect(await world.backend.reopen({ runId: 'run', nonce: world.harness.newNonce() })).toBe('ok')
    expect((await statesOf(world, 'run')).at(-1)).toBe('cancelled pending')
  })

  it('keeps that a run was deleted, and that a queue was paused, once each', async () => {
    const world = await useWorld()
    await world.start('run')
    await world.backend.keepEvents(KEPT_MS)
    const deletion = { kind: 'delete-run', runId: 'run', reason: 'r', value: bytes('e') } as const
    while ((await world.backend.control(deletion)) !== 'gone') await world.harness.quiet()
    await world.backend.control({ kind: 'pause-queue', queue: 'q' })
    await world.backend.control({ kind: 'pause-queue', queue: 'q' })
    await world.backend.control({ kind: 'resume-queue', queue: 'q' })
    expect(eventsOf(await everything(world))).toEqual([
      { kind: 'run', runId: 'run', workflow: undefined, from: 'running', to: 'cancelled' },
      { kind: 'deleted', runId: 'run' },
      { kind: 'queue', queue: 'q', isPaused: true },
      { kind: 'queue', queue: 'q', isPaused: false },
    ])
  })

  it('keeps who comes, goes and leads', async () => {
    const world = await useWorld()
    await world.backend.keepEvents(KEPT_MS)
    await world.join('second')
    await world.backend.lead({ kind: 'stand', session: 'second', ttlMs: 10_000 })
    await world.backend.session({ kind: 'close', session: 'second', reason: 'enough' })
    const found = eventsOf(await everything(world)).flatMap((event) => (event.kind === 'cluster' ? [event.event] : []))
    expect(found).toEqual([
      expect.objectContaining({ kind: 'worker:registered', session: 'second', isReturned: false }),
      { kind: 'leader:changed', session: 'second', leaderId: expect.any(String), term: 1 },
      { kind: 'worker:deregistered', session: 'second', workerId: expect.any(String), reason: 'enough' },
    ])
  })

  it('gives what is behind a position, page by page, and says where something may be missing', async () => {
    const world = await useWorld()
    await world.backend.keepEvents(KEPT_MS)
    const { last: begin } = await everything(world)
    for (const runId of ['a', 'b', 'c']) await world.start(runId)
    const first = await world.backend.inspect.events(begin, 2)
    expect(eventsOf(first).map((event) => 'runId' in event && event.runId)).toEqual(['a', 'b'])
    expect(first.isGap).toBe(false)
    const second = await world.backend.inspect.events(first.next, 2)
    expect(eventsOf(second).map((event) => 'runId' in event && event.runId)).toEqual(['c'])
    expect(second.next).toBe(second.last)
    expect(await world.backend.inspect.events(second.next, 2)).toMatchObject({ events: [], next: undefined })
    expect(await world.backend.inspect.events(undefined, 2)).toMatchObject({ events: [], isGap: false })
    for (const unknown of ['1-1', '9999999999999-0']) {
      expect(await world.backend.inspect.events(unknown, 2)).toMatchObject({ isGap: true })
    }
  })

  it('appends to what was seen of a run for one of several who watch it', async () => {
    const world = await useWorld()
    const { backend } = world
    const append = (after: string | undefined, what: string) =>
      backend.appendRunEvents({
        ...{ runId: 'run', after, events: bytes(what), seen: bytes(`seen ${what}`), keptMs: KEPT_MS },
      })
    expect(await backend.inspect.runEvents('run', '0', 10)).toEqual({
      ...{ last: undefined, isGap: false, seen: undefined, entries: [] },
    })
    const first = await append(undefined, 'one')
    expect(first.status).toBe('ok')
    expect(await append(undefined, 'other')).toEqual({ status: 'stale' })
    const position = 'position' in first ? first.position : ''
    const second = await append(position, 'two')
    expect(await append(position, 'late')).toEqual({ status: 'stale' })
    const last = 'position' in second ? second.position : ''
    expect(await backend.inspect.runEvents('run', '0', 10)).toEqual({
      last,
      isGap: false,
      seen: bytes('seen two'),
      entries: [
        { position, events: bytes('one') },
        { position: last, events: bytes('two') },
      ],
    })
    expect((await backend.inspect.runEvents('run', position, 10)).entries).toHaveLength(1)
    expect(await backend.inspect.runEvents('run', '1-0', 10)).toMatchObject({ isGap: true })
    expect((await backend.inspect.runEvents('other', '0', 10)).last).toBeUndefined()
  })

  it('keeps no more than 2 MiB of what was seen of a run, and always the last', async () => {
    const world = await useWorld()
    const { backend } = world
    const positions: string[] = []
    const append = async (kib: number): Promise<void> => {
      const answer = await backend.appendRunEvents({
        ...{ runId: 'run', after: positions.at(-1), events: new Uint8Array(kib * 1024), seen: bytes('seen') },
        keptMs: KEPT_MS,
      })
      if (answer.status === 'ok') positions.push(answer.position)
    }
    const kept = async (): Promise<readonly number[]> =>
      (await backend.inspect.runEvents('run', '0', 100)).entries.map(({ events }) => events.length / 1024)
    for (let n = 0; n < 20; n += 1) await append(250)
    expect(await kept()).toEqual(Array(8).fill(250))
    expect(await backend.inspect.runEvents('run', positions[0], 10)).toMatchObject({ isGap: true })
    expect(await backend.inspect.runEvents('run', positions[12], 10)).toMatchObject({ isGap: false })
    await append(1800)
    expect(await kept()).toEqual([1800])
    await append(2100)
    expect(await kept()).toEqual([2100])
  })

  it('keeps no more than 64 MiB of what was seen of all runs, and drops first what would be over soonest', async () => {
    const world = await useWorld()
    const { backend } = world
    const last = new Map<string, string>()
    const append = async (runId: string, keptMs = LONG_MS): Promise<void> => {
      const answer = await backend.appendRunEvents({
        ...{ runId, after: last.get(runId), keptMs },
        ...{ events: new Uint8Array(1_900_000), seen: new Uint8Array(100_000) },
      })
      expect(answer.status).toBe('ok')
      if (answer.status === 'ok') last.set(runId, answer.position)
    }
    const kept = async (): Promise<readonly string[]> => {
      const found = await Promise.all([...last.keys()].map((runId) => backend.inspect.runEvents(runId, '0', 1)))
      return [...last.keys()].filter((_, i) => found[i]?.last !== undefined)
    }
    await append('first')
    await append('over', LONG_MS / 2)
    for (let n = 0; n < 31; n += 1) await append(`r${n}`)
    expect(await kept()).toEqual([...last.keys()])
    await append('more')
    expect((await kept()).length).toBe(last.size - 1)
    expect(await kept()).not.toContain('over')
    await append('first') // which is the last one from now on
    await append('one-more')
    expect(await kept()).toContain('first')
    expect(await kept()).not.toContain('r0')
    // who comes back is told that something is missing, and it begins anew
    const before = last.get('over')
    expect(await backend.inspect.runEvents('over', before, 1)).toMatchObject({ isGap: true, seen: undefined })
    last.delete('over')
    await world.harness.advance(5)
    await append('over')
    expect(await backend.inspect.runEvents('over', before, 1)).toMatchObject({ isGap: true })
    expect(await backend.inspect.runEvents('over', '0', 9)).toMatchObject({ isGap: false, last: last.get('over') })
  }, 60_000)

  it('forgets the bytes of what was seen of runs that is over', async () => {
    const world = await useWorld()
    const { backend } = world
    const append = (runId: string, keptMs: number): Promise<unknown> =>
      backend.appendRunEvents({
        ...{ runId, after: undefined, keptMs },
        ...{ events: new Uint8Array(1_900_000), seen: new Uint8Array(0) },
      })
    for (let n = 0; n < 33; n += 1) await append(`r${n}`, 1_000)
    await world.harness.advance(1_500)
    await append('lives', LONG_MS)
    for (let n = 0; n < 33; n += 1) await append(`s${n}`, LONG_MS)
    expect((await backend.inspect.runEvents('lives', '0', 1)).last).toBeDefined()
  }, 60_000)
}
