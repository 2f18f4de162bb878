/** Every key has one name in code and one line in docs/redis.md. */
import { keysOf, tagOf } from '../../lib/backend/redis/keys.js'
import { RUN_OPTIONS } from '../../lib/options.js'
import { readDoc, tableRows } from '../repo-rules/doc-table.js'

/** What the placeholders of the table are called, by how a function of keys.ts calls its argument. */
const PLACEHOLDERS: Readonly<Record<string, readonly string[]>> = {
  lane: ['<lane>'],
  group: ['<gid>'],
  spec: ['<gid>'],
  table: ['<gid>'],
  segment: ['<gid>', '<k>'],
  requeued: ['<gid>'],
  children: ['<gid>'],
  outcomes: ['<gid>'],
  values: ['<gid>', '<n>'],
  upload: ['<name>'],
  session: ['<session>'],
  owned: ['<session>'],
  inbox: ['<session>'],
  run: ['<run>'],
  outputs: ['<run>'],
  result: ['<run>'],
  channels: ['<run>'],
  channelTimes: ['<run>'],
  channelCalls: ['<run>'],
  channelLocks: ['<run>'],
  channelList: ['<run>', '<key>'],
  packed: ['<run>'],
  waits: ['<run>'],
  runGroups: ['<run>'],
  runsBy: ['<word>'],
  idempotency: ['<key>'],
  documents: ['<collection>'],
  graph: ['<sha256>'],
  activity: ['<run>'],
  alive: ['<session>'],
  runEvents: ['<run>'],
  runSeen: ['<run>'],
}

describe('keys', () => {
  it('are those of the table in docs/redis.md, all of them', () => {
    const names = Object.entries(keysOf('T')).map(([name, key]) => {
      if (typeof key === 'string') return key
      const placeholders = PLACEHOLDERS[name] ?? []
      return Reflect.apply(key, undefined, placeholders) as string
    })
    const documented = tableRows(readDoc('redis.md'), 'Keys').map(([key = '']) => key.replaceAll('`', ''))
    expect([...names].sort()).toEqual([...documented].sort())
    expect(new Set(names).size).toBe(names.length)
  })

  it('of a run end so that no id of another run makes them', () => {
    const ends = Object.values(keysOf('T')).flatMap((key) => {
      const text = typeof key === 'string' ? key : (Reflect.apply(key, undefined, ['X', '7']) as string)
      const [, end] = /^T:[a-z]+:X:(.*)$/.exec(text) ?? []
      return end === undefined ? [] : [end]
    })
    expect(ends.length).toBeGreaterThan(8)
    for (const end of ends) expect([end, RUN_OPTIONS.id.pattern.test(`X:${end}`)]).toEqual([end, false])
    expect(RUN_OPTIONS.id.pattern.test('X:7')).toBe(true)
  })

  it('have the hash tag of their shard', () => {
    const tag = tagOf('my:app')
    expect(tag).toBe('{my:app:0}')
    expect(keysOf(tag).group('run/0')).toBe('{my:app:0}:b:run/0')
  })
})
