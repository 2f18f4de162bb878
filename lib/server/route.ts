/**
 * How a route is declared: its scope, its schemas and its answers, once, for the check of keys, for validation and for the OpenAPI document. A
 * group of routes is a file in routes/ with a function `add…Routes(app, services)`.
 */
import type { Readable } from 'node:stream'
import type { OpenAPIHono, RouteConfig } from '@hono/zod-openapi'
import { z } from '@hono/zod-openapi'
import type { Context, MiddlewareHandler } from 'hono'
import { GraflowError } from '../errors.js'
import type { BegunByKey, BegunCommands } from './begun-commands.js'
import { type KeptAnswer, type KeptAnswers, type KeyedRequest, nonceOf } from './kept-answers.js'
import { plainOf } from './plain-json.js'
import { covers, type Scope } from './scopes.js'

/** What is known of a request before its route is looked for. */
export interface ServerEnv {
  Variables: {
    /** What its key may do. */
    scope: Scope
    /** Answers to commands with an Idempotency-Key. */
    answers: KeptAnswers
    /** What was begun by requests with one. */
    begun: BegunCommands
    /** What names the command to the store, where it has such a key. */
    nonce: string | undefined
  }
  Bindings: {
    incoming?: { readonly socket?: { readonly remoteAddress?: string } } | IncomingBody
    outgoing?: { destroy(): unknown }
    /** The request is a part of another one, such as a call of JSON-RPC, which a caller waits for. */
    within?: Request
  }
}

/** What a socket brings of a request. */
export type IncomingBody = Pick<Readable, 'on' | 'off' | 'pause' | 'readableEnded' | 'destroyed'> & {
  readonly socket?: { readonly remoteAddress?: string }
}

/** Aborts when the caller is not there any more: whatever a route waits for ends with it. */
export const leftOf = ({ env, req }: Context<ServerEnv>): AbortSignal =>
  ((env as ServerEnv['Bindings'] | undefined)?.within ?? req.raw).signal // there is no env without a socket

export type ServerApp = OpenAPIHono<ServerEnv>

/** What `ask` gives, whose signal aborts when the caller leaves or the server ends. */
export async function untilLeft<T>(
  c: Context<ServerEnv>,
  closing: AbortSignal,
  ask: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  // not AbortSignal.any: it leaves something with each signal that lasts
  const over = new AbortController()
  const stop = (): void => {
    over.abort()
  }
  const signals = [closing, leftOf(c)]
  for (const signal of signals) signal.addEventListener('abort', stop)
  if (signals.some(({ aborted }) => aborted)) stop()
  try {
    return await ask(over.signal)
  } finally {
    for (const signal of signals) signal.removeEventListener('abort', stop)
  }
}

/** @throws GraflowError FORBIDDEN where the key of the request may not do what needs the scope */
export function requireScope(c: Context<ServerEnv>, needed: Scope): void {
  const has = c.get('scope')
  if (covers(has, needed)) return
  throw new GraflowError('FORBIDDEN', `this needs a key with the scope ${needed}, and the key has ${has}`, {
    details: { needed, has },
  })
}

/** What a route needs: to be spread into its declaration. */
export const access = (
  scope: Scope,
): Pick<RouteConfig, 'security'> & { readonly middleware: MiddlewareHandler<ServerEnv> } => ({
  security: [{ apiKey: [scope] }, { bearer: [scope] }],
  middleware: async (c, next) => {
    requireScope(c, scope)
    await next()
  },
})

/** The same for a command: with an Idempotency-Key it is done once, and answers the same however often it comes. Its `headers` are `KeyHeader`. */
export const command = (
  scope: Scope,
): Pick<RouteConfig, 'security'> & { readonly middleware: MiddlewareHandler<ServerEnv>[] } => ({
  security: [{ apiKey: [scope] }, { bearer: [scope] }],
  middleware: [access(scope).middleware, answerOnce],
})

const MOST_KEY = 256

const keyHeader = (description: string) =>
  z.object({ 'idempotency-key': z.string().min(1).max(MOST_KEY).optional().openapi({ description }) })

export const KeyHeader = keyHeader(
  'Names the command: repeated with the same key it is done once, and answers the same for a day.',
)
/** Of what goes on after its answer. */
export const BeginKeyHeader = keyHeader(
  'Names what it begins: repeated with the same key that is begun once, and the answer tells how far it has come by then.',
)

async function answerOnce(c: Context<ServerEnv>, next: () => Promise<void>): Promise<Response | undefined> {
  const key = c.req.header('idempotency-key')
  if (key === undefined || key.length === 0 || key.length > MOST_KEY) {
    await next() // which refuses one that is none
    return undefined
  }
  const body: unknown = await c.req.json().catch(() => undefined) // there is none
  const asked = JSON.stringify([new URL(c.req.url).search, body ?? null])
  const request: KeyedRequest = { key, method: c.req.method, path: c.req.path, asked }
  c.set('nonce', nonceOf(request))
  const own: { isNew?: true; answer?: KeptAnswer | undefined } = {}
  const answer = await c.get('answers').once(request, async () => {
    own.isNew = true
    await next()
    return (own.answer = c.res.ok ? await keptOf(c.res) : undefined)
  })
  if (answer === undefined) return undefined
  if (own.isNew !== true) return responseOf(answer)
  // another server was first, and its answer is the one that repeats get
  if (answer.status !== own.answer?.status || answer.body !== own.answer.body) {
    c.res = undefined
    c.res = responseOf(answer)
  }
  return undefined
}

/** Says that an answer is a repeat's. */
export const REPLAYED = { 'idempotent-replayed': 'true' } as const

const responseOf = ({ status, headers, body }: KeptAnswer): Response =>
  new Response(status === 204 ? null : body, { status, headers: { ...headers, ...REPLAYED } })

/**
 * The same for what goes on after its answer, such as a run: with a key it is begun once, and a repeat is answered by how far it has come.
 * @param asked what names it beside the path; how long the answer is to wait is no part of it
 * @param begin answers what finds it again; it gets what the key has begun where it came with something else
 * @returns that, and headers of the answer
 */
export async function begunOnce(
  c: Context<ServerEnv>,
  key: string | undefined,
  asked: unknown,
  begin: (other: BegunByKey | undefined) => Promise<string>,
): Promise<{ readonly begun: string; readonly isRepeat: boolean; readonly headers: Readonly<Record<string, string>> }> {
  if (key === undefined) return { begun: await begin(undefined), isRepeat: false, headers: {} }
  const request: KeyedRequest = { key, method: c.req.method, path: c.req.path, asked: JSON.stringify(asked) }
  const { begun, isRepeat } = await c.get('begun').once(request, begin)
  return { begun, isRepeat, headers: isRepeat ? REPLAYED : {} }
}

/** An answer without what every answer has. */
async function keptOf(response: Response): Promise<KeptAnswer> {
  const headers = ['content-type', 'location'].flatMap((name) => {
    const value = response.headers.get(name)
    return value === null ? [] : [[name, value] as const]
  })
  return { status: response.status, headers: Object.fromEntries(headers), body: await response.clone().text() }
}

/** Of a problem, in the document. */
const ProblemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string(),
    retryable: z.boolean(),
    details: z.record(z.string(), z.unknown()).optional(),
  })
  .openapi('Problem')

const problem = (description: string): RouteConfig['responses'][number] => ({
  description,
  content: { 'application/problem+json': { schema: ProblemSchema } },
})

const PROBLEMS = {
  400: 'The request cannot be read, or a value in it is out of range.',
  401: 'No key, or one that the server does not know.',
  403: 'The key may not do this.',
  404: 'There is no such thing, or not any more.',
  409: 'What it is done to is in another state.',
  410: 'What it needs is not kept any more.',
  413: 'Something is larger than its limit.',
  415: 'The body is not said to be application/json.',
  422: 'The input does not satisfy its schema.',
  429: 'Too many wrong keys.',
  501: 'The store cannot do it.',
  503: 'The store is away or full; the header retry-after says when to try again.',
} as const
/** All routes may answer these. */
const ALWAYS = [400, 401, 403, 429, 503] as const

/**
 * The answers of a route, by status: a schema of JSON or no body, and which problems there are beside those of all routes.
 * In a route: `responses: answers({ 200: ['The queues.', QueuePage] }, 404)`.
 */
export function answers(
  good: Readonly<Record<number, readonly [description: string, schema?: z.ZodType, type?: string]>>,
  ...problems: readonly (keyof typeof PROBLEMS)[]
): RouteConfig['responses'] {
  const ok = Object.entries(good).map(([status, [description, schema, type = 'application/json']]) => [
    status,
    { description, ...(schema !== undefined && { content: { [type]: { schema } } }) },
  ])
  const bad = [...ALWAYS, ...problems].map((status) => [status, problem(PROBLEMS[status])])
  return Object.fromEntries([...ok, ...bad]) as RouteConfig['responses'] // by status
}

/** The answers of a route with those that it has whatever it does: a body is read before it, and an Idempotency-Key may have come with another. */
export function withGuards({ method, request, responses }: RouteConfig): RouteConfig['responses'] {
  const { headers } = request ?? {}
  const isKeyed = headers instanceof z.ZodObject && 'idempotency-key' in headers.shape
  const statuses = [...(isKeyed ? [409 as const] : []), ...(method === 'get' ? [] : ([413, 415] as const))]
  return { ...Object.fromEntries(statuses.map((status) => [status, problem(PROBLEMS[status])])), ...responses }
}

/** A value as the JSON of an answer. */
export const sendJson = (value: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Response =>
  new Response(JSON.stringify(value, plainOf), {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
  })

/** Items a page at most: more would make one request slow for all others. */
const MOST_ITEMS = 200

/** `?limit=&cursor=` of lists. */
export const PageQuery = z.object({
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(MOST_ITEMS)
    .optional()
    .openapi({ description: 'Items at most.', example: 50 }),
  cursor: z.string().max(1_024).optional().openapi({ description: 'What the page before said.' }),
})

/** A page of a list. */
export const pageOf = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), cursor: z.string().optional() })

/** Options without those that are undefined. */
export const given = <T extends object>(options: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never // the same without some
