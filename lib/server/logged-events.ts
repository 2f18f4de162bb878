/** What the store has kept of what happens, as the events of `GET /api/v1/events`. */
import type { EventPage } from '../backend/backend.js'
import { registered } from '../session/cluster-events.js'
import { frameOf } from './event-sink.js'

type Logged = EventPage['events'][number]

/** An event as JSON: its `type`, when it was (`at`), and its facts. */
function eventOf({ at, event }: Logged): { readonly type: string } & Readonly<Record<string, unknown>> {
  const when = new Date(at).toISOString()
  switch (event.kind) {
    case 'run': {
      const { runId, workflow, from, to } = event
      return { type: 'run:state', at: when, runId, workflow, from, to }
    }
    case 'deleted':
      return { type: 'run:deleted', at: when, runId: event.runId }
    case 'queue':
      return { type: event.isPaused ? 'queue:paused' : 'queue:resumed', at: when, queue: event.queue }
    case 'cluster': {
      const { kind, session: _, ...facts } = event.event
      return { type: kind, at: when, ...('info' in facts ? registered(facts.info, facts.isReturned) : facts) }
    }
    default:
      return event satisfies never
  }
}

/** The same as it is sent, with its position. */
export function frameOfLogged(logged: Logged): Uint8Array {
  const data = eventOf(logged)
  return frameOf({ id: logged.position, event: data.type, data })
}
