/**
 * Tells the store which workflows this process knows, so that any client can submit them by name. Hides how long the store keeps what it is told: it
 * is told again while the process lives.
 */
import type { Backend, StoredWorkflow } from '../backend/backend.js'
import { describeError } from '../describe.js'
import { isNeeded, isSaidByForm } from '../engine/exact-form.js'
import { fullStore, type GraphStore } from '../engine/graph-store.js'
import type { Emitter } from '../events.js'
import type { WorkflowExpression } from '../flow/expression.js'
import { graphOf } from '../graph/graph-of.js'
import { inputSchemaOf } from '../graph/input-schema.js'
import { withDeadline, type Clock, type Random } from '../time.js'
import { PeriodicTask } from './periodic-task.js'

export interface WorkflowRegistrationOptions {
  readonly backend: Pick<Backend, 'putWorkflow'>
  readonly graphs: Pick<GraphStore, 'keep' | 'restore'>
  readonly workflows: ReadonlyMap<string, WorkflowExpression>
  readonly buildId: string | undefined
  readonly clock: Clock
  readonly random: Random
  readonly emitter: Emitter
}

/**
 * A graph is kept for a day after its last use. Where two releases have a workflow of one name, the one that is left has it after so long.
 */
const REPEAT_MS = 10 * 60_000
const REPEAT_AFTER_ERROR_MS = 10_000
/** A worker starts after so long, whatever the store does. */
const MOST_MS = 1_000

/** One a process; until it is stopped. */
export class WorkflowRegistration {
  readonly #options: WorkflowRegistrationOptions
  readonly #repeats: PeriodicTask

  constructor(options: WorkflowRegistrationOptions) {
    this.#options = options
    const { clock, random } = options
    this.#repeats = new PeriodicTask({
      ...{ clock, random },
      turn: async () => {
        await this.#register()
        return REPEAT_MS
      },
      onError: (error) => this.#log(error),
    })
  }

  /**
   * Registers all, and resolves then, or after a while; from then on they stay registered. A store that does not take them now is asked again: nothing
   * else depends on it.
   */
  async begin(): Promise<void> {
    const { workflows, clock } = this.#options
    if (workflows.size === 0) return
    const registering = this.#register().then(
      () => this.#repeats.startIn(REPEAT_MS),
      (error: unknown) => {
        this.#log(error)
        this.#repeats.startIn(REPEAT_AFTER_ERROR_MS)
      },
    )
    await withDeadline(clock, MOST_MS, registering, () => undefined)
  }

  /** What is under way ends with the store. */
  stop(): void {
    void this.#repeats.stop()
  }

  async #register(): Promise<void> {
    await Promise.all([...this.#options.workflows.values()].map((workflow) => this.#put(workflow)))
  }

  async #put(workflow: WorkflowExpression): Promise<void> {
    const { backend, graphs, buildId } = this.#options
    const { name } = workflow
    const graph = graphOf(workflow)
    const hash = graphs.keep(graph)
    await graphs.restore(hash, graph) // asking keeps it for another day
    const { timeoutMs, pin } = workflow.options
    const stored: StoredWorkflow = {
      ...{ name, graph: hash },
      ...(timeoutMs !== undefined && { timeoutMs }),
      ...(pin === true && { pin }),
      ...(buildId !== undefined && { buildId }),
      ...inputFacts(workflow),
    }
    if ((await backend.putWorkflow(stored)) === 'backpressure') throw fullStore(`workflow "${name}"`)
  }

  #log(error: unknown): void {
    const message = `the workflows of this worker cannot be submitted by name yet: ${describeError(error)}`
    this.#options.emitter.emit('log', { level: 'warn', message })
  }
}

/** What others may say of its input before it is started. */
function inputFacts(workflow: WorkflowExpression): Partial<StoredWorkflow> {
  const found = inputSchemaOf(workflow)
  if (found === undefined) return {}
  const { text: inputSchema, taken } = found
  const isInputExact = isSaidByForm(taken.schema)
  const needsInput = taken.lists > 0 || (isInputExact && isNeeded(taken.schema))
  return { inputSchema, ...(isInputExact && { isInputExact }), ...(needsInput && { needsInput }) }
}
