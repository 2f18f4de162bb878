/** The time of a run, as a report, as a timeline that people zoom into, and branch by branch. */
import { createRoute, z } from '@hono/zod-openapi'
import { TimelineReader } from '../../admin/timeline.js'
import { runNotFound } from '../../producer/handle-services.js'
import { GraflowError } from '../../errors.js'
import { access, answers, given, sendJson, type ServerApp } from '../route.js'
import { NodePath, RunId } from '../schemas.js'
import type { ServerServices } from '../services.js'

const ms = z.coerce.number().min(0).max(Number.MAX_SAFE_INTEGER)

const Timeline = z
  .object({
    id: z.string(),
    state: z.string(),
    createdAt: z.number().openapi({ description: 'Milliseconds since the epoch; all other times are since then.' }),
    end: z.number(),
    isOver: z.boolean(),
    revision: z.string(),
    workers: z.array(z.string()),
    window: z.object({ from: z.number(), to: z.number(), lanes: z.array(z.object({ worker: z.int() }).loose()) }),
    groups: z.array(z.object({ path: z.string() }).loose()).optional(),
    steps: z.array(z.object({ path: z.string() }).loose()).optional(),
    critical: z.array(z.object({ path: z.string() }).loose()).optional(),
    running: z.array(z.object({ path: z.string() }).loose()).optional(),
    notes: z.array(z.string()).optional(),
  })
  .openapi('Timeline')

const readTimeline = createRoute({
  ...{
    method: 'get',
    path: '/api/v1/runs/{id}/timeline',
    tags: ['runs'],
    summary: 'The time of a run by workers: of a window a lane each, with branches or with bins of equal width.',
    ...access('read'),
  },
  request: {
    params: RunId,
    query: z.object({
      from: ms.optional().openapi({ description: 'Milliseconds since the creation of the run. Default: all of it.' }),
      to: ms.optional(),
      bins: z.coerce.number().int().min(16).max(600).optional().openapi({ description: 'Bins of a lane.' }),
    }),
  },
  responses: answers({ 200: ['Groups, steps and the critical path are left out with `from` or `to`.', Timeline] }, 404),
})

const Branches = z
  .object({
    items: z.array(z.object({ index: z.int(), path: z.string(), task: z.string(), status: z.string() }).loose()),
    total: z.int(),
  })
  .openapi('Branches')

const listBranches = createRoute({
  ...{
    method: 'get',
    path: '/api/v1/runs/{id}/branches',
    tags: ['runs'],
    summary: 'Branches of a group that have ended, with their times, workers and errors.',
    ...access('read'),
  },
  request: {
    params: RunId,
    query: z.object({
      path: NodePath.default(''),
      only: z.enum(['succeeded', 'failed', 'dead', 'cancelled', 'skipped', 'again', 'slow']).optional(),
      index: z.coerce.number().int().min(0).optional().openapi({ description: 'Only this branch.' }),
      limit: z.coerce.number().int().min(1).max(200).optional(),
      skip: z.coerce.number().int().min(0).optional(),
    }),
  },
  responses: answers({ 200: ['A part of those that match, and how many these are.', Branches] }, 404),
})

export function addTimelineRoutes(app: ServerApp, { session, clock }: ServerServices): void {
  const reader = new TimelineReader({ backend: session.backend, engine: session.engine }, clock)
  app.openapi(readTimeline, async (c) => {
    const { id } = c.req.valid('param')
    const { from, to, bins } = c.req.valid('query')
    if (from !== undefined && to !== undefined && to < from)
      throw new GraflowError('INVALID_OPTION', `query: to: expected at least from (${from}), got ${to}`, {
        details: { option: 'to' },
      })
    const found = await reader.read(id, given({ from, to, bins }))
    if (found === undefined) throw runNotFound(id)
    return sendJson(found)
  })
  app.openapi(listBranches, async (c) => {
    const { id } = c.req.valid('param')
    const { path, ...query } = c.req.valid('query')
    const found = await reader.branches(id, { path, ...given(query) })
    if (found === undefined && (await session.backend.inspect.run(id)) === undefined) throw runNotFound(id)
    if (found === undefined)
      throw new GraflowError('RESULT_NOT_FOUND', `run ${id} has no group at "${path}" whose outcomes are kept`, {
        details: { runId: id, path },
      })
    return sendJson(found)
  })
}
