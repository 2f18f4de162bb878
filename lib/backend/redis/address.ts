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
 * Reads an address.
 *
 * @example
 * parseAddress('redis://ada:secret@localhost/2').shown // → 'redis://ada:***@localhost:6379/2'
 *
 * @throws GraflowError INVALID_OPTION
 */
export function parseAddress(address: string): RedisTarget {
  const url = URL.canParse(address) ? new URL(address) : undefined
  if (url?.protocol === 'unix:') return unixTarget(url, address)
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

function unixTarget(url: URL, address: string): RedisTarget {
  if (url.pathname === '' || url.pathname === '/' || url.hostname !== '') throw unreadable(address)
  const path = decoded(url.pathname, address)
  const db = dbOf(url.searchParams.get('db') ?? '', address)
  return {
    shown: `unix://${shownUser(url)}${path}${db === 0 ? '' : `?db=${db}`}`,
    path,
    ...userOf(url, address),
    db,
    isTls: false,
  }
}

function userOf(url: URL, address: string): { readonly username?: string; readonly password?: string } {
  return {
    ...(url.username !== '' && { username: decoded(url.username, address) }),
    ...(url.password !== '' && { password: decoded(url.password, address) }),
  }
}

const shownUser = (url: URL): string =>
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
