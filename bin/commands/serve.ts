/** `graflow serve`: the control plane of a store, without code. Serves until it is told to end. */
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { openClient } from '../../lib/connect.js'
import { SERVER_OPTIONS } from '../../lib/options.js'
import type { ServerOptions } from '../../lib/producer/server-types.js'
import { sha256Of } from '../../lib/server/keys.js'
import { addressOf, type WorkerOptions } from '../../worker/worker-options.js'
import { EXIT_CODES } from '../exit-codes.js'
import type { Host, Run } from '../host.js'
import { writeLog } from '../log.js'

type ServeSettings = ServerOptions &
  Pick<WorkerOptions, 'redisUrl' | 'redisHost' | 'redisPort' | 'redisDb' | 'keyPrefix' | 'logLevel' | 'logFormat'> & {
    readonly newKey?: string
  }

export const serveCommand: Run = async (given, host) => {
  const options = given.options as ServeSettings // the table has these
  if (options.newKey !== undefined) return printKey(options.newKey, host)
  const { keyPrefix, logLevel, logFormat = 'auto' } = options
  const isText = logFormat === 'text' || (logFormat === 'auto' && host.out.isTTY === true)
  const graflow = await openClient(
    addressOf(options),
    {
      serve: serverOptionsOf(options, given.switches.has('insecure'), host),
      ...(keyPrefix !== undefined && { keyPrefix }),
      ...(logLevel !== undefined && { logLevel }),
    },
    {
      writeLog: (emitter, level) =>
        writeLog(emitter, level, isText ? 'text' : 'json', { pid: process.pid, hostname: hostname() }),
    },
  )
  try {
    await new Promise<void>((done) => {
      if (host.signal.aborted) done()
      else host.signal.addEventListener('abort', () => done(), { once: true })
    })
  } finally {
    await graflow.close()
  }
  return EXIT_CODES.done.code
}

function serverOptionsOf(options: ServeSettings, insecure: boolean, host: Host): ServerOptions {
  const own = Object.entries(options).filter(([name]) => Object.hasOwn(SERVER_OPTIONS, name))
  const { apiKeysFile } = options
  return {
    ...Object.fromEntries(own),
    ...(apiKeysFile !== undefined && { apiKeysFile: resolve(host.folder, apiKeysFile) }),
    ...(insecure && { insecure }),
  }
}

/** A key is shown once; a file of keys has its hash. */
function printKey(scope: string, host: Host): number {
  const key = `gk_${randomBytes(24).toString('base64url')}`
  const line = JSON.stringify({ name: `${scope}-${key.slice(3, 7)}`, scope, sha256: sha256Of(key) })
  host.out.write(`${key}\n`)
  host.err.write(`This key is shown only now. Its line for the list in --api-keys-file:\n  ${line}\n`)
  return EXIT_CODES.done.code
}
