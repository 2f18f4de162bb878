/**
 * Connections that break at any point of any script, and Redis forgetting its scripts: what is in the store afterwards is what it would
 * be without.
 */
import { each } from 'graflow'
import type { Backend } from '../../lib/backend/backend.js'
import { pack } from '../../lib/values/packed-items.js'
import { loadScripts } from '../../lib/backend/redis/scripts.js'
import { steady } from '../faults/fault.tasks.js'
import { type FaultKind, FaultProxy, type Match } from '../support/fault-proxy.js'
import { workerHere } from '../support/local-worker.js'
import { scriptNamed, type Stage, useStage } from '../support/redis-stage.js'
import { bytes, text, type World, worldOn } from '../support/world.js'

const open = useStage()
const POSITIONS: readonly FaultKind[] = ['cut-before', 'cut-inside-request', 'swallow-reply', 'cut-inside-reply']

/** What depends on the moment or on chance. */
const isPassing = (key: string): boolean =>
  /(^a|A)t$|Ms$/.test(key) || ['token', 'fence', 'id', 'nonce', 'reopenedBy', 'position'].includes(key)
const plain = (value: unknown): string =>
  JSON.stringify(value, (key, part: unknown) => {
    if (isPassing(key)) return undefined
    if (part instanceof Uint8Array) return text(part)
    if (part instanceof Uint32Array) return [...part]
    if (part instanceof Map) return [...part]
    return part
  })

/** Calls everything that a backend can do, each script at least once; says what is there at the end. */
async function story(stage: Stage, { url = stage.server.url, isEverFull = true } = {}): Promise<string[]> {
  const backend = await stage.backend({ address: url })
  const seen: unknown[] = []
  const world = await worldOn(backend)
  expect(await backend.hasGraph('graph')).toBe(true)
  seen.push(await backend.getGraph('graph'))
  await backend.keepEvents(600_000)
  await world.join('leaver')
  const holder = await world.start('run', { idempotencyKey: 'key' })
  expect(await backend.open(world.openRequest('other', { idempotencyKey: 'key' }))).toEqual({
    status: 'exists',
    runId: 'run',
  })
  await backend.open(world.openRequest('submitted'))
  seen.push(await backend.inspect.waiting('runs'))
  const taken = await backend.take({ session: 'w', nonce: world.nonce(), runId: 'submitted' })
  seen.push(taken.status === 'ok' ? world.names([taken.grant]) : taken)

  const channel = (request: Parameters<Backend['channel']>[2]) => backend.channel('run', holder, request)
  await channel({ kind: 'set', key: 'value', value: { kind: 'value', bytes: bytes('x') }, nonce: world.nonce() })
  await channel({ kind: 'set', key: 'gone', value: { kind: 'number', number: 1 }, nonce: world.nonce() })
  for (const item of ['a', 'b']) await channel({ kind: 'append', key: 'list', item: bytes(item), nonce: world.nonce() })
  await channel({ kind: 'prepend', key: 'list', item: bytes('c'), nonce: world.nonce() })
  for (const number of [2, 3]) await channel({ kind: 'add', key: 'sum', number, nonce: world.nonce() })
  await channel({ kind: 'delete', key: 'gone', nonce: world.nonce() })
  for (const key of ['value', 'gone', 'list', 'sum']) seen.push(await channel({ kind: 'get', key }))
  const lock = async (kind: 'lock' | 'renew' | 'unlock', nonce: string): Promise<void> => {
    seen.push(await backend.lock('run', holder, { kind, key: 'lock', nonce, leaseMs: 60_000 }))
  }
  for (const kind of ['lock', 'renew'] as const) await lock(kind, 'n1')
  await channel({ kind: 'add', key: 'sum', number: 1, nonce: world.nonce(), under: [{ key: 'lock', nonce: 'n1' }] })
  await lock('lock', 'n2')
  await lock('unlock', 'n1')
  await lock('lock', 'n2')
  await lock('renew', 'n1')
  const keys = await channel({ kind: 'keys' })
  seen.push(keys.status === 'ok' && keys.kind === 'keys' ? [...keys.keys].sort() : keys)

  const wait = { place: '9', address: 'ok', onDue: bytes(''), isRepeated: false }
  seen.push(await backend.signal({ runId: 'run', address: 'other', payload: bytes('kept'), nonce: world.nonce() }))
  seen.push(await world.step(holder, { wait }))
  seen.push((await backend.inspect.openWaits('run')).map(({ place, address }) => [place, address]))
  seen.push(await backend.signal({ runId: 'run', address: 'ok', payload: bytes('answer'), nonce: world.nonce() }))
  const known = { runId: 'run', address: 'ok', payload: bytes('late'), isLate: true }
  seen.push(await backend.signal({ ...known, nonce: world.nonce() }))
  seen.push(await world.step(holder, { wait }))

  const retried = await world.dispatch(holder, 'run/0', { size: 4, attempts: 2 })
  seen.push(await backend.inspect.input('run/0', 1))
  seen.push((await backend.inspect.held('run/0', 9)).map(({ session, indexes }) => [session, ...indexes]))
  seen.push(await backend.progress({ runId: 'submitted', notes: [{ path: '0', fence: 5, value: bytes('half') }] }))
  const few = world.spec('run/2', { size: 2, queue: 'nowhere', digest: 'few' })
  const refused = { indexes: [1], values: pack([bytes('refused')]) }
  seen.push(await world.step(holder, { group: { spec: few, from: 0, inputs: pack(['a', 'b'].map(bytes)), refused } }))
  const big = world.spec('run/1', { size: 4, queue: 'filled', digest: 'big' })
  const items = ['i0', 'i1', 'i2', 'i3'].map(bytes)
  await world.step(holder, { group: { spec: big, from: 0, inputs: pack(items.slice(0, 2)) } })
  await world.step(holder, { group: { spec: big, from: 2, inputs: pack(items.slice(2)) } })

  const first = await world.takeOne(3)
  seen.push(world.names([first]))
  const [ok] = await backend.settle({
    session: 'w',
    ranges: [
      {
        ...world.range(first, 'succeeded', [0, 1, 2]),
        kinds: ['succeeded', 'retry', 'released'],
        values: pack([bytes('v0'), bytes('e1'), bytes('')]),
        delaysMs: [0, 0, 0],
      },
    ],
  })
  expect(['ok', 'dup']).toContain(ok)
  const leavers = await world.takeOne(2, { session: 'leaver', queues: ['filled'] })
  seen.push(world.names([leavers]))
  await backend.session({ kind: 'close', session: 'leaver' })
  await backend.session({ kind: 'renew', session: 'w', ttlMs: 60_000 })
  const second = await world.takeOne()
  seen.push([...second.indexes].sort(), [...second.errors].sort())
  seen.push(await backend.session({ kind: 'reconcile', session: 'w', known: [] }))
  await world.settle(second, 'failed', [1])
  await world.settle(
    second,
    'succeeded',
    [...second.indexes].filter((index) => index !== 1),
  )
  seen.push((await world.outcomes('run/0')).sort())
  seen.push(await backend.control({ kind: 'withdraw-group', holder, gid: 'run/1' }))
  await world.step(holder, {
    retire: ['run/0'],
    save: { paths: ['0', '1'], values: pack([bytes('zero'), bytes('one')]) },
  })
  await backend.control({ kind: 'pause-run', runId: 'run' })
  await backend.control({ kind: 'resume-run', runId: 'run' })
  await backend.control({ kind: 'pause-queue', queue: 'filled' })
  await backend.control({ kind: 'cancel-run', runId: 'submitted', reason: 'why', value: bytes('cancelled') })
  await backend.sweep('w')
  await world.step(holder, { end: { state: 'completed', value: bytes('result') } })
  seen.push(await backend.reopen({ runId: 'run', nonce: world.nonce(), forget: ['1'] }))
  const mark = { path: '1', mark: '1/!h', value: bytes('by hand') }
  const decision = { ...mark, nonce: world.nonce(), as: 'succeeded' as const, gid: 'run', index: 0 }
  seen.push(await backend.decide('run', decision))
  const { token } = await world.takeOne(1, { queues: ['runs'], capabilities: ['layout:4'] })
  const again = { gid: 'run', index: 0, token }
  const group = { spec: retried, from: 0, inputs: pack(items), isReopened: true }
  seen.push(await world.step(again, { group }), (await world.outcomes('run/0')).sort())
  await world.step(again, { end: { state: 'completed', value: bytes('result') } })

  if (isEverFull) await stage.redis.config('SET', 'maxmemory', '1')
  try {
    seen.push(await backend.open(world.openRequest('run')))
    if (isEverFull) seen.push(await backend.open(world.openRequest('too much')))
  } finally {
    await stage.redis.config('SET', 'maxmemory', '0')
  }

  const { inspect } = backend
  seen.push(await inspect.run('run'), await inspect.run('submitted'), await inspect.runs({ limit: 9 }))
  seen.push(await inspect.groups('run'), await inspect.outcomes('run/1', 0))
  seen.push(await inspect.output('run', '0'), await inspect.saved('run', ''))
  seen.push([...(await inspect.queues())].sort((a, b) => a.queue.localeCompare(b.queue)))
  seen.push([...(await inspect.sessions())].sort((a, b) => a.session.localeCompare(b.session)))
  seen.push(await inspect.deadLetters(9))
  seen.push(await keptStory(backend, world))
  // who may not ask what the server sends at most reads in parts
  await stage.redis.call('ACL', 'SETUSER', 'shy', 'reset', 'on', '>pw', '~*', '&*', '+@all', '-config')
  const shy = await stage.backend({ address: url.replace('//', '//shy:pw@') })
  const look = async ({ inspect: its }: Backend): Promise<string> =>
    plain([
      await its.run('run'),
      await its.output('run', '0'),
      await its.saved('run', ''),
      await its.outcomes('run/1', 0),
    ])
  expect(await look(shy)).toBe(await look(backend))
  return seen.map(plain)
}

/** Documents, what was seen of a run, and what has happened in the store: each once. */
async function keptStory(backend: Backend, world: World): Promise<unknown> {
  const { inspect } = backend
  const write = (put: readonly string[], remove: readonly string[]) =>
    backend.writeDocuments({
      ...{ collection: 'c', nonce: world.nonce(), remove },
      put: put.map((name) => ({ name, bytes: bytes(name) })),
    })
  const written = [await write(['a'], []), await write(['b'], []), await write([], ['a'])]
  const found = [await inspect.documents('c', ['a', 'b']), await inspect.documentNames('c')]
  // a repeat answers `stale`, and nothing stands there twice
  await backend.appendRunEvents({
    ...{ runId: 'run', after: undefined, keptMs: 60_000 },
    ...{ events: bytes('events'), seen: bytes('seen') },
  })
  const run = await inspect.runEvents('run', undefined, 9)
  const page = await inspect.events('0', 1_000)
  const events = page.events.map(({ event }) => event).filter(({ kind }) => kind !== 'cluster')
  expect(events.length).toBeGreaterThan(5)
  return [written, found, run.seen, run.entries.map((entry) => entry.events), events]
}

/** Large values on all their ways: into a run, a group and its branches, and out. What arrives, by its length and its beginning. */
async function largeStory(stage: Stage, url = stage.server.url): Promise<string[]> {
  const backend = await stage.backend({ address: url })
  const world = await worldOn(backend)
  const large = (name: string): Uint8Array => bytes(name.padEnd(50_000, ' and so on'))
  const holder = await world.start('run', { input: large('run') })
  const spec = world.spec('run/0', { size: 3 })
  await world.step(holder, { group: { spec, from: 0, inputs: pack([large('a'), large('b')]) } })
  await world.step(holder, { group: { spec, from: 2, inputs: pack([large('c')]) } })
  const grants = [await world.takeOne(2), await world.takeOne(1)]
  const inputs = grants.map((grant) => text(grant.inputs.bytes))
  for (const grant of grants)
    await world.settle(grant, 'succeeded', undefined, { values: pack([...grant.indexes].map((i) => large(`${i}`))) })
  const outcomes = await world.outcomes('run/0')
  await world.step(holder, { end: { state: 'completed', value: large('result') } })
  const value = (await backend.inspect.run('run'))?.value
  return [...inputs, ...outcomes, value === undefined ? '' : text(value)].map((it) => `${it.length} ${it.slice(0, 20)}`)
}

describe('FT-D7: a connection that breaks once', () => {
  const names = [...loadScripts().keys()]
  let expected: readonly string[] | undefined
  const called = new Set<string>()

  it('nowhere: the story calls every script', async () => {
    const stage = await open()
    const proxy = await stage.proxy()
    const faults = names.map((name) => [name, proxy.arm('hold-reply', scriptNamed(name))] as const)
    for (const [, fault] of faults) fault.release()
    expected = await story(stage, { url: proxy.url })
    for (const [name, fault] of faults) if (fault.fired > 0) called.add(name)
    expect(names.filter((name) => !called.has(name))).toEqual([])
  })

  it.each(names.flatMap((name) => POSITIONS.map((position) => [name, position] as const)))(
    '%s, %s: the store is as it would be',
    async (name, position) => {
      const stage = await open()
      const proxy = await FaultProxy.start({ port: stage.server.port })
      try {
        const fault = proxy.arm(position, scriptNamed(name))
        const found = await story(stage, { url: proxy.url })
        expect(fault.fired).toBe(1)
        expect(found).toEqual(expected)
      } finally {
        await proxy.stop()
      }
    },
  )
})

/** Forgets all scripts and functions again and again, until `stop` is called, which says how often once the last is over. */
function forgetAlways({ redis }: Stage, everyMs: number): { stop(): Promise<number> } {
  const flushes: Promise<unknown>[] = []
  const timer = setInterval(() => {
    flushes.push(redis.script('FLUSH'), redis.call('FUNCTION', 'FLUSH'))
  }, everyMs)
  return {
    stop: async () => {
      clearInterval(timer)
      return (await Promise.all(flushes)).length / 2
    },
  }
}

describe('FT-D16: Redis that forgets its scripts all the time', () => {
  it('does what it would do', async () => {
    const stage = await open({})
    // one that is full, too, takes no script back: that is out of anybody's reach
    const expected = await story(stage, { isEverFull: false })
    const other = await open({})
    const flushing = forgetAlways(other, 2)
    const found = await story(other, { isEverFull: false }).finally(() => flushing.stop())
    expect(found).toEqual(expected)
    expect(await flushing.stop()).toBeGreaterThan(5)
  })

  it('runs a group on a worker', async () => {
    const stage = await open({})
    await workerHere(stage, 'a', [steady])
    const client = await stage.client()
    const flushing = forgetAlways(stage, 10)
    const numbers = Array.from({ length: 150 }, (_, n) => n)
    const result = await client.run(each(steady), numbers).finally(() => flushing.stop())
    expect(result).toEqual(numbers)
    expect(stage.ledger.notes('start')).toHaveLength(150)
    expect(await flushing.stop()).toBeGreaterThan(5)
  })
})

describe('FT-D7: a connection that breaks once while large values are under way', () => {
  const names = ['SET', 'GETRANGE', 'GET', 'open', 'step', 'acquire', 'settle', 'outcomes', 'step-full']
  /** Of the commands, those with large values; graphs go by SET, too. */
  const matchOf = (name: string): Match =>
    name === name.toUpperCase()
      ? ([command, key]) => command?.toString() === name && /:up:|:b:/.test(String(key))
      : scriptNamed(name)

  it.each(names)('at %s: all that counts is there once, and whole', async (name) => {
    const stage = await open()
    const found = await Promise.all(
      POSITIONS.map(async (position) => {
        const inside = await open()
        const proxy = await FaultProxy.start({ port: inside.server.port })
        try {
          const fault = proxy.arm(position, matchOf(name))
          const told = await largeStory(inside, proxy.url)
          return { position, fired: fault.fired, told }
        } finally {
          await proxy.stop()
        }
      }),
    )
    const told = await largeStory(stage)
    expect(told).toHaveLength(6)
    expect(found).toEqual(POSITIONS.map((position) => ({ position, fired: 1, told })))
  })
})
