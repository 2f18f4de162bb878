/**
 * What the matrix is made of: options (of a task or a group), places (where a task or group may stand), benches (where cells are played), and the
 * cells, in which an option and a place meet. A cell starts runs and looks at what happens. Handlers run in the test's process and note in
 * their cell what they do.
 */
import type { AnyNode, Graflow, Run, TaskContext, TaskOptions } from 'graflow'

/** A Standard Schema, as zod and others make them. */
export interface Schema {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (
      value: unknown,
    ) => { readonly value: unknown } | { readonly issues: readonly { readonly message: string }[] }
  }
}

export interface TaskSpec {
  readonly options?: TaskOptions
  readonly input?: Schema
  readonly output?: Schema
  /** Of the declaration alone, in processes that do not know the task: on the bench `split`. */
  readonly declared?: { readonly input?: Schema; readonly output?: Schema }
  readonly handler: (input: number, ctx: TaskContext<unknown>) => unknown
}

/** One process's copy of a cell's flow. */
export interface Side {
  /** `client`, or the id of a worker. */
  readonly who: string
  /** Unlike that of any other flow of the matrix: names begin with it. */
  readonly id: string
  /** Where the tasks wait that only surround what is looked at; undefined: where any task waits. */
  readonly frames: string | undefined
  readonly notes: Notes
  task(name: string, spec: TaskSpec): AnyNode
}

export type PlaceName =
  | 'each'
  | 'par'
  | 'chain'
  | 'loop'
  | 'choose'
  | 'workflow'
  | 'ctx.run'
  | 'next'
  | 'goto'
  | 'run'
  | 'submit'
  | 'declared'
  | 'left out'

/** A place where a task or group may stand. */
export interface Place {
  readonly name: PlaceName
  /** As docs print it; `x` is the task or group. */
  readonly text: string
  readonly begin: 'run' | 'submit'
  /** The client has declared tasks only: the options stand with them, or with the tasks that workers have. */
  readonly declares?: 'options' | 'names'
  around(node: AnyNode, side: Side): AnyNode
  /** What the run is given, for x to get this. */
  input(given: unknown): unknown
  /** What x gave, from what the run gave. */
  result(output: unknown): unknown
}

/**
 * Where a cell is played: `plain` is any worker, or the embedded one; `workers` are several that differ; `one-slot` is one that takes a task at a
 * time, and comes when those of all cells wait; `lost` is one that is taken for dead when it has those of all cells; `split` are two of which one knows
 * only what is looked at, and the other only what surrounds it.
 */
export type BenchName = 'plain' | 'workers' | 'one-slot' | 'lost' | 'split'

export interface Bench {
  readonly graflow: Graflow
  /** The queue of tasks that only surround what is looked at; undefined: as any. */
  readonly frames: string | undefined
  /** All cells of the bench come here, or leave; then something happens, and they go on. */
  meet(): Promise<void>
  leave(): void
  end(): Promise<void>
}

/** An option, and how it is observed. */
export interface Option {
  readonly name: string
  readonly of: 'task' | 'group'
  readonly bench: BenchName
  /** What a cell looks at, as docs print it. */
  readonly shows: string
  /** Places where the option can do nothing, and why. */
  readonly cannot?: Readonly<Partial<Record<PlaceName, string>>>
  /** What stands at the place, by name: a cell may need several. Called once for each process. */
  readonly nodes: Readonly<Record<string, (side: Side) => AnyNode>>
  /** Starts runs, and fails unless the option held. */
  observe(cell: PlayedCell): Promise<void>
}

/** A cell as an option sees it. */
export interface PlayedCell {
  readonly title: string
  readonly place: Place
  readonly bench: Bench
  readonly notes: Notes
  start(variant?: string, input?: unknown): Promise<Run<unknown>>
  /** Runs to the end; what x gave. */
  value(variant?: string, input?: unknown): Promise<unknown>
  /** Runs to the failure; its error and the errors inside it, from the outside to the inside. */
  failure(variant?: string, input?: unknown): Promise<readonly Error[]>
  /** The name that a task of the cell has in events. */
  nameOf(task: string, variant?: string): string
}

/** What handlers noted, in order. */
export class Notes {
  readonly all: { readonly what: string; readonly value: unknown }[] = []
  readonly #waits = new Set<() => void>()

  add(what: string, value?: unknown): void {
    this.all.push({ what, value })
    for (const look of [...this.#waits]) look()
  }

  /** Values of the notes of this name. */
  of(what: string): unknown[] {
    return this.all.filter((note) => note.what === what).map(({ value }) => value)
  }

  count(what: string): number {
    return this.of(what).length
  }

  /** Resolves when there are so many notes of this name. */
  until(what: string, count = 1): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (this.count(what) < count) return
        this.#waits.delete(look)
        resolve()
      }
      this.#waits.add(look)
      look()
    })
  }
}
