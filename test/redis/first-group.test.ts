/** The first group of a run goes with its opening: what that saves on Redis. What comes of it, the contract suite says. */
import type { Backend, GroupSpec, OpenAnswer, OpenRequest } from '../../lib/backend/backend.js'
import { pack } from '../../lib/values/packed-items.js'
import { type StagedBackend, useBackend } from '../support/redis-stage.js'
import { sharedRedis } from '../support/shared-redis.js'
import { bytes, infoOf } from '../support/world.js'

const stage = useBackend()

const spec: GroupSpec = {
  ...{ gid: 'r/0', runId: 'r', graph: 'graph', node: '0', digest: 'digest', size: 2, shared: false, rule: 'all' },
  ...{ queue: 'default', requires: [], tasks: ['task'], priority: 0, depth: 1, limit: 0, attempts: 3 },
  ...{ maxLosses: 3, timeoutMs: 0 },
}
const opening = {
  ...{ runId: 'r', graph: 'graph', digest: 'digest', input: bytes('input'), session: 'd', nonce: 'nonce' },
  ...{ tasks: [], maxLosses: 3, timeoutMs: 0, retentionMs: 60_000 },
}

async function scene(hasGraph = true): Promise<StagedBackend & { readonly groups: () => Promise<readonly string[]> }> {
  const staged = await stage(await sharedRedis())
  if (hasGraph) await staged.backend.putGraph('graph', bytes('graph'))
  await staged.backend.session({ kind: 'open', session: 'd', ttlMs: 60_000, info: infoOf('d') })
  const groups = (): Promise<readonly string[]> => staged.redis.lrange(`${staged.tag}:r:r:k`, 0, -1)
  return { ...staged, groups }
}

const first = { spec, inputs: pack([bytes('a'), bytes('b')]) }
const withFirst = (backend: Backend, facts: Partial<OpenRequest> = {}): Promise<OpenAnswer> =>
  backend.open({ ...opening, first, ...facts })

describe('the first group of a run', () => {
  it('is there when the run is, after one call', async () => {
    const { backend, groups, redis } = await scene()
    await redis.config('RESETSTAT')
    const opened = await withFirst(backend)
    expect(/cmdstat_fcall:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1]).toBe('1')
    expect(opened).toMatchObject({ status: 'ok', first: { status: 'ok', fill: 2 } })
    expect(await groups()).toEqual(['r', 'r/0'])
  })

  it('waits for its graph, while the run is opened in a second call', async () => {
    const { backend, groups } = await scene(false)
    expect(await withFirst(backend)).toMatchObject({ status: 'ok', first: { status: 'nograph' } })
    expect(await groups()).toEqual(['r'])
  })

  it('is continued where its first part ends, in one call', async () => {
    const { backend, groups, redis } = await scene()
    const opened = await withFirst(backend, { first: { spec, inputs: pack([bytes('a')]) } })
    expect(opened).toMatchObject({ first: { status: 'ok', fill: 1 } })
    const token = opened.status === 'ok' ? (opened.token ?? '') : ''
    await redis.config('RESETSTAT')
    const group = { spec, from: 1, inputs: pack([bytes('b')]) }
    const stepped = await backend.step({ holder: { gid: 'r', index: 0, token }, runId: 'r', group })
    expect(stepped).toEqual({ status: 'ok', fill: 2 })
    expect(/cmdstat_fcall:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1]).toBe('1')
    expect(await groups()).toEqual(['r', 'r/0'])
  })

  it('is refused with its run when Redis is full', async () => {
    const { backend, redis } = await scene()
    await redis.config('SET', 'maxmemory', 1)
    try {
      expect(await withFirst(backend)).toEqual({ status: 'backpressure' })
    } finally {
      await redis.config('SET', 'maxmemory', 0)
    }
  })
})
