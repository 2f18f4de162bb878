/** What a producer is asked to do: runs of so many branches, what goes into each, and what must come out. */
import type { Item } from './adapter.js'

/** A number in and out; a text of so many bytes; a failure; a number after so many milliseconds. */
export type What =
  | { readonly kind: 'number' | 'fail' }
  | { readonly kind: 'text'; readonly bytes: number }
  | { readonly kind: 'wait'; readonly ms: number }

export interface Load {
  /** Branches of a run. */
  readonly count: number
  readonly what: What
  /** Runs at once. */
  readonly runs: number
  /** Failures are outcomes, too. */
  readonly isSettled: boolean
}

/** One run of branches that take a number. */
export const numbers = (count: number): Load => ({ count, what: { kind: 'number' }, runs: 1, isSettled: false })

/** The items of one run. */
export function itemsOf({ count, what }: Load): readonly Item[] {
  return Array.from({ length: count }, (_, i) => {
    if (what.kind === 'number') return i
    const head = what.kind === 'wait' ? `${i} wait ${what.ms}` : `${i} ${what.kind} `
    return what.kind === 'text' ? head.padEnd(what.bytes, 'of no meaning, ') : head
  })
}

const numberIn = (item: Item): number => (typeof item === 'number' ? item : Number.parseInt(item, 10))

/** How long the branch of this item is to wait; undefined: not at all. */
export function waitMsOf(item: Item): number | undefined {
  if (typeof item === 'number') return undefined
  const [, word, ms] = item.slice(0, 32).split(' ')
  return word === 'wait' ? Number(ms) : undefined
}

/** What the branch makes of its item, whose number may also come as a text; other texts stay as long as they were. @throws Error for an item that is to fail */
export function resultOf(item: Item): Item {
  const result = 2 * numberIn(item) + 1
  const behind = typeof item === 'number' ? -1 : item.indexOf(' ')
  if (typeof item === 'number' || behind < 0 || waitMsOf(item) !== undefined) return result
  if (item.startsWith('fail', behind + 1)) throw new Error(`${result} failed`)
  return `${result}${item.slice(behind)}`
}

/**
 * Sees to it that there is exactly one result of each item of a run.
 * @throws Error when one is missing, is there twice, is none, or has lost bytes
 */
export function checkResults(results: readonly Item[], { count, what }: Load): void {
  const seen = new Uint8Array(count)
  for (const result of results) {
    const item = (numberIn(result) - 1) / 2
    if (!Number.isInteger(item) || item < 0 || item >= count || seen[item] !== 0)
      throw new Error(
        `expected one result of each of ${count} branches, got ${shown(result)}${seen[item] ? ' twice' : ''}`,
      )
    seen[item] = 1
    if (what.kind === 'text' && String(result).length < what.bytes)
      throw new Error(`expected results of ${what.bytes} bytes, got one of ${String(result).length}`)
    if (what.kind === 'fail' && !String(result).endsWith('failed'))
      throw new Error(`expected the error of a branch, got ${shown(result)}`)
  }
  if (results.length !== count) throw new Error(`expected ${count} results, got ${results.length}`)
}

const shown = (result: Item): string => String(result).slice(0, 40)
