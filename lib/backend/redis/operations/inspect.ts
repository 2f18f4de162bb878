/**
 * Looks at what lies in Redis. Each answer about one run, group or session is as it was at one moment; lists are read in pages, so that
 * no script runs long, and what changes between two pages may be seen before or after.
 */
import type {
  GroupStatus,
  HeldBranches,
  Inspector,
  QueueStatus,
  RunRecord,
  SavedValues,
  ServingWorkers,
  SessionStatus,
  StoreTotals,
  WaitingLane,
} from '../../backend.js'
import { isNoRunId } from '../../../options.js'
import { pack } from '../../../values/packed-items.js'
import { bytesOf, fieldsOf, listOf, numberOf, readable, textOf } from '../replies.js'
import type { Reply } from '../shard.js'
import type { Store } from '../store.js'
import { deadLetter, deadLetters } from './dead-letters.js'
import { documentNames, documents } from './documents.js'
import { readEvents, readRunEvents } from './event-log.js'
import { decodeInfo } from './info-codec.js'
import { unlisted } from './lane-registry.js'
import { whoLeads } from './lead.js'
import { nodes } from './nodes.js'
import { groupStateOf, outcomes } from './outcomes.js'
import { mustPage, outputInParts, runInParts, stringInParts } from './parts.js'
import { pinned } from './pinned.js'
import { runs } from './list-runs.js'
import { END_STATES, isLost, readRun } from './run-records.js'
import { decodeSpec } from './spec-codec.js'
import { openWaits } from './waits.js'
import { workflow, workflowNames } from './workflows.js'

/** Things in one call. */
const PAGE = 100
/** Groups in one call: reading one takes some 40 µs. */
const GROUPS = 50
/** Outputs asked for at once; a reply may have more. */
const OUTPUTS = 500

/** Makes the inspector of a store. */
export function inspectorOf(store: Store): Inspector {
  return {
    run: (runId) => run(store, runId),
    runOfKey: (key) => runOfKey(store, key),
    runs: (request) => runs(store, request),
    groups: (runId) => groups(store, runId),
    outcomes: (gid, after) => outcomes(store, gid, after),
    output: (runId, path) => output(store, runId, path),
    input: (gid, index) => input(store, gid, index),
    outputs: (runId, paths) => outputs(store, runId, paths),
    saved: (runId, prefix) => saved(store, runId, prefix),
    held: (gid, most) => held(store, gid, most),
    openWaits: (runId, address) => openWaits(store, runId, address),
    queues: () => queues(store),
    waiting: (queue) => waiting(store, queue),
    sessions: () => sessions(store),
    nodes: () => nodes(store),
    pinned: () => pinned(store),
    workflow: (name) => workflow(store, name),
    workflowNames: () => workflowNames(store),
    serving: () => serving(store),
    lead: () => whoLeads(store),
    now: () => now(store),
    deadLetters: (limit, before) => deadLetters(store, limit, before),
    deadLetter: (id) => deadLetter(store, id),
    totals: () => totals(store),
    events: (after, limit) => readEvents(store, after, limit),
    runEvents: (runId, after, limit) => readRunEvents(store, runId, after, limit),
    documents: (collection, names) => documents(store, collection, names),
    documentNames: (collection) => documentNames(store, collection),
  }
}

/** Branches that sessions hold. Fences are microseconds by the store's clock. */
async function held(store: Store, gid: string, most: number): Promise<readonly HeldBranches[]> {
  return listOf(await store.shard.call('held', [gid, String(most)])).map((grant) => {
    const [session, fence, packed] = listOf(grant)
    const { buffer, byteOffset, length } = bytesOf(packed)
    const view = new DataView(buffer, byteOffset, length)
    const indexes = Uint32Array.from({ length: length / 4 }, (_, i) => view.getUint32(i * 4, true))
    return { session: textOf(session), grantedAt: Math.floor(numberOf(fence) / 1_000), indexes }
  })
}

// ---------------------------------------------------------------------------------------------------------------------- runs

async function run(store: Store, runId: string): Promise<RunRecord | undefined> {
  if (isNoRunId(runId)) return undefined
  const fields = mustPage(store)
    ? await runInParts(store, runId)
    : fieldsOf(await store.shard.command('HGETALL', store.keys.run(runId)))
  const record = readRun(runId, fields, isLost(fields) ? await now(store) : 0)
  if (record === undefined || !isEnded(record) || record.value !== undefined) return record
  const value = await stringInParts(store, store.keys.result(runId)) // a large one stands apart
  if (value !== undefined) return { ...record, value: bytesOf(value) }
  // deleted between the two calls, as the run was; else it is lost
  return (await store.shard.command('EXISTS', store.keys.run(runId))) === 0 ? undefined : record
}

async function runOfKey(store: Store, key: string): Promise<string | undefined> {
  const found = await store.shard.command('GET', store.keys.idempotency(key))
  return found === null ? undefined : textOf(found)
}

const isEnded = ({ state }: RunRecord): boolean => Object.values<string>(END_STATES).includes(state)

// -------------------------------------------------------------------------------------------------------------- groups, outputs

async function groups(store: Store, runId: string): Promise<readonly GroupStatus[]> {
  const found: GroupStatus[] = []
  for (let from = 0; ; from += GROUPS) {
    const page = listOf(await store.shard.command('LRANGE', store.keys.runGroups(runId), from, from + GROUPS - 1))
    const gids = page.map(textOf).filter((gid) => gid !== runId)
    if (gids.length > 0)
      found.push(...listOf(await store.shard.call('groups', gids)).flatMap((reply) => readable(() => groupIn(reply))))
    if (page.length < GROUPS) return found
  }
}

function groupIn(reply: Reply): GroupStatus {
  const [
    gid,
    state,
    size,
    ready,
    delayed,
    granted,
    succeeded,
    failed,
    dead,
    withdrawn,
    opened,
    closed,
    spec,
    ...waits
  ] = listOf(reply)
  const { graph, node, ...asks } = decodeSpec(bytesOf(spec))
  const releasedAt = numberOf(closed)
  return {
    gid: textOf(gid),
    graph,
    node,
    state: groupStateOf(state),
    size: numberOf(size),
    ready: numberOf(ready),
    delayed: numberOf(delayed),
    granted: numberOf(granted),
    succeeded: numberOf(succeeded),
    failed: numberOf(failed),
    dead: numberOf(dead),
    withdrawn: numberOf(withdrawn),
    openedAt: numberOf(opened),
    releasedAt: releasedAt === 0 ? undefined : releasedAt,
    ...waitsIn(waits),
    ...{ queue: asks.queue, requires: asks.requires, tasks: asks.tasks, affinity: asks.affinity, limit: asks.limit },
  }
}

function waitsIn([parked, since, affinityUntil, why, inPlace]: readonly Reply[]): Pick<
  GroupStatus,
  'parked' | 'since' | 'affinityUntil' | 'retried' | 'waitingInPlace'
> {
  const error = Buffer.from(bytesOf(why))
  const places = listOf(inPlace)
  return {
    parked: numberOf(parked),
    since: numberOf(since) || undefined,
    affinityUntil: numberOf(affinityUntil) || undefined,
    retried: error.length < 8 ? undefined : { at: error.readDoubleLE(0), error: error.subarray(8) },
    waitingInPlace: places.flatMap((path, i) =>
      i % 2 === 0 ? [{ path: textOf(path), startsAt: numberOf(places[i + 1]) }] : [],
    ),
  }
}

async function output(store: Store, runId: string, path: string): Promise<Uint8Array | undefined> {
  const found = mustPage(store)
    ? await outputInParts(store, runId, path)
    : await store.shard.command('HGET', store.keys.outputs(runId), path)
  return found === null || found === undefined ? undefined : bytesOf(found)
}

async function input(store: Store, gid: string, index: number): Promise<Uint8Array | undefined> {
  const [word, found] = listOf(await store.shard.call('input', [gid, index]))
  return textOf(word) === 'OK' ? bytesOf(found) : undefined
}

/** For small ones: they come in one reply. */
async function outputs(
  store: Store,
  runId: string,
  paths: readonly string[],
): Promise<readonly (Uint8Array | undefined)[]> {
  if (paths.length === 0) return []
  const found = listOf(await store.shard.command('HMGET', store.keys.outputs(runId), ...paths))
  return paths.map((_, i) => {
    const value = found[i]
    return value === null || value === undefined ? undefined : bytesOf(value)
  })
}

/** Outputs are written once and never changed, so a scan that meets one twice meets the same. */
async function saved(store: Store, runId: string, prefix: string): Promise<SavedValues> {
  const found = new Map<string, Uint8Array>()
  const isWanted = (path: string): boolean => prefix === '' || path === prefix || path.startsWith(`${prefix}/`)
  if (mustPage(store)) {
    // one by one: together they may be larger than a reply can be
    const paths = listOf(await store.shard.command('HKEYS', store.keys.outputs(runId))).map(textOf)
    for (const path of paths.filter(isWanted)) {
      const value = await output(store, runId, path)
      if (value !== undefined) found.set(path, value)
    }
    return { paths: [...found.keys()], values: pack([...found.values()]) }
  }
  let cursor = '0'
  do {
    const page = listOf(
      await store.shard.command(
        'HSCAN',
        store.keys.outputs(runId),
        cursor,
        'MATCH',
        patternOf(prefix),
        'COUNT',
        OUTPUTS,
      ),
    )
    cursor = textOf(page[0])
    for (const [path, value] of fieldsOf(page[1])) {
      if (isWanted(path)) found.set(path, bytesOf(value))
    }
  } while (cursor !== '0')
  return { paths: [...found.keys()], values: pack([...found.values()]) }
}

/** What a pattern of Redis would take for more than a letter matches any one letter; who reads compares exactly. */
const patternOf = (prefix: string): string => `${prefix.replace(/[^A-Za-z0-9/_.-]/gu, '*')}*`

// ---------------------------------------------------------------------------------------------------------- queues, sessions

interface LaneStatus {
  readonly queue: string
  readonly lane: string
}

async function queues(store: Store): Promise<readonly QueueStatus[]> {
  const [now, mainReply, lanesReply, oldestReply] = listOf(await store.shard.call('queues', []))
  const main = fieldsOf(mainReply)
  const count = (name: string): number => Math.max(0, Number(main.get(name)?.toString() ?? 0))
  const since = new Map<string, number>()
  const oldest = listOf(oldestReply)
  for (let i = 0; i + 1 < oldest.length; i += 2) since.set(textOf(oldest[i]), numberOf(oldest[i + 1]))

  const lanes: LaneStatus[] = []
  for (const [lane, facts] of fieldsOf(lanesReply)) {
    const queue = /^\d+\t([^|]*)\|/.exec(facts.toString())?.[1]
    if (queue !== undefined) lanes.push({ queue, lane })
  }
  const paused = [...main.keys()]
    .filter((name) => name.startsWith('p:') && count(name) === 1)
    .map((name) => name.slice(2))
  const names = new Set([...lanes.map(({ queue }) => queue), ...paused])
  return [...names].map((queue) => {
    const own = lanes.filter((lane) => lane.queue === queue).map(({ lane }) => lane)
    const sum = (letter: string): number => own.reduce((total, lane) => total + count(`${letter}:${lane}`), 0)
    const first = Math.min(...own.map((lane) => since.get(lane) ?? Infinity))
    return {
      queue,
      ready: sum('n'),
      delayed: sum('y'),
      granted: sum('f'),
      oldestMs: first === Infinity ? undefined : Math.max(0, numberOf(now) - first),
      isPaused: paused.includes(queue),
    }
  })
}

async function waiting(store: Store, queue: string): Promise<readonly WaitingLane[]> {
  const [now, ...lanes] = listOf(await store.shard.call('waiting', [queue]))
  return lanes.map((lane) => {
    const [demand, ...groups] = listOf(lane)
    const [, requires = '', tasks = ''] = textOf(demand).split('|')
    return {
      requires: wordsOf(requires),
      tasks: wordsOf(tasks),
      groups: groups.flatMap((gid, i) =>
        i % 2 === 0 ? [{ gid: textOf(gid), waitedMs: Math.max(0, numberOf(now) - numberOf(groups[i + 1])) }] : [],
      ),
    }
  })
}

const wordsOf = (text: string): readonly string[] => (text === '' ? [] : text.split(' '))

async function sessions(store: Store): Promise<readonly SessionStatus[]> {
  const names = listOf(await store.shard.command('ZRANGE', store.keys.sessions, 0, -1)).map(textOf)
  const found: ReturnType<typeof sessionIn>[] = []
  for (let from = 0; from < names.length; from += PAGE) {
    const page = listOf(await store.shard.call('sessions', names.slice(from, from + PAGE)))
    found.push(...page.flatMap((reply) => readable(() => sessionIn(reply))))
  }
  return found.sort((a, b) => b.sequence - a.sequence).map(({ status }) => status)
}

function sessionIn(reply: Reply): { readonly sequence: number; readonly status: SessionStatus } {
  const [session, sequence, expiry, branches, info, runs] = listOf(reply)
  const expiresAt = textOf(expiry) === 'inf' ? Infinity : numberOf(expiry)
  const held = { branches: numberOf(branches), runs: numberOf(runs) }
  const status = { ...decodeInfo(bytesOf(info)), session: textOf(session), expiresAt, ...held }
  return { sequence: numberOf(sequence), status }
}

/** As the last sweep has counted them (part-lost-sessions.lua). */
async function serving({ shard, keys }: Store): Promise<readonly ServingWorkers[]> {
  const counted = await shard.command('HGET', keys.main, 'serving')
  const lines = counted === null ? [] : textOf(counted).split('\n')
  return lines.flatMap((line) => {
    const [, workers, queues] = /^(\d+)\t(.+)$/.exec(line) ?? []
    return queues === undefined ? [] : [{ queues: unlisted(queues), workers: Number(workers) }]
  })
}

// -------------------------------------------------------------------------------------------------------------------- totals

async function totals(store: Store): Promise<StoreTotals> {
  const [time, main, memory] = await Promise.all([
    now(store),
    store.shard.command('HGETALL', store.keys.main),
    store.shard.command('INFO', 'memory'),
  ])
  const ended: StoreTotals['ended'][number][] = []
  const fields = fieldsOf(main)
  for (const [name, value] of fields) {
    const [, end = '', workflow = ''] = /^e:(\w+):(.*)$/su.exec(name) ?? []
    const state = END_STATES[end]
    if (state !== undefined) ended.push({ workflow, state, count: countIn(value) })
  }
  const bytes = (name: string): number => Number(new RegExp(`^${name}:(\\d+)`, 'mu').exec(textOf(memory))?.[1] ?? 0)
  const limit = bytes('maxmemory')
  return {
    now: time,
    ended,
    deadLetters: countIn(fields.get('deads')),
    candidates: countIn(fields.get('stands')),
    bytes: { used: bytes('used_memory'), peak: bytes('used_memory_peak'), ...(limit > 0 && { limit }) },
  }
}

async function now({ shard }: Store): Promise<number> {
  const [seconds, micros] = listOf(await shard.command('TIME'))
  return numberOf(seconds) * 1_000 + numberOf(micros) / 1_000
}

/** What a counter says; 0 where something else stands in its place. */
const countIn = (value: Buffer | undefined): number => Math.max(0, Number(value?.toString() ?? 0) || 0)
