/**
 * Tables for people. On a terminal a table is no wider than the screen: columns that say nothing go, and wide ones give up room, the widest first.
 * Hides how wide a character is, and where a text is broken. A pipe or a file gets all columns as wide as they need.
 */
import type { Screen } from './host.js'
import { columnsOf, plainText } from './output.js'

const GAP = 2
/** Columns do not become narrower than this, as long as there is room: the first has the ids, the last one sentences. */
const LEAST = { first: 20, last: 24, other: 8 } as const
/** Of a screen that is too narrow for those. */
const LEAST_OF_ALL = 4

/** What takes two columns of a terminal (Unicode annex 11, by blocks), and what takes none. */
const WIDE =
  /\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]/u
const NOTHING = /[\p{Mn}\p{Me}\p{Cf}]/u

const widthOfCharacter = (character: string): number => (NOTHING.test(character) ? 0 : WIDE.test(character) ? 2 : 1)

/** So many columns of a terminal. */
export function widthOf(text: string): number {
  if (/^[\u0020-\u007e]*$/.test(text)) return text.length
  let width = 0
  for (const character of text) width += widthOfCharacter(character)
  return width
}

/** As much of a text as has room, and the rest. */
function brokenAt(text: string, columns: number): readonly [string, string] {
  let width = 0
  let end = 0
  for (const character of text) {
    width += widthOfCharacter(character)
    if (width > columns && end > 0) break
    end += character.length
  }
  return [text.slice(0, end), text.slice(end)]
}

/** Lines of at most so many columns, broken between words. @param isWhole words longer than that are not broken */
function wrapped(text: string, columns: number, isWhole: boolean): readonly string[] {
  const lines = ['']
  for (const word of text.split(' ')) {
    const last = lines.at(-1) ?? ''
    if (last !== '' && widthOf(last) + widthOf(word) < columns) {
      lines[lines.length - 1] = `${last} ${word}`
      continue
    }
    if (last === '') lines.pop()
    let rest = word
    while (!isWhole && widthOf(rest) > columns) {
      const [part, left] = brokenAt(rest, columns)
      lines.push(part)
      rest = left
    }
    lines.push(rest)
  }
  return lines
}

const cut = (text: string, columns: number): string =>
  widthOf(text) <= columns ? text : `${brokenAt(text, columns - 1)[0]}…`

const sumOf = (widths: readonly number[]): number => widths.reduce((sum, width) => sum + width + GAP, -GAP)

/** Takes room from the widest columns until all fit, or none has any to give. */
function narrowed(widths: readonly number[], floors: readonly number[], room: number): readonly number[] {
  const left = [...widths]
  for (let over = sumOf(left) - room; over > 0; over -= 1) {
    let widest = -1
    for (const [column, width] of left.entries())
      if (width > (floors[column] ?? 0) && width > (left[widest] ?? 0)) widest = column
    if (widest < 0) break
    left[widest] = (left[widest] ?? 0) - 1
  }
  return left
}

/** How wide columns are on a terminal. */
function fitted(head: readonly string[], widths: readonly number[], room: number, isCut: boolean): readonly number[] {
  const last = head.length - 1
  const within = widths.map((width) => Math.min(width, room))
  const floors = within.map((width, column) => {
    const least = column === 0 ? LEAST.first : column === last && !isCut ? LEAST.last : LEAST.other
    return Math.min(width, Math.max(least, widthOf(head[column] ?? '')))
  })
  const narrow = narrowed(within, floors, room)
  return narrowed(
    narrow,
    narrow.map((width) => Math.min(width, LEAST_OF_ALL)),
    room,
  )
}

/**
 * Rows below a head.
 * @param paint colours a cell's text, which is padded by then
 * @param isCut on a terminal each row has one line: what has no room is cut off, and not broken
 */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  screen: Screen,
  paint: (text: string, column: number, row: readonly string[] | undefined) => string = (text) => text,
  isCut = false,
): string {
  const isTerminal = screen.isTTY === true
  const room = columnsOf(screen) - 1
  const cells = rows.map((row) => row.map(plainText))
  const last = head.length - 1
  const natural = head.map((title, column) =>
    [title, ...cells.map((row) => row[column] ?? '')].reduce((most, text) => Math.max(most, widthOf(text)), 0),
  )
  const tells = (column: number): boolean => column === 0 || cells.some((row) => !['', '-'].includes(row[column] ?? ''))
  const all = [...head.keys()]
  const shown = isTerminal && sumOf(natural) > room ? all.filter(tells) : all
  const given = shown.map((column) => natural[column] ?? 0)
  const behind = Math.max(LEAST.last, room - sumOf(natural.slice(0, last)) - GAP)
  const titles = shown.map((column) => head[column] ?? '')
  const widths = isTerminal ? fitted(titles, given, room, isCut) : [...given.slice(0, -1), behind]
  const line = (row: readonly string[], of: readonly string[] | undefined): string => {
    const parts = shown.map((column, i) => {
      const [text, width] = [row[column] ?? '', widths[i] ?? 0]
      if (!isTerminal && column !== last) return [text]
      return isTerminal && isCut ? [cut(text, width)] : wrapped(text, width, !isTerminal)
    })
    const height = Math.max(...parts.map(({ length }) => length))
    return Array.from({ length: height }, (_, at) => {
      const painted = shown.map((column, i) => {
        const text = parts[i]?.[at] ?? ''
        const isLast = i === shown.length - 1
        const padded = isLast ? text : text + ' '.repeat(Math.max(0, (widths[i] ?? 0) - widthOf(text)))
        return text === '' ? padded : paint(padded, column, of)
      })
      return `${painted.join(' '.repeat(GAP)).trimEnd()}\n`
    }).join('')
  }
  return [line(head, undefined), ...cells.map((row) => line(row, row))].join('')
}
