/**
 * The open groups below a group, by the branch that opened them. A group of one branch, as every run's root is, keeps a plain list;
 * a wide one a map, so that the end of a branch costs no look at the children of the others.
 */
import type { Group } from './group.js'

const NONE: readonly Group[] = Object.freeze([])

export class Children {
  #list: Group[] | undefined
  #byIndex: Map<number, Group[]> | undefined

  add(child: Group): void {
    if (child.parent?.spec.size === 1) {
      if (this.#list === undefined) this.#list = [child]
      else this.#list.push(child)
      return
    }
    this.#byIndex ??= new Map()
    const siblings = this.#byIndex.get(child.parentIndex)
    if (siblings === undefined) this.#byIndex.set(child.parentIndex, [child])
    else siblings.push(child)
  }

  remove(child: Group): void {
    const siblings = this.#list ?? this.#byIndex?.get(child.parentIndex)
    const place = siblings?.indexOf(child) ?? -1
    if (place >= 0) siblings?.splice(place, 1)
    if (siblings?.length === 0) this.#byIndex?.delete(child.parentIndex)
  }

  /** Those that this branch opened, as they are now. */
  of(index: number): readonly Group[] {
    const siblings = this.#list ?? this.#byIndex?.get(index)
    return siblings === undefined || siblings.length === 0 ? NONE : siblings.slice()
  }

  /** All of them, as they are now. */
  all(): readonly Group[] {
    if (this.#list !== undefined) return this.#list.slice()
    return this.#byIndex === undefined ? NONE : [...this.#byIndex.values()].flat()
  }
}
