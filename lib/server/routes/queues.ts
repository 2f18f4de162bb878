/** Queues: what waits in each, and whether it is handed out. */
import { createRoute, z } from '@hono/zod-openapi'
import { access, answers, given, PageQuery, pageOf, sendJson, type ServerApp } from '../route.js'
import type { ServerServices } from '../services.js'

const Queue = z
  .object({
    queue: z.string(),
    isPaused: z.boolean(),
    ready: z.int(),
  })
  .loose()
  .openapi('Queue')

const listQueues = createRoute({
  ...{
    method: 'get',
    path: '/api/v1/queues',
    tags: ['queues'],
    summary: 'The queues of the store.',
    ...access('read'),
  },
  request: { query: PageQuery },
  responses: answers({ 200: ['A page of queues.', pageOf(Queue)] }),
})

export function addQueueRoutes(app: ServerApp, { graflow }: ServerServices): void {
  app.openapi(listQueues, async (c) => sendJson(await graflow.queues.list(given(c.req.valid('query')))))
}
