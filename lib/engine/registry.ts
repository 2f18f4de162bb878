/**
 * Where handlers, join policies and schemas of waits are found by name. A graph has names only; the code behind them is what this process has seen: the
 * flow a run was started with, else any flow or module given to it before.
 */
import { policiesOf, tasksOf, waitsOf, workflowsOf, type PolicyJoin } from '../flow/collect.js'
import type { Expression, TaskExpression, WaitExpression, WorkflowExpression } from '../flow/expression.js'

/** The code that one run uses. */
export interface Code {
  task(name: string): TaskExpression | undefined
  policy(name: string): PolicyJoin | undefined
  wait(name: string): WaitExpression | undefined
  /** A declaration with an input schema: whoever hands something to the task looks whether it fits. */
  declaration(name: string): TaskExpression | undefined
}

/** That of a flow, whose tasks these are; one that also stands in the flow with its handler is that task. */
export function declarationIn(tasks: ReadonlyMap<string, TaskExpression>, name: string): TaskExpression | undefined {
  const task = tasks.get(name)
  return task?.handler === undefined && task?.input !== undefined ? task : undefined
}

interface Names {
  readonly tasks: Map<string, TaskExpression>
  readonly policies: Map<string, PolicyJoin>
  readonly waits: Map<string, WaitExpression>
}

const emptyNames = (): Names => ({ tasks: new Map(), policies: new Map(), waits: new Map() })

const namesIn = new WeakMap<Expression, Names>()

/** Those of one flow, found once; callers do not change them. */
function namesOf(expression: Expression): Names {
  let names = namesIn.get(expression)
  if (names === undefined) {
    names = emptyNames()
    addTo(names, expression)
    namesIn.set(expression, names)
  }
  return names
}

function addTo(names: Names, expression: Expression): void {
  for (const [name, task] of tasksOf(expression)) {
    // A declared task says less than one with a handler: it never hides one.
    if (task.handler !== undefined || names.tasks.get(name)?.handler === undefined) names.tasks.set(name, task)
  }
  for (const [name, policy] of policiesOf(expression)) names.policies.set(name, policy)
  for (const [name, wait] of waitsOf(expression)) {
    if (wait.schema !== undefined || names.waits.get(name)?.schema === undefined) names.waits.set(name, wait)
  }
}

const keyOf = (runId: string, base: string): string => (base === '' ? runId : `${runId}/${base}`)

/** One a process. Two flows may use one name for two handlers: each run, and each flow that a handler brings, finds its own first. */
export class Registry {
  readonly #all = emptyNames()
  readonly #tied = new Map<string, Names>()
  readonly #workflows = new Map<string, WorkflowExpression>()
  #latest: Expression | undefined
  readonly #through: ((code: Code) => Code) | undefined

  /** @param through what stands between runs and the code that is found here: a test's */
  constructor(through?: (code: Code) => Code) {
    this.#through = through
  }

  /** Makes the code of a flow known to runs that bring none. The latest of one name wins. */
  learn(expression: Expression): void {
    if (this.#latest === expression) return
    addTo(this.#all, expression)
    for (const [name, workflow] of workflowsOf(expression)) this.#workflows.set(name, workflow)
    this.#latest = expression
  }

  /** Makes a policy known that stands in no flow here. The latest of one name wins. */
  learnPolicy(policy: PolicyJoin): void {
    this.#all.policies.set(policy.name, policy)
    this.#latest = undefined // a flow with a policy of that name wins when it is learnt again
  }

  /** Ties the code of a flow to where it stands in a run (`''`: it is the run's own flow), until `forget`. */
  tie(runId: string, base: string, expression: Expression): void {
    this.#tied.set(keyOf(runId, base), namesOf(expression))
    this.learn(expression)
  }

  /** Whether the run's own flow is known here. */
  knows(runId: string): boolean {
    return this.#tied.has(runId)
  }

  /** @param only where it is this flow's code that is tied; absent: whichever is */
  forget(runId: string, base = '', only?: Expression): void {
    const key = keyOf(runId, base)
    if (only === undefined || this.#tied.get(key) === namesOf(only)) this.#tied.delete(key)
  }

  /** The code of the flow that stands at `base` in the run. */
  codeOf(runId: string, base = ''): Code {
    const own = keyOf(runId, base)
    const code: Code = {
      task: (name) => {
        const known = this.#tied.get(own)?.tasks.get(name)
        if (known?.handler !== undefined) return known
        const inRun = this.#tied.get(runId)?.tasks.get(name)
        return inRun?.handler === undefined ? (this.#all.tasks.get(name) ?? inRun ?? known) : inRun
      },
      policy: (name) =>
        this.#tied.get(own)?.policies.get(name) ??
        this.#tied.get(runId)?.policies.get(name) ??
        this.#all.policies.get(name),
      wait: (name) =>
        this.#tied.get(own)?.waits.get(name) ?? this.#tied.get(runId)?.waits.get(name) ?? this.#all.waits.get(name),
      declaration: (name) => declarationIn((this.#tied.get(own) ?? this.#tied.get(runId) ?? this.#all).tasks, name),
    }
    return this.#through === undefined ? code : this.#through(code)
  }

  /** All workflows that were seen, by their names. */
  get workflows(): ReadonlyMap<string, WorkflowExpression> {
    return this.#workflows
  }

  /** Names of all tasks with a handler. */
  taskNames(): string[] {
    return [...this.#all.tasks.values()].filter((task) => task.handler !== undefined).map((task) => task.name)
  }
}
