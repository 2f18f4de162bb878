/** What an error of Redis means for the call that met it: whether it is sent again, or how it fails. */
import { GraflowError } from '../../errors.js'
import { setUser, unknownCommand } from './rights.js'
import type { Script } from './scripts.js'

/** Redis will answer these differently soon. */
const PASSING = new Set(['LOADING', 'BUSY', 'TRYAGAIN', 'CLUSTERDOWN', 'MASTERDOWN', 'UNBLOCKED'])
/** Redis takes nothing more. */
const FULL = new Set(['OOM', 'MISCONF', 'NOREPLICAS'])
/** The user's name, password or rights are at fault. */
const REFUSED = new Set(['NOAUTH', 'WRONGPASS', 'NOPERM'])
/** A script called what its user may not; before Redis 7.2 the error does not say which command. */
const DENIED_SCRIPT = /^ERR.* The user executing the script can't |ACL failure in script/
/** A command, called by itself or by a script, was renamed or switched off. */
const UNKNOWN = /^ERR unknown (?:sub)?command '?([^',. ]*)|^ERR.* Unknown Redis command called from script/
/** A value, or what a value grows to, is larger than the server takes. */
const TOO_LARGE = /Protocol error: invalid bulk length|exceeds maximum allowed size/
/** A script has met bytes that it cannot make sense of: an error of Lua rather than of a command. */
const SCRIPT_ERROR = /^ERR (@?user_function|user_script):\d+: /

/**
 * `load`: Redis does not know the script. `later`: Redis may answer otherwise soon. `reconnect`: as `later`, and the address may stand for
 * another server by now. `resend`: it was the connection, not Redis. Else the call fails with this.
 */
export type Remedy = 'load' | 'later' | 'reconnect' | 'resend' | GraflowError

export function remedyFor(
  error: Error,
  { what, script }: { readonly what: string; readonly script: Script | undefined },
  address: string,
): Remedy {
  const { message } = error
  if (script !== undefined && message.includes('Function not found')) return 'load'
  const word = wordOf(error)
  if (PASSING.has(word)) return 'later'
  if (word === 'READONLY') return 'reconnect'
  if (FULL.has(word)) {
    if (script?.flags.includes('allow-oom') === true) return 'later'
    return new GraflowError('BACKPRESSURE', `${what}: Redis takes no new work: ${message}`, { cause: error })
  }
  if (isOfRights(error)) return refusedError(address, error)
  const unknown = UNKNOWN.exec(message)
  if (unknown !== null) return unknownCommand(address, unknown[1]?.toLowerCase() ?? 'a command of a script', error)
  if (TOO_LARGE.test(message)) return tooLargeError(what, error)
  if (word === 'WRONGTYPE') return new GraflowError('INTEGRITY', `${what}: a key holds another type: ${message}`)
  if (script !== undefined && SCRIPT_ERROR.test(message)) return unreadableError(what, error)
  if (word === '' || error.name !== 'ReplyError') return 'resend'
  return new GraflowError('INTERNAL', `${what}: Redis answered ${message}`, { cause: error })
}

/** Whether the user's name, password or rights are at fault. */
const isOfRights = (error: Error): boolean => REFUSED.has(wordOf(error)) || DENIED_SCRIPT.test(error.message)

/** An error of connecting that stays, as who connects gets it: a wrong password or certificate does not become right by waiting. */
export function refusalIn(error: Error & { readonly code?: string }, address: string): GraflowError | undefined {
  const text = error.message.replace('Ready check failed: ', '')
  const unknown = UNKNOWN.exec(text)?.[1]
  if (unknown !== undefined) return unknownCommand(address, unknown.toLowerCase(), error)
  const isRefused = REFUSED.has(/([A-Z]+) /.exec(text)?.[1] ?? '') || isOfCertificate(error) || error.code === 'EACCES'
  return isRefused ? refusedError(address, error) : undefined
}

const isOfCertificate = (error: Error & { readonly code?: string }): boolean =>
  /CERT|TLS|SSL|SELF_SIGNED/.test(error.code ?? '')

/**
 * What a connection met, in words of our own; the error itself is the cause.
 * @param isConnected without an error: whether a peer took the connection, and then said nothing
 */
export function inOurWords(error: (Error & { readonly code?: string }) | undefined, isConnected = false): string {
  if (error === undefined) {
    return isConnected
      ? 'a connection on which nothing is answered: what listens there hangs, is no Redis, or wants TLS (rediss://)'
      : 'no connection: the host is not there, something on the way drops what is sent, or one side does not speak TLS'
  }
  const { message, code = '' } = error
  const text = `${code} ${message}`
  const found = IN_OUR_WORDS.find(([met]) => met.test(text))
  return found === undefined ? message : found[1]
}

const IN_OUR_WORDS: readonly (readonly [RegExp, string])[] = [
  [/Protocol error/, 'an answer that no Redis gives: another kind of server listens there'],
  [
    /ETIMEDOUT|EHOSTUNREACH|ENETUNREACH/,
    'no answer: the host is not there, or something on the way drops what is sent',
  ],
  [/ECONNREFUSED/, 'a refusal: nothing listens there (ECONNREFUSED)'],
  [/ENOENT/, 'no socket at that path (ENOENT)'],
  [/ENOTFOUND|EAI_AGAIN/, 'no address for that host: its name is not known here (ENOTFOUND)'],
  [
    /ECONNRESET|EPIPE|[Cc]onnection is closed/,
    'a connection that was closed from there: protected mode, too many clients, TLS that is wanted (rediss://), or a proxy without a server',
  ],
  [/CLUSTERDOWN/, 'CLUSTERDOWN: its cluster is not whole, and CLUSTER INFO says why'],
  [/LOADING/, 'LOADING: it still reads its file'],
]

export const closedError = (): GraflowError =>
  new GraflowError('CLOSED', 'expected an open backend, got a call during or after close()')

const refusedError = (address: string, cause: Error): GraflowError =>
  new GraflowError(
    'REDIS_UNSUITABLE',
    `Redis at ${address} refuses us: ${cause.message.replace(/\.$/, '')}; ${whatToDo(cause)}`,
    {
      cause,
    },
  )

function whatToDo(error: Error & { readonly code?: string }): string {
  const { message } = error
  if (message.includes('WRONGPASS')) return 'check the user and the password in the address'
  if (message.includes('NOAUTH'))
    return 'it asks for a password: write redis://:<password>@… or redis://<user>:<password>@…'
  if (isOfCertificate(error)) return 'check the certificate; NODE_EXTRA_CA_CERTS adds authorities'
  const command = /run the '([^']+)' command/.exec(message)?.[1]
  if (command !== undefined) return `${setUser('<user>', [`+${command}`])} (docs/redis.md lists all that it needs)`
  return 'check the rights of the user; docs/redis.md lists all that it needs'
}

function tooLargeError(what: string, cause: Error): GraflowError {
  const grown = cause.message.includes('exceeds maximum allowed size')
  return new GraflowError(
    'LIMIT_EXCEEDED',
    `${what}: expected ${grown ? 'a group' : 'values'} no larger than this Redis takes (proto-max-bulk-len), got ` +
      `${withoutScript(cause.message)}; ${grown ? 'make the group smaller' : 'pass a reference to where the data is'}, ` +
      'or raise proto-max-bulk-len on the server, which is 512mb by itself',
    { cause },
  )
}

const withoutScript = (message: string): string => message.replace(/ script: graflow_.*$/s, '')

/** Of a call with which the server has ended one connection after the other. */
export const endsConnectionsError = (what: string, address: string, seconds: number): GraflowError =>
  new GraflowError(
    'REDIS_UNSUITABLE',
    `${what}: Redis at ${address} closed every connection on which this was asked, for ${seconds} s: its answer may be larger ` +
      'than the server sends; raise client-output-buffer-limit for normal clients, or let the user call CONFIG GET, which tells how much that is',
  )

function unreadableError(what: string, cause: Error): GraflowError {
  const why = withoutScript(cause.message.replace(SCRIPT_ERROR, ''))
  return new GraflowError('INTEGRITY', `${what}: what lies in Redis cannot be read: ${why}`, { cause })
}

/** The word in capitals with which an error of Redis begins. */
const wordOf = (error: Error): string => /^-?([A-Z]+) /.exec(error.message)?.[1] ?? ''
