/** What the kernel promises to whoever drives it directly: determinism, and that it says when it must be called again. */
import type { SessionInfo } from '../../lib/backend/backend.js'
import { Kernel } from '../../lib/backend/kernel/kernel.js'
import { bytes, infoOf, packed } from '../support/world.js'

const NOW = 1_700_000_000_000

const kernelWith = (sessions: Readonly<Record<string, number>>): Kernel => {
  const kernel = new Kernel({}, { notice: () => {}, activity: () => {} })
  kernel.putGraph(NOW, 'graph', bytes('graph'))
  const info: SessionInfo = { ...infoOf('any'), tasks: 'all' }
  for (const [session, ttlMs] of Object.entries(sessions)) kernel.session(NOW, { kind: 'open', session, ttlMs, info })
  return kernel
}

const dispatch = (kernel: Kernel, size: number): void => {
  const opened = kernel.open(NOW, {
    runId: 'run',
    graph: 'graph',
    digest: 'd',
    input: bytes(''),
    session: 'driver',
    nonce: 'open',
    tasks: [],
    maxLosses: 3,
    timeoutMs: 0,
    retentionMs: 1_000,
  })
  if (opened.status !== 'ok' || opened.token === undefined) throw new Error(`open answered ${opened.status}`)
  const spec = {
    gid: 'run/0',
    runId: 'run',
    graph: 'graph',
    node: '0',
    digest: 'd',
    size,
    shared: true,
    rule: 'all',
    queue: 'default',
    requires: [],
    tasks: [],
    priority: 0,
    depth: 1,
    limit: 0,
    attempts: 1,
    maxLosses: 3,
    timeoutMs: 0,
  } as const
  const holder = { gid: 'run', index: 0, token: opened.token }
  kernel.step(NOW, { holder, runId: 'run', group: { spec, from: 0, inputs: packed('in') } })
}

const take = (kernel: Kernel, session: string, max: number) =>
  kernel.acquire(NOW, { session, nonce: `of ${session}`, max, queues: 'all', capabilities: [] })

describe('kernel', () => {
  it('answers the same calls at the same times with the same answers', () => {
    const answers = [1, 2].map(() => {
      const kernel = kernelWith({ driver: Number.POSITIVE_INFINITY, w: 3_000 })
      dispatch(kernel, 5)
      return [
        take(kernel, 'w', 3),
        kernel.sweep(NOW + 5_000),
        kernel.sweep(NOW + 9_000),
        kernel.inspect(NOW).groups('run'),
      ]
    })
    expect(answers[0]).toEqual(answers[1])
  })

  it('is due again at once when a sweep left something over', () => {
    const kernel = kernelWith({ driver: Number.POSITIVE_INFINITY, lost: 1_000 })
    dispatch(kernel, 600)
    take(kernel, 'lost', 600)
    const taken: number[] = []
    for (let now = NOW; now <= NOW + 1_200; now += 300) {
      for (let sweep = kernel.sweep(now); sweep.status === 'ok'; sweep = kernel.sweep(now)) {
        taken.push(sweep.reclaimed)
        if (sweep.nextDueMs !== 0) break
        expect(kernel.due(now)).toEqual({ inMs: 0, isAwaited: true })
      }
    }
    expect(taken.filter((count) => count > 0)).toEqual([256, 256, 88])
  })

  it('is due at the end of a grace for what a lost session still holds, though nobody else can expire', () => {
    const kernel = kernelWith({ driver: Number.POSITIVE_INFINITY, lost: 1_000, other: 1_200 })
    dispatch(kernel, 600)
    take(kernel, 'lost', 600)
    for (let now = NOW + 300; now < NOW + 1_000; now += 300) kernel.sweep(now)
    expect(kernel.sweep(NOW + 1_100)).toMatchObject({ status: 'ok', reclaimed: 256 })
    expect(kernel.sweep(NOW + 11_100)).toEqual({ status: 'grace' })
    kernel.session(NOW + 11_100, { kind: 'close', session: 'other' })
    kernel.sweep(NOW + 11_200)
    expect(kernel.due(NOW + 11_200)).toEqual({ inMs: 1_100, isAwaited: true })
    expect(kernel.sweep(NOW + 12_300)).toMatchObject({ status: 'ok', reclaimed: 256 })
    expect(kernel.sweep(NOW + 12_300)).toMatchObject({ status: 'ok', reclaimed: 88 })
  })

  it('takes no session before its time', () => {
    const kernel = kernelWith({ driver: Number.POSITIVE_INFINITY, mortal: 1_000 })
    for (const at of [300, 600, 990]) expect(kernel.sweep(NOW + at).status).toBe('ok')
    expect(kernel.inspect(NOW + 990).sessions()).toHaveLength(2)
    expect(kernel.sweep(NOW + 1_090).status).toBe('ok')
    expect(kernel.inspect(NOW + 1_090).sessions()).toHaveLength(1)
  })

  it('has nothing due when nothing is planned', () => {
    const kernel = new Kernel({}, { notice: () => {}, activity: () => {} })
    expect(kernel.due(NOW)).toBeUndefined()
    expect(kernel.sweep(NOW)).toEqual({ status: 'ok', reclaimed: 0, nextDueMs: undefined })
  })
})
