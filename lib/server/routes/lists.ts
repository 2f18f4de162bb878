/** What else there is to look at: what runs wait for, builds, workflows, workers and who leads. */
import { createRoute, z } from '@hono/zod-openapi'
import { GraflowError } from '../../errors.js'
import { access, answers, command, given, KeyHeader, pageOf, PageQuery, sendJson, type ServerApp } from '../route.js'
import { Changed, listed, Wait, Why } from '../schemas.js'
import type { ServerServices } from '../services.js'
import { plainValue } from '../typed-values.js'

const Build = z.object({ buildId: z.string(), workers: z.int(), runs: z.int() }).openapi('Build')
const Worker = z
  .object({
    id: z.string(),
    session: z.string(),
    role: z.string(),
    state: z.string(),
    hostname: z.string(),
    pid: z.int(),
    queues: z.union([z.array(z.string()), z.literal('all')]),
    capabilities: z.union([z.array(z.string()), z.literal('all')]),
    tasks: z.union([z.array(z.string()), z.literal('all')]),
    metadata: z.record(z.string(), z.string()),
    buildId: z.string().optional(),
    registeredAt: z.iso.datetime().optional(),
    seenAt: z.iso.datetime().openapi({ description: 'Its last sign of life.' }),
    inFlight: z.int().openapi({ description: 'Branches that it holds.' }),
    drives: z.int().openapi({ description: 'Runs that it drives.' }),
    isLeader: z.boolean(),
  })
  .openapi('Worker')
const WorkerId = z.object({
  id: z
    .string()
    .min(1)
    .max(512)
    .openapi({ param: { name: 'id', in: 'path' }, example: 'worker-1' }),
})

const listWaits = createRoute({
  ...{ method: 'get', path: '/api/v1/waits', tags: ['runs'], summary: 'Why runs stand still, the newest runs first.' },
  ...access('read'),
  request: {
    query: PageQuery.extend({
      why: listed(Why).openapi({
        ...{ type: 'string', description: 'A reason, or several with commas.', example: 'signal,timer' },
      }),
    }),
  },
  responses: answers({ 200: ['A page of waits.', pageOf(Wait)] }),
})
const listBuilds = createRoute({
  ...{ method: 'get', path: '/api/v1/builds', tags: ['cluster'], summary: 'Builds, and which runs still need them.' },
  ...access('read'),
  request: { query: PageQuery },
  responses: answers({ 200: ['A page of builds.', pageOf(Build)] }),
})
const listWorkers = createRoute({
  ...{
    method: 'get',
    path: '/api/v1/cluster/workers',
    tags: ['cluster'],
    summary: 'Workers, also those that were lost.',
  },
  ...access('read'),
  request: { query: PageQuery },
  responses: answers({ 200: ['A page of workers.', pageOf(Worker)] }),
})
const getWorker = createRoute({
  ...{ method: 'get', path: '/api/v1/cluster/workers/{id}', tags: ['cluster'], summary: 'One worker.' },
  ...access('read'),
  request: { params: WorkerId },
  responses: answers({ 200: ['The worker.', Worker] }, 404),
})
const drainWorker = createRoute({
  ...{ method: 'post', path: '/api/v1/cluster/workers/{id}/drain', tags: ['cluster'] },
  ...{ summary: 'Asks a worker to leave: it finishes what it has, and ends.', ...command('operate') },
  request: { params: WorkerId, headers: KeyHeader },
  responses: answers({ 200: ['Whether it was asked. Repeating it is safe.', Changed] }, 404, 409),
})
const getLeader = createRoute({
  ...{ method: 'get', path: '/api/v1/cluster/leader', tags: ['cluster'], summary: 'Who leads.', ...access('read') },
  responses: answers({
    200: [
      'The leader; null where nobody leads.',
      z.object({ leaderId: z.string(), session: z.string(), term: z.int() }).nullable().openapi('Leader'),
    ],
  }),
})

const noWorker = (id: string): GraflowError =>
  new GraflowError('WORKER_NOT_FOUND', `no worker is called "${id}", or it was lost over a day ago`, {
    details: { worker: id },
  })

export function addListRoutes(app: ServerApp, { graflow, session }: ServerServices): void {
  const { waits, builds, workers } = graflow
  app.openapi(listWaits, async (c) => {
    const { items, ...rest } = await waits.list(given(c.req.valid('query')))
    return sendJson({ items: items.map(plainValue), ...rest })
  })
  app.openapi(listBuilds, async (c) => sendJson(await builds.list(given(c.req.valid('query')))))
  app.openapi(listWorkers, async (c) => sendJson(await workers.list(given(c.req.valid('query')))))
  app.openapi(getWorker, async (c) => {
    const { id } = c.req.valid('param')
    const worker = await workers.get(id)
    if (worker === undefined) throw noWorker(id)
    return sendJson(worker)
  })
  app.openapi(drainWorker, async (c) => {
    const { id } = c.req.valid('param')
    if ((await workers.get(id)) === undefined) throw noWorker(id)
    return sendJson({ id, changed: await workers.drain(id) })
  })
  app.openapi(getLeader, async () => {
    const lead = await session.backend.inspect.lead()
    return sendJson(lead === undefined ? null : { leaderId: lead.leaderId, session: lead.session, term: lead.term })
  })
}
