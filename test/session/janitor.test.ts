/** When a leader does its housekeeping, and what it takes for a run that stands still. */
import { connect, each, task, type ConnectOptions } from 'graflow'
import type { GroupStatus, OpenWait, RunRecord, TendAnswer, TendRequest } from '../../lib/backend/backend.js'
import { Emitter } from '../../lib/events.js'
import { Janitor } from '../../lib/session/janitor.js'
import { Lifecycle } from '../../lib/session/lifecycle.js'
import { Standstills } from '../../lib/session/standstills.js'
import { manualClock } from '../../lib/time.js'
import { failureOf } from '../support/captured-errors.js'
import { freshPrefix, sharedRedis } from '../support/shared-redis.js'
import { turn } from '../support/waits.js'

const HEARTBEAT_MS = 1_000
const CLEANUP_MS = 10_000

function janitor() {
  const clock = manualClock(1_000_000)
  const emitter = new Emitter(() => clock.now())
  const lifecycle = new Lifecycle(emitter, clock)
  const asked: TendRequest[] = []
  const log: string[] = []
  let deposed = 0
  const store: { answer: (request: TendRequest) => TendAnswer } = { answer: () => ({ status: 'ok', count: 0 }) }
  emitter.subscribe('log', ({ message }) => log.push(message))
  const made = new Janitor({
    backend: {
      tend: async (request) => {
        asked.push(request)
        return store.answer(request)
      },
      inspect: undefined as never, // it fails no run
    },
    ...{ session: 'me', clock, random: () => 0, emitter, lifecycle },
    ...{ heartbeatIntervalMs: HEARTBEAT_MS, staleAfterMs: 3, deadAfterMs: 4, cleanupIntervalMs: CLEANUP_MS },
    onDeposed: () => {
      deposed += 1
    },
    onError: (error) => {
      throw error
    },
  })
  const pass = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= 500) {
      clock.advance(Math.min(500, left))
      await turn()
    }
  }
  const kinds = (): string[] => asked.splice(0).map(({ kind, term }) => `${kind} ${term}`)
  return { made, lifecycle, store, log, pass, kinds, asked, deposed: () => deposed }
}

describe('a janitor', () => {
  it('does nothing while its process does not lead', async () => {
    const { pass, kinds } = janitor()
    await pass(2 * CLEANUP_MS)
    expect(kinds()).toEqual([])
  })

  it('works from when its process leads, in its term, and stops with it', async () => {
    const { lifecycle, asked, kinds, pass } = janitor()
    lifecycle.leads(7, Number.POSITIVE_INFINITY)
    await turn()
    expect(asked[0]).toEqual({ kind: 'nodes', session: 'me', term: 7, staleAfterMs: 3, deadAfterMs: 4 })
    expect(kinds().sort()).toEqual(['graphs 7', 'nodes 7', 'orphans 7'])
    await pass(CLEANUP_MS)
    expect(kinds().filter((kind) => kind !== 'nodes 7')).toEqual(['orphans 7'])
    lifecycle.leadsNoMore()
    await pass(2 * CLEANUP_MS)
    expect(kinds()).toEqual([])
    lifecycle.leads(9, Number.POSITIVE_INFINITY)
    await turn()
    expect(kinds().sort()).toEqual(['graphs 9', 'nodes 9', 'orphans 9'])
  })

  it('asks who leads when it is told that another does', async () => {
    const { lifecycle, store, kinds, pass, deposed } = janitor()
    store.answer = () => ({ status: 'deposed' })
    lifecycle.leads(7, Number.POSITIVE_INFINITY)
    await turn()
    expect(deposed()).toBe(3)
    kinds()
    await pass(2 * CLEANUP_MS)
    expect(kinds()).toEqual([])
  })

  it('walks on where it stopped, and says what it deleted', async () => {
    const { lifecycle, store, asked, log, pass } = janitor()
    const parts = [{ cursor: 'a' }, { cursor: 'b' }, {}]
    store.answer = ({ kind }) =>
      kind === 'orphans' ? { status: 'ok', count: 2, ...parts.shift() } : { status: 'ok', count: 5 }
    lifecycle.leads(7, Number.POSITIVE_INFINITY)
    await turn()
    await pass(3 * HEARTBEAT_MS)
    const cursors = asked.flatMap((request) => (request.kind === 'orphans' ? [request.cursor] : []))
    expect(cursors).toEqual(['', 'a', 'b'])
    expect(log).toEqual(['deleted 6 keys that belonged to runs whose record is gone'])
  })

  it('does no more once it is stopped', async () => {
    const { made, lifecycle, kinds, pass } = janitor()
    made.stop()
    lifecycle.leads(7, Number.POSITIVE_INFINITY)
    await pass(2 * CLEANUP_MS)
    expect(kinds()).toEqual([])
  })
})

describe('a run that stands still', () => {
  const STUCK_MS = 10_000
  const run = (runId: string, facts: Partial<RunRecord> = {}): RunRecord => ({
    ...{ runId, workflow: undefined, graph: 'g', digest: 'd', state: 'running', createdAt: 1, startedAt: 2 },
    ...{ endedAt: undefined, timeoutMs: undefined, driver: 'd', cancelReason: undefined, value: undefined },
    ...{ pausedAt: undefined },
    ...{ retries: 0, reopenedBy: [], hasOpener: true, byHand: [], build: undefined, tags: [], terms: {} },
    ...facts,
  })
  const group = (ready: number): GroupStatus => ({
    ...{
      gid: 'r/0',
      graph: 'g',
      node: '0',
      state: 'open',
      size: 4,
      ready,
      delayed: 0,
      granted: 0,
      succeeded: 4 - ready,
    },
    ...{ failed: 0, dead: 0, withdrawn: 0, openedAt: 3, releasedAt: undefined },
    ...{ parked: 0, since: undefined, queue: 'default', requires: [], tasks: [], affinity: undefined, limit: 0 },
    ...{ affinityUntil: undefined, retried: undefined, waitingInPlace: [] },
  })

  function standstills() {
    const clock = manualClock(1_000_000)
    const store = { runs: [run('r')], groups: [group(4)], waits: [] as OpenWait[] }
    const inspect = {
      runs: async () => ({ items: store.runs.map((one) => ({ ...one, position: one.runId })) }),
      groups: async () => store.groups,
      openWaits: async () => store.waits,
    }
    const made = new Standstills({ inspect, clock, stuckAfterMs: STUCK_MS })
    const after = async (ms: number): Promise<string[]> => {
      clock.advance(ms)
      return (await made.look()).map(({ runId }) => runId)
    }
    return { store, after }
  }

  it('is one in which nothing changed for so long', async () => {
    const { after } = standstills()
    expect(await after(0)).toEqual([])
    expect(await after(STUCK_MS - 1)).toEqual([])
    expect(await after(1)).toEqual(['r'])
  })

  it.each<[string, (store: { runs: RunRecord[]; groups: GroupStatus[] }) => void]>([
    ['a branch was settled', (store) => (store.groups = [group(3)])],
    ['a group was opened', (store) => store.groups.push(group(4))],
    ['another process drives it', (store) => (store.runs = [run('r', { driver: 'e' })])],
  ])('is none where %s', async (_what, change) => {
    const { store, after } = standstills()
    await after(0)
    await after(STUCK_MS - 1)
    change(store)
    expect(await after(1)).toEqual([])
    expect(await after(STUCK_MS - 1)).toEqual([])
    expect(await after(1)).toEqual(['r'])
  })

  it.each<[string, (store: { groups: GroupStatus[]; waits: OpenWait[] }) => void]>([
    ['a retry is delayed', (store) => (store.groups = [{ ...group(3), succeeded: 0, delayed: 1 }])],
    [
      'a handler waits for people',
      (store) => store.waits.push({ place: '0/~1', address: 'ok', since: 1, dueAt: undefined, about: undefined }),
    ],
  ])('does not begin while %s', async (_what, change) => {
    const { store, after } = standstills()
    change(store)
    await after(0)
    expect(await after(2 * STUCK_MS)).toEqual([])
    store.waits = []
    store.groups = [group(3)]
    await after(0)
    expect(await after(STUCK_MS)).toEqual(['r'])
  })

  it('is none that was not running in between', async () => {
    const { store, after } = standstills()
    await after(0)
    store.runs = []
    await after(STUCK_MS)
    store.runs = [run('r')]
    expect(await after(1)).toEqual([])
  })

  it.each(['embedded', 'redis'])(
    'fails with RUN_STUCK where the leader was told to (%s)',
    async (where) => {
      const hang = task(
        'hang',
        (_: number, ctx) =>
          new Promise<never>((_resolve, reject) => {
            ctx.signal.addEventListener('abort', () => reject(new Error('aborted')))
          }),
      )
      const options: ConnectOptions = { role: 'auto', stuckAfterMs: 1_000, logLevel: 'silent' }
      await using graflow =
        where === 'embedded'
          ? await connect(options)
          : await connect((await sharedRedis()).url, { ...options, keyPrefix: freshPrefix() })
      const error = await failureOf(
        graflow.run(where === 'embedded' ? each(hang) : hang, (where === 'embedded' ? [1] : 1) as never),
      )
      expect(error).toMatchObject({ code: 'RUN_STUCK', details: { stuckAfterMs: 1_000 } })
    },
    30_000,
  )
})
