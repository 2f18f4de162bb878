/** Groups of pipelines: deployed, looked at, fed with events and torn down. What is in a body is checked where the client checks it. */
import { createRoute, z } from '@hono/zod-openapi'
import { GraflowError } from '../../errors.js'
import type {
  Injection,
  PipelineDelivery,
  PipelineEvent,
  PipelineGroup,
  PipelineGroupSpec,
} from '../../producer/deployment-types.js'
import { runNotFound } from '../../producer/handle-services.js'
import { asReused } from '../kept-answers.js'
import {
  access,
  answers,
  BeginKeyHeader,
  begunOnce,
  command,
  given,
  KeyHeader,
  pageOf,
  PageQuery,
  sendJson,
  type ServerApp,
  untilLeft,
} from '../route.js'
import { ErrorSchema, RunState } from '../schemas.js'
import type { ServerServices } from '../services.js'
import { plainValue, typedValue } from '../typed-values.js'

/** The longest that a request waits for the runs of an event. */
const MOST_WAIT_MS = 300_000
const PATH = '/api/v1/cluster/pipeline-groups'

const Id = z.object({
  id: z
    .string()
    .min(1)
    .max(512)
    .openapi({ param: { name: 'id', in: 'path' }, description: 'The id of a pipeline group.', example: 'b1c2' }),
})

const PipelineInput = z
  .looseObject({
    name: z.unknown().optional().openapi({ type: 'string', example: 'ingest' }),
    source: z.unknown().optional().openapi({
      type: 'string',
      description: 'A flow as text over tasks that workers know, or the name of a workflow.',
      example: 'ingest >> (a | b) >> store',
    }),
    workerAffinity: z.unknown().optional().openapi({ type: 'string', description: 'Also `worker_affinity`.' }),
  })
  .openapi('PipelineSpec')
const RouteInput = z
  .looseObject({
    from: z
      .unknown()
      .optional()
      .openapi({ type: 'string', description: '`_external` or a pipeline. Also `from_pipeline`.' }),
    to: z.unknown().optional().openapi({ type: 'string', description: 'A pipeline. Also `to_pipeline`.' }),
    eventTypes: z
      .unknown()
      .optional()
      .openapi({
        ...{ type: 'array', items: { type: 'string' } },
        description: 'Exact, or with `*` for any characters, such as `Sensor*`. Also `event_types`.',
      }),
  })
  .openapi('PipelineRoute')
const GroupInput = z
  .looseObject({
    name: z.unknown().optional().openapi({ type: 'string', example: 'sensors' }),
    pipelines: z.array(PipelineInput).optional(),
    routes: z.array(RouteInput).optional(),
    placement: z
      .unknown()
      .optional()
      .openapi({ type: 'string', enum: ['round-robin', 'least-loaded'] }),
  })
  .openapi('PipelineGroupSpec')
const EventInput = z
  .looseObject({
    eventType: z
      .unknown()
      .optional()
      .openapi({ type: 'string', description: 'Also `event_type`.', example: 'SensorReading' }),
    fields: z.unknown().optional().openapi({ description: 'Any JSON: the input of the pipeline.' }),
  })
  .openapi('PipelineEvent')

const Placement = z.object({
  pipeline: z.string(),
  workerId: z.string().nullable().openapi({ description: 'Null where no worker lives that could drive it.' }),
  status: z.enum(['running', 'waiting']),
})
const GROUP = {
  id: z.string(),
  name: z.string(),
  status: z.enum(['running', 'degraded', 'waiting']),
  pipelineCount: z.int(),
  placements: z.array(Placement),
}
const Deployed = z.object(GROUP).openapi('DeployedPipelineGroup')
export const Group = z
  .object({
    ...GROUP,
    placement: z.string(),
    createdAt: z.iso.datetime(),
    pipelines: z.array(z.object({ name: z.string(), source: z.string(), workerAffinity: z.string().optional() })),
    routes: z.array(z.object({ from: z.string(), to: z.string(), eventTypes: z.array(z.string()) })),
  })
  .openapi('PipelineGroup')

const DELIVERY = {
  routedTo: z.string().openapi({ description: 'The pipeline that got it.' }),
  workerId: z.string().nullable().openapi({ description: 'The worker that drove its run, or is to.' }),
  runId: z.string(),
  state: RunState,
  result: z.unknown().optional().openapi({ description: 'What the pipeline gave; only where it is completed.' }),
  error: ErrorSchema.optional(),
  types: z.record(z.string(), z.string()).optional().openapi({ description: 'What JSON cannot say of the result.' }),
  truncated: z.boolean().optional(),
}
const Injected = z
  .object({
    ...DELIVERY,
    deliveries: z
      .array(z.object({ from: z.string(), eventType: z.string(), ...DELIVERY }))
      .optional()
      .openapi({ description: 'All pipelines that got it or one of its results, where that is more than one.' }),
  })
  .openapi('Injection')

const about = { tags: ['pipeline groups'] }
const json = (schema: z.ZodType) => ({ body: { required: true, content: { 'application/json': { schema } } } })

const deploy = createRoute({
  ...{ ...about, method: 'post', path: PATH, summary: 'Deploys a group of pipelines.', ...command('operate') },
  description: 'Repeating it is safe: the same group under the same name is the one that there is.',
  request: { ...json(GroupInput), headers: KeyHeader },
  responses: answers({ 201: ['The group, and where its pipelines are.', Deployed] }, 409, 413, 415),
})
const list = createRoute({
  ...{ ...about, method: 'get', path: PATH, summary: 'The groups of pipelines, by id.', ...access('read') },
  request: { query: PageQuery },
  responses: answers({ 200: ['A page of groups.', pageOf(Group)] }),
})
const get = createRoute({
  ...{ ...about, method: 'get', path: `${PATH}/{id}`, summary: 'One group of pipelines.', ...access('read') },
  request: { params: Id },
  responses: answers({ 200: ['The group.', Group] }, 404),
})
const tearDown = createRoute({
  ...{ ...about, method: 'delete', path: `${PATH}/{id}`, summary: 'Tears a group down.', ...command('admin') },
  description: 'No event is routed to it or through it any more; runs that are under way end by themselves.',
  request: { params: Id, headers: KeyHeader },
  responses: answers({ 204: ['It is torn down.'] }, 404, 409),
})
const inject = createRoute({
  ...{ ...about, method: 'post', path: `${PATH}/{id}/inject`, ...access('operate') },
  summary: 'Routes an event to the pipelines that take its type, and answers with their results.',
  description:
    'The answer is about the first pipeline; `deliveries` has all, where there are several. A pipeline that fails is told by its `state` and `error`.',
  request: {
    ...{ params: Id, ...json(EventInput) },
    query: z.object({
      wait: z.coerce.number().int().min(0).max(MOST_WAIT_MS).optional().openapi({
        description: 'Milliseconds that the answer waits for the end of all runs. Default: 30000.',
        example: 5_000,
      }),
    }),
    headers: BeginKeyHeader,
  },
  responses: answers({ 200: ['Where it went, and what came of it.', Injected] }, 404, 409, 413, 415, 422),
})

/** A group as JSON has it. */
export const shown = ({ placements, ...group }: PipelineGroup): object => ({
  ...group,
  placements: placements.map(({ pipeline, workerId, status }) => ({ pipeline, workerId: workerId ?? null, status })),
})

function deliveryOf({ routedTo, workerId, runId, state, result, error }: PipelineDelivery): object {
  const facts = { routedTo, workerId: workerId ?? null, runId, state }
  if (error !== undefined) return { ...facts, error: plainValue(error) }
  if (state !== 'completed') return facts
  const { value, types, truncated } = typedValue(result)
  const isPlain = Object.keys(types).length === 0
  return { ...facts, result: value, ...(!isPlain && { types }), ...(truncated === true && { truncated }) }
}

/** The documented answer; with all pipelines where that is more than one. */
const injectionOf = (injection: Injection): object => ({
  ...deliveryOf(injection),
  ...(injection.deliveries.length > 1 && {
    deliveries: injection.deliveries.map((one) => ({
      ...{ from: one.from, eventType: one.eventType },
      ...deliveryOf(one),
    })),
  }),
})

const notFound = (id: string): GraflowError =>
  new GraflowError('PIPELINE_GROUP_NOT_FOUND', `there is no pipeline group "${id}"`, { details: { group: id } })

export function addPipelineGroupRoutes(app: ServerApp, { graflow, closing }: ServerServices): void {
  const { deployments } = graflow
  closing.addEventListener('abort', deployments.carryOn())
  app.openapi(deploy, async (c) => {
    const body: unknown = c.req.valid('json')
    const group = await deployments.deploy(body as PipelineGroupSpec) // which looks at it field by field
    const { id, name, status, pipelineCount, placements } = shown(group) as z.infer<typeof Deployed>
    return sendJson({ id, name, status, pipelineCount, placements }, 201, { location: `${PATH}/${id}` })
  })
  app.openapi(list, async (c) => {
    const page = await deployments.list(given(c.req.valid('query')))
    return sendJson({ ...page, items: page.items.map(shown) })
  })
  app.openapi(get, async (c) => {
    const { id } = c.req.valid('param')
    const group = await deployments.get(id)
    if (group === undefined) throw notFound(id)
    return sendJson(shown(group))
  })
  app.openapi(tearDown, async (c) => {
    const { id } = c.req.valid('param')
    if (!(await deployments.delete(id))) throw notFound(id)
    return c.body(null, 204)
  })
  app.openapi(inject, async (c) => {
    const { wait, 'idempotency-key': idempotencyKey } = { ...c.req.valid('query'), ...c.req.valid('header') }
    const options = given({ waitMs: wait, idempotencyKey })
    const event: unknown = c.req.valid('json')
    const { id } = c.req.valid('param')
    const injected = (): Promise<Injection> =>
      untilLeft(c, closing, (signal) => deployments.inject(id, event as PipelineEvent, { ...options, signal })) // as above
    let first: Injection | undefined
    const { begun, headers } = await begunOnce(c, idempotencyKey, event, async (other) => {
      other?.refuse()
      first = await injected().catch((error: unknown) => {
        throw asReused(error, idempotencyKey)
      })
      return JSON.stringify(first.deliveries.map(({ runId }) => runId))
    })
    // a repeat finds the runs that there are, and starts none anew that was deleted
    if (first === undefined)
      for (const runId of JSON.parse(begun) as string[]) // as it was kept above
        if ((await graflow.runs.get(runId)) === undefined) throw runNotFound(runId)
    return sendJson(injectionOf(first ?? (await injected())), 200, headers)
  })
}
