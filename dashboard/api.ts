/**
 * Calls of the server. Every failure is an ApiError that says what failed in words for people: the problem that the server told (RFC 9457), or that
 * it cannot be reached. An answer of 401 asks for the key.
 */
import { keyHeaders, refuseKey } from './keys.js'
import { base } from './router.js'

export class ApiError extends Error {
  override readonly name = 'ApiError'
  constructor(
    message: string,
    /** Of HTTP; 0 where there was no answer. */
    readonly status: number,
    /** The code of the problem, such as RUN_NOT_FOUND; UNREACHABLE where there was no answer. */
    readonly code: string,
    /** What else the problem says. */
    readonly details: Readonly<Record<string, unknown>> = {},
    /** Seconds after which the server wants to be asked again. */
    readonly retryAfterS?: number,
  ) {
    super(message)
  }
}

export interface CallOptions {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Sent as JSON. */
  readonly body?: unknown
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>
  readonly signal?: AbortSignal
  readonly headers?: Readonly<Record<string, string>>
}

/** The address of a route of the API, such as `apiPath('/runs', { state: 'failed' })`. */
export function apiPath(path: string, query: CallOptions['query'] = {}): string {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query))
    if (value !== undefined && value !== '') search.set(name, String(value))
  const text = search.toString()
  return `${base}/api/v1${path}${text === '' ? '' : `?${text}`}`
}

/** Parts of a path, encoded: at`/runs/${id}`. */
export const at = (texts: TemplateStringsArray, ...parts: readonly string[]): string =>
  texts.map((text, i) => text + (i < parts.length ? encodeURIComponent(parts[i] ?? '') : '')).join('')

/** Throws ApiError for an answer that is none of success; an answer of 401 has the key asked for. */
export async function failureOf(answer: Response): Promise<ApiError> {
  if (answer.status === 401) refuseKey()
  let problem: Record<string, unknown> = {}
  try {
    problem = (await answer.json()) as Record<string, unknown>
  } catch {
    // no problem document: a proxy between, say
  }
  const { detail, title, code, ...rest } = problem
  const retryAfterS = Number(answer.headers.get('retry-after') ?? Number.NaN)
  const said = typeof detail === 'string' ? detail : typeof title === 'string' ? title : undefined
  return new ApiError(
    said ?? `the server answered ${answer.status}`,
    answer.status,
    typeof code === 'string' ? code : `HTTP_${answer.status}`,
    rest,
    Number.isFinite(retryAfterS) ? retryAfterS : undefined,
  )
}

/** A server that is stopped, or a network that swallows what is sent, answers nothing at all: a look ends then. */
const MOST_MS = 30_000

/** @throws ApiError; what `signal` aborts rejects with its reason */
export async function call<T>(path: string, options: CallOptions = {}): Promise<T> {
  const { method = 'GET', body, query, headers } = options
  const limits = [...(options.signal === undefined ? [] : [options.signal])]
  if (method === 'GET') limits.push(AbortSignal.timeout(MOST_MS))
  const signal = limits.length === 0 ? undefined : AbortSignal.any(limits)
  try {
    const answer = await fetch(apiPath(path, query), {
      method,
      headers: {
        accept: 'application/json',
        ...keyHeaders(),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      credentials: 'omit',
      cache: 'no-store',
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(signal !== undefined && { signal }),
    })
    if (!answer.ok) throw await failureOf(answer)
    if (answer.status === 204) return undefined as T
    return (await answer.json()) as T
  } catch (error) {
    if (options.signal?.aborted === true || error instanceof ApiError) throw error
    throw new ApiError('The server cannot be reached. It may be restarting, or your network is away.', 0, 'UNREACHABLE')
  }
}

export const get = <T>(path: string, query?: CallOptions['query'], signal?: AbortSignal): Promise<T> =>
  call<T>(path, { ...(query !== undefined && { query }), ...(signal !== undefined && { signal }) })
export const post = <T>(path: string, body?: unknown): Promise<T> => call<T>(path, { method: 'POST', body: body ?? {} })
export const remove = <T>(path: string): Promise<T> => call<T>(path, { method: 'DELETE' })
