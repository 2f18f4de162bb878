/**
 * The open groups below a group, by the branch that opened them. Most branches have one at a time, which then stands for itself; a
 * group of one branch, as every run's root is, needs no map. The end of a branch costs no look at the children of the others.
 */
/** What this file knows of a group. */
interface Child {
  readonly parent: { readonly spec: { readonly size: number } } | undefined
  readonly parentIndex: number
}

/** One, or several. */
type Siblings<G> = G | Set<G>

const NONE: readonly never[] = Object.freeze([])

export class Children<G extends Child> {
  /** Of a group of one branch. */
  #single: Siblings<G> | undefined
  #byIndex: Map<number, Siblings<G>> | undefined

  add(child: G): void {
    if (child.parent?.spec.size === 1) {
      this.#single = joined(this.#single, child)
      return
    }
    this.#byIndex ??= new Map()
    this.#byIndex.set(child.parentIndex, joined(this.#byIndex.get(child.parentIndex), child))
  }

  remove(child: G): void {
    if (this.#single !== undefined && without(this.#single, child)) this.#single = undefined
    const siblings = this.#byIndex?.get(child.parentIndex)
    if (siblings !== undefined && without(siblings, child)) this.#byIndex?.delete(child.parentIndex)
  }

  /** Those that this branch opened, as they are now. */
  of(index: number): readonly G[] {
    return listed(this.#single ?? this.#byIndex?.get(index))
  }

  /** All of them, as they are now. */
  all(): readonly G[] {
    if (this.#byIndex === undefined) return listed(this.#single)
    return [...this.#byIndex.values()].flatMap(listed)
  }
}

/** A branch of the parent has opened this group. */
export function addChild<G extends Child>(parent: { children: Children<G> | undefined }, child: G): void {
  parent.children ??= new Children()
  parent.children.add(child)
}

/** The group is closed, and stands below its parent no more. */
export function removeChild<G extends Child>(
  parent: { readonly children: Children<G> | undefined } | undefined,
  child: G,
): void {
  parent?.children?.remove(child)
}

/** The open groups that a branch of this group opened. */
export function childrenOf<G extends Child>(
  group: { readonly children: Children<G> | undefined },
  index: number,
): readonly G[] {
  return group.children?.of(index) ?? NONE
}

function joined<G extends Child>(siblings: Siblings<G> | undefined, child: G): Siblings<G> {
  if (siblings === undefined) return child
  return siblings instanceof Set ? siblings.add(child) : new Set([siblings, child])
}

/** Takes the child out; says whether none is left. */
function without<G extends Child>(siblings: Siblings<G>, child: G): boolean {
  if (!(siblings instanceof Set)) return siblings === child
  siblings.delete(child)
  return siblings.size === 0
}

function listed<G extends Child>(siblings: Siblings<G> | undefined): readonly G[] {
  if (siblings === undefined) return NONE
  return siblings instanceof Set ? [...siblings] : [siblings]
}
