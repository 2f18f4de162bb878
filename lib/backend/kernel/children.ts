/**
 * The open groups below a group, by the branch that opened them. Most branches have one at a time, which then stands for itself; a
 * group of one branch, as every run's root is, needs no map. The end of a branch costs no look at the children of the others.
 */
import type { Group } from './group.js'

/** One, or several. */
type Siblings = Group | Set<Group>

const NONE: readonly Group[] = Object.freeze([])

export class Children {
  /** Of a group of one branch. */
  #single: Siblings | undefined
  #byIndex: Map<number, Siblings> | undefined

  add(child: Group): void {
    if (child.parent?.spec.size === 1) {
      this.#single = joined(this.#single, child)
      return
    }
    this.#byIndex ??= new Map()
    this.#byIndex.set(child.parentIndex, joined(this.#byIndex.get(child.parentIndex), child))
  }

  remove(child: Group): void {
    if (this.#single !== undefined && without(this.#single, child)) this.#single = undefined
    const siblings = this.#byIndex?.get(child.parentIndex)
    if (siblings !== undefined && without(siblings, child)) this.#byIndex?.delete(child.parentIndex)
  }

  /** Those that this branch opened, as they are now. */
  of(index: number): readonly Group[] {
    return listed(this.#single ?? this.#byIndex?.get(index))
  }

  /** All of them, as they are now. */
  all(): readonly Group[] {
    if (this.#byIndex === undefined) return listed(this.#single)
    return [...this.#byIndex.values()].flatMap(listed)
  }
}

function joined(siblings: Siblings | undefined, child: Group): Siblings {
  if (siblings === undefined) return child
  return siblings instanceof Set ? siblings.add(child) : new Set([siblings, child])
}

/** Takes the child out; says whether none is left. */
function without(siblings: Siblings, child: Group): boolean {
  if (!(siblings instanceof Set)) return siblings === child
  siblings.delete(child)
  return siblings.size === 0
}

function listed(siblings: Siblings | undefined): readonly Group[] {
  if (siblings === undefined) return NONE
  return siblings instanceof Set ? [...siblings] : [siblings]
}
