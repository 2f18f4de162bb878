/**
 * What an address of Redis means: `redis://`, `rediss://` (TLS, with the certificate checked) and `unix://`, each with user, password and
 * number of the database. Nothing here connects. The form that is shown to people never has the password.
 */
import { GraflowError } from '../../errors.js'

/** Where a Redis is and who we are to it. */
export interface RedisTarget {
  /** For messages: without the password. */
  readonly shown: string
  readonly host?: string
  readonly port?: number
  /** Of a unix socket. */
  readonly path?: string
  readonly username?: string
  readonly password?: string
  readonly db: number
  readonly isTls: boolean
}

const FORMS = 'redis://[user:password@]host[:port][/db], rediss://… for TLS, or unix:///path/to/redis.sock[?db=n]'
const DEFAULT_PORT = 6379

/**
 * Reads an address: what is shown of `redis://ada:secret@localhost/2` is `redis://ada:***@localhost:6379/2`.
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
  const db = dbOf(url.pathname.replace(/^\/|\/$/g, ''), address)
  return {
    shown: `${url.protocol}//${shownUser(url)}${url.hostname}:${port}${db === 0 ? '' : `/${db}`}`,
    host,
    port,
    ...userOf(url, address),
    db,
    isTls: url.protocol === 'rediss:',
  }
}

/** By hand: a URL with a user must have a host, which a path has not. */
const UNIX = /^unix:\/\/(?:([^:@/?]*)(?::([^@/?]*))?@)?(\/[^/?][^?]*)(?:\?db=(\d{1,6}))?$/

function unixTarget(address: string): RedisTarget {
  const [, username = '', password = '', path, db = ''] = UNIX.exec(address) ?? []
  if (path === undefined) throw unreadable(address)
  const user = { username, password }
  return {
    shown: `unix://${shownUser(user)}${decoded(path, address)}${Number(db) === 0 ? '' : `?db=${Number(db)}`}`,
    path: decoded(path, address),
    ...userOf(user, address),
    db: Number(db),
    isTls: false,
  }
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

/** What cannot be read may still hold a password: everything before the last @ is left out. */
const unreadable = (address: string): GraflowError =>
  new GraflowError(
    'INVALID_OPTION',
    `expected an address such as ${FORMS}; got ${JSON.stringify(address.replace(/^([a-z]*:\/\/)?.*@/s, '$1***@').slice(0, 200))}`,
  )
