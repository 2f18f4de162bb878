/** `GET /openapi.json`: made of what the routes declare, once, when it is first asked for. */
import { createRoute, z } from '@hono/zod-openapi'
import { access, answers, type ServerApp } from './route.js'

const route = createRoute({
  ...{ method: 'get', path: '/openapi.json', tags: ['ops'], summary: 'This document.', ...access('read') },
  responses: answers({ 200: ['OpenAPI 3.1.', z.record(z.string(), z.unknown())] }),
})

const INFO = {
  openapi: '3.1.0',
  info: {
    title: 'Graflow control plane',
    version: '1',
    license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    description:
      'Runs, workers, queues and dead letters of one key prefix. Errors are RFC 9457 problem details with a stable `code`; docs/errors.md lists all. Each operation names the scope that its key needs, in its `security`.',
  },
} as const

/** The document of all routes that are there by then. @param basePath below which callers find them; empty where there is none */
export const documentOf = (app: ServerApp, basePath = ''): ReturnType<ServerApp['getOpenAPI31Document']> =>
  app.getOpenAPI31Document({ ...INFO, servers: [{ url: basePath === '' ? '/' : basePath }] })

/** Adds the route that answers the document. Called after all others were added. */
export function openApiOf(app: ServerApp, basePath: string): void {
  const register = app.openAPIRegistry
  register.registerComponent('securitySchemes', 'apiKey', { type: 'apiKey', in: 'header', name: 'x-api-key' })
  register.registerComponent('securitySchemes', 'bearer', { type: 'http', scheme: 'bearer' })
  let text: string | undefined
  app.openapi(route, () => {
    text ??= JSON.stringify(documentOf(app, basePath))
    return new Response(text, { headers: { 'content-type': 'application/json; charset=utf-8' } })
  })
}
