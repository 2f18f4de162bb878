/** A small group of quick tasks is granted at once to a session that waits with nothing in hand, and to nobody else. */
import type { AcquireRequest, Grant, GroupSpec, Notice } from '../../lib/backend/backend.js'
import { pack } from '../../lib/values/packed-items.js'
import type { RedisServer } from '../support/redis-server.js'
import { keepRenewalThread } from '../support/kept-thread.js'
import { type StagedBackend, useBackend } from '../support/redis-stage.js'
import { privateRedis, sharedRedis } from '../support/shared-redis.js'
import { until } from '../support/waits.js'
import { bytes, infoOf } from '../support/world.js'

const stage = useBackend()

type Granted = Extract<Notice, { kind: 'granted' }>

/** A producer `p`; and workers that wait, of which the first notices are told. */
class Scene {
  readonly staged: StagedBackend
  #groups = 0
  #token = ''

  static async open(server?: RedisServer): Promise<Scene> {
    await keepRenewalThread()
    const scene = new Scene(await stage(server ?? (await sharedRedis())))
    const { backend } = scene.staged
    await backend.putGraph('graph', bytes('graph'))
    await backend.session({ kind: 'open', session: 'p', ttlMs: 60_000, info: { ...infoOf('p'), role: 'client' } })
    const opened = await backend.open({
      ...{ runId: 'r', graph: 'graph', digest: 'digest', input: bytes('input'), session: 'p', nonce: 'nonce' },
      ...{ tasks: [], maxLosses: 3, timeoutMs: 0, retentionMs: 60_000 },
    })
    if (opened.status !== 'ok' || opened.token === undefined) throw new Error(`not opened: ${opened.status}`)
    scene.#token = opened.token
    return scene
  }

  private constructor(staged: StagedBackend) {
    this.staged = staged
  }

  /** A session that is alive and waits; all that it hears. */
  async waiter(session: string, more: Partial<AcquireRequest> = {}, isAlive = true): Promise<Notice[]> {
    const { backend } = this.staged
    const heard: Notice[] = []
    await backend.session({ kind: 'open', session, ttlMs: 60_000, info: infoOf(session) })
    backend.listen(session, (notice) => heard.push(notice))
    if (isAlive) await backend.keepAlive(session, { ttlMs: 60_000, onLost: () => undefined }).ready
    await this.ask(session, more)
    return heard
  }

  async ask(session: string, more: Partial<AcquireRequest> = {}): Promise<readonly Grant[]> {
    const answer = await this.staged.backend.acquire({
      ...{
        session,
        nonce: `${session}${this.#groups}-${performance.now()}`,
        max: 16,
        queues: ['default'],
        capabilities: [],
      },
      ...{ quick: ['task'], acceptsPush: true, ...more },
    })
    if (answer.status !== 'ok') throw new Error(answer.status)
    return answer.grants
  }

  /** Opens a group of so many branches; its gid. */
  async group(size = 2, facts: Partial<GroupSpec> = {}, itemBytes = 1): Promise<string> {
    const gid = `r/${this.#groups}`
    this.#groups += 1
    const spec: GroupSpec = {
      ...{ gid, runId: 'r', graph: 'graph', node: '0', digest: 'digest', size, shared: false, rule: 'all' },
      ...{ queue: 'default', requires: [], tasks: ['task'], priority: 0, depth: 1, limit: 0, attempts: 3 },
      ...{ maxLosses: 3, timeoutMs: 0, ...facts },
    }
    const items = Array.from({ length: spec.shared ? 1 : size }, (_, i) => bytes(String(i).repeat(itemBytes)))
    const holder = { gid: 'r', index: 0, token: this.#token }
    const group = { spec, from: 0, inputs: pack(items) }
    expect(await this.staged.backend.step({ holder, runId: 'r', group })).toMatchObject({ status: 'ok' })
    return gid
  }

  /** Succeeds in all branches of a grant. */
  async settle(session: string, { spec, token, indexes }: Grant): Promise<string | undefined> {
    const values = pack(Array.from(indexes, () => bytes('value')))
    const kinds = Array.from(indexes, () => 'succeeded' as const)
    const [answer] = await this.staged.backend.settle({
      session,
      ranges: [{ gid: spec.gid, token, indexes, kinds, values }],
    })
    return answer
  }

  planned(): Promise<readonly string[]> {
    return this.staged.redis.zrangebyscore(`${this.staged.tag}:due`, '-inf', '+inf')
  }

  /** What is due in so many milliseconds is due now. */
  async later(ms: number): Promise<void> {
    const { redis, tag, backend } = this.staged
    for (const entry of await this.planned()) await redis.zincrby(`${tag}:due`, -ms, entry)
    await until(async () => (await backend.sweep('p')).status === 'ok', 'a sweep')
  }
}

const grantsIn = (heard: readonly Notice[]): readonly Grant[] =>
  heard.filter((notice): notice is Granted => notice.kind === 'granted').map(({ grant }) => grant)

/** Once all that Redis told before is heard: the grants among it. */
async function pushedTo({ staged }: Scene, session: string, heard: readonly Notice[]): Promise<readonly Grant[]> {
  const mark = `mark-${performance.now()}`
  await staged.redis.call('XADD', `${staged.tag}:in:${session}`, '*', 'k', 'released', 'g', mark)
  await until(() => heard.some((notice) => notice.kind === 'released' && notice.gid === mark), 'the mark')
  return grantsIn(heard)
}

describe('a small group of quick tasks', () => {
  it('is pushed to a session that waits with nothing in hand, as a grant like any other', async () => {
    const scene = await Scene.open()
    const heard = await scene.waiter('w')
    const gid = await scene.group(3, { timeoutMs: 60_000 })
    const [grant] = await pushedTo(scene, 'w', heard)
    expect(grant).toMatchObject({ spec: { gid, size: 3 }, indexes: Uint32Array.of(0, 1, 2), isWatched: false })
    expect(grant?.inputs).toEqual(pack([bytes('0'), bytes('1'), bytes('2')]))
    expect(await scene.planned()).toEqual(expect.arrayContaining([`d ${gid}#1`, `s ${gid}#1`]))
    expect(await scene.ask('w')).toEqual([]) // it is nobody else's
    if (grant === undefined) return
    expect(await scene.settle('w', grant)).toBe('ok')
    expect(await scene.staged.backend.inspect.outcomes(gid, 0)).toMatchObject({ state: 'released' })
    expect((await scene.planned()).filter((entry) => entry.endsWith(`${gid}#1`))).toEqual([])
  })

  it('brings a shared input', async () => {
    const scene = await Scene.open()
    const heard = await scene.waiter('w')
    await scene.group(3, { shared: true })
    const [grant] = await pushedTo(scene, 'w', heard)
    expect(grant?.inputs).toEqual(pack([bytes('0')]))
    expect(grant?.indexes).toEqual(Uint32Array.of(0, 1, 2))
  })

  it.each([8_191, 8_192, 8_193])(
    'arrives whole with two inputs of %i bytes each, pushed or acquired',
    async (itemBytes) => {
      const scene = await Scene.open()
      const heard = await scene.waiter('w')
      await scene.group(2, {}, itemBytes)
      const grants = [...(await pushedTo(scene, 'w', heard)), ...(await scene.ask('w'))]
      expect(grants.map(({ inputs }) => inputs)).toEqual([pack(['0', '1'].map((one) => bytes(one.repeat(itemBytes))))])
    },
  )

  it('is pushed again and again, while there is room, without a word of the worker between', async () => {
    const scene = await Scene.open()
    const heard = await scene.waiter('w', { max: 5 })
    for (let round = 1; round <= 2; round += 1) {
      await scene.group(2)
      const grants = await pushedTo(scene, 'w', heard)
      expect(grants).toHaveLength(round)
      for (const grant of grants.slice(-1)) expect(await scene.settle('w', grant)).toBe('ok')
    }
    const gid = await scene.group(2) // there is room for one
    expect(await pushedTo(scene, 'w', heard)).toHaveLength(2)
    expect(heard).toContainEqual({ kind: 'work' })
    expect(await scene.ask('w')).toMatchObject([{ spec: { gid } }])
  })

  it.each<[string, (scene: Scene) => Promise<Notice[]>, number, Partial<GroupSpec>, number]>([
    ['who does not take it', (scene) => scene.waiter('w', { acceptsPush: false }), 2, {}, 1],
    ['who has not found the task quick', (scene) => scene.waiter('w', { quick: ['other'] }), 2, {}, 1],
    ['who is not seen to be alive', (scene) => scene.waiter('w', {}, false), 2, {}, 1],
    ['who has less room', (scene) => scene.waiter('w', { max: 1 }), 2, {}, 1],
    ['who lacks a capability', (scene) => scene.waiter('w'), 2, { requires: ['gpu'] }, 1],
    ['anybody when it is large', (scene) => scene.waiter('w', { max: 100 }), 33, {}, 1],
    ['anybody when its inputs are large', (scene) => scene.waiter('w'), 2, {}, 10_000],
    ['anybody when it has a limit', (scene) => scene.waiter('w'), 2, { limit: 1 }, 1],
  ])('is not pushed to %s', async (_, wait, size, facts, itemBytes) => {
    const scene = await Scene.open()
    const heard = await wait(scene)
    await scene.group(size, facts, itemBytes)
    expect(await pushedTo(scene, 'w', heard)).toEqual([])
  })

  it('is not pushed to a session with something in hand, but to another', async () => {
    const scene = await Scene.open()
    const first = await scene.waiter('w')
    await scene.group(1)
    expect(await pushedTo(scene, 'w', first)).toHaveLength(1)
    const second = await scene.waiter('v')
    await scene.group(1)
    expect(await pushedTo(scene, 'w', first)).toHaveLength(1)
    expect(await pushedTo(scene, 'v', second)).toHaveLength(1)
  })

  it('is not pushed while something of its kind is ready, which is due before; what is ready for others is no matter', async () => {
    const scene = await Scene.open()
    const { redis, tag } = scene.staged
    await scene.group(1, { requires: ['gpu'] })
    const heard = await scene.waiter('w')
    await scene.group(1)
    const [grant] = await pushedTo(scene, 'w', heard)
    if (grant === undefined) throw new Error('expected a grant')
    expect(await scene.settle('w', grant)).toBe('ok')
    const lanes = Object.entries(await redis.hgetall(`${tag}:l`))
    const [lane] = lanes.find(([, asks]) => asks.endsWith('\tdefault||task')) ?? ['none']
    await redis.hset(`${tag}:m`, `n:${lane}`, 1)
    await scene.group(1)
    expect(await pushedTo(scene, 'w', heard)).toHaveLength(1)
    expect(heard).toContainEqual({ kind: 'work' })
  })

  it.each([
    { kind: 'pause-queue', queue: 'default' },
    { kind: 'pause-run', runId: 'r' },
  ] as const)('is not pushed after a $kind', async (request) => {
    const scene = await Scene.open()
    const heard = await scene.waiter('w')
    expect(await scene.staged.backend.control(request)).toBe('ok')
    await scene.group(1)
    expect(await pushedTo(scene, 'w', heard)).toEqual([])
  })
})

describe('what was pushed', () => {
  it('is reclaimed unspent when nobody confirms it, and a session that stands still gets no push until it asks', async () => {
    const scene = await Scene.open()
    const stuck = await scene.waiter('w')
    const gid = await scene.group(2)
    const [pushed] = await pushedTo(scene, 'w', stuck)
    const other = await scene.waiter('v')
    await scene.later(2_000)
    expect(await pushedTo(scene, 'v', other)).toEqual([])
    expect(other).toContainEqual({ kind: 'work' })
    const [grant] = await scene.ask('v')
    expect(grant).toMatchObject({ spec: { gid }, losses: Uint8Array.of(0, 0), errors: Uint8Array.of(0, 0) })
    await pushedTo(scene, 'w', stuck)
    expect(stuck).toContainEqual({ kind: 'lost', gid, token: pushed?.token })
    if (pushed === undefined || grant === undefined) throw new Error('expected two grants')
    expect(await scene.settle('w', pushed)).toBe('fenced')
    expect(await scene.settle('v', grant)).toBe('ok')
    await scene.group(1)
    expect(await pushedTo(scene, 'w', stuck)).toHaveLength(1)
    expect(await pushedTo(scene, 'v', other)).toHaveLength(1)
  })

  it('stays with who confirms it', async () => {
    const scene = await Scene.open()
    const heard = await scene.waiter('w')
    const gid = await scene.group(2)
    const [pushed] = await pushedTo(scene, 'w', heard)
    if (pushed === undefined) throw new Error('expected a grant')
    const grants = [{ gid, token: pushed.token }]
    expect(await scene.staged.backend.session({ kind: 'confirm', session: 'w', grants })).toEqual({ status: 'ok' })
    await scene.later(2_000)
    expect(await scene.settle('w', pushed)).toBe('ok')
  })

  it('is not told twice when the stream of a session turns out to be an older one', async () => {
    const scene = await Scene.open(await privateRedis())
    const heard = await scene.waiter('w')
    await scene.group(2)
    expect(await pushedTo(scene, 'w', heard)).toHaveLength(1)
    const { redis, tag } = scene.staged
    const inbox = `${tag}:in:w`
    const entries = await redis.xrange(inbox, '-', '+')
    const granted = entries.find(([, fields]) => fields.includes('granted'))
    if (granted === undefined) throw new Error('expected an entry of the grant')
    await redis
      .multi()
      .del(inbox)
      .xadd(inbox, '1-1', ...granted[1])
      .exec()
    const known = heard.length
    await redis.client('KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    await until(() => heard.length > known, 'it looks again')
    expect(await pushedTo(scene, 'w', heard)).toHaveLength(1)
  })

  it('is set aside when it cannot be read, and who waits for it is told', async () => {
    const scene = await Scene.open()
    const heard = await scene.waiter('w')
    const { redis, tag } = scene.staged
    await redis.xadd(
      `${tag}:in:w`,
      '*',
      'k',
      'granted',
      'g',
      'r/9',
      'spec',
      '{"gid":"r/9"',
      'token',
      '1.n!-1',
      'count',
      '1',
    )
    await until(async () => (await redis.hget(`${tag}:bad`, 'r/9')) !== null, 'the group is set aside')
    expect(await pushedTo(scene, 'w', heard)).toEqual([])
  })
})
