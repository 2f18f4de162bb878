/** Lists of runs: each run is where its record says, whatever became of it; pages have each run once. */
import type { RunQuery, RunState } from '../../lib/backend/backend.js'
import { bytes, type UseWorld, type World } from '../support/world.js'

const STATES = ['pending', 'running', 'paused', 'waiting', 'abandoned', 'completed', 'failed', 'cancelled'] as const
const value = bytes('')

const idsOf = async (world: World, query: Partial<RunQuery> = {}): Promise<string[]> =>
  (await world.backend.inspect.runs({ limit: 1_000, ...query })).items.map(({ runId }) => runId)

/** All pages. `between` is called after each. */
async function paged(world: World, query: RunQuery, between: () => Promise<unknown> = () => Promise.resolve()) {
  const found: string[] = []
  let pages = 0
  for (let after: string | undefined; ; pages += 1) {
    const page = await world.backend.inspect.runs({ ...query, ...(after !== undefined && { after }) })
    found.push(...page.items.map(({ runId }) => runId))
    after = page.after
    if (after === undefined) return { found, pages: pages + 1 }
    await between()
  }
}

/** Every state's list has those runs that are in it, by their records, newest first. */
async function expectTrue(world: World, ids: readonly string[]): Promise<Readonly<Record<string, string[]>>> {
  const byState: Record<string, string[]> = {}
  for (const id of [...ids].reverse()) {
    const record = await world.backend.inspect.run(id)
    if (record !== undefined) (byState[record.state] ??= []).push(id)
  }
  const listed: Record<string, string[]> = {}
  for (const state of STATES) {
    const found = await idsOf(world, { states: [state] })
    if (found.length > 0) listed[state] = found
  }
  expect(listed).toEqual(byState)
  return byState
}

export function describeListRuns(useWorld: UseWorld): void {
  it('O4: a run is in the list of its state, from its opening to its deletion', async () => {
    const world = await useWorld()
    const ids = ['pending', 'taken', 'driven', 'paused', 'parked', 'pausedParked', 'left', 'done', 'failed', 'retried']
    const control = (kind: 'pause-run' | 'resume-run', runId: string) => world.backend.control({ kind, runId })
    for (const runId of ['pending', 'taken']) await world.backend.open(world.openRequest(runId, { priority: 1 }))
    await world.join('other')
    const holders = new Map<string, Awaited<ReturnType<World['start']>>>()
    for (const runId of ids.slice(2)) {
      const session = runId === 'left' ? 'other' : 'driver'
      holders.set(runId, await world.start(runId, { session, ifLost: runId === 'left' ? 'abandon' : 'take-over' }))
    }
    const holder = (runId: string) => {
      const found = holders.get(runId)
      if (found === undefined) throw new Error(`expected a holder of ${runId}`)
      return found
    }
    expect(await expectTrue(world, ids)).toMatchObject({ pending: ['taken', 'pending'] })
    await world.backend.take({ session: 'driver', nonce: world.nonce(), runId: 'taken' })
    await control('pause-run', 'paused')
    for (const runId of ['parked', 'pausedParked']) await park(world, holder(runId))
    await control('pause-run', 'pausedParked')
    await world.backend.session({ kind: 'close', session: 'other' })
    await world.step(holder('done'), { end: { state: 'completed', value } })
    for (const runId of ['failed', 'retried']) await world.step(holder(runId), { end: { state: 'failed', value } })
    await world.backend.reopen({ runId: 'retried', nonce: world.nonce() })
    const states = await expectTrue(world, ids)
    expect(states).toEqual({
      pending: ['retried', 'pending'],
      running: ['driven', 'taken'],
      paused: ['pausedParked', 'paused'],
      waiting: ['parked'],
      abandoned: ['left'],
      completed: ['done'],
      failed: ['failed'],
    })
    for (const runId of ['paused', 'pausedParked']) await control('resume-run', runId)
    await world.backend.take({ session: 'driver', nonce: world.nonce(), runId: 'left' })
    await world.backend.control({ kind: 'cancel-run', runId: 'pending', reason: 'no', value })
    await world.backend.signal({ runId: 'parked', address: 'go', payload: value, nonce: world.nonce() })
    expect(await expectTrue(world, ids)).toMatchObject({
      running: ['left', 'paused', 'driven', 'taken'],
      waiting: ['pausedParked'],
      pending: ['retried', 'parked'],
      cancelled: ['pending'],
    })
    expect(await idsOf(world)).toEqual([...ids].reverse())
  })

  it('O4: finds runs by workflow, tag, build and time, and by several of these at once', async () => {
    const world = await useWorld()
    const first = await world.start('a', { workflow: 'x', tags: ['eu', 'big'], build: 'b1' })
    await world.start('b', { workflow: 'y', tags: ['eu'] })
    await world.harness.advance(20)
    await world.start('c', { workflow: 'x', tags: ['a:b', 'e'], terms: { queue: 'gpu', priority: 5 } })
    await world.step(first, { end: { state: 'failed', value } })
    const [record, later] = await Promise.all([world.backend.inspect.run('a'), world.backend.inspect.run('c')])
    expect(record).toMatchObject({ tags: ['eu', 'big'], build: 'b1', terms: {} })
    expect(later).toMatchObject({ tags: ['a:b', 'e'], terms: { queue: 'gpu', priority: 5 } })
    const at = later?.createdAt ?? 0
    const cases: readonly [Partial<RunQuery>, readonly string[]][] = [
      [{ workflow: 'x' }, ['c', 'a']],
      [{ tag: 'eu' }, ['b', 'a']],
      [{ tag: 'e' }, ['c']],
      [{ tag: 'a:b' }, ['c']],
      [{ build: 'b1' }, ['a']],
      [{ since: at }, ['c']],
      [{ until: at }, ['b', 'a']],
      [{ since: at, until: at }, []],
      [{ tag: 'eu', workflow: 'x' }, ['a']],
      [{ workflow: 'x', states: ['failed'] }, ['a']],
      [{ workflow: 'x', states: ['running', 'failed'] }, ['c', 'a']],
      [{ tag: 'eu', states: ['running'], until: at }, ['b']],
      [{ tag: 'nowhere' }, []],
    ]
    for (const [query, ids] of cases) expect([query, await idsOf(world, query)]).toEqual([query, ids])
    await world.backend.control({ kind: 'delete-run', runId: 'a', reason: 'gone', value })
    while ((await world.backend.control({ kind: 'delete-run', runId: 'a', reason: 'gone', value })) !== 'gone')
      await world.harness.advance(10)
    expect([await idsOf(world, { workflow: 'x' }), await idsOf(world, { tag: 'eu' })]).toEqual([['c'], ['b']])
    expect(await idsOf(world, { build: 'b1' })).toEqual([])
  })

  it('O4: says of each run where a page begins that comes behind it', async () => {
    const world = await useWorld()
    for (const id of ['a', 'b', 'c', 'd']) await world.start(id, { tags: id === 'b' ? [] : ['t'] })
    const { items } = await world.backend.inspect.runs({ limit: 10 })
    const behind = (tag?: string) =>
      Promise.all(items.map(({ position }) => idsOf(world, { after: position, ...(tag !== undefined && { tag }) })))
    expect(await behind()).toEqual([['c', 'b', 'a'], ['b', 'a'], ['a'], []])
    expect(await behind('t')).toEqual([['c', 'a'], ['a'], ['a'], []])
  })

  it('O4: pages through 1 000 runs that come and go: each that was there all along is there once', async () => {
    const world = await useWorld()
    const holders: Awaited<ReturnType<World['start']>>[] = []
    for (let i = 0; i < 1_000; i += 1) {
      const tags = i % 2 === 0 ? ['even'] : []
      holders.push(await world.start(`r${i}`, { tags, workflow: i % 10 === 0 ? 'tenth' : 'other' }))
    }
    const own = holders.map(({ gid }) => gid).reverse()
    let more = 0
    const come = async (): Promise<void> => {
      await world.start(`new${more}`)
      const holder = holders[more * 7]
      if (holder !== undefined) await world.step(holder, { end: { state: 'completed', value } })
      more += 1
    }
    const all = await paged(world, { limit: 90 }, come)
    expect(all.found).toEqual(own)
    expect(all.pages).toBe(12)
    expect(more).toBe(11)
    const even = await paged(world, { tag: 'even', limit: 7 })
    expect(even.found).toEqual(own.filter((id) => Number(id.slice(1)) % 2 === 0))
    const running = await paged(world, { tag: 'even', workflow: 'tenth', states: ['running'], limit: 7 })
    const ended = new Set(Array.from({ length: 11 }, (_, i) => `r${i * 7}`))
    expect(running.found).toEqual(own.filter((id) => Number(id.slice(1)) % 10 === 0 && !ended.has(id)))
    await expect(world.backend.inspect.runs({ limit: 5, after: 'x y' })).rejects.toMatchObject({
      code: 'INVALID_OPTION',
    })
  })

  it.each<RunState>(['completed', 'failed'])(
    'forgets runs that were %s once they are past their retention',
    async (state) => {
      const world = await useWorld({ payloadRetentionMs: 20 })
      const holder = await world.start('run', { retentionMs: 50, workflow: 'x', tags: ['t'] })
      await world.step(holder, { end: { state: state === 'failed' ? state : 'completed', value } })
      expect(await idsOf(world, { tag: 't' })).toEqual(['run'])
      await world.live(300)
      for (const query of [{}, { states: [state] }, { workflow: 'x' }, { tag: 't' }])
        expect(await idsOf(world, query)).toEqual([])
    },
  )
}

async function park(world: World, holder: { readonly gid: string; readonly token: string }): Promise<void> {
  const wait = { place: '0', address: 'go', onDue: value, isRepeated: false }
  await world.backend.settle({
    session: 'driver',
    ranges: [
      {
        gid: holder.gid,
        token: holder.token,
        indexes: [0],
        kinds: ['parked'],
        values: { bytes: new Uint8Array(0), ends: Uint32Array.of(0) },
        parks: [{ wait }],
      },
    ],
  })
}
