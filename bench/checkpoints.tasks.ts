/** Runs of many supersteps, each a step of the driver, whose output is saved, and a group. For checkpoints.ts. */
import { type AnyNode, each, type Node, seq, task } from '../lib/index.js'
import { numbers, objects, type Workload } from './workload.js'

export const SUPERSTEPS = 10
export const WIDTH = 100

/** A flow, what it is given, and whether it gave what it must. */
export interface Supersteps<T> {
  readonly name: string
  readonly flow: Node<readonly T[], T[]>
  readonly items: readonly T[]
  isRight(results: readonly T[]): boolean
}

/** Each superstep adds one to every item twice: in the step of the driver, and in the branches. */
function superstepsOf<T>({ name, itemsOf, step, total, expected }: Workload<T>): Supersteps<T> {
  const prepare = task(`prepare-${name}`, (items: readonly T[]) => Promise.all(items.map(step)))
  const work = task(`work-${name}`, step)
  const superstep = prepare.to(each(work))
  const five = seq(superstep, superstep, superstep, superstep, superstep)
  const added = WIDTH * (2 * SUPERSTEPS - 1)
  const isRight = (results: readonly T[]): boolean => total(results) === expected(WIDTH) + added
  return { name, flow: seq(five, five), items: itemsOf(WIDTH), isRight }
}

export const ofNumbers = superstepsOf(numbers)
export const ofObjects = superstepsOf(objects)
// What a worker finds:
export const flowOfNumbers: AnyNode = ofNumbers.flow
export const flowOfObjects: AnyNode = ofObjects.flow
