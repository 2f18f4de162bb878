/** JSON-RPC 2.0 at `/` and `/rpc`: the routes of the API as methods, and tasks by their names. */
import { createHash } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { createRoute, z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { asError } from '../../engine/failure.js'
import { answerRpc, errorOfProblem, parseFailure, RPC_CODES, RpcError, type RpcCall } from '../json-rpc.js'
import { problemOf, type Problem } from '../problems.js'
import { access, answers, leftOf, sendJson, type ServerApp, type ServerEnv } from '../route.js'
import { RPC_METHODS, requestFor, type RpcRequest } from '../rpc-methods.js'
import { cancelTask, executeTasks, getTask } from '../rpc-tasks.js'
import { endOfRun, startedRun } from '../run-ends.js'
import type { ServerServices } from '../services.js'

const Body = z.unknown().openapi({
  description: 'A request, or a list of requests: a batch. Params are by name.',
  example: { jsonrpc: '2.0', id: 1, method: 'runs.get', params: { id: 'user:42' } },
})
const Answer = z.unknown().openapi({
  description: 'The answer, or a list of answers. `error.data` is the problem that the route answered.',
  example: { jsonrpc: '2.0', id: 1, result: {} },
})

const rpcAt = (path: string) =>
  createRoute({
    ...{ method: 'post', path, tags: ['rpc'], summary: 'JSON-RPC 2.0.', ...access('read') },
    description: `Methods, each as the route of its name: ${['tasks.execute', 'tasks.get', 'tasks.cancel', ...Object.keys(RPC_METHODS)].join(', ')}. A method needs the scope of its route.`,
    request: { body: { required: true, content: { 'application/json': { schema: Body } } } },
    responses: answers({ 200: ['The answers.', Answer], 204: ['There were only notifications.'] }, 415),
  })

type Tasks = (call: RpcCall, params: Readonly<Record<string, unknown>>) => Promise<unknown>
const TASKS: Readonly<Record<string, Tasks>> = {
  'tasks.execute': executeTasks,
  'tasks.get': getTask,
  'tasks.cancel': cancelTask,
}

export function addRpcRoutes(app: ServerApp, services: ServerServices): void {
  const answer = async (c: Context<ServerEnv>): Promise<Response> => {
    const body: unknown = await c.req.json()
    if (body === undefined) return sendJson(parseFailure('body: expected JSON, got none'), 400)
    const said = await answerRpc(body, failingAlone(callerOf(app, services, c), services))
    return said === undefined ? c.body(null, 204) : sendJson(said)
  }
  for (const path of ['/rpc', '/']) app.openapi(rpcAt(path), answer)
}

/** What a call throws is the error of that call alone: the other requests of its batch have been done, and are answered. */
function failingAlone(call: RpcCall, { log }: Pick<ServerServices, 'log'>): RpcCall {
  return async (method, params) => {
    try {
      return await call(method, params)
    } catch (error) {
      if (error instanceof RpcError) throw error
      const problem = problemOf(error)
      if (problem.code === 'INTERNAL') log('error', `JSON-RPC ${method} failed`, asError(error))
      throw errorOfProblem(problem)
    }
  }
}

/** Calls methods for one request, with its key. */
function callerOf(app: ServerApp, services: ServerServices, c: Context<ServerEnv>): RpcCall {
  setMaxListeners(0, leftOf(c)) // each call that waits ends with it
  const ask = ({ verb, path, body, idempotencyKey, isKeyedInBody }: RpcRequest): Promise<Response> => {
    const headers = new Headers(c.req.raw.headers)
    for (const name of ['content-length', 'content-type', 'transfer-encoding', 'accept']) headers.delete(name)
    if (body !== undefined) headers.set('content-type', 'application/json')
    const keyOfAll = headers.get('idempotency-key')
    if (idempotencyKey !== undefined) headers.set('idempotency-key', idempotencyKey)
    else if (isKeyedInBody) headers.delete('idempotency-key')
    else if (keyOfAll !== null) headers.set('idempotency-key', keyWithin(keyOfAll, verb, path, body ?? ''))
    const url = new URL(c.req.url)
    const request = new Request(`${url.origin}${path}`, { method: verb, headers, ...(body !== undefined && { body }) })
    return Promise.resolve(app.fetch(request, { ...c.env, within: c.req.raw }))
  }
  const call: RpcCall = async (method, params) => {
    const tasks = Object.hasOwn(TASKS, method) ? TASKS[method] : undefined
    if (tasks !== undefined) return tasks(inner, params)
    const known = Object.hasOwn(RPC_METHODS, method) ? RPC_METHODS[method] : undefined
    if (known === undefined) throw new RpcError(RPC_CODES.methodNotFound, `there is no method "${method}"`)
    const request = requestFor(known, params)
    if (typeof request === 'string') throw new RpcError(RPC_CODES.invalidParams, request)
    return resultOf(await ask(request))
  }
  /** What methods are made of: also how a run ends, which is no method by itself. */
  const inner: RpcCall = async (method, params) => {
    if (method !== 'runs.end') return call(method, params)
    const { id, wait } = params as { readonly id: string; readonly wait: number } // as rpc-tasks.ts asks
    try {
      return startedRun(await endOfRun(services, id, wait, leftOf(c)))
    } catch {
      // the route says what is wrong
      return call('runs.get', { id })
    }
  }
  return call
}

/** Of one call, where the whole request has a key: other calls of it, and other tasks, are other commands. */
const keyWithin = (...all: readonly string[]): string => createHash('sha256').update(all.join('\n')).digest('hex')

async function resultOf(response: Response): Promise<unknown> {
  if (response.status === 204) return null
  const json: unknown = await response.json()
  if (response.ok) return json
  throw errorOfProblem(json as Problem) // every answer that is none of success is one
}
