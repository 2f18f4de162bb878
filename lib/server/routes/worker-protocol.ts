/**
 * The worker protocol over HTTP: workers in any language, without credentials of the store. docs/guides/workers-in-other-languages.md has it from the
 * worker's side.
 */
import { createRoute, z } from '@hono/zod-openapi'
import { GraflowError, type ErrorCode } from '../../errors.js'
import { checkName } from '../../flow/names.js'
import { CONNECT_OPTIONS, DEFAULT_QUEUE, RUNS_QUEUE } from '../../options.js'
import { RemoteWorkers, type Registration } from '../remote-workers/remote-workers.js'
import type { RemoteReport, ReportAnswer } from '../remote-workers/remote-tasks.js'
import { access, answers, leftOf, sendJson, type ServerApp } from '../route.js'
import type { ServerServices } from '../services.js'

const DEFAULT_LEASE_MS = 15_000
const LEAST_LEASE_MS = 1_000
const MOST_LEASE_MS = 3_600_000
const DEFAULT_WAIT_MS = 10_000
const MOST_WAIT_MS = 60_000
/** Tasks in one call. */
const MOST_TASKS = 256

const Token = z.string().min(1).max(8_192).openapi({ description: 'The token that came with the task.' })
const Tokens = z
  .array(Token)
  .max(MOST_TASKS)
  .openapi({ description: 'The tokens of all tasks that the worker has in hand.' })
const Names = z.array(z.string())

const RegisterBody = z
  .object({
    workerId: z
      .string()
      .optional()
      .openapi({ description: 'What people call it. Made up where it is left out.', example: 'py-1' }),
    tasks: Names.min(1)
      .max(1_000)
      .openapi({ description: 'The tasks that it runs.', example: ['resize'] }),
    queues: Names.min(1)
      .max(64)
      .optional()
      .openapi({ description: 'The queues that it serves: default where it is left out.' }),
    capabilities: Names.max(64)
      .optional()
      .openapi({ description: 'What tasks may require of it.', example: ['gpu'] }),
    leaseMs: z
      .int()
      .min(LEAST_LEASE_MS)
      .max(MOST_LEASE_MS)
      .optional()
      .openapi({
        description: `After so long without a call it is taken for lost: ${DEFAULT_LEASE_MS} where it is left out.`,
      }),
    hostname: z.string().max(255).optional(),
    pid: z.int().min(0).optional(),
    buildId: z
      .string()
      .regex(CONNECT_OPTIONS.buildId.pattern)
      .optional()
      .openapi({ description: 'The release that it is: it also takes what is pinned to that.' }),
    metadata: z.record(z.string().max(128), z.string().max(1_024)).optional().openapi({ description: 'For people.' }),
  })
  .openapi('RegisterWorker')

const Registered = z
  .object({
    id: z.string().openapi({ description: 'Stands in the path of all further calls. New with each registration.' }),
    workerId: z.string(),
    leaseMs: z.int(),
    heartbeatIntervalMs: z.int().openapi({ description: 'Call at least so often.' }),
  })
  .openapi('RegisteredWorker')

const Held = z
  .object({
    drain: z.boolean().openapi({
      description: 'Somebody wants the worker to leave: it takes nothing more, finishes what it has, and deregisters.',
    }),
    lost: z
      .array(z.object({ token: Token, why: z.enum(['withdrawn', 'reclaimed']), reason: z.string() }))
      .openapi({ description: 'Tasks that it named and does not have any more: it may stop them.' }),
  })
  .openapi('HeldTasks')

const Task = z
  .object({
    token: Token,
    task: z.string(),
    runId: z.string(),
    path: z.string(),
    index: z.int().optional().openapi({ description: 'Its item, in an each.' }),
    label: z.string().optional().openapi({ description: 'Of its item, where the each labels these.' }),
    attempt: z.int().openapi({ description: '1 + errors + losses.' }),
    fence: z.number().openapi({ description: 'Grows with every grant: outside systems may refuse a smaller one.' }),
    idempotencyKey: z.string().openapi({ description: 'The same for all attempts.' }),
    timeoutMs: z.int().optional(),
    traceparent: z.string().optional(),
    types: z.record(z.string(), z.string()).optional().openapi({
      description: 'What stands at a place of the input, by its JSON pointer, where JSON has no form for it.',
    }),
    input: z.unknown(),
  })
  .openapi('WorkerTask')

const Acquired = z
  .object({
    drain: z.boolean(),
    tasks: z.array(Task).openapi({ description: 'Empty when there was nothing for as long as it waited.' }),
  })
  .openapi('AcquiredTasks')

const WorkerError = z
  .object({
    message: z.string(),
    name: z.string().max(256).optional().openapi({ example: 'ValueError' }),
    stack: z.string().optional(),
    code: z.union([z.string(), z.number()]).optional(),
    retryable: z
      .boolean()
      .optional()
      .openapi({ description: 'False: no other start, whatever the task’s retry says.' }),
    details: z.record(z.string(), z.unknown()).optional(),
  })
  .openapi('WorkerError')

const reported = {
  token: Token,
  result: z.unknown().optional().openapi({ description: 'Any JSON.' }),
  error: WorkerError.optional(),
  release: z.boolean().optional().openapi({ description: 'True gives the task back, unspent.' }),
}
const Report = z.object(reported).superRefine(({ result, error, release }, context) => {
  const given = [result !== undefined && 'result', error !== undefined && 'error', release === true && 'release']
  const got = given.filter((one) => one !== false)
  if (got.length < 2) return
  const message = `expected one of result, error and release, got ${got.join(' and ')}`
  context.addIssue({ code: 'custom', path: [got[1] ?? ''], message })
})
const CompleteBody = z
  .union([Report, z.object({ tasks: z.array(Report).min(1).max(MOST_TASKS) })])
  .openapi('CompleteTasks')

const Ended = z
  .object({
    token: Token,
    state: z.enum(['succeeded', 'failed', 'retrying', 'released', 'repeated', 'refused']).openapi({
      description:
        'retrying: it failed, and is started again. repeated: the first report under this token counts, and this one changed nothing. refused: of several, what alone would be a 409.',
    }),
    code: z.string().optional(),
    detail: z.string().optional(),
  })
  .openapi('EndedTask')

const Note = z.object({
  token: Token,
  progress: z.object({ fraction: z.number().min(0).max(1), message: z.string().max(1_000).optional() }).optional(),
  log: z
    .array(z.object({ level: z.enum(['debug', 'info', 'warn', 'error']), message: z.string().max(8_192) }))
    .max(100)
    .optional(),
})
const ExtendBody = z.union([Note, z.object({ tasks: z.array(Note).min(1).max(MOST_TASKS) })]).openapi('ExtendTasks')

const BASE = '/api/v1/cluster/workers'
const params = z.object({
  id: z.string().max(300).openapi({ description: 'The id that registering answered.', example: 'py-1:2f0c8a4e' }),
})
const post = <const P extends string>(path: P, summary: string) => ({
  ...{ method: 'post' as const, path: `${BASE}${path}` as const, tags: ['worker protocol'], summary },
  ...access('operate'),
})
const body = <T extends z.ZodType>(schema: T) => ({ body: { content: { 'application/json': { schema } } } })

const register = createRoute({
  ...post('/register', 'Registers a worker.'),
  request: { body: { ...body(RegisterBody).body, required: true } },
  responses: answers({ 201: ['It is registered.', Registered] }, 413, 415),
})
const heartbeat = createRoute({
  ...post('/{id}/heartbeat', 'Renews the lease of a worker.'),
  request: { params, ...body(z.object({ inHand: Tokens.optional() }).openapi('WorkerHeartbeat')) },
  responses: answers({ 200: ['It is renewed.', Held] }, 404, 413, 415),
})
const acquire = createRoute({
  ...post('/{id}/acquire', 'Takes tasks, and waits for some where there are none. One call at a time.'),
  request: {
    params,
    ...body(
      z
        .object({
          max: z
            .int()
            .min(1)
            .max(MOST_TASKS)
            .optional()
            .openapi({ description: 'Tasks at most: 1 where it is left out.' }),
          waitMs: z
            .int()
            .min(0)
            .max(MOST_WAIT_MS)
            .optional()
            .openapi({
              description: `How long it waits, but no longer than heartbeatIntervalMs: ${DEFAULT_WAIT_MS} where it is left out.`,
            }),
          inHand: Tokens.optional(),
        })
        .openapi('AcquireTasks'),
    ),
  },
  responses: answers({ 200: ['Tasks.', Acquired] }, 404, 413, 415),
})
const extend = createRoute({
  ...post('/{id}/extend', 'Renews the lease of a worker, and says how far its tasks are.'),
  request: { params, body: { ...body(ExtendBody).body, required: true } },
  responses: answers({ 200: ['It is renewed.', Held] }, 404, 413, 415),
})
const complete = createRoute({
  ...post('/{id}/complete', 'Reports results. The first report under a token counts; repeating it is safe.'),
  request: { params, body: { ...body(CompleteBody).body, required: true } },
  responses: answers(
    {
      200: ['What became of the task; of several, of each.', z.union([Ended, z.object({ tasks: z.array(Ended) })])],
    },
    409,
    413,
    415,
  ),
})
const deregister = createRoute({
  ...post('/{id}/deregister', 'Ends a registration: what the worker has in hand is released, unspent.'),
  request: {
    params,
    ...body(z.object({ reason: z.string().max(1_000).optional() }).openapi('DeregisterWorker')),
  },
  responses: answers({ 200: ['It is gone.', z.object({ id: z.string(), changed: z.boolean() })] }, 404, 413, 415),
})

export function addWorkerProtocolRoutes(app: ServerApp, services: ServerServices): void {
  const { session, newId, closing } = services
  const remote = new RemoteWorkers(services)
  closing.addEventListener('abort', () => void remote.close(), { once: true })
  app.openapi(register, async (c) => {
    if (session.announcer === undefined) throw embedded()
    const given = c.req.valid('json')
    const registered = await remote.register(registrationOf(given, newId))
    return sendJson(registered, 201)
  })
  app.openapi(heartbeat, async (c) => {
    const { inHand } = c.req.valid('json')
    return sendJson(await remote.heartbeat(c.req.valid('param').id, inHand))
  })
  app.openapi(extend, async (c) => {
    const given = c.req.valid('json')
    const notes = 'tasks' in given ? given.tasks : [given]
    return sendJson(await remote.extend(c.req.valid('param').id, notes as Parameters<typeof remote.extend>[1])) // without what is undefined
  })
  app.openapi(acquire, async (c) => {
    const { max = 1, waitMs = DEFAULT_WAIT_MS, inHand = [] } = c.req.valid('json')
    const { tasks, drain } = await remote.acquire(c.req.valid('param').id, { max, waitMs, inHand }, leftOf(c))
    return sendJson({ drain, tasks })
  })
  app.openapi(complete, async (c) => {
    const given = c.req.valid('json')
    const isOne = !('tasks' in given)
    const reports = (isOne ? [given] : given.tasks) as readonly RemoteReport[] // without what is undefined
    const ends = await remote.complete(c.req.valid('param').id, reports)
    const [end] = ends
    if (!isOne || end === undefined) return sendJson({ tasks: ends.map(endOf) })
    if (end.state === 'refused') throw end.error
    return sendJson(endOf(end))
  })
  app.openapi(deregister, async (c) => {
    const { id } = c.req.valid('param')
    await remote.deregister(id, c.req.valid('json').reason ?? 'it deregistered')
    return sendJson({ id, changed: true })
  })
}

function endOf(end: ReportAnswer): object {
  const { error, ...rest } = end
  return { ...rest, ...(error !== undefined && { code: error.code satisfies ErrorCode, detail: error.message }) }
}

/** @throws GraflowError INVALID_NAME, INVALID_OPTION */
function registrationOf(given: z.infer<typeof RegisterBody>, newId: () => string): Registration {
  const {
    workerId = `http-${newId().slice(0, 8)}`,
    tasks,
    queues = [DEFAULT_QUEUE],
    capabilities = [],
    ...rest
  } = given
  const { leaseMs = DEFAULT_LEASE_MS, metadata = {}, hostname = 'unknown', pid = 0, buildId } = rest
  if (queues.includes(RUNS_QUEUE))
    throw new GraflowError(
      'INVALID_OPTION',
      `queues: expected queues of tasks, got ${RUNS_QUEUE}: a worker over HTTP runs single tasks and drives no run`,
      { details: { option: 'queues' } },
    )
  return {
    workerId: checkName('worker', workerId, 'workerId'),
    tasks: unique(tasks.map((name, i) => checkName('task', name, `tasks.${i}`))),
    queues: unique(queues.map((name, i) => checkName('queue', name, `queues.${i}`))),
    capabilities: unique(capabilities.map((name, i) => checkName('capability', name, `capabilities.${i}`))),
    ...{ leaseMs, metadata, hostname, pid },
    ...(buildId !== undefined && { buildId }),
  }
}

const unique = (names: readonly string[]): readonly string[] => [...new Set(names)]

const embedded = (): GraflowError =>
  new GraflowError(
    'NOT_AVAILABLE',
    'the store is in this process, which runs all tasks itself: workers over HTTP need a store in Redis (graflow serve --redis-url …)',
  )
