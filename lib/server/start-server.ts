/** The control plane on a port: limits of connections, requests that never end, and how it closes. */
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { getRequestListener } from '@hono/node-server'
import { messageOf } from '../describe.js'
import { GraflowError } from '../errors.js'
import { checkOptions, DEFAULT_QUEUE, defaultsOf, RUNS_QUEUE, SERVER_OPTIONS } from '../options.js'
import { Metrics } from '../observe/metrics.js'
import type { ServerInfo, ServerOptions } from '../producer/server-types.js'
import { withDeadline } from '../time.js'
import { createApp } from './app.js'
import { isLoopback } from './hosts.js'
import { badRequest, problemOf, problemResponse } from './problems.js'
import { KeyRing, readKeys } from './keys.js'
import type { ServerApp } from './route.js'
import type { ServerServices } from './services.js'
import { waitCounts } from '../admin/wait-counts.js'
import { soon, storeSources } from './store-sources.js'
import { StoreWatch } from './store-watch.js'

/** A server that listens; `close` it. */
export interface RunningServer extends ServerInfo {
  close(): Promise<void>
}

/** What the server stands on. */
export type ServerParts = Pick<
  ServerServices,
  'graflow' | 'session' | 'keyPrefix' | 'address' | 'clock' | 'random' | 'newId'
>

const DEFAULTS = defaultsOf(SERVER_OPTIONS)

/** A request whose headers, or whose body, take longer is ended. */
const HEADERS_MS = 5_000
const REQUEST_MS = 10_000
const KEEP_ALIVE_MS = 5_000
/** How long requests that are under way may take once the server closes. */
export const CLOSE_MS = 5_000

/** A control plane that listens on nothing yet. */
export interface OpenApp {
  readonly app: ServerApp
  readonly services: ServerServices
  /** Ends what the app holds, after its requests. */
  readonly end: () => void
}

/**
 * The app over a client.
 * @param checked options with their defaults
 * @throws GraflowError INVALID_OPTION, also for an address beyond loopback without a key
 */
export function openApp(parts: ServerParts, checked: CheckedOptions, closing: AbortSignal): OpenApp {
  const { host, basePath = '', allowedHosts = [], maxBodyBytes } = checked
  const { session, clock, keyPrefix } = parts
  const keys = new KeyRing(keysOf(checked), keyPrefix, clock)
  if (keys.isEmpty && !checked.insecure && !isLoopback(host)) throw exposed(host)
  const watch = new StoreWatch(clock, () => soon(clock, session.store.ping()))
  const log: ServerServices['log'] = (level, message, details) => {
    session.emitter.emit('log', { level, message, ...(details !== undefined && { details }) })
  }
  const services: ServerServices = { ...parts, closing, keys, watch, log }
  const store = storeSources(
    keyPrefix,
    [DEFAULT_QUEUE, RUNS_QUEUE],
    (question) => soon(clock, question(session.store)),
    (message) => {
      log('warn', message)
    },
    waitCounts({ backend: session.store, engine: session.engine }),
  )
  const { engine, holdings, lifecycle, emitter: events } = session
  const metrics = new Metrics({
    store,
    // of the runs that this process drives, and of workers that call it over HTTP
    process: {
      ...{ events, now: () => clock.now(), tasks: [] },
      inFlight: () => holdings.branchesInFlight,
      isLeader: () => lifecycle.isLeader,
      graphHits: () => engine.graphs.hits,
    },
  })
  const app = createApp(services, { host, basePath, allowedHosts, maxBodyBytes, metrics, store })
  return {
    ...{ app, services },
    end: () => {
      watch.close()
      metrics.close()
    },
  }
}

/** @throws GraflowError INVALID_OPTION */
export const serverOptionsOf = (given: ServerOptions): CheckedOptions => ({
  ...DEFAULTS,
  ...checkOptions<ServerOptions>('serve', SERVER_OPTIONS, given),
})

/** Options with their defaults. */
export type CheckedOptions = ServerOptions & typeof DEFAULTS

/**
 * Serves from now on.
 * @throws GraflowError INVALID_OPTION: also for a port in use, and for an address beyond loopback without a key
 */
export async function startServer(parts: ServerParts, given: ServerOptions): Promise<RunningServer> {
  const options = serverOptionsOf(given)
  const { host, port, basePath = '' } = options
  const closing = new AbortController()
  const { app, services, end } = openApp(parts, options, closing.signal)
  const server = serverFor(app, options.maxConnections)
  try {
    await listen(server, host, port)
  } catch (error) {
    end()
    throw error
  }
  const { port: bound } = server.address() as AddressInfo // it listens on a port, not on a pipe
  const url = `http://${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${bound}${basePath}/`
  services.log('info', `control plane of ${parts.keyPrefix} on ${url}${services.keys.isEmpty ? ', without a key' : ''}`)
  const close = async (): Promise<void> => {
    closing.abort()
    await closed(server, parts.clock)
    end()
  }
  let ended: Promise<void> | undefined
  return { url, port: bound, close: () => (ended ??= close()) }
}

function serverFor(app: ServerApp, maxConnections: number): Server {
  const listener = getRequestListener(app.fetch, {
    overrideGlobalObjects: false, // the globals of a process that embeds the server stay as they are
    hostname: 'localhost',
    errorHandler: (error) =>
      problemResponse(problemOf(badRequest(`it is no HTTP that can be read: ${messageOf(error)}`))),
  })
  const server = createServer(
    {
      ...{ headersTimeout: HEADERS_MS, requestTimeout: REQUEST_MS, keepAliveTimeout: KEEP_ALIVE_MS },
      connectionsCheckingInterval: 1_000,
    },
    (request, response) => void listener(request, response),
  )
  server.maxConnections = maxConnections
  server.on('clientError', answerUnreadable)
  return server
}

/** What Node.js could not read as a request. */
const UNREADABLE: Readonly<Record<string, readonly [line: string, why: string]>> = {
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', 'its headers are too large'],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'it was not there in time'],
}

function answerUnreadable(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const [line, why] = UNREADABLE[error.code ?? ''] ?? ['400 Bad Request', 'it is no HTTP that can be read']
  const body = `${JSON.stringify({ ...problemOf(badRequest(why)), status: Number(line.slice(0, 3)), title: line.slice(4) })}\n`
  const headers = [
    'content-type: application/problem+json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
  ]
  socket.end(
    [`HTTP/1.1 ${line}`, ...headers, 'x-content-type-options: nosniff', 'connection: close', '', body].join('\r\n'),
  )
}

function keysOf({ apiKeys = [], apiKeysFile }: ServerOptions): ReturnType<typeof readKeys> {
  const own = readKeys(apiKeys, 'serve: apiKeys')
  if (apiKeysFile === undefined) return own
  const where = `serve: apiKeysFile: ${apiKeysFile}`
  let list: unknown
  try {
    list = JSON.parse(readFileSync(apiKeysFile, 'utf8'))
  } catch (error) {
    throw new GraflowError('INVALID_OPTION', `${where}: cannot be read: ${messageOf(error)}`, { cause: error })
  }
  if (!Array.isArray(list) || list.some((one) => typeof one === 'string'))
    throw new GraflowError('INVALID_OPTION', `${where}: expected a list of { name, scope, sha256 }`)
  return [...own, ...readKeys(list, where)]
}

function exposed(host: string): GraflowError {
  const message = `serve: host: ${host} can be reached from other machines, and there is no key: give one with --api-key (graflow serve --new-key makes one), bind 127.0.0.1, or say --insecure`
  return new GraflowError('INVALID_OPTION', message, { details: { option: 'host' } })
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      reject(refused(error, host, port))
    })
    server.listen(port, host.replace(/^\[|\]$/g, ''), resolve)
  })
}

function refused(error: NodeJS.ErrnoException, host: string, port: number): GraflowError {
  const address = `${host.includes(':') ? `[${host}]` : host}:${port}`
  const isHost = ['EADDRNOTAVAIL', 'ENOTFOUND', 'EAI_AGAIN'].includes(error.code ?? '')
  const fault = isHost
    ? `expected an address of this machine, such as 127.0.0.1 or 0.0.0.0, got ${host}`
    : error.code === 'EADDRINUSE'
      ? `expected a free port, but another process listens on ${address}: take another, or 0 for any free one`
      : `cannot listen on ${address}: ${error.message}`
  const option = isHost ? 'host' : 'port'
  return new GraflowError('INVALID_OPTION', `serve: ${option}: ${fault}`, {
    cause: error,
    details: { option, address },
  })
}

/** Takes no more requests, lets those under way end, then closes all connections. */
async function closed(server: Server, clock: ServerServices['clock']): Promise<void> {
  const ended = new Promise<void>((resolve) => {
    server.close(() => resolve())
  })
  server.closeIdleConnections()
  await withDeadline(clock, CLOSE_MS, ended, () => {
    server.closeAllConnections()
  })
  await ended
}
