/** The reader of inboxes, and the watchers of runs: nothing that lies there is lost, whatever becomes of the connections. */
import type { Notice, RunActivity } from '../../lib/backend/backend.js'
import { type StagedBackend, useBackend } from '../support/redis-stage.js'
import { privateRedis, sharedRedis } from '../support/shared-redis.js'
import { until } from '../support/waits.js'
import { infoOf } from '../support/world.js'

const stage = useBackend()

const hear = ({ backend }: StagedBackend, session: string): Notice[] => {
  const heard: Notice[] = []
  backend.listen(session, (notice) => heard.push(notice))
  return heard
}

const post = ({ redis, tag }: StagedBackend, session: string, ...fields: string[]): Promise<unknown> =>
  redis.call('XADD', `${tag}:in:${session}`, '*', ...fields)

/** The reader's connection, blocked in its read. */
const isReading = async ({ redis }: StagedBackend, key: string): Promise<boolean> => {
  const clients = String(await redis.client('LIST'))
  return (
    clients.split('\n').some((line) => line.includes('name=graflow-inbox') && /flags=\S*b/.test(line)) && key !== ''
  )
}

describe('the inbox', () => {
  it('delivers every kind of notice, in order, also those from before it listened', async () => {
    const staged = await stage(await sharedRedis())
    await post(staged, 's', 'k', 'released', 'g', 'run/0')
    await post(staged, 's', 'k', 'from the future', 'g', 'run/0')
    const heard = hear(staged, 's')
    await post(staged, 's', 'k', 'withdrawn', 'g', 'run/1', 'v', 'a reason')
    await post(staged, 's', 'k', 'lost', 'g', 'run/2', 'v', '1.token')
    await post(staged, 's', 'k', 'work')
    await until(() => heard.length === 4, 'four notices')
    expect(heard).toEqual([
      { kind: 'released', gid: 'run/0' },
      { kind: 'withdrawn', gid: 'run/1', reason: 'a reason' },
      { kind: 'lost', gid: 'run/2', token: '1.token' },
      { kind: 'work' },
    ])
  })

  it('hears at once of a session that is added while the reader waits', async () => {
    const staged = await stage(await privateRedis())
    hear(staged, 'first')
    await until(() => isReading(staged, 'first'), 'a blocked reader')
    const heard = hear(staged, 'second')
    const began = performance.now()
    await post(staged, 'second', 'k', 'work')
    await until(() => heard.length === 1, 'the notice')
    expect(performance.now() - began).toBeLessThan(1_000)
  })

  it('reads one stream for many sessions on one connection', async () => {
    const staged = await stage(await privateRedis())
    const heard = Array.from({ length: 20 }, (_, i) => hear(staged, `s${i}`))
    await Promise.all(heard.map((_, i) => post(staged, `s${i}`, 'k', 'work')))
    await until(() => heard.every((notices) => notices.length === 1), 'all notices')
    const clients = String(await staged.redis.client('LIST'))
    expect(clients.split('\n').filter((line) => line.includes('name=graflow-inbox'))).toHaveLength(1)
  })

  it('FT-D10, FT-D11: reads on after its connection was lost, and says that something may have been missed', async () => {
    const staged = await stage(await privateRedis())
    const heard = hear(staged, 's')
    let gaps = 0
    staged.backend.onReconnected?.(() => {
      gaps += 1
    })
    await post(staged, 's', 'k', 'released', 'g', 'run/0')
    await until(() => heard.length === 1, 'the first notice')
    expect(gaps).toBe(0)
    await until(() => isReading(staged, 's'), 'a blocked reader')
    await staged.redis.client('KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    await post(staged, 's', 'k', 'released', 'g', 'run/1')
    await until(() => heard.some((notice) => notice.kind === 'released' && notice.gid === 'run/1'), 'the second notice')
    expect(heard.filter(({ kind }) => kind === 'released')).toHaveLength(2)
    expect(heard).toContainEqual({ kind: 'work' })
    expect(gaps).toBe(1)
  })

  it('FT-D12: goes on when Redis ends its wait because of a new role', async () => {
    const staged = await stage(await privateRedis())
    const heard = hear(staged, 's')
    await until(() => isReading(staged, 's'), 'a blocked reader')
    const id = /id=(\d+)[^\n]*name=graflow-inbox/.exec(String(await staged.redis.client('LIST')))?.[1] ?? ''
    await staged.redis.client('UNBLOCK', id, 'ERROR')
    await post(staged, 's', 'k', 'released', 'g', 'run/0')
    await until(() => heard.some(({ kind }) => kind === 'released'), 'the notice')
    expect(heard).toContainEqual({ kind: 'work' })
  })

  it('FT-D24: reads a stream from its beginning that was made anew by a clock that went back', async () => {
    const staged = await stage(await privateRedis())
    const heard = hear(staged, 's')
    await post(staged, 's', 'k', 'released', 'g', 'run/0')
    await until(() => heard.length === 1, 'the first notice')
    await staged.redis.del(`${staged.tag}:in:s`)
    await staged.redis.call('XADD', `${staged.tag}:in:s`, '1-1', 'k', 'released', 'g', 'run/1')
    await until(() => heard.some((notice) => notice.kind === 'released' && notice.gid === 'run/1'), 'the second notice')
  })

  it('X19: reads on after a restart of Redis', async () => {
    const server = await privateRedis({ persistence: 'always' })
    const staged = await stage(server)
    const heard = hear(staged, 's')
    await post(staged, 's', 'k', 'released', 'g', 'run/0')
    await until(() => heard.length === 1, 'the first notice')
    await server.kill9()
    await server.restart()
    await post(staged, 's', 'k', 'released', 'g', 'run/1')
    await until(() => heard.some((notice) => notice.kind === 'released' && notice.gid === 'run/1'), 'the second notice')
  })

  it('hears nothing more once it is stopped, and begins anew when somebody listens again', async () => {
    const staged = await stage(await sharedRedis())
    const first: Notice[] = []
    const stop = staged.backend.listen('s', (notice) => first.push(notice))
    await post(staged, 's', 'k', 'work')
    await until(() => first.length === 1, 'the notice')
    stop()
    stop()
    await post(staged, 's', 'k', 'released', 'g', 'run/0')
    const second = hear(staged, 's')
    await until(() => second.length === 2, 'both notices')
    expect(first).toHaveLength(1)
  })
})

describe('watching a run', () => {
  it('misses nothing of what comes after it in the same process', async () => {
    const { backend } = await stage(await sharedRedis())
    await backend.putGraph('graph', new Uint8Array(1))
    await backend.session({ kind: 'open', session: 'driver', ttlMs: 60_000, info: infoOf('driver') })
    const seen: RunActivity[] = []
    backend.watch('run', (activity) => seen.push(activity))
    await backend.open({
      runId: 'run',
      graph: 'graph',
      digest: 'digest',
      input: new Uint8Array(0),
      session: 'driver',
      nonce: 'nonce',
      tasks: [],
      maxLosses: 3,
      timeoutMs: 0,
      retentionMs: 1_000,
    })
    await until(() => seen.length === 1, 'the activity')
    expect(seen).toEqual([{ kind: 'state', gid: 'run' }])
  })

  it('misses nothing that another process does once who watches has looked at the run', async () => {
    const { backend, redis, tag } = await stage(await sharedRedis())
    backend.watch('run', () => undefined)
    await backend.inspect.run('run')
    expect(await redis.publish(`${tag}:act:run`, 'state run')).toBe(1)
  })

  it('subscribes once a run, and no longer than somebody watches', async () => {
    const { backend, redis, tag } = await stage(await sharedRedis())
    const watchers = async (): Promise<number> => Number((await redis.pubsub('NUMSUB', `${tag}:act:run`))[1])
    const stops = [backend.watch('run', () => undefined), backend.watch('run', () => undefined)]
    await until(async () => (await watchers()) === 1, 'a subscription')
    stops[0]?.()
    stops[0]?.()
    expect(await watchers()).toBe(1)
    stops[1]?.()
    await until(async () => (await watchers()) === 0, 'no subscription')
  })

  it('FT-D25: is told once, after a reconnect, that something may have changed', async () => {
    const { backend, redis, tag } = await stage(await privateRedis())
    const seen: RunActivity[] = []
    backend.watch('run', (activity) => seen.push(activity))
    await until(async () => (await redis.publish(`${tag}:act:run`, 'group run/0')) === 1, 'a subscription')
    await until(() => seen.length === 1, 'the activity')
    await redis.client('KILL', 'TYPE', 'pubsub')
    await until(() => seen.length === 2, 'the news of the gap')
    expect(seen).toEqual([
      { kind: 'group', gid: 'run/0' },
      { kind: 'state', gid: 'run' },
    ])
  })
})
