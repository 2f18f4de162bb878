/**
 * The small HTTP server of a process, for those who run it: `/livez`, `/readyz`, `/healthz`, `/metrics`, and what the process answers besides. It
 * takes no commands.
 */
import { describeError } from '../lib/describe.js'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { GraflowError } from '../lib/errors.js'
import type { Answer, Asked } from '../lib/server/autoscale.js'

/** What is answered. */
export interface HealthSources {
  /** `worker` or `exporter`, for messages. */
  readonly program: string
  /** Why the process should get no traffic; undefined when it is ready. */
  unreadiness(): Promise<string | undefined>
  state(): string
  /** Its name in every answer about its health, such as `{ workerId: 'w1' }`. */
  readonly name: Readonly<Record<string, string>>
  readonly contentType: string
  metrics(): Promise<string>
  /** What is answered besides, by path. */
  readonly others?: ReadonlyMap<string, (request: Asked) => Promise<Answer>>
}

/** A server that listens; `close` it. */
export interface HealthServer {
  readonly port: number
  close(): Promise<void>
}

/** @throws GraflowError INVALID_OPTION when the address cannot be listened on */
export async function serveHealth(host: string, port: number, sources: HealthSources): Promise<HealthServer> {
  const server = createServer((request, response) => {
    const send: Send = (status, type, body, headers = {}) => {
      response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store', ...headers })
      response.end(request.method === 'HEAD' ? undefined : body)
    }
    answer(request, sources, send).catch((error: unknown) => {
      send(500, 'text/plain; charset=utf-8', `${describeError(error)}\n`)
    })
  })
  server.keepAliveTimeout = 5_000
  await listen(server, host, port, sources.program)
  server.unref()
  return {
    port: (server.address() as AddressInfo).port, // it listens on a port, not on a pipe
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function listen(server: Server, host: string, port: number, program: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      reject(refused(error, host, port, program))
    })
    server.listen(port, host, resolve)
  })
}

function refused(error: NodeJS.ErrnoException, host: string, port: number, program: string): GraflowError {
  const address = `${host.includes(':') ? `[${host}]` : host}:${port}`
  const [option, fault] = ((): readonly [string, string] => {
    switch (error.code) {
      case 'EADDRINUSE':
        return [
          'metricsPort',
          `expected a free port, but another process listens on ${address} (another ${program} of this machine?): give each its own, or 0 for any free one`,
        ]
      case 'EACCES':
        return ['metricsPort', `this process may not listen on ${address}: take a port from 1024 up`]
      case 'EADDRNOTAVAIL':
      case 'ENOTFOUND':
      case 'EAI_AGAIN':
        return ['metricsHost', `expected an address of this machine, such as 127.0.0.1 or 0.0.0.0, got ${host}`]
      default:
        return ['metricsPort', `cannot listen on ${address}: ${error.message}`]
    }
  })()
  return new GraflowError('INVALID_OPTION', `${program}: ${option}: ${fault}`, {
    cause: error,
    details: { option, address },
  })
}

type Send = (status: number, type: string, body: string, headers?: Readonly<Record<string, string>>) => void

const OWN_PATHS = ['/livez', '/readyz', '/healthz', '/metrics']

async function answer(
  { method, url = '', headers }: IncomingMessage,
  sources: HealthSources,
  send: Send,
): Promise<void> {
  const json = (status: number, body: object): void =>
    send(status, 'application/json; charset=utf-8', `${JSON.stringify(body)}\n`)
  const { others = new Map<string, (request: Asked) => Promise<Answer>>(), name } = sources
  const [path = '', query = ''] = url.split('?', 2)
  const other = others.get(path)
  if (other === undefined && !OWN_PATHS.includes(path)) {
    json(404, { status: 'not found', paths: [...OWN_PATHS, ...others.keys()] })
  } else if (method !== 'GET' && method !== 'HEAD') {
    json(405, { status: 'method not allowed' })
  } else if (other !== undefined) {
    const header = (one: string): string | undefined => headers[one]?.toString()
    const answered = await other({ query: new URLSearchParams(query), header })
    const type = answered.status < 400 ? 'application/json' : 'application/problem+json'
    send(answered.status, `${type}; charset=utf-8`, `${JSON.stringify(answered.body)}\n`, answered.headers)
  } else if (path === '/livez') {
    json(200, { status: 'ok', ...name, state: sources.state() })
  } else if (path === '/metrics') {
    send(200, sources.contentType, await sources.metrics())
  } else {
    const reason = await sources.unreadiness()
    const state = sources.state()
    if (reason === undefined) json(200, { status: 'ok', ...name, state })
    else json(503, { status: 'unready', reason, ...name, state })
  }
}
