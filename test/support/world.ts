/**
 * Short words for the calls of a backend, on a store with a producer (`driver`) and a worker (`w`). The contract suite is written in
 * them. A harness gives the store; everything else here goes through the Backend interface only.
 */
import { randomUUID } from 'node:crypto'
import type {
  AcquireRequest,
  Backend,
  GroupSpec,
  Holder,
  Notice,
  OpenRequest,
  OutcomeKind,
  Grant,
  RunActivity,
  SessionInfo,
  SettleAnswer,
  SettleKind,
  SettleRange,
  StepAnswer,
  StepRequest,
} from '../../lib/backend/backend.js'
import { item, itemCount, pack, type PackedItems } from '../../lib/values/packed-items.js'
import { elapse } from './waits.js'

/** Lengths that a test shortens, so that a real clock can wait for them. */
export interface HarnessOptions {
  readonly affinityMs?: number
  readonly deadlineGraceMs?: number
  readonly shareMs?: number
  readonly payloadRetentionMs?: number
  readonly maxBytes?: number
  readonly bytesPerCall?: number
  readonly itemsPerCall?: number
}

export interface Harness {
  readonly backend: Backend
  /** Lets time pass. */
  advance(ms: number): Promise<void>
  /** Lets time pass in which the store does nothing, so that nobody could renew or sweep. */
  stall(ms: number): Promise<void>
  /** Resolves when the news sent so far has been delivered. */
  quiet(): Promise<void>
  newNonce(): string
  close(): Promise<void>
}
export type MakeHarness = (options: HarnessOptions) => Promise<Harness>
/** Makes a world that is closed after the test. */
export type UseWorld = (options?: HarnessOptions) => Promise<World>

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
export const text = (value: Uint8Array): string => new TextDecoder().decode(value)
export const packed = (...texts: readonly string[]): PackedItems => pack(texts.map(bytes))
export const texts = (list: PackedItems): string[] =>
  Array.from({ length: itemCount(list) }, (_, i) => text(item(list, i)))

/** Long enough that no test outlives it. */
const LONG_TTL_MS = 60_000
/** News of a local Redis has arrived after so long. */
const NEWS_MS = 20
/** The shortest that a store can tell from a standstill. */
export const SHORT_TTL_MS = 300

export class World {
  readonly harness: Harness
  readonly backend: Backend
  readonly #notices = new Map<string, Notice[]>()

  constructor(harness: Harness) {
    this.harness = harness
    this.backend = harness.backend
  }

  static async make(harness: Harness): Promise<World> {
    const world = new World(harness)
    await world.backend.putGraph('graph', bytes('graph'))
    await world.join('driver', { role: 'client', queues: [] })
    await world.join('w')
    return world
  }

  nonce(): string {
    return this.harness.newNonce()
  }

  /** A session that hears its notices. */
  async join(session: string, info: Partial<SessionInfo> & { ttlMs?: number; mayLead?: boolean } = {}): Promise<void> {
    const { ttlMs = LONG_TTL_MS, mayLead = false, ...rest } = info
    if (!this.#notices.has(session)) {
      const heard: Notice[] = []
      this.#notices.set(session, heard)
      this.backend.listen(session, (notice) => heard.push(notice))
    }
    await this.backend.session({ kind: 'open', session, ttlMs, mayLead, info: { ...infoOf(session), ...rest } })
  }

  /** What a session was told so far. */
  async heard(session: string): Promise<Notice[]> {
    await this.harness.quiet()
    return this.#notices.get(session) ?? []
  }

  /** What a session was told since it was last asked. */
  async news(session: string): Promise<Notice[]> {
    const heard = await this.heard(session)
    return heard.splice(0)
  }

  /** What is told of a run from now on. */
  watch(runId: string): { seen: RunActivity[]; stop: () => void } {
    const seen: RunActivity[] = []
    const stop = this.backend.watch(runId, (activity) => seen.push(activity))
    return { seen, stop }
  }

  openRequest(runId: string, facts: Partial<OpenRequest> = {}): OpenRequest {
    return {
      runId,
      graph: 'graph',
      digest: 'run-digest',
      input: bytes('input'),
      nonce: this.nonce(),
      tasks: ['drive'],
      maxLosses: 3,
      timeoutMs: 0,
      retentionMs: 60_000,
      ...facts,
    }
  }

  /** Starts a run and says who holds it. */
  async start(runId: string, facts: Partial<OpenRequest> = {}): Promise<Holder> {
    const answer = await this.backend.open(this.openRequest(runId, { session: 'driver', ...facts }))
    if (answer.status !== 'ok' || answer.token === undefined) throw new Error(`open answered ${answer.status}`)
    return { gid: runId, index: 0, token: answer.token }
  }

  spec(gid: string, facts: Partial<GroupSpec> = {}): GroupSpec {
    return {
      gid,
      runId: gid.slice(0, gid.indexOf('/')),
      graph: 'graph',
      node: '0',
      digest: 'digest',
      size: 3,
      shared: false,
      rule: 'all',
      queue: 'default',
      requires: [],
      tasks: ['task'],
      priority: 0,
      depth: 1,
      limit: 0,
      attempts: 1,
      maxLosses: 3,
      timeoutMs: 0,
      ...facts,
    }
  }

  /** Opens a group with inputs `i0`, `i1`, … and expects that to work. */
  async dispatch(holder: Holder, gid: string, facts: Partial<GroupSpec> = {}): Promise<GroupSpec> {
    const spec = this.spec(gid, facts)
    const answer = await this.step(holder, { group: { spec, from: 0, inputs: inputsFor(spec) } })
    if (answer.status !== 'ok') throw new Error(`step answered ${answer.status}`)
    return spec
  }

  async step(holder: Holder, facts: Omit<StepRequest, 'holder' | 'runId'>): Promise<StepAnswer> {
    const slash = holder.gid.indexOf('/')
    return this.backend.step({ holder, runId: slash < 0 ? holder.gid : holder.gid.slice(0, slash), ...facts })
  }

  acquireRequest(facts: Partial<AcquireRequest> = {}): AcquireRequest {
    return { session: 'w', nonce: this.nonce(), max: 100, queues: ['default'], capabilities: [], ...facts }
  }

  /** Takes what there is, `max` at most. */
  async take(max = 100, facts: Partial<AcquireRequest> = {}): Promise<readonly Grant[]> {
    const answer = await this.backend.acquire(this.acquireRequest({ max, ...facts }))
    if (answer.status !== 'ok') throw new Error(`acquire answered ${answer.status}`)
    return answer.grants
  }

  /** Takes branches of one group, and expects that there are some. */
  async takeOne(max = 100, facts: Partial<AcquireRequest> = {}): Promise<Grant> {
    const grants = await this.take(max, facts)
    const [grant] = grants
    if (grant === undefined || grants.length !== 1) throw new Error(`expected one grant, got ${grants.length}`)
    return grant
  }

  /** Everything in the grants as `gid#index`. */
  names(grants: readonly Grant[]): string[] {
    return grants.flatMap((grant) => Array.from(grant.indexes, (index) => `${grant.spec.gid}#${index}`))
  }

  /** A range over branches of a grant (all of them, or these), all of one kind; values are `v<index>` where there are any. */
  range(
    grant: Grant,
    kind: SettleKind,
    indexes: readonly number[] = [...grant.indexes],
    facts: Partial<SettleRange> = {},
  ): SettleRange {
    const values = pack(
      indexes.map((index) => bytes(kind === 'released' ? '' : `${kind === 'succeeded' ? 'v' : 'e'}${index}`)),
    )
    return { gid: grant.spec.gid, token: grant.token, indexes, kinds: indexes.map(() => kind), values, ...facts }
  }

  async settle(
    grant: Grant,
    kind: SettleKind,
    indexes?: readonly number[],
    facts: Partial<SettleRange> = {},
  ): Promise<SettleAnswer> {
    return this.settleRange(this.range(grant, kind, indexes, facts))
  }

  async settleRange(range: SettleRange): Promise<SettleAnswer> {
    const [answer] = await this.backend.settle({ session: 'w', ranges: [range] })
    if (answer === undefined) throw new Error('expected an answer for the range')
    return answer
  }

  /** Every outcome of a group by index, as `kind:value`; withdrawn ones as their kind. A doubled index fails. */
  async outcomes(gid: string): Promise<string[]> {
    const page = await this.backend.inspect.outcomes(gid, 0)
    if (page === undefined) throw new Error(`expected a group ${gid}`)
    const found: string[] = []
    const put = (index: number | undefined, what: string): void => {
      if (index === undefined || found[index] !== undefined)
        throw new Error(`branch ${index} of ${gid} has two outcomes`)
      found[index] = what
    }
    for (const chunk of page.chunks) {
      chunk.kinds.forEach((kind: OutcomeKind, i: number) =>
        put(chunk.indexes[i], `${kind}:${text(item(chunk.values, i))}`),
      )
    }
    page.withdrawn?.kinds.forEach((kind, i) => put(page.withdrawn?.indexes[i], kind))
    return Array.from({ length: found.length }, (_, index) => found[index] ?? '-')
  }

  async state(gid: string): Promise<string | undefined> {
    return (await this.backend.inspect.outcomes(gid, 0))?.state
  }

  async queue(name = 'default'): Promise<{ ready: number; delayed: number; granted: number } | undefined> {
    const found = (await this.backend.inspect.queues()).find(({ queue }) => queue === name)
    return found && { ready: found.ready, delayed: found.delayed, granted: found.granted }
  }

  /** Lets time pass with a sweep every 100 ms, as busy processes do it. */
  async live(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 100) {
      await this.harness.advance(Math.min(left, 100))
      await this.backend.sweep('driver')
    }
  }

  /** As `until` of waits.ts, by the harness's time, and with sweeps. */
  async liveUntil(isSo: () => Promise<boolean>, mostMs = 3_000): Promise<void> {
    for (let waited = 0; waited <= mostMs; waited += 100) {
      if (await isSo()) return
      await this.live(100)
    }
    throw new Error(`expected it to be so within ${mostMs} ms`)
  }

  /** Joins a session that is gone soon, and takes something with it. */
  async takeAndVanish(max = 100, session = 'mortal'): Promise<Grant> {
    await this.join(session, { ttlMs: SHORT_TTL_MS })
    const grant = await this.takeOne(max, { session })
    await this.liveUntil(async () =>
      (await this.backend.inspect.sessions()).every((other) => other.session !== session),
    )
    return grant
  }
}

/** A world on an open backend, in real time. The caller closes the backend. */
export function worldOn(backend: Backend): Promise<World> {
  return World.make({
    backend,
    advance: elapse,
    stall: elapse,
    quiet: () => elapse(NEWS_MS),
    newNonce: () => randomUUID(),
    close: () => Promise.resolve(),
  })
}

export function infoOf(baseId: string): SessionInfo {
  return {
    baseId,
    hostname: 'host',
    pid: 1,
    role: 'auto',
    queues: ['default'],
    capabilities: [],
    tasks: ['task', 'drive'],
    metadata: {},
  }
}

export function inputsFor(spec: GroupSpec, from = 0, to = spec.size): PackedItems {
  if (spec.shared) return packed('shared')
  return packed(...Array.from({ length: to - from }, (_, i) => `i${from + i}`))
}
