import type { Grant, GroupSpec, SessionInfo, SweepAnswer } from '../../lib/backend/backend.js'
import { pack } from '../../lib/values/packed-items.js'
import type { HeldGrant } from '../../lib/session/holdings.js'
import { Membership } from '../../lib/session/membership.js'
import { BarrierWaits } from '../../lib/engine/barrier-waits.js'
import { Emitter, type EventName } from '../../lib/events.js'
import { seededRandom } from '../../lib/time.js'
import { type Faulty, openFaulty } from '../support/faulty-store.js'

const TTL_MS = 3_000
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

interface Joined {
  readonly membership: Membership
  readonly barrierWaits: BarrierWaits
  readonly events: string[]
  /** What the process has in hand; a test changes it. */
  known: HeldGrant[] | undefined
  readonly lost: HeldGrant[]
  readonly restored: string[]
  reopened: number
}

async function join(
  faulty: Faulty,
  options: {
    readonly session?: string
    readonly baseId?: string
    readonly role?: SessionInfo['role']
    readonly ttlMs?: number
  } = {},
): Promise<Joined> {
  const { clock, backend } = faulty
  const { session = 's', baseId = 'one', role = 'worker', ttlMs = TTL_MS } = options
  const emitter = new Emitter(() => clock.now())
  const events: string[] = []
  const note = (name: EventName): void => {
    emitter.subscribe(name, ({ type, at: _at, ...fields }) => events.push(`${type} ${JSON.stringify(fields)}`))
  }
  for (const name of ['worker:registered', 'worker:deregistered', 'worker:lost', 'wakeup:missed'] as const) note(name)
  emitter.subscribe('log', ({ level, message }) => events.push(`${level}: ${message}`))
  const joined = { barrierWaits: new BarrierWaits(), events, known: [] as HeldGrant[] | undefined }
  const told = { ...{ lost: [] as HeldGrant[], restored: [] as string[], reopened: 0 } }
  const all = Object.assign(joined, told)
  const info = { baseId, hostname: 'here', pid: 7, role, metadata: {} }
  const membership = await Membership.open({
    ...{ backend, session, ttlMs, clock, random: seededRandom(5), emitter, barrierWaits: joined.barrierWaits },
    info: { ...info, queues: 'all', capabilities: ['gpu'], tasks: 'all' },
    graphs: {
      restore: async (hash) => {
        if (await backend.hasGraph(hash)) return false
        all.restored.push(hash)
        await faulty.near.putGraph(hash, bytes('graph'))
        return true
      },
    },
    holdings: {
      known: () => all.known,
      reclaimed: (grant) => all.lost.push(grant),
      wake: () => {
        all.reopened += 1
      },
    },
  })
  return Object.assign(all, { membership })
}

/** A run with one group of so many branches, opened by session `producer`. */
async function dispatch({ near }: Faulty, size: number): Promise<{ readonly finish: () => Promise<void> }> {
  await near.putGraph('graph', bytes('graph'))
  await near.session({
    ...{ kind: 'open', session: 'producer', ttlMs: 1e9 },
    info: { baseId: 'p', hostname: 'h', pid: 1, role: 'client', metadata: {}, queues: [], capabilities: [], tasks: [] },
  })
  const common = { runId: 'run', graph: 'graph', digest: 'd' }
  const opened = await near.open({
    ...{ ...common, input: bytes('i'), session: 'producer', nonce: 'n', tasks: [] },
    ...{ maxLosses: 3, timeoutMs: 0, retentionMs: 1e9 },
  })
  if (opened.status !== 'ok' || opened.token === undefined) throw new Error('not opened')
  const spec: GroupSpec = {
    ...{ ...common, gid: 'run/0', node: '0', size, shared: true, rule: 'all', queue: 'default', requires: [] },
    ...{ tasks: [], priority: 0, depth: 1, limit: 0, attempts: 1, maxLosses: 3, timeoutMs: 0 },
  }
  const holder = { gid: 'run', index: 0, token: opened.token }
  await near.step({ holder, runId: 'run', group: { spec, from: 0, inputs: pack([bytes('i')]) } })
  return {
    finish: async () => {
      const [grant] = await take(near, 'producer-2', size)
      if (grant === undefined) throw new Error('nothing to finish')
      const kinds = Array.from(grant.indexes, () => 'succeeded' as const)
      const values = pack(kinds.map(() => bytes('v')))
      const range = { gid: 'run/0', token: grant.token, indexes: grant.indexes, kinds, values }
      await near.settle({ session: 'producer-2', ranges: [range] })
    },
  }
}

async function take(backend: Faulty['near'], session: string, max: number): Promise<readonly Grant[]> {
  const info = { baseId: session, hostname: 'h', pid: 1, role: 'worker', metadata: {} } as const
  await backend.session({
    ...{ kind: 'open', session, ttlMs: 1e9 },
    info: { ...info, queues: 'all', capabilities: 'all', tasks: 'all' },
  })
  const answer = await backend.acquire({ session, nonce: session, max, queues: 'all', capabilities: 'all' })
  return answer.status === 'ok' ? answer.grants : []
}

const use = { hash: 'graph', graph: {} as never }

const registered = (isReturned: boolean): string =>
  `worker:registered {"workerId":"one","hostname":"here","metadata":{},"isReturned":${isReturned},"capabilities":["gpu"],"tasks":[]}`

describe('a membership', () => {
  let faulty: Faulty
  beforeEach(() => {
    faulty = openFaulty()
  })
  afterEach(() => faulty.near.close())

  it('registers a worker and keeps its session until it is closed', async () => {
    const { membership, events } = await join(faulty)
    expect([membership.session, membership.state]).toEqual(['s', 'registered'])
    await faulty.pass(10 * TTL_MS)
    expect(await faulty.near.inspect.sessions()).toMatchObject([{ session: 's', baseId: 'one', role: 'worker' }])
    await Promise.all([membership.close('draining'), membership.close()])
    expect(membership.state).toBe('closed')
    expect(await faulty.near.inspect.sessions()).toEqual([])
    expect(events).toEqual([registered(false), 'worker:deregistered {"workerId":"one","reason":"draining"}'])
    await faulty.near.close()
    expect(faulty.clock.nextDueMs()).toBeUndefined()
  })

  it('of a client says nothing of workers', async () => {
    const { membership, events } = await join(faulty, { role: 'client' })
    await membership.close()
    expect(events).toEqual([])
  })

  it('in an embedded store costs one call to begin and one to end', async () => {
    const { membership } = await join(faulty, { ttlMs: Number.POSITIVE_INFINITY })
    await faulty.pass(60_000)
    expect(faulty.clock.nextDueMs()).toBeUndefined()
    await membership.close()
    expect([...faulty.calls]).toEqual([['session', 2]])
  })

  it('sweeps about five times a second while there is work, and not at all when there is none', async () => {
    const joined = await join(faulty)
    await faulty.pass(1_000)
    const before = new Map(faulty.calls)
    await faulty.pass(10_000)
    // It looks once a second for runs that nobody takes.
    const looks = (faulty.calls.get('waiting') ?? 0) - (before.get('waiting') ?? 0)
    expect(looks).toBeGreaterThan(8)
    expect(looks).toBeLessThan(12)
    expect(new Map([...faulty.calls].filter(([name]) => name !== 'waiting'))).toEqual(
      new Map([...before].filter(([name]) => name !== 'waiting')),
    )
    joined.known = [{ gid: 'g', token: 't' }]
    await faulty.pass(10_000)
    const held = faulty.calls.get('sweep') ?? 0
    expect(held).toBeGreaterThan(35)
    expect(held).toBeLessThan(68) // one each 150 ms
    joined.known = []
    await faulty.pass(300)
    const swept = faulty.calls.get('sweep')
    await faulty.pass(1_000)
    expect(faulty.calls.get('sweep')).toBe(swept)
    joined.barrierWaits.expect('run/0')
    await faulty.pass(1_000)
    expect((faulty.calls.get('sweep') ?? 0) - (swept ?? 0)).toBeGreaterThanOrEqual(4)
  })

  it('goes on sweeping after the store was away, and tells of that once, and once that it is back', async () => {
    const joined = await join(faulty)
    joined.known = [{ gid: 'g', token: 't' }]
    await faulty.pass(1_000)
    faulty.cut()
    await faulty.pass(2_000)
    expect(joined.events.filter((event) => event.startsWith('warn: the store is away'))).toHaveLength(1)
    faulty.mend()
    await faulty.pass(1_000)
    const back = joined.events.filter((event) => event.includes('the store answers again'))
    expect(back).toEqual([
      expect.stringMatching(/^info: the store answers again, [1-3]\.\d s after it was found away$/),
    ])
    const swept = faulty.calls.get('sweep') ?? 0
    await faulty.pass(1_000)
    expect((faulty.calls.get('sweep') ?? 0) - swept).toBeGreaterThanOrEqual(4)
  })

  it('registers again when the store took it for dead, and drops what it held', async () => {
    await dispatch(faulty, 2)
    const joined = await join(faulty)
    const answer = await faulty.backend.acquire({
      ...{ session: 's', nonce: 'x', max: 2, queues: 'all', capabilities: 'all' },
    })
    const grant = answer.status === 'ok' ? answer.grants[0] : undefined
    if (grant === undefined) throw new Error('nothing was granted')
    joined.known = [{ gid: 'run/0', token: grant.token }]
    faulty.cut()
    await faulty.pass(3 * TTL_MS)
    expect(await faulty.near.inspect.groups('run')).toMatchObject([{ ready: 2, granted: 0 }])
    faulty.mend()
    await faulty.pass(TTL_MS / 2)
    expect(joined.lost).toEqual([{ gid: 'run/0', token: grant.token }])
    expect([joined.membership.state, joined.reopened]).toEqual(['registered', 1])
    expect((await faulty.near.inspect.sessions()).map(({ session }) => session)).toContain('s')
    expect(joined.events.filter((event) => event.startsWith('worker:'))).toEqual([
      registered(false),
      'worker:lost {"workerId":"one","session":"s","grants":1}',
      registered(true),
    ])
    expect(joined.events).toContain('warn: the store took one for dead: its 1 grant is reclaimed; registering again')
    expect(joined.events.join()).not.toContain('lost its data')
    // and the new session is kept
    await faulty.pass(3 * TTL_MS)
    expect((await faulty.near.inspect.sessions()).map(({ session }) => session)).toContain('s')
  })

  it('FT-P9: trusts nothing it held from the moment it was taken for dead until the store has said what is left', async () => {
    const joined = await join(faulty)
    const { membership } = joined
    const seen: unknown[] = []
    const look = (): number => seen.push([membership.state, joined.reopened, membership.mayBeLost])
    look()
    joined.known = undefined // grants may be on their way: nothing is compared before they are here
    membership.lost()
    look()
    await faulty.pass(TTL_MS / 2)
    look()
    joined.known = []
    await faulty.pass(TTL_MS / 2)
    look()
    expect(seen).toEqual([
      ['registered', 0, false],
      ['lost', 0, true],
      ['registered', 1, true],
      ['registered', 1, false],
    ])
  })

  it('tells once what its sweeps reclaimed from a process that is gone, also where one sweep was not enough', async () => {
    await dispatch(faulty, 1)
    const left: SweepAnswer[] = [
      { status: 'ok', reclaimed: 256, nextDueMs: 0 },
      { status: 'ok', reclaimed: 44, nextDueMs: undefined },
    ]
    const idle: SweepAnswer = { status: 'ok', reclaimed: 0, nextDueMs: undefined }
    const backend = new Proxy(faulty.backend, {
      get: (target, name) => {
        if (name === 'sweep') return () => Promise.resolve(left.shift() ?? idle)
        const found: unknown = Reflect.get(target, name)
        return typeof found === 'function' ? (found.bind(target) as unknown) : found
      },
    })
    const joined = await join({ ...faulty, clock: faulty.clock, backend })
    joined.barrierWaits.expect('run/0')
    await faulty.pass(2_000)
    left.push({ ...idle, reclaimed: 1 })
    await faulty.pass(2_000)
    const gone = 'whoever had them is gone, stands still or was too late'
    expect(joined.events.filter((event) => event.includes('reclaimed'))).toEqual([
      `warn: reclaimed 300 branches: ${gone}`,
      `warn: reclaimed 1 branch: ${gone}`,
    ])
  })

  it('sweeps as one with work while a caller waits for a run that others drive: its driver may be gone', async () => {
    const joined = await join(faulty, { role: 'client' })
    const sweeps = async (): Promise<number> => {
      const before = faulty.calls.get('sweep') ?? 0
      await faulty.pass(2_000)
      return (faulty.calls.get('sweep') ?? 0) - before
    }
    expect(await sweeps()).toBe(0)
    const waits = [joined.membership.watchRun('run'), joined.membership.watchRun('run')]
    expect(await sweeps()).toBeGreaterThan(8)
    for (const end of waits) end()
    await faulty.pass(1_000)
    expect(await sweeps()).toBe(0)
  })

  it('says every few seconds what it holds, once it is known, and nothing while it holds nothing', async () => {
    const joined = await join(faulty)
    const said = (): number => (faulty.calls.get('session') ?? 0) - 1
    await faulty.pass(20_000)
    expect(said()).toBe(0)
    joined.known = undefined
    await faulty.pass(20_000)
    expect(said()).toBe(0)
    joined.known = Array.from({ length: 501 }, (_, i) => ({ gid: 'run/0', token: `${i}.x` }))
    await faulty.pass(600)
    expect(said()).toBe(2) // two calls carry it
    await faulty.pass(12_000)
    expect(said()).toBe(6)
    expect(joined.lost).toEqual([])
  })

  it('FT-W4: releases what it was granted by an answer that never arrived, with no attempt spent', async () => {
    await dispatch(faulty, 3)
    const joined = await join(faulty)
    faulty.swallow('acquire')
    joined.known = undefined
    const asked = faulty.backend.acquire({
      ...{ session: 's', nonce: 'x', max: 2, queues: 'all', capabilities: 'all' },
    })
    await expect(asked).rejects.toThrow(/cut wire/)
    joined.membership.reconcile()
    await faulty.pass(500)
    expect(await faulty.near.inspect.groups('run')).toMatchObject([{ ready: 1, granted: 2 }])
    joined.known = []
    await faulty.pass(500)
    expect(await faulty.near.inspect.groups('run')).toMatchObject([{ ready: 3, granted: 0 }])
    const [again] = await take(faulty.near, 'other', 3)
    expect([...(again?.errors ?? []), ...(again?.losses ?? [])]).toEqual([0, 0, 0, 0, 0, 0])
  })

  it('FT-W4: releases more than one call carries', async () => {
    const size = 6_000
    await dispatch(faulty, size)
    const joined = await join(faulty)
    for (const nonce of ['x', 'y']) {
      faulty.swallow('acquire')
      const asked = faulty.backend.acquire({
        ...{ session: 's', nonce, max: size / 2, queues: 'all', capabilities: 'all' },
      })
      await expect(asked).rejects.toThrow(/cut wire/)
    }
    expect(await faulty.near.inspect.groups('run')).toMatchObject([{ ready: 0, granted: size }])
    joined.known = []
    joined.membership.reconcile()
    await faulty.pass(500)
    expect(await faulty.near.inspect.groups('run')).toMatchObject([{ ready: size, granted: 0 }])
  })

  it('keeps what it has in hand when it compares notes', async () => {
    await dispatch(faulty, 1)
    const joined = await join(faulty)
    const answer = await faulty.near.acquire({
      ...{ session: 's', nonce: 'x', max: 2, queues: 'all', capabilities: 'all' },
    })
    const [grant] = answer.status === 'ok' ? answer.grants : []
    joined.known = [{ gid: 'run/0', token: grant?.token ?? '' }]
    joined.membership.reconcile()
    await faulty.pass(500)
    expect([await faulty.near.inspect.groups('run'), joined.lost]).toMatchObject([[{ granted: 1 }], []])
  })

  it.each([
    ['is here by the time of the answer', true],
    ['is on its way at the time of the answer', false],
  ])('keeps a grant that was made while it compared notes, and %s', async (_, isHere) => {
    await dispatch(faulty, 1)
    const joined = await join(faulty)
    joined.membership.reconcile()
    const acquired = faulty.near.acquire({
      ...{ session: 's', nonce: 'x', max: 2, queues: 'all', capabilities: 'all' },
    })
    joined.known = undefined
    const answer = await acquired
    const [grant] = answer.status === 'ok' ? answer.grants : []
    const known = [{ gid: 'run/0', token: grant?.token ?? '' }]
    if (isHere) joined.known = known
    await faulty.pass(20)
    joined.known = known
    await faulty.pass(500)
    expect([await faulty.near.inspect.groups('run'), joined.lost]).toMatchObject([[{ granted: 1 }], []])
  })

  it('closes within 2 s when the store is away', async () => {
    const { membership } = await join(faulty)
    faulty.cut()
    let isClosed = false
    void membership.close().then(() => {
      isClosed = true
    })
    await faulty.pass(2_100)
    expect(isClosed).toBe(true)
  })
})

describe('the slow check', () => {
  let faulty: Faulty
  beforeEach(() => {
    faulty = openFaulty()
  })
  afterEach(() => faulty.near.close())

  /** Waits for the group as the engine does. */
  function awaitGroup(joined: Joined): { isThere: boolean } {
    const seen = { isThere: false }
    const arrival = joined.barrierWaits.expect('run/0')
    arrival.dispatched(use)
    void arrival.promise.then(() => {
      seen.isThere = true
    })
    return seen
  }

  it('finds a release within about 5 s whose notice was lost, and counts it', async () => {
    const group = await dispatch(faulty, 2)
    const joined = await join(faulty)
    const seen = awaitGroup(joined)
    await faulty.pass(6_000)
    expect(seen.isThere).toBe(false)
    await group.finish()
    await faulty.pass(7_000)
    expect(seen.isThere).toBe(true)
    expect(joined.events.filter((event) => event.startsWith('wakeup'))).toEqual(['wakeup:missed {"count":1}'])
  })

  it('does not count a notice that is on its way', async () => {
    const group = await dispatch(faulty, 2)
    const joined = await join(faulty)
    const seen = awaitGroup(joined)
    await group.finish()
    for (let i = 0; !seen.isThere && i < 200; i += 1) {
      const before = faulty.calls.get('outcomes') ?? 0
      await faulty.pass(50)
      if ((faulty.calls.get('outcomes') ?? 0) > before) joined.barrierWaits.announce('run/0')
    }
    expect(seen.isThere).toBe(true)
    await faulty.pass(1_000)
    expect(joined.events.filter((event) => event.startsWith('wakeup'))).toEqual([])
  })

  it('looks at once when the store is there again', async () => {
    const group = await dispatch(faulty, 2)
    const joined = await join(faulty)
    const seen = awaitGroup(joined)
    await faulty.pass(100)
    faulty.cut()
    await group.finish()
    faulty.mend()
    await faulty.pass(20)
    expect(seen.isThere).toBe(true)
  })

  it('wakes who waits for a group that the store has lost', async () => {
    const joined = await join(faulty)
    const seen = awaitGroup(joined)
    await faulty.pass(7_000)
    expect(seen.isThere).toBe(true)
    expect(joined.events.filter((event) => event.startsWith('wakeup'))).toEqual([])
  })

  it('X13: uploads a graph again that the store has lost, within about a second', async () => {
    await dispatch(faulty, 1)
    const joined = await join(faulty)
    awaitGroup(joined)
    await faulty.pass(3_000)
    expect(joined.restored).toEqual([])
    // The memory backend loses nothing: another that has never had the graph stands in for one that has lost it.
    const empty = openFaulty()
    const there = await join(empty)
    awaitGroup(there)
    await empty.pass(1_300)
    expect(there.restored).toEqual(['graph'])
    expect(there.events.filter((event) => event.includes('uploaded again'))).toHaveLength(1)
    await empty.near.close()
  })
})

describe('two processes of one base id', () => {
  let faulty: Faulty
  beforeEach(() => {
    faulty = openFaulty()
  })
  afterEach(() => faulty.near.close())

  const warnings = ({ events }: Joined): string[] => events.filter((event) => event.startsWith('warn:'))

  it('FT-W29: both work, and the second warns once', async () => {
    const first = await join(faulty, { session: 's1', baseId: 'a' })
    await faulty.pass(2_000)
    const second = await join(faulty, { session: 's2', baseId: 'a' })
    await faulty.pass(10 * TTL_MS)
    expect(warnings(first)).toEqual([])
    expect(warnings(second)).toEqual([expect.stringMatching(/another live process calls itself a: pid 7 on here/)])
    expect([first.membership.state, second.membership.state]).toEqual(['registered', 'registered'])
  })

  it('are told from one that was killed and started again', async () => {
    await faulty.near.session({
      ...{ kind: 'open', session: 'killed', ttlMs: TTL_MS },
      info: {
        ...{ baseId: 'a', hostname: 'here', pid: 6, role: 'worker', metadata: {} },
        ...{ queues: 'all', capabilities: 'all', tasks: 'all' },
      },
    })
    const again = await join(faulty, { session: 's2', baseId: 'a' })
    await faulty.pass(10 * TTL_MS)
    expect(warnings(again)).toEqual([])
  })
})
