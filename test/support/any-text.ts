/**
 * Characters of random texts. fast-check's own unit `binary` makes a table of all characters before the first text, which
 * takes each test file a second of processor time.
 */
import fc from 'fast-check'

const codeOf = (text: unknown): number => {
  const code = typeof text === 'string' ? text.codePointAt(0) : undefined
  if (code === undefined || text !== String.fromCodePoint(code)) throw new Error('expected one character')
  return code
}

const FIRST_SURROGATE = 0xd800
const SURROGATES = 0x800

/** Any code point: also halves of pairs, of which no well-formed text is made. */
export const anyCodePoint = fc.integer({ min: 0, max: 0x10ffff }).map((code) => String.fromCodePoint(code), codeOf)

/** Any character of a well-formed text. */
export const anyCharacter = fc.integer({ min: 0, max: 0x10ffff - SURROGATES }).map(
  (n) => String.fromCodePoint(n < FIRST_SURROGATE ? n : n + SURROGATES),
  (text) => {
    const code = codeOf(text)
    return code < FIRST_SURROGATE ? code : code - SURROGATES
  },
)
