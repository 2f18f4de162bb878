/** What an error of Redis means for the call that met it: whether it is sent again, or how it fails. */
import { GraflowError } from '../../errors.js'
import type { Script } from './scripts.js'

/** Redis will answer these differently soon. */
const PASSING = new Set(['LOADING', 'BUSY', 'TRYAGAIN', 'CLUSTERDOWN', 'MASTERDOWN', 'UNBLOCKED'])
/** Redis takes nothing more. */
const FULL = new Set(['OOM', 'MISCONF', 'NOREPLICAS'])
/** The user's name, password or rights are at fault. */
const REFUSED = new Set(['NOAUTH', 'WRONGPASS', 'NOPERM'])
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
  if (REFUSED.has(word)) return refusedError(address, error)
  if (word === 'WRONGTYPE') return new GraflowError('INTEGRITY', `${what}: a key holds another type: ${message}`)
  if (script !== undefined && SCRIPT_ERROR.test(message)) return unreadableError(what, error)
  if (word === '' || error.name !== 'ReplyError') return 'resend'
  return new GraflowError('INTERNAL', `${what}: Redis answered ${message}`, { cause: error })
}

/** Whether an error of connecting stays: a wrong password or certificate does not become right by waiting. */
export function isFinal(error: Error & { readonly code?: string }): boolean {
  const word = /([A-Z]+) /.exec(error.message.replace('Ready check failed: ', ''))?.[1] ?? ''
  return REFUSED.has(word) || /CERT|TLS|SSL|SELF_SIGNED/.test(error.code ?? '') || error.code === 'EACCES'
}

/** What a connection met, in words of our own; the error itself is the cause. */
export function inOurWords(error: (Error & { readonly code?: string }) | undefined): string {
  if (error === undefined) return 'no answer'
  const { message, code = '' } = error
  const text = `${code} ${message}`
  if (/Protocol error/.test(text)) return 'an answer that no Redis gives: another kind of server listens there'
  if (/ETIMEDOUT|EHOSTUNREACH|ENETUNREACH/.test(text))
    return 'no answer: the host is not there, or something on the way drops what is sent'
  if (/ECONNREFUSED/.test(text)) return 'a refusal: nothing listens there (ECONNREFUSED)'
  if (/ENOTFOUND|EAI_AGAIN/.test(text)) return 'no address for that host: its name is not known here (ENOTFOUND)'
  if (/ECONNRESET|EPIPE|Connection is closed|connection is closed/.test(text))
    return 'a connection that was closed from there'
  return message
}

export const closedError = (): GraflowError =>
  new GraflowError('CLOSED', 'expected an open backend, got a call during or after close()')

export const refusedError = (address: string, cause: Error): GraflowError =>
  new GraflowError(
    'REDIS_UNSUITABLE',
    `Redis at ${address} refuses us: ${cause.message}; check user, password, rights and certificate`,
    { cause },
  )

function unreadableError(what: string, cause: Error): GraflowError {
  const why = cause.message.replace(SCRIPT_ERROR, '').replace(/ script: graflow_.*$/s, '')
  return new GraflowError('INTEGRITY', `${what}: what lies in Redis cannot be read: ${why}`, { cause })
}

/** The word in capitals with which an error of Redis begins. */
const wordOf = (error: Error): string => /^-?([A-Z]+) /.exec(error.message)?.[1] ?? ''
