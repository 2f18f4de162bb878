/** Every error as RFC 9457 has it (`application/problem+json`), with our code: the table of codes says which status it is. */
import type { ZodError } from 'zod'
import { describeError } from '../describe.js'
import { ERROR_CODES, GraflowError, type ErrorCode } from '../errors.js'
import { membersOf, unknownMember } from './known-members.js'
import { plainOf } from './plain-json.js'
import { faultOf, valueAt } from './request-faults.js'

/** What is answered instead of what was asked for. */
export interface Problem {
  readonly type: 'about:blank'
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: ErrorCode
  readonly retryable: boolean
  /** Plain data about it, by code. */
  readonly details?: Readonly<Record<string, unknown>>
}

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  410: 'Gone',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
}

/** How work ends: who asks for what such work gave is told why there is nothing. The server is well, and asking again gives the same. */
const OF_WORK: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  ...(['TASK_FAILED', 'GROUP_FAILED', 'TIMEOUT', 'GROUP_TIMEOUT', 'RUN_TIMEOUT', 'RUN_STUCK', 'BRANCH_DEAD'] as const),
  ...(['THREAD_LOST', 'NOT_IN_THREAD', 'INVALID_OUTPUT', 'NO_SUCH_CASE', 'CYCLE_LIMIT', 'LOOP_RESULT'] as const),
  ...(['GOTO_ACROSS_BARRIER', 'NO_HANDLER', 'NO_SUCH_POLICY'] as const),
])

/** An error as a problem. What is no GraflowError is INTERNAL, and its message stays in the log. */
export function problemOf(error: unknown): Problem {
  const known =
    error instanceof GraflowError
      ? error
      : new GraflowError('INTERNAL', 'the control plane met an error of its own; its log has it')
  const { code, message, details } = known
  const isOfWork = OF_WORK.has(code)
  const status = isOfWork ? 409 : ERROR_CODES[code].httpStatus
  return {
    type: 'about:blank',
    title: TITLES[status] ?? 'Error',
    status,
    detail: message,
    code,
    retryable: !isOfWork && known.retryable,
    ...(Object.keys(details).length > 0 && { details }),
  }
}

/** Seconds after which trying again makes sense, for the header. */
const retryAfterOf = ({ status, details }: Problem): string | undefined => {
  if (status !== 429 && status !== 503) return undefined
  const ms = details?.['retryAfterMs']
  return String(typeof ms === 'number' ? Math.max(1, Math.ceil(ms / 1_000)) : 1)
}

/** The answer that carries a problem. */
export function problemResponse(problem: Problem, headers: Readonly<Record<string, string>> = {}): Response {
  const retryAfter = retryAfterOf(problem)
  return new Response(`${textOf(problem)}\n`, {
    status: problem.status,
    headers: {
      'content-type': 'application/problem+json; charset=utf-8',
      ...(retryAfter !== undefined && { 'retry-after': retryAfter }),
      ...(problem.status === 401 && { 'www-authenticate': 'Bearer' }),
      ...headers,
    },
  })
}

/** Details come from anywhere: those that JSON cannot carry are left out. */
function textOf(problem: Problem): string {
  try {
    return JSON.stringify(problem, plainOf)
  } catch {
    const { details: _, ...rest } = problem
    return JSON.stringify(rest)
  }
}

/** Where in a request something stands, as messages say it. */
const PLACES: Readonly<Record<string, string>> = { json: 'body', query: 'query', param: 'path', header: 'header' }

/**
 * What a schema says of a request.
 * @param target of hono's validators
 * @param value what stands there
 * @param schema that says it
 */
export function invalidRequest(target: string, error: ZodError, value: unknown, schema?: unknown): GraflowError {
  const place = PLACES[target] ?? target
  const issues = error.issues.flatMap((issue) => plainest(issue, value))
  // a misspelt member explains that another one is missing
  const unknown = issues.find((issue) => issue.code === 'unrecognized_keys')
  if (unknown !== undefined) {
    const at = [place, ...(unknown.path.length > 0 ? [unknown.path.map(String).join('.')] : [])].join(': ')
    return unknownMember(at, unknown.keys[0] ?? '', membersOf(schema, unknown.path))
  }
  const faults = issues.slice(0, 10).map((issue) => {
    const at = issue.path.map(String).join('.')
    return { where: at === '' ? place : `${place}: ${at}`, message: faultOf(issue, valueAt(value, issue.path)) }
  })
  const [first] = faults
  const text = first === undefined ? `${place}: ${describeError(error)}` : `${first.where}: ${first.message}`
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : ''
  const option = issues[0]?.path.map(String).join('.') ?? ''
  return new GraflowError('INVALID_OPTION', `${text}${more}`, { details: { option, faults } })
}

type Issue = ZodError['issues'][number]

/**
 * What is wrong with the form of a union that was meant: one that has a fault in a member that is given, else the one that lacks least. Of forms that are
 * no objects, none is meant more than another.
 */
function plainest(issue: Issue, value: unknown): readonly Issue[] {
  if (issue.code !== 'invalid_union') return [issue]
  const lacks = (form: readonly Issue[]): number => form.filter(({ code }) => code !== 'unrecognized_keys').length
  const isGiven = ({ path: [member] }: Issue): boolean =>
    member !== undefined && valueAt(value, [...issue.path, member]) !== undefined
  const isMeant = (form: readonly Issue[]): number => (form.some(isGiven) ? 1 : 0)
  const [near = []] = [...(issue.errors as Issue[][])].sort((a, b) => isMeant(b) - isMeant(a) || lacks(a) - lacks(b))
  if (lacks(near) === near.length && near.some(({ path }) => path.length === 0)) return [issue]
  return near.map((one) => ({ ...one, path: [...issue.path, ...one.path] }))
}

/** A request that cannot be read. */
export const badRequest = (message: string, cause?: unknown): GraflowError =>
  new GraflowError('INVALID_REQUEST', message, cause === undefined ? {} : { cause })
