/** The control plane of `graflow dev`: its dashboard, on the port that is asked for, or on a free one where another process has that. */
import { spawn } from 'node:child_process'
import { openClient } from '../../lib/connect.js'
import { GraflowError } from '../../lib/errors.js'
import { SERVER_OPTIONS } from '../../lib/options.js'
import type { Graflow } from '../../lib/producer/types.js'

/** A dashboard that is served; `close` it. */
export interface Dashboard {
  readonly url: string
  /** Why it is not on its usual port; '' where it is. */
  readonly says: string
  close(): Promise<void>
}

/**
 * Serves the runs of a store, on this machine alone.
 * @param port undefined for the usual one, which a free one stands in for
 * @throws GraflowError INVALID_OPTION for a port that is asked for and taken; REDIS_UNAVAILABLE
 */
export async function serveDashboard(
  address: string,
  keyPrefix: string | undefined,
  port: number | undefined,
): Promise<Dashboard> {
  const open = (at: number): Promise<Graflow> =>
    openClient(
      address,
      { serve: { port: at }, logLevel: 'silent', ...(keyPrefix !== undefined && { keyPrefix }) },
      { writeLog: () => () => undefined },
    )
  const usual = SERVER_OPTIONS.port.default
  let says = ''
  const graflow = await open(port ?? usual).catch((error: unknown) => {
    if (port !== undefined || !(error instanceof GraflowError) || error.details['option'] !== 'port') throw error
    says = ` (another process has port ${usual}; --port takes one)`
    return open(0)
  })
  return { url: graflow.server?.url ?? '', says, close: () => graflow.close() }
}

/** Shows a page in the browser of whoever sits here, where there is one. */
export function openInBrowser(url: string): void {
  const [command, args] = ((): readonly [string, readonly string[]] => {
    if (process.platform === 'darwin') return ['open', [url]]
    if (process.platform === 'win32') return ['cmd', ['/c', 'start', '', url]]
    return ['xdg-open', [url]]
  })()
  const child = spawn(command, args, { stdio: 'ignore', detached: true })
  child.on('error', () => undefined) // there is none: the line with the address is enough
  child.unref()
}
