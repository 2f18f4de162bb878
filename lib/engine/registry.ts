/**
 * Where handlers and join policies are found by name. A graph has names only; the code behind them is what this process has seen: the
 * flow a run was started with, else any flow or module given to it before.
 */
import { policiesOf, tasksOf, type PolicyJoin } from '../flow/collect.js'
import type { Expression, TaskExpression } from '../flow/expression.js'

/** The code that one run uses. */
export interface Code {
  task(name: string): TaskExpression | undefined
  policy(name: string): PolicyJoin | undefined
}

interface Names {
  readonly tasks: Map<string, TaskExpression>
  readonly policies: Map<string, PolicyJoin>
}

const emptyNames = (): Names => ({ tasks: new Map(), policies: new Map() })

function addTo(names: Names, expression: Expression): void {
  for (const [name, task] of tasksOf(expression)) {
    // A declared task says less than one with a handler: it never hides one.
    if (task.handler !== undefined || names.tasks.get(name)?.handler === undefined) names.tasks.set(name, task)
  }
  for (const [name, policy] of policiesOf(expression)) names.policies.set(name, policy)
}

/** One a process. Two flows may use one name for two handlers: each run finds its own first. */
export class Registry {
  readonly #all = emptyNames()
  readonly #runs = new Map<string, Names>()

  /** Makes the code of a flow known to runs that bring none. The latest of one name wins. */
  learn(expression: Expression): void {
    addTo(this.#all, expression)
  }

  /** Ties the code of a flow to a run, until `forget`. */
  learnForRun(runId: string, expression: Expression): void {
    const names = this.#runs.get(runId) ?? emptyNames()
    this.#runs.set(runId, names)
    addTo(names, expression)
    this.learn(expression)
  }

  forget(runId: string): void {
    this.#runs.delete(runId)
  }

  codeOf(runId: string): Code {
    return {
      task: (name) => {
        const own = this.#runs.get(runId)?.tasks.get(name)
        return own?.handler === undefined ? (this.#all.tasks.get(name) ?? own) : own
      },
      policy: (name) => this.#runs.get(runId)?.policies.get(name) ?? this.#all.policies.get(name),
    }
  }

  /** Names of all tasks with a handler. */
  taskNames(): string[] {
    return [...this.#all.tasks.values()].filter((task) => task.handler !== undefined).map((task) => task.name)
  }
}
