/** Starting a run: of a workflow by its name, or of a flow written as text. Whoever asks may wait for the result. */
import { createRoute, z } from '@hono/zod-openapi'
import { GraflowError } from '../../errors.js'
import { RUN_OPTIONS } from '../../options.js'
import type { Run as Handle, RunOptions } from '../../producer/types.js'
import { flowOfText } from '../flow-text.js'
import { access, answers, given, sendJson, type ServerApp } from '../route.js'
import { endOfRun, MOST_WAIT_MS, startedRun } from '../run-ends.js'
import { ErrorSchema, RunState, START_OPTIONS } from '../schemas.js'
import { typedInput } from '../typed-input.js'
import type { ServerServices } from '../services.js'

/** What is started: one of the two, with its input. */
export const StartRequest = z
  .strictObject({
    workflow: z.string().optional().openapi({ description: 'The name of a workflow that workers have registered.' }),
    flow: z.string().optional().openapi({
      description: 'A flow as text over tasks that live workers know.',
      example: 'ingest >> (a | b) >> store',
    }),
    input: z.unknown().optional().openapi({ description: 'Any JSON. Absent: no input.' }),
    types: z
      .record(z.string(), z.string())
      .optional()
      .openapi({ description: 'What JSON cannot say of the input, by JSON pointer, as `values` of a run tells it.' }),
    ...START_OPTIONS,
  })
  .openapi('StartRequest')
export type StartBody = z.infer<typeof StartRequest>

const Started = z
  .object({
    id: z.string(),
    state: RunState,
    result: z.unknown().optional().openapi({ description: 'With `wait`, of a run that has completed by then.' }),
    error: ErrorSchema.optional(),
    types: z
      .record(z.string(), z.string())
      .optional()
      .openapi({ description: 'What JSON cannot say of the result, by JSON pointer: `Date`, `bigint`, `Map`, …' }),
    truncated: z.boolean().optional(),
  })
  .openapi('Started')

const startRun = createRoute({
  ...{
    method: 'post',
    path: '/api/v1/runs',
    tags: ['runs'],
    summary: 'Starts a run.',
    description:
      'Workers drive it. Repeating it with the same `Idempotency-Key` (or `idempotencyKey`, or `id`), flow and input gives the run that there is, however often it is asked for; with others, RUN_EXISTS.',
    ...access('operate'),
  },
  request: {
    query: z.object({
      wait: z.coerce.number().int().min(0).max(MOST_WAIT_MS).optional().openapi({
        description: 'Milliseconds that the answer waits for the end of the run, to bring the result or error.',
        example: 5_000,
      }),
    }),
    headers: z.object({
      'idempotency-key': z.string().optional().openapi({ description: RUN_OPTIONS.idempotencyKey.help }),
    }),
    body: { required: true, content: { 'application/json': { schema: StartRequest } } },
  },
  responses: answers(
    { 201: ['The run, with its result or error where it was waited for and is over.', Started] },
    404,
    409,
    413,
    415,
    422,
  ),
})

/**
 * Opens a run.
 * @throws GraflowError INVALID_OPTION, WORKFLOW_NOT_FOUND, FLOW_SYNTAX, UNKNOWN_NAME, RUN_EXISTS, INVALID_INPUT, …
 */
async function startOf({ graflow, session }: ServerServices, body: StartBody, key?: string): Promise<Handle<unknown>> {
  const { workflow, flow, input: plain, types, ...options } = body
  const input = types === undefined ? plain : typedInput(plain, types)
  if ((workflow === undefined) === (flow === undefined)) {
    const got = workflow === undefined ? 'neither' : 'both'
    throw new GraflowError('INVALID_OPTION', `body: expected workflow (a name) or flow (a text), got ${got}`, {
      details: { option: 'workflow' },
    })
  }
  const runOptions: RunOptions = { ...given(options), ...(key !== undefined && { idempotencyKey: key }) }
  if (workflow !== undefined) return graflow.submit(workflow, input, runOptions)
  return graflow.submit(await flowOfText(session, flow), input as never, runOptions) // the text says what it takes
}

export function addStartRoutes(app: ServerApp, services: ServerServices): void {
  app.openapi(startRun, async (c) => {
    const { wait = 0 } = c.req.valid('query')
    const run = await startOf(services, c.req.valid('json'), c.req.valid('header')['idempotency-key'])
    const record = await endOfRun(services, run.id, wait, c.req.raw.signal)
    return sendJson(startedRun(record), 201, { location: `/api/v1/runs/${encodeURIComponent(run.id)}` })
  })
}
