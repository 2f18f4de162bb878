/**
 * What an address of Redis means: `redis://`, `rediss://` (TLS, with the certificate checked) and `unix://`, each with user, password and
 * number of the database. Nothing here connects. Of an address people are shown its host, port and database, and nothing else: whatever
 * stands elsewhere may be a password, or the half of one that has a character in it that ends it.
 */
import { WORKER_OPTIONS } from '../../options.js'
import { GraflowError } from '../../errors.js'

/** Where a Redis is and who we are to it. */
export interface RedisTarget {
  /** For messages: host, port and database, or the path of a socket. */
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

/** Names that others have for what has none here: these may be shown. */
const FOREIGN = 'tls ssl password username user pass name protocol timeout connectTimeout keyPrefix prefix'.split(' ')

/**
 * Reads an address: what is shown of `redis://ada:secret@localhost/2` is `redis://localhost:6379/2`. Behind a question mark may
 * stand `db`, instead of the path, and `family`: the version of IP to look the host up for, 0 for either.
 *
 * @throws GraflowError INVALID_OPTION
 */
export function parseAddress(address: string): RedisTarget {
  refuseRawLogin(address)
  if (address.startsWith('unix:')) return unixTarget(address)
  const url = URL.canParse(address) ? new URL(address) : undefined
  if (url === undefined || (url.protocol !== 'redis:' && url.protocol !== 'rediss:') || url.hostname === '') {
    throw unreadable()
  }
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = url.port === '' ? DEFAULT_PORT : Number(url.port)
  const path = url.pathname.replace(/^\/|\/$/g, '')
  const parameters = parametersOf(url.search.slice(1) + url.hash, ['db', 'family'])
  const db = path === '' ? (parameters.db ?? 0) : dbOf(path)
  if (parameters.db !== undefined && parameters.db !== db)
    throw invalid(`one database is named in the path, another behind the question mark: name it once`)
  return {
    shown: `${url.protocol}//${url.hostname}:${port}${db === 0 ? '' : `/${db}`}`,
    host,
    port,
    ...(parameters.family !== undefined && { family: parameters.family }),
    ...userOf(url),
    db,
    isTls: url.protocol === 'rediss:',
  }
}

/** A user or password with one of these in it ends before its end, and what follows would be taken for the host. */
function refuseRawLogin(address: string): void {
  const at = address.lastIndexOf('@')
  const login = at < 0 ? '' : address.slice(0, at).replace(/^[a-z]+:\/\//, '')
  if (/[/?#@\s\\]/.test(login)) {
    throw invalid(
      'a character in front of the last @ must be written in percent form, in user and password as well as in a path: ' +
        '/ as %2F, ? as %3F, # as %23, @ as %40, % as %25, a space as %20 (encodeURIComponent does it)',
    )
  }
}

/** By hand: a URL with a user must have a host, which a path has not. */
const UNIX = /^unix:\/\/(?:([^:@/?]*)(?::([^@/?]*))?@)?(\/[^/?][^?]*)(?:\?(.*))?$/s

function unixTarget(address: string): RedisTarget {
  const [, username = '', password = '', path, query = ''] = UNIX.exec(address) ?? []
  if (path === undefined) throw unreadable()
  const { db = 0 } = parametersOf(query, ['db'])
  return {
    shown: `unix://${decoded(path)}${db === 0 ? '' : `?db=${db}`}`,
    path: decoded(path),
    ...userOf({ username, password }),
    db,
    isTls: false,
  }
}

/** What is not known is refused: a setting that has no effect is worse than none. */
function parametersOf(query: string, known: readonly (keyof Parameters)[]): Parameters {
  const found: Partial<Record<keyof Parameters, number>> = {}
  for (const [given, value] of new URLSearchParams(query)) {
    const name = known.find((one) => one === given)
    const says = `behind the question mark may stand ${known.join(' and ')}`
    if (name === undefined) {
      const named = [...FOREIGN, ...Object.keys(PARAMETERS)].find((one) => one.toLowerCase() === given.toLowerCase())
      const wanted = /^(password|username|user|pass)$/i.test(given) ? '; user and password stand before the @' : ''
      throw invalid(
        `there is no setting ${named === undefined ? 'of a name that is given' : `"${named}"`}: ${says}${wanted}`,
      )
    }
    if (!PARAMETERS[name].test(value)) {
      const range = name === 'db' ? 'the number of a database' : '4 or 6, the version of IP, or 0 for either'
      throw invalid(`${name}: expected ${range}, got another text (not shown: it may hold a password)`)
    }
    found[name] = Number(value)
  }
  return found
}

interface User {
  readonly username: string
  readonly password: string
}

function userOf(url: User): { readonly username?: string; readonly password?: string } {
  return {
    ...(url.username !== '' && { username: decoded(url.username) }),
    ...(url.password !== '' && { password: decoded(url.password) }),
  }
}

function dbOf(text: string): number {
  if (!/^\d{0,6}$/.test(text)) throw unreadable()
  return Number(text)
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw unreadable()
  }
}

const invalid = (fault: string): GraflowError => new GraflowError('INVALID_OPTION', `the address of Redis: ${fault}`)

/** Shows nothing of the address: any part of what cannot be read may be a password. */
const unreadable = (): GraflowError =>
  new GraflowError(
    'INVALID_OPTION',
    `expected an address such as ${FORMS}; got another text (not shown: it may hold a password)`,
  )
