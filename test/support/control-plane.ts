/** A control plane for tests: over the embedded engine or a Redis, with a socket or without one. */
import type { ConnectOptions, Graflow } from 'graflow'
import { openClient } from '../../lib/connect.js'
import type { ServerOptions } from '../../lib/producer/server-types.js'
import type { ServerApp } from '../../lib/server/route.js'
import type { ServerServices } from '../../lib/server/services.js'
import { openApp, serverOptionsOf } from '../../lib/server/start-server.js'

/** A control plane that is asked by calls, without a socket. */
export interface TestPlane {
  readonly graflow: Graflow
  readonly app: ServerApp
  readonly services: ServerServices
  /** Asks for a path; an object as body is sent as JSON. */
  ask(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<Answered>
  close(): Promise<void>
}

/** An answer, read to its end. */
export interface Answered {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** The text as JSON; undefined where it is none. */
  readonly json: any
}

/** Opens one. @param address of a Redis; embedded without it. Close it. */
export async function openPlane(
  { serve = {}, ...options }: ConnectOptions & { readonly serve?: ServerOptions } = {},
  address?: string,
): Promise<TestPlane> {
  const closing = new AbortController()
  let opened: ReturnType<typeof openApp> | undefined
  const graflow = await openClient(
    address,
    { logLevel: 'silent', ...options, serve },
    {
      writeLog: () => () => undefined,
      startServer: async (parts, given) => {
        opened = openApp(parts, serverOptionsOf(given), closing.signal)
        const { end } = opened
        const close = async (): Promise<void> => {
          closing.abort()
          end()
        }
        return { url: 'http://localhost/', port: 0, close }
      },
    },
  )
  if (opened === undefined) throw new Error('no app was opened')
  const { app, services } = opened
  return {
    ...{ app, services },
    // the same, by the name under which tests have its types
    graflow: graflow as unknown as Graflow,
    ask: async (method, path, body, headers = {}) => {
      const json = body === undefined ? {} : { 'content-type': 'application/json' }
      const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
      const response = await app.request(path, {
        method,
        headers: { ...json, ...headers },
        ...(text !== undefined && { body: text }),
      })
      return answered(response)
    },
    close: () => graflow.close(),
  }
}

/** Reads an answer to its end; of a stream of events its beginning. */
export async function answered(response: Response): Promise<Answered> {
  const { status, headers } = response
  const isStream = headers.get('content-type')?.startsWith('text/event-stream') === true
  const text = isStream ? await beginningOf(response) : await response.text()
  return {
    status,
    headers,
    text,
    json: text !== '' && /json/.test(headers.get('content-type') ?? '') ? JSON.parse(text) : undefined,
  }
}

async function beginningOf({ body }: Response): Promise<string> {
  const reader = body?.getReader()
  const first = await reader?.read()
  reader?.cancel().catch(() => undefined) // it has ended
  return new TextDecoder().decode(first?.value)
}
