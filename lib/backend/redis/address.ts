/**
 * What an address of Redis means: `redis://`, `rediss://` (TLS, with the certificate checked) and `unix://`, each with user, password and
 * number of the database. Nothing here connects. The form that is shown to people never has the password.
 */
import { WORKER_OPTIONS } from '../../options.js'
import { GraflowError } from '../../errors.js'

/** Where a Redis is and who we are to it. */
export interface RedisTarget {
  /** For messages: without the password. */
  readonly shown: string
  readonly host?: string
  readonly port?: number
  /** The version of IP to look the host up for; 0 for either. */
  readonly family?: number
  /** Of a unix socket. */
  readonly path?: string
  readonly username?: string
  readonly password?: string
  readonly db: number
  readonly isTls: boolean
}

const FORMS = 'redis://[user:password@]host[:port][/db], rediss://… for TLS, or unix:///path/to/redis.sock[?db=n]'
const DEFAULT_PORT = WORKER_OPTIONS.redisPort.default

/** What may stand behind the question mark, and what it may be. */
const PARAMETERS = { db: /^\d{1,6}$/, family: /^[046]$/ } as const
type Parameters = Readonly<Partial<Record<keyof typeof PARAMETERS, number>>>

/**
 * Reads an address: what is shown of `redis://ada:secret@localhost/2` is `redis://ada:***@localhost:6379/2`. Behind a question mark may
 * stand `db`, instead of the path, and `family`: the version of IP to look the host up for, 0 for either.
 *
 * @throws GraflowError INVALID_OPTION
 */
export function parseAddress(address: string): RedisTarget {
  if (address.startsWith('unix:')) return unixTarget(address)
  const url = URL.canParse(address) ? new URL(address) : undefined
  if (url === undefined || (url.protocol !== 'redis:' && url.protocol !== 'rediss:') || url.hostname === '') {
    throw unreadable(address)
  }
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = url.port === '' ? DEFAULT_PORT : Number(url.port)
  const path = url.pathname.replace(/^\/|\/$/g, '')
  const parameters = parametersOf(url.search.slice(1) + url.hash, ['db', 'family'])
  const db = path === '' ? (parameters.db ?? 0) : dbOf(path, address)
  if (parameters.db !== undefined && parameters.db !== db)
    throw invalid(`the database is ${db} in the path and ${parameters.db} behind the question mark: name it once`)
  return {
    shown: `${url.protocol}//${shownUser(url)}${url.hostname}:${port}${db === 0 ? '' : `/${db}`}`,
    host,
    port,
    ...(parameters.family !== undefined && { family: parameters.family }),
    ...userOf(url, address),
    db,
    isTls: url.protocol === 'rediss:',
  }
}

/** By hand: a URL with a user must have a host, which a path has not. */
const UNIX = /^unix:\/\/(?:([^:@/?]*)(?::([^@/?]*))?@)?(\/[^/?][^?]*)(?:\?(.*))?$/s

function unixTarget(address: string): RedisTarget {
  const [, username = '', password = '', path, query = ''] = UNIX.exec(address) ?? []
  if (path === undefined) throw unreadable(address)
  const { db = 0 } = parametersOf(query, ['db'])
  const user = { username, password }
  return {
    shown: `unix://${shownUser(user)}${decoded(path, address)}${db === 0 ? '' : `?db=${db}`}`,
    path: decoded(path, address),
    ...userOf(user, address),
    db,
    isTls: false,
  }
}

/** What is not known is refused: a setting that has no effect is worse than none. Values are not shown: one may be a password. */
function parametersOf(query: string, known: readonly (keyof Parameters)[]): Parameters {
  const found: Partial<Record<keyof Parameters, number>> = {}
  for (const [given, value] of new URLSearchParams(query)) {
    const name = known.find((one) => one === given)
    const says = `behind the question mark may stand ${known.join(' and ')}`
    if (name === undefined) {
      const wanted = /^(password|username|user|pass)$/i.test(given) ? '; user and password stand before the @' : ''
      throw invalid(`there is no setting ${JSON.stringify(given.slice(0, 50))}: ${says}${wanted}`)
    }
    if (!PARAMETERS[name].test(value)) {
      const range = name === 'db' ? 'the number of a database' : '4 or 6, the version of IP, or 0 for either'
      throw invalid(`${name}: expected ${range}, got ${JSON.stringify(value.slice(0, 20))}`)
    }
    found[name] = Number(value)
  }
  return found
}

interface User {
  readonly username: string
  readonly password: string
}

function userOf(url: User, address: string): { readonly username?: string; readonly password?: string } {
  return {
    ...(url.username !== '' && { username: decoded(url.username, address) }),
    ...(url.password !== '' && { password: decoded(url.password, address) }),
  }
}

const shownUser = (url: User): string =>
  url.username === '' && url.password === '' ? '' : `${url.username}${url.password === '' ? '' : ':***'}@`

function dbOf(text: string, address: string): number {
  if (!/^\d{0,6}$/.test(text)) throw unreadable(address)
  return Number(text)
}

function decoded(text: string, address: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw unreadable(address)
  }
}

const invalid = (fault: string): GraflowError => new GraflowError('INVALID_OPTION', `the address of Redis: ${fault}`)

/** What cannot be read may still hold a password: everything before the last @ is left out. */
const unreadable = (address: string): GraflowError =>
  new GraflowError(
    'INVALID_OPTION',
    `expected an address such as ${FORMS}; got ${JSON.stringify(address.replace(/^([a-z]*:\/\/)?.*@/s, '$1***@').slice(0, 200))}`,
  )
