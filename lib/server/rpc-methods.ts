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
}

const get = (path: string): RpcMethod => ({ verb: 'GET', path })
const post = (path: string, rest: Partial<RpcMethod> = {}): RpcMethod => ({ verb: 'POST', path, ...rest })
const remove = (path: string): RpcMethod => ({ verb: 'DELETE', path })

/** By name. `tasks.execute`, `tasks.get` and `tasks.cancel` are beside them. */
export const RPC_METHODS: Readonly<Record<string, RpcMethod>> = Object.freeze({
  'runs.start': post('/runs', { query: ['wait'] }),
  'runs.list': get('/runs'),
  'runs.get': get('/runs/{id}'),
  'runs.graph': get('/runs/{id}/graph'),
  'runs.values': get('/runs/{id}/values'),
  'runs.waits': get('/runs/{id}/waits'),
  'runs.report': get('/runs/{id}/report'),
  'runs.cancel': post('/runs/{id}/cancel'),
  'runs.pause': post('/runs/{id}/pause'),
  'runs.resume': post('/runs/{id}/resume'),
  'runs.retry': post('/runs/{id}/retry'),
  'runs.settle': post('/runs/{id}/settle'),
  'runs.signal': post('/runs/{id}/signals/{name}', { query: ['index'], body: 'payload' }),
  'runs.delete': remove('/runs/{id}'),
  'runs.bulk': post('/runs/bulk', { query: ['wait'] }),
  'runs.bulkJob': get('/bulk-jobs/{id}'),
  'workflows.list': get('/workflows'),
  'workflows.get': get('/workflows/{name}'),
  'waits.list': get('/waits'),
  'queues.list': get('/queues'),
  'queues.get': get('/queues/{name}'),
  'queues.pause': post('/queues/{name}/pause'),
  'queues.resume': post('/queues/{name}/resume'),
  'deadLetters.list': get('/dead-letters'),
  'deadLetters.get': get('/dead-letters/{id}'),
  'deadLetters.replay': post('/dead-letters/{id}/replay'),
  'deadLetters.delete': remove('/dead-letters/{id}'),
  'builds.list': get('/builds'),
  'cluster.workers': get('/cluster/workers'),
  'cluster.worker': get('/cluster/workers/{id}'),
  'cluster.drain': post('/cluster/workers/{id}/drain'),
  'cluster.leader': get('/cluster/leader'),
  'cluster.deleteWorker': remove('/cluster/workers/{id}'),
  'cluster.topology': get('/cluster/topology'),
  'cluster.deploy': post('/cluster/pipeline-groups'),
  'cluster.pipelineGroups': get('/cluster/pipeline-groups'),
  'cluster.pipelineGroup': get('/cluster/pipeline-groups/{id}'),
  'cluster.inject': post('/cluster/pipeline-groups/{id}/inject', { query: ['wait'] }),
  'cluster.tearDown': remove('/cluster/pipeline-groups/{id}'),
})

/** A request of the API. */
export interface RpcRequest {
  readonly verb: RpcMethod['verb']
  /** With its query. */
  readonly path: string
  /** JSON; undefined: none. */
  readonly body: string | undefined
}

/** The request that a method is with these params; a text says what is wrong with them. */
export function requestFor(method: RpcMethod, params: Readonly<Record<string, unknown>>): RpcRequest | string {
  const left = new Map(Object.entries(params))
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
  return { verb: method.verb, path: `/api/v1${path}${search}`, body: bodyOf(method, left) }
}

function bodyOf({ verb, body }: RpcMethod, left: ReadonlyMap<string, unknown>): string | undefined {
  if (verb !== 'POST') return undefined
  if (body !== undefined) return left.has(body) ? JSON.stringify(left.get(body)) : undefined
  return left.size === 0 ? undefined : JSON.stringify(Object.fromEntries(left))
}
