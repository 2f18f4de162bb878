/** Runs: lists, one run, its flow, values, waits and report. What they answer is what `graflow.runs` answers. */
import { createRoute, z } from '@hono/zod-openapi'
import { runNotFound } from '../../producer/handle-services.js'
import { access, answers, given, PageQuery, pageOf, sendJson, type ServerApp } from '../route.js'
import { endsOfGroups } from '../run-changes.js'
import { RunProgressCache } from '../run-progress.js'
import { listed, NodePath, Run, RUN_FILTER, RunId, RunState, RunStatus, Wait, Why } from '../schemas.js'
import type { ServerServices } from '../services.js'
import { listedItems, plainFields, plainValue, typedValue } from '../typed-values.js'

const about = { tags: ['runs'] }
/** Groups of one run that are answered: of more the first and the last. */
const MOST_GROUPS = 1_600
const ofRun = (path: string): string => `/api/v1/runs/{id}${path}`

const listRuns = createRoute({
  ...{ ...about, method: 'get', path: '/api/v1/runs', summary: 'Runs, the newest first.', ...access('read') },
  request: {
    query: PageQuery.extend({
      state: listed(RunState).openapi({
        type: 'string',
        description: 'A state, or several with commas.',
        example: 'failed,cancelled',
      }),
      why: listed(Why).openapi({
        type: 'string',
        description: 'What they wait for now: a reason, or several with commas.',
        example: 'signal,timer',
      }),
      ...RUN_FILTER,
    }),
  },
  responses: answers({ 200: ['A page of runs.', pageOf(Run)] }),
})

const getRun = createRoute({
  ...{
    ...about,
    method: 'get',
    path: ofRun(''),
    summary: 'One run: its state, steps, groups and waits.',
    ...access('read'),
  },
  request: { params: RunId },
  responses: answers({ 200: ['The run.', RunStatus] }, 404),
})

const getGraph = createRoute({
  ...{
    ...about,
    method: 'get',
    path: ofRun('/graph'),
    summary: 'The flow of a run, as data or as a drawing.',
    ...access('read'),
  },
  request: {
    params: RunId,
    query: z.object({
      format: z.enum(['json', 'mermaid', 'svg']).optional().openapi({ description: 'Default: json.' }),
    }),
  },
  responses: answers(
    {
      200: [
        'Its hash, and its graph or drawing.',
        z
          .object({
            hash: z.string(),
            graph: z.record(z.string(), z.unknown()).optional(),
            mermaid: z.string().optional(),
            svg: z.string().optional(),
          })
          .openapi('RunGraph'),
      ],
    },
    404,
  ),
})

const getValues = createRoute({
  ...{
    ...about,
    method: 'get',
    path: ofRun('/values'),
    summary: 'What went into a step or branch, or came out.',
    ...access('read'),
  },
  request: {
    params: RunId,
    query: z.object({
      path: NodePath.optional(),
      which: z.enum(['input', 'output']).optional().openapi({ description: 'Default: output.' }),
    }),
  },
  responses: answers(
    {
      200: [
        'The value as JSON, and what JSON cannot say of it.',
        z
          .object({
            path: z.string(),
            which: z.enum(['input', 'output']),
            value: z.unknown(),
            types: z.record(z.string(), z.string()).openapi({
              description:
                'By JSON pointer: `Date`, `bigint`, `Map`, `Set`, `bytes`, `Error`, `number`, `undefined`, or `omitted` where it was too large.',
            }),
            truncated: z.boolean().optional(),
          })
          .openapi('RunValue'),
      ],
    },
    404,
    409,
    410,
  ),
})

const getWaits = createRoute({
  ...{ ...about, method: 'get', path: ofRun('/waits'), summary: 'Why a run stands still.', ...access('read') },
  request: { params: RunId },
  responses: answers({ 200: ['Its waits; none where it works, or is over.', z.object({ items: z.array(Wait) })] }, 404),
})

const getReport = createRoute({
  ...{
    ...about,
    method: 'get',
    path: ofRun('/report'),
    summary: 'A report of a run: data, or one page without network.',
    ...access('read'),
  },
  request: {
    params: RunId,
    query: z.object({ format: z.enum(['json', 'html']).optional().openapi({ description: 'Default: json.' }) }),
  },
  responses: answers(
    {
      200: [
        'The data of the report; with `format=html` the page, as the text `html`, to be saved as a file.',
        z.record(z.string(), z.unknown()).openapi('RunReport'),
      ],
    },
    404,
  ),
})

export function addRunRoutes(app: ServerApp, services: ServerServices): void {
  const { graflow } = services
  const { runs } = graflow
  const progress = new RunProgressCache(services)
  app.openapi(listRuns, async (c) => {
    const { items, cursor } = await runs.list(given(c.req.valid('query')))
    return sendJson({ items: listedItems(await progress.of(items)), ...(cursor !== undefined && { cursor }) })
  })
  app.openapi(getRun, async (c) => {
    const { id } = c.req.valid('param')
    const status = await runs.get(id)
    if (status === undefined) throw runNotFound(id)
    return sendJson(plainFields(endsOfGroups(status, MOST_GROUPS)))
  })
  app.openapi(getGraph, async (c) => {
    const { hash, graph, ...drawn } = await runs.graph(c.req.valid('param').id)
    const { format = 'json' } = c.req.valid('query')
    if (format === 'json') return sendJson({ hash, graph })
    return sendJson(format === 'svg' ? { hash, svg: drawn.toSvg() } : { hash, mermaid: drawn.toMermaid() })
  })
  app.openapi(getValues, async (c) => {
    const { path = '', which = 'output' } = c.req.valid('query')
    const value = await runs.value(c.req.valid('param').id, path, which)
    return sendJson({ path, which, ...typedValue(value) })
  })
  app.openapi(getWaits, async (c) => {
    const { id } = c.req.valid('param')
    return sendJson({ items: (await graflow.waits.of(id)).map(plainValue) })
  })
  app.openapi(getReport, async (c) => {
    const report = await runs.report(c.req.valid('param').id)
    return sendJson(c.req.valid('query').format === 'html' ? { html: report.toHtml() } : report.data)
  })
}
