/**
 * What a user of Redis must be allowed: commands, keys and channels. Whether it is, the server says in one call that calls none of them and
 * writes nothing (lua/rights.lua). docs/redis.md has the same as a line of ACL; test/redis/rights.test.ts compares both with the code.
 */
import { messageOf } from '../../describe.js'
import { GraflowError } from '../../errors.js'
import type { Keys } from './keys.js'
import { listOf, type Reply, textOf } from './replies.js'
import type { Script } from './scripts.js'

/** A connection whose user is looked at. */
export interface UsersRedis {
  /** For people: its host, port and database. */
  readonly address: string
  readonly target: { readonly db: number }
  readonly tag: string
  readonly keys: Keys
  command(name: string, ...args: readonly (string | number)[]): Promise<Reply>
  script(name: 'rights'): Script
}

/** Commands with a key first that write. */
const WRITING = Object.freeze([
  ...['APPEND', 'DEL', 'EXPIRE', 'GETEX', 'HDEL', 'HINCRBY', 'HSET', 'HSETNX', 'LPUSH', 'LREM', 'LTRIM', 'PERSIST'],
  ...['PEXPIRE', 'RPUSH', 'SET', 'SETRANGE', 'UNLINK', 'XADD', 'XDEL', 'XTRIM', 'ZADD', 'ZREM'],
])
/** Commands with a key first that only read. */
const READING = Object.freeze([
  ...[
    'EXISTS',
    'GET',
    'GETRANGE',
    'HEXISTS',
    'HGET',
    'HGETALL',
    'HKEYS',
    'HLEN',
    'HMGET',
    'HRANDFIELD',
    'HSCAN',
    'HVALS',
  ],
  ...['LINDEX', 'LLEN', 'LPOS', 'LRANGE', 'PEXPIRETIME', 'STRLEN', 'TYPE', 'XREVRANGE', 'ZCARD', 'ZRANGE'],
  ...['ZRANGEBYSCORE', 'ZREVRANGE', 'ZSCORE'],
])
/** Others with what they are called with: KEY and CHANNEL stand for one of the shard. */
const CALLED_WITH: Readonly<Record<string, readonly string[]>> = Object.freeze({
  'CLIENT|ID': [],
  'CLIENT|UNBLOCK': ['1'],
  FCALL: ['f', '1', 'KEY'],
  'FUNCTION|LIST': [],
  'FUNCTION|LOAD': ['#'],
  INFO: [],
  PING: [],
  PUBLISH: ['CHANNEL', ''],
  RENAME: ['KEY', 'KEY'],
  'PUBSUB|NUMSUB': ['CHANNEL'],
  SCAN: ['0'],
  SUBSCRIBE: ['CHANNEL'],
  TIME: [],
  UNSUBSCRIBE: ['CHANNEL'],
  'XINFO|STREAM': ['KEY'],
  XREAD: ['STREAMS', 'KEY', '0'],
})
/** Where a database other than 0 is used. */
const OF_DATABASES = 'SELECT'
/** Where a run is started with `durability`, which is refused where these are. */
export const OF_DURABILITY = Object.freeze(['WAIT', 'WAITAOF'])
/** Asked for, and done without where it is refused. */
export const DISPENSABLE = Object.freeze(['AUTH', 'CLIENT|SETNAME', 'CONFIG|GET'])

/** Names of all commands that are called, as ACL has them. */
export const commandsCalled = (db = 0): readonly string[] =>
  [...[...WRITING, ...READING, ...Object.keys(CALLED_WITH)], ...(db === 0 ? [] : [OF_DATABASES])].sort()

/** Rules of ACL by which a user may do what it must, and nothing else. */
export const rulesFor = (tag: string): readonly string[] => [
  `~${tag}:*`,
  `&${tag}:*`,
  ...commandsCalled().map((name) => `+${name.toLowerCase()}`),
]

/** What sets a user, as a shell and redis-cli take it. */
export const setUser = (user: string, rules: readonly string[]): string =>
  `ACL SETUSER ${user} ${rules.map((rule) => (/^[+\w]+$/.test(rule) ? rule : `'${rule}'`)).join(' ')}`

/** What is missing: commands that the server does not know, and what the user may not, with the rules of ACL that would allow it. */
export interface MissingRights {
  readonly unknown: readonly string[]
  readonly faults: readonly string[]
  readonly rules: readonly string[]
}

/** Asks the server for all that is missing of what `rulesFor` lists. */
export async function missingRights(redis: UsersRedis): Promise<MissingRights> {
  const { commands, keys, channels } = await missingOf(redis)
  const namesOf = (why: Answer): readonly string[] => commands.filter((one) => one.why === why).map(({ name }) => name)
  const denied = namesOf('denied')
  const pattern = `${redis.tag}:*`
  return {
    unknown: namesOf('unknown'),
    faults: [
      ...(denied.length > 0 ? [`may not call ${denied.join(', ')}`] : []),
      ...(keys ? [`may not use all keys ${pattern}`] : []),
      ...(channels ? [`may not use all channels ${pattern}`] : []),
    ],
    rules: [
      ...(keys ? [`~${pattern}`] : []),
      ...(channels ? [`&${pattern}`] : []),
      ...denied.map((name) => `+${name}`),
    ],
  }
}

/**
 * Whether the user may call all that it must, with all keys and channels of the shard.
 * @throws GraflowError REDIS_UNSUITABLE with the names of all that is missing, and what to do
 */
export async function checkRights(redis: UsersRedis): Promise<void> {
  const { unknown, faults, rules } = await missingRights(redis)
  if (unknown.length > 0) throw unknownCommand(redis.address, unknown.join(', '))
  if (faults.length === 0) return
  throw new GraflowError(
    'REDIS_UNSUITABLE',
    `Redis at ${redis.address}: the user ${faults.join(', ')}; ${setUser('<user>', rules)} ` +
      '(docs/redis.md lists all that it needs)',
  )
}

/** Of a command that was renamed or switched off. */
export const unknownCommand = (address: string, names: string, cause?: Error): GraflowError =>
  new GraflowError(
    'REDIS_UNSUITABLE',
    `Redis at ${address} does not know ${names}; take rename-command for it out of the server's configuration, ` +
      'or use a service that offers it (docs/redis.md lists all commands that are called)',
    cause === undefined ? {} : { cause },
  )

type Answer = '' | 'denied' | 'unknown'

interface Asked {
  readonly command: string
  readonly place?: string
  readonly args: readonly string[]
}

interface Missing {
  /** As ACL has them. */
  readonly commands: readonly { readonly name: string; readonly why: Answer }[]
  readonly keys: boolean
  readonly channels: boolean
}

/** Asked without keys, which the user may not use, and with the library where Redis has forgotten it since it was loaded. */
async function answersTo(redis: UsersRedis, lines: readonly string[]): Promise<Reply> {
  const { id, source } = redis.script('rights')
  const ask = (): Promise<Reply> => redis.command('FCALL', id, 0, ...lines)
  try {
    return await ask()
  } catch (error) {
    if (!/Function not found/.test(messageOf(error))) throw error
    // in one write with the question; another process may have loaded it
    const loaded = redis.command('FUNCTION', 'LOAD', source).catch(() => undefined)
    const [answers] = await Promise.all([ask(), loaded])
    return answers
  }
}

/** What is missing, as far as it can be told from which calls are denied: the server does not say whether for the command or the key. */
async function missingOf(redis: UsersRedis): Promise<Missing> {
  const asked = [...commandsAsked(redis), ...keysOf(redis).map(withKey), ...channelsOf(redis).flatMap(withChannel)]
  const lines = asked.map(({ command, args }) => [command, ...args].join('\n'))
  const [, ...answers] = listOf(await answersTo(redis, lines)).map(textOf)
  const isDenied = (i: number): boolean => answers[i] === 'denied'
  const some = (names: readonly string[]): boolean =>
    asked.some(({ command }, i) => names.includes(command) && answers[i] === '')
  const every = (names: readonly string[]): boolean => answers.length > 0 && !some(names)
  const areWritesDenied = every(WRITING)
  const areKeysDenied = areWritesDenied && every(READING)
  const areChannelsDenied = every(CHANNELLED) && some(['UNSUBSCRIBE'])
  const deniedPlaces = (names: readonly string[]): boolean =>
    some(names) && asked.some(({ command, place }, i) => place !== undefined && names.includes(command) && isDenied(i))
  const isOfPlace = (command: string): boolean =>
    (areKeysDenied && isKeyed(command)) || (CHANNELLED.includes(command) && (areChannelsDenied || some([command])))
  const commands = asked.flatMap(({ command, place }, i) => {
    const why = (answers[i] ?? '') as Answer // the script has no other answers
    const isNamed = place === undefined && why !== '' && !(why === 'denied' && isOfPlace(command))
    return isNamed ? [{ name: command.toLowerCase(), why }] : []
  })
  return {
    commands,
    // where no write passes, it is the commands or the keys: both are named
    keys: areWritesDenied || deniedPlaces([OF_ANY_KEY]),
    channels: areChannelsDenied || CHANNELLED.some((command) => deniedPlaces([command])),
  }
}

/** It reads and writes: who may call it with a key may do so with other commands. */
const OF_ANY_KEY = 'SET'
const CHANNELLED: readonly string[] = ['PUBLISH', 'SUBSCRIBE']

const isKeyed = (command: string): boolean => (CALLED_WITH[command] ?? ['KEY']).includes('KEY')

function commandsAsked({ keys, target }: UsersRedis): readonly Asked[] {
  const words: Readonly<Record<string, string>> = { KEY: keys.main, CHANNEL: keys.activity('') }
  // that it may be called is shown by the call that asks
  const others = commandsCalled(target.db).filter((command) => command !== 'FCALL')
  return others.map((command) => {
    const args = command === OF_DATABASES ? [String(target.db)] : (CALLED_WITH[command] ?? ['KEY'])
    return { command, args: args.map((word) => words[word] ?? word) }
  })
}

const withKey = (place: string): Asked => ({ command: OF_ANY_KEY, place, args: [place, '', 'GET'] })

const withChannel = (place: string): readonly Asked[] =>
  CHANNELLED.map((command) => ({ command, place, args: [place, ...(command === 'PUBLISH' ? [''] : [])] }))

const channelsOf = ({ keys }: UsersRedis): readonly string[] => [keys.activity(''), keys.activity('x'), keys.alive('x')]

/** One of each kind. */
function keysOf({ keys }: UsersRedis): readonly string[] {
  const { activity: _, alive: __, ...others } = keys
  return Object.values(others).map((key) => (typeof key === 'string' ? key : key('x', 'x')))
}
