/**
 * Several processes resume one run over a network that delays, doubles and loses calls, and replies to them, while they are killed: a simulation by
 * the kernel, seeded, so that a failure names its seed. GRAFLOW_WALKS makes it longer.
 */
import type { OpenRequest } from '../../lib/backend/backend.js'
import { open } from '../../lib/backend/kernel/open.js'
import { handleSession } from '../../lib/backend/kernel/session.js'
import { settle } from '../../lib/backend/kernel/settle.js'
import { KernelState } from '../../lib/backend/kernel/state.js'
import { step } from '../../lib/backend/kernel/step.js'
import { sweep } from '../../lib/backend/kernel/sweep.js'
import { take } from '../../lib/backend/kernel/take.js'
import { seededRandom } from '../../lib/time.js'
import { pack } from '../../lib/values/packed-items.js'
import { bytes, infoOf, text } from '../support/world.js'

const SEEDS = Number(process.env.GRAFLOW_WALKS ?? 200)
const PROCESSES = 5
const STEPS = 6
const TTL_MS = 300
/** Between two things that a process does of itself. */
const TICK_MS = 20
/** A reply that does not come within this time is asked for again. */
const PATIENCE_MS = 100
/** A delayed call arrives as late as this, long after its sender is taken for dead. */
const LATE_MS = 1_000
/** The run has ended by then, whatever happened. */
const MOST_MS = 20_000

/** Something on its way. */
interface Message {
  readonly at: number
  readonly arrive: () => void
}

/** One process: it asks for the run until it has it, drives it step by step, and stands by where another does. */
class Process {
  readonly session: string
  isAlive = true
  isDone = false
  /** Under which it drives. */
  token: string | undefined
  /** Counts its calls: the reply to an older one means nothing. */
  #call = 0
  #askAgainAt = 0
  #nonce = ''
  readonly #field: Field

  constructor(field: Field, session: string) {
    this.#field = field
    this.session = session
  }

  turn(now: number): void {
    if (!this.isAlive || this.isDone || now < this.#askAgainAt) return
    this.#call += 1
    this.#askAgainAt = now + PATIENCE_MS
    if (this.token === undefined) this.#ask()
    else this.#go(this.token)
  }

  /** Asks for the run; the same call again where no reply came. */
  #ask(): void {
    const { session } = this
    if (this.#nonce === '') this.#nonce = this.#field.nonce()
    const request = { session, nonce: this.#nonce, runId: 'run' }
    const call = this.#call
    this.#field.send(
      () => {
        const answer = this.#field.take(this, request)
        if (answer.status === 'held' && answer.session === session) return 'mine'
        return answer.status === 'ok' ? answer.grant.token : answer.status
      },
      (answer) => {
        if (call !== this.#call) return
        this.#nonce = ''
        if (answer === 'over') this.isDone = true
        else if (answer === 'nosession') this.#field.join(this)
        else if (answer === 'mine')
          this.#field.reconcile(this) // by a call of before, that came late
        else if (answer.includes('.')) {
          this.token = answer
          this.#askAgainAt = 0
        }
      },
    )
  }

  /** The next step that is not saved, or the end. */
  #go(token: string): void {
    const call = this.#call
    this.#field.send(
      () => this.#field.drive(this, token),
      (answer) => {
        if (call !== this.#call) return
        this.#askAgainAt = 0
        if (answer === 'done') this.isDone = true
        else if (answer !== 'ok') this.token = undefined // another has it
      },
    )
  }
}

/** The store, the network and the processes. */
class Field {
  readonly counts = new Map<string, number>()
  readonly #state: KernelState
  readonly #random: () => number
  readonly #processes: Process[]
  #network: Message[] = []
  #now = 1_700_000_000_000
  #nonces = 0
  #lastFence = 0

  constructor(seed: number) {
    this.#random = seededRandom(seed)
    const effects = { notice: () => undefined, activity: () => undefined }
    this.#state = new KernelState({ affinityMs: 50, deadlineGraceMs: 20, payloadRetentionMs: 60_000 }, effects)
    this.#state.tick(this.#now)
    this.#state.graphs.set('graph', { hash: 'graph', bytes: bytes('graph'), dueAt: 0, place: -1, order: 0 })
    this.#processes = Array.from({ length: PROCESSES }, (_, i) => new Process(this, `p${i}`))
    for (const one of this.#processes) this.join(one)
    this.#begin(seed % 2 === 0 ? 'abandon' : 'take-over')
  }

  /** The process that began the run is killed. */
  #begin(ifLost: 'abandon' | 'take-over'): void {
    handleSession(this.#state, { kind: 'open', session: 'first', ttlMs: TTL_MS, info: infoOf('first') })
    const request: OpenRequest = {
      ...{ runId: 'run', graph: 'graph', digest: 'd', input: bytes('in'), nonce: 'first', tasks: [], maxLosses: 1_000 },
      ...{ timeoutMs: 0, retentionMs: 600_000, session: 'first', ifLost },
    }
    open(this.#state, request)
  }

  /** Until all that live know that the run is over. */
  play(): void {
    for (const until = this.#now + MOST_MS; this.#now < until; ) {
      this.#now += TICK_MS
      this.#state.tick(this.#now)
      const arrived = this.#network.filter(({ at }) => at <= this.#now)
      this.#network = this.#network.filter(({ at }) => at > this.#now)
      for (const { arrive } of arrived) arrive()
      for (const one of this.#processes) {
        if (one.isAlive) handleSession(this.#state, { kind: 'renew', session: one.session, ttlMs: TTL_MS })
        one.turn(this.#now)
      }
      sweep(this.#state, true)
      this.#kill()
      const living = this.#processes.filter(({ isAlive }) => isAlive)
      if (living.every(({ isDone }) => isDone)) {
        this.#expectWhole()
        return
      }
    }
    throw new Error(`the run has not ended: ${JSON.stringify(this.#state.runs.get('run')?.record(this.#now))}`)
  }

  /** Now and then one goes for good, mostly the one that drives; the last one stays. */
  #kill(): void {
    const living = this.#processes.filter(({ isAlive, isDone }) => isAlive && !isDone)
    if (living.length < 2 || this.#random() > 0.03) return
    const victim = living.find(({ token }) => token !== undefined) ?? living[0]
    if (victim === undefined) return
    victim.isAlive = false
    this.#count(victim.token === undefined ? 'killed beside it' : 'killed as the driver')
  }

  join({ session }: Process): void {
    handleSession(this.#state, { kind: 'open', session, ttlMs: TTL_MS, info: infoOf(session) })
  }

  /** Gives back what the store has for a process that knows nothing of it. */
  reconcile({ session }: Process): void {
    this.#count('reconciled')
    const answer = handleSession(this.#state, { kind: 'reconcile', session, known: [] })
    const unknown = answer.status === 'reconciled' ? answer.unknown : []
    const ranges = unknown.map(({ spec, token, indexes }) => ({
      ...{ gid: spec.gid, token, indexes },
      ...{ kinds: ['released' as const], values: pack([bytes('')]) },
    }))
    settle(this.#state, { session, ranges })
  }

  nonce(): string {
    this.#nonces += 1
    return `n${this.#nonces}`
  }

  /** A call that may come late, twice or never, and its reply, which may be lost. */
  send(call: () => string, reply: (answer: string) => void): void {
    const arrive = (): void => {
      const answer = call()
      if (this.#random() < 0.8) this.#later(60, () => reply(answer))
      else this.#count('reply lost')
    }
    const chance = this.#random()
    if (chance < 0.1) {
      this.#count('call lost')
      return
    }
    this.#later(chance < 0.3 ? LATE_MS : 40, arrive)
    if (chance > 0.8) this.#later(LATE_MS, arrive)
  }

  #later(mostMs: number, arrive: () => void): void {
    this.#network.push({ at: this.#now + this.#random() * mostMs, arrive })
  }

  take(by: Process, request: { session: string; nonce: string; runId: string }) {
    const before = this.#driver()
    const answer = take(this.#state, request)
    this.#count(`take ${answer.status}`)
    if (answer.status !== 'ok') {
      if (this.#driver() !== before) throw new Error(`a take that was answered ${answer.status} changed the driver`)
      return answer
    }
    const { token } = answer.grant
    if (before !== undefined && before !== token) throw new Error(`${by.session} was given the run beside another`)
    if (before === token) this.#count('take repeated')
    if (!by.isAlive) this.#count('take by a dead process')
    return answer
  }

  /** One step of a driver; what it writes counts under the last token only, and once. */
  drive(by: Process, token: string): string {
    const run = this.#state.runs.get('run')
    const next = Array.from({ length: STEPS }, (_, i) => `${i}`).find((path) => run?.saved.has(path) !== true)
    const holder = { gid: 'run', index: 0, token }
    const answer = step(this.#state, {
      ...{ runId: 'run', holder },
      ...(next === undefined
        ? { end: { state: 'completed', value: bytes('end') } }
        : { save: { paths: [next], values: pack([bytes(token)]) } }),
    })
    this.#count(`step ${answer.status}`)
    if (answer.status !== 'ok') return answer.status
    const fence = Number(token.split('.')[0])
    if (fence < this.#lastFence) throw new Error(`${by.session} wrote under ${token} after a later driver had`)
    this.#lastFence = fence
    return next === undefined ? 'done' : 'ok'
  }

  /** The token under which the run is driven now. */
  #driver(): string | undefined {
    return this.#state.runs.get('run')?.groups.get('run')?.grantHolding(0)?.token
  }

  /** Every step was saved once, by drivers that followed each other. */
  #expectWhole(): void {
    const run = this.#state.runs.get('run')
    const fences = Array.from({ length: STEPS }, (_, i) =>
      Number(text(run?.saved.get(`${i}`) ?? bytes('')).split('.')[0]),
    )
    if (run?.end?.state !== 'completed' || fences.some((fence, i) => !(fence >= (fences[i - 1] ?? 1))))
      throw new Error(`expected all steps in order, got ${fences.join()}`)
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1)
  }
}

/** What the simulations must have met to be worth anything. */
const MUST_HAPPEN = [
  'killed as the driver',
  'killed beside it',
  'reply lost',
  'call lost',
  'take held',
  'take nosession',
  'take over',
  'take repeated',
  'take by a dead process',
  'reconciled',
  'step fenced',
  'step done',
]

it('P5, FT-P8, FT-P10, FT-P12: of those that resume a run one drives at a time, whoever is killed and whatever comes late or twice, until it has ended', () => {
  const counts = new Map<string, number>()
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const field = new Field(seed)
    try {
      field.play()
    } catch (error) {
      throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    }
    for (const [what, count] of field.counts) counts.set(what, (counts.get(what) ?? 0) + count)
  }
  expect(MUST_HAPPEN.filter((what) => !counts.has(what))).toEqual([])
})
