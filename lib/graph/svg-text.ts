/** Text in pictures: how wide it is about, how it is cut, and how it is written into XML. */

const NARROW = /[ijlftrI.,:;|!'()[\]{}·]/
const WIDE = /[mwMW@%…]|[^\u0000-\u2fff]/u

/** The width in pixels, about, and rather too much: the program that shows the picture chooses the font. */
export function textWidth(text: string, size: number): number {
  let units = 0
  for (const char of text)
    units += WIDE.test(char) ? 0.95 : NARROW.test(char) ? 0.36 : /[A-Z_]/.test(char) ? 0.68 : 0.58
  return Math.ceil(units * size)
}

/** At most so many characters, the last of them `…` when something was cut. */
export function cut(text: string, most: number): string {
  const chars = [...text]
  return chars.length <= most ? text : `${chars.slice(0, most - 1).join('')}…`
}

/** The parts of a note on lines of about so many characters. */
export function wrapNote(note: string, most: number): readonly string[] {
  const lines: string[] = []
  for (const part of note === '' ? [] : note.split(' · ')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + part.length + 3 <= most) lines[lines.length - 1] = `${last} · ${part}`
    else lines.push(part)
  }
  return lines.map((line) => cut(line, most + 8))
}

/** Text for an element or an attribute in double quotes. What XML 1.0 cannot say at all becomes U+FFFD. */
export function xml(text: string): string {
  return text
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '\ufffd')
    .replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`)
}
