/** Queues: what waits in each, and whether it is handed out. */
import { createRoute, z } from '@hono/zod-openapi'
import { queueNotFound } from '../../admin/queues.js'
import { access, answers, command, given, KeyHeader, pageOf, PageQuery, sendJson, type ServerApp } from '../route.js'
import { Changed } from '../schemas.js'
import type { ServerServices } from '../services.js'

const about = { tags: ['queues'] }
const QueueName = z.object({
  name: z
    .string()
    .min(1)
    .max(512)
    .openapi({ param: { name: 'name', in: 'path' }, example: 'default' }),
})

const Queue = z
  .object({
    name: z.string(),
    isPaused: z.boolean(),
    ready: z.int().openapi({ description: 'Branches that wait to be taken.' }),
    delayed: z.int().openapi({ description: 'Branches that wait for their next attempt, or for time or a signal.' }),
    running: z.int().openapi({ description: 'Branches that workers hold.' }),
    oldestMs: z.number().optional().openapi({ description: 'How long the oldest ready group has waited.' }),
    workers: z.int().openapi({ description: 'Live workers that serve it.' }),
  })
  .openapi('Queue')

const listQueues = createRoute({
  ...{ ...about, method: 'get', path: '/api/v1/queues', summary: 'The queues of the store.', ...access('read') },
  request: { query: PageQuery },
  responses: answers({ 200: ['A page of queues.', pageOf(Queue)] }),
})
const getQueue = createRoute({
  ...{ ...about, method: 'get', path: '/api/v1/queues/{name}', summary: 'One queue.', ...access('read') },
  request: { params: QueueName },
  responses: answers({ 200: ['The queue.', Queue] }, 404),
})
const pauseQueue = createRoute({
  ...{ ...about, method: 'post', path: '/api/v1/queues/{name}/pause', summary: 'Hands out nothing of it any more.' },
  ...command('operate'),
  description: 'One that nobody knows is paused only `ahead`: 404 is for a name that was misspelt.',
  request: {
    params: QueueName,
    headers: KeyHeader,
    body: {
      content: {
        'application/json': {
          schema: z.strictObject({ ahead: z.boolean().optional() }).optional().openapi('PauseQueueRequest'),
        },
      },
    },
  },
  responses: answers({ 200: ['False where it was paused already.', Changed] }, 404, 409, 415),
})
const resumeQueue = createRoute({
  ...{ ...about, method: 'post', path: '/api/v1/queues/{name}/resume', summary: 'Ends the pause of a queue.' },
  ...command('operate'),
  request: { params: QueueName, headers: KeyHeader },
  responses: answers({ 200: ['False where it was not paused.', Changed] }, 404, 409),
})

export function addQueueRoutes(app: ServerApp, { graflow: { queues } }: ServerServices): void {
  app.openapi(listQueues, async (c) => sendJson(await queues.list(given(c.req.valid('query')))))
  app.openapi(getQueue, async (c) => {
    const { name } = c.req.valid('param')
    const queue = await queues.get(name)
    if (queue !== undefined) return sendJson(queue)
    throw queueNotFound(
      name,
      (await queues.list({ limit: 1_000 })).items.map((one) => one.name),
    )
  })
  app.openapi(pauseQueue, async (c) => {
    const { name: id } = c.req.valid('param')
    return sendJson({ id, changed: await queues.pause(id, given(c.req.valid('json') ?? {})) })
  })
  app.openapi(resumeQueue, async (c) => {
    const { name: id } = c.req.valid('param')
    return sendJson({ id, changed: await queues.resume(id) })
  })
}
