/** Commands on all runs that match a filter, in the background: any server tells how far one has come. */
import { createRoute, z } from '@hono/zod-openapi'
import { BULK_ACTIONS, type BulkJob, BulkJobs } from '../bulk-jobs.js'
import {
  access,
  answers,
  BeginKeyHeader,
  command,
  given,
  KeyHeader,
  leftOf,
  REPLAYED,
  requireScope,
  sendJson,
  type ServerApp,
} from '../route.js'
import { Changed, listed, RUN_FILTER, RunState, Why } from '../schemas.js'
import type { ServerServices } from '../services.js'

const about = { tags: ['runs'] }
/** A short command is over by then. */
const WAIT_MS = 5_000
const JobId = z.object({
  id: z
    .string()
    .min(1)
    .max(512)
    .openapi({ param: { name: 'id', in: 'path' } }),
})
const Job = z
  .object({
    id: z.string(),
    action: z.enum(BULK_ACTIONS),
    filter: z.record(z.string(), z.unknown()),
    status: z.enum(['running', 'done', 'failed', 'stopped']),
    done: z.int().openapi({ description: 'Runs for which something was done.' }),
    matched: z.int().openapi({ description: 'Runs that matched so far.' }),
    failed: z.int().openapi({ description: 'Of them, those that met an error and are left as they were.' }),
    createdAt: z.iso.datetime(),
    endedAt: z.iso.datetime().optional(),
    reason: z.string().optional(),
    error: z.string().optional(),
  })
  .openapi('BulkJob')
const Counted = z
  .object({ action: z.enum(BULK_ACTIONS), matched: z.int(), isMore: z.boolean(), dryRun: z.literal(true) })
  .openapi('BulkCount')

const startBulk = createRoute({
  ...{
    ...about,
    method: 'post',
    path: '/api/v1/runs/bulk',
    summary: 'Retries, cancels or deletes all runs that match.',
  },
  ...access('operate'),
  description:
    'The filter must name something. The command goes on in the background, also when its server ends: another one takes it over. `delete` needs a key with the scope admin. `dryRun` only counts. Repeated with the same `Idempotency-Key` it is the command that there is.',
  request: {
    headers: BeginKeyHeader,
    query: z.object({
      wait: z.coerce
        .number()
        .int()
        .min(0)
        .max(60_000)
        .optional()
        .openapi({ description: 'Milliseconds that the answer waits for the end. Default: 5000.' }),
    }),
    body: {
      required: true,
      content: {
        'application/json': {
          schema: z
            .strictObject({
              action: z.enum(BULK_ACTIONS),
              filter: z.strictObject({
                state: listed(RunState).openapi({ type: 'array', items: { type: 'string' } }),
                why: listed(Why).openapi({ type: 'array', items: { type: 'string' } }),
                ...RUN_FILTER,
              }),
              reason: z.string().max(4_096).optional().openapi({ description: 'Of `cancel`.' }),
              dryRun: z.boolean().optional(),
            })
            .openapi('BulkRequest'),
        },
      },
    },
  },
  responses: answers(
    { 200: ['With `dryRun`: how many match.', Counted], 202: ['The command, as far as it has come.', Job] },
    409,
    415,
  ),
})
const listJobs = createRoute({
  ...{ ...about, method: 'get', path: '/api/v1/bulk-jobs', summary: 'Commands on many runs, the newest first.' },
  ...access('read'),
  responses: answers({ 200: ['Those of the last day.', z.object({ items: z.array(Job) })] }),
})
const getJob = createRoute({
  ...{ ...about, method: 'get', path: '/api/v1/bulk-jobs/{id}', summary: 'How far one has come.', ...access('read') },
  request: { params: JobId },
  responses: answers({ 200: ['The command.', Job] }, 404),
})
const stopJob = createRoute({
  ...{ ...about, method: 'post', path: '/api/v1/bulk-jobs/{id}/stop', summary: 'Ends one; what was done stays done.' },
  ...command('operate'),
  request: { params: JobId, headers: KeyHeader },
  responses: answers({ 200: ['False where it was over.', Changed] }, 404, 409),
})

const shown = ({ owner: _, cursor: __, ...job }: BulkJob): object => job

export function addBulkRoutes(app: ServerApp, services: ServerServices): void {
  const jobs = new BulkJobs(services)
  services.closing.addEventListener('abort', () => {
    jobs.close()
  })
  app.openapi(startBulk, async (c) => {
    const { action, filter, reason, dryRun = false } = c.req.valid('json')
    if (dryRun) return sendJson({ action, ...(await jobs.count(action, given(filter))), dryRun })
    if (action === 'delete') requireScope(c, 'admin')
    const { 'idempotency-key': key } = c.req.valid('header')
    const { id, isRepeat } = await jobs.start(action, given(filter), reason, key)
    return sendJson(shown(await jobs.settled(id, c.req.valid('query').wait ?? WAIT_MS, leftOf(c))), 202, {
      ...(isRepeat && REPLAYED),
      location: `/api/v1/bulk-jobs/${id}`,
    })
  })
  app.openapi(listJobs, async () => sendJson({ items: (await jobs.list()).map(shown) }))
  app.openapi(getJob, async (c) => sendJson(shown(await jobs.get(c.req.valid('param').id))))
  app.openapi(stopJob, async (c) => {
    const { id } = c.req.valid('param')
    return sendJson({ id, changed: await jobs.stop(id) })
  })
}
