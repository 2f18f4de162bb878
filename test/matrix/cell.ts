/** A cell of the matrix: each process's copy of its flows, made on demand, and how runs of them begin and end. */
import { declareTask, task, type AnyNode, type Run, type TaskOptions } from 'graflow'
import { failureOf } from '../support/captured-errors.js'
import { type Bench, Notes, type Option, type Place, type PlayedCell, type Side } from './table.js'

/** The worker of the bench `split` that has what is looked at, and nothing else. */
export const KNOWER = 'knower'

export class Cell implements PlayedCell {
  readonly title: string
  readonly id: string
  readonly option: Option
  readonly place: Place
  readonly notes = new Notes()
  readonly #sides = new Map<string, Readonly<Record<string, { readonly node: AnyNode; readonly flow: AnyNode }>>>()
  #bench: Bench | undefined

  constructor(option: Option, place: Place) {
    this.option = option
    this.place = place
    this.title = `${option.of}: ${option.name}, ${place.name}`
    this.id = `${option.of}-${option.name}-${place.name}`.replaceAll(/[^A-Za-z0-9]+/g, '-')
  }

  get bench(): Bench {
    if (this.#bench === undefined) throw new Error(`expected a bench for ${this.title}`)
    return this.#bench
  }

  useBench(bench: Bench): void {
    this.#bench = bench
  }

  /** All that a worker must know for this cell. */
  tasksOf(who: string, frames: string | undefined): readonly AnyNode[] {
    return Object.values(this.#sideOf(who, frames)).flatMap(({ node, flow }) =>
      who === KNOWER ? [node] : [node, flow],
    )
  }

  async start(variant = 'x', input: unknown = 1): Promise<Run<unknown>> {
    const { graflow, frames } = this.bench
    const flow = this.#sideOf('client', frames)[variant]?.flow
    if (flow === undefined) throw new Error(`expected ${this.title} to have a node ${variant}`)
    const given = this.place.input(input) as never
    return this.place.begin === 'run' ? graflow.start(flow, given) : graflow.submit(flow, given)
  }

  async value(variant = 'x', input: unknown = 1): Promise<unknown> {
    return this.place.result(await (await this.start(variant, input)).result())
  }

  async failure(variant = 'x', input: unknown = 1): Promise<readonly Error[]> {
    const errors: Error[] = []
    let error: unknown = await failureOf((await this.start(variant, input)).result())
    for (; error instanceof Error; error = error.cause) errors.push(error)
    return errors
  }

  nameOf(task: string, variant = 'x'): string {
    return `${this.id}-${variant}-${task}`
  }

  #sideOf(
    who: string,
    frames: string | undefined,
  ): Readonly<Record<string, { readonly node: AnyNode; readonly flow: AnyNode }>> {
    let side = this.#sides.get(who)
    if (side === undefined) {
      side = Object.fromEntries(
        Object.entries(this.option.nodes).map(([variant, make]) => {
          const at = this.#side(who, `${this.id}-${variant}`, frames)
          const node = make(at)
          return [variant, { node, flow: this.place.around(node, at) }]
        }),
      )
      this.#sides.set(who, side)
    }
    return side
  }

  #side(who: string, id: string, frames: string | undefined): Side {
    const { declares } = this.place
    return {
      ...{ who, id, frames, notes: this.notes },
      task: (name, { options, handler, declared, ...schemas }) => {
        const whole = `${id}-${name}`
        const all: TaskOptions = { ...options, ...schemas }
        if (this.option.bench === 'split' && who !== KNOWER)
          return declareTask(whole, declares === 'names' ? {} : { ...all, ...declared })
        if (declares !== undefined && who === 'client') return declareTask(whole, declares === 'names' ? {} : all)
        // What the declaration says counts: the worker's task then says nothing of its own.
        const own = declares === 'options' ? (schemas as TaskOptions) : all
        return task(whole, own, handler as (input: number, ctx: any) => unknown)
      },
    }
  }
}
