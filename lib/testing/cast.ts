/**
 * Who plays the tasks of a test run: their own handlers or stand-ins, with the faults that the test asks for. Every start goes through here, so it is
 * noted, and it is known what is at work. Hides how that is put between the engine and the code of a flow.
 */
import type { Code } from '../engine/registry.js'
import type { PolicyJoin } from '../flow/collect.js'
import type { TaskContext } from '../flow/context.js'
import type { TaskExpression } from '../flow/expression.js'
import type { Fault, StandIn } from './faults.js'
import { watchedContext } from './watched-context.js'
import type { Work } from './work.js'

/** One start of a task's handler, stand-in or fault. */
export interface TestStart {
  /** The name of the task. */
  readonly task: string
  /** Where it stands in the run, such as `1/0`. */
  readonly path: string
  /** Which start this is, from 1. */
  readonly attempt: number
  /** When, in milliseconds of the test's clock since the run began. */
  readonly atMs: number
  /** What the handler got: the value itself, so what a handler changes in it shows here. */
  readonly input: unknown
}

export interface CastOptions {
  readonly work: Work
  readonly standIns: readonly StandIn[]
  readonly faults: readonly Fault[]
  /** Milliseconds since the run began. */
  readonly nowMs: () => number
}

/** The worker in which starts happen. */
export interface Scene {
  /** Nothing happens in it any more. */
  readonly isLost: boolean
  /** The worker is lost at this moment. */
  lose(): void
  /** A handler brings a flow. */
  bring(node: unknown): void
}

type Schema = NonNullable<TaskExpression['input']>

const never = (): Promise<never> => new Promise(() => undefined)

/** One a test run. */
export class Cast {
  readonly starts: TestStart[] = []
  readonly #options: CastOptions
  readonly #standIns: ReadonlyMap<string, StandIn>
  readonly #met = new Set<StandIn | Fault>()

  constructor(options: CastOptions) {
    this.#options = options
    this.#standIns = new Map(options.standIns.map((standIn) => [standIn.task, standIn]))
  }

  /** What no start has met so far. */
  get unmet(): readonly (StandIn | Fault)[] {
    const { standIns, faults } = this.#options
    return [...standIns, ...faults].filter((item) => !this.#met.has(item))
  }

  /** The code of a flow as this test plays it in one worker. */
  through(scene: Scene): (code: Code) => Code {
    const tasks = keptBy((task: TaskExpression) => this.#played(task, scene))
    const policies = keptBy((policy: PolicyJoin) => this.#watchedPolicy(policy))
    return (code) => ({
      ...code,
      task: (name) => tasks(code.task(name)),
      policy: (name) => policies(code.policy(name)),
    })
  }

  #played(task: TaskExpression, scene: Scene): TaskExpression {
    const standIn = this.#standIns.get(task.name)
    if (standIn !== undefined) return this.#withStandIn(task, standIn, scene)
    const { name, input, output, handler } = task
    if (handler === undefined) return task
    return {
      ...task,
      ...(input !== undefined && { input: this.#watchedSchema(input, name) }),
      ...(output !== undefined && { output: this.#watchedSchema(output, name) }),
      handler: (input: unknown, ctx: TaskContext) => this.#start(scene, task, input, ctx, handler),
    }
  }

  #withStandIn(task: TaskExpression, standIn: StandIn, scene: Scene): TaskExpression {
    const { name, options, input } = task
    const own = standIn['~handler'] as (input: unknown, ctx: TaskContext) => unknown
    const handler = (input: unknown, ctx: TaskContext): unknown => {
      this.#met.add(standIn)
      return own(input, ctx)
    }
    return {
      ...{ kind: 'task', name, options },
      ...(input !== undefined && { input: this.#watchedSchema(input, name, 'checks only') }),
      handler: (input: unknown, ctx: TaskContext) => this.#start(scene, task, input, ctx, handler),
    }
  }

  #start(
    scene: Scene,
    { options: { isolation } }: TaskExpression,
    input: unknown,
    ctx: TaskContext,
    handler: (input: unknown, ctx: TaskContext) => unknown,
  ): unknown {
    if (scene.isLost) return never()
    const { work, nowMs } = this.#options
    const { taskName: task, path, attempt } = ctx
    this.starts.push({ task, path, attempt, atMs: nowMs(), input })
    work.note()
    const fault = this.#faultOf(task, path, attempt)
    if (fault?.kind === 'fail') throw fault.error
    if (fault?.kind === 'hang') return never()
    if (fault?.kind === 'lose' && fault.after !== true) {
      scene.lose()
      return never()
    }
    const piece = work.begin(`task "${task}" (at ${path})`)
    const watched = watchedContext(ctx, { piece, isInThread: isolation === 'thread', scene })
    const output = work.during(piece, () => handler(input, watched))
    if (fault === undefined) return output
    const lost = (): Promise<never> => {
      if (!scene.isLost) scene.lose()
      return never()
    }
    return Promise.resolve(output).then(lost, lost)
  }

  #faultOf(task: string, path: string, attempt: number): Fault | undefined {
    const fault = this.#options.faults.find(
      (one) => one.task === task && one.attempt === attempt && (one.path === undefined || one.path === path),
    )
    if (fault !== undefined) this.#met.add(fault)
    return fault
  }

  /** A schema may ask something outside, such as a database. What one gives that only checks is what it got. */
  #watchedSchema(schema: Schema, task: string, as?: 'checks only'): Schema {
    const { work } = this.#options
    const own = schema['~standard']
    const checked = async (value: unknown): Promise<Awaited<ReturnType<typeof own.validate>>> => {
      const result = await own.validate(value)
      return result.issues === undefined ? { value } : result
    }
    const validate = (value: unknown): ReturnType<typeof own.validate> =>
      work.during(work.begin(`a schema of task "${task}"`), () =>
        as === undefined ? own.validate(value) : checked(value),
      )
    return { '~standard': { ...own, validate } }
  }

  #watchedPolicy(policy: PolicyJoin): PolicyJoin {
    const { work } = this.#options
    const decide = (outcomes: never): unknown =>
      work.during(work.begin(`the join policy "${policy.name}"`), () => policy.decide(outcomes))
    return { ...policy, decide }
  }
}

/** What `make` makes of something, the same for each. */
function keptBy<T extends object>(make: (from: T) => T): (from: T | undefined) => T | undefined {
  const made = new WeakMap<T, T>()
  return (from) => {
    if (from === undefined) return undefined
    let kept = made.get(from)
    if (kept === undefined) made.set(from, (kept = make(from)))
    return kept
  }
}
