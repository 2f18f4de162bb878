/** Positions in a log of events, the same in every store: `<milliseconds>-<number>`, both growing. `0` is before all. */

const POSITION = /^(\d{1,16})(?:-(\d{1,16}))?$/

/** Whether a text is a position. */
export const isPosition = (text: string): boolean => POSITION.test(text)

function partsOf(position: string): readonly [number, number] {
  const [, at = '0', number = '0'] = POSITION.exec(position) ?? []
  return [Number(at), Number(number)]
}

/** Whether one position is before another. */
export function isBefore(a: string, b: string): boolean {
  const [[at, number], [otherAt, otherNumber]] = [partsOf(a), partsOf(b)]
  return at < otherAt || (at === otherAt && number < otherNumber)
}

/**
 * Whether something behind a position may be missing from a log that has these positions first and last: only where the entry of the position, or an older one,
 * is still there, nothing behind it can have gone. Nothing is missing behind `0` and behind no position.
 */
export function isGapBehind(after: string | undefined, first: string | undefined, last: string | undefined): boolean {
  if (after === undefined || after === '0') return false
  return first === undefined || last === undefined || isBefore(after, first) || isBefore(last, after)
}
