/**
 * What single things cost inside a script: a command, TIME, KEYS, formatting, packing. Each is a script of its own, called many times
 * in pipelines; the cost is that of Redis's main thread, less that of a script that does nothing.
 *
 *   npx tsx bench/layout/micro.ts [--smoke]
 */
import { parseArgs } from 'node:util'
import type { Redis } from 'ioredis'
import { median } from '../statistics.js'
import { usageOf } from './info.js'
import { type Argument, type Call, flush, TAG } from './layout.js'
import { connectTo } from './layouts.js'
import { RedisServer } from '../../test/support/redis-server.js'

interface Probe {
  readonly what: string
  readonly body: string
  /** Besides KEYS[1]. */
  readonly keys?: readonly string[]
  readonly args?: readonly Argument[]
}

const NOTHING = 'a script that does nothing (all rows below: beyond this)'
const BRANCHES = 64
const cells = Buffer.alloc(BRANCHES * 8, 1)
const indexFields = Array.from({ length: BRANCHES }, (_, i) => i)
const keysNamed = (count: number): readonly string[] => Array.from({ length: count }, (_, i) => `${TAG}:k${i}`)
const FIELDS = ['state', 'left', 'flight', 'settles', 'inbox', 'next', 'fill', 'limit']

const PROBES: readonly Probe[] = [
  { what: NOTHING, body: '' },
  { what: 'the line `#!lua flags=allow-oom`', body: '#!lua flags=allow-oom\n' },
  { what: '10 more KEYS', body: '', keys: keysNamed(10) },
  { what: '10 more short ARGV', body: '', args: keysNamed(10) },
  { what: 'one ARGV of 1 KiB', body: '', args: [Buffer.alloc(1_024, 7)] },
  { what: 'one ARGV of 64 KiB', body: '', args: [Buffer.alloc(65_536, 7)] },
  {
    what: '10 local functions in the prelude',
    body: 'local a=1 '.concat(...'bcdefghijk'.split('').map((f) => `local function ${f}() return a end `)),
  },
  { what: 'TIME', body: `redis.call('TIME')` },
  { what: 'TIME and one sum of its parts', body: `local t=redis.call('TIME') local n=t[1]*1000000+t[2]` },
  { what: '`%.0f` of a number', body: `local s=string.format('%.0f',1795245857544649)` },
  { what: 'EXISTS', body: `redis.call('EXISTS',KEYS[1])` },
  { what: 'HGET', body: `redis.call('HGET','${TAG}:m','fence')` },
  {
    what: 'HMGET of 8 fields of 16, listpack',
    body: `redis.call('HMGET','${TAG}:small',${FIELDS.map((f) => `'${f}'`).join()})`,
  },
  {
    what: 'HMGET of 8 fields of 16, hashtable',
    body: `redis.call('HMGET','${TAG}:large',${FIELDS.map((f) => `'${f}'`).join()})`,
  },
  {
    what: 'HSET of 3 fields of 16, listpack',
    body: `redis.call('HSET','${TAG}:small','left',5,'flight',6,'settles',7)`,
  },
  {
    what: 'HSET of 3 fields of 16, hashtable',
    body: `redis.call('HSET','${TAG}:large','left',5,'flight',6,'settles',7)`,
  },
  {
    what: '3 HINCRBY instead',
    body: `for _,f in ipairs({'left','flight','settles'}) do redis.call('HINCRBY','${TAG}:large',f,1) end`,
  },
  {
    what: 'GETRANGE of 32 bytes, struct.unpack of 8 u32',
    body: `local g={struct.unpack('<I4I4I4I4I4I4I4I4',redis.call('GETRANGE','${TAG}:record',0,31))}`,
  },
  {
    what: 'SETRANGE of 3 u32 by struct.pack',
    body: `redis.call('SETRANGE','${TAG}:record',4,struct.pack('<I4I4I4',5,6,7))`,
  },
  {
    what: `GETRANGE of ${BRANCHES} cells of 100 000`,
    body: `redis.call('GETRANGE','${TAG}:table',400000,${400_000 + BRANCHES * 8 - 1})`,
  },
  {
    what: `SETRANGE of ${BRANCHES} equal cells, string.rep`,
    body: `redis.call('SETRANGE','${TAG}:table',400000,string.rep(struct.pack('<BBBBI4',1,0,0,0,77),${BRANCHES}))`,
  },
  {
    what: `SETRANGE of ${BRANCHES} cells, struct.pack each`,
    body: `local t={} for i=1,${BRANCHES} do t[i]=struct.pack('<BBBBI4',1,0,0,0,77) end redis.call('SETRANGE','${TAG}:table',400000,table.concat(t))`,
  },
  {
    what: `${BRANCHES} SETRANGE of a cell each`,
    body: `for i=1,${BRANCHES} do redis.call('SETRANGE','${TAG}:table',400000+i*8,'12345678') end`,
  },
  {
    what: `comparing ${BRANCHES} cells with string.rep`,
    body: `local same=ARGV[1]==string.rep(struct.pack('<BBBBI4',1,1,1,1,16843009),${BRANCHES})`,
    args: [cells],
  },
  {
    what: `comparing ${BRANCHES} cells one by one`,
    body: `local n=0 for i=1,${BRANCHES * 8},8 do if string.byte(ARGV[1],i)==1 and struct.unpack('<I4',ARGV[1],i+4)==16843009 then n=n+1 end end`,
    args: [cells],
  },
  {
    what: `adding a base to ${BRANCHES} u32 (rebasing ends)`,
    body: `local t={} for i=1,${BRANCHES * 4},4 do t[#t+1]=struct.pack('<I4',(struct.unpack('<I4',ARGV[1],i)+5)%4294967296) end local s=table.concat(t)`,
    args: [cells.subarray(0, BRANCHES * 4)],
  },
  {
    what: `HMGET of ${BRANCHES} index fields of 10 000`,
    body: `redis.call('HMGET','${TAG}:fields',unpack(ARGV))`,
    args: indexFields,
  },
  {
    what: `HSET of ${BRANCHES} index fields of 10 000`,
    body: `local t={} for i=1,#ARGV do t[i*2-1]=ARGV[i] t[i*2]='L1795245857544649.abcdef' end redis.call('HSET','${TAG}:fields',unpack(t))`,
    args: indexFields,
  },
  {
    what: `ZADD and ZREM of ${BRANCHES} members of 10 000`,
    body: `local z,t={},{} for i=1,#ARGV do local m='run-0123456789abcdef/1.0 '..ARGV[i] z[i*2-1]=i z[i*2]=m t[i]=m end redis.call('ZADD','${TAG}:leases',unpack(z)) redis.call('ZREM','${TAG}:leases',unpack(t))`,
    args: indexFields,
  },
  {
    what: 'XADD to a stream trimmed to about 1 000',
    body: `redis.call('XADD','${TAG}:in','MAXLEN','~','1000','*','released','run-0123456789abcdef/1.0')`,
  },
  { what: 'PUBLISH without a subscriber', body: `redis.call('PUBLISH','${TAG}:ctl','x')` },
  { what: 'pcall of an HGET, instead of call', body: `redis.pcall('HGET','${TAG}:m','fence')` },
]

const CALLS_A_FLUSH = 200

const { values } = parseArgs({ options: { smoke: { type: 'boolean', default: false } } })
const [rounds, calls] = values.smoke ? [1, 1_000] : [9, 6_000]

const server = await RedisServer.start()
try {
  const redis = await connectTo(server.socket)
  await fill(redis)
  const costs = new Map<Probe, number[]>(PROBES.map((probe) => [probe, []]))
  for (let round = 0; round < rounds; round++)
    for (const [probe, found] of costs) found.push(await costUs(redis, probe, calls))
  const floors = [...costs.values()][0] ?? []
  console.log('| in a script | µs of Redis CPU |\n|---|---:|')
  for (const [{ what }, found] of costs) {
    const beyond = what === NOTHING ? found : found.map((us, round) => us - (floors[round] ?? 0))
    console.log(`| ${what} | ${median(beyond).toFixed(2)} |`)
  }
  redis.disconnect()
} finally {
  await server.stop()
}

async function fill(redis: Redis): Promise<void> {
  const group = [...FIELDS, ...FIELDS.map((field) => `${field}2`)].flatMap((field, i) => [field, i])
  await redis.hset(`${TAG}:m`, 'fence', '1795245857544649')
  await redis.hset(`${TAG}:small`, ...group)
  await redis.hset(`${TAG}:large`, ...group, 'spec', 's'.repeat(150))
  await redis.set(`${TAG}:record`, Buffer.alloc(64))
  await redis.set(`${TAG}:table`, Buffer.alloc(800_000))
  const many = Array.from({ length: 10_000 }, (_, i) => i)
  await redis.hset(`${TAG}:fields`, ...many.flatMap((i) => [i, 'L1795245857544649.abcdef']))
  await redis.zadd(`${TAG}:leases`, ...many.flatMap((i) => [i, `other ${i}`]))
}

async function costUs(redis: Redis, { body, keys = [], args = [] }: Probe, count: number): Promise<number> {
  const [sha] = await flush(redis, [['SCRIPT', 'LOAD', body]])
  const call: Call = ['EVALSHA', String(sha), keys.length + 1, `${TAG}:m`, ...keys, ...args]
  const calls = Array.from({ length: CALLS_A_FLUSH }, () => call)
  const before = await usageOf(redis)
  for (let done = 0; done < count; done += CALLS_A_FLUSH) await flush(redis, calls)
  const after = await usageOf(redis)
  return (after.cpuUs - before.cpuUs) / count
}
