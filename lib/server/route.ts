/**
 * How a route is declared: its scope, its schemas and its answers, once, for the check of keys, for validation and for the OpenAPI document. A
 * group of routes is a file in routes/ with a function `add…Routes(app, services)`.
 */
import type { OpenAPIHono, RouteConfig } from '@hono/zod-openapi'
import { z } from '@hono/zod-openapi'
import type { Context, MiddlewareHandler } from 'hono'
import { GraflowError } from '../errors.js'
import { plainOf } from './plain-json.js'
import { covers, type Scope } from './scopes.js'

/** What is known of a request before its route is looked for. */
export interface ServerEnv {
  Variables: {
    /** What its key may do. */
    scope: Scope
  }
  Bindings: {
    incoming?: { readonly socket?: { readonly remoteAddress?: string } }
    outgoing?: { destroy(): unknown }
  }
}

export type ServerApp = OpenAPIHono<ServerEnv>

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
