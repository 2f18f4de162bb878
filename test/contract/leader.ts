/** Who leads: one session at a time, in a term that grows, and nobody whose session or lease is gone. */
import type { Lead, LeadAnswer, TendAnswer } from '../../lib/backend/backend.js'
import { bytes, SHORT_TTL_MS, type UseWorld, type World } from '../support/world.js'

const LEASE_MS = 60_000
const SHORT_MS = 100

const stand = (world: World, session: string, ttlMs = LEASE_MS): Promise<LeadAnswer> =>
  world.backend.lead({ kind: 'stand', session, ttlMs })
const resign = (world: World, session: string): Promise<LeadAnswer> => world.backend.lead({ kind: 'resign', session })

const led = (session: string, term: number): LeadAnswer => ({ status: 'ok', lead: leader(session, term) })
const leader = (session: string, term: number): Lead => ({ session, leaderId: session, term })
const ANEW = { status: 'ok', lead: undefined }

/** Sessions of these names that want to hear when nobody leads. */
async function candidates(world: World, ...names: readonly string[]): Promise<void> {
  for (const session of names) await world.join(session, { mayLead: true, queues: [] })
}

export function describeLeader(useWorld: UseWorld): void {
  it('FT-R2: is one session, which the others are told of', async () => {
    const world = await useWorld()
    await candidates(world, 'a', 'b')
    expect(await world.backend.inspect.lead()).toBeUndefined()
    const answers = await Promise.all([stand(world, 'a'), stand(world, 'b'), stand(world, 'a')])
    expect(answers).toEqual([led('a', 1), led('a', 1), led('a', 1)])
    expect(await world.backend.inspect.lead()).toEqual(leader('a', 1))
  })

  it('may be some of the live sessions, which are counted', async () => {
    const world = await useWorld()
    const counted = async (): Promise<number> => (await world.backend.inspect.totals()).candidates
    await candidates(world, 'a', 'b')
    await world.join('never', { queues: ['default'] })
    await world.liveUntil(async () => (await counted()) === 2)
    await world.backend.session({ kind: 'close', session: 'b' })
    await world.liveUntil(async () => (await counted()) === 1)
  })

  it('is none that the store does not know', async () => {
    const world = await useWorld()
    expect(await stand(world, 'nobody')).toEqual({ status: 'nosession' })
    expect(await world.backend.inspect.lead()).toBeUndefined()
  })

  it('keeps its term as long as nobody else leads, also past its lease', async () => {
    const world = await useWorld()
    await candidates(world, 'a', 'b')
    await stand(world, 'a', SHORT_MS)
    await world.harness.advance(2 * SHORT_MS)
    expect(await world.backend.inspect.lead()).toBeUndefined()
    expect(await stand(world, 'a')).toEqual(led('a', 1))
    expect(await stand(world, 'b')).toEqual(led('a', 1))
  })

  it('FT-R2: is followed past its lease, in a later term', async () => {
    const world = await useWorld()
    await candidates(world, 'a', 'b')
    await stand(world, 'a', SHORT_MS)
    await world.harness.advance(2 * SHORT_MS)
    expect(await stand(world, 'b')).toEqual(led('b', 2))
    expect(await stand(world, 'a')).toEqual(led('b', 2))
  })

  it('is followed when its session is closed', async () => {
    const world = await useWorld()
    await candidates(world, 'a', 'b')
    await stand(world, 'a')
    await world.backend.session({ kind: 'close', session: 'a' })
    expect(await stand(world, 'b')).toEqual(led('b', 2))
  })

  it('FT-R1: is followed when its session is lost, and a session that stands hears of it', async () => {
    const world = await useWorld()
    await candidates(world, 'b')
    await world.join('mortal', { mayLead: true, queues: [], ttlMs: SHORT_TTL_MS })
    await stand(world, 'mortal')
    await world.news('b')
    await world.liveUntil(async () => (await world.news('b')).some(({ kind }) => kind === 'lead'))
    expect(await world.backend.inspect.lead()).toBeUndefined()
    expect(await stand(world, 'b')).toEqual(led('b', 2))
  })

  it('gives the lead back, of which another hears', async () => {
    const world = await useWorld()
    await candidates(world, 'a', 'b')
    await stand(world, 'a')
    await world.news('a')
    await world.news('b')
    expect(await resign(world, 'b')).toEqual(led('a', 1))
    expect(await resign(world, 'a')).toEqual(ANEW)
    expect(await resign(world, 'a')).toEqual(ANEW)
    expect(await world.news('b')).toEqual([{ kind: 'lead' }])
    expect(await world.news('a')).toEqual([])
    expect(await stand(world, 'b')).toEqual(led('b', 2))
    expect(await stand(world, 'a')).toEqual(led('b', 2))
  })

  it('tells only those that want to hear it, and nobody while somebody leads', async () => {
    const world = await useWorld()
    await candidates(world, 'a', 'b')
    await world.news('b')
    await stand(world, 'a')
    await world.news('b')
    await world.news('w')
    await world.live(300)
    expect(await world.news('b')).toEqual([])
    await resign(world, 'a')
    await world.live(200)
    expect(await world.news('w')).toEqual([])
    expect((await world.news('b')).length).toBeGreaterThan(0)
  })

  it('may lead for ever', async () => {
    const world = await useWorld()
    await candidates(world, 'a')
    expect(await stand(world, 'a', Number.POSITIVE_INFINITY)).toEqual(led('a', 1))
    expect(await world.backend.inspect.lead()).toEqual(leader('a', 1))
  })

  const tend = (world: World, session: string, term: number): Promise<TendAnswer> =>
    world.backend.tend({ kind: 'nodes', session, term, staleAfterMs: LEASE_MS, deadAfterMs: LEASE_MS })

  it('FT-R2: does its housekeeping in its own term only, and nobody else does', async () => {
    const world = await useWorld()
    await candidates(world, 'a', 'b')
    expect(await tend(world, 'a', 0)).toEqual({ status: 'deposed' })
    await stand(world, 'a')
    expect(await tend(world, 'a', 1)).toEqual({ status: 'ok', count: 0 })
    expect(await tend(world, 'a', 2)).toEqual({ status: 'deposed' })
    expect(await tend(world, 'b', 1)).toEqual({ status: 'deposed' })
    await resign(world, 'a')
    await stand(world, 'b')
    expect(await tend(world, 'a', 1)).toEqual({ status: 'deposed' })
    expect(await tend(world, 'b', 2)).toEqual({ status: 'ok', count: 0 })
  })

  it('does no housekeeping when its lease is over', async () => {
    const world = await useWorld()
    await candidates(world, 'a')
    await stand(world, 'a', SHORT_MS)
    await world.harness.advance(2 * SHORT_MS)
    expect(await tend(world, 'a', 1)).toEqual({ status: 'deposed' })
  })

  const failRun = (world: World, runId: string): Promise<TendAnswer> =>
    world.backend.tend({ kind: 'fail-run', session: 'w', term: 1, runId, reason: 'why', value: bytes('stuck') })

  it('ends a run that stands still, once, and none that is paused, over, or without a driver', async () => {
    const world = await useWorld()
    await stand(world, 'w')
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0')
    await world.start('paused')
    await world.backend.control({ kind: 'pause-run', runId: 'paused' })
    await world.backend.open(world.openRequest('waits'))
    for (const runId of ['paused', 'waits', 'nowhere'])
      expect([runId, await failRun(world, runId)]).toEqual([runId, { status: 'ok', count: 0 }])
    expect(await failRun(world, 'run')).toEqual({ status: 'ok', count: 1 })
    expect(await failRun(world, 'run')).toEqual({ status: 'ok', count: 0 })
    expect(await world.backend.inspect.run('run')).toMatchObject({ state: 'failed', value: bytes('stuck') })
    expect(await world.take()).toEqual([])
    expect(await world.news('driver')).toContainEqual({ kind: 'withdrawn', gid: 'run', reason: 'why' })
  })

  it.each(['graphs', 'orphans'] as const)(
    'looks through the store for %s, and changes nothing that is in use',
    async (kind) => {
      const world = await useWorld()
      await stand(world, 'w')
      const holder = await world.start('run', { idempotencyKey: 'key' })
      await world.dispatch(holder, 'run/0')
      let cursor: string | undefined = ''
      while (cursor !== undefined) {
        const answer: TendAnswer = await world.backend.tend({ kind, session: 'w', term: 1, cursor })
        if (answer.status !== 'ok') throw new Error('expected that it leads')
        if (kind === 'orphans') expect(answer.count).toBe(0)
        cursor = answer.cursor
      }
      expect(await world.backend.hasGraph('graph')).toBe(true)
      expect(world.names(await world.take())).toEqual(['run/0#0', 'run/0#1', 'run/0#2'])
    },
  )
}
