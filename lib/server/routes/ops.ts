/** For those who run the server: whether it lives and is ready, metrics, numbers for autoscalers. Health is open, all else wants a key. */
import { createRoute, type RouteConfig, z } from '@hono/zod-openapi'
import { messageOf } from '../../describe.js'
import type { Metrics } from '../../observe/metrics.js'
import type { StoreSources } from '../../observe/store-metrics.js'
import { AUTOSCALE_PATH, loadOf, queuesOf } from '../autoscale.js'
import { access, answers, sendJson, type ServerApp } from '../route.js'
import type { ServerServices } from '../services.js'
import { soon } from '../store-sources.js'

const Health = z
  .object({
    status: z.enum(['ok', 'unready']),
    server: z.string().openapi({ description: 'What the server calls itself.' }),
    reason: z.string().optional(),
  })
  .openapi('Health')

const Load = z
  .object({
    queue: z.string(),
    depth: z.int().openapi({ description: 'Branches that are ready.' }),
    backlog: z.int().openapi({ description: 'Branches that are ready or that workers hold.' }),
    oldestSeconds: z.number(),
    workers: z.int(),
  })
  .openapi('Load')

const healthAnswer = (description: string): RouteConfig['responses'][number] => ({
  description,
  content: { 'application/json': { schema: Health } },
})

const isWell: RouteConfig['responses'] = { 200: healthAnswer('It is.') }
const wellOrNot: RouteConfig['responses'] = { ...isWell, 503: healthAnswer('It is not.') }

/** Open without a key. */
const health = (path: string, summary: string, responses: RouteConfig['responses']) =>
  createRoute({ ...{ method: 'get', path, tags: ['ops'], summary, security: [] }, responses })

const metricsRoute = createRoute({
  ...{ method: 'get', path: '/metrics', tags: ['ops'], summary: 'Metrics for Prometheus.', ...access('read') },
  responses: answers({ 200: ['The text form.', z.string(), 'text/plain'] }),
})

const autoscaleRoute = createRoute({
  ...{
    method: 'get',
    path: AUTOSCALE_PATH,
    tags: ['ops'],
    summary: 'What an autoscaler asks of a queue.',
    ...access('read'),
  },
  request: {
    query: z.object({
      queue: z
        .union([z.string(), z.array(z.string())])
        .optional()
        .openapi({ description: 'Names with commas between them; default and runs without it.', example: 'default' }),
    }),
  },
  responses: answers({ 200: ['The numbers.', Load] }),
})

/** @param ops where the numbers come from */
export function addOpsRoutes(
  app: ServerApp,
  { session, clock, closing }: ServerServices,
  ops: { readonly metrics: Metrics; readonly store: StoreSources },
): void {
  const server = session.baseId
  app.openapi(health('/livez', 'Whether the process lives. It does not ask the store.', isWell), () =>
    sendJson({ status: 'ok', server }),
  )
  const ready = async (): Promise<Response> => {
    if (closing.aborted) return sendJson({ status: 'unready', server, reason: 'it is closing' }, 503)
    try {
      await soon(clock, session.store.ping())
      return sendJson({ status: 'ok', server })
    } catch (error) {
      return sendJson({ status: 'unready', server, reason: `the store does not answer: ${messageOf(error)}` }, 503)
    }
  }
  app.openapi(
    health('/readyz', 'Whether it should get requests: the store answers, and it is not closing.', wellOrNot),
    ready,
  )
  app.openapi(health('/healthz', 'The same as /readyz.', wellOrNot), ready)
  app.openapi(metricsRoute, async () => {
    const text = await ops.metrics.text()
    return new Response(text, { headers: { 'content-type': ops.metrics.contentType } })
  })
  app.openapi(autoscaleRoute, async (c) => {
    const { queue = [] } = c.req.valid('query')
    return sendJson(await loadOf(ops.store, queuesOf([queue].flat())))
  })
}
