/**
 * The kernel as store under a clock that moves only when told to, and an engine that does nothing but note what is started: what a part of
 * the executor needs to be alone.
 */
import { each, task } from 'graflow'
import type { Backend, Grant, GroupSpec } from '../../lib/backend/backend.js'
import { openMemoryBackend } from '../../lib/backend/kernel/memory-backend.js'
import type { BranchKeeper } from '../../lib/engine/branch-keeper.js'
import { Execution } from '../../lib/engine/execution.js'
import { Pauses } from '../../lib/engine/pauses.js'
import { PreparedGrant } from '../../lib/engine/prepared-grant.js'
import { Registry } from '../../lib/engine/registry.js'
import { Emitter } from '../../lib/events.js'
import type { ExecutorOptions } from '../../lib/executor/executor-options.js'
import { GrantInFlight } from '../../lib/executor/grant-in-flight.js'
import { InFlight } from '../../lib/executor/in-flight.js'
import { Lookahead } from '../../lib/executor/lookahead.js'
import { Phase } from '../../lib/executor/phase.js'
import { Settler } from '../../lib/executor/settler.js'
import { Slots, type QueueShare } from '../../lib/executor/slots.js'
import { Starter } from '../../lib/executor/starter.js'
import { Turn } from '../../lib/executor/turn.js'
import { expressionOf } from '../../lib/flow/node.js'
import { graphOf } from '../../lib/graph/graph-of.js'
import { manualClock, type ManualClock } from '../../lib/time.js'
import { World } from '../support/world.js'

/** A start that the engine was asked for. */
export interface Begun {
  readonly index: number
  readonly keeper: BranchKeeper
  readonly execution: Execution
  /** Reports success. */
  succeed(output?: unknown): void
}

const flow = expressionOf(each(task('work', (n: number) => n)))
const graph = graphOf(flow)
const registry = new Registry()
registry.learn(flow)

export const prepare = (grant: Grant): PreparedGrant =>
  new PreparedGrant(grant, graph, () => registry.codeOf(grant.spec.runId), 'w', true)

export class ExecutorStage {
  readonly clock: ManualClock = manualClock(1_000)
  readonly emitter = new Emitter(() => this.clock.now())
  readonly world: World
  readonly starts: Begun[] = []
  readonly errors: unknown[] = []
  /** Turns that were planned, and run. */
  turns = 0
  readonly #groups = new Map<string, number>()

  private constructor(clockedWorld: (clock: ManualClock) => World) {
    this.world = clockedWorld(this.clock)
  }

  static async open(limits: { readonly itemsPerCall?: number } = {}): Promise<ExecutorStage> {
    let nonces = 0
    const stage = new ExecutorStage((clock) => {
      const backend = openMemoryBackend({ clock, ...limits })
      const newNonce = (): string => `nonce-${(nonces += 1)}`
      const advance = async (ms: number): Promise<void> => {
        clock.advance(ms)
        await nextTurn()
      }
      return new World({ backend, newNonce, advance, stall: advance, quiet: nextTurn, close: () => backend.close() })
    })
    await stage.backend.putGraph('graph', new Uint8Array(1))
    await stage.world.join('driver', { role: 'client', queues: [] })
    await stage.world.join('w', { queues: ['default', 'runs'], tasks: 'all' })
    return stage
  }

  get backend(): Backend {
    return this.world.backend
  }

  /** All that any part is given; the store as it is, unless another is named. */
  options(facts: Partial<ExecutorOptions> = {}): ExecutorOptions {
    return {
      ...{ backend: this.backend, clock: this.clock, emitter: this.emitter, session: 'w', workerId: 'w' },
      ...{ maxConcurrentTasks: 4, queues: ['default'], capabilities: [], newId: () => this.world.nonce() },
      engine: {
        ...{ prepare, pauses: new Pauses(this.backend, this.clock) },
        start: (prepared, k, keeper) => this.#start(prepared, k, keeper),
      },
      driveRun: () => undefined,
      onError: (error) => this.errors.push(error),
      ...facts,
    }
  }

  /** Offers a new group of so many branches. */
  async offer(size: number, facts: Partial<GroupSpec> = {}): Promise<string> {
    const runId = `run-${this.#groups.size}`
    this.#groups.set(runId, size)
    const holder = await this.world.start(runId)
    const { gid } = await this.world.dispatch(holder, `${runId}/0`, { size, node: '0', tasks: ['work'], ...facts })
    return gid
  }

  /** A new group, granted. */
  async grant(size: number, facts: Partial<GroupSpec> = {}): Promise<Grant> {
    await this.offer(size, facts)
    return this.world.takeOne(size)
  }

  /** Parts that take a branch from its grant to its settle. */
  parts(facts: Partial<ExecutorOptions> = {}): {
    readonly phase: Phase
    readonly turn: Turn
    readonly slots: Slots
    readonly ahead: Lookahead
    readonly inFlight: InFlight
    readonly settler: Settler
    readonly starter: Starter
    /** A grant that waits. */
    admit(grant: Grant, share?: QueueShare): GrantInFlight
  } {
    const options = this.options(facts)
    const phase = new Phase()
    const turn = new Turn(this.clock, () => {
      this.turns += 1
      settler.flush()
    })
    const slots = new Slots(options.maxConcurrentTasks, () => undefined)
    const ahead = new Lookahead(options.maxConcurrentTasks)
    const inFlight = new InFlight()
    const settler: Settler = new Settler(options, {
      ...{ phase, turn, ahead, inFlight },
      onSettled: () => {
        if (settler.hasUnsettled) turn.plan()
      },
    })
    const starter = new Starter(options, { slots, turn, ahead, inFlight, settler })
    const admit = (grant: Grant, share?: QueueShare): GrantInFlight => {
      const admitted = new GrantInFlight(prepare(grant), share, turn.look())
      inFlight.add(admitted)
      starter.add(admitted)
      return admitted
    }
    return { phase, turn, slots, ahead, inFlight, settler, starter, admit }
  }

  #start(prepared: PreparedGrant, k: number, keeper: BranchKeeper): Execution {
    const execution = new Execution(prepared.branch(k), keeper)
    const { index } = prepared.branch(k)
    const succeed = (output: unknown = index): void => void keeper.succeeded(execution, output, 1_000)
    this.starts.push({ index, keeper, execution, succeed })
    return execution
  }
}

/** The same store, but for these calls. */
export const withCalls = (backend: Backend, calls: Partial<Backend>): Backend =>
  new Proxy(backend, {
    get(target, name) {
      const own: unknown = Reflect.get(calls, name) ?? Reflect.get(target, name, target)
      return typeof own === 'function' ? (own.bind(target) as unknown) : own
    },
  })

/** One turn of the event loop. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
