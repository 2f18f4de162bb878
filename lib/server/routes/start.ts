/** Starting a run: of a workflow by its name, or of a flow written as text. Whoever asks may wait for the result. */
import { createRoute, z } from '@hono/zod-openapi'
import { GraflowError } from '../../errors.js'
import type { Run as Handle, RunOptions } from '../../producer/types.js'
import { flowOfText } from '../flow-text.js'
import { asReused } from '../kept-answers.js'
import { access, answers, BeginKeyHeader, begunOnce, given, leftOf, sendJson, type ServerApp } from '../route.js'
import { checkStart } from '../start-input.js'
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
      'Workers drive it. With an `Idempotency-Key` (or `idempotencyKey` in the body) it is started once: a repeat with the same flow and input gives the run that there is, and KEY_REUSED with others. A known `id` gives its run, and RUN_EXISTS for another flow or input.',
    ...access('operate'),
  },
  request: {
    query: z.object({
      wait: z.coerce.number().int().min(0).max(MOST_WAIT_MS).optional().openapi({
        description: 'Milliseconds that the answer waits for the end of the run, to bring the result or error.',
        example: 5_000,
      }),
    }),
    headers: BeginKeyHeader,
    body: { required: true, content: { 'application/json': { schema: StartRequest } } },
  },
  responses: answers(
    { 201: ['The run, with its result or error where it was waited for and is over.', Started] },
    404,
    409,
    413,
    415,
    422,
    501,
  ),
})

/**
 * Opens a run.
 * @throws GraflowError INVALID_OPTION, WORKFLOW_NOT_FOUND, FLOW_SYNTAX, UNKNOWN_NAME, RUN_EXISTS, INVALID_INPUT, …
 */
async function startOf({ graflow, session }: ServerServices, body: StartBody, key?: string): Promise<Handle<unknown>> {
  const { workflow, flow, input: plain, types, idempotencyKey: _, ...options } = body
  const input = types === undefined ? plain : typedInput(plain, types)
  if ((workflow === undefined) === (flow === undefined)) {
    const got = workflow === undefined ? 'neither' : 'both'
    throw new GraflowError('INVALID_OPTION', `body: expected workflow (a name) or flow (a text), got ${got}`, {
      details: { option: 'workflow' },
    })
  }
  const runOptions: RunOptions = { ...given(options), ...(key !== undefined && { idempotencyKey: key }) }
  const node = workflow ?? (await flowOfText(session, flow))
  await checkStart(session, node, input, runOptions)
  try {
    return await graflow.submit(node as never, input as never, runOptions) // its name or text says what it takes
  } catch (error) {
    throw asReused(error, key, options.id)
  }
}

/** The key of a start: of the header, or of the body. @throws GraflowError INVALID_OPTION where these are two */
function keyOf(header: string | undefined, { idempotencyKey: key }: StartBody): string | undefined {
  if (header === undefined || key === undefined || header === key) return header ?? key
  throw new GraflowError(
    'INVALID_OPTION',
    'idempotencyKey: expected the one of the header idempotency-key, got another',
    {
      details: { option: 'idempotencyKey' },
    },
  )
}

export function addStartRoutes(app: ServerApp, services: ServerServices): void {
  app.openapi(startRun, async (c) => {
    const { wait = 0 } = c.req.valid('query')
    const body = c.req.valid('json')
    const { workflow, flow, input, types } = body
    const key = keyOf(c.req.valid('header')['idempotency-key'], body)
    const { begun: id, headers } = await begunOnce(c, key, { workflow, flow, input, types }, async (other) => {
      if (other === undefined) return (await startOf(services, body, key)).id
      // the same in other words, such as a flow with other spaces: the store says so by the run, as long as there is one
      if ((await services.session.store.inspect.run(other.begun)) === undefined) return other.refuse()
      const run = await startOf(services, body, key).catch((error: unknown) => {
        if (error instanceof GraflowError && error.code === 'RUN_EXISTS') return other.refuse()
        throw error
      })
      return run.id
    })
    const record = await endOfRun(services, id, wait, leftOf(c))
    return sendJson(startedRun(record), 201, { ...headers, location: `/api/v1/runs/${encodeURIComponent(id)}` })
  })
}
