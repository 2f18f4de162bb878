/** Which hosts and origins are answered. A page elsewhere cannot reach the server through a name that it made point here, nor by a form. */
import { isIP } from 'node:net'
import { GraflowError } from '../errors.js'

/** `example.org:9100` → `example.org`, `[::1]:9100` → `::1`. */
const nameOf = (host: string): string => {
  const [, bracketed, plain] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(host) ?? []
  return (bracketed ?? plain ?? '').toLowerCase().replace(/\.$/, '')
}

/** Whether an address is only reached from this machine. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)

/** Refuses requests that were meant for another host, or that a page of another origin sent. */
export function hostCheck(own: string, allowed: readonly string[]): (host?: string, origin?: string) => void {
  const names = new Set(['localhost', nameOf(own), ...allowed.map((name) => name.toLowerCase())])
  return (host, origin) => {
    if (host !== undefined) {
      const name = nameOf(host)
      if (isIP(name) === 0 && !names.has(name) && !names.has('*'))
        throw new GraflowError(
          'FORBIDDEN',
          'host: this name is not one that the server answers to; --allowed-host adds one, on the server',
        )
    }
    if (origin === undefined) return
    const from = URL.canParse(origin) ? new URL(origin).host : undefined
    if (from !== undefined && from.toLowerCase() === host?.toLowerCase()) return
    throw new GraflowError('FORBIDDEN', 'origin: pages of other origins may not call this server')
  }
}
