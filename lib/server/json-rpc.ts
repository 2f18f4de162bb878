/**
 * JSON-RPC 2.0 (https://www.jsonrpc.org/specification): requests, notifications and batches. What a method does is told from outside; here is what a request
 * must be and what is answered.
 */
import type { Problem } from './problems.js'

/** Codes of the specification; `failed` is ours: the problem is in `data`. */
export const RPC_CODES = Object.freeze({
  parse: -32_700,
  invalidRequest: -32_600,
  methodNotFound: -32_601,
  invalidParams: -32_602,
  internal: -32_603,
  failed: -32_000,
})

/** What a method throws. */
export class RpcError extends Error {
  readonly rpcCode: number
  readonly data: unknown

  constructor(rpcCode: number, message: string, data?: unknown) {
    super(message)
    this.rpcCode = rpcCode
    this.data = data
  }
}

/** The error of a method that was answered with a problem. */
export function errorOfProblem(problem: Problem): RpcError {
  const { status, detail } = problem
  const isOfParams = status === 400 || status === 422
  const code = isOfParams ? RPC_CODES.invalidParams : status === 500 ? RPC_CODES.internal : RPC_CODES.failed
  return new RpcError(code, detail, problem)
}

type Id = string | number | null
type Params = Readonly<Record<string, unknown>>

/** Calls a method. @throws RpcError */
export type RpcCall = (method: string, params: Params) => Promise<unknown>

/** Requests of one batch. */
const MOST_REQUESTS = 200
const AT_ONCE = 16

const failure = (id: Id, code: number, message: string, data?: unknown): object => ({
  ...{ jsonrpc: '2.0', id, error: { code, message, ...(data !== undefined && { data }) } },
})

/** The answer to a body that is no JSON. */
export const parseFailure = (why: string): object => failure(null, RPC_CODES.parse, why)

/** What is answered to a body: an object, a list for a batch, or undefined where there is nothing to answer. */
export async function answerRpc(body: unknown, call: RpcCall): Promise<unknown> {
  if (!Array.isArray(body)) return answerOne(body, call)
  if (body.length === 0)
    return failure(null, RPC_CODES.invalidRequest, 'expected at least one request, got an empty batch')
  if (body.length > MOST_REQUESTS)
    return failure(
      null,
      RPC_CODES.invalidRequest,
      `expected at most ${MOST_REQUESTS} requests in a batch, got ${body.length}`,
    )
  const requests: readonly unknown[] = body
  const answers: unknown[] = requests.map(() => undefined)
  const left = requests.entries()
  const work = async (): Promise<void> => {
    for (const [i, request] of left) answers[i] = await answerOne(request, call)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  const said = answers.filter((answer) => answer !== undefined)
  return said.length === 0 ? undefined : said
}

async function answerOne(request: unknown, call: RpcCall): Promise<unknown> {
  const isObject = typeof request === 'object' && request !== null && !Array.isArray(request)
  const { jsonrpc, id, method, params = {} } = (isObject ? request : {}) as Readonly<Record<string, unknown>>
  const known: Id = typeof id === 'string' || typeof id === 'number' ? id : null
  const isId = id === undefined || id === null || known !== null
  if (!isObject || jsonrpc !== '2.0' || typeof method !== 'string' || !isId)
    return failure(
      known,
      RPC_CODES.invalidRequest,
      'expected { "jsonrpc": "2.0", "id": …, "method": …, "params": { … } }',
    )
  const isNotification = id === undefined
  try {
    if (typeof params !== 'object' || params === null || Array.isArray(params))
      throw new RpcError(RPC_CODES.invalidParams, 'params: expected an object: params are by name')
    const result = await call(method, params as Params)
    return isNotification ? undefined : { jsonrpc: '2.0', id: known, result: result ?? null }
  } catch (error) {
    if (!(error instanceof RpcError)) throw error
    return isNotification ? undefined : failure(known, error.rpcCode, error.message, error.data)
  }
}
