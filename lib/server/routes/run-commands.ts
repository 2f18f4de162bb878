/** Commands on one run. Each answers whether it has changed something, so repeating one is safe. */
import { createRoute, z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { GraflowError } from '../../errors.js'
import { runNotFound } from '../../producer/handle-services.js'
import type { Decision } from '../../producer/operator-types.js'
import { answers, command, given, KeyHeader, sendJson, type ServerApp, type ServerEnv } from '../route.js'
import { Changed, NodePath, RunId } from '../schemas.js'
import type { ServerServices } from '../services.js'

const about: { tags: string[]; method: 'post' } = { tags: ['runs'], method: 'post' }
const ofRun = <const P extends string>(path: P): `/api/v1/runs/{id}${P}` => `/api/v1/runs/{id}${path}`
const jsonBody = <T extends z.ZodType>(schema: T) => ({ content: { 'application/json': { schema } } })
const changed = answers({ 200: ['Whether it has changed something.', Changed] }, 404, 409, 410, 415)

const cancelRun = createRoute({
  ...{ ...about, path: ofRun('/cancel'), summary: 'Ends a run as cancelled.', ...command('operate') },
  request: {
    headers: KeyHeader,
    params: RunId,
    body: jsonBody(
      z
        .strictObject({ reason: z.string().max(4_096).optional() })
        .optional()
        .openapi('CancelRequest'),
    ),
  },
  responses: changed,
})
const pauseRun = createRoute({
  ...{ ...about, path: ofRun('/pause'), summary: 'Starts nothing of a run any more; what runs goes on.' },
  ...command('operate'),
  request: { params: RunId, headers: KeyHeader },
  responses: changed,
})
const resumeRun = createRoute({
  ...{ ...about, path: ofRun('/resume'), summary: 'Ends the pause of a run.', ...command('operate') },
  request: { params: RunId, headers: KeyHeader },
  responses: changed,
})
const retryRun = createRoute({
  ...{ ...about, path: ofRun('/retry'), summary: 'A run that is over goes on under its id.', ...command('operate') },
  description: 'From what failed, with all that succeeded kept; or from a path on, where all is done again.',
  request: {
    headers: KeyHeader,
    params: RunId,
    body: jsonBody(z.strictObject({ from: NodePath.optional() }).optional().openapi('RetryRequest')),
  },
  responses: changed,
})
const settleRun = createRoute({
  ...{ ...about, path: ofRun('/settle'), summary: 'A person decides a step or branch.', ...command('operate') },
  description: 'With one of `succeed`, `fail` and `skip`. What a worker says of it later does not count.',
  request: {
    headers: KeyHeader,
    params: RunId,
    body: {
      required: true,
      ...jsonBody(
        z
          .strictObject({
            path: NodePath,
            succeed: z.unknown().optional().openapi({ description: 'What the step or branch gives.' }),
            fail: z.unknown().optional().openapi({ description: 'Why it fails.' }),
            skip: z.literal(true).optional().openapi({ description: 'It is left out.' }),
          })
          .openapi('SettleRequest'),
      ),
    },
  },
  responses: changed,
})
const sendSignal = createRoute({
  ...{ ...about, path: ofRun('/signals/{name}'), summary: 'Brings a signal to a run; the body is its payload.' },
  ...command('operate'),
  description:
    'One that comes before the run waits for it is kept. The first one counts: `changed` is false when nobody can wait for it any more.',
  request: {
    headers: KeyHeader,
    params: RunId.extend({
      name: z
        .string()
        .min(1)
        .max(512)
        .openapi({ param: { name: 'name', in: 'path' }, example: 'approve' }),
    }),
    query: z.object({
      index: z.coerce.number().int().min(0).optional().openapi({ description: 'Of an item of an each, from 0.' }),
    }),
    body: jsonBody(z.unknown().openapi({ description: 'Any JSON.' })),
  },
  responses: answers({ 200: ['Whether it is taken.', Changed] }, 404, 409, 415, 422),
})
const deleteRun = createRoute({
  ...{
    ...about,
    method: 'delete',
    path: ofRun(''),
    summary: 'Deletes a run with all that it has.',
    ...command('admin'),
  },
  description: 'One that is not over is cancelled first.',
  request: { params: RunId, headers: KeyHeader },
  responses: answers({ 204: ['It is gone.'] }, 404, 409),
})

export function addRunCommands(app: ServerApp, { graflow: { runs } }: ServerServices): void {
  app.openapi(cancelRun, async (c) => {
    const { id } = c.req.valid('param')
    return sendJson({ id, changed: await runs.cancel(id, c.req.valid('json')?.reason) })
  })
  app.openapi(pauseRun, async (c) => {
    const { id } = c.req.valid('param')
    return sendJson({ id, changed: await runs.pause(id) })
  })
  app.openapi(resumeRun, async (c) => {
    const { id } = c.req.valid('param')
    return sendJson({ id, changed: await runs.resume(id) })
  })
  app.openapi(retryRun, async (c) => {
    const { id } = c.req.valid('param')
    return sendJson({ id, changed: await runs.retry(id, given({ ...c.req.valid('json'), ...keyIn(c) })) })
  })
  app.openapi(settleRun, async (c) => {
    const { id } = c.req.valid('param')
    const { path, ...decision } = c.req.valid('json')
    return sendJson({ id, changed: await runs.settle(id, path, decisionIn(decision), keyIn(c)) })
  })
  app.openapi(sendSignal, async (c) => {
    const { id, name } = c.req.valid('param')
    // without a body there is no payload
    const payload: unknown = c.req.header('content-type') === undefined ? undefined : c.req.valid('json')
    return sendJson({
      id,
      changed: await runs.signal(id, name, payload, given({ ...c.req.valid('query'), ...keyIn(c) })),
    })
  })
  app.openapi(deleteRun, async (c) => {
    const { id } = c.req.valid('param')
    if (!(await runs.delete(id))) throw runNotFound(id)
    return c.body(null, 204)
  })
}

/** What names the command to the store: a repeat changes nothing, also where its answer was lost. */
function keyIn(c: Context<ServerEnv>): { readonly idempotencyKey?: string } {
  const nonce = c.get('nonce')
  return nonce === undefined ? {} : { idempotencyKey: nonce }
}

/** @throws GraflowError INVALID_OPTION unless exactly one is given */
function decisionIn(given: { readonly [K in 'succeed' | 'fail' | 'skip']?: unknown }): Decision {
  const keys = Object.keys(given)
  if (keys.length === 1) return given as Decision // of these three
  const got = keys.length === 0 ? 'none' : keys.join(' and ')
  throw new GraflowError('INVALID_OPTION', `body: expected one of succeed, fail and skip, got ${got}`, {
    details: { option: 'succeed' },
  })
}
