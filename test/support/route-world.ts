/** What each route is asked with for success, in a store that has a bit of everything. */
import { declareTask, each, task, waitFor, workflow, type Graflow } from 'graflow'
import type { Answered } from './control-plane.js'

const add = task('add', ({ a, b }: { a: number; b: number }) => a + b)
const square = task('square', (n: number) => n * n)
const breakDown = task('break', (n: number) => {
  if (n === 2) throw new Error(`cannot do ${n}`)
  return n
})
const count = task('count', (n: number) => Array.from({ length: n }, (_, i) => i))

/** What the workers of the store know. */
export const ROUTE_TASKS = [
  workflow('sum', add),
  workflow('squares', count.to(each(square))),
  workflow('broken', count.to(each(breakDown))),
  workflow('asks', waitFor('go', { prompt: { title: 'Go on?' } }).to(task('echo', (given: unknown) => given))),
]

export interface Asked {
  readonly path: string
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
}

export type Ask = (method: string, asked: Asked, key?: string) => Promise<Answered>

/** Runs and letters that are there, by which cases name them. */
export interface RouteWorld {
  readonly graflow: Graflow
  readonly ask: Ask
  /** Completed; failed in a branch; waits for the signal `go`. */
  readonly done: string
  readonly broken: string
  readonly waiting: string
  readonly letter: string
  /** A pipeline group. */
  readonly group: string
  /** Starts another run that waits. */
  newWaiting(): Promise<string>
}

/** Fills a store. */
export async function routeWorld(graflow: Graflow, ask: Ask): Promise<RouteWorld> {
  const done = await graflow.submit('squares', 3)
  const broken = await graflow.submit('broken', 4)
  await done.result()
  await broken.result().catch(() => undefined)
  const newWaiting = async (): Promise<string> => {
    const run = await graflow.submit('asks')
    for await (const event of run.events()) if (event.type === 'run:state' && event.to === 'waiting') break
    return run.id
  }
  const { items } = await graflow.deadLetters.list()
  const letter = items[0]?.id ?? ''
  const group = await graflow.deployments.deploy({
    ...{ name: 'squares', pipelines: [{ name: 'square', source: 'square' }] },
  })
  return {
    graflow,
    ask,
    group: group.id,
    done: done.id,
    broken: broken.id,
    waiting: await newWaiting(),
    letter,
    newWaiting,
  }
}

/** One success of a route. */
export interface RouteCase {
  /** What is asked, once the world is there. */
  readonly ask: (world: RouteWorld) => Asked | Promise<Asked>
  readonly status: number
  /** The embedded engine has no workers. */
  readonly needsWorkers?: true
  /** Part of the JSON of the answer. */
  readonly answer?: object | ((world: RouteWorld) => object)
}

const anyItems = { items: expect.any(Array) as unknown }
const changed = (isChanged = true): object => ({ changed: isChanged })
const runs = '/api/v1/runs'
const groups = '/api/v1/cluster/pipeline-groups'

async function bulkJob({ ask }: RouteWorld): Promise<string> {
  const body = { action: 'retry', filter: { tag: 'none' } }
  return (await ask('POST', { path: `${runs}/bulk`, body }, 'the-admin-key')).json.id
}

const workers = '/api/v1/cluster/workers'

/** Another worker over HTTP, by its id. */
async function byHttp({ ask }: RouteWorld): Promise<string> {
  const body = { tasks: ['elsewhere'], queues: ['http'] }
  return String((await ask('POST', { path: `${workers}/register`, body }, 'the-operate-key')).json.id)
}

/** One with a task in hand. */
async function taskByHttp(world: RouteWorld): Promise<{ readonly id: string; readonly token: string }> {
  const id = await byHttp(world)
  await world.graflow.start(each(declareTask<number, unknown>('elsewhere', { queue: 'http' })), [1])
  const { json } = await world.ask('POST', { path: `${workers}/${id}/acquire`, body: {} }, 'the-operate-key')
  return { id, token: json.tasks[0].token }
}

/** By method and path of the document. */
export const ROUTE_CASES: Readonly<Record<string, RouteCase>> = {
  'GET /livez': { ask: () => ({ path: '/livez' }), status: 200, answer: { status: 'ok' } },
  'GET /readyz': { ask: () => ({ path: '/readyz' }), status: 200, answer: { status: 'ok' } },
  'GET /healthz': { ask: () => ({ path: '/healthz' }), status: 200, answer: { status: 'ok' } },
  'GET /metrics': { ask: () => ({ path: '/metrics' }), status: 200 },
  'GET /openapi.json': { ask: () => ({ path: '/openapi.json' }), status: 200, answer: { openapi: '3.1.0' } },
  'GET /api/v1/autoscale': {
    ...{ ask: () => ({ path: '/api/v1/autoscale?queue=default' }), status: 200 },
    answer: { backlog: expect.any(Number) },
  },
  [`POST ${runs}`]: {
    ask: () => ({ path: `${runs}?wait=20000`, body: { workflow: 'sum', input: { a: 2, b: 3 }, tags: ['a'] } }),
    ...{ status: 201, answer: { state: 'completed', result: 5 } },
  },
  [`GET ${runs}`]: {
    ask: () => ({
      path: `${runs}?state=failed,completed&workflow=broken&error=Error&limit=5&since=2020-01-01T00:00:00Z`,
    }),
    status: 200,
    answer: ({ broken }) => ({
      items: [{ id: broken, state: 'failed', error: { code: 'GROUP_FAILED' } }],
    }),
  },
  [`GET ${runs}/{id}`]: {
    ask: ({ done }) => ({ path: `${runs}/${done}` }),
    status: 200,
    answer: ({ done }) => ({ id: done, state: 'completed', done: 4, total: 4, groups: [{ path: '1', width: 3 }] }),
  },
  [`GET ${runs}/{id}/graph`]: {
    ask: ({ done }) => ({ path: `${runs}/${done}/graph` }),
    ...{
      status: 200,
      answer: { hash: expect.stringMatching(/^[0-9a-f]{64}$/), graph: { root: { kind: 'sequence' } } },
    },
  },
  [`GET ${runs}/{id}/values`]: {
    ask: ({ done }) => ({ path: `${runs}/${done}/values?path=1/2` }),
    ...{ status: 200, answer: { path: '1/2', which: 'output', value: 4, types: {} } },
  },
  [`GET ${runs}/{id}/waits`]: {
    ask: ({ waiting }) => ({ path: `${runs}/${waiting}/waits` }),
    status: 200,
    answer: ({ waiting }) => ({
      items: [{ runId: waiting, why: 'signal', details: { signal: 'go' }, prompt: { title: 'Go on?' } }],
    }),
  },
  [`GET ${runs}/{id}/report`]: {
    ask: ({ broken }) => ({ path: `${runs}/${broken}/report` }),
    status: 200,
    answer: ({ broken }) => ({ id: broken, state: 'failed', groups: [{ path: '1' }] }),
  },
  [`GET ${runs}/{id}/timeline`]: {
    ask: ({ broken }) => ({ path: `${runs}/${broken}/timeline?bins=16` }),
    status: 200,
    answer: ({ broken }) => ({ id: broken, isOver: true, groups: [{ path: '1' }], window: { from: 0 } }),
  },
  [`GET ${runs}/{id}/branches`]: {
    ask: ({ broken }) => ({ path: `${runs}/${broken}/branches?path=1&only=failed` }),
    ...{ status: 200, answer: { total: 1, items: [{ status: 'failed', error: { code: 'TASK_FAILED' } }] } },
  },
  [`POST ${runs}/{id}/cancel`]: {
    ask: async (world) => ({ path: `${runs}/${await world.newWaiting()}/cancel`, body: { reason: 'enough' } }),
    ...{ status: 200, answer: changed() },
  },
  [`POST ${runs}/{id}/pause`]: {
    ask: ({ waiting }) => ({ path: `${runs}/${waiting}/pause` }),
    ...{ status: 200, answer: changed() },
  },
  [`POST ${runs}/{id}/resume`]: {
    ask: ({ done }) => ({ path: `${runs}/${done}/resume` }),
    ...{ status: 200, answer: changed(false) },
  },
  [`POST ${runs}/{id}/retry`]: {
    ask: ({ done }) => ({ path: `${runs}/${done}/retry`, body: { from: '1/0' } }),
    ...{ status: 200, answer: changed() },
  },
  [`POST ${runs}/{id}/settle`]: {
    ask: ({ broken }) => ({ path: `${runs}/${broken}/settle`, body: { path: '1/2', succeed: 7 } }),
    ...{ status: 200, answer: changed() },
  },
  [`POST ${runs}/{id}/signals/{name}`]: {
    ask: async (world) => ({ path: `${runs}/${await world.newWaiting()}/signals/go`, body: { ok: true } }),
    ...{ status: 200, answer: changed() },
  },
  [`DELETE ${runs}/{id}`]: {
    ask: async (world) => ({ path: `${runs}/${await world.newWaiting()}` }),
    status: 204,
  },
  'GET /api/v1/events': { ask: () => ({ path: '/api/v1/events' }), status: 200 },
  [`GET ${runs}/{id}/events`]: { ask: ({ done }) => ({ path: `${runs}/${done}/events?follow=true` }), status: 200 },
  [`POST ${runs}/bulk`]: {
    ask: () => ({ path: `${runs}/bulk`, body: { action: 'cancel', filter: { workflow: 'none', state: ['pending'] } } }),
    ...{ status: 202, answer: { action: 'cancel', status: 'done', matched: 0, done: 0 } },
  },
  'GET /api/v1/bulk-jobs': { ask: () => ({ path: '/api/v1/bulk-jobs' }), status: 200, answer: anyItems },
  'GET /api/v1/bulk-jobs/{id}': {
    ask: async (world) => ({ path: `/api/v1/bulk-jobs/${await bulkJob(world)}` }),
    ...{ status: 200, answer: { action: 'retry', filter: { tag: 'none' } } },
  },
  'POST /api/v1/bulk-jobs/{id}/stop': {
    ask: async (world) => ({ path: `/api/v1/bulk-jobs/${await bulkJob(world)}/stop` }),
    ...{ status: 200, answer: changed(false) },
  },
  'GET /api/v1/overview': {
    ...{ ask: () => ({ path: '/api/v1/overview' }), status: 200, answer: { minutes: { started: expect.any(Array) } } },
  },
  'GET /api/v1/server': {
    ...{ ask: () => ({ path: '/api/v1/server' }), status: 200, answer: { key: { scope: 'read' } } },
  },
  'POST /': {
    ask: ({ done }) => ({ path: '/', body: { jsonrpc: '2.0', id: 1, method: 'runs.get', params: { id: done } } }),
    ...{ status: 200, answer: { jsonrpc: '2.0', id: 1, result: { state: 'completed' } } },
  },
  'POST /rpc': {
    ask: () => ({ path: '/rpc', body: { jsonrpc: '2.0', id: 'a', method: 'cluster.workers' } }),
    ...{ status: 200, answer: { jsonrpc: '2.0', id: 'a', result: anyItems } },
  },
  'GET /api/v1/waits': { ask: () => ({ path: '/api/v1/waits' }), status: 200, answer: anyItems },
  'GET /api/v1/workflows': {
    ask: () => ({ path: '/api/v1/workflows?limit=1' }),
    ...{ status: 200, answer: { items: [{ name: 'asks' }], cursor: 'asks' } },
  },
  'GET /api/v1/workflows/{name}': {
    ask: () => ({ path: '/api/v1/workflows/squares' }),
    ...{ status: 200, answer: { name: 'squares', tasks: ['count', 'square'], graph: { root: { kind: 'sequence' } } } },
  },
  'GET /api/v1/builds': { ask: () => ({ path: '/api/v1/builds' }), status: 200, answer: anyItems },
  'GET /api/v1/queues': { ask: () => ({ path: '/api/v1/queues' }), status: 200, answer: anyItems },
  'GET /api/v1/queues/{name}': {
    ask: () => ({ path: '/api/v1/queues/default' }),
    ...{ status: 200, answer: { name: 'default', isPaused: false } },
  },
  'POST /api/v1/queues/{name}/pause': {
    ask: () => ({ path: '/api/v1/queues/idle/pause', body: { ahead: true } }),
    ...{ status: 200, answer: changed() },
  },
  'POST /api/v1/queues/{name}/resume': {
    ask: () => ({ path: '/api/v1/queues/default/resume' }),
    ...{ status: 200, answer: changed(false) },
  },
  'GET /api/v1/cluster/workers': { ask: () => ({ path: '/api/v1/cluster/workers' }), status: 200, answer: anyItems },
  'GET /api/v1/cluster/workers/{id}': {
    ...{ ask: () => ({ path: '/api/v1/cluster/workers/spare' }), status: 200, needsWorkers: true },
    answer: { id: 'spare', state: 'ready', hostname: expect.any(String), seenAt: expect.any(String) },
  },
  'POST /api/v1/cluster/workers/{id}/drain': {
    ...{ ask: () => ({ path: '/api/v1/cluster/workers/spare/drain' }), status: 200, needsWorkers: true },
    answer: { id: 'spare', changed: true },
  },
  'DELETE /api/v1/cluster/workers/{id}': {
    ...{ ask: () => ({ path: '/api/v1/cluster/workers/third' }), status: 202, needsWorkers: true },
    answer: { id: 'third', state: 'draining' },
  },
  'GET /api/v1/cluster/topology': {
    ask: () => ({ path: '/api/v1/cluster/topology' }),
    ...{ status: 200, answer: { nodes: expect.any(Array) as unknown, groups: expect.any(Array) as unknown } },
  },
  [`GET ${groups}`]: { ask: () => ({ path: groups }), status: 200, answer: anyItems },
  [`POST ${groups}`]: {
    ask: () => ({ path: groups, body: { name: 'other', pipelines: [{ name: 'p', source: 'square' }] } }),
    ...{ status: 201, answer: { name: 'other', status: 'running', pipelineCount: 1, placements: [{ pipeline: 'p' }] } },
  },
  [`GET ${groups}/{id}`]: {
    ask: ({ group }) => ({ path: `${groups}/${group}` }),
    ...{ status: 200, answer: { name: 'squares', routes: [{ from: '_external', to: 'square', eventTypes: ['*'] }] } },
  },
  [`POST ${groups}/{id}/inject`]: {
    ask: ({ group }) => ({ path: `${groups}/${group}/inject?wait=20000`, body: { eventType: 'Number', fields: 5 } }),
    ...{ status: 200, answer: { routedTo: 'square', workerId: expect.any(String) as unknown, result: 25 } },
  },
  [`DELETE ${groups}/{id}`]: { ask: ({ group }) => ({ path: `${groups}/${group}` }), status: 204 },
  'POST /api/v1/cluster/workers/register': {
    ask: () => ({ path: `${workers}/register`, body: { workerId: 'by-http', tasks: ['elsewhere'], queues: ['http'] } }),
    ...{ status: 201, needsWorkers: true, answer: { workerId: 'by-http', leaseMs: 15_000 } },
  },
  'POST /api/v1/cluster/workers/{id}/heartbeat': {
    ask: async (world) => ({ path: `${workers}/${await byHttp(world)}/heartbeat` }),
    ...{ status: 200, needsWorkers: true, answer: { drain: false, lost: [] } },
  },
  'POST /api/v1/cluster/workers/{id}/acquire': {
    ask: async (world) => ({ path: `${workers}/${await byHttp(world)}/acquire`, body: { waitMs: 0 } }),
    ...{ status: 200, needsWorkers: true, answer: { drain: false, tasks: [] } },
  },
  'POST /api/v1/cluster/workers/{id}/extend': {
    ask: async (world) => {
      const { id, token } = await taskByHttp(world)
      return { path: `${workers}/${id}/extend`, body: { token, progress: { fraction: 0.5 } } }
    },
    ...{ status: 200, needsWorkers: true, answer: { drain: false, lost: [] } },
  },
  'POST /api/v1/cluster/workers/{id}/complete': {
    ask: async (world) => {
      const { id, token } = await taskByHttp(world)
      return { path: `${workers}/${id}/complete`, body: { token, result: { is: 'there' } } }
    },
    ...{ status: 200, needsWorkers: true, answer: { state: 'succeeded' } },
  },
  'POST /api/v1/cluster/workers/{id}/deregister': {
    ask: async (world) => ({ path: `${workers}/${await byHttp(world)}/deregister` }),
    ...{ status: 200, needsWorkers: true, answer: changed() },
  },
  'GET /api/v1/cluster/leader': { ask: () => ({ path: '/api/v1/cluster/leader' }), status: 200 },
  'GET /api/v1/dead-letters': {
    ask: () => ({ path: '/api/v1/dead-letters?task=break' }),
    status: 200,
    answer: ({ broken }) => ({ items: [{ runId: broken, task: 'break', status: 'failed', path: '1/2' }] }),
  },
  'GET /api/v1/dead-letters/{id}': {
    ask: ({ letter }) => ({ path: `/api/v1/dead-letters/${letter}` }),
    ...{ status: 200, answer: { hasInput: true, input: 2, types: {} } },
  },
  'POST /api/v1/dead-letters/{id}/replay': {
    ask: ({ letter }) => ({ path: `/api/v1/dead-letters/${letter}/replay` }),
    ...{ status: 201, answer: { runId: expect.any(String) } },
  },
  'POST /api/v1/dead-letters/purge': {
    ask: () => ({ path: '/api/v1/dead-letters/purge', body: { before: '2020-01-01T00:00:00Z' } }),
    ...{ status: 200, answer: { purged: 0 } },
  },
  'DELETE /api/v1/dead-letters/{id}': {
    ask: ({ letter }) => ({ path: `/api/v1/dead-letters/${letter}` }),
    status: 204,
  },
}
