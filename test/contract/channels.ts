/** Channels: the run’s shared state, the same on every backend. */
import type { ChannelAnswer, ChannelRequest, ChannelValue, Holder } from '../../lib/backend/backend.js'
import { bytes, packed, text, texts, type UseWorld, type World } from '../support/world.js'

const value = (of: string): ChannelValue => ({ kind: 'value', bytes: bytes(of) })

/** What a key holds, readable. */
const shown = (held: ChannelValue | undefined): unknown => {
  if (held === undefined) return undefined
  if (held.kind === 'value') return text(held.bytes)
  return held.kind === 'number' ? held.number : texts(held.items)
}

const channelOf = (world: World, holder: Holder | undefined, runId = 'run') => {
  const ask = (request: ChannelRequest): Promise<ChannelAnswer> => world.backend.channel(runId, holder, request)
  return {
    ask,
    get: async (key: string): Promise<unknown> => {
      const answer = await ask({ kind: 'get', key })
      if (answer.status !== 'ok' || answer.kind !== 'get') throw new Error(`get answered ${answer.status}`)
      return shown(answer.value)
    },
    keys: async (): Promise<string[]> => {
      const answer = await ask({ kind: 'keys' })
      if (answer.status !== 'ok' || answer.kind !== 'keys') throw new Error(`keys answered ${answer.status}`)
      return [...answer.keys].sort()
    },
    set: (key: string, of: ChannelValue, facts = {}) =>
      ask({ kind: 'set', key, value: of, nonce: world.nonce(), ...facts }),
    append: (key: string, of: string, facts = {}) =>
      ask({ kind: 'append', key, item: bytes(of), nonce: world.nonce(), ...facts }),
    prepend: (key: string, of: string, facts = {}) =>
      ask({ kind: 'prepend', key, item: bytes(of), nonce: world.nonce(), ...facts }),
    add: (key: string, number: number, facts = {}) => ask({ kind: 'add', key, number, nonce: world.nonce(), ...facts }),
  }
}

export function describeChannels(useWorld: UseWorld): void {
  it('C1: keeps a value of each kind as it was set', async () => {
    const world = await useWorld()
    const channel = channelOf(world, await world.start('run'))
    expect(await channel.get('nothing')).toBeUndefined()
    await channel.set('value', value('v'))
    await channel.set('empty', value(''))
    await channel.set('number', { kind: 'number', number: -0.5 })
    await channel.set('list', { kind: 'list', items: packed('a', '', 'b') })
    await channel.set('no items', { kind: 'list', items: packed() })
    expect(await channel.get('value')).toBe('v')
    expect(await channel.get('empty')).toBe('')
    expect(await channel.get('number')).toBe(-0.5)
    expect(await channel.get('list')).toEqual(['a', '', 'b'])
    expect(await channel.get('no items')).toEqual([])
    expect(await channel.keys()).toEqual(['empty', 'list', 'no items', 'number', 'value'])
  })

  it('C1: shows what was set to every branch of the run, and to no other run', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.start('other')
    await channelOf(world, holder).set('key', value('v'))
    await world.dispatch(holder, 'run/0', { size: 1 })
    const grant = await world.takeOne()
    const branch = channelOf(world, { gid: 'run/0', index: 0, token: grant.token })
    expect(await branch.get('key')).toBe('v')
    await branch.set('key', value('w'))
    expect(await channelOf(world, undefined).get('key')).toBe('w')
    expect(await channelOf(world, undefined, 'other').get('key')).toBeUndefined()
  })

  it('C2: appends and prepends in the order of the calls, and says the new length', async () => {
    const world = await useWorld()
    const channel = channelOf(world, await world.start('run'))
    const lengths: unknown[] = []
    for (const answer of [
      await channel.append('list', 'a'),
      await channel.append('list', 'b'),
      await channel.prepend('list', 'c'),
      await channel.append('list', 'd'),
      await channel.prepend('list', 'e'),
      await channel.prepend('list', 'f'),
    ]) {
      lengths.push(answer.status === 'ok' && 'length' in answer ? answer.length : answer)
    }
    expect(lengths).toEqual([1, 2, 3, 4, 5, 6])
    expect(await channel.get('list')).toEqual(['f', 'e', 'c', 'a', 'b', 'd'])
    await channel.set('set', { kind: 'list', items: packed('m') })
    await channel.prepend('set', 'l')
    await channel.append('set', 'n')
    expect(await channel.get('set')).toEqual(['l', 'm', 'n'])
  })

  it('C3: says what it found where the type does not fit, and changes nothing', async () => {
    const world = await useWorld()
    const channel = channelOf(world, await world.start('run'))
    await channel.set('value', value('v'))
    await channel.set('number', { kind: 'number', number: 1 })
    await channel.set('list', { kind: 'list', items: packed('a') })
    expect(await channel.append('value', 'x')).toEqual({ status: 'type', found: 'value' })
    expect(await channel.prepend('number', 'x')).toEqual({ status: 'type', found: 'number' })
    expect(await channel.add('value', 1)).toEqual({ status: 'type', found: 'value' })
    expect(await channel.add('list', 1)).toEqual({ status: 'type', found: 'list' })
    expect([await channel.get('value'), await channel.get('number'), await channel.get('list')]).toEqual([
      'v',
      1,
      ['a'],
    ])
  })

  it('sets over any type, and deletes', async () => {
    const world = await useWorld()
    const channel = channelOf(world, await world.start('run'))
    await channel.append('key', 'a')
    await channel.set('key', { kind: 'number', number: 2 })
    expect(await channel.get('key')).toBe(2)
    expect(await channel.ask({ kind: 'delete', key: 'key', nonce: world.nonce() })).toEqual({
      status: 'ok',
      kind: 'delete',
      isDeleted: true,
    })
    expect(await channel.ask({ kind: 'delete', key: 'key', nonce: world.nonce() })).toEqual({
      status: 'ok',
      kind: 'delete',
      isDeleted: false,
    })
    expect(await channel.get('key')).toBeUndefined()
    expect(await channel.keys()).toEqual([])
  })

  it('C4: forgets a value when its time is over, unless it was set again without one', async () => {
    const world = await useWorld()
    const channel = channelOf(world, await world.start('run'))
    await channel.set('short', value('v'), { ttlMs: 200 })
    await channel.set('kept', value('v'), { ttlMs: 200 })
    await channel.set('kept', value('w'))
    await channel.append('list', 'a', { ttlMs: 200 })
    await channel.append('list', 'b')
    await channel.add('count', 1)
    await channel.add('count', 1, { ttlMs: 200 })
    expect(await channel.keys()).toEqual(['count', 'kept', 'list', 'short'])
    await world.harness.advance(250)
    expect(await channel.get('short')).toBeUndefined()
    expect(await channel.get('kept')).toBe('w')
    expect(await channel.keys()).toEqual(['kept'])
    expect(await channel.append('list', 'c')).toEqual({ status: 'ok', kind: 'append', length: 1 })
    expect(await channel.add('count', 5)).toEqual({ status: 'ok', kind: 'add', number: 5 })
    await world.harness.advance(250)
    expect(await channel.get('list')).toEqual(['c'])
    expect(await channel.get('count')).toBe(5)
  })

  it('C5, C6: adds without losing any', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    await world.dispatch(holder, 'run/0', { size: 5 })
    const grant = await world.takeOne()
    const branches = [...grant.indexes].map((index) => channelOf(world, { gid: 'run/0', index, token: grant.token }))
    await Promise.all(branches.flatMap((channel) => Array.from({ length: 100 }, () => channel.add('count', 1))))
    expect(await channelOf(world, undefined).get('count')).toBe(500)
    expect(await channelOf(world, holder).add('count', -500.5)).toEqual({ status: 'ok', kind: 'add', number: -0.5 })
  })

  it('answers a repeated set or delete as before, and undoes nothing that was written since', async () => {
    const world = await useWorld()
    const channel = channelOf(world, await world.start('run'))
    const [setting, deleting] = [world.nonce(), world.nonce()]
    const set = () => channel.set('key', { kind: 'number', number: 1 }, { nonce: setting })
    const drop = () => channel.ask({ kind: 'delete', key: 'key', nonce: deleting })
    expect(await set()).toEqual({ status: 'ok', kind: 'set' })
    await channel.add('key', 5)
    expect(await set()).toEqual({ status: 'ok', kind: 'set' })
    expect(await channel.get('key')).toBe(6)
    const deleted = { status: 'ok', kind: 'delete', isDeleted: true }
    expect(await drop()).toEqual(deleted)
    await channel.add('key', 2)
    expect(await drop()).toEqual(deleted)
    expect(await channel.get('key')).toBe(2)
  })

  it('answers a repeated append, prepend or add as before, and does it once', async () => {
    const world = await useWorld()
    const channel = channelOf(world, await world.start('run'))
    const nonces = [world.nonce(), world.nonce(), world.nonce()] as const
    for (let i = 0; i < 2; i++) {
      expect(await channel.append('list', 'a', { nonce: nonces[0] })).toEqual({
        status: 'ok',
        kind: 'append',
        length: 1,
      })
      expect(await channel.prepend('list', 'b', { nonce: nonces[1] })).toEqual({
        status: 'ok',
        kind: 'prepend',
        length: 2,
      })
      expect(await channel.add('count', 3, { nonce: nonces[2] })).toEqual({ status: 'ok', kind: 'add', number: 3 })
    }
    expect(await channel.get('list')).toEqual(['b', 'a'])
    expect(await channel.get('count')).toBe(3)
  })

  it('writes for nobody but the current holder of a branch of the run', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    const other = await world.start('other')
    await world.dispatch(holder, 'run/0', { size: 2 })
    const grant = await world.takeOne()
    const branch = { gid: 'run/0', index: 0, token: grant.token }
    await world.settle(grant, 'succeeded', [0])
    const writes: ChannelRequest[] = [
      { kind: 'set', key: 'key', value: value('v'), nonce: world.nonce() },
      { kind: 'append', key: 'list', item: bytes('a'), nonce: world.nonce() },
      { kind: 'add', key: 'count', number: 1, nonce: world.nonce() },
      { kind: 'delete', key: 'key', nonce: world.nonce() },
    ]
    for (const request of writes) {
      for (const who of [undefined, other, branch, { ...holder, token: '1.x' }]) {
        expect(await world.backend.channel('run', who, request)).toEqual({ status: 'fenced' })
      }
    }
    expect(await channelOf(world, undefined).keys()).toEqual([])
    expect(await channelOf(world, { ...branch, index: 1 }).set('key', value('v'))).toEqual({
      status: 'ok',
      kind: 'set',
    })
  })

  it('is read after the run’s end, and not written', async () => {
    const world = await useWorld()
    const holder = await world.start('run')
    const channel = channelOf(world, holder)
    await channel.set('key', value('v'))
    await world.step(holder, { end: { state: 'completed', value: bytes('x') } })
    expect(await channel.get('key')).toBe('v')
    expect(await channel.set('key', value('w'))).toEqual({ status: 'fenced' })
  })

  it('throws RUN_NOT_FOUND where there is no run', async () => {
    const world = await useWorld()
    await expect(channelOf(world, undefined, 'nowhere').get('key')).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' })
  })
}
