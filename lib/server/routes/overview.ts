/** What the dashboard asks first: which server this is and what its key may do; and the last hour of the store. */
import { createRoute, z } from '@hono/zod-openapi'
import { LastHour } from '../last-hour.js'
import { access, answers, sendJson, type ServerApp } from '../route.js'
import { SCOPES } from '../scopes.js'
import type { ServerServices } from '../services.js'

const Server = z
  .object({
    keyPrefix: z.string(),
    store: z.object({
      kind: z.enum(['redis', 'embedded']),
      address: z.string().optional().openapi({ description: 'Host, port and database; never a password.' }),
    }),
    key: z.object({ scope: z.enum(SCOPES) }).openapi({ description: 'What the key of the request may do.' }),
  })
  .openapi('Server')

const minute = z.array(z.number().nullable())
const Overview = z
  .object({
    now: z.iso.datetime().openapi({ description: 'By the clock of the store.' }),
    minutes: z
      .object({ started: minute, completed: minute, failed: minute, cancelled: minute, oldestMs: minute })
      .openapi({
        description:
          'The last hour: a number a minute, the newest last; null where nothing is known of it. A run that is retried is started, and ends, once more.',
      }),
    memory: z.object({ usedBytes: z.number(), limitBytes: z.number().optional() }),
  })
  .openapi('Overview')

const getServer = createRoute({
  ...{
    method: 'get',
    path: '/api/v1/server',
    tags: ['ops'],
    summary: 'Which server this is, and what the key may do.',
    ...access('read'),
  },
  responses: answers({ 200: ['The server.', Server] }),
})

const getOverview = createRoute({
  ...{
    method: 'get',
    path: '/api/v1/overview',
    tags: ['ops'],
    summary: 'Runs of the last hour by the minute, and the memory of the store.',
    ...access('read'),
  },
  responses: answers({ 200: ['The last hour.', Overview] }),
})

/** Routes of the dashboard's first page. */
export function addOverviewRoutes(app: ServerApp, services: ServerServices): void {
  const { session, keyPrefix, address } = services
  const hour = new LastHour(services)
  app.openapi(getServer, (c) =>
    sendJson({
      keyPrefix,
      store: address === undefined ? { kind: 'embedded' } : { kind: 'redis', address },
      key: { scope: c.get('scope') },
    }),
  )
  app.openapi(getOverview, async () => {
    const minutes = await hour.minutes()
    const { now, bytes } = await session.store.inspect.totals()
    const memory = { usedBytes: bytes.used, ...(bytes.limit !== undefined && { limitBytes: bytes.limit }) }
    return sendJson({ now: new Date(now), minutes, memory })
  })
}
