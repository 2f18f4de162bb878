/** The worker's own small HTTP server: `/livez`, `/readyz` and `/metrics`, for those who run it. It takes no commands. */
import { describeError } from '../lib/describe.js'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { GraflowError } from '../lib/errors.js'

/** What is answered. */
export interface HealthSources {
  /** Why the worker should get no traffic; undefined when it is ready. */
  unreadiness(): Promise<string | undefined>
  state(): string
  readonly workerId: string
  readonly contentType: string
  metrics(): Promise<string>
}

/** A server that listens; `close` it. */
export interface HealthServer {
  readonly port: number
  close(): Promise<void>
}

/** @throws GraflowError INVALID_OPTION when the address cannot be listened on */
export async function serveHealth(host: string, port: number, sources: HealthSources): Promise<HealthServer> {
  const server = createServer((request, response) => {
    const send = (status: number, type: string, body: string): void => {
      response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' })
      response.end(request.method === 'HEAD' ? undefined : body)
    }
    answer(request.method ?? '', request.url ?? '', sources, send).catch((error: unknown) => {
      send(500, 'text/plain; charset=utf-8', `${describeError(error)}\n`)
    })
  })
  server.keepAliveTimeout = 5_000
  await listen(server, host, port)
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

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      reject(refused(error, host, port))
    })
    server.listen(port, host, resolve)
  })
}

function refused(error: NodeJS.ErrnoException, host: string, port: number): GraflowError {
  const address = `${host.includes(':') ? `[${host}]` : host}:${port}`
  const [option, fault] = ((): readonly [string, string] => {
    switch (error.code) {
      case 'EADDRINUSE':
        return [
          'metricsPort',
          `expected a free port, but another process listens on ${address} (another worker of this machine?): give each its own, or 0 for any free one`,
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
  return new GraflowError('INVALID_OPTION', `worker: ${option}: ${fault}`, {
    cause: error,
    details: { option, address },
  })
}

type Send = (status: number, type: string, body: string) => void

async function answer(method: string, url: string, sources: HealthSources, send: Send): Promise<void> {
  const json = (status: number, body: object): void =>
    send(status, 'application/json; charset=utf-8', `${JSON.stringify(body)}\n`)
  const { workerId } = sources
  const [path] = url.split('?', 1)
  if (path !== '/livez' && path !== '/readyz' && path !== '/metrics') {
    json(404, { status: 'not found', paths: ['/livez', '/readyz', '/metrics'] })
  } else if (method !== 'GET' && method !== 'HEAD') {
    json(405, { status: 'method not allowed' })
  } else if (path === '/livez') {
    json(200, { status: 'ok', workerId, state: sources.state() })
  } else if (path === '/readyz') {
    const reason = await sources.unreadiness()
    const state = sources.state()
    if (reason === undefined) json(200, { status: 'ok', workerId, state })
    else json(503, { status: 'unready', reason, workerId, state })
  } else {
    send(200, sources.contentType, await sources.metrics())
  }
}
