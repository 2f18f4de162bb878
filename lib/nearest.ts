/** Finds the name that a misspelt one probably meant. */

/** More candidates than this are not compared: a suggestion is not worth a noticeable wait. */
const MOST_CANDIDATES = 2_000

/**
 * The candidate that differs from `name` by the fewest insertions, deletions, replacements and swaps of neighbours, or undefined when
 * the nearest differs in more than a third of its characters (of a short one, in more than one, or in all). Case counts only between candidates that are as near.
 *
 * nearest('retires', ['retry', 'retries', 'timeoutMs']) // 'retries'
 */
export function nearest(name: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined
  let bestDistance = Math.max(1, Math.floor(name.length / 3)) + 0.5
  let compared = 0
  for (const candidate of candidates) {
    if (++compared > MOST_CANDIDATES) break
    if (Math.abs(candidate.length - name.length) > bestDistance) continue
    const edits = editDistance(name.toLowerCase(), candidate.toLowerCase())
    const distance = edits + (name === candidate ? 0 : 0.25)
    if (distance < bestDistance && edits < Math.max(name.length, candidate.length)) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** Ready to be appended to a message: ` (did you mean "retries"?)`, or nothing. */
export function didYouMean(name: string, candidates: Iterable<string>): string {
  const found = nearest(name, candidates)
  return found === undefined ? '' : ` (did you mean "${found}"?)`
}

/** Optimal string alignment (Damerau 1964), three rows at a time. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const now = [row]
    for (let column = 1; column <= b.length; column++) {
      const x = a.charAt(row - 1)
      const y = b.charAt(column - 1)
      let cost = Math.min(
        (last[column] ?? 0) + 1,
        (now[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (x === y ? 0 : 1),
      )
      if (row > 1 && column > 1 && x === b.charAt(column - 2) && a.charAt(row - 2) === y) {
        cost = Math.min(cost, (beforeLast[column - 2] ?? 0) + 1)
      }
      now.push(cost)
    }
    beforeLast = last
    last = now
  }
  return last[b.length] ?? 0
}
