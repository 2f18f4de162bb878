/** The deployment as a whole: which processes there are, which pipelines are where; and taking a worker off the list. */
import { createRoute, z } from '@hono/zod-openapi'
import { GraflowError } from '../../errors.js'
import { access, answers, command, KeyHeader, sendJson, type ServerApp } from '../route.js'
import type { ServerServices } from '../services.js'
import { Group, shown } from './pipeline-groups.js'

const Node = z
  .object({
    id: z.string(),
    session: z.string(),
    role: z.string().openapi({ description: '`auto`, `worker`, `leader` or `observer`.' }),
    state: z.string().openapi({ description: '`stale` and `dead`: it is lost.' }),
    hostname: z.string(),
    isLeader: z.boolean(),
    seenAt: z.iso.datetime(),
    heartbeatAgeMs: z.int().openapi({ description: 'Since its last sign of life, by the clock of the store.' }),
    inFlight: z.int().openapi({ description: 'Branches that it holds.' }),
    drives: z.int().openapi({ description: 'Runs that it drives.' }),
    pipelines: z
      .array(z.string())
      .openapi({ description: 'Placed on it: the id of the group, a slash, the pipeline.' }),
  })
  .openapi('TopologyNode')
const getTopology = createRoute({
  ...{ method: 'get', path: '/api/v1/cluster/topology', tags: ['cluster'], ...access('read') },
  summary: 'Workers with the age of their last heartbeat, pipeline groups with their routes, and what is placed where.',
  responses: answers({
    200: [
      'At most 1000 workers and 200 groups; their lists have all.',
      z.object({ nodes: z.array(Node), groups: z.array(Group), leader: z.string().nullable() }).openapi('Topology'),
    ],
  }),
})
const deleteWorker = createRoute({
  ...{ method: 'delete', path: '/api/v1/cluster/workers/{id}', tags: ['cluster'], ...command('admin') },
  summary: 'Takes a worker off the list.',
  description: 'One that was lost is forgotten. One that lives is asked to leave, and goes off the list when it has.',
  request: {
    headers: KeyHeader,
    params: z.object({
      id: z
        .string()
        .min(1)
        .max(512)
        .openapi({ param: { name: 'id', in: 'path' }, example: 'worker-1' }),
    }),
  },
  responses: answers(
    {
      202: ['It lives, and was asked to leave.', z.object({ id: z.string(), state: z.literal('draining') })],
      204: ['It was lost, and is forgotten.'],
    },
    404,
  ),
})

export function addTopologyRoutes(app: ServerApp, { graflow }: ServerServices): void {
  app.openapi(getTopology, async () => {
    const { nodes, groups, leader = null } = await graflow.deployments.topology()
    return sendJson({ nodes, groups: groups.map(shown), leader })
  })
  app.openapi(deleteWorker, async (c) => {
    const { id } = c.req.valid('param')
    const answer = await graflow.workers.delete(id)
    if (answer === 'draining') return sendJson({ id, state: answer }, 202)
    if (answer === 'forgotten') return c.body(null, 204)
    const fault = `no worker is called "${id}", or it was lost over a day ago`
    throw new GraflowError('WORKER_NOT_FOUND', fault, { details: { worker: id } })
  })
}
