/**
 * The control plane as a function from requests to answers: who may call, what a request may be, which route it is for. It listens on nothing
 * (start-server.ts does), so that tests can call it.
 */
import { OpenAPIHono, type RouteConfig } from '@hono/zod-openapi'
import type { Context, MiddlewareHandler } from 'hono'
import { HTTPException } from 'hono/http-exception'
import type { ZodError } from 'zod'
import { asError } from '../engine/failure.js'
import { GraflowError } from '../errors.js'
import type { Metrics } from '../observe/metrics.js'
import type { StoreSources } from '../observe/store-metrics.js'
import { BegunCommands } from './begun-commands.js'
import { readBody } from './bodies.js'
import { hostCheck } from './hosts.js'
import { KeptAnswers } from './kept-answers.js'
import { refusingUnknown } from './known-members.js'
import { openApiOf } from './openapi.js'
import { badRequest, invalidRequest, problemOf, problemResponse } from './problems.js'
import { PrefixEvents } from './prefix-events.js'
import { parseFailure } from './json-rpc.js'
import { sendJson, type ServerApp, type ServerEnv, withGuards } from './route.js'
import { addBulkRoutes } from './routes/bulk.js'
import { addDeadLetterRoutes } from './routes/dead-letters.js'
import { addEventRoutes } from './routes/events.js'
import { addListRoutes } from './routes/lists.js'
import { addOpsRoutes } from './routes/ops.js'
import { addOverviewRoutes } from './routes/overview.js'
import { addPipelineGroupRoutes } from './routes/pipeline-groups.js'
import { addQueueRoutes } from './routes/queues.js'
import { addRpcRoutes } from './routes/rpc.js'
import { addRunCommands } from './routes/run-commands.js'
import { addRunRoutes } from './routes/runs.js'
import { addStartRoutes } from './routes/start.js'
import { addTopologyRoutes } from './routes/topology.js'
import { addWorkflowRoutes } from './routes/workflows.js'
import { addWorkerProtocolRoutes } from './routes/worker-protocol.js'
import { addTimelineRoutes } from './routes/timeline.js'
import type { ServerServices } from './services.js'
import { staticFiles, type StaticFile } from './static-files.js'

/** How the server is reached. */
export interface AppOptions {
  /** The address that it is bound to. */
  readonly host: string
  /** Empty where there is none. */
  readonly basePath: string
  readonly allowedHosts: readonly string[]
  readonly maxBodyBytes: number
  readonly metrics: Metrics
  readonly store: StoreSources
}

/** Paths that want no key: they show nothing of the store. */
const OPEN_PATHS: ReadonlySet<string> = new Set(['/livez', '/readyz', '/healthz'])

const HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'x-frame-options': 'DENY',
}

/** All routes over some services. `app.request(path)` asks it without a socket. */
export function createApp(services: ServerServices, options: AppOptions): ServerApp {
  const { basePath } = options
  const app: ServerApp = new OpenAPIHono<ServerEnv>({
    getPath: (request) => pathBelow(request.url, basePath),
  })
  knowingMembers(app)
  const files = staticFiles(basePath)
  app.onError((error, c) => answerError(error, c, services))
  app.notFound((c) => notFound(app, c, files))
  guard(app, services, options, files)
  addOpsRoutes(app, services, options)
  addStartRoutes(app, services)
  addRunRoutes(app, services)
  addRunCommands(app, services)
  addBulkRoutes(app, services)
  addWorkflowRoutes(app, services)
  addListRoutes(app, services)
  addQueueRoutes(app, services)
  addDeadLetterRoutes(app, services)
  addOverviewRoutes(app, services)
  addEventRoutes(app, services, new PrefixEvents(services))
  addRpcRoutes(app, services)
  addPipelineGroupRoutes(app, services)
  addTopologyRoutes(app, services)
  addWorkerProtocolRoutes(app, services)
  addTimelineRoutes(app, services)
  openApiOf(app, basePath)
  return app
}

/** From now on routes refuse what they do not know, and say what they do. Health is asked for by all kinds of probes, with whatever they add. */
function knowingMembers(app: ServerApp): void {
  const add = app.openapi as (route: RouteConfig, handler: unknown, hook: unknown) => ServerApp
  const adding: typeof add = (route, handler) => {
    if (OPEN_PATHS.has(route.path)) return add(route, handler, undefined)
    const middleware: MiddlewareHandler[] = [route.middleware ?? [], refusingUnknown(route)].flat()
    return add({ ...route, responses: withGuards(route), middleware }, handler, hookOf(route))
  }
  Object.assign(app, { openapi: adding }) // the same, whatever the types of a route are
}

/** What is answered where a request does not satisfy the schemas of its route. */
function hookOf({ request }: RouteConfig) {
  const content = request?.body?.content['application/json']
  const schemas: Readonly<Record<string, unknown>> = {
    ...{
      query: request?.query,
      param: request?.params,
      header: request?.headers,
      json: content !== undefined && 'schema' in content ? content.schema : undefined,
    },
  }
  return (result: {
    readonly success: boolean
    readonly target: string
    readonly data?: unknown
    readonly error?: ZodError
  }): void => {
    if (!result.success && result.error !== undefined)
      throw invalidRequest(result.target, result.error, result.data, schemas[result.target])
  }
}

/** What happens to every request before its route. */
function guard(
  app: ServerApp,
  services: ServerServices,
  options: AppOptions,
  files: ReadonlyMap<string, StaticFile>,
): void {
  const kept = new KeptAnswers(services)
  const begun = new BegunCommands(services)
  const checkHost = hostCheck(options.host, options.allowedHosts)
  app.use(async (c, next) => {
    await next()
    for (const [name, value] of Object.entries(HEADERS)) c.res.headers.set(name, value)
    const place = c.res.headers.get('location') // as routes know it, without the path of a proxy
    if (place !== null) c.res.headers.set('location', `${options.basePath}${place}`)
    if (!c.res.headers.has('cache-control')) c.res.headers.set('cache-control', 'no-store')
  })
  app.use(async (c, next) => {
    const { method, path } = c.req
    const isHealth = OPEN_PATHS.has(path)
    if (!isHealth) checkHost(c.req.header('host'), c.req.header('origin'))
    if (isHealth || isPage(c, files)) {
      c.set('scope', 'read')
      return next()
    }
    c.set('scope', services.keys.check(keyOf(c), addressOf(c)))
    c.set('answers', kept)
    c.set('begun', begun)
    if (method !== 'GET' && method !== 'HEAD') await readBody(c, options.maxBodyBytes)
    await services.watch.guard(next, () => c.error === undefined)
  })
}

/** The dashboard's files, and its pages: any path that a browser opens and that is none of the API. */
function isPage(c: Context<ServerEnv>, files: ReadonlyMap<string, StaticFile>): boolean {
  const { method, path } = c.req
  if (method !== 'GET' && method !== 'HEAD') return false
  return path === '/' || files.has(path.slice(1)) || (isBrowsed(c) && !isOfApi(path))
}

const isOfApi = (path: string): boolean => /^\/(api|rpc|metrics|openapi\.json)(\/|$)/.test(path)

const isBrowsed = (c: Context<ServerEnv>): boolean => c.req.header('accept')?.includes('text/html') === true

/** What no route answered: the dashboard's files, or a problem. */
function notFound(app: ServerApp, c: Context<ServerEnv>, files: ReadonlyMap<string, StaticFile>): Response {
  const { method, path } = c.req
  if (isPage(c, files)) {
    const file = files.get(path.slice(1)) ?? files.get('index.html')
    if (file !== undefined) return sendFile(c, file)
  }
  const others = methodsOf(app, path)
  if (others.length > 0) {
    const error = new GraflowError('METHOD_NOT_ALLOWED', `expected ${others.join(' or ')}, got ${method}`)
    return problemResponse(problemOf(error), { allow: withHead(path === '/' ? [...others, 'GET'] : others).join(', ') })
  }
  return problemResponse(
    problemOf(new GraflowError('NO_SUCH_ROUTE', 'there is nothing here: GET /openapi.json lists all')),
  )
}

/** What is asked for with GET may be asked for without its body. */
const withHead = (methods: readonly string[]): readonly string[] =>
  methods.includes('GET') ? [...methods, 'HEAD'] : methods

/** Of what another build has at another address. */
const ALWAYS = 'public, max-age=31536000, immutable'
const TAKES_GZIP = /(?:^|,)\s*gzip\s*(?:,|$|;\s*q=(?!0(?:\.0*)?\s*(?:,|$)))/i

function sendFile({ req }: Context<ServerEnv>, file: StaticFile): Response {
  const isPacked = TAKES_GZIP.test(req.header('accept-encoding') ?? '')
  const { body, etag } = isPacked ? file.packed : file
  const isSame = file.version !== undefined && new URL(req.url).search === `?${file.version}`
  const known = req.header('if-none-match')
  const headers = { etag, 'cache-control': isSame ? ALWAYS : 'no-cache', vary: 'accept-encoding' }
  if (known?.split(/\s*,\s*/).includes(etag) === true) return new Response(null, { status: 304, headers })
  return new Response(body, {
    headers: { ...headers, 'content-type': file.type, ...(isPacked && { 'content-encoding': 'gzip' }) },
  })
}

/** Methods that routes at this path have. */
function methodsOf(app: ServerApp, path: string): readonly string[] {
  const parts = path.split('/')
  const matches = (route: string): boolean => {
    const own = route.split('/')
    return (
      own.length === parts.length &&
      own.every((part, i) => part === parts[i] || (part.startsWith(':') && parts[i] !== ''))
    )
  }
  const found = app.routes.filter(
    ({ method, path: route }) => method !== 'ALL' && !route.includes('*') && matches(route),
  )
  return [...new Set(found.map(({ method }) => method))]
}

function answerError(error: unknown, c: Context<ServerEnv>, { log }: ServerServices): Response {
  const known = error instanceof HTTPException ? badRequest(error.message) : error
  const problem = problemOf(known)
  if (problem.code === 'INTERNAL') log('error', `${c.req.method} ${c.req.path} failed`, asError(error))
  if (problem.code === 'INVALID_REQUEST' && isRpc(c.req)) return sendJson(parseFailure(problem.detail), 400)
  return problemResponse(problem)
}

const isRpc = ({ method, path }: Context['req']): boolean => method === 'POST' && (path === '/' || path === '/rpc')

const keyOf = (c: Context<ServerEnv>): string | undefined =>
  c.req.header('x-api-key') ?? /^bearer +(.+)$/i.exec(c.req.header('authorization') ?? '')?.[1]

const addressOf = ({ env }: Context<ServerEnv>): string =>
  (env as ServerEnv['Bindings'] | undefined)?.incoming?.socket?.remoteAddress ?? 'none' // there is none without a socket

/** The path of a URL without the base path, which a proxy may have left in it. */
function pathBelow(url: string, basePath: string): string {
  const start = url.indexOf('/', url.indexOf('://') + 3)
  const end = url.slice(start).search(/[?#]/)
  const path = start < 0 ? '/' : url.slice(start, end < 0 ? undefined : start + end)
  if (basePath === '' || (path !== basePath && !path.startsWith(`${basePath}/`))) return path
  return path === basePath ? '/' : path.slice(basePath.length)
}
