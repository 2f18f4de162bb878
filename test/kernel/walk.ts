/**
 * A random walk over the kernel's operations by several producers and workers that die, come back, repeat calls, use old tokens, take runs over, open
 * them again and see the clock jump. After each step the invariants are checked; a call that was refused, or repeated, must have changed nothing.
 */
import type {
  AcquireRequest,
  Decision,
  Grant,
  GroupSpec,
  Holder,
  Notice,
  OpenRequest,
  Park,
  ReopenRequest,
  SettleKind,
  SettleRange,
  StepRequest,
  TakeRequest,
  WaitRequest,
} from '../../lib/backend/backend.js'
import { acquire } from '../../lib/backend/kernel/acquire.js'
import { decide } from '../../lib/backend/kernel/by-hand.js'
import { control } from '../../lib/backend/kernel/control.js'
import { open } from '../../lib/backend/kernel/open.js'
import { reopen } from '../../lib/backend/kernel/reopen.js'
import { handleSession as sessionOf } from '../../lib/backend/kernel/session.js'
import { settle } from '../../lib/backend/kernel/settle.js'
import { KernelState } from '../../lib/backend/kernel/state.js'
import { step } from '../../lib/backend/kernel/step.js'
import { nextDueAt, sweep } from '../../lib/backend/kernel/sweep.js'
import { take } from '../../lib/backend/kernel/take.js'
import { signal } from '../../lib/backend/kernel/waits.js'
import { LEAST_KEPT_MS } from '../../lib/backend/kept.js'
import { item, pack } from '../../lib/values/packed-items.js'
import { seededRandom } from '../../lib/time.js'
import { bytes, infoOf, text } from '../support/world.js'
import { checkInvariants, pictureOf } from './invariants.js'

const SESSIONS = ['s0', 's1', 's2', 's3', 's4'] as const
const QUEUES = ['default', 'other'] as const
type Names = readonly string[] | 'all'
const ASKED_QUEUES: readonly [Names, ...Names[]] = [
  QUEUES,
  QUEUES,
  ['default'],
  ['other'],
  ['runs'],
  ['runs', ...QUEUES],
  'all',
]
const ASKED_CAPABILITIES: readonly [Names, ...Names[]] = [[], ['gpu'], ['layout:4'], 'all']
const RULES = ['all', 'first-failure', 'first-success'] as const
const KINDS: readonly [SettleKind, ...SettleKind[]] = [
  'succeeded',
  'succeeded',
  'succeeded',
  'failed',
  'dead',
  'retry',
  'released',
  'parked',
  'parked',
]
/** Where branches of a run wait, and what signals name. */
const PLACES = ['w0', 'w1', 'w2'] as const
const ADDRESSES = ['ok', 'ok#1'] as const
const REFUSALS = new Set([
  'fenced',
  'conflict',
  'nograph',
  'backpressure',
  'gone',
  'dup',
  'exists',
  'nosession',
  'over',
  'withdrawn',
  'skip',
  'held',
  'paused',
  'waiting',
  'running',
  'not-kept',
])

export class Walk {
  readonly log: string[] = []
  /** What happened how often: a walk is honest when all of it did. */
  readonly counts = new Map<string, number>()
  readonly state: KernelState
  readonly #random: () => number
  #now = 1_700_000_000_000
  #made = 0
  readonly #woken = new Set<string>()
  readonly #grants: Grant[] = []
  readonly #holders: Holder[] = []
  readonly #specs = new Map<string, GroupSpec>()
  readonly #outcomes = new Map<string, string>()
  readonly #tokens = new Set<string>()
  /** How often a group was told of, and how often it was opened again. */
  readonly #closings = new Map<string, number>()
  readonly #reopenings = new Map<string, number>()
  readonly #takes: TakeRequest[] = []
  #lastFence = 0

  constructor(seed: number) {
    this.#random = seededRandom(seed)
    this.state = new KernelState(
      { affinityMs: 50, deadlineGraceMs: 20, payloadRetentionMs: 500, maxRetainedRuns: 20 },
      { notice: (session, notice) => this.#hear(session, notice), activity: (_, kind, gid) => this.#see(kind, gid) },
    )
    this.state.tick(this.#now)
    this.state.graphs.set('graph', { hash: 'graph', bytes: bytes('graph'), dueAt: 0, place: -1, order: 0 })
    this.state.bytes += 5
    for (const session of SESSIONS) this.#join(session)
  }

  /** One step: an operation, sometimes twice, and the checks. */
  step(): void {
    const moves: readonly [number, () => void][] = [
      [4, () => this.#open()],
      [16, () => this.#dispatch()],
      [22, () => this.#acquire()],
      [24, () => this.#settle()],
      [4, () => this.#save()],
      [4, () => this.#signal()],
      [2, () => this.#end()],
      [6, () => this.#session()],
      [6, () => this.#control()],
      [4, () => this.#take()],
      [4, () => this.#reopen()],
      [3, () => this.#decide()],
      [3, () => this.#live()],
      [3, () => this.#disturbHints()],
      [5, () => this.#advance()],
      [8, () => this.#call('sweep', () => sweep(this.state).status)],
    ]
    let at = this.#random() * moves.reduce((sum, [weight]) => sum + weight, 0)
    for (const [weight, move] of moves) {
      at -= weight
      if (at >= 0) continue
      move()
      break
    }
    this.#check()
  }

  /** Lets everything come to its end: no barrier may hang, and nothing may stay behind. */
  drain(): void {
    for (const session of SESSIONS)
      this.#call(`close ${session}`, () => sessionOf(this.state, { kind: 'close', session }).status)
    for (const run of this.state.runs.keys()) control(this.state, { kind: 'resume-run', runId: run })
    for (const queue of QUEUES) control(this.state, { kind: 'resume-queue', queue })
    const info = { ...infoOf('drain'), tasks: 'all' } as const
    sessionOf(this.state, { kind: 'open', session: 'drain', ttlMs: Number.POSITIVE_INFINITY, info })
    for (let idle = 0; idle < 3; ) {
      for (const runId of this.state.runs.keys()) this.#answerAll(runId)
      this.#tick(200)
      sweep(this.state, true)
      const answer = acquire(this.state, {
        session: 'drain',
        nonce: this.#name('n'),
        max: 50,
        queues: QUEUES,
        capabilities: 'all',
      })
      const grants = answer.status === 'ok' ? answer.grants : []
      for (const grant of grants) this.#settleAll(grant, 'succeeded')
      this.#check()
      idle = grants.length === 0 ? idle + 1 : 0
    }
    for (const group of this.state.groups.values()) {
      if (group.state === 'open' && group.filled === group.spec.size && !(group.isRoot && group.run.isAbandoned)) {
        if (group.isRoot) continue
        throw new Error(`${group.spec.gid} hangs with ${group.left} left`)
      }
    }
    const runs = acquire(this.state, {
      session: 'drain',
      nonce: this.#name('n'),
      max: 100,
      queues: ['runs'],
      capabilities: 'all',
    })
    for (const grant of runs.status === 'ok' ? runs.grants : []) this.#settleAll(grant, 'succeeded')
    for (let i = 0; i < 50; i++) {
      this.#tick(i < 40 ? 200 : LEAST_KEPT_MS / 8)
      sweep(this.state, true)
      this.#check()
    }
    if (this.state.runs.size > 0) throw new Error(`${[...this.state.runs.keys()].join()} stayed behind`)
    if (this.state.groups.size > 0 || this.state.bytes !== 5) throw new Error(`${this.state.bytes} bytes stayed behind`)
    const due = nextDueAt(this.state)
    if (due !== undefined && due <= this.state.now) throw new Error('something is due for ever')
  }

  // ---------------------------------------------------------------------------------------------------------------- moves

  #open(): void {
    if (this.state.runs.size > 12) return
    const isSubmitted = this.#chance(0.4)
    const request: OpenRequest = {
      runId: this.#chance(0.9) ? this.#name('run') : (this.#pick([...this.state.runs.keys()]) ?? this.#name('run')),
      graph: 'graph',
      digest: this.#chance(0.9) ? 'd' : 'e',
      input: bytes('in'),
      nonce: this.#name('n'),
      tasks: ['drive'],
      maxLosses: 2,
      timeoutMs: this.#chance(0.2) ? 400 : 0,
      retentionMs: this.#chance(0.6) ? 1_000 : LEAST_KEPT_MS,
      ...(isSubmitted ? {} : { session: this.#session0() }),
      ...(this.#chance(0.5) ? { ifLost: this.#pick(['take-over', 'abandon']) } : {}),
      ...(this.#chance(0.1) ? { idempotencyKey: this.#pick(['k0', 'k1', 'k2']) } : {}),
    }
    const answer = this.#call(`open ${request.runId}`, () => open(this.state, request), true)
    if (answer.status === 'ok' && answer.token !== undefined)
      this.#hold({ gid: request.runId, index: 0, token: answer.token })
  }

  #dispatch(): void {
    const holder = this.#pick(this.#holders)
    if (holder === undefined) return
    const runId = holder.gid.split('/')[0] ?? ''
    const depth = holder.gid.split('/').length
    if (depth > 4) return
    const place = `${holder.gid}${holder.gid === runId ? '' : `/${holder.index}`}/${Math.floor(this.#random() * 3)}`
    const known = this.#specs.get(place)
    const size = 1 + Math.floor(this.#random() * 6)
    const spec: GroupSpec =
      known !== undefined && this.#chance(0.9)
        ? known
        : {
            gid: place,
            runId,
            graph: this.#chance(0.98) ? 'graph' : 'unknown',
            node: '0',
            digest: this.#name('d'),
            size,
            shared: this.#chance(0.2),
            rule: this.#pick(RULES),
            queue: this.#pick(QUEUES),
            requires: this.#chance(0.2) ? ['gpu'] : [],
            tasks: ['task'],
            priority: Math.floor(this.#random() * 3) - 1,
            depth,
            limit: this.#chance(0.3) ? 1 + Math.floor(this.#random() * 3) : 0,
            attempts: Math.floor(this.#random() * 4),
            maxLosses: Math.floor(this.#random() * 3),
            timeoutMs: this.#chance(0.3) ? 30 : 0,
            ...(this.#chance(0.4) && { endsRun: true }),
            ...(this.#chance(0.1) ? { affinity: this.#pick(SESSIONS) } : {}),
          }
    const wanted = spec.shared ? 1 : spec.size
    const from = this.#chance(0.7) ? 0 : Math.floor(this.#random() * wanted)
    const to = this.#chance(0.7) ? wanted : from + Math.floor(this.#random() * (wanted - from + 1))
    const inputs = pack(Array.from({ length: to - from }, (_, i) => bytes(`i${spec.shared ? '' : from + i}`)))
    const isReopened = from === 0 && this.#chance(0.5)
    const request: StepRequest = { holder, runId, group: { spec, from, inputs, ...(isReopened && { isReopened }) } }
    const name = `step ${place} ${from}..${to}${isReopened ? ' anew' : ''}`
    const answer = this.#reopening(runId, () => this.#call(name, () => step(this.state, request), true))
    if (answer.status === 'ok') this.#specs.set(place, spec)
  }

  #acquire(): void {
    const request: AcquireRequest = {
      session: this.#session0(),
      nonce: this.#name('n'),
      max: Math.floor(this.#random() * 6),
      queues: this.#pick(ASKED_QUEUES),
      capabilities: this.#pick(ASKED_CAPABILITIES),
      ...(this.#chance(0.1) ? { deeperThan: 1 } : {}),
    }
    this.#woken.delete(request.session)
    const answer = this.#call(`acquire ${request.session} ${request.max}`, () => acquire(this.state, request), true)
    if (answer.status !== 'ok') return
    for (const grant of answer.grants) this.#receive(grant)
  }

  #receive(grant: Grant): void {
    if (this.#tokens.has(grant.token)) throw new Error(`the token ${grant.token} was given out twice`)
    if (grant.fence <= this.#lastFence) throw new Error(`the fence ${grant.fence} is not above ${this.#lastFence}`)
    this.#tokens.add(grant.token)
    this.#lastFence = grant.fence
    this.#checkGrant(grant)
    this.#grants.push(grant)
    for (const index of grant.indexes) this.#hold({ gid: grant.spec.gid, index, token: grant.token })
    while (this.#grants.length > 40) this.#grants.shift()
  }

  /** A process wants to drive a run; or its call from before arrives only now. */
  #take(): void {
    const late = this.#chance(0.3) ? this.#pick(this.#takes) : undefined
    const runId = this.#pick([...this.state.runs.keys()]) ?? 'nowhere'
    const request = late ?? { session: this.#session0(), nonce: this.#name('n'), runId }
    this.#takes.push(request)
    if (this.#takes.length > 10) this.#takes.shift()
    const before = this.state.runs.get(request.runId)?.groups.get(request.runId)?.grantHolding(0)
    const answer = this.#call(`take ${request.runId}`, () => take(this.state, request), true)
    if (answer.status !== 'ok') return
    if (before === undefined) {
      this.#receive(answer.grant)
      if (late !== undefined) this.#count('take late')
    } else if (answer.grant.token !== before.token || before.session.id !== request.session)
      throw new Error(`${request.runId} was given to ${request.session} beside ${before.session.id}`)
  }

  /** A run that has ended goes on, and maybe does some of it once more. */
  #reopen(): void {
    const run = this.#pick([...this.state.runs.values()].filter(({ end }) => end !== undefined || this.#chance(0.1)))
    if (run === undefined) return
    const below = [...run.groups.values()].filter(({ isRoot, parent }) => !isRoot && parent?.isRoot === true)
    const redone = this.#chance(0.3) ? this.#pick(below) : undefined
    const request: ReopenRequest = {
      runId: run.id,
      nonce: this.#name('n'),
      ...(this.#chance(0.3) && { forget: ['a'] }),
      ...(this.#chance(0.1) && { isPartial: true }),
      ...(redone !== undefined && { redo: [{ gid: redone.spec.gid, indexes: [0] }] }),
    }
    this.#reopening(
      run.id,
      () => this.#call(`reopen ${run.id}`, () => reopen(this.state, request), true),
      redone?.spec.gid,
    )
  }

  /** A person ends a branch, or says what a step gives. */
  #decide(): void {
    const all = [...this.state.groups.values()]
    const failing = all.filter(({ state, failed, isRoot }) => state === 'open' && failed > 0 && !isRoot)
    const group = (this.#chance(0.5) ? this.#pick(failing) : undefined) ?? this.#pick(all)
    if (group === undefined) return
    const path = this.#pick(['a', 'b'])
    const decision: Decision = {
      ...{ nonce: this.#name('n'), path, as: this.#pick(['succeeded', 'failed'] as const), gid: group.spec.gid },
      ...{ index: Math.floor(this.#random() * group.spec.size), value: bytes('by hand') },
      ...((group.isRoot || this.#chance(0.3)) && { mark: `${path}!` }),
    }
    const branch = `${decision.gid}#${decision.index}`
    const wasFailed = group.state === 'open' && ['failed', 'dead'].includes(group.table.state(decision.index))
    const answer = this.#call(`decide ${branch}`, () => decide(this.state, group.run.id, decision), true)
    if (answer !== 'ok' || !wasFailed) return
    this.#count('decide failed')
    this.#outcomes.delete(branch)
  }

  /** What groups end with may be another thing once they are opened again, but for what had succeeded. */
  #reopening<T>(runId: string, operation: () => T, undone?: string): T {
    const closed = [...this.state.groups.values()].filter(({ run, state }) => run.id === runId && state !== 'open')
    const answer = operation()
    for (const { spec, isRoot } of closed.filter(({ state }) => state === 'open')) {
      const { gid } = spec
      this.#count('opened again')
      this.#reopenings.set(gid, (this.#reopenings.get(gid) ?? 0) + 1)
      for (let index = 0; index < spec.size; index++) {
        const known = this.#outcomes.get(`${gid}#${index}`)
        const isKept = known?.startsWith('succeeded') === true && !isRoot && !(gid === undone && index === 0)
        if (!isKept) this.#outcomes.delete(`${gid}#${index}`)
      }
    }
    return answer
  }

  #settle(): void {
    const grant = this.#pick(this.#grants)
    if (grant === undefined) return
    const token = this.#chance(0.95) ? grant.token : (this.#pick(this.#grants)?.token ?? '')
    const onlyWaits = this.#chance(0.05)
    const indexes = [...grant.indexes].filter(() => onlyWaits || this.#chance(0.6))
    if (this.#chance(0.05)) indexes.push(Math.floor(this.#random() * 8))
    const kinds = indexes.map(() => (onlyWaits ? 'parked' : this.#chance(0.5) ? 'succeeded' : this.#pick(KINDS)))
    const range: SettleRange = {
      gid: grant.spec.gid,
      token,
      indexes,
      kinds,
      values: pack(indexes.map((index) => bytes(`${token}:${index}`))),
      delaysMs: kinds.map((kind) => (kind === 'retry' && this.#chance(0.6) ? 30 : 0)),
      parks: kinds.filter((kind) => kind === 'parked').map(() => this.#park(grant)),
      ...(this.#chance(0.2) ? { save: { paths: [this.#name('p')], values: pack([bytes('v')]) } } : {}),
    }
    const name = `settle ${range.gid} ${token} ${indexes.map((index, i) => `${index}:${kinds[i]}`).join()}`
    this.#call(name, () => settle(this.state, { session: 's0', ranges: [range] })[0] ?? 'none', true)
  }

  /** What a branch of the grant may wait for: a signal, a time, or a group below it. */
  #park(grant: Grant): Park {
    const below = [...this.state.groups.values()].filter(({ parent }) => parent?.spec.gid === grant.spec.gid)
    const until = this.#chance(0.3) ? this.#pick(below)?.spec.gid : undefined
    const dueMs = this.#chance(0.2) ? 40 : undefined
    if (until !== undefined) return { until, ...(dueMs !== undefined && { dueMs }) }
    return { wait: this.#wait(), ...(dueMs !== undefined && { dueMs }) }
  }

  #wait(): WaitRequest {
    return {
      place: this.#pick(PLACES),
      ...(this.#chance(0.8) ? { address: this.#pick(ADDRESSES) } : { dueMs: 50 }),
      ...(this.#chance(0.4) ? { dueMs: Math.floor(this.#random() * 100) } : {}),
      onDue: bytes('due'),
      isRepeated: this.#chance(0.5),
    }
  }

  #answerAll(runId: string): void {
    for (const address of ADDRESSES)
      signal(this.state, { runId, address, payload: bytes('sent'), nonce: this.#name('n') })
  }

  #signal(): void {
    const runId = this.#pick([...this.state.runs.keys()]) ?? 'nowhere'
    const address = this.#pick(ADDRESSES)
    const request = { runId, address, payload: bytes('sent'), nonce: this.#name('n') }
    this.#call(`signal ${runId} ${address}`, () => signal(this.state, request), true)
  }

  #settleAll(grant: Grant, kind: SettleKind): void {
    const kinds = [...grant.indexes].map(() => kind)
    const values = pack([...grant.indexes].map((index) => bytes(`${grant.token}:${index}`)))
    settle(this.state, {
      session: 'drain',
      ranges: [{ gid: grant.spec.gid, token: grant.token, indexes: grant.indexes, kinds, values }],
    })
  }

  #save(): void {
    const holder = this.#pick(this.#holders)
    if (holder === undefined) return
    const closed = [...this.state.groups.values()].filter(
      ({ state, parent, parentIndex }) =>
        state !== 'open' && parent?.spec.gid === holder.gid && parentIndex === holder.index,
    )
    const request: StepRequest = {
      holder,
      runId: holder.gid.split('/')[0] ?? '',
      save: { paths: [this.#pick(['a', 'b', this.#name('p')])], values: pack([bytes('v')]) },
      ...(this.#chance(0.3) ? { wait: this.#wait() } : {}),
      ...(this.#chance(0.5) ? { retire: closed.map(({ spec }) => spec.gid) } : {}),
    }
    this.#call(`save ${holder.gid}`, () => step(this.state, request), true)
  }

  #end(): void {
    const holder = this.#pick(this.#holders.filter(({ gid }) => !gid.includes('/')))
    if (holder === undefined) return
    const end = { state: this.#pick(['completed', 'failed', 'cancelled'] as const), value: bytes('v') }
    const answer = this.#call(`end ${holder.gid}`, () => step(this.state, { holder, runId: holder.gid, end }))
    if (answer.status !== 'ok') return
    const again = this.#call(`end ${holder.gid} again`, () => step(this.state, { holder, runId: holder.gid, end }))
    if (again.status !== 'done' && this.state.runs.has(holder.gid))
      throw new Error(`a repeated end answered ${again.status}`)
  }

  #session(): void {
    const session = this.#session0()
    const kind = this.#pick(['open', 'renew', 'renew', 'close', 'reconcile'] as const)
    if (kind === 'open') {
      this.#join(session)
      return
    }
    if (kind === 'close') {
      if (this.#chance(0.5)) return
      this.#woken.delete(session)
    }
    const known = this.#grants.filter(() => this.#chance(0.5)).map(({ spec, token }) => ({ gid: spec.gid, token }))
    const request =
      kind === 'reconcile'
        ? { kind, session, known }
        : kind === 'renew'
          ? { kind, session, ttlMs: 300 }
          : { kind, session }
    this.#call(`${kind} ${session}`, () => sessionOf(this.state, request).status)
  }

  #control(): void {
    const live = [...this.state.runs.values()].filter(({ end }) => end === undefined || this.#chance(0.2))
    const runId = this.#pick(live)?.id ?? 'nowhere'
    const queue = this.#pick(QUEUES)
    const holder = this.#pick(this.#holders)
    const mine = [...this.state.groups.values()].filter(({ parent }) => parent?.spec.gid === holder?.gid)
    const gid = this.#pick(this.#chance(0.7) ? mine : [...this.state.groups.values()])?.spec.gid ?? 'nowhere'
    const value = bytes('v')
    const kinds = [
      'pause-run',
      'resume-run',
      'resume-run',
      'pause-queue',
      'resume-queue',
      'resume-queue',
      'withdraw-group',
      'cancel-run',
      'fail-run',
      'end-run',
    ] as const
    const kind = this.#pick(kinds)
    switch (kind) {
      case 'pause-run':
      case 'resume-run':
        this.#call(`${kind} ${runId}`, () => control(this.state, { kind, runId }), true)
        return
      case 'pause-queue':
      case 'resume-queue':
        this.#call(`${kind} ${queue}`, () => control(this.state, { kind, queue }), true)
        return
      case 'withdraw-group':
        if (holder !== undefined) this.#call(`${kind} ${gid}`, () => control(this.state, { kind, holder, gid }), true)
        return
      case 'cancel-run':
      case 'fail-run':
        if (this.#chance(0.3))
          this.#call(`${kind} ${runId}`, () => control(this.state, { kind, runId, reason: 'r', value }), true)
        return
      case 'end-run':
        if (holder === undefined || this.#chance(0.5)) return
        {
          const own = this.#chance(0.8) ? (holder.gid.split('/')[0] ?? '') : runId
          const request = { kind, runId: own, holder, state: 'completed', reason: 'r', value } as const
          this.#call(`${kind} ${own}`, () => control(this.state, request), true)
        }
        return
      default:
        return kind satisfies never
    }
  }

  /** W14: doubled and stale entries in the returned list are hints, and the table decides. */
  #disturbHints(): void {
    const group = this.#pick([...this.state.groups.values()])
    if (group === undefined) return
    this.#count('hint')
    group.requeued.push(Math.floor(this.#random() * (group.spec.size + 2)))
  }

  #advance(): void {
    const far = this.#random()
    this.#tick(
      far < 0.7
        ? Math.floor(this.#random() * 60)
        : far < 0.85
          ? Math.floor(this.#random() * 500)
          : far < 0.95
            ? -Math.floor(this.#random() * 100_000)
            : 5_000,
    )
  }

  /** Time passes as it does with busy processes: some renew, all sweep. */
  #live(): void {
    const alive = SESSIONS.filter(() => this.#chance(0.6))
    for (let i = 0; i < 5; i++) {
      this.#tick(100)
      for (const session of alive)
        this.#call(`renew ${session}`, () => sessionOf(this.state, { kind: 'renew', session, ttlMs: 300 }).status)
      this.#call('sweep', () => sweep(this.state).status)
      this.#check()
    }
  }

  // -------------------------------------------------------------------------------------------------------------- checking

  #call<T>(name: string, operation: () => T, isRepeatable = false): T {
    this.#log(name)
    const before = pictureOf(this.state)
    const answer = operation()
    const word = typeof answer === 'string' ? answer : ((answer as { status?: string }).status ?? '')
    this.#count(`${name.split(' ')[0]} ${word}`)
    this.#log(`  ${word}`)
    if (REFUSALS.has(word)) this.#expectSame(before, `${name} answered ${word} and changed something`)
    if (isRepeatable && this.#chance(0.4)) {
      const middle = pictureOf(this.state)
      const again = operation()
      this.#log('  again')
      this.#count('repeat')
      this.#expectSame(middle, `${name} was repeated and changed something`)
      const second = typeof again === 'string' ? again : ((again as { status?: string }).status ?? '')
      const isKnown = second === word || ['dup', 'done', 'exists', 'over', 'fenced', 'withdrawn'].includes(second)
      if (!isKnown) throw new Error(`${name} answered ${word}, and repeated ${second}`)
    }
    return answer
  }

  #expectSame(before: unknown, what: string): void {
    const [a, b] = [JSON.stringify(before), JSON.stringify(pictureOf(this.state))]
    if (a === b) return
    let at = 0
    while (a[at] === b[at]) at++
    throw new Error(
      `${what}: …${a.slice(Math.max(0, at - 80), at + 80)}… became …${b.slice(Math.max(0, at - 80), at + 80)}…`,
    )
  }

  #check(): void {
    checkInvariants(this.state, this.#woken)
    for (const [gid, times] of this.#closings)
      if (times > 2 + 2 * (this.#reopenings.get(gid) ?? 0)) throw new Error(`${gid} ended twice`)
    for (const [gid, group] of this.state.groups) {
      for (const chunk of group.chunks) {
        chunk.kinds.forEach((kind, i) =>
          this.#settled(`${gid}#${chunk.indexes[i]}`, `${kind} ${text(item(chunk.values, i))}`),
        )
      }
      if (group.state === 'open') continue
      const { indexes, kinds } = group.withdrawn()
      kinds.forEach((kind, i) => this.#settled(`${gid}#${indexes[i]}`, kind))
    }
  }

  /** An outcome never changes. */
  #settled(branch: string, outcome: string): void {
    const known = this.#outcomes.get(branch)
    if (known === undefined) {
      this.#outcomes.set(branch, outcome)
      this.#count(`outcome ${outcome.split(' ')[0]}`)
    } else if (known !== outcome) {
      throw new Error(`${branch} was ${known} and is ${outcome}`)
    }
  }

  #checkGrant({ spec, indexes, errors, losses, inputs }: Grant): void {
    indexes.forEach((index, i) => {
      if ((losses[i] ?? 0) > spec.maxLosses && spec.gid.includes('/'))
        throw new Error(`${spec.gid}#${index} should be dead`)
      if (spec.attempts > 0 && (errors[i] ?? 0) >= spec.attempts)
        throw new Error(`${spec.gid}#${index} should have failed`)
      const input = text(item(inputs, spec.shared ? 0 : i))
      const expected = spec.gid.includes('/') ? `i${spec.shared ? '' : index}` : 'in'
      if (input !== expected) throw new Error(`${spec.gid}#${index} got the input ${input}`)
    })
    if ((losses[0] ?? 0) > 0) this.#count('granted after a loss')
    if ((errors[0] ?? 0) > 0) this.#count('granted after an error')
  }

  #hear(session: string, notice: Notice): void {
    this.#count(`notice ${notice.kind}`)
    if (notice.kind === 'work') this.#woken.add(session)
  }

  /** Every group is told of at each of its openings and at its one end after that. */
  #see(kind: string, gid: string): void {
    if (kind !== 'group') return
    this.#closings.set(gid, (this.#closings.get(gid) ?? 0) + 1)
  }

  #tick(ms: number): void {
    this.#log(`time ${ms}`)
    this.#count(ms < 0 ? 'time back' : 'time on')
    this.#now += ms
    this.state.tick(this.#now)
  }

  #join(session: string): void {
    const info = { ...infoOf(session), baseId: this.#chance(0.8) ? session : 's0', capabilities: [] }
    if (!this.state.sessions.has(session)) this.#woken.delete(session)
    this.#call(
      `join ${session}`,
      () => sessionOf(this.state, { kind: 'open', session, ttlMs: this.#chance(0.5) ? 300 : 2_000, info }).status,
    )
  }

  #hold(holder: Holder): void {
    this.#holders.push(holder)
    while (this.#holders.length > 40) this.#holders.shift()
  }

  #session0(): string {
    return this.#pick(SESSIONS)
  }

  #name(prefix: string): string {
    this.#made += 1
    return `${prefix}${this.#made}`
  }

  #chance(of: number): boolean {
    return this.#random() < of
  }

  #pick<T>(from: readonly [T, ...T[]]): T
  #pick<T>(from: readonly T[]): T | undefined
  #pick<T>(from: readonly T[]): T | undefined {
    return from[Math.floor(this.#random() * from.length)]
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1)
  }

  #log(line: string): void {
    this.log.push(line)
    if (this.log.length > 60) this.log.shift()
  }
}
