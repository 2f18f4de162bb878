/** Tables and numbers as the pages of docs/ show them. */
import type { Spread } from './statistics.js'

/** The first column is text, the others are numbers. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(head), `|${head.map((_, i) => (i === 0 ? '---' : '---:')).join('|')}|`, ...rows.map(line)].join('\n')
}

/** Three digits that count. */
export function short(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString('en')
  return value.toFixed(value >= 10 ? 1 : 2)
}

/** Where nothing was measured. */
export const NOTHING = '–'

/** The median, and in brackets what it lies between. */
export const shown = (value: Spread | undefined, unit = ''): string =>
  value === undefined ? NOTHING : `${short(value.median)}${unit} (${short(value.min)}–${short(value.max)})`

export const countText = (count: number): string => count.toLocaleString('en')
