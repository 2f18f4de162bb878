/** What happens in the store, for those who look at it from outside; and what those have seen of single runs. */
import { GraflowError } from '../../../errors.js'
import { RUN_STATES } from '../../../events.js'
import type {
  EventPage,
  LoggedEvent,
  RunEventPage,
  RunEventsAnswer,
  RunEventsRequest,
  RunState,
} from '../../backend.js'
import { isGapBehind } from '../../event-positions.js'
import { bytesOf, fieldsOf, listOf, numberOf, type Reply, textOf } from '../replies.js'
import type { Store } from '../store.js'
import { clusterEventIn } from './nodes.js'
import { unexpectedAnswer, wordOf } from './words.js'

export async function keepEvents(store: Store, forMs: number): Promise<void> {
  const word = wordOf(await store.shard.call('event-log-keep', [forMs]))
  if (word !== 'OK') throw unexpectedAnswer('event-log-keep', word)
}

export async function appendRunEvents(store: Store, request: RunEventsRequest): Promise<RunEventsAnswer> {
  const { runId, after = '', events, seen, keptMs } = request
  let reply: Reply
  try {
    reply = await store.shard.call('event-log', [runId, after, events, seen, keptMs])
  } catch (error) {
    if (error instanceof GraflowError && error.code === 'BACKPRESSURE') return { status: 'backpressure' }
    throw error
  }
  const word = wordOf(reply)
  if (word === 'STALE') return { status: 'stale' }
  if (word !== 'OK') throw unexpectedAnswer('event-log', word)
  return { status: 'ok', position: textOf(listOf(reply)[1]) }
}

export async function readEvents(store: Store, after: string | undefined, limit: number): Promise<EventPage> {
  const { isKept, first, last, entries } = await read(store, '', after, limit)
  return {
    isKept,
    last,
    isGap: isGapBehind(after, first, last),
    events: entries.flatMap(({ position, fields }) => {
      const event = eventIn(fields)
      return event === undefined ? [] : [{ position, at: Number.parseInt(position, 10), event }]
    }),
    next: entries.at(-1)?.position,
  }
}

export async function readRunEvents(
  store: Store,
  runId: string,
  after: string | undefined,
  limit: number,
): Promise<RunEventPage> {
  const { first, last, seen, entries } = await read(store, runId, after, limit)
  return {
    last,
    isGap: isGapBehind(after, first, last),
    seen: seen.length === 0 ? undefined : seen,
    entries: entries.flatMap(({ position, fields }) => {
      const events = fields.get('e')
      return events === undefined ? [] : [{ position, events: new Uint8Array(events) }]
    }),
  }
}

async function read(store: Store, runId: string, after: string | undefined, limit: number) {
  const reply = listOf(await store.shard.call('event-log-read', [runId, after ?? '', limit]))
  const [isKept, first, last, seen, ...entries] = reply
  const known = (position: Reply | undefined): string | undefined => textOf(position) || undefined
  return {
    isKept: numberOf(isKept) === 1,
    first: known(first),
    last: known(last),
    seen: bytesOf(seen),
    entries: entries.map((entry) => {
      const [position, fields] = listOf(entry)
      return { position: textOf(position), fields: fieldsOf(fields) }
    }),
  }
}

/** Undefined where it only begins the log, and where it is of a newer release. */
function eventIn(fields: ReadonlyMap<string, Buffer>): LoggedEvent | undefined {
  const facts = fields.get('f') ?? Buffer.alloc(0)
  const [first = '', second = '', third = '', ...rest] = facts.toString().split('\n')
  switch (fields.get('k')?.toString()) {
    case 'run': {
      const [from, to] = [stateOf(second), stateOf(third)]
      const workflow = rest[0] === undefined || rest[0] === '' ? undefined : rest[0]
      return to === undefined ? undefined : { kind: 'run', runId: first, workflow, from, to }
    }
    case 'deleted':
      return { kind: 'deleted', runId: first }
    case 'queue':
      return { kind: 'queue', queue: first, isPaused: second === '1' }
    case 'cluster': {
      const event = clusterEventIn(facts)
      return event === undefined ? undefined : { kind: 'cluster', event }
    }
    default:
      return undefined
  }
}

const stateOf = (name: string): RunState | undefined => RUN_STATES.find((state) => state === name)
