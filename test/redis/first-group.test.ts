/** The first group of a run goes with its opening, in one call; what comes of it is as if both had gone alone. */
import type { Backend, GroupSpec, OpenAnswer, StepAnswer, StepRequest } from '../../lib/backend/backend.js'
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

function both(
  backend: Backend,
  facts: Partial<StepRequest> = {},
  request = opening,
): Promise<readonly [OpenAnswer, StepAnswer]> {
  const opened = backend.open(request)
  const holder = { gid: 'r', index: 0, token: backend.earlyToken?.('nonce') ?? '' }
  const group = { spec, from: 0, inputs: pack([bytes('a'), bytes('b')]) }
  return Promise.all([opened, backend.step({ holder, runId: 'r', group, ...facts })])
}

describe('the first group of a run', () => {
  it('is there when the run is, after one call', async () => {
    const { backend, groups, redis } = await scene()
    await redis.config('RESETSTAT')
    const [opened, stepped] = await both(backend)
    expect(/cmdstat_fcall:calls=(\d+)/.exec(await redis.info('commandstats'))?.[1]).toBe('1')
    expect([opened.status, stepped]).toEqual(['ok', { status: 'ok', fill: 2 }])
    expect(await groups()).toEqual(['r', 'r/0'])
    const acquire = { session: 'd', nonce: 'n', max: 5, queues: ['default'], capabilities: [] }
    await backend.session({ kind: 'open', session: 'd', ttlMs: 60_000, info: infoOf('d') })
    expect(await backend.acquire(acquire)).toMatchObject({ grants: [{ spec, indexes: Uint32Array.of(0, 1) }] })
  })

  it('is answered again when the opening is repeated', async () => {
    const { backend, groups } = await scene()
    const first = await both(backend)
    expect(await both(backend)).toEqual(first)
    expect(await groups()).toEqual(['r', 'r/0'])
  })

  it('waits for its graph, while the run is opened', async () => {
    const { backend, groups } = await scene(false)
    const [opened, stepped] = await both(backend)
    expect([opened.status, stepped]).toEqual(['ok', { status: 'nograph' }])
    expect(await groups()).toEqual(['r'])
    await backend.putGraph('graph', bytes('graph'))
    expect((await both(backend))[1]).toEqual({ status: 'ok', fill: 2 })
    expect(await groups()).toEqual(['r', 'r/0'])
  })

  it('is fenced where the run is not opened', async () => {
    const { backend, groups } = await scene()
    expect(await both(backend, {}, { ...opening, session: 'nobody' })).toEqual([
      { status: 'nosession' },
      { status: 'fenced' },
    ])
    await both(backend)
    expect(await both(backend, {}, { ...opening, digest: 'other' })).toEqual([
      { status: 'conflict', runId: 'r' },
      { status: 'fenced' },
    ])
    expect(await groups()).toEqual(['r', 'r/0'])
  })

  it('goes by itself where its step says more, and has its turn', async () => {
    const { backend, redis, tag } = await scene()
    const [, stepped] = await both(backend, { save: { paths: ['0'], values: pack([bytes('saved')]) } })
    expect(stepped).toEqual({ status: 'ok', fill: 2 })
    expect(await redis.hget(`${tag}:r:r:v`, '0')).toBe('saved')
  })

  it('is refused with its run when Redis is full, and both are answered', async () => {
    const { backend, redis } = await scene()
    await redis.config('SET', 'maxmemory', 1)
    try {
      expect(await both(backend)).toEqual([{ status: 'backpressure' }, { status: 'fenced' }])
    } finally {
      await redis.config('SET', 'maxmemory', 0)
    }
  })
})
