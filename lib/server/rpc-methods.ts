/**
 * The methods of JSON-RPC: each is a route of the API by another name, with the parts of its path, query and body as one object of params. So what a
 * route checks, refuses and answers holds here, too.
 */

/** A route, as a method calls it. */
export interface RpcMethod {
  readonly verb: 'GET' | 'POST' | 'DELETE'
  /** Below /api/v1, with params in braces. */
  readonly path: string
  /** Params that go into the query; of a GET all that are not in the path do. All others are the body. */
  readonly query?: readonly string[]
  /** The one param that is the whole body. */
  readonly body?: string
  /** It takes the param `idempotencyKey`, which a request has as a header. */
  readonly isKeyed?: true
  /** That param is one of its body. */
  readonly isKeyedInBody?: true
}

const get = (path: string): RpcMethod => ({ verb: 'GET', path })
const post = (path: string, rest: Partial<RpcMethod> = {}): RpcMethod => ({ verb: 'POST', path, ...rest })
const command = (path: string, rest: Partial<RpcMethod> = {}): RpcMethod => post(path, { ...rest, isKeyed: true })
const remove = (path: string): RpcMethod => ({ verb: 'DELETE', path, isKeyed: true })

/** By name. `tasks.execute`, `tasks.get` and `tasks.cancel` are beside them. */
export const RPC_METHODS: Readonly<Record<string, RpcMethod>> = Object.freeze({
  'runs.start': post('/runs', { query: ['wait'], isKeyedInBody: true }),
  'runs.list': get('/runs'),
  'runs.get': get('/runs/{id}'),
  'runs.graph': get('/runs/{id}/graph'),
  'runs.values': get('/runs/{id}/values'),
  'runs.waits': get('/runs/{id}/waits'),
  'runs.report': get('/runs/{id}/report'),
  'runs.timeline': get('/runs/{id}/timeline'),
  'runs.branches': get('/runs/{id}/branches'),
  'runs.cancel': command('/runs/{id}/cancel'),
  'runs.pause': command('/runs/{id}/pause'),
  'runs.resume': command('/runs/{id}/resume'),
  'runs.retry': command('/runs/{id}/retry'),
  'runs.settle': command('/runs/{id}/settle'),
  'runs.signal': command('/runs/{id}/signals/{name}', { query: ['index'], body: 'payload' }),
  'runs.delete': remove('/runs/{id}'),
  'runs.bulk': command('/runs/bulk', { query: ['wait'] }),
  'runs.bulkJob': get('/bulk-jobs/{id}'),
  'runs.bulkJobs': get('/bulk-jobs'),
  'runs.stopBulkJob': command('/bulk-jobs/{id}/stop'),
  'workflows.list': get('/workflows'),
  'workflows.get': get('/workflows/{name}'),
  'waits.list': get('/waits'),
  'queues.list': get('/queues'),
  'queues.get': get('/queues/{name}'),
  'queues.pause': command('/queues/{name}/pause'),
  'queues.resume': command('/queues/{name}/resume'),
  'deadLetters.list': get('/dead-letters'),
  'deadLetters.get': get('/dead-letters/{id}'),
  'deadLetters.replay': command('/dead-letters/{id}/replay'),
  'deadLetters.delete': remove('/dead-letters/{id}'),
  'deadLetters.purge': command('/dead-letters/purge'),
  'builds.list': get('/builds'),
  'cluster.workers': get('/cluster/workers'),
  'cluster.worker': get('/cluster/workers/{id}'),
  'cluster.drain': command('/cluster/workers/{id}/drain'),
  'cluster.leader': get('/cluster/leader'),
  'cluster.deleteWorker': remove('/cluster/workers/{id}'),
  'cluster.topology': get('/cluster/topology'),
  'cluster.deploy': command('/cluster/pipeline-groups'),
  'cluster.pipelineGroups': get('/cluster/pipeline-groups'),
  'cluster.pipelineGroup': get('/cluster/pipeline-groups/{id}'),
  'cluster.inject': command('/cluster/pipeline-groups/{id}/inject', { query: ['wait'] }),
  'cluster.tearDown': remove('/cluster/pipeline-groups/{id}'),
})

/** A request of the API. */
export interface RpcRequest {
  readonly verb: RpcMethod['verb']
  /** With its query. */
  readonly path: string
  /** JSON; undefined: none. */
  readonly body: string | undefined
  readonly idempotencyKey: string | undefined
  /** Its body has the key. */
  readonly isKeyedInBody: boolean
}

/** The request that a method is with these params; a text says what is wrong with them. */
export function requestFor(method: RpcMethod, params: Readonly<Record<string, unknown>>): RpcRequest | string {
  const left = new Map(Object.entries(params))
  const key = method.isKeyed === true ? left.get('idempotencyKey') : undefined
  if (key !== undefined && !(typeof key === 'string' && /^[\x20-\x7e]{1,256}$/.test(key)))
    return 'params: idempotencyKey: expected a text of 1 to 256 characters of ASCII'
  if (key !== undefined) left.delete('idempotencyKey')
  let missing: string | undefined
  const path = method.path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = left.get(name)
    left.delete(name)
    if (typeof value === 'string' && value !== '' && value.isWellFormed()) return encodeURIComponent(value)
    missing = name
    return ''
  })
  if (missing !== undefined) return `params: ${missing}: expected a text of Unicode`
  const query = new URLSearchParams()
  for (const [name, value] of [...left]) {
    if (method.verb !== 'GET' && method.query?.includes(name) !== true) continue
    left.delete(name)
    if (value === undefined || value === null) continue
    if (typeof value === 'object' && !Array.isArray(value)) return `params: ${name}: expected a text or number`
    const all: readonly unknown[] = Array.isArray(value) ? value : [value]
    for (const one of all) query.append(name, typeof one === 'string' ? one : JSON.stringify(one))
  }
  const search = query.size === 0 ? '' : `?${query.toString()}`
  const isKeyedInBody = method.isKeyedInBody === true && left.get('idempotencyKey') !== undefined
  const to = `/api/v1${path}${search}`
  return { verb: method.verb, path: to, body: bodyOf(method, left), idempotencyKey: key, isKeyedInBody }
}

function bodyOf({ verb, body }: RpcMethod, left: ReadonlyMap<string, unknown>): string | undefined {
  if (verb === 'GET') return undefined
  if (body !== undefined) return left.has(body) ? JSON.stringify(left.get(body)) : undefined
  return left.size === 0 ? undefined : JSON.stringify(Object.fromEntries(left))
}
