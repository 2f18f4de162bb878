/** `GET /api/v1/autoscale`: what an autoscaler asks of a queue, as JSON; also while there is no worker, and of a queue that was never used. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { messageOf } from '../describe.js'
import { GraflowError } from '../errors.js'
import { backlogOf, workersOf, type StoreSources } from '../observe/store-metrics.js'
import { DEFAULT_QUEUE, RUNS_QUEUE } from '../options.js'

/** A request, as far as answers depend on it. */
export interface Asked {
  readonly query: URLSearchParams
  /** The value of a header, by its name in lower case. */
  readonly header: (name: string) => string | undefined
}

/** An answer as JSON. */
export interface Answer {
  readonly status: number
  readonly body: object
  readonly headers?: Readonly<Record<string, string>>
}

export const AUTOSCALE_PATH = '/api/v1/autoscale'

const QUEUE = /^[A-Za-z0-9_-]{1,128}$/

/** What is answered of a queue, or of several together. */
export interface Load {
  /** Names with commas between them. */
  readonly queue: string
  /** Branches that are ready. */
  readonly depth: number
  /** Branches that are ready or that workers hold. */
  readonly backlog: number
  /** How long the oldest ready group has waited; 0 where none does. */
  readonly oldestSeconds: number
  /** Live workers that serve one of the queues. */
  readonly workers: number
}

/** Errors as RFC 9457 has them. */
function problem(status: number, title: string, detail: string, code: string, headers = {}): Answer {
  return { status, body: { type: 'about:blank', title, status, detail, code }, headers }
}

/** Answers the path. @param apiKey what a caller must bring, where one is wanted */
export function autoscaleRoute(sources: StoreSources, apiKey: string | undefined): (asked: Asked) => Promise<Answer> {
  const isAllowed = keyCheck(apiKey)
  return async (asked) => {
    if (!isAllowed(asked)) {
      const detail = 'expected the API key of the exporter, as x-api-key or as a bearer token'
      return problem(401, 'Unauthorized', detail, 'UNAUTHORIZED', { 'www-authenticate': 'Bearer' })
    }
    try {
      return { status: 200, body: await loadOf(sources, queuesOf(asked.query.getAll('queue'))) }
    } catch (error) {
      if (error instanceof GraflowError && error.code === 'INVALID_NAME')
        return problem(400, 'Bad Request', error.message, error.code)
      const detail = `the store does not answer: ${messageOf(error)}`
      return problem(503, 'Service Unavailable', detail, 'REDIS_UNAVAILABLE', { 'retry-after': '5' })
    }
  }
}

/** The queues that are asked for. @param given lists with commas; none for the usual ones @throws GraflowError INVALID_NAME */
export function queuesOf(given: readonly string[]): readonly string[] {
  const names = given.flatMap((list) => list.split(','))
  const queues = names.length === 0 ? [DEFAULT_QUEUE, RUNS_QUEUE] : [...new Set(names)]
  if (queues.every((queue) => QUEUE.test(queue))) return queues
  throw new GraflowError(
    'INVALID_NAME',
    'queue: expected the name of a queue, or several with commas: 1 to 128 of A-Z a-z 0-9 _ -',
  )
}

/** The numbers of some queues together. @throws GraflowError REDIS_UNAVAILABLE */
export async function loadOf(sources: StoreSources, queues: readonly string[]): Promise<Load> {
  const [all, serving] = await Promise.all([sources.queues(), sources.serving()])
  const own = all.filter(({ queue }) => queues.includes(queue))
  const sum = (count: (one: (typeof own)[number]) => number): number =>
    own.reduce((total, one) => total + count(one), 0)
  return {
    queue: queues.join(','),
    depth: sum(({ ready }) => ready),
    backlog: sum(backlogOf),
    oldestSeconds: Math.max(0, ...own.map(({ oldestMs }) => oldestMs ?? 0)) / 1_000,
    workers: workersOf(serving, queues),
  }
}

/** Compares in a time that does not depend on how much of the key is right. */
function keyCheck(apiKey: string | undefined): (asked: Asked) => boolean {
  if (apiKey === undefined) return () => true
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  const wanted = digest(apiKey)
  return ({ header }) => {
    const bearer = /^bearer (.+)$/i.exec(header('authorization') ?? '')?.[1]
    const given = header('x-api-key') ?? bearer
    return given !== undefined && timingSafeEqual(digest(given), wanted)
  }
}
