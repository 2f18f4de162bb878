/** Dead letters: branches whose attempts are spent. They can be run again by themselves, or deleted. */
import { createRoute, z } from '@hono/zod-openapi'
import { letterNotFound } from '../../producer/handle-services.js'
import { access, answers, command, given, KeyHeader, pageOf, PageQuery, sendJson, type ServerApp } from '../route.js'
import { ErrorSchema, Time } from '../schemas.js'
import type { ServerServices } from '../services.js'
import { listedItems, plainValue, typedValue } from '../typed-values.js'

const about = { tags: ['dead letters'] }
const LetterId = z.object({
  id: z
    .string()
    .min(1)
    .max(512)
    .openapi({ param: { name: 'id', in: 'path' }, example: '1764511200000-0' }),
})

const DeadLetter = z
  .object({
    id: z.string(),
    runId: z.string(),
    path: z.string(),
    index: z.int(),
    task: z.string().optional(),
    label: z.string().optional(),
    status: z.enum(['failed', 'dead']),
    errors: z.int(),
    losses: z.int(),
    at: z.iso.datetime(),
    error: ErrorSchema.optional(),
  })
  .openapi('DeadLetter')
const DeadLetterWhole = DeadLetter.extend({
  hasInput: z.boolean(),
  input: z.unknown().optional(),
  types: z.record(z.string(), z.string()).openapi({ description: 'What JSON cannot say of the input, by pointer.' }),
  truncated: z.boolean().optional(),
}).openapi('DeadLetterWithInput')

const listLetters = createRoute({
  ...{ ...about, method: 'get', path: '/api/v1/dead-letters', summary: 'Dead letters, the newest first.' },
  ...access('read'),
  request: { query: PageQuery.extend({ task: z.string().max(512).optional() }) },
  responses: answers({ 200: ['A page of dead letters.', pageOf(DeadLetter)] }),
})
const getLetter = createRoute({
  ...{ ...about, method: 'get', path: '/api/v1/dead-letters/{id}', summary: 'One dead letter, with its input.' },
  ...access('read'),
  request: { params: LetterId },
  responses: answers({ 200: ['The letter.', DeadLetterWhole] }, 404),
})
const replayLetter = createRoute({
  ...{ ...about, method: 'post', path: '/api/v1/dead-letters/{id}/replay', summary: 'Runs the branch again.' },
  ...command('operate'),
  description:
    'As a run of its own; the letter stays. Each call starts another run, but those with the same key give one.',
  request: {
    params: LetterId,
    headers: KeyHeader,
  },
  responses: answers({ 201: ['The new run.', z.object({ id: z.string(), runId: z.string() })] }, 404, 409, 410),
})
const deleteLetter = createRoute({
  ...{ ...about, method: 'delete', path: '/api/v1/dead-letters/{id}', summary: 'Deletes a dead letter.' },
  ...command('admin'),
  request: { params: LetterId, headers: KeyHeader },
  responses: answers({ 204: ['It is gone.'] }, 404, 409),
})
const purgeLetters = createRoute({
  ...{
    ...about,
    method: 'post',
    path: '/api/v1/dead-letters/purge',
    summary: 'Deletes all dead letters, or old ones.',
  },
  ...command('admin'),
  request: {
    headers: KeyHeader,
    body: {
      content: {
        'application/json': { schema: z.strictObject({ before: Time.optional() }).optional().openapi('PurgeRequest') },
      },
    },
  },
  responses: answers({ 200: ['How many.', z.object({ purged: z.int() })] }, 409, 415),
})

export function addDeadLetterRoutes(app: ServerApp, { graflow: { deadLetters } }: ServerServices): void {
  app.openapi(listLetters, async (c) => {
    const { items, ...rest } = await deadLetters.list(given(c.req.valid('query')))
    return sendJson({ items: listedItems(items), ...rest })
  })
  app.openapi(getLetter, async (c) => {
    const { id } = c.req.valid('param')
    const letter = await deadLetters.get(id)
    if (letter === undefined) throw letterNotFound(id)
    const { input, ...facts } = letter
    const { value, types, truncated } = typedValue(input)
    return sendJson({
      ...(plainValue(facts) as object),
      ...(facts.hasInput && { input: value }),
      ...{ types, ...(truncated === true && { truncated }) },
    })
  })
  app.openapi(purgeLetters, async (c) => {
    const { before } = c.req.valid('json') ?? {}
    return sendJson({ purged: await deadLetters.purge(before === undefined ? {} : { before: new Date(before) }) })
  })
  app.openapi(replayLetter, async (c) => {
    const { id } = c.req.valid('param')
    if ((await deadLetters.get(id)) === undefined) throw letterNotFound(id)
    // a key belongs to its path: the same one for another letter is another command
    const run = await deadLetters.replay(id, given({ idempotencyKey: c.get('nonce') }))
    return sendJson({ id, runId: run.id }, 201, { location: `/api/v1/runs/${encodeURIComponent(run.id)}` })
  })
  app.openapi(deleteLetter, async (c) => {
    const { id } = c.req.valid('param')
    if (!(await deadLetters.delete(id))) throw letterNotFound(id)
    return c.body(null, 204)
  })
}
