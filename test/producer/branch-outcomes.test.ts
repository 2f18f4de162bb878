import type { GroupStatus, OutcomesPage, RunActivity, RunState } from '../../lib/backend/backend.js'
import { Cancellation } from '../../lib/engine/cancellation.js'
import { branchOutcomes } from '../../lib/producer/branch-outcomes.js'
import type { HandleServices } from '../../lib/producer/handle-services.js'
import { encode } from '../../lib/values/codec.js'
import { seededRandom, manualClock } from 'graflow/testing'
import { turn, within } from '../support/waits.js'

interface Settled {
  readonly index: number
  readonly kind: 'succeeded' | 'failed'
}

/** A store with a run of groups of one task each, whose branches a test lets succeed or fail. */
function store(groups: number) {
  const value = encode(1)
  const settled = Array.from({ length: groups }, (): Settled[] => [])
  const openedAt = settled.map(() => 1)
  const closed = new Set<number>()
  const asks: string[] = []
  const watchers = new Set<(activity: RunActivity) => void>()
  let state: RunState = 'running'
  let inFlight = 0
  let mostInFlight = 0
  const isOver = (): boolean => state === 'completed'
  const status = (i: number): Partial<GroupStatus> => ({
    ...{ gid: `r/${i}`, graph: 'g', node: `${i}`, size: 2, dead: 0, withdrawn: 0, openedAt: openedAt[i] ?? 1 },
    ...{ state: isClosed(i) ? 'released' : 'open', succeeded: count(i, 'succeeded'), failed: count(i, 'failed') },
  })
  const count = (i: number, kind: string): number => settled[i]?.filter((one) => one.kind === kind).length ?? 0
  const isClosed = (i: number): boolean => isOver() || closed.has(i)
  const page = (i: number, after: number): OutcomesPage => {
    const news = (settled[i] ?? []).slice(after)
    const indexes = Uint32Array.from(news, ({ index }) => index)
    const ends = Uint32Array.from(indexes, (_, n) => (n + 1) * value.length)
    const bytes = Buffer.concat([...indexes].map(() => value))
    const chunk = { indexes, kinds: news.map(({ kind }) => kind), values: { bytes, ends } }
    return {
      ...{ state: isClosed(i) ? 'released' : 'open', size: 2, next: after + indexes.length },
      chunks: indexes.length === 0 ? [] : [chunk],
      withdrawn: isClosed(i) ? { indexes: new Uint32Array(0), kinds: [] } : undefined,
    }
  }
  const each = (i: number) => ({ kind: 'task' as const, name: `t${i}` })
  const services = {
    closed: new Cancellation(),
    engine: {
      parts: { clock: manualClock(), random: seededRandom(1) },
      graphs: {
        load: async () => ({
          version: 1,
          tasks: {},
          root: { kind: 'sequence', steps: settled.map((_, i) => each(i)) },
        }),
      },
    },
    backend: {
      inspect: {
        run: async () => ({ runId: 'r', state }),
        groups: async () => settled.map((_, i) => status(i)),
        outcomes: async (gid: string, after: number) => {
          asks.push(gid)
          inFlight += 1
          mostInFlight = Math.max(mostInFlight, inFlight)
          await turn()
          inFlight -= 1
          return page(Number(gid.slice(2)), after)
        },
      },
      watch: (_: string, listener: (activity: RunActivity) => void) => {
        watchers.add(listener)
        return () => watchers.delete(listener)
      },
    },
  } as unknown as HandleServices
  return {
    ...{ services, asks },
    mostInFlight: () => mostInFlight,
    settle: (i: number, more: number, kind: Settled['kind'] = 'succeeded') => {
      const before = settled[i] ?? []
      settled[i] = [...before, ...Array.from({ length: more }, (_, n) => ({ index: before.length + n, kind }))]
      for (const listener of [...watchers]) listener({ kind: 'settled', gid: `r/${i}` })
    },
    release: (i: number) => closed.add(i),
    /** As a retry does it. */
    reopen: (i: number) => {
      settled[i] = (settled[i] ?? []).filter(({ kind }) => kind === 'succeeded')
      openedAt[i] = (openedAt[i] ?? 1) + 1
      closed.delete(i)
      for (const listener of [...watchers]) listener({ kind: 'group', gid: `r/${i}` })
    },
    complete: () => {
      state = 'completed'
      for (const listener of [...watchers]) listener({ kind: 'state', gid: 'r' })
    },
  }
}

describe('the outcomes of a run as they arrive', () => {
  it('are asked for only of groups that have new ones, until the run is over', async () => {
    const { services, asks, settle, complete } = store(20)
    settle(3, 1)
    const outcomes = branchOutcomes('r', services)
    expect((await outcomes.next()).value).toMatchObject({ path: '3', status: 'succeeded' })
    settle(3, 1)
    settle(7, 2)
    const paths = [await outcomes.next(), await outcomes.next(), await outcomes.next()].map(({ value }) => value?.path)
    expect(paths.sort()).toEqual(['3', '7', '7'])
    expect(new Set(asks)).toEqual(new Set(['r/3', 'r/7']))
    asks.length = 0
    complete()
    expect(await outcomes.next()).toEqual({ done: true, value: undefined })
    expect(new Set(asks).size).toBe(20)
  })

  it('O1: come once more of branches that a retry starts anew, and not of those that it keeps', async () => {
    const { services, settle, release, reopen, complete } = store(1)
    settle(0, 1)
    settle(0, 1, 'failed')
    release(0)
    const outcomes = branchOutcomes('r', services)
    const next = async () => {
      const { value } = await outcomes.next()
      return value && [value.index, value.status]
    }
    expect([await next(), await next()]).toEqual([
      [0, 'succeeded'],
      [1, 'failed'],
    ])
    reopen(0)
    const last = next()
    await turn()
    settle(0, 1)
    expect(await last).toEqual([1, 'succeeded'])
    complete()
    expect(await next()).toBeUndefined()
  })

  it('are left at once, also while a reader waits for the next', async () => {
    const { services, settle } = store(1)
    settle(0, 1)
    const outcomes = branchOutcomes('r', services)
    await outcomes.next()
    const next = outcomes.next()
    await turn()
    const over = { done: true, value: undefined }
    expect(await within(5_000, outcomes.return(), 'it to end')).toEqual(over)
    expect(await next).toEqual(over)
    expect(await branchOutcomes('r', services).return()).toEqual(over)
  })

  it('of many groups are asked for ahead, of four at once', async () => {
    const { services, settle, complete, mostInFlight } = store(30)
    for (let i = 0; i < 30; i++) settle(i, 2)
    complete()
    const paths: string[] = []
    for await (const { path } of branchOutcomes('r', services)) paths.push(path)
    expect(paths).toHaveLength(60)
    expect(new Set(paths).size).toBe(30)
    expect(mostInFlight()).toBe(4)
  })
})
