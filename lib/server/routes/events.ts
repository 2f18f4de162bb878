/** Streams of events: of the whole store, and of one run. A reader that comes back with Last-Event-ID goes on where it was, at any server. */
import { setMaxListeners } from 'node:events'
import { createRoute, z } from '@hono/zod-openapi'
import { describe } from '../../describe.js'
import { GraflowError } from '../../errors.js'
import { isPosition } from '../../backend/event-positions.js'
import { runNotFound } from '../../producer/handle-services.js'
import { eventStream } from '../event-sink.js'
import type { PrefixEvents } from '../prefix-events.js'
import { access, answers, type ServerApp } from '../route.js'
import { isOver, RunWatch, runPositionIn, seenIn } from '../run-watch.js'
import { RunId } from '../schemas.js'
import type { ServerServices } from '../services.js'

const LastEventId = z.object({
  'last-event-id': z.string().max(128).optional().openapi({ description: 'The `id` of the last event that was read.' }),
})
const After = z.object({
  after: z
    .string()
    .max(128)
    .optional()
    .openapi({ description: 'As the header `Last-Event-ID`, which counts before it.' }),
})

const allEvents = createRoute({
  ...{ method: 'get', path: '/api/v1/events', tags: ['events'], summary: 'What happens, as server-sent events.' },
  ...access('read'),
  description:
    '`run:state`, `run:deleted`, `queue:paused`, `queue:resumed`, `worker:registered`, `worker:deregistered`, `worker:stale`, `leader:changed`; `ready` first, which only brings an `id`. `reset`: events may be missing, so read the state anew.',
  request: { headers: LastEventId, query: After },
  responses: answers({ 200: ['The stream; it has no end.', z.string(), 'text/event-stream'] }),
})
const runEvents = createRoute({
  ...{ method: 'get', path: '/api/v1/runs/{id}/events', tags: ['events'], summary: 'What happens in one run.' },
  ...access('read'),
  description:
    '`run:state`, `run:progress`, `run:waits`, `run:decided`, `step:started`, `step:settled`, `step:retrying`, `group:dispatched`, `group:progress`, `group:released`, from the first that is kept; with them `status`, the whole status, whenever it changes. It ends with `end`, when the run is over. 204: it is over, and there is nothing behind the last event.',
  request: {
    params: RunId,
    headers: LastEventId,
    query: After.extend({
      follow: z
        .enum(['true', 'false'])
        .optional()
        .openapi({ description: 'Goes on behind the end of the run: it may be retried.' }),
    }),
  },
  responses: answers({ 200: ['The stream.', z.string(), 'text/event-stream'], 204: ['There is nothing more.'] }, 404),
})

/** @throws GraflowError INVALID_OPTION */
function badPosition(text: string): GraflowError {
  const fault = `last-event-id: expected the id of an event of this stream, got ${describe(text)}`
  return new GraflowError('INVALID_OPTION', fault, { details: { option: 'last-event-id' } })
}

export function addEventRoutes(app: ServerApp, services: ServerServices, all: PrefixEvents): void {
  const watches = new Map<string, RunWatch>()
  setMaxListeners(0, services.closing) // each stream ends with it
  app.openapi(allEvents, (c) => {
    const after = c.req.valid('header')['last-event-id'] ?? c.req.valid('query').after
    if (after !== undefined && !isPosition(after)) throw badPosition(after)
    return eventStream(c, services, (sink) => all.watch(sink, after))
  })
  app.openapi(runEvents, async (c) => {
    const { id } = c.req.valid('param')
    const { after, follow } = c.req.valid('query')
    const given = c.req.valid('header')['last-event-id'] ?? after
    const from = runPositionIn(given ?? '0')
    if (from === undefined) throw badPosition(given ?? '')
    const record = await services.session.store.inspect.run(id)
    if (record === undefined) throw runNotFound(id)
    if (
      given !== undefined &&
      follow !== 'true' &&
      isOver(record.state) &&
      (await hasNothing(services, id, from.after))
    )
      return c.body(null, 204)
    return eventStream(c, services, (sink) => {
      const watch = watches.get(id) ?? new RunWatch(id, services, all)
      watches.set(id, watch)
      const stop = watch.add(sink, from, follow !== 'true')
      return () => {
        stop()
        if (watch.isWatched) return
        watches.delete(id)
        watch.close()
      }
    })
  })
  services.closing.addEventListener('abort', () => {
    for (const watch of watches.values()) watch.close()
    all.close()
  })
}

/** Whether all that was seen of a run that is over is before a position. */
async function hasNothing({ session }: ServerServices, id: string, after: string): Promise<boolean> {
  const { last, isGap, seen } = await session.store.inspect.runEvents(id, after, 1)
  return !isGap && last === after && isOver(seenIn(seen)?.state ?? '')
}
