/** A page of the runs, by their indexes (lua/list-runs.lua). What a run's record says decides, so that a stale index hides a run at worst. */
import type { RunPage, RunQuery, RunState } from '../../backend.js'
import { wrongCursor } from '../../request-checks.js'
import { listOf, numberOf, textOf } from '../replies.js'
import type { Reply } from '../shard.js'
import type { Store } from '../store.js'
import { listedRun } from './run-records.js'

/** The fields of a record, in the order of the script. */
const FACTS = [
  ...['created', 'us', 'wf', 'graph', 'dig', 'startedAt', 'endedAt', 'timeout', 'driver', 'reason', 'epoch', 'opener'],
  ...['build', 'tags', 'terms', 'end', 'aband', 'paused', 'pausedAt', 'parked', 'lostAt'],
]
/** Entries that one call looks at, and calls for one page: some milliseconds each, and only where few of very many match. */
const MOST_LOOKED_AT = 2_000
const MOST_CALLS = 10
/** Where runs of a state stand (part-run.lua). */
const STANDINGS: Readonly<Record<RunState, string>> = {
  pending: '04',
  running: '1',
  paused: '2',
  waiting: '3',
  abandoned: '4',
  completed: '5',
  failed: '6',
  cancelled: '7',
}
/** Quarters of a microsecond in a millisecond: times in the index. */
const QUARTERS = 250

/** Newest first. */
export async function runs(store: Store, query: RunQuery): Promise<RunPage> {
  const { states, limit } = query
  const items: RunPage['items'][number][] = []
  let [quarters, id] = positionIn(query.after)
  for (let calls = 0; calls < MOST_CALLS; calls += 1) {
    const args = argumentsOf(query, limit - items.length, quarters, id)
    const [now, nextQuarters, nextId, ...found] = listOf(await store.shard.call('list-runs', args))
    for (const reply of found) {
      const [at, runId, fields] = recordIn(reply)
      const run = listedRun(runId, fields, numberOf(now))
      if (run === undefined || states?.includes(run.state) === false) continue
      items.push({ ...run, position: `${at}:${runId}` })
    }
    quarters = textOf(nextQuarters)
    id = textOf(nextId)
    if (quarters === '') return { items }
    if (items.length === limit) break
  }
  return { items, after: `${quarters}:${id}` }
}

function argumentsOf(query: RunQuery, limit: number, quarters: string, id: string): readonly (string | number)[] {
  const { states, workflow, tag, build, since, until } = query
  return [
    ...[limit, MOST_LOOKED_AT, quarters, id],
    since === undefined ? '' : Math.max(0, Math.ceil(since) * QUARTERS),
    until === undefined ? '' : Math.max(0, Math.ceil(until) * QUARTERS),
    states === undefined ? '' : [...new Set(states.map((state) => STANDINGS[state]).join(''))].join(''),
    ...(workflow === undefined ? [] : [`w:${workflow}`]),
    ...(tag === undefined ? [] : [`t:${tag}`]),
    ...(build === undefined ? [] : [`b:${build}`]),
  ]
}

/** Behind which run a page begins. */
function positionIn(after: string | undefined): readonly [quarters: string, id: string] {
  if (after === undefined) return ['', '']
  const [, quarters = '', id = ''] = /^(\d{1,16}):(.+)$/s.exec(after) ?? []
  if (quarters !== '') return [quarters, id]
  throw wrongCursor()
}

function recordIn(reply: Reply): readonly [quarters: string, id: string, fields: ReadonlyMap<string, Buffer>] {
  const [quarters, id, ...values] = listOf(reply)
  const fields = new Map<string, Buffer>()
  for (const [i, name] of FACTS.entries()) {
    const value = values[i]
    if (Buffer.isBuffer(value)) fields.set(name, value)
  }
  return [textOf(quarters), textOf(id), fields]
}
