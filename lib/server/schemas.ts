/** What requests and answers of several routes have in common, as zod schemas: they check requests, and the OpenAPI document is made of them. */
import { z } from '@hono/zod-openapi'
import { RUN_STATES } from '../events.js'
import { RUN_OPTIONS } from '../options.js'
import { WAIT_REASONS } from '../producer/wait-reasons.js'

/** Longer ids are of nothing; what they may be made of is checked where something is started. */
const MOST_ID = 512
const MOST_PATH = 4_096
const MOST_WORDS = 256

export const RunId = z.object({
  id: z
    .string()
    .min(1)
    .max(MOST_ID)
    .openapi({ param: { name: 'id', in: 'path' }, description: 'The id of a run.', example: 'user:42' }),
})

/** A path in a run, of a node of its flow. */
export const NodePath = z
  .string()
  .max(MOST_PATH)
  .openapi({ description: 'A path in the run, such as `1/0`; empty: the run itself.', example: '1/0' })

export const RunState = z.enum(RUN_STATES).openapi('RunState')
const AnyDate = z.iso.datetime({ offset: true })

/** An error; in lists without its stack and causes. */
export const ErrorSchema = z
  .object({ name: z.string(), message: z.string(), code: z.string().optional(), stack: z.string().optional() })
  .loose()
  .openapi('Error')

export const Run = z
  .object({
    id: z.string(),
    state: RunState,
    tags: z.array(z.string()),
    createdAt: AnyDate,
    startedAt: AnyDate.optional(),
    endedAt: AnyDate.optional(),
    workflow: z.string().optional(),
    driver: z.string().optional(),
    retries: z.int(),
    build: z.string().optional(),
    priority: z.int().optional(),
    queue: z.string().optional(),
    error: ErrorSchema.optional(),
    done: z.int().optional().openapi({ description: 'Of a run that is not over: steps and branches that are.' }),
    failed: z.int().optional().openapi({ description: 'Of these, branches that failed.' }),
    total: z.int().optional(),
  })
  .openapi('Run')

export const Wait = z
  .object({
    runId: z.string(),
    workflow: z.string().optional(),
    path: z.string(),
    task: z.string().optional(),
    count: z.int(),
    since: AnyDate,
    label: z.string().optional(),
    why: z.string(),
    details: z.record(z.string(), z.unknown()),
    prompt: z.record(z.string(), z.unknown()).optional(),
  })
  .openapi('Wait')

export const RunStatus = z
  .object({
    id: z.string(),
    state: RunState,
    workflow: z.string().optional(),
    createdAt: AnyDate,
    startedAt: AnyDate.optional(),
    endedAt: AnyDate.optional(),
    tags: z.array(z.string()),
    driver: z.string().optional(),
    retries: z.int(),
    done: z.int(),
    withdrawn: z.int(),
    total: z.int(),
    steps: z.array(z.object({ path: z.string(), task: z.string(), state: z.string(), attempt: z.int() }).loose()),
    groups: z.array(z.object({ path: z.string(), state: z.string(), width: z.int() }).loose()),
    progress: z.array(
      z.object({ path: z.string(), task: z.string(), label: z.string().optional(), fraction: z.number() }).loose(),
    ),
    waits: z.array(Wait),
    byHand: z.array(z.object({ path: z.string(), label: z.string().optional(), as: z.string(), at: AnyDate })),
    error: ErrorSchema.optional(),
  })
  .openapi('RunStatus')

/** Whether a command has done something: repeating one is safe, and changes nothing. */
export const Changed = z
  .object({
    id: z.string().openapi({ description: 'What the command was for.' }),
    changed: z.boolean().openapi({ description: 'False where it was so already, or cannot be any more.' }),
  })
  .openapi('Changed')

/** A list: in a query given several times, or with commas. */
export const listed = <T extends z.ZodType>(item: T) => z.preprocess(split, z.array(item).min(1).max(64).optional())

function split(value: unknown): unknown {
  const all: readonly unknown[] = Array.isArray(value) ? value : [value]
  const isText = (one: unknown): one is string => typeof one === 'string'
  return all.every(isText) ? all.flatMap((one) => one.split(',').filter((text) => text !== '')) : value
}

const NotATime = 'expected an ISO date such as 2026-11-30T12:00:00Z, or milliseconds since the epoch'
const MOST_MS = 8.64e15

/** A time: an ISO date, or milliseconds since the epoch. Gives milliseconds. */
export const Time = z
  .union([z.number(), z.string().max(64)])
  .transform((value, context) => {
    const ms = typeof value === 'number' ? value : /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : Date.parse(value)
    if (Number.isFinite(ms) && Math.abs(ms) <= MOST_MS) return ms
    context.addIssue({ code: 'custom', message: NotATime })
    return z.NEVER
  })
  .openapi({ type: 'string', description: NotATime.replace('expected an', 'An'), example: '2026-11-30T12:00:00Z' })

/** Which runs: what is given must all hold. */
export const RUN_FILTER = {
  workflow: z.string().min(1).max(MOST_ID).optional(),
  tag: z.string().min(1).max(MOST_ID).optional(),
  build: z.string().min(1).max(MOST_ID).optional(),
  since: Time.optional().openapi({ type: 'string', description: 'Created then or later.' }),
  until: Time.optional().openapi({ type: 'string', description: 'Created before.' }),
  error: z.string().min(1).max(MOST_WORDS).optional().openapi({
    description: 'Ended with an error that has this code or name, or with one that it caused.',
    example: 'TIMEOUT',
  }),
  message: z.string().min(1).max(MOST_WORDS).optional().openapi({
    description: 'Ended with an error whose message, or that of one of its causes, has these words, in any case.',
    example: 'connection refused',
  }),
}
/** Why something waits. */
export const Why = z.enum(WAIT_REASONS)

/** What a run is started with, beside its flow and input. */
export const START_OPTIONS = {
  id: z.string().optional().openapi({ description: RUN_OPTIONS.id.help }),
  idempotencyKey: z.string().optional().openapi({ description: 'As the header `Idempotency-Key`.' }),
  tags: z.array(z.string()).optional(),
  timeoutMs: z.int().optional().openapi({ description: RUN_OPTIONS.timeoutMs.help }),
  priority: z.int().optional(),
  queue: z.string().optional(),
  ifLost: z.enum(['take-over', 'abandon']).optional(),
  pin: z.boolean().optional(),
  durability: z.enum(['async', 'fsync', 'replica']).optional(),
}
